/* SPDX-License-Identifier: Apache-2.0 */
/* test_audit.c - what an audit record says, what it hides, and where it goes. */
#include "executor/audit.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

#include "base/fd.h"
#include "base/hash.h"
#include "base/json.h"
#include "base/mem.h"
#include "executor/audit_file.h"
#include "executor/result.h"
#include "tests/support/test.h"
#include "tests/support/tmpdir.h"

#define SECRET "s3cret\"with\nodd bytes"
#define SECRET_IN_JSON "s3cret\\\"with\\nodd bytes"

struct world {
    struct tmpdir tmp;
    char dir[100], lines[4096]; /* what was logged: "level text\n" each */
    struct log log;
    isol8_audit_options opts;
    isol8_request rq;
    struct isol8_result res;
    struct audit_entry entry;
    struct exec_audit *audit;
};

static void take_line(enum isol8_log_level level, const char *line, void *user)
{
    struct world *w = user;
    size_t n = strlen(w->lines);

    (void)snprintf(w->lines + n, sizeof(w->lines) - n, "%d %s\n", (int)level, line);
}

static int set_up(void **state)
{
    struct world *w = calloc(1, sizeof(*w));

    assert_non_null(w);
    tmpdir_open(&w->tmp);
    (void)snprintf(w->dir, sizeof(w->dir), "%s/logs/of/audit", w->tmp.path);
    w->log = (struct log){ .fn = take_line, .level = ISOL8_LOG_INFO, .user = w };
    isol8_audit_options_init(&w->opts);
    w->opts.enabled = true;
    w->opts.log_dir = w->dir;
    isol8_request_init(&w->rq);
    w->rq.code = "print(1)";
    w->rq.code_size = 8;
    w->rq.runtime = "python";
    w->res = (struct isol8_result){ .runtime = "python", .exit_code = 3, .duration_ms = 42 };
    w->res.verdict = ISOL8_VERDICT_EXIT;
    (void)strcpy(w->res.execution_id, "11111111-2222-4333-8444-555555555555");
    memset(w->res.container_id, 'c', 64);
    w->res.usage = (isol8_usage){ .wall_us = 1000, .cpu_us = 500, .memory_peak_bytes = 3 << 20 };
    w->entry = (struct audit_entry){ .request = &w->rq,
                                     .result = &w->res,
                                     .started_wall_ms = 1767323045678 };
    *state = w;
    return 0;
}

static int tear_down(void **state)
{
    struct world *w = *state;

    audit_close(w->audit);
    tmpdir_close(&w->tmp);
    free(w);
    return 0;
}

static void open_it(struct world *w)
{
    isol8_error err;

    if (audit_open(&w->audit, &w->opts, &w->log, &err) < 0)
        fail_msg("%s", err.msg);
    assert_non_null(w->audit);
}

