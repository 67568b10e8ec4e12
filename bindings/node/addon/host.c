/* SPDX-License-Identifier: Apache-2.0 */
/**
 * host.c - the process's one isol8_host
 *
 * The host is opened by whoever needs it first: by configureHost() on a thread, or by the first
 * engine, on the JavaScript thread, since a constructor cannot wait. That is a few directories and
 * locks, unless something that crashed left sandboxes to be removed; configureHost() is for
 * programs that must not stop even then.
 *
 * The end comes in one of two ways, and either does the whole work. When the last environment
 * closes, its clean-up hook calls host_leave(). process.exit() need not close any: then exit(3) or
 * quick_exit(3) calls end_with_process(). Executions are cancelled, the threads get a moment to
 * remove their sandboxes, then engines and host are freed. If a thread does not come back in time
 * (an image is being built), the process ends all the same: what it leaves is removed by the
 * kernel, by the sandboxes themselves and by the next start, as after a crash.
 */
#include "bindings/node/addon/host.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bindings/node/addon/engine.h"
#include "bindings/node/addon/execution.h"
#include "bindings/node/addon/lane.h"
#include "bindings/node/addon/value.h"

enum {
    END_MS = 10000,    /* for the threads to come back */
    ERRORS_MAX = 1000, /* reasons that cleanup() tells */
};

static struct {
    pthread_mutex_t mutex;
    isol8_host *host;
    isol8_host_options options; /* strings live in keep */
    struct keep keep;
    bool is_configured;
    unsigned environments; /* guarded by lane_lock() */
    struct lane *lane;
} the = { .mutex = PTHREAD_MUTEX_INITIALIZER };

/* ---- Opening ----------------------------------------------------------------------------------
 */

/* One write for one line, so that lines of several threads stay whole. */
static void log_line(enum isol8_log_level level, const char *line, void *user)
{
    static const char *const tags[] = { "[ERROR]", "[WARN]", "[INFO]", "[DEBUG]" };
    char text[2048];

    (void)user;
    int n = snprintf(text, sizeof(text), "%s %s\n", tags[(unsigned)level & 3], line);
    if (n >= (int)sizeof(text)) {
        n = (int)sizeof(text);
        text[n - 1] = '\n';
    }
    if (n > 0)
        (void)!write(STDERR_FILENO, text, (size_t)n);
}

isol8_host *host_get(isol8_error *err)
{
    if (lane_is_closing()) {
        *err = (isol8_error){ .status = ISOL8_E_STATE, .msg = "the process is ending" };
        return NULL;
    }
    (void)pthread_mutex_lock(&the.mutex);
    if (the.host == NULL) {
        isol8_host_options options = the.options;
        if (!the.is_configured)
            isol8_host_options_init(&options);
        options.log = log_line;
        options.log_level = ISOL8_LOG_ERROR; /* an engine's option "debug" raises it */
        if (isol8_host_open(&the.host, &options, err) < 0)
            the.host = NULL;
    }
    isol8_host *host = the.host;
    (void)pthread_mutex_unlock(&the.mutex);
    return host;
}

struct lane *host_lane(void)
{
    (void)pthread_mutex_lock(&the.mutex);
    if (the.lane == NULL)
        the.lane = lane_new(1);
    struct lane *lane = the.lane;
    (void)pthread_mutex_unlock(&the.mutex);
    return lane;
}

/* ---- configureHost() --------------------------------------------------------------------------
 */

static void read_fixed_hosts(struct reader *r, isol8_network_settings *out)
{
    napi_value array;
    uint32_t n = read_array(r, "hosts", &array);
    isol8_fixed_host *hosts = n == 0 ? NULL : keep_alloc(r->keep, n * sizeof(*hosts));

    for (uint32_t i = 0; hosts != NULL && i < n && !r->has_failed; i++) {
        struct reader sub = read_element(r, array, i);
        hosts[i].name = read_string(&sub, "name", "");
        hosts[i].addresses = read_strings(&sub, "addresses", &hosts[i].n_addresses);
        r->has_failed = sub.has_failed;
    }
    out->hosts = hosts;
    out->n_hosts = hosts == NULL ? 0 : n;
}

