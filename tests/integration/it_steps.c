/* SPDX-License-Identifier: Apache-2.0 */
/* it_steps.c - what comes before the code: files, setup scripts; and what is written down after. */
#include "tests/integration/it.h"

#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/json.h"

/* ---- Events as one text --------------------------------------------------------------------- */

/* "setup out a\n|setup exit 0|code out b\n|code exit 0|": output that came in pieces is joined. */
struct story {
    char text[8192];
    char last[16];
};

static int tell(const isol8_event *ev, void *user)
{
    static const char *const types[] = { "out", "err", "exit", "error" };
    struct story *s = user;
    char head[16];
    size_t n = strlen(s->text);

    (void)snprintf(head, sizeof(head), "%s %s ", ev->phase == ISOL8_PHASE_SETUP ? "setup" : "code",
                   types[ev->type]);
    if (strcmp(head, s->last) != 0 || ev->type >= ISOL8_EVENT_EXIT)
        n += (size_t)snprintf(s->text + n, sizeof(s->text) - n, "%s%s", n == 0 ? "" : "|", head);
    (void)snprintf(s->last, sizeof(s->last), "%s", head);
    (void)snprintf(s->text + n, sizeof(s->text) - n, "%.*s", (int)ev->size, ev->data);
    return 0;
}

static isol8_result *stream(isol8_engine *e, const isol8_request *rq, struct story *s)
{
    isol8_result *res = NULL;
    isol8_error err = { 0 };

    *s = (struct story){ "", "" };
    if (isol8_execute_stream(e, rq, tell, s, &res, &err) < 0)
        fail_msg("isol8_execute_stream: %s", err.msg);
    return res;
}

/* ---- Setup scripts -------------------------------------------------------------------------- */

static void test_order(void **state)
{
    auto_engine isol8_engine *e = it_engine(NULL);
    isol8_file file = { "data", "in file\n", 8 };
    isol8_pair env[] = { { "GIVEN", "by env" } };
    isol8_request rq = it_cmd("cat data made; echo $GIVEN; ls -A");
    struct story s;

    (void)state;
    rq.files = &file;
    rq.n_files = 1;
    rq.env = env;
    rq.n_env = 1;
    rq.setup_script = "pwd; cat data; echo \"$GIVEN\"\ncp data made; id -un >&2\n"
                      "case $PATH in *:/sbin) echo long path;; esac\n";
    auto_result isol8_result *res = stream(e, &rq, &s);
    it_expect(res, ISOL8_VERDICT_OK, 0);
    assert_non_null(strstr(s.text, "setup out /sandbox\nin file\nby env\n"));
    assert_non_null(strstr(s.text, "long path\n"));
    assert_non_null(strstr(s.text, "setup err sandbox\n"));
    assert_non_null(strstr(s.text, "|setup exit 0|code out in file\nin file\nby env\ndata\nmade\n"
                                   "|code exit 0"));
    assert_null(strstr(s.text, ".isol8-setup")); /* the script is gone before the code starts */
}

static void test_failure_in_a_stream(void **state)
{
    auto_engine isol8_engine *e = it_engine(NULL);
    isol8_request rq = it_cmd("echo never");
    struct story s;

    (void)state;
    rq.setup_script = "echo so far; exit 3\n";
    auto_result isol8_result *res = stream(e, &rq, &s);
    assert_string_equal(s.text, "setup out so far\n|setup error Setup script failed (exit code 3)"
                                "|setup exit 3");
    assert_int_equal(isol8_result_exit_code(res), 3);
    assert_int_equal(isol8_result_verdict(res), ISOL8_VERDICT_EXIT);
}

static void test_timeout_in_a_stream(void **state)
{
    auto_engine isol8_engine *e = it_engine(NULL);
    isol8_request rq = it_cmd("echo never");
    struct story s;

    (void)state;
    rq.setup_script = "echo so far; sleep 100\n";
    rq.timeout_ms = 400;
    auto_result isol8_result *res = stream(e, &rq, &s);
    assert_string_equal(s.text, "setup out so far\n|setup error SETUP SCRIPT TIMED OUT"
                                "|setup exit 137");
    it_expect(res, ISOL8_VERDICT_TIMEOUT, 137);
}

static void test_failure_in_one_piece(void **state)
{
    static const isol8_pair secret = { "TOKEN", "s3cr3t-value" };
    isol8_options o = it_options();
    isol8_request rq = it_cmd("echo never");
    isol8_error err = { 0 };

    (void)state;
    o.secrets = &secret;
    o.n_secrets = 1;
    rq.setup_script = "echo out; echo \"it was $TOKEN\" >&2; exit 4";
    assert_int_equal(it_refused(&o, &rq, &err), ISOL8_E_INVAL);
    assert_string_equal(err.msg, "Setup script failed (exit code 4): it was ***");
    rq.setup_script = "kill -9 $$";
    (void)it_refused(&o, &rq, &err);
    assert_string_equal(err.msg, "Setup script failed (exit code 137): ");
    rq.setup_script = "echo waiting >&2; sleep 100";
    rq.timeout_ms = 400;
    assert_int_equal(it_refused(&o, &rq, &err), ISOL8_E_TIMEOUT);
    assert_string_equal(err.msg, "Setup script failed (exit code 137): waiting; the time limit was "
                                 "reached");
}