/* The whole log, to be freed. */
static char *read_log(struct world *w)
{
    auto_close int dir = open(w->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    struct buf text = BUF_INIT(0);
    isol8_error err;

    if (path_read(dir, AUDIT_FILE_NAME, 64 << 20, &text, &err) < 0)
        fail_msg("%s", err.msg);
    return buf_take(&text);
}

/* Write the entry and take its line. */
static cJSON *record(struct world *w)
{
    audit_write(w->audit, &w->entry);
    assert_string_equal(w->lines, "");
    auto_free char *text = read_log(w);
    assert_non_null(text);
    char *end = strrchr(text, '\n');
    assert_non_null(end);
    assert_int_equal(end[1], '\0');
    *end = '\0';
    char *start = strrchr(text, '\n');
    cJSON *j = cJSON_Parse(start == NULL ? text : start + 1);
    assert_non_null(j);
    return j;
}

static void expect_keys(const cJSON *j, const char *expected)
{
    auto_buf struct buf keys = BUF_INIT(4096);
    const cJSON *item;

    cJSON_ArrayForEach(item, j)(void) buf_addf(&keys, "%s ", item->string);
    assert_string_equal(buf_text(&keys), expected);
}

static double number(const cJSON *j, const char *key)
{
    return cJSON_GetNumberValue(cJSON_GetObjectItemCaseSensitive(j, key));
}

/* ---- The record ------------------------------------------------------------------------------ */

static void test_fields(void **state)
{
    struct world *w = *state;

    open_it(w);
    auto_json cJSON *j = record(w);
    expect_keys(j, "executionId userId timestamp runtime codeHash containerId exitCode durationMs "
                   "resourceUsage outcome ");
    assert_string_equal(json_string(j, "executionId"), "11111111-2222-4333-8444-555555555555");
    assert_string_equal(json_string(j, "userId"), "");
    assert_string_equal(json_string(j, "timestamp"), "2026-01-02T03:04:05.678Z");
    assert_string_equal(json_string(j, "runtime"), "python");
    assert_string_equal(json_string(j, "codeHash"),
                        "d287bb7f9d15abdc5b6e98536263815744b6ef21c8f3c839fc434ca70d8efe99");
    assert_string_equal(json_string(j, "containerId"), w->res.container_id);
    assert_int_equal(number(j, "exitCode"), 3);
    assert_int_equal(number(j, "durationMs"), 42);
    assert_string_equal(json_string(j, "outcome"), "exit");
    const cJSON *usage = cJSON_GetObjectItemCaseSensitive(j, "resourceUsage");
    assert_int_equal(number(usage, "cpuPercent"), 50);
    assert_int_equal(number(usage, "peakMemoryMB"), 3);
}

static void test_hash_of_what_runs(void **state)
{
    struct world *w = *state;
    char digest[HASH_SHA256_HEX_SIZE];

    open_it(w);
    w->rq.code = NULL;
    w->rq.cmd = "echo hi";
    assert_int_equal(hash_sha256("echo hi", 7, digest, NULL), 0);
    auto_json cJSON *cmd = record(w);
    assert_string_equal(json_string(cmd, "codeHash"), digest);
    w->rq.cmd = NULL;
    auto_json cJSON *empty = record(w);
    assert_string_equal(json_string(empty, "codeHash"),
                        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    w->rq.code = "a\0b"; /* all of it, also past a NUL */
    w->rq.code_size = 3;
    assert_int_equal(hash_sha256("a\0b", 3, digest, NULL), 0);
    auto_json cJSON *binary = record(w);
    assert_string_equal(json_string(binary, "codeHash"), digest);
}

static void test_outcomes(void **state)
{
    struct world *w = *state;
    isol8_error err = { .status = ISOL8_E_NETWORK, .msg = "Package install failed (exit code 1)" };

    open_it(w);
    for (int v = ISOL8_VERDICT_OK; v <= ISOL8_VERDICT_CANCELLED; v++) {
        w->res.verdict = (enum isol8_verdict)v;
        auto_json cJSON *j = record(w);
        assert_string_equal(json_string(j, "outcome"), isol8_verdict_name(w->res.verdict));
        assert_null(json_string(j, "error"));
    }
    w->res.exit_code = 0; /* nothing ended, and nothing was measured */
    w->res.usage = (isol8_usage){ 0 };
    w->entry.error = &err;
    auto_json cJSON *failed = record(w);
    expect_keys(failed, "executionId userId timestamp runtime codeHash containerId exitCode "
                        "durationMs outcome error ");
    assert_string_equal(json_string(failed, "outcome"), "error");
    assert_string_equal(json_string(failed, "error"), err.msg);
    assert_int_equal(number(failed, "exitCode"), 1);
    w->res.exit_code = 7;
    auto_json cJSON *with_code = record(w);
    assert_int_equal(number(with_code, "exitCode"), 7);
    err.status = 0; /* no failure */
    auto_json cJSON *fine = record(w);
    assert_string_equal(json_string(fine, "outcome"), "cancelled");
}

static void test_privacy(void **state)
{
    struct world *w = *state;

    w->res.out = "out\xff\n";
    w->res.out_size = 5;
    w->res.err = "err";
    w->res.err_size = 3;
    w->opts.track_resources = false;
    open_it(w);
    assert_false(audit_wants_output(w->audit));
    assert_false(audit_tracks_resources(w->audit));
    auto_json cJSON *little = record(w);
    expect_keys(little, "executionId userId timestamp runtime codeHash containerId exitCode "
                        "durationMs outcome ");
    audit_close(w->audit);

    w->opts.include_code = w->opts.include_output = w->opts.track_resources = true;
    open_it(w);
    assert_true(audit_wants_output(w->audit));
    assert_true(audit_tracks_resources(w->audit));
    auto_json cJSON *all = record(w);
    expect_keys(all, "executionId userId timestamp runtime codeHash containerId exitCode "
                     "durationMs resourceUsage code stdout stderr outcome ");
    assert_string_equal(json_string(all, "code"), "print(1)");
    assert_string_equal(json_string(all, "stdout"), "out\xef\xbf\xbd\n");
    assert_string_equal(json_string(all, "stderr"), "err");
    w->rq.code = NULL;
    w->rq.cmd = "ls";
    w->res.out = NULL;
    w->res.out_size = 0;
    auto_json cJSON *cmd = record(w);
    assert_string_equal(json_string(cmd, "code"), "ls");
    assert_string_equal(json_string(cmd, "stdout"), "");
}

static void test_network_and_metadata(void **state)
{
    struct world *w = *state;
    char *logs[] = { "{\"host\":\"a.example\",\"path\":\"/x\",\"port\":80,\"rule\":null}" };
    char *events[] = { "{\"type\":\"network_blocked\",\"details\":{\"host\":\"b.example\"}}" };
    const isol8_pair metadata[] = { { "team", "red" }, { "userId", "u-7" }, { "b\xff", "" } };

    open_it(w);
    w->res.network_logs = logs;
    w->res.n_network_logs = 1;
    w->res.security_events = events;
    w->res.n_security_events = 1;
    w->rq.metadata = metadata;
    w->rq.n_metadata = 3;
    auto_json cJSON *quiet = record(w); /* the logs were not asked for */
    expect_keys(quiet, "executionId userId timestamp runtime codeHash containerId exitCode "
                       "durationMs resourceUsage securityEvents metadata outcome ");
    w->entry.has_network_logs = true;
    auto_json cJSON *j = record(w);
    auto_free char *networks = cJSON_PrintUnformatted(
        cJSON_GetObjectItemCaseSensitive(j, "networkLogs"));
    auto_free char *blocks = cJSON_PrintUnformatted(
        cJSON_GetObjectItemCaseSensitive(j, "securityEvents"));
    auto_free char *meta = cJSON_PrintUnformatted(cJSON_GetObjectItemCaseSensitive(j, "metadata"));
    assert_string_equal(networks,
                        "[{\"host\":\"a.example\",\"path\":\"/x\",\"port\":80,\"rule\":null}]");
    assert_string_equal(blocks,
                        "[{\"type\":\"network_blocked\",\"details\":{\"host\":\"b.example\"}}]");
    assert_string_equal(meta, "{\"team\":\"red\",\"userId\":\"u-7\",\"b\xef\xbf\xbd\":\"\"}");
    assert_string_equal(json_string(j, "userId"), "u-7");
    w->res.n_network_logs = 0;
    auto_json cJSON *none = record(w);
    assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItemCaseSensitive(none, "networkLogs")), 0);
    assert_true(cJSON_IsArray(cJSON_GetObjectItemCaseSensitive(none, "networkLogs")));
}