static void read_network(struct reader *r, isol8_network_settings *out)
{
    read_fixed_hosts(r, out);
    out->allow_addresses = read_strings(r, "allowAddresses", &out->n_allow_addresses);
    out->ports = read_ports(r, "ports", &out->n_ports);
    out->upstream_proxy = read_string(r, "upstreamProxy", NULL);
    out->ca_file = read_string(r, "caFile", NULL);
    out->connections = (unsigned)read_int(r, "connections", 0);
    out->bytes_per_second = (uint64_t)read_int(r, "bytesPerSecond", 0);
    out->bytes = (uint64_t)read_int(r, "bytes", 0);
}

static bool read_host_options(napi_env env, napi_value value, isol8_host_options *out,
                              struct keep *keep)
{
    struct reader r = { .env = env, .object = value, .keep = keep };
    struct reader net;

    isol8_host_options_init(out);
    out->state_root = read_string(&r, "stateRoot", NULL);
    out->data_root = read_string(&r, "dataRoot", NULL);
    out->runtime = read_string(&r, "runtime", NULL);
    out->cgroup_parent = read_string(&r, "cgroupParent", NULL);
    out->user_namespace = read_bool(&r, "userNamespace", true);
    out->pool_linger_ms = read_int(&r, "poolLingerMs", 0);
    if (read_object(&r, "network", &net)) {
        read_network(&net, &out->network);
        r.has_failed |= net.has_failed;
    }
    return !r.has_failed;
}

static void open_work(struct job *job)
{
    job->status = host_get(&job->err) == NULL ? job->err.status : 0;
}

static void settle_nothing(napi_env env, struct job *job)
{
    if (job->status < 0)
        (void)napi_reject_deferred(env, job->deferred, value_error(env, &job->err));
    else
        (void)napi_resolve_deferred(env, job->deferred, value_undefined(env));
}

static void release_job(struct job *job)
{
    free(job);
}

/* Take the options over, unless the host stands already. */
static bool take_options(napi_env env, const isol8_host_options *options, struct keep *keep)
{
    (void)pthread_mutex_lock(&the.mutex);
    bool is_late = the.host != NULL;
    if (!is_late) {
        keep_done(&the.keep);
        the.options = *options;
        the.keep = *keep;
        the.is_configured = true;
    }
    (void)pthread_mutex_unlock(&the.mutex);
    if (is_late)
        (void)napi_throw_error(env, "ISOL8_E_STATE",
                               "The host is in use already: call configureHost() once, before the "
                               "first engine is made.");
    return !is_late;
}

napi_value host_configure(napi_env env, napi_callback_info info)
{
    size_t argc = 1;
    napi_value argv[1];
    isol8_host_options options;
    struct keep keep = { 0 };

    if (napi_get_cb_info(env, info, &argc, argv, NULL, NULL) != napi_ok)
        return NULL;
    if (!read_host_options(env, argv[0], &options, &keep) || !take_options(env, &options, &keep)) {
        keep_done(&keep);
        return NULL;
    }
    struct lane *lane = host_lane();
    struct job *job = calloc(1, sizeof(*job));
    if (lane == NULL || job == NULL) {
        free(job);
        (void)napi_throw_error(env, "ISOL8_E_NOMEM", "out of memory");
        return NULL;
    }
    *job = (struct job){ .work = open_work, .settle = settle_nothing, .release = release_job };
    napi_value promise = job_promise(env, job);
    if (promise == NULL)
        free(job);
    else
        lane_submit(lane, job);
    return promise;
}

/* ---- Clean-up ---------------------------------------------------------------------------------
 */

struct cleaning {
    struct job job; /* first: a job is the object */
    bool images;
    isol8_cleanup_report report;
    char *errors[ERRORS_MAX];
    size_t n_errors;
};

