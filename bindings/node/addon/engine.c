/* SPDX-License-Identifier: Apache-2.0 */
/**
 * engine.c - one DockerIsol8 object's engine
 *
 * The engine lives as long as the JavaScript object or any of its jobs. The last reference may be
 * dropped by the garbage collector, on the JavaScript thread, but ending an engine may have to
 * remove sandboxes: that is a job as well. All engines are in one list, for the process's end.
 */
#include "bindings/node/addon/engine.h"

#include <stdlib.h>
#include <string.h>

#include "bindings/node/addon/host.h"
#include "bindings/node/addon/lane.h"
#include "bindings/node/addon/value.h"

enum { CONTROLS_MAX = 4 };
static const uint64_t engine_kind = UINT64_C(0x69736f6c38656e67);

static struct engine *engines; /* guarded by lane_lock() */

/* ---- Options ----------------------------------------------------------------------------------
 */

static void read_audit(struct reader *r, isol8_audit_options *out)
{
    isol8_audit_options_init(out);
    out->enabled = read_bool(r, "enabled", out->enabled);
    out->destination = read_string(r, "destination", out->destination);
    out->log_dir = read_string(r, "logDir", out->log_dir);
    out->post_log_script = read_string(r, "postLogScript", out->post_log_script);
    out->track_resources = read_bool(r, "trackResources", out->track_resources);
    out->retention_days = read_number(r, "retentionDays", out->retention_days);
    out->include_code = read_bool(r, "includeCode", out->include_code);
    out->include_output = read_bool(r, "includeOutput", out->include_output);
}

static void read_limits(struct reader *r, isol8_options *o)
{
    o->cpu_limit = read_number(r, "cpuLimit", o->cpu_limit);
    o->memory_limit = read_string(r, "memoryLimit", o->memory_limit);
    o->pids_limit = read_int(r, "pidsLimit", o->pids_limit);
    o->readonly_rootfs = read_bool(r, "readonlyRootFs", o->readonly_rootfs);
    o->max_output_size = (uint64_t)read_int(r, "maxOutputSize", (int64_t)o->max_output_size);
    o->timeout_ms = read_int(r, "timeoutMs", o->timeout_ms);
    o->sandbox_size = read_string(r, "sandboxSize", o->sandbox_size);
    o->tmp_size = read_string(r, "tmpSize", o->tmp_size);
    o->max_concurrent = (unsigned)read_int(r, "maxConcurrent", o->max_concurrent);
}

static void read_remote(struct reader *r, isol8_remote_options *out)
{
    isol8_remote_options_init(out);
    out->enabled = read_bool(r, "enabled", out->enabled);
    out->allowed_schemes = read_strings(r, "allowedSchemes", &out->n_allowed_schemes);
    out->allowed_hosts = read_strings(r, "allowedHosts", &out->n_allowed_hosts);
    out->blocked_hosts = read_strings(r, "blockedHosts", &out->n_blocked_hosts);
    out->max_code_size = (uint64_t)read_int(r, "maxCodeSize", (int64_t)out->max_code_size);
    out->fetch_timeout_ms = read_int(r, "fetchTimeoutMs", out->fetch_timeout_ms);
    out->require_hash = read_bool(r, "requireHash", out->require_hash);
    out->enable_cache = read_bool(r, "enableCache", out->enable_cache);
    out->cache_ttl = read_int(r, "cacheTtl", out->cache_ttl);
}

/* What the options point to besides strings. */
struct option_parts {
    isol8_audit_options audit;
    isol8_remote_options remote;
};

/* Read everything that the package passes on; @parts are filled in when they are there. */
static bool read_options(napi_env env, napi_value value, isol8_options *o,
                         struct option_parts *parts, struct keep *keep)
{
    struct reader r = { .env = env, .object = value, .keep = keep };
    struct reader sub;

