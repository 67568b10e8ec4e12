/* SPDX-License-Identifier: Apache-2.0 */
/**
 * engines.c - engines for requests without a session
 *
 * Theory of operation. Each kept engine has a key: all its options, written out. The list is in
 * order of use, the latest first. One thread releases what is put on its list, since
 * isol8_free() waits for the removal of sandboxes; it also looks for engines that were idle for
 * too long.
 */
#include "server/engines.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/mem.h"

#define KEY_MAX (1u << 20) /* options longer than this are not kept */
#define LOOK_S 30
#define MS_NS UINT64_C(1000000)

struct srv_engine {
    struct srv_engine *next;
    char *key; /* NULL: not to be kept */
    isol8_engine *engine;
    unsigned users;
    uint64_t used_ns;
};

struct waste {
    struct waste *next;
    isol8_engine *engine;
};

struct srv_engines {
    isol8_host *host;
    pthread_mutex_t mutex; /* guards the rest */
    pthread_cond_t changed;
    struct srv_engine *first;
    unsigned n;
    struct waste *waste;
    bool is_over;
    pthread_t thread;
    bool has_thread;
};

/* ---- Keys ------------------------------------------------------------------------------------ */

static void add_word(struct buf *b, const char *word)
{
    if (word == NULL)
        (void)buf_adds(b, "-;");
    else
        (void)buf_addf(b, "%zu:%s;", strlen(word), word);
}

static void add_list(struct buf *b, const char *const *list, size_t n)
{
    (void)buf_addf(b, "%zu[", n);
    for (size_t i = 0; i < n; i++)
        add_word(b, list[i]);
}

/* Everything that a request can change; the rest is the same for the whole server. */
static char *key_of(const isol8_options *o)
{
    auto_buf struct buf b = BUF_INIT(KEY_MAX);

    if (o->n_secrets > 0)
        return NULL;
    add_word(&b, o->mode);
    add_word(&b, o->network);
    add_list(&b, o->allow, o->n_allow);
    add_list(&b, o->deny, o->n_deny);
    add_word(&b, o->memory_limit);
    add_word(&b, o->image);
    add_word(&b, o->sandbox_size);
    add_word(&b, o->tmp_size);
    add_word(&b, o->seccomp);
    add_word(&b, o->seccomp_profile_path);
    (void)buf_addf(&b, "%d%d%d;%a;%" PRId64 ";%" PRIu64, o->log_network, o->readonly_rootfs,
                   o->persist, o->cpu_limit, o->pids_limit, o->max_output_size);
    return b.failed ? NULL : buf_take(&b);
}

/* ---- Release --------------------------------------------------------------------------------- */

static void engine_drop(struct srv_engines *all, struct srv_engine *e)
{
    if (e == NULL)
        return;
    srv_engines_dispose(all, e->engine);
    free(e->key);
    free(e);
}

void srv_engines_dispose(struct srv_engines *all, isol8_engine *engine)
{
    struct waste *w = engine == NULL ? NULL : malloc(sizeof(*w));

    if (w == NULL) {
        isol8_free(engine);
        return;
    }
    *w = (struct waste){ .engine = engine };
    (void)pthread_mutex_lock(&all->mutex);
    w->next = all->waste;
    all->waste = w;
    (void)pthread_cond_signal(&all->changed);
    (void)pthread_mutex_unlock(&all->mutex);
}

/* Take one out that nobody uses and that has waited for @idle_ms. The caller holds the mutex. */
static struct srv_engine *take_idle(struct srv_engines *all, uint64_t idle_ms)
{
    struct srv_engine **found = NULL;
    uint64_t now = clock_now_ns();

    for (struct srv_engine **at = &all->first; *at != NULL; at = &(*at)->next) {
        if ((*at)->users == 0 && now - (*at)->used_ns >= idle_ms * MS_NS)
            found = at; /* the last one is the one least used */
    }
    if (found == NULL)
        return NULL;
    struct srv_engine *e = *found;
    *found = e->next;
    all->n--;
    return e;
}

static void release_waste(struct waste *w)
{
    while (w != NULL) {
        struct waste *next = w->next;
        isol8_free(w->engine);
        free(w);
        w = next;
    }
}

