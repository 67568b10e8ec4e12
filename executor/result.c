/* SPDX-License-Identifier: Apache-2.0 */
/* result.c - what came of one execution: the verdict, the accessors, the JSON form. */
#include "executor/result.h"

#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#include "base/json.h"
#include "base/mem.h"
#include "base/text.h"
#include "executor/init/proto.h"

enum {
    EXIT_KILLED = 128 + SIGKILL,
    SOURCE_COPY_MAX = 64 << 10, /* longer code is hashed at once */
};

static const char *const verdict_names[] = {
    [ISOL8_VERDICT_OK] = "ok",
    [ISOL8_VERDICT_EXIT] = "exit",
    [ISOL8_VERDICT_SIGNAL] = "signal",
    [ISOL8_VERDICT_TIMEOUT] = "timeout",
    [ISOL8_VERDICT_MEMORY] = "memory",
    [ISOL8_VERDICT_PIDS] = "pids",
    [ISOL8_VERDICT_OUTPUT] = "output",
    [ISOL8_VERDICT_DISK] = "disk",
    [ISOL8_VERDICT_CANCELLED] = "cancelled",
};

const char *isol8_verdict_name(enum isol8_verdict verdict)
{
    return (size_t)verdict < ARRAY_LEN(verdict_names) ? verdict_names[verdict] : "unknown";
}

static void judge_forced_end(struct isol8_result *res, const struct verdict_facts *f)
{
    if (f->timed_out) {
        res->verdict = ISOL8_VERDICT_TIMEOUT;
        (void)snprintf(res->detail, sizeof(res->detail),
                       "killed: time limit %" PRId64 " ms reached", f->timeout_ms);
    } else if (f->cancelled) {
        res->verdict = ISOL8_VERDICT_CANCELLED;
        (void)snprintf(res->detail, sizeof(res->detail), "killed: cancelled");
    } else {
        res->verdict = ISOL8_VERDICT_OUTPUT;
        (void)snprintf(res->detail, sizeof(res->detail),
                       "output cut: limit of %" PRIu64 " bytes a stream reached", f->max_output);
    }
}

/* A limit explains a failure only when the command failed and the limit was met. */
static bool judge_limits(struct isol8_result *res, const struct verdict_facts *f)
{
    bool was_killed = res->exit_code == EXIT_KILLED;

    if (f->oom_kills > 0) {
        res->verdict = ISOL8_VERDICT_MEMORY;
        (void)snprintf(res->detail, sizeof(res->detail), "%s: memory limit %s reached",
                       was_killed ? "killed" : "a process was killed", f->memory_text);
    } else if (f->pids_refused > 0) {
        res->verdict = ISOL8_VERDICT_PIDS;
        (void)snprintf(res->detail, sizeof(res->detail),
                       "failed: limit of %" PRIu64 " processes reached", f->pids_limit);
    } else if (f->full != 0) {
        bool is_sandbox = (f->full & INIT_FULL_SANDBOX) != 0;
        char size[24];
        text_format_size(is_sandbox ? f->sandbox_bytes : f->tmp_bytes, size, sizeof(size));
        res->verdict = ISOL8_VERDICT_DISK;
        (void)snprintf(res->detail, sizeof(res->detail), "failed: %s is full (limit %s)",
                       is_sandbox ? "/sandbox" : "/tmp", size);
    } else {
        return false;
    }
    return true;
}

void exec_result_judge(struct isol8_result *res, const struct verdict_facts *f)
{
    bool by_signal = WIFSIGNALED(f->wait_status);
    int sig = by_signal ? WTERMSIG(f->wait_status) : 0;

    res->exit_code = by_signal ? 128 + sig : WEXITSTATUS(f->wait_status);
    if (f->timed_out || f->cancelled || f->died_unexplained)
        res->exit_code = EXIT_KILLED;

    if (f->timed_out || f->cancelled || f->truncated) {
        judge_forced_end(res, f);
    } else if (res->exit_code != 0 && judge_limits(res, f)) {
        return;
    } else if (f->died_unexplained) {
        res->verdict = ISOL8_VERDICT_SIGNAL;
        (void)snprintf(res->detail, sizeof(res->detail), "killed: the sandbox ended from outside");
    } else if (by_signal) {
        res->verdict = ISOL8_VERDICT_SIGNAL;
        const char *name = sigabbrev_np(sig);
        (void)snprintf(res->detail, sizeof(res->detail), "killed: signal %d (SIG%s)", sig,
                       name != NULL ? name : "?");
    } else if (res->exit_code != 0) {
        res->verdict = ISOL8_VERDICT_EXIT;
        (void)snprintf(res->detail, sizeof(res->detail), "%s %d",
                       f->not_started ? "could not be started: exit code" : "exit code",
                       res->exit_code);
    } else {
        res->verdict = ISOL8_VERDICT_OK;
        (void)snprintf(res->detail, sizeof(res->detail), "ok");
    }
}