/* Wherever text of the user or of the guest stands. */
static void test_masking(void **state)
{
    struct world *w = *state;
    const isol8_pair secrets[] = { { "TOKEN", SECRET }, { "PIN", "98765" } };
    struct mask_set *set = NULL;
    const isol8_pair metadata[] = { { "userId", "me " SECRET }, { "k-" SECRET, "v 98765 v" } };
    char *logs[] = { "{\"path\":\"/get?t=" SECRET_IN_JSON
                     "&p=98765\",\"deep\":[[{\"x\":\"98765\"}]]}" };
    char *events[] = { "{\"details\":{\"host\":\"98765.example\"}}" };
    isol8_error err = { .status = ISOL8_E_NETWORK, .msg = "exit code 98765 of 98765" };

    assert_int_equal(mask_set_new(&set, secrets, 2, NULL), 0);
    w->opts.include_code = w->opts.include_output = true;
    open_it(w);
    w->rq.code = "x = '''" SECRET "'''; y = 98765";
    w->rq.code_size = strlen(w->rq.code);
    w->rq.metadata = metadata;
    w->rq.n_metadata = 2;
    w->res.out = "98765!";
    w->res.out_size = 6;
    w->res.network_logs = logs;
    w->res.n_network_logs = 1;
    w->res.security_events = events;
    w->res.n_security_events = 1;
    w->entry.has_network_logs = true;
    w->entry.error = &err;
    w->entry.secrets = set;
    auto_json cJSON *j = record(w);
    auto_free char *text = read_log(w);
    assert_null(strstr(text, "98765"));
    assert_null(strstr(text, "s3cret"));
    assert_null(strstr(text, "odd bytes"));
    assert_string_equal(json_string(j, "code"), "x = '''***'''; y = ***");
    assert_string_equal(json_string(j, "stdout"), "***!");
    assert_string_equal(json_string(j, "userId"), "me ***");
    assert_string_equal(json_string(j, "error"), "exit code *** of ***");
    auto_free char *networks = cJSON_PrintUnformatted(
        cJSON_GetObjectItemCaseSensitive(j, "networkLogs"));
    assert_string_equal(networks, "[{\"path\":\"/get?t=***&p=***\",\"deep\":[[{\"x\":\"***\"}]]}]");
    mask_set_free(set);
}