    isol8_options_init(o);
    read_limits(&r, o);
    o->mode = read_string(&r, "mode", o->mode);
    o->network = read_string(&r, "network", o->network);
    o->allow = read_strings(&r, "allow", &o->n_allow);
    o->deny = read_strings(&r, "deny", &o->n_deny);
    o->log_network = read_bool(&r, "logNetwork", o->log_network);
    o->secrets = read_pairs(&r, "secrets", &o->n_secrets);
    o->image = read_string(&r, "image", o->image);
    o->seccomp = read_string(&r, "seccomp", o->seccomp);
    o->seccomp_profile_path = read_string(&r, "customProfilePath", o->seccomp_profile_path);
    o->persist = read_bool(&r, "persist", o->persist);
    o->pool_strategy = read_string(&r, "poolStrategy", o->pool_strategy);
    o->pool_clean = (unsigned)read_int(&r, "poolClean", o->pool_clean);
    o->pool_dirty = (unsigned)read_int(&r, "poolDirty", o->pool_dirty);
    o->debug = read_bool(&r, "debug", o->debug);
    if (read_object(&r, "audit", &sub)) {
        read_audit(&sub, &parts->audit);
        o->audit = &parts->audit;
        r.has_failed |= sub.has_failed;
    }
    if (read_object(&r, "remoteCode", &sub)) {
        read_remote(&sub, &parts->remote);
        o->remote_code = &parts->remote;
        r.has_failed |= sub.has_failed;
    }
    return !r.has_failed;
}

/* ---- Life -------------------------------------------------------------------------------------
 */

static void engine_destroy(struct engine *e)
{
    (void)pthread_mutex_destroy(&e->id_mutex);
    lane_free(e->runs);
    lane_free(e->files);
    lane_free(e->controls);
    free(e);
}

static struct engine *engine_new(unsigned max_concurrent)
{
    struct engine *e = calloc(1, sizeof(*e));

    if (e == NULL)
        return NULL;
    e->kind = engine_kind;
    e->refs = 1;
    (void)pthread_mutex_init(&e->id_mutex, NULL);
    e->runs = lane_new(max_concurrent);
    e->files = lane_new(1);
    e->controls = lane_new(CONTROLS_MAX);
    if (e->runs == NULL || e->files == NULL || e->controls == NULL) {
        engine_destroy(e);
        return NULL;
    }
    return e;
}

static void unlist(struct engine *e)
{
    struct engine **at = &engines;

    while (*at != NULL && *at != e)
        at = &(*at)->next;
    if (*at != NULL)
        *at = e->next;
}

struct ending {
    struct job job;
    struct engine *engine;
};

static void end_work(struct job *job)
{
    struct engine *e = ((struct ending *)job)->engine;

    isol8_free(e->handle);
    lane_lock();
    e->handle = NULL;
    unlist(e);
    lane_unlock();
    engine_destroy(e);
}

/* If the work was not done, the engine stays listed for engine_close_all(). */
static void end_release(struct job *job)
{
    free(job);
}

void engine_unref(struct engine *e)
{
    lane_lock();
    bool is_last = --e->refs == 0;
    bool has_ended = e->handle == NULL;
    lane_unlock();
    if (!is_last)
        return;
    if (has_ended) {
        engine_destroy(e);
        return;
    }
    struct ending *end = calloc(1, sizeof(*end));
    struct lane *lane = host_lane();
    if (end == NULL || lane == NULL) { /* it waits for the process's end */
        free(end);
        return;
    }
    end->job = (struct job){ .work = end_work, .release = end_release };
    end->engine = e;
    lane_submit(lane, &end->job);
}

void engine_close_all(void)
{
    lane_lock();
    struct engine *list = engines;
    engines = NULL;
    lane_unlock();
    for (struct engine *e = list, *next; e != NULL; e = next) {
        next = e->next;
        isol8_free(e->handle);
        lane_lock();
        e->handle = NULL;
        bool is_orphan = e->refs == 0;
        lane_unlock();
        if (is_orphan)
            engine_destroy(e);
    }
}

struct engine *engine_of(napi_env env, napi_value value)
{
    void *data = NULL;

