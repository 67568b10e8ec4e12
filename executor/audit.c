/* SPDX-License-Identifier: Apache-2.0 */
/**
 * audit.c - one JSON line about every execution
 *
 * The record is built with every text masked before it becomes JSON, since a secret with a quote or
 * a newline in it looks different afterwards. Ids, hashes, times, numbers and isol8's own words
 * stay as they are. How lines get into files is in audit_file.c.
 */
#include "executor/audit.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <math.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/hash.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/path.h"
#include "base/proc.h"
#include "base/text.h"
#include "executor/audit_file.h"
#include "executor/result.h"

#define AUDIT_DIR_DEFAULT ".isol8_audit"
#define STDOUT_WAIT_MS 10000 /* for a reader of stdout that does not block its writers */

struct exec_audit {
    const struct log *log;
    bool to_stdout;
    char *dir;    /* as it is opened */
    int base;     /* where a relative one starts: this process may change its directory; or -1 */
    char *path;   /* absolute name of the log, for the script */
    char *script; /* or NULL */
    bool tracks_resources, has_code, has_output;
    double retention_days;
};

/* This process has one standard output, whatever the number of engines. */
static pthread_mutex_t stdout_mutex = PTHREAD_MUTEX_INITIALIZER;

void isol8_audit_options_init(isol8_audit_options *o)
{
    *o = (isol8_audit_options){ .size = sizeof(*o),
                                .destination = "filesystem",
                                .track_resources = true,
                                .retention_days = 90 };
}

/* ---- Options --------------------------------------------------------------------------------- */

/* A path as it will be valid wherever this process goes. */
static int make_absolute(char **out, const char *path, isol8_error *err)
{
    char cwd[PATH_MAX];

    if (path[0] == '/') {
        *out = strdup(path);
        return *out == NULL ? err_nomem(err) : 0;
    }
    if (getcwd(cwd, sizeof(cwd)) == NULL)
        return err_sys(err, errno, "audit: cannot find the working directory");
    if (asprintf(out, "%s/%s", strcmp(cwd, "/") == 0 ? "" : cwd, path) < 0) {
        *out = NULL;
        return err_nomem(err);
    }
    return 0;
}

static int choose_dir(struct exec_audit *a, const char *option, isol8_error *err)
{
    const char *dir = option;

    if (dir == NULL || *dir == '\0')
        dir = getenv("ISOL8_AUDIT_DIR");
    if (dir == NULL || *dir == '\0')
        dir = AUDIT_DIR_DEFAULT;
    if (strlen(dir) >= PATH_MAX)
        return err_set(err, ISOL8_E_INVAL, "audit.logDir: longer than %d bytes", PATH_MAX - 1);
    a->dir = strdup(dir);
    if (a->dir == NULL)
        return err_nomem(err);
    if (dir[0] != '/') {
        a->base = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (a->base < 0)
            return err_sys(err, errno, "audit: cannot open the working directory");
    }
    auto_free char *at = NULL;
    int r = make_absolute(&at, dir, err);
    if (r == 0 && asprintf(&a->path, "%s/" AUDIT_FILE_NAME, at) < 0) {
        a->path = NULL;
        r = err_nomem(err);
    }
    return r;
}

static int choose_destination(struct exec_audit *a, const char *name, isol8_error *err)
{
    if (name == NULL || strcmp(name, "filesystem") == 0 || strcmp(name, "file") == 0)
        return 0;
    if (strcmp(name, "stdout") != 0)
        return err_set(err, ISOL8_E_INVAL,
                       "Unsupported audit destination: \"%s\". Expected one of: filesystem, file, "
                       "stdout",
                       name);
    a->to_stdout = true;
    return 0;
}

static int take_options(struct exec_audit *a, const isol8_audit_options *o, isol8_error *err)
{
    const char *script = o->post_log_script;

    if (isnan(o->retention_days))
        return err_set(err, ISOL8_E_INVAL, "audit.retentionDays: must be a number");
    a->retention_days = o->retention_days;
    a->tracks_resources = o->track_resources;
    a->has_code = o->include_code;
    a->has_output = o->include_output;
    int r = choose_destination(a, o->destination, err);
    if (r == 0)
        r = choose_dir(a, o->log_dir, err);
    if (r < 0 || script == NULL || *script == '\0')
        return r;
    /* A name without a slash is looked for in PATH. */
    if (strchr(script, '/') != NULL)
        return make_absolute(&a->script, script, err);
    a->script = strdup(script);
    return a->script == NULL ? err_nomem(err) : 0;
}