/* ---- Accessors ---------------------------------------------------------------------------------
 */

static const char *stream_text(const char *text, size_t n, size_t *size)
{
    if (size != NULL)
        *size = n;
    return text == NULL ? "" : text;
}

const char *isol8_result_stdout(const isol8_result *res, size_t *size)
{
    return stream_text(res->out, res->out_size, size);
}

const char *isol8_result_stderr(const isol8_result *res, size_t *size)
{
    return stream_text(res->err, res->err_size, size);
}

int isol8_result_exit_code(const isol8_result *res)
{
    return res->exit_code;
}

enum isol8_verdict isol8_result_verdict(const isol8_result *res)
{
    return res->verdict;
}

const char *isol8_result_detail(const isol8_result *res)
{
    return res->detail;
}

int64_t isol8_result_duration_ms(const isol8_result *res)
{
    return res->duration_ms;
}

bool isol8_result_truncated(const isol8_result *res)
{
    return res->is_truncated;
}

const char *isol8_result_execution_id(const isol8_result *res)
{
    return res->execution_id;
}

const char *isol8_result_container_id(const isol8_result *res)
{
    return res->container_id;
}

/* Not an error when it cannot be computed: then it is not known. */
static void compute_hash(struct isol8_result *res, const char *source, size_t n)
{
    if (hash_sha256(source, n, res->code_hash, NULL) < 0)
        res->code_hash[0] = '\0';
}

void exec_result_note_source(struct isol8_result *res, const char *source, size_t n)
{
    res->source = n <= SOURCE_COPY_MAX ? malloc(n + 1) : NULL;
    if (res->source == NULL) {
        compute_hash(res, source, n);
        return;
    }
    memcpy(res->source, source, n);
    res->source_size = n;
}

const char *isol8_result_code_hash(const isol8_result *res)
{
    static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
    struct isol8_result *own = (struct isol8_result *)res; /* made by us, and not constant */

    (void)pthread_mutex_lock(&mutex); /* a result may be read by several threads */
    auto_free char *source = take_ptr(&own->source);
    if (source != NULL)
        compute_hash(own, source, own->source_size);
    (void)pthread_mutex_unlock(&mutex);
    return res->code_hash;
}

const char *isol8_result_runtime(const isol8_result *res)
{
    return res->runtime;
}

const char *isol8_result_timestamp(const isol8_result *res)
{
    return res->timestamp;
}

void isol8_result_usage(const isol8_result *res, isol8_usage *out)
{
    *out = res->usage;
}

bool isol8_result_user_namespace(const isol8_result *res)
{
    return res->has_userns;
}

size_t isol8_result_file_count(const isol8_result *res)
{
    return res->n_files;
}

const isol8_file *isol8_result_file(const isol8_result *res, size_t i)
{
    return i < res->n_files ? &res->files[i] : NULL;
}

void isol8_result_free(isol8_result *res)
{
    if (res == NULL)
        return;
    for (size_t i = 0; i < res->n_files; i++) {
        free((char *)res->files[i].path);
        free((void *)res->files[i].data);
    }
    free(res->files);
    for (size_t i = 0; i < res->n_network_logs; i++)
        free(res->network_logs[i]);
    free(res->network_logs);
    for (size_t i = 0; i < res->n_security_events; i++)
        free(res->security_events[i]);
    free(res->security_events);
    free(res->source);
    free(res->out);
    free(res->err);
    free(res);
}

size_t isol8_result_network_log_count(const isol8_result *res)
{
    return res->n_network_logs;
}

const char *isol8_result_network_log(const isol8_result *res, size_t i)
{
    return i < res->n_network_logs ? res->network_logs[i] : NULL;
}

size_t isol8_result_security_event_count(const isol8_result *res)
{
    return res->n_security_events;
}

const char *isol8_result_security_event(const isol8_result *res, size_t i)
{
    return i < res->n_security_events ? res->security_events[i] : NULL;
}

/* One entry as text at the end of a list that has room; entries that are none are passed over. */
static int take_text(char **list, size_t *n, cJSON *owned)
{
    auto_json cJSON *j = owned;

    if (j == NULL)
        return 0;
    list[*n] = cJSON_PrintUnformatted(j);
    if (list[*n] == NULL)
        return -1;
    (*n)++;
    return 0;
}

