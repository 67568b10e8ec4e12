/* SPDX-License-Identifier: Apache-2.0 */
/* it_run.c - one execution: events, streams, exit, signals, cancelling, deadlines, the result. */
#include "tests/integration/it.h"

#include <pthread.h>
#include <signal.h>
#include <string.h>

#include "base/json.h"

/* ---- Streams and events -------------------------------------------------------------------------
 */

static void test_events(void **state)
{
    isol8_request rq = it_cmd("echo out; echo err >&2; exit 7");
    struct it_watch w;

    (void)state;
    it_watch_start(&w, NULL, &rq);
    it_watch_to_end(&w);
    assert_string_equal(w.text[0], "out\n");
    assert_string_equal(w.text[1], "err\n");
    assert_string_equal(w.exit_text, "7");
    assert_string_equal(w.error_text, "");
    assert_true(w.n_events >= 3);
    assert_int_equal(w.types[w.n_events - 1], ISOL8_EVENT_EXIT);

    auto_result isol8_result *res = it_watch_finish(&w);
    it_expect_out(res, ISOL8_VERDICT_EXIT, 7, "out\n");
    assert_string_equal(isol8_result_stderr(res, NULL), "err\n");
    assert_string_equal(isol8_result_detail(res), "exit code 7");
}

/* Without capture the events still have everything, and the result has no text. */
static void test_no_capture(void **state)
{
    auto_engine isol8_engine *e = it_engine(NULL);
    auto_result isol8_result *res = NULL;
    isol8_request rq = it_cmd("echo out");
    isol8_run *run = NULL;
    size_t n = 1;

    (void)state;
    assert_int_equal(isol8_run_start(e, &rq, 0, &run, NULL), 0);
    assert_int_equal(isol8_run_finish(run, &res, NULL), 0);
    it_expect_out(res, ISOL8_VERDICT_OK, 0, "");
    (void)isol8_result_stdout(res, &n);
    assert_int_equal(n, 0);
}

static void test_bytes_are_exact(void **state)
{
    static const char want[] = "\0\377\r\n\xc3\x28 %s\033[0m";
    auto_result isol8_result *res = it_run("printf '\\0\\377\\r\\n\\303( %%s\\033[0m'");
    size_t n;

    (void)state;
    it_expect(res, ISOL8_VERDICT_OK, 0);
    const char *got = isol8_result_stdout(res, &n);
    assert_int_equal(n, sizeof(want) - 1);
    assert_memory_equal(got, want, n);
}

/* Output arrives while the program runs, not at its end. */
static void test_output_is_streamed(void **state)
{
    isol8_request rq = it_cmd("echo first; read -r line; echo \"got $line\"");
    struct it_watch w;

    (void)state;
    rq.stdin_open = true;
    it_watch_start(&w, NULL, &rq);
    it_watch_until(&w, "first\n");
    assert_int_equal(isol8_run_stdin(w.run, "second\n", 7, NULL), 0);
    it_watch_until(&w, "got second\n");
    auto_result isol8_result *res = it_watch_finish(&w);
    it_expect_out(res, ISOL8_VERDICT_OK, 0, "first\ngot second\n");
}

/* ---- How a program ends
 * ---------------------------------------------------------------------------- */

static void test_exit_codes(void **state)
{
    static const struct {
        const char *cmd;
        enum isol8_verdict verdict;
        int code;
        const char *detail;
    } ends[] = {
        { "true", ISOL8_VERDICT_OK, 0, "ok" },
        { "exit 1", ISOL8_VERDICT_EXIT, 1, "exit code 1" },
        { "exit 255", ISOL8_VERDICT_EXIT, 255, "exit code 255" },
        { "no-such-command-here", ISOL8_VERDICT_EXIT, 127, "exit code 127" },
        { "/etc/passwd", ISOL8_VERDICT_EXIT, 126, "exit code 126" },
        { "kill -9 $$", ISOL8_VERDICT_SIGNAL, 137, "killed: signal 9 (SIGKILL)" },
        { "kill -SEGV $$", ISOL8_VERDICT_SIGNAL, 139, "killed: signal 11 (SIGSEGV)" },
        { "kill -TERM $$", ISOL8_VERDICT_SIGNAL, 143, "killed: signal 15 (SIGTERM)" },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(ends); i++) {
        auto_result isol8_result *res = it_run(ends[i].cmd);
        it_expect(res, ends[i].verdict, ends[i].code);
        assert_string_equal(isol8_result_detail(res), ends[i].detail);
        assert_false(isol8_result_truncated(res));
    }
}