    if (napi_get_value_external(env, value, &data) != napi_ok || data == NULL ||
        ((struct engine *)data)->kind != engine_kind) {
        (void)napi_throw_type_error(env, NULL, "not an engine");
        return NULL;
    }
    struct engine *e = data;
    lane_lock();
    bool has_ended = e->handle == NULL;
    if (!has_ended)
        e->refs++;
    lane_unlock();
    if (has_ended) {
        (void)napi_throw_error(env, "ISOL8_E_STATE", "the process is ending");
        return NULL;
    }
    return e;
}

void engine_note_id(struct engine *e)
{
    char id[65];

    if (!e->is_persistent)
        return;
    (void)pthread_mutex_lock(&e->id_mutex);
    (void)isol8_container_id(e->handle, id);
    lane_lock();
    memcpy(e->container_id, id, sizeof(id));
    lane_unlock();
    (void)pthread_mutex_unlock(&e->id_mutex);
}

bool engine_wants_id(const struct engine *e)
{
    lane_lock();
    bool is_unknown = e->is_persistent && e->container_id[0] == '\0';
    lane_unlock();
    return is_unknown;
}

static void on_collected(napi_env env, void *data, void *hint)
{
    (void)env;
    (void)hint;
    engine_unref(data);
}

napi_value engine_create(napi_env env, napi_callback_info info)
{
    size_t argc = 1;
    napi_value argv[1], external = NULL;
    struct option_parts parts;
    isol8_options options;
    isol8_error err = { .status = ISOL8_E_NOMEM, .msg = "out of memory" };
    struct keep keep = { 0 };
    struct engine *e = NULL;
    isol8_host *host = NULL;

    if (napi_get_cb_info(env, info, &argc, argv, NULL, NULL) != napi_ok ||
        !read_options(env, argv[0], &options, &parts, &keep)) {
        keep_done(&keep);
        return NULL;
    }
    bool is_persistent = options.mode != NULL && strcmp(options.mode, "persistent") == 0;
    host = host_get(&err);
    if (host != NULL)
        e = engine_new(options.max_concurrent);
    int r = e == NULL ? err.status : isol8_create(&e->handle, host, &options, &err);
    keep_done(&keep);
    if (r < 0 || e == NULL) {
        if (e != NULL)
            engine_destroy(e);
        (void)napi_throw(env, value_error(env, &err));
        return NULL;
    }
    e->timeout_ms = options.timeout_ms;
    e->is_persistent = is_persistent;
    lane_lock();
    e->next = engines;
    engines = e;
    lane_unlock();
    if (napi_create_external(env, e, on_collected, NULL, &external) != napi_ok)
        engine_unref(e);
    return external;
}

/* ---- Jobs of an engine ------------------------------------------------------------------------
 */

struct task {
    struct job job; /* first: a job is the object */
    struct engine *engine;
    struct keep keep;
    isol8_start_options start;
    const char *path;
    const void *content;
    size_t content_size;
    void *data; /* what getFile() read */
    size_t data_size;
};

static void task_settle(napi_env env, struct job *job)
{
    if (job->status < 0)
        (void)napi_reject_deferred(env, job->deferred, value_error(env, &job->err));
    else
        (void)napi_resolve_deferred(env, job->deferred, value_undefined(env));
}

static void task_release(struct job *job)
{
    struct task *t = (struct task *)job;

    keep_done(&t->keep);
    free(t->data);
    engine_unref(t->engine);
    free(t);
}

/* A task for the engine in argv[0]. Return: NULL with an exception pending */
static struct task *task_new(napi_env env, napi_callback_info info, size_t n, napi_value *argv)
{
    size_t argc = n;

    if (napi_get_cb_info(env, info, &argc, argv, NULL, NULL) != napi_ok)
        return NULL;
    struct engine *e = engine_of(env, argv[0]);
    if (e == NULL)
        return NULL;
    struct task *t = calloc(1, sizeof(*t));
    if (t == NULL) {
        engine_unref(e);
        (void)napi_throw_error(env, "ISOL8_E_NOMEM", "out of memory");
        return NULL;
    }
    t->engine = e;
    t->job = (struct job){ .settle = task_settle, .release = task_release };
    return t;
}