static void on_failed(const isol8_owned *item, const char *why, void *user)
{
    struct cleaning *c = user;
    char *text = NULL;

    if (item->is_image != c->images || c->n_errors == ERRORS_MAX)
        return;
    if (item->is_image && item->image[0] != '\0') {
        if (asprintf(&text, "%s: %s", item->image, why) < 0)
            return;
    } else if (asprintf(&text, "%.12s: %s", item->id, why) < 0) {
        return;
    }
    c->errors[c->n_errors++] = text;
}

static void clean_work(struct job *job)
{
    struct cleaning *c = (struct cleaning *)job;
    isol8_cleanup_options options;
    isol8_host *host = host_get(&job->err);

    if (host == NULL) {
        job->status = job->err.status;
        return;
    }
    isol8_cleanup_options_init(&options);
    options.images = c->images;
    options.failed = on_failed;
    options.user = c;
    job->status = isol8_cleanup(host, &options, &c->report, &job->err);
}

static void set_number(napi_env env, napi_value object, const char *name, size_t number)
{
    napi_value value = NULL;

    (void)napi_create_double(env, (double)number, &value);
    (void)napi_set_named_property(env, object, name, value);
}

static void clean_settle(napi_env env, struct job *job)
{
    struct cleaning *c = (struct cleaning *)job;
    const isol8_cleanup_report *r = &c->report;
    napi_value object = NULL, errors = NULL;

    if (job->status < 0) {
        settle_nothing(env, job);
        return;
    }
    (void)napi_create_object(env, &object);
    (void)napi_create_array(env, &errors);
    for (size_t i = 0; i < c->n_errors; i++)
        (void)napi_set_element(env, errors, (uint32_t)i, value_text(env, c->errors[i]));
    set_number(env, object, "removed", c->images ? r->images : r->sandboxes);
    set_number(env, object, "failed", c->images ? r->images_failed : r->sandboxes_failed);
    (void)napi_set_named_property(env, object, "errors", errors);
    (void)napi_resolve_deferred(env, job->deferred, object);
}

static void clean_release(struct job *job)
{
    struct cleaning *c = (struct cleaning *)job;

    for (size_t i = 0; i < c->n_errors; i++)
        free(c->errors[i]);
    free(c);
}

napi_value host_cleanup(napi_env env, napi_callback_info info)
{
    size_t argc = 1;
    napi_value argv[1], promise = NULL;
    struct lane *lane = host_lane();
    struct cleaning *c = calloc(1, sizeof(*c));

    if (lane == NULL || c == NULL) {
        free(c);
        (void)napi_throw_error(env, "ISOL8_E_NOMEM", "out of memory");
        return NULL;
    }
    c->job = (struct job){ .work = clean_work, .settle = clean_settle, .release = clean_release };
    if (napi_get_cb_info(env, info, &argc, argv, NULL, NULL) == napi_ok)
        (void)napi_get_value_bool(env, argv[0], &c->images);
    promise = job_promise(env, &c->job);
    if (promise == NULL)
        free(c);
    else
        lane_submit(lane, &c->job);
    return promise;
}

/* ---- The end ----------------------------------------------------------------------------------
 */

static bool end_everything(void)
{
    execution_cancel(NULL);
    if (!lane_close(END_MS))
        return false;
    engine_close_all();
    (void)pthread_mutex_lock(&the.mutex);
    isol8_host_free(the.host);
    the.host = NULL;
    (void)pthread_mutex_unlock(&the.mutex);
    return true;
}

static void end_with_process(void)
{
    (void)end_everything();
}

static void register_end(void)
{
    (void)atexit(end_with_process);
    (void)at_quick_exit(end_with_process); /* how Bun ends */
}

void host_join(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    (void)pthread_once(&once, register_end);
    lane_lock();
    the.environments++;
    lane_unlock();
}

void host_abandon(struct js *js)
{
    execution_cancel(js);
}

void host_leave(void)
{
    lane_lock();
    bool is_last = --the.environments == 0;
    lane_unlock();
    /* Another worker may come later, and begins anew. */
    if (is_last && end_everything())
        lane_reopen();
}