static void test_timeout(void **state)
{
    isol8_request rq = it_cmd("echo begun; trap '' TERM INT; while :; do sleep 100; done");
    struct it_watch w;
    double start = it_seconds();

    (void)state;
    rq.timeout_ms = 400;
    it_watch_start(&w, NULL, &rq);
    it_watch_to_end(&w);
    assert_string_equal(w.text[0], "begun\n");
    assert_string_equal(w.error_text, "EXECUTION TIMED OUT");
    assert_string_equal(w.exit_text, "137");
    assert_int_equal(w.types[w.n_events - 2], ISOL8_EVENT_ERROR);
    assert_int_equal(w.types[w.n_events - 1], ISOL8_EVENT_EXIT);
    auto_result isol8_result *res = it_watch_finish(&w);
    it_expect_out(res, ISOL8_VERDICT_TIMEOUT, 137, "begun\n");
    assert_string_equal(isol8_result_detail(res), "killed: time limit 400 ms reached");
    assert_true(it_seconds() - start < 30);
}

/* A timeout of one millisecond may end staging: it is a result all the same. */
static void test_shortest_timeout(void **state)
{
    isol8_request rq = it_cmd("sleep 50");

    (void)state;
    rq.timeout_ms = 1;
    auto_result isol8_result *res = it_execute(NULL, &rq);
    it_expect(res, ISOL8_VERDICT_TIMEOUT, 137);
}

static void test_signal(void **state)
{
    isol8_request rq = it_cmd("trap 'echo caught; exit 5' USR1; echo ready; "
                              "while :; do read -r -t 1 _; done");
    struct it_watch w;
    isol8_error err;

    (void)state;
    rq.stdin_open = true;
    it_watch_start(&w, NULL, &rq);
    assert_int_equal(isol8_run_signal(w.run, SIGUSR1, &err), ISOL8_E_STATE);
    assert_string_equal(err.msg, "no program is running yet");
    assert_int_equal(isol8_run_signal(w.run, 0, &err), ISOL8_E_INVAL);
    assert_int_equal(isol8_run_signal(w.run, 65, &err), ISOL8_E_INVAL);
    it_watch_until(&w, "ready\n");
    assert_int_equal(isol8_run_signal(w.run, SIGUSR1, &err), 0);
    it_watch_until(&w, "caught\n");
    auto_result isol8_result *res = it_watch_finish(&w);
    it_expect(res, ISOL8_VERDICT_EXIT, 5);
}

/* ---- Cancelling
 * ------------------------------------------------------------------------------------ */

static void test_cancel_at_once(void **state)
{
    isol8_request rq = it_cmd("echo never; sleep 100");
    struct it_watch w;

    (void)state;
    it_watch_start(&w, NULL, &rq);
    isol8_run_cancel(w.run);
    isol8_run_cancel(w.run);
    auto_result isol8_result *res = it_watch_finish(&w);
    it_expect(res, ISOL8_VERDICT_CANCELLED, 137);
    assert_string_equal(isol8_result_detail(res), "killed: cancelled");
}

static void test_cancel_while_running(void **state)
{
    isol8_request rq = it_cmd("echo begun; (sleep 100 & sleep 100); sleep 100");
    struct it_watch w;

    (void)state;
    it_watch_start(&w, NULL, &rq);
    it_watch_until(&w, "begun\n");
    isol8_run_cancel(w.run);
    auto_result isol8_result *res = it_watch_finish(&w);
    it_expect_out(res, ISOL8_VERDICT_CANCELLED, 137, "begun\n");
}

static void *cancel_run(void *run)
{
    isol8_run_cancel(run);
    return NULL;
}

static void test_cancel_from_another_thread(void **state)
{
    isol8_request rq = it_cmd("sleep 100");
    struct it_watch w;
    pthread_t thread;

    (void)state;
    it_watch_start(&w, NULL, &rq);
    assert_int_equal(pthread_create(&thread, NULL, cancel_run, w.run), 0);
    it_watch_to_end(&w);
    assert_int_equal(pthread_join(thread, NULL), 0);
    auto_result isol8_result *res = it_watch_finish(&w);
    it_expect(res, ISOL8_VERDICT_CANCELLED, 137);
}

