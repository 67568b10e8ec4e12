/* SPDX-License-Identifier: Apache-2.0 */
/* test_result.c - verdicts: which one wins, what it says, and the JSON form. */
#include "executor/result.h"

#include <signal.h>
#include <string.h>

#include "base/json.h"
#include "base/mem.h"
#include "executor/init/proto.h"
#include "tests/support/test.h"

#define EXITED(code) ((code) << 8)

static const struct verdict_facts plain = {
    .timeout_ms = 5000,
    .memory_text = "64m",
    .pids_limit = 32,
    .max_output = 1000,
    .sandbox_bytes = 512 << 20,
    .tmp_bytes = 3 << 10,
};

static void expect(const struct verdict_facts *f, enum isol8_verdict verdict, int code,
                   const char *detail)
{
    struct isol8_result res = { 0 };

    exec_result_judge(&res, f);
    assert_string_equal(res.detail, detail);
    assert_int_equal(res.verdict, verdict);
    assert_int_equal(res.exit_code, code);
}

static void test_plain_ends(void **state)
{
    struct verdict_facts f = plain;

    (void)state;
    expect(&f, ISOL8_VERDICT_OK, 0, "ok");
    f.wait_status = EXITED(3);
    expect(&f, ISOL8_VERDICT_EXIT, 3, "exit code 3");
    f.wait_status = EXITED(255);
    expect(&f, ISOL8_VERDICT_EXIT, 255, "exit code 255");
    f.wait_status = SIGSEGV;
    expect(&f, ISOL8_VERDICT_SIGNAL, 139, "killed: signal 11 (SIGSEGV)");
    f.wait_status = SIGKILL | 0x80; /* with a core file */
    expect(&f, ISOL8_VERDICT_SIGNAL, 137, "killed: signal 9 (SIGKILL)");
}

/* Counters explain a failure; they do not make one. */
static void test_limits_need_a_failure(void **state)
{
    struct verdict_facts f = plain;

    (void)state;
    f.oom_kills = 1;
    f.pids_refused = 1;
    f.full = INIT_FULL_SANDBOX | INIT_FULL_TMP;
    expect(&f, ISOL8_VERDICT_OK, 0, "ok");
    f.wait_status = SIGKILL;
    expect(&f, ISOL8_VERDICT_MEMORY, 137, "killed: memory limit 64m reached");
    f.wait_status = EXITED(1);
    expect(&f, ISOL8_VERDICT_MEMORY, 1, "a process was killed: memory limit 64m reached");
    f.oom_kills = 0;
    expect(&f, ISOL8_VERDICT_PIDS, 1, "failed: limit of 32 processes reached");
    f.pids_refused = 0;
    expect(&f, ISOL8_VERDICT_DISK, 1, "failed: /sandbox is full (limit 512m)");
    f.full = INIT_FULL_TMP;
    expect(&f, ISOL8_VERDICT_DISK, 1, "failed: /tmp is full (limit 3k)");
    f.full = 0;
    expect(&f, ISOL8_VERDICT_EXIT, 1, "exit code 1");
}

static void test_order(void **state)
{
    struct verdict_facts f = plain;

    (void)state;
    f.timed_out = f.cancelled = f.truncated = true;
    f.oom_kills = 1;
    f.wait_status = EXITED(0);
    expect(&f, ISOL8_VERDICT_TIMEOUT, 137, "killed: time limit 5000 ms reached");
    f.timed_out = false;
    expect(&f, ISOL8_VERDICT_CANCELLED, 137, "killed: cancelled");
    f.cancelled = false;
    expect(&f, ISOL8_VERDICT_OUTPUT, 0, "output cut: limit of 1000 bytes a stream reached");
    f.wait_status = EXITED(4); /* the exit code stays the program's */
    expect(&f, ISOL8_VERDICT_OUTPUT, 4, "output cut: limit of 1000 bytes a stream reached");
}

static void test_sandbox_gone(void **state)
{
    struct verdict_facts f = plain;

    (void)state;
    f.died_unexplained = true;
    expect(&f, ISOL8_VERDICT_SIGNAL, 137, "killed: the sandbox ended from outside");
    f.oom_kills = 2;
    expect(&f, ISOL8_VERDICT_MEMORY, 137, "killed: memory limit 64m reached");
}

static void test_names(void **state)
{
    static const char *const names[] = { "ok",   "exit",   "signal", "timeout",  "memory",
                                         "pids", "output", "disk",   "cancelled" };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        assert_string_equal(isol8_verdict_name((enum isol8_verdict)i), names[i]);
    assert_string_equal(isol8_verdict_name((enum isol8_verdict)ARRAY_LEN(names)), "unknown");
}

/* Text is made UTF-8 and loses the white space at its end; files are base64. */
static void test_json(void **state)
{
    isol8_file files[] = { { "a\"b", "\0\1\xff", 3 }, { "empty", "", 0 } };
    struct isol8_result res = { .out = (char *)"a\xff\n\t \n",
                                .out_size = 6,
                                .runtime = "bash",
                                .detail = "d",
                                .files = files,
                                .n_files = 2,
                                .asked_for_files = true };
    auto_free char *text = isol8_result_json(&res);
    auto_json cJSON *j = cJSON_Parse(text);

    (void)state;
    assert_non_null(j);
    assert_string_equal(json_string(j, "stdout"), "a\xef\xbf\xbd");
    assert_string_equal(json_string(j, "stderr"), "");
    const cJSON *f = cJSON_GetObjectItemCaseSensitive(j, "files");
    assert_string_equal(json_string(f, "a\"b"), "AAH/");
    assert_string_equal(json_string(f, "empty"), "");

    res.asked_for_files = false;
    auto_free char *without = isol8_result_json(&res);
    assert_null(strstr(without, "\"files\""));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_plain_ends), cmocka_unit_test(test_limits_need_a_failure),
        cmocka_unit_test(test_order),      cmocka_unit_test(test_sandbox_gone),
        cmocka_unit_test(test_names),      cmocka_unit_test(test_json),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
