/* SPDX-License-Identifier: Apache-2.0 */
/* engine.c - an engine's life: made, started, stopped, freed; its session and its kinds of the
 * pool.
 */
#include "executor/engine.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "executor/audit.h"
#include "executor/pool.h"
#include "executor/remote/policy.h"
#include "executor/request.h"
#include "executor/session.h"

int isol8_create(isol8_engine **out, isol8_host *host, const isol8_options *opts, isol8_error *err)
{
    isol8_options defaults;

    if (opts == NULL) {
        isol8_options_init(&defaults);
        opts = &defaults;
    }
    if (opts->size != sizeof(*opts))
        return err_set(err, ISOL8_E_INVAL, "options were not initialised");
    if (!exec_host_is_ours(host, err))
        return ISOL8_E_STATE;

    isol8_engine *e = calloc(1, sizeof(*e));
    if (e == NULL)
        return err_nomem(err);
    e->host = host;
    (void)pthread_mutex_init(&e->mutex, NULL);
    turns_init(&e->turns, 1);
    int r = exec_engine_set_options(e, opts, err);
    if (r < 0) {
        isol8_free(e);
        return r;
    }
    *out = e;
    return 0;
}

static void free_list(char **list)
{
    for (size_t i = 0; list != NULL && list[i] != NULL; i++)
        free(list[i]);
    free(list);
}

void isol8_free(isol8_engine *e)
{
    if (e == NULL)
        return;
    if (exec_engine_is_ours(e, NULL))
        (void)isol8_stop(e, NULL); /* what could not be removed was logged, and is found again */
    for (size_t i = 0; i < e->n_secret_env; i++) {
        char *value = (char *)e->secret_env[i].value;
        if (value != NULL)
            explicit_bzero(value, strlen(value));
        free(value);
        free((char *)e->secret_env[i].key);
    }
    free(e->secret_env);
    mask_set_free(e->secrets);
    proxy_rules_free(e->rules);
    audit_close(e->audit);
    remote_policy_unref(e->remote);
    free_list(e->allow);
    free_list(e->deny);
    free_list(e->allow_within);
    free(e->memory_text);
    free(e->image);
    free(e->seccomp_owned);
    turns_done(&e->turns);
    (void)pthread_mutex_destroy(&e->mutex);
    free(e);
}

bool exec_host_is_ours(const struct isol8_host *h, isol8_error *err)
{
    if (h->owner_pid == getpid())
        return true;
    (void)err_set(err, ISOL8_E_STATE,
                  "this process did not open the host: after fork() the child must open its own");
    return false;
}

bool exec_engine_is_ours(const struct isol8_engine *e, isol8_error *err)
{
    return exec_host_is_ours(e->host, err);
}

/* ---- The pool ------------------------------------------------------------------------------ */

/* The caller holds the engine's lock. */
static struct pool_kind *find_kind(const struct isol8_engine *e, const struct sandbox_args *args)
{
    for (size_t i = 0; i < e->n_kinds; i++) {
        if (pool_is_kind(e->kinds[i], args))
            return e->kinds[i];
    }
    return NULL;
}

struct pool_kind *exec_engine_kind(struct isol8_engine *e, const struct sandbox_args *args)
{
    if (!e->is_pooled || args->layers != NULL)
        return NULL;
    (void)pthread_mutex_lock(&e->mutex);
    struct pool_kind *k = find_kind(e, args);
    struct pool_kind **all = k != NULL ? NULL
                                       : reallocarray(e->kinds, e->n_kinds + 1, sizeof(*e->kinds));
    if (all != NULL) {
        e->kinds = all;
        k = pool_join(e->host->pool, args, e->pool_clean);
        if (k != NULL)
            all[e->n_kinds++] = k;
    }
    if (k != NULL)
        pool_hold(k);
    (void)pthread_mutex_unlock(&e->mutex);
    return k;
}

static void leave_pool(struct isol8_engine *e)
{
    (void)pthread_mutex_lock(&e->mutex);
    struct pool_kind **all = take_ptr(&e->kinds);
    size_t n = e->n_kinds;
    e->n_kinds = 0;
    (void)pthread_mutex_unlock(&e->mutex);
    for (size_t i = 0; i < n; i++)
        pool_leave(all[i]);
    free(all);
}

/* ---- Start and stop ------------------------------------------------------------------------ */

void isol8_start_options_init(isol8_start_options *opts)
{
    *opts = (isol8_start_options){ .size = sizeof(*opts) };
}

static int check_names(const isol8_start_options *o, isol8_error *err)
{
    for (size_t i = 0; i < o->n_runtimes; i++) {
        if (o->runtimes[i] == NULL || exec_runtime_find(o->runtimes[i]) == NULL)
            return err_set(err, ISOL8_E_INVAL,
                           "Unknown runtime: \"%.40s\". Available: python, node, bun, bash, deno, "
                           "agent",
                           o->runtimes[i] == NULL ? "" : o->runtimes[i]);
    }
    return 0;
}

/* Whatever goes wrong for one runtime is logged, and the others are prepared all the same. */
static struct pool_kind *prepare(struct isol8_engine *e, const char *runtime)
{
    const struct exec_runtime *rt = exec_runtime_find(runtime);
    struct sandbox_args args;
    isol8_error err = { 0 };

    exec_plan_sandbox(&args, e, rt);
    if (exec_ensure_image(e, rt, &err) < 0) {
        log_warn(&e->host->log, "start: cannot prepare %s: %s", runtime, err.msg);
        return NULL;
    }
    struct pool_kind *k = exec_engine_kind(e, &args);
    if (k != NULL)
        pool_refill(k);
    return k;
}

int isol8_start(isol8_engine *e, const isol8_start_options *opts, isol8_error *err)
{
    struct pool_kind *kinds[RUNTIMES_MAX];
    isol8_start_options defaults;
    size_t n = 0;

    if (opts == NULL) {
        isol8_start_options_init(&defaults);
        opts = &defaults;
    }
    if (opts->size != sizeof(*opts))
        return err_set(err, ISOL8_E_INVAL, "start options were not initialised");
    if (!exec_engine_is_ours(e, err))
        return ISOL8_E_STATE;
    int r = check_names(opts, err);
    if (r < 0 || !opts->prewarm || !e->is_pooled)
        return r;
    for (size_t i = 0; i < RUNTIMES_MAX; i++) {
        const char *name = opts->n_runtimes == 0  ? isol8_runtime_name(i)
                           : i < opts->n_runtimes ? opts->runtimes[i]
                                                  : NULL;
        struct pool_kind *k = name == NULL ? NULL : prepare(e, name);
        if (k != NULL)
            kinds[n++] = k;
    }
    for (size_t i = 0; i < n; i++) {
        pool_wait_full(kinds[i]);
        pool_release(kinds[i]);
    }
    return 0;
}

int isol8_stop(isol8_engine *e, isol8_error *err)
{
    if (!exec_engine_is_ours(e, err))
        return ISOL8_E_STATE;
    leave_pool(e);
    int r = session_end(e, err);
    if (e->host->pool != NULL)
        pool_settle(e->host->pool);
    return r;
}

bool isol8_container_id(isol8_engine *e, char id[65])
{
    struct session *s = NULL;
    bool has_one = false;

    id[0] = '\0';
    if (!e->is_persistent || !exec_engine_is_ours(e, NULL) || session_hold(e, &s, NULL) < 0)
        return false;
    if (session_lock(s)) {
        memcpy(id, s->sandbox->id, HOST_ID_SIZE);
        has_one = true;
        session_unlock(s);
    }
    session_release(s);
    return has_one;
}