/* Finishing a run that nobody drove: it is driven to its end. */
static void test_finish_without_driving(void **state)
{
    auto_engine isol8_engine *e = it_engine(NULL);
    auto_result isol8_result *res = NULL;
    isol8_request rq = it_cmd("echo done; sleep 100");
    isol8_run *run = NULL;

    (void)state;
    assert_int_equal(isol8_run_start(e, &rq, ISOL8_RUN_CAPTURE, &run, NULL), 0);
    isol8_run_cancel(run);
    assert_int_equal(isol8_run_finish(run, NULL, NULL), 0);

    rq.cmd = "echo done";
    assert_int_equal(isol8_run_start(e, &rq, ISOL8_RUN_CAPTURE, &run, NULL), 0);
    assert_int_equal(isol8_run_finish(run, &res, NULL), 0);
    it_expect_out(res, ISOL8_VERDICT_OK, 0, "done\n");
}

/* ---- Standard input
 * -------------------------------------------------------------------------------- */

static void test_stdin_absent(void **state)
{
    auto_result isol8_result *res = it_run("wc -c; readlink /proc/self/fd/0");

    (void)state;
    it_expect_out(res, ISOL8_VERDICT_OK, 0, "0\n/dev/null\n");
}

static void test_stdin_data(void **state)
{
    size_t size = 5 << 20;
    auto_free char *data = it_noise(size, 1);
    isol8_options o = it_options();
    isol8_request rq = it_cmd("cat");
    size_t n;

    (void)state;
    o.max_output_size = 2 * size;
    rq.stdin_data = data;
    rq.stdin_size = size;
    auto_result isol8_result *res = it_execute(&o, &rq);
    it_expect(res, ISOL8_VERDICT_OK, 0);
    const char *got = isol8_result_stdout(res, &n);
    assert_int_equal(n, size);
    assert_memory_equal(got, data, size);

    rq = it_cmd("cat /dev/stdin | wc -c; echo to-err >/dev/stderr; echo to-out >/dev/stdout");
    rq.stdin_data = "a\0b";
    rq.stdin_size = 3;
    auto_result isol8_result *again = it_execute(&o, &rq);
    it_expect_out(again, ISOL8_VERDICT_OK, 0, "3\nto-out\n");
    assert_string_equal(isol8_result_stderr(again, NULL), "to-err\n");
}

/* More than a pipe holds, queued before the program runs, then more, then the end. */
static void test_stdin_open(void **state)
{
    size_t size = 3 << 20;
    auto_free char *data = it_noise(size, 2);
    isol8_request rq = it_cmd("wc -c");
    struct it_watch w;
    isol8_error err;

    (void)state;
    rq.stdin_open = true;
    rq.stdin_data = data;
    rq.stdin_size = 10;
    it_watch_start(&w, NULL, &rq);
    assert_int_equal(isol8_run_stdin(w.run, data, size, &err), 0);
    assert_int_equal(isol8_run_stdin(w.run, "x", 1, &err), 0);
    assert_int_equal(isol8_run_stdin(w.run, NULL, 0, &err), 0);
    assert_int_equal(isol8_run_stdin(w.run, "x", 1, &err), ISOL8_E_STATE);
    auto_result isol8_result *res = it_watch_finish(&w);
    it_expect_out(res, ISOL8_VERDICT_OK, 0, "3145739\n");
}

static void test_stdin_nobody_reads(void **state)
{
    auto_free char *data = it_noise(1 << 20, 3);
    isol8_request rq = it_cmd("exec <&-; echo closed; exit 4");
    struct it_watch w;
    isol8_error err;

    (void)state;
    rq.stdin_open = true;
    it_watch_start(&w, NULL, &rq);
    assert_int_equal(isol8_run_stdin(w.run, data, 1 << 20, &err), 0);
    auto_result isol8_result *res = it_watch_finish(&w); /* no SIGPIPE, no waiting */
    it_expect_out(res, ISOL8_VERDICT_EXIT, 4, "closed\n");
}

static void test_stdin_not_open(void **state)
{
    isol8_request rq = it_cmd("cat");
    struct it_watch w;
    isol8_error err;

    (void)state;
    it_watch_start(&w, NULL, &rq);
    assert_int_equal(isol8_run_stdin(w.run, "x", 1, &err), ISOL8_E_STATE);
    assert_string_equal(err.msg, "stdin is not open");
    auto_result isol8_result *res = it_watch_finish(&w);
    it_expect_out(res, ISOL8_VERDICT_OK, 0, "");
}