static void clean_up(const struct exec_audit *a, int dir)
{
    isol8_error err;
    size_t removed = 0;

    if (a->retention_days <= 0)
        return;
    if (audit_file_clean(dir, a->retention_days, &removed, &err) < 0)
        log_line(a->log, ISOL8_LOG_ERROR, "Failed to cleanup old audit logs: %s", err.msg);
    if (removed > 0)
        log_line(a->log, ISOL8_LOG_INFO, "Audit log cleanup: removed %zu old log files", removed);
}

/* What earlier days left, if there is anything. */
static void put_in_order(const struct exec_audit *a)
{
    auto_close int dir = audit_dir_open(a->base, a->dir, false);
    isol8_error err;

    if (dir < 0)
        return; /* absent; or the first record will say what is wrong with it */
    if (audit_file_rotate(dir, &err) < 0)
        log_line(a->log, ISOL8_LOG_ERROR, "Failed to cleanup old audit logs: %s", err.msg);
    clean_up(a, dir);
}

int audit_open(struct exec_audit **out, const isol8_audit_options *o, const struct log *log,
               isol8_error *err)
{
    *out = NULL;
    if (o == NULL)
        return 0;
    if (o->size != sizeof(*o))
        return err_set(err, ISOL8_E_INVAL, "audit options were not initialised");
    if (!o->enabled)
        return 0;
    struct exec_audit *a = calloc(1, sizeof(*a));
    if (a == NULL)
        return err_nomem(err);
    a->log = log;
    a->base = -1;
    int r = take_options(a, o, err);
    if (r < 0) {
        audit_close(a);
        return r;
    }
    if (!a->to_stdout)
        put_in_order(a);
    *out = a;
    return 0;
}

void audit_close(struct exec_audit *a)
{
    if (a == NULL)
        return;
    (void)fd_close(a->base);
    free(a->dir);
    free(a->path);
    free(a->script);
    free(a);
}

bool audit_wants_output(const struct exec_audit *a)
{
    return a != NULL && a->has_output;
}

bool audit_tracks_resources(const struct exec_audit *a)
{
    return a != NULL && a->tracks_resources;
}

/* ---- The record ------------------------------------------------------------------------------ */

static bool add_masked(cJSON *j, const char *key, const char *text, size_t n,
                       const struct mask_set *secrets)
{
    auto_buf struct buf masked = BUF_INIT(SIZE_MAX / 2);

    return mask_text(secrets, text, n, &masked) &&
           json_add_text(j, key, buf_text(&masked), masked.len);
}

/* NULL: it was to be fetched, and was not. */
static const char *source_of(const struct audit_entry *e, size_t *n)
{
    const isol8_request *rq = e->request;

    *n = e->code != NULL ? e->code_size : 0;
    if (e->code != NULL || rq->code_url != NULL)
        return e->code;
    if (rq->cmd == NULL && rq->code == NULL)
        return "";
    *n = rq->cmd != NULL ? strlen(rq->cmd) : rq->code_size;
    return rq->cmd != NULL ? rq->cmd : rq->code;
}

/* The result has it when the program was reached. */
static bool add_code_hash(cJSON *j, const struct audit_entry *e)
{
    char digest[HASH_SHA256_HEX_SIZE] = "";
    const char *known = e->result->code_hash;
    size_t n;
    const char *source = source_of(e, &n);

    if (known[0] == '\0' && source != NULL && hash_sha256(source, n, digest, NULL) < 0)
        return false;
    return cJSON_AddStringToObject(j, "codeHash", known[0] != '\0' ? known : digest) != NULL;
}