int exec_result_take_log(struct isol8_result *res, const struct netlog *log, bool with_logs)
{
    size_t n = log == NULL ? 0 : netlog_count(log);

    res->network_logs = calloc(n + 1, sizeof(*res->network_logs));
    res->security_events = calloc(n + 1, sizeof(*res->security_events));
    if (res->network_logs == NULL || res->security_events == NULL)
        return -1;
    for (size_t i = 0; i < n; i++) {
        if (with_logs &&
            take_text(res->network_logs, &res->n_network_logs, netlog_json(log, i)) < 0)
            return -1;
        if (take_text(res->security_events, &res->n_security_events, netlog_event_json(log, i)) < 0)
            return -1;
    }
    return 0;
}

/* ---- JSON --------------------------------------------------------------------------------------
 */

/* The original trims trailing white space of captured text, and so must its drop-in. */
static bool add_text(cJSON *j, const char *key, const char *text, size_t n)
{
    while (n > 0 && strchr(" \t\r\n\v\f", text[n - 1]) != NULL && text[n - 1] != '\0')
        n--;
    return json_add_text(j, key, text, n);
}

bool exec_result_add_usage(cJSON *j, const struct isol8_result *res)
{
    cJSON *u = cJSON_AddObjectToObject(j, "resourceUsage");
    const isol8_usage *us = &res->usage;
    double wall = us->wall_us == 0 ? 1 : (double)us->wall_us;
    double percent = (double)(int64_t)((double)us->cpu_us * 10000.0 / wall + 0.5) / 100.0;
    double peak = (double)((us->memory_peak_bytes + (1 << 19)) >> 20);

    return u != NULL && cJSON_AddNumberToObject(u, "cpuPercent", percent) != NULL &&
           cJSON_AddNumberToObject(u, "memoryMB", peak) != NULL &&
           cJSON_AddNumberToObject(u, "peakMemoryMB", peak) != NULL &&
           cJSON_AddNumberToObject(u, "networkBytesIn", (double)res->network_bytes_in) != NULL &&
           cJSON_AddNumberToObject(u, "networkBytesOut", (double)res->network_bytes_out) != NULL &&
           cJSON_AddNumberToObject(u, "cpuMs", (double)us->cpu_us / 1000.0) != NULL &&
           cJSON_AddNumberToObject(u, "wallMs", (double)us->wall_us / 1000.0) != NULL;
}

static bool add_texts(cJSON *j, const char *key, char *const *texts, size_t n)
{
    if (n == 0)
        return true;
    cJSON *list = cJSON_AddArrayToObject(j, key);
    bool ok = list != NULL;
    for (size_t i = 0; ok && i < n; i++) {
        cJSON *raw = cJSON_CreateRaw(texts[i]);
        ok = raw != NULL && cJSON_AddItemToArray(list, raw);
    }
    return ok;
}

static bool add_files(cJSON *j, const isol8_result *res)
{
    if (!res->asked_for_files)
        return true;
    cJSON *files = cJSON_AddObjectToObject(j, "files");
    bool ok = files != NULL;
    for (size_t i = 0; ok && i < res->n_files; i++) {
        auto_buf struct buf b64 = BUF_INIT(SIZE_MAX / 2);
        ok = text_base64(res->files[i].data, res->files[i].size, &b64) &&
             cJSON_AddStringToObject(files, res->files[i].path, buf_text(&b64)) != NULL;
    }
    return ok;
}

char *isol8_result_json(const isol8_result *res)
{
    auto_json cJSON *j = cJSON_CreateObject();

    bool ok = j != NULL && add_text(j, "stdout", stream_text(res->out, 0, NULL), res->out_size) &&
              add_text(j, "stderr", stream_text(res->err, 0, NULL), res->err_size) &&
              cJSON_AddNumberToObject(j, "exitCode", res->exit_code) != NULL &&
              cJSON_AddNumberToObject(j, "durationMs", (double)res->duration_ms) != NULL &&
              cJSON_AddBoolToObject(j, "truncated", res->is_truncated) != NULL &&
              cJSON_AddStringToObject(j, "executionId", res->execution_id) != NULL &&
              cJSON_AddStringToObject(j, "runtime", res->runtime) != NULL &&
              cJSON_AddStringToObject(j, "timestamp", res->timestamp) != NULL &&
              cJSON_AddStringToObject(j, "containerId", res->container_id) != NULL &&
              exec_result_add_usage(j, res) &&
              add_texts(j, "networkLogs", res->network_logs, res->n_network_logs) &&
              add_texts(j, "securityEvents", res->security_events, res->n_security_events) &&
              add_files(j, res) &&
              cJSON_AddStringToObject(j, "verdict", isol8_verdict_name(res->verdict)) != NULL &&
              cJSON_AddStringToObject(j, "verdictDetail", res->detail) != NULL &&
              cJSON_AddBoolToObject(j, "userNamespace", res->has_userns) != NULL;
    return ok ? cJSON_PrintUnformatted(j) : NULL;
}