static void test_stdin_ceiling(void **state)
{
    size_t size = (64 << 20) + 1;
    auto_free char *data = calloc(1, size);
    isol8_request rq = it_cmd("wc -c");
    struct it_watch w;
    isol8_error err;

    (void)state;
    assert_non_null(data);
    rq.stdin_open = true;
    it_watch_start(&w, NULL, &rq);
    assert_int_equal(isol8_run_stdin(w.run, data, size, &err), ISOL8_E_LIMIT);
    assert_int_equal(isol8_run_stdin(w.run, "ab", 2, &err), 0); /* what fits is still taken */
    assert_int_equal(isol8_run_stdin(w.run, NULL, 0, &err), 0);
    auto_result isol8_result *res = it_watch_finish(&w);
    it_expect_out(res, ISOL8_VERDICT_OK, 0, "2\n");
}

/* ---- Environment and working directory
 * -------------------------------------------------------------- */

static void test_environment(void **state)
{
    static const isol8_pair env[] = { { "GREETING", "hello  $HOME\n" }, { "HOME", "/tmp" } };
    static const isol8_pair secrets[] = { { "TOKEN", "s3cr3t-value" } };
    isol8_options o = it_options();
    isol8_request rq = it_cmd("echo \"$GREETING|$HOME|$HOSTNAME|$(hostname)|$PYTHONUNBUFFERED|"
                              "${#TOKEN}|$TOKEN\"; compgen -e | sort | tr '\\n' ' '; umask");

    (void)state;
    o.secrets = secrets;
    o.n_secrets = 1;
    rq.env = env;
    rq.n_env = 2;
    auto_result isol8_result *res = it_execute(&o, &rq);
    it_expect_out(res, ISOL8_VERDICT_OK, 0,
                  "hello  $HOME\n|/tmp|isol8|isol8|1|12|***\n"
                  "DENO_DIR GREETING HOME HOSTNAME NODE_PATH NPM_CONFIG_PREFIX PATH PWD "
                  "PYTHONUNBUFFERED PYTHONUSERBASE SHLVL TOKEN 0022\n");
}

static void test_workdir(void **state)
{
    static const isol8_file file = { .path = "a/b/file", .data = "x", .size = 1 };
    isol8_request rq = it_cmd("pwd; ls");
    isol8_error err;

    (void)state;
    rq.files = &file;
    rq.n_files = 1;
    rq.workdir = "a//./b/../b/";
    auto_result isol8_result *res = it_execute(NULL, &rq);
    it_expect_out(res, ISOL8_VERDICT_OK, 0, "/sandbox/a/b\nfile\n");

    rq.workdir = "a/nowhere";
    assert_int_equal(it_refused(NULL, &rq, &err), ISOL8_E_INVAL);
    assert_string_equal(err.msg,
                        "Working directory does not exist in the sandbox: /sandbox/a/nowhere");
    rq.workdir = "a/b/file";
    assert_int_equal(it_refused(NULL, &rq, &err), ISOL8_E_INVAL);
    rq.workdir = "../etc";
    assert_int_equal(it_refused(NULL, &rq, &err), ISOL8_E_INVAL);
    assert_string_equal(err.msg, "Working directory must be inside /sandbox");
}

/* ---- Code
 * ------------------------------------------------------------------------------------------- */

static void test_code_sizes(void **state)
{
    static const char head[] = "wc -c <\"$0\"; echo \"$0\"; exit 0\n";
    size_t size = 10 << 20;
    auto_free char *code = malloc(size);
    isol8_request rq;

    (void)state;
    assert_non_null(code);
    isol8_request_init(&rq);
    rq.runtime = "bash";
    rq.code = code;
    rq.code_size = size;
    memset(code, '#', size);
    memcpy(code, head, sizeof(head) - 1);
    auto_result isol8_result *big = it_execute(NULL, &rq);
    it_expect_out(big, ISOL8_VERDICT_OK, 0, "10485760\n/sandbox/main.sh\n");

    memset(code + sizeof(head) - 1, 0, 5000); /* NUL bytes arrive as they are */
    rq.code_size = 5000;
    rq.file_extension = ".x-1";
    auto_result isol8_result *nul = it_execute(NULL, &rq);
    it_expect_out(nul, ISOL8_VERDICT_OK, 0, "5000\n/sandbox/main.x-1\n");
}