static bool add_ids(cJSON *j, const struct audit_entry *e)
{
    char started[CLOCK_ISO_SIZE];
    const isol8_request *rq = e->request;
    const struct isol8_result *res = e->result;
    const char *user = "", *runtime = res->runtime != NULL ? res->runtime : rq->runtime;

    for (size_t i = 0; i < rq->n_metadata; i++) {
        if (strcmp(rq->metadata[i].key, "userId") == 0)
            user = rq->metadata[i].value;
    }
    clock_iso(e->started_wall_ms, started);
    return cJSON_AddStringToObject(j, "executionId", res->execution_id) != NULL &&
           add_masked(j, "userId", user, strlen(user), e->secrets) &&
           cJSON_AddStringToObject(j, "timestamp", started) != NULL &&
           cJSON_AddStringToObject(j, "runtime", runtime != NULL ? runtime : "") != NULL &&
           add_code_hash(j, e) &&
           cJSON_AddStringToObject(j, "containerId", res->container_id) != NULL;
}

static bool has_failed(const struct audit_entry *e)
{
    return e->error != NULL && e->error->status != 0;
}

static bool add_numbers(cJSON *j, const struct audit_entry *e, bool with_usage)
{
    const struct isol8_result *res = e->result;
    int code = res->exit_code;

    /* No program ended: 1, as the command's own exit code then, and never a 0 that means success.
     */
    if (has_failed(e) && code == 0)
        code = 1;
    bool ok = cJSON_AddNumberToObject(j, "exitCode", code) != NULL &&
              cJSON_AddNumberToObject(j, "durationMs", (double)res->duration_ms) != NULL;
    if (ok && with_usage && (res->usage.wall_us > 0 || res->usage.cpu_us > 0))
        ok = exec_result_add_usage(j, res);
    return ok;
}

/* Replace the secrets in every text of @item and of what it holds. */
static bool mask_tree(cJSON *item, const struct mask_set *secrets)
{
    for (; item != NULL; item = item->next) {
        if (cJSON_IsString(item)) {
            auto_buf struct buf masked = BUF_INIT(SIZE_MAX / 2);
            if (!mask_text(secrets, item->valuestring, strlen(item->valuestring), &masked) ||
                cJSON_SetValuestring(item, buf_text(&masked)) == NULL)
                return false;
        }
        if (!mask_tree(item->child, secrets))
            return false;
    }
    return true;
}

static bool add_entries(cJSON *j, const char *key, char *const *texts, size_t n,
                        const struct mask_set *secrets)
{
    cJSON *list = cJSON_AddArrayToObject(j, key);
    bool ok = list != NULL;

    for (size_t i = 0; ok && i < n; i++) {
        cJSON *entry = cJSON_Parse(texts[i]);
        ok = entry != NULL && mask_tree(entry, secrets) && cJSON_AddItemToArray(list, entry);
        if (!ok)
            cJSON_Delete(entry);
    }
    return ok;
}

/* The keys are the user's text as well. */
static bool add_metadata(cJSON *j, const isol8_request *rq, const struct mask_set *secrets)
{
    if (rq->n_metadata == 0)
        return true;
    cJSON *all = cJSON_AddObjectToObject(j, "metadata");
    bool ok = all != NULL;
    for (size_t i = 0; ok && i < rq->n_metadata; i++) {
        const isol8_pair *p = &rq->metadata[i];
        auto_buf struct buf masked = BUF_INIT(SIZE_MAX / 2);
        auto_buf struct buf key = BUF_INIT(SIZE_MAX / 2);
        ok = mask_text(secrets, p->key, strlen(p->key), &masked) &&
             text_utf8_clean(buf_text(&masked), masked.len, &key) &&
             add_masked(all, buf_text(&key), p->value, strlen(p->value), secrets);
    }
    return ok;
}

static bool add_texts(cJSON *j, const struct exec_audit *a, const struct audit_entry *e)
{
    const struct isol8_result *res = e->result;
    size_t n;
    const char *source = source_of(e, &n);
    bool ok = !a->has_code || add_masked(j, "code", source == NULL ? "" : source, n, e->secrets);

    if (ok && a->has_output)
        ok = add_masked(j, "stdout", res->out == NULL ? "" : res->out, res->out_size, e->secrets) &&
             add_masked(j, "stderr", res->err == NULL ? "" : res->err, res->err_size, e->secrets);
    if (ok && e->has_network_logs)
        ok = add_entries(j, "networkLogs", res->network_logs, res->n_network_logs, e->secrets);
    return ok;
}