static void *run_disposer(void *user)
{
    struct srv_engines *all = user;
    struct timespec until;

    (void)pthread_mutex_lock(&all->mutex);
    while (!all->is_over || all->waste != NULL) {
        struct waste *w = take_ptr(&all->waste);
        struct srv_engine *idle = w == NULL ? take_idle(all, ENGINES_IDLE_MS) : NULL;
        if (w == NULL && idle == NULL) {
            (void)clock_gettime(CLOCK_REALTIME, &until);
            until.tv_sec += LOOK_S;
            (void)pthread_cond_timedwait(&all->changed, &all->mutex, &until);
            continue;
        }
        (void)pthread_mutex_unlock(&all->mutex);
        release_waste(w);
        engine_drop(all, idle);
        (void)pthread_mutex_lock(&all->mutex);
    }
    (void)pthread_mutex_unlock(&all->mutex);
    return NULL;
}

/* ---- Use ------------------------------------------------------------------------------------- */

/* The caller holds the mutex. */
static struct srv_engine *find(struct srv_engines *all, const char *key)
{
    for (struct srv_engine **at = &all->first; *at != NULL; at = &(*at)->next) {
        struct srv_engine *e = *at;
        if (strcmp(e->key, key) != 0)
            continue;
        *at = e->next;
        e->next = all->first;
        all->first = e;
        e->users++;
        return e;
    }
    return NULL;
}

int srv_engines_get(struct srv_engines *all, const isol8_options *o, struct srv_engine **out,
                    isol8_error *err)
{
    auto_free char *key = key_of(o);
    isol8_options shared = *o;

    if (key != NULL) {
        (void)pthread_mutex_lock(&all->mutex);
        *out = find(all, key);
        (void)pthread_mutex_unlock(&all->mutex);
        if (*out != NULL)
            return 0;
        shared.timeout_ms = INT64_C(604800000); /* each request brings its own */
    }
    struct srv_engine *e = calloc(1, sizeof(*e));
    if (e == NULL)
        return err_nomem(err);
    int r = isol8_create(&e->engine, all->host, &shared, err);
    if (r < 0) {
        free(e);
        return r;
    }
    e->users = 1;
    e->key = take_ptr(&key);
    *out = e;
    if (e->key == NULL)
        return 0;
    (void)pthread_mutex_lock(&all->mutex);
    e->next = all->first;
    all->first = e;
    all->n++;
    struct srv_engine *old = all->n > ENGINES_MAX ? take_idle(all, 0) : NULL;
    (void)pthread_mutex_unlock(&all->mutex);
    engine_drop(all, old);
    return 0;
}

isol8_engine *srv_engine_of(struct srv_engine *e)
{
    return e->engine;
}

void srv_engines_put(struct srv_engines *all, struct srv_engine *e)
{
    if (e == NULL)
        return;
    if (e->key == NULL) {
        engine_drop(all, e);
        return;
    }
    (void)pthread_mutex_lock(&all->mutex);
    e->users--;
    e->used_ns = clock_now_ns();
    (void)pthread_mutex_unlock(&all->mutex);
}

/* ---- Life ------------------------------------------------------------------------------------ */

int srv_engines_new(struct srv_engines **out, isol8_host *host, isol8_error *err)
{
    struct srv_engines *all = calloc(1, sizeof(*all));

    if (all == NULL)
        return err_nomem(err);
    all->host = host;
    (void)pthread_mutex_init(&all->mutex, NULL);
    (void)pthread_cond_init(&all->changed, NULL);
    int r = pthread_create(&all->thread, NULL, run_disposer, all);
    all->has_thread = r == 0;
    if (r != 0) {
        srv_engines_free(all);
        return err_sys(err, r, "cannot start a thread");
    }
    *out = all;
    return 0;
}

void srv_engines_free(struct srv_engines *all)
{
    if (all == NULL)
        return;
    (void)pthread_mutex_lock(&all->mutex);
    all->is_over = true;
    (void)pthread_cond_signal(&all->changed);
    (void)pthread_mutex_unlock(&all->mutex);
    if (all->has_thread)
        (void)pthread_join(all->thread, NULL);
    while (all->first != NULL) { /* nobody else looks for idle ones any more */
        struct srv_engine *e = all->first;
        all->first = e->next;
        engine_drop(all, e);
    }
    release_waste(all->waste);
    (void)pthread_cond_destroy(&all->changed);
    (void)pthread_mutex_destroy(&all->mutex);
    free(all);
}