static void test_refused_requests(void **state)
{
    static const char none[] =
        "ExecutionRequest must include exactly one of: code, codeUrl, or cmd.";
    auto_free char *long_cmd = malloc(140000);
    isol8_request rq = it_cmd("");
    isol8_error err;

    (void)state;
    assert_int_equal(it_refused(NULL, &rq, &err), ISOL8_E_INVAL);
    assert_string_equal(err.msg, none);
    rq.cmd = " \t\r\n";
    assert_int_equal(it_refused(NULL, &rq, &err), ISOL8_E_INVAL);
    assert_string_equal(err.msg, none);
    rq.cmd = "true";
    rq.code = "true";
    rq.code_size = 4;
    assert_int_equal(it_refused(NULL, &rq, &err), ISOL8_E_INVAL);
    assert_non_null(strstr(err.msg, "are mutually exclusive"));

    rq = it_cmd("true");
    rq.runtime = "perl";
    assert_int_equal(it_refused(NULL, &rq, &err), ISOL8_E_INVAL);
    assert_string_equal(err.msg, "Unknown runtime: \"perl\". Available: python, node, bun, bash, "
                                 "deno, agent");

    assert_non_null(long_cmd);
    memset(long_cmd, ' ', 139999);
    memcpy(long_cmd, "true", 4);
    long_cmd[139999] = '\0';
    rq = it_cmd(long_cmd);
    assert_int_equal(it_refused(NULL, &rq, &err), ISOL8_E_LIMIT);
    long_cmd[131071] = '\0'; /* the longest that execve(2) takes */
    auto_result isol8_result *res = it_execute(NULL, &rq);
    it_expect(res, ISOL8_VERDICT_OK, 0);
}

static void test_images_that_are_not_there(void **state)
{
    static const char *const names[] = { "nowhere:latest", "../../etc", "isol8:../x", "/", "" };
    isol8_options o = it_options();
    isol8_request rq = it_cmd("true");
    isol8_error err;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        o.image = names[i];
        int r = it_refused(&o, &rq, &err);
        assert_true(r == ISOL8_E_IMAGE || r == ISOL8_E_INVAL);
        assert_true(strlen(err.msg) > 0);
    }
}

/* ---- The result
 * ------------------------------------------------------------------------------------- */

static void test_result_as_json(void **state)
{
    static const char *const keys[] = { "stdout",        "stderr",    "exitCode",
                                        "durationMs",    "truncated", "executionId",
                                        "runtime",       "timestamp", "containerId",
                                        "resourceUsage", "verdict",   "verdictDetail",
                                        "userNamespace" };
    static const char *const usage_keys[] = { "cpuPercent", "memoryMB", "peakMemoryMB", "cpuMs",
                                              "wallMs" };
    auto_result isol8_result *res = it_run("printf 'a\\303(\\0b \\n\\n'; exit 3");
    auto_free char *text = isol8_result_json(res);
    auto_json cJSON *j = cJSON_Parse(text);

    (void)state;
    assert_non_null(j);
    assert_int_equal(cJSON_GetArraySize(j), ARRAY_LEN(keys));
    for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
        if (!cJSON_HasObjectItem(j, keys[i]))
            fail_msg("no '%s' in %s", keys[i], text);
    }
    const cJSON *usage = cJSON_GetObjectItemCaseSensitive(j, "resourceUsage");
    for (size_t i = 0; i < ARRAY_LEN(usage_keys); i++)
        assert_true(cJSON_IsNumber(cJSON_GetObjectItemCaseSensitive(usage, usage_keys[i])));
    assert_int_equal(cJSON_GetObjectItem(j, "exitCode")->valueint, 3);
    assert_string_equal(cJSON_GetObjectItem(j, "verdict")->valuestring, "exit");
    assert_string_equal(cJSON_GetObjectItem(j, "runtime")->valuestring, "bash");
    assert_int_equal(strlen(cJSON_GetObjectItem(j, "containerId")->valuestring), 64);
    assert_int_equal(strlen(cJSON_GetObjectItem(j, "executionId")->valuestring), 36);
    assert_int_equal(strlen(cJSON_GetObjectItem(j, "timestamp")->valuestring), 24);
    assert_true(cJSON_IsTrue(cJSON_GetObjectItem(j, "userNamespace")));
}