static bool add_outcome(cJSON *j, const struct audit_entry *e)
{
    if (!has_failed(e))
        return cJSON_AddStringToObject(j, "outcome", isol8_verdict_name(e->result->verdict)) !=
               NULL;
    return cJSON_AddStringToObject(j, "outcome", "error") != NULL &&
           add_masked(j, "error", e->error->msg, strlen(e->error->msg), e->secrets);
}

/* The record as one line of JSON with its newline. */
static bool make_line(const struct exec_audit *a, const struct audit_entry *e, struct buf *line)
{
    auto_json cJSON *j = cJSON_CreateObject();
    const struct isol8_result *res = e->result;

    bool ok = j != NULL && add_ids(j, e) && add_numbers(j, e, a->tracks_resources) &&
              (res->n_security_events == 0 || add_entries(j, "securityEvents", res->security_events,
                                                          res->n_security_events, e->secrets)) &&
              add_metadata(j, e->request, e->secrets) && add_texts(j, a, e) && add_outcome(j, e);
    auto_free char *text = ok ? cJSON_PrintUnformatted(j) : NULL;
    return text != NULL && buf_adds(line, text) && buf_adds(line, "\n");
}

/* ---- Where it goes --------------------------------------------------------------------------- */

static int write_stdout(const char *line, size_t n)
{
    struct pollfd p = { .fd = STDOUT_FILENO, .events = POLLOUT };
    int r = 0;

    (void)pthread_mutex_lock(&stdout_mutex);
    while (n > 0 && r == 0) {
        ssize_t w = fd_write_nosigpipe(STDOUT_FILENO, line, n);
        if (w >= 0) {
            line += w;
            n -= (size_t)w;
        } else if (w != -EINTR && (w != -EAGAIN || poll(&p, 1, STDOUT_WAIT_MS) == 0)) {
            r = (int)w;
        }
    }
    (void)pthread_mutex_unlock(&stdout_mutex);
    return r;
}

static bool write_file(const struct exec_audit *a, const struct buf *line)
{
    auto_close int dir = audit_dir_open(a->base, a->dir, true);
    bool rotated = false;
    isol8_error err;

    if (dir < 0) {
        (void)err_sys(&err, -dir, "'%s'", a->dir);
        log_line(a->log, ISOL8_LOG_ERROR, "Failed to create audit dir: %s", err.msg);
        return false;
    }
    int r = audit_file_append(dir, line->data, line->len, &rotated, &err);
    if (r < 0)
        log_line(a->log, ISOL8_LOG_ERROR, "Failed to write audit record: %s", err.msg);
    if (rotated) /* a day has passed in this process: nobody else may ever look */
        clean_up(a, dir);
    return r == 0;
}

static bool write_line(const struct exec_audit *a, const struct buf *line)
{
    auto_buf struct buf text = BUF_INIT(SIZE_MAX / 2);
    isol8_error err;

    if (!a->to_stdout)
        return write_file(a, line);
    (void)buf_adds(&text, "AUDIT_LOG: ");
    (void)buf_add(&text, line->data, line->len);
    int r = text.failed ? -ENOMEM : write_stdout(text.data, text.len);
    if (r < 0) {
        (void)err_sys(&err, -r, "stdout");
        log_line(a->log, ISOL8_LOG_ERROR, "Failed to write audit record: %s", err.msg);
    }
    return r == 0;
}

static void start_script(const struct exec_audit *a)
{
    const char *argv[] = { a->script, a->path, NULL };
    struct proc_args args = PROC_ARGS_INIT;
    isol8_error err;

    args.file = a->script;
    args.argv = argv;
    args.new_session = true;
    if (proc_spawn_detached(&args, &err) < 0)
        log_line(a->log, ISOL8_LOG_ERROR, "Failed to run post-log script: %s", err.msg);
}

void audit_write(struct exec_audit *a, const struct audit_entry *e)
{
    auto_buf struct buf line = BUF_INIT(SIZE_MAX / 2);

    if (a == NULL)
        return;
    if (!make_line(a, e, &line)) {
        log_line(a->log, ISOL8_LOG_ERROR,
                 "Failed to record audit log: out of memory, or no digest can be computed");
        return;
    }
    if (write_line(a, &line) && a->script != NULL)
        start_script(a);
}