/* Its output is masked and limited like any other, and not part of the result. */
static void test_setup_output(void **state)
{
    static const isol8_pair secret = { "TOKEN", "s3cr3t-value" };
    isol8_options o = it_options();
    isol8_request rq = it_cmd("echo code");
    struct story s;

    (void)state;
    o.secrets = &secret;
    o.n_secrets = 1;
    o.max_output_size = 3000;
    auto_engine isol8_engine *e = it_engine(&o);
    rq.setup_script =
        "printf 's3cr3t-'; sleep 0.1; echo value; head -c 100000 /dev/zero | tr '\\0' x";
    auto_result isol8_result *streamed = stream(e, &rq, &s);
    assert_non_null(strstr(s.text, "setup out ***\nxxx"));
    assert_null(strstr(s.text, "s3cr3t"));
    assert_true(strlen(s.text) < 3500);
    it_expect(streamed, ISOL8_VERDICT_OK, 0);
    isol8_result *res = NULL;
    assert_int_equal(isol8_execute(e, &rq, &res, NULL), 0);
    it_expect_out(res, ISOL8_VERDICT_OK, 0, "code\n");
    isol8_result_free(res);
}

/* A server that the script started serves the code. */
static void test_background_of_setup(void **state)
{
    auto_engine isol8_engine *e = it_engine(NULL);
    isol8_request rq = it_cmd("for i in 1 2 3 4 5; do [ -e beat ] && break; sleep 0.1; done; "
                              "pgrep -c sleep; cat beat");
    isol8_result *res = NULL;

    (void)state;
    rq.setup_script = "(while :; do echo beat >beat; sleep 0.05; done) & sleep 300 & echo ok";
    assert_int_equal(isol8_execute(e, &rq, &res, NULL), 0);
    assert_non_null(strstr(isol8_result_stdout(res, NULL), "beat\n"));
    assert_int_equal(isol8_result_exit_code(res), 0);
    isol8_result_free(res);
}

static void test_one_deadline(void **state)
{
    auto_engine isol8_engine *e = it_engine(NULL);
    isol8_request rq = it_cmd("sleep 2");
    isol8_result *res = NULL;

    (void)state;
    rq.setup_script = "sleep 1";
    rq.timeout_ms = 1500;
    double start = it_seconds();
    assert_int_equal(isol8_execute(e, &rq, &res, NULL), 0);
    it_expect(res, ISOL8_VERDICT_TIMEOUT, 137);
    assert_true(it_seconds() - start < 2.9);
    isol8_result_free(res);
}

static void test_hostile_setup(void **state)
{
    auto_engine isol8_engine *e = it_engine(NULL);
    isol8_request rq = it_cmd("echo code");
    isol8_result *res = NULL;

    (void)state;
    /* What it leaves in place of its own file is removed or left alone, but never followed. */
    rq.setup_script = "rm -f \"$0\"; mkdir \"$0\"; exec >&- 2>&-; kill -9 -1; true";
    assert_int_equal(isol8_execute(e, &rq, &res, NULL), 0);
    it_expect_out(res, ISOL8_VERDICT_OK, 0, "code\n");
    isol8_result_free(res);
}

static void test_streaming_can_stop(void **state)
{
    auto_engine isol8_engine *e = it_engine(NULL);
    isol8_request rq = it_cmd("while :; do echo flood; done");
    isol8_run *run = NULL;
    isol8_result *res = NULL;

    (void)state;
    /* Cancel in the middle of a flood that nobody reads. */
    assert_int_equal(isol8_run_start(e, &rq, 0, &run, NULL), 0);
    (void)usleep(300000);
    isol8_run_cancel(run);
    assert_int_equal(isol8_run_finish(run, &res, NULL), 0);
    it_expect(res, ISOL8_VERDICT_CANCELLED, 137);
    isol8_result_free(res);
}

/* ---- What is written down ------------------------------------------------------------------- */

static char audit_dir[300];

static isol8_audit_options audit_options(void)
{
    isol8_audit_options a;

    isol8_audit_options_init(&a);
    (void)snprintf(audit_dir, sizeof(audit_dir), "%s/audit", getenv("ISOL8_TEST_DIR"));
    a.enabled = true;
    a.log_dir = audit_dir;
    return a;
}

static const char *text_of(const cJSON *j, const char *key)
{
    return cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(j, key));
}