static void test_usage(void **state)
{
    auto_result isol8_result *res = it_run("for ((i = 0; i < 200000; i++)); do :; done");
    auto_result isol8_result *hog = it_guest(NULL, "alloc 100");
    isol8_usage u;

    (void)state;
    it_expect(res, ISOL8_VERDICT_OK, 0);
    isol8_result_usage(res, &u);
    assert_in_range(u.cpu_us, 5000, 60000000);
    assert_true(u.wall_us > 5000);
    assert_in_range(u.memory_peak_bytes, 100 << 10, 512 << 20);
    assert_int_equal(isol8_result_duration_ms(res), u.wall_us / 1000);

    it_expect(hog, ISOL8_VERDICT_OK, 0);
    isol8_result_usage(hog, &u);
    assert_in_range(u.memory_peak_bytes, 100 << 20, 140 << 20);
}

/* Nothing accumulates in the caller's process. */
static void test_no_descriptor_is_kept(void **state)
{
    auto_result isol8_result *warm_up = it_run("true");
    size_t before = it_count_fds();

    (void)state;
    it_expect(warm_up, ISOL8_VERDICT_OK, 0);
    for (int i = 0; i < 5; i++) {
        auto_result isol8_result *res = it_run("echo x; echo y >&2; exit 1");
        it_expect(res, ISOL8_VERDICT_EXIT, 1);
    }
    isol8_request rq = it_cmd("true");
    isol8_error err;
    rq.workdir = "nowhere";
    assert_int_equal(it_refused(NULL, &rq, &err), ISOL8_E_INVAL);
    assert_int_equal(it_count_fds(), before);
}

static void test_option_errors(void **state)
{
    isol8_options o = it_options();
    isol8_engine *e = NULL;
    isol8_error err;

    (void)state;
    o.memory_limit = "64x";
    assert_int_equal(isol8_create(&e, it_host(), &o, &err), ISOL8_E_INVAL);
    assert_string_equal(err.msg,
                        "Invalid memory limit format: \"64x\". Use e.g. \"512m\", \"1g\".");
    o = it_options();
    o.network = "internet";
    assert_int_equal(isol8_create(&e, it_host(), &o, &err), ISOL8_E_INVAL);
    o = it_options();
    o.network = "filtered";
    o.allow = (const char *const[]){ "^a$", "(" };
    o.n_allow = 2;
    assert_int_equal(isol8_create(&e, it_host(), &o, &err), ISOL8_E_INVAL);
    assert_non_null(strstr(err.msg, "network.whitelist[1]"));
    o = it_options();
    o.timeout_ms = 0;
    assert_int_equal(isol8_create(&e, it_host(), &o, &err), ISOL8_E_INVAL);
    o = it_options();
    o.pids_limit = -3;
    assert_int_equal(isol8_create(&e, it_host(), &o, &err), ISOL8_E_INVAL);
    o = it_options();
    o.cpu_limit = -1;
    assert_int_equal(isol8_create(&e, it_host(), &o, &err), ISOL8_E_INVAL);
    o = it_options();
    o.max_concurrent = 0;
    assert_int_equal(isol8_create(&e, it_host(), &o, &err), ISOL8_E_INVAL);
    assert_string_equal(err.msg, "Semaphore max must be >= 1");
    o = it_options();
    o.size = 1;
    assert_int_equal(isol8_create(&e, it_host(), &o, &err), ISOL8_E_INVAL);
    assert_null(e);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_events),
        cmocka_unit_test(test_no_capture),
        cmocka_unit_test(test_bytes_are_exact),
        cmocka_unit_test(test_output_is_streamed),
        cmocka_unit_test(test_exit_codes),
        cmocka_unit_test(test_timeout),
        cmocka_unit_test(test_shortest_timeout),
        cmocka_unit_test(test_signal),
        cmocka_unit_test(test_cancel_at_once),
        cmocka_unit_test(test_cancel_while_running),
        cmocka_unit_test(test_cancel_from_another_thread),
        cmocka_unit_test(test_finish_without_driving),
        cmocka_unit_test(test_stdin_absent),
        cmocka_unit_test(test_stdin_data),
        cmocka_unit_test(test_stdin_open),
        cmocka_unit_test(test_stdin_nobody_reads),
        cmocka_unit_test(test_stdin_not_open),
        cmocka_unit_test(test_stdin_ceiling),
        cmocka_unit_test(test_environment),
        cmocka_unit_test(test_workdir),
        cmocka_unit_test(test_code_sizes),
        cmocka_unit_test(test_refused_requests),
        cmocka_unit_test(test_images_that_are_not_there),
        cmocka_unit_test(test_result_as_json),
        cmocka_unit_test(test_usage),
        cmocka_unit_test(test_no_descriptor_is_kept),
        cmocka_unit_test(test_option_errors),
    };

    return cmocka_run_group_tests(tests, it_open, it_close);
}