/* ---- Options --------------------------------------------------------------------------------- */

static void test_options(void **state)
{
    struct world *w = *state;
    isol8_audit_options o;
    isol8_error err;

    isol8_audit_options_init(&o);
    assert_false(o.enabled);
    assert_string_equal(o.destination, "filesystem");
    assert_null(o.log_dir);
    assert_null(o.post_log_script);
    assert_true(o.track_resources);
    assert_true(o.retention_days == 90);
    assert_false(o.include_code);
    assert_false(o.include_output);

    /* Off: nothing is made, nothing is looked at. */
    w->opts.enabled = false;
    w->opts.destination = "nowhere";
    assert_int_equal(audit_open(&w->audit, &w->opts, &w->log, &err), 0);
    assert_null(w->audit);
    assert_int_equal(audit_open(&w->audit, NULL, &w->log, &err), 0);
    assert_null(w->audit);
    audit_write(NULL, &w->entry);
    audit_close(NULL);
    assert_false(audit_wants_output(NULL));
    assert_false(audit_tracks_resources(NULL));
    assert_int_equal(access(w->dir, F_OK), -1);

    w->opts.enabled = true;
    assert_int_equal(audit_open(&w->audit, &w->opts, &w->log, &err), ISOL8_E_INVAL);
    assert_string_equal(err.msg, "Unsupported audit destination: \"nowhere\". Expected one of: "
                                 "filesystem, file, stdout");
    w->opts.destination = "file";
    w->opts.retention_days = 0.0 / 0.0;
    assert_int_equal(audit_open(&w->audit, &w->opts, &w->log, &err), ISOL8_E_INVAL);
    o.size = 0;
    assert_int_equal(audit_open(&w->audit, &o, &w->log, &err), ISOL8_E_INVAL);
}