/* The log's last record; the log is emptied. */
static cJSON *last_record(void)
{
    char path[400];
    size_t n;

    (void)snprintf(path, sizeof(path), "%s/executions.log", audit_dir);
    auto_free char *text = it_read_file(path, &n);
    assert_int_equal(truncate(path, 0), 0);
    assert_true(n > 1 && text[n - 1] == '\n');
    text[n - 1] = '\0';
    char *line = strrchr(text, '\n');
    line = line == NULL ? text : line + 1;
    cJSON *j = cJSON_Parse(line);
    assert_non_null(j);
    return j;
}

static void test_records(void **state)
{
    static const isol8_pair secret = { "TOKEN", "s3cr3t-value" };
    isol8_pair metadata[] = { { "userId", "u1" }, { "ticket", "has s3cr3t-value in it" } };
    isol8_options o = it_options();
    isol8_audit_options a = audit_options();
    isol8_request rq = it_cmd("echo $TOKEN; exit 5");
    struct story s;

    (void)state;
    a.include_code = true;
    a.include_output = true;
    o.audit = &a;
    o.secrets = &secret;
    o.n_secrets = 1;
    auto_engine isol8_engine *e = it_engine(&o);
    rq.metadata = metadata;
    rq.n_metadata = 2;
    for (int streaming = 0; streaming < 2; streaming++) { /* both forms leave the same record */
        isol8_result *res = NULL;
        if (streaming)
            res = stream(e, &rq, &s);
        else
            assert_int_equal(isol8_execute(e, &rq, &res, NULL), 0);
        auto_json cJSON *j = last_record();
        assert_string_equal(text_of(j, "executionId"), isol8_result_execution_id(res));
        assert_string_equal(text_of(j, "containerId"), isol8_result_container_id(res));
        assert_string_equal(text_of(j, "userId"), "u1");
        assert_string_equal(text_of(j, "runtime"), "bash");
        assert_string_equal(text_of(j, "stdout"), "***\n");
        assert_string_equal(text_of(j, "code"), "echo $TOKEN; exit 5");
        assert_int_equal(cJSON_GetObjectItem(j, "exitCode")->valueint, 5);
        assert_non_null(cJSON_GetObjectItem(j, "resourceUsage"));
        auto_free char *all = cJSON_PrintUnformatted(j);
        assert_null(strstr(all, "s3cr3t"));
        isol8_result_free(res);
    }
}

static void test_failures_are_recorded(void **state)
{
    isol8_options o = it_options();
    isol8_audit_options a = audit_options();
    isol8_request rq = it_cmd("echo never");
    isol8_result *res = NULL;
    isol8_error err = { 0 };

    (void)state;
    o.audit = &a;
    auto_engine isol8_engine *e = it_engine(&o);
    rq.setup_script = "exit 9";
    assert_true(isol8_execute(e, &rq, &res, &err) < 0);
    auto_json cJSON *j = last_record();
    assert_string_equal(text_of(j, "outcome"), "error");
    assert_non_null(strstr(text_of(j, "error"), "Setup script failed (exit code 9)"));
    assert_null(text_of(j, "code"));
    assert_null(text_of(j, "stdout"));

    o.image = "no-such-image";
    auto_engine isol8_engine *missing = it_engine(&o);
    assert_int_equal(isol8_execute(missing, &rq, &res, &err), ISOL8_E_IMAGE);
    auto_json cJSON *k = last_record();
    assert_string_equal(text_of(k, "outcome"), "error");
    assert_non_null(strstr(text_of(k, "error"), "no-such-image"));
}

static void test_disabled_leaves_nothing(void **state)
{
    isol8_options o = it_options();
    isol8_audit_options a = audit_options();
    struct stat st;

    (void)state;
    (void)snprintf(audit_dir, sizeof(audit_dir), "%s/no-audit", getenv("ISOL8_TEST_DIR"));
    a.log_dir = audit_dir;
    a.enabled = false;
    o.audit = &a;
    auto_engine isol8_engine *e = it_engine(&o);
    it_says(e, "echo x", "x\n");
    assert_true(stat(audit_dir, &st) < 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_order),
        cmocka_unit_test(test_failure_in_a_stream),
        cmocka_unit_test(test_timeout_in_a_stream),
        cmocka_unit_test(test_failure_in_one_piece),
        cmocka_unit_test(test_setup_output),
        cmocka_unit_test(test_background_of_setup),
        cmocka_unit_test(test_one_deadline),
        cmocka_unit_test(test_hostile_setup),
        cmocka_unit_test(test_streaming_can_stop),
        cmocka_unit_test(test_records),
        cmocka_unit_test(test_failures_are_recorded),
        cmocka_unit_test(test_disabled_leaves_nothing),
    };

    return cmocka_run_group_tests(tests, it_open, it_close);
}