/* Return: the promise. @has_failed: an exception is pending */
static napi_value task_go(napi_env env, struct task *t, struct lane *lane, bool has_failed)
{
    napi_value promise = has_failed ? NULL : job_promise(env, &t->job);

    if (promise == NULL)
        task_release(&t->job);
    else
        lane_submit(lane, &t->job);
    return promise;
}

static void start_work(struct job *job)
{
    struct task *t = (struct task *)job;

    job->status = isol8_start(t->engine->handle, &t->start, &job->err);
}

napi_value engine_start(napi_env env, napi_callback_info info)
{
    napi_value argv[2];
    struct task *t = task_new(env, info, 2, argv);

    if (t == NULL)
        return NULL;
    struct reader r = { .env = env, .object = argv[1], .keep = &t->keep };
    t->job.work = start_work;
    isol8_start_options_init(&t->start);
    t->start.prewarm = read_bool(&r, "prewarm", false);
    t->start.runtimes = read_strings(&r, "runtimes", &t->start.n_runtimes);
    return task_go(env, t, t->engine->controls, r.has_failed);
}

static void stop_work(struct job *job)
{
    struct engine *e = ((struct task *)job)->engine;

    job->status = isol8_stop(e->handle, &job->err);
    engine_note_id(e);
}

napi_value engine_stop(napi_env env, napi_callback_info info)
{
    napi_value argv[1];
    struct task *t = task_new(env, info, 1, argv);

    if (t == NULL)
        return NULL;
    t->job.work = stop_work;
    return task_go(env, t, t->engine->controls, false);
}

static void put_work(struct job *job)
{
    struct task *t = (struct task *)job;

    job->status = isol8_put_file(t->engine->handle, t->path, t->content, t->content_size,
                                 &job->err);
}

napi_value engine_put_file(napi_env env, napi_callback_info info)
{
    napi_value argv[2];
    struct task *t = task_new(env, info, 2, argv);

    if (t == NULL)
        return NULL;
    struct reader r = { .env = env, .object = argv[1], .keep = &t->keep };
    t->job.work = put_work;
    t->path = read_string(&r, "path", "");
    t->content = read_bytes(&r, "content", &t->content_size);
    return task_go(env, t, t->engine->files, r.has_failed);
}

static void get_work(struct job *job)
{
    struct task *t = (struct task *)job;

    job->status = isol8_get_file(t->engine->handle, t->path, &t->data, &t->data_size, &job->err);
}

static void get_settle(napi_env env, struct job *job)
{
    struct task *t = (struct task *)job;
    napi_value buffer = NULL;

    if (job->status == 0 &&
        napi_create_buffer_copy(env, t->data_size, t->data, NULL, &buffer) != napi_ok) {
        job->status = ISOL8_E_NOMEM;
        job->err = (isol8_error){ .status = ISOL8_E_NOMEM, .msg = "out of memory" };
    }
    if (job->status < 0)
        (void)napi_reject_deferred(env, job->deferred, value_error(env, &job->err));
    else
        (void)napi_resolve_deferred(env, job->deferred, buffer);
}

napi_value engine_get_file(napi_env env, napi_callback_info info)
{
    napi_value argv[2];
    struct task *t = task_new(env, info, 2, argv);

    if (t == NULL)
        return NULL;
    struct reader r = { .env = env, .object = argv[1], .keep = &t->keep };
    t->job.work = get_work;
    t->job.settle = get_settle;
    t->path = read_string(&r, "path", "");
    return task_go(env, t, t->engine->files, r.has_failed);
}

napi_value engine_container_id(napi_env env, napi_callback_info info)
{
    size_t argc = 1;
    napi_value argv[1], id = NULL;
    char text[sizeof(((struct engine *)NULL)->container_id)];

    if (napi_get_cb_info(env, info, &argc, argv, NULL, NULL) != napi_ok)
        return NULL;
    struct engine *e = engine_of(env, argv[0]);
    if (e == NULL)
        return NULL;
    lane_lock();
    memcpy(text, e->container_id, sizeof(text));
    lane_unlock();
    if (text[0] != '\0')
        id = value_text(env, text);
    else
        (void)napi_get_null(env, &id);
    engine_unref(e);
    return id;
}