/* Enabled alone makes nothing: the first record does, for its owner only. */
static void test_made_when_needed(void **state)
{
    struct world *w = *state;
    char file[160];
    struct stat st;

    open_it(w);
    assert_int_equal(access(w->dir, F_OK), -1);
    auto_json cJSON *j = record(w);
    (void)snprintf(file, sizeof(file), "%s/" AUDIT_FILE_NAME, w->dir);
    assert_int_equal(stat(file, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    assert_int_equal(stat(w->dir, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0700);
    /* Removed under us: made again. */
    assert_int_equal(path_remove_tree(w->tmp.fd, "logs", NULL), 0);
    auto_json cJSON *again = record(w);
    assert_non_null(again);
}

/* Nothing fails but the log: each reason is a line. */
static void test_failures_are_logged(void **state)
{
    struct world *w = *state;
    char path[120];

    (void)snprintf(path, sizeof(path), "%s/file", w->tmp.path);
    assert_int_equal(path_replace(w->tmp.fd, "file", "", 0, 0600, false, NULL), 0);
    w->opts.log_dir = path;
    w->opts.post_log_script = "/nonexistent/hook"; /* not started: there is no record */
    open_it(w);
    audit_write(w->audit, &w->entry);
    (void)snprintf(path, sizeof(path), "0 Failed to create audit dir: '%s/file': Not a directory\n",
                   w->tmp.path);
    assert_string_equal(w->lines, path);
    audit_close(w->audit);

    w->lines[0] = '\0';
    w->opts.log_dir = w->tmp.path;
    assert_int_equal(symlinkat("file", w->tmp.fd, AUDIT_FILE_NAME), 0);
    open_it(w);
    audit_write(w->audit, &w->entry);
    assert_string_equal(w->lines,
                        "0 Failed to cleanup old audit logs: cannot open 'executions.log': Too "
                        "many levels of symbolic links\n"
                        "0 Failed to write audit record: cannot open 'executions.log': Too many "
                        "levels of symbolic links\n");
    struct stat st;
    assert_int_equal(fstatat(w->tmp.fd, "file", &st, 0), 0);
    assert_int_equal(st.st_size, 0);
}

static void age(struct world *w, const char *name, int days)
{
    struct timespec times[2] = { { .tv_sec = time(NULL) - days * 86400 } };

    times[1] = times[0];
    assert_int_equal(utimensat(w->tmp.fd, name, times, 0), 0);
}

/* What earlier days left is put in order when an engine is made, and when a day has passed. */
static void test_old_logs(void **state)
{
    struct world *w = *state;

    w->opts.log_dir = w->tmp.path;
    w->opts.retention_days = 10;
    assert_int_equal(path_replace(w->tmp.fd, AUDIT_FILE_NAME, "x\n", 2, 0600, false, NULL), 0);
    age(w, AUDIT_FILE_NAME, 11); /* also the present file, once it has got its day's name */
    open_it(w);
    assert_string_equal(w->lines, "2 Audit log cleanup: removed 1 old log files\n");
    assert_int_equal(faccessat(w->tmp.fd, AUDIT_FILE_NAME, F_OK, 0), -1);

    w->lines[0] = '\0';
    assert_int_equal(path_replace(w->tmp.fd, AUDIT_FILE_NAME, "x\n", 2, 0600, false, NULL), 0);
    assert_int_equal(path_replace(w->tmp.fd, "older.log", "x\n", 2, 0600, false, NULL), 0);
    age(w, AUDIT_FILE_NAME, 1);
    age(w, "older.log", 12);
    audit_write(w->audit, &w->entry);
    assert_string_equal(w->lines, "2 Audit log cleanup: removed 1 old log files\n");
    audit_close(w->audit);

    w->lines[0] = '\0';
    w->opts.retention_days = 0; /* for ever */
    assert_int_equal(path_replace(w->tmp.fd, "older.log", "x\n", 2, 0600, false, NULL), 0);
    age(w, "older.log", 3000);
    open_it(w);
    assert_string_equal(w->lines, "");
    assert_int_equal(faccessat(w->tmp.fd, "older.log", F_OK, 0), 0);
}

/* Records of many threads: each one whole. */
static void *write_fifty(void *arg)
{
    struct world *w = arg;

    for (int i = 0; i < 50; i++)
        audit_write(w->audit, &w->entry);
    return NULL;
}

static void test_threads(void **state)
{
    struct world *w = *state;
    pthread_t threads[16];
    int n = 0;

    open_it(w);
    for (int i = 0; i < 16; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, write_fifty, w), 0);
    for (int i = 0; i < 16; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    auto_free char *text = read_log(w);
    char *save = NULL;
    for (char *l = strtok_r(text, "\n", &save); l != NULL; l = strtok_r(NULL, "\n", &save)) {
        auto_json cJSON *j = cJSON_Parse(l);
        assert_string_equal(json_string(j, "outcome"), "exit");
        n++;
    }
    assert_int_equal(n, 800);
}

static void test_directory_of_the_environment(void **state)
{
    struct world *w = *state;
    char cwd[4096];

    assert_non_null(getcwd(cwd, sizeof(cwd)));
    assert_int_equal(chdir(w->tmp.path), 0);
    w->opts.log_dir = "";
    assert_int_equal(setenv("ISOL8_AUDIT_DIR", w->dir, 1), 0);
    open_it(w);
    auto_json cJSON *j = record(w);
    audit_close(w->audit);

    /* Neither: below the working directory, as it was when the engine was made. */
    assert_int_equal(setenv("ISOL8_AUDIT_DIR", "", 1), 0);
    open_it(w);
    assert_int_equal(chdir("/"), 0);
    audit_write(w->audit, &w->entry);
    assert_string_equal(w->lines, "");
    assert_int_equal(faccessat(w->tmp.fd, ".isol8_audit/" AUDIT_FILE_NAME, F_OK, 0), 0);
    assert_int_equal(unsetenv("ISOL8_AUDIT_DIR"), 0);
    assert_int_equal(chdir(cwd), 0);
}

static void test_stdout(void **state)
{
    struct world *w = *state;
    int ends[2], saved;
    char text[8192];

    w->opts.destination = "stdout";
    open_it(w);
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    (void)fflush(stdout);
    saved = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 10);
    assert_int_equal(dup2(ends[1], STDOUT_FILENO), STDOUT_FILENO);
    audit_write(w->audit, &w->entry);
    assert_int_equal(dup2(saved, STDOUT_FILENO), STDOUT_FILENO);
    assert_int_equal(close(saved), 0);
    ssize_t n = read(ends[0], text, sizeof(text) - 1);
    assert_true(n > 0);
    text[n] = '\0';
    assert_memory_equal(text, "AUDIT_LOG: {\"executionId\":", 26);
    assert_int_equal(text[n - 1], '\n');
    assert_ptr_equal(strchr(text, '\n'), text + n - 1);
    assert_int_equal(access(w->dir, F_OK), -1);
    assert_int_equal(close(ends[0]), 0);
    assert_int_equal(close(ends[1]), 0);
}

/* ---- The script ------------------------------------------------------------------------------ */

static void write_script(const char *path, const char *text)
{
    auto_close int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0700);

    assert_int_equal(fd_write_all(fd, text, strlen(text)), 0);
}

/* Called with the log's path; nobody waits for it, and it leaves no zombie. */
static void test_script(void **state)
{
    struct world *w = *state;
    char script[120], fifo[120], text[600], line[400];

    (void)snprintf(script, sizeof(script), "%s/hook", w->tmp.path);
    (void)snprintf(fifo, sizeof(fifo), "%s/fifo", w->tmp.path);
    (void)snprintf(text, sizeof(text),
                   "#!/bin/sh\necho stdout; echo stderr >&2\n"
                   "echo \"$# $1 $(wc -l <\"$1\")\" >%s\n",
                   fifo);
    write_script(script, text);
    assert_int_equal(mkfifo(fifo, 0600), 0);
    w->opts.post_log_script = script;
    open_it(w);
    audit_write(w->audit, &w->entry); /* returns although nobody reads the pipe yet */
    assert_string_equal(w->lines, "");
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
    assert_int_equal(errno, ECHILD);
    auto_close int fd = open(fifo, O_RDONLY | O_CLOEXEC);
    ssize_t n = read(fd, line, sizeof(line) - 1);
    assert_true(n > 0);
    line[n] = '\0';
    (void)snprintf(text, sizeof(text), "1 %s/" AUDIT_FILE_NAME " 1\n", w->dir);
    assert_string_equal(line, text);
}

static void test_script_that_is_missing(void **state)
{
    struct world *w = *state;

    w->opts.post_log_script = "/nonexistent/hook";
    open_it(w);
    audit_write(w->audit, &w->entry);
    assert_string_equal(w->lines, "0 Failed to run post-log script: cannot start "
                                  "'/nonexistent/hook': exec: No such file or directory\n");
    auto_free char *text = read_log(w); /* the record is there all the same */
    assert_non_null(text);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_fields),
        TEST(test_hash_of_what_runs),
        TEST(test_outcomes),
        TEST(test_privacy),
        TEST(test_network_and_metadata),
        TEST(test_masking),
        TEST(test_options),
        TEST(test_made_when_needed),
        TEST(test_directory_of_the_environment),
        TEST(test_failures_are_logged),
        TEST(test_old_logs),
        TEST(test_threads),
        TEST(test_stdout),
        TEST(test_script),
        TEST(test_script_that_is_missing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
