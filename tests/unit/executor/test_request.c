/* SPDX-License-Identifier: Apache-2.0 */
/* test_request.c - what a request may be, and what it becomes. */
#include "executor/request.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "tests/support/test.h"

static struct isol8_engine engine = {
    .pids_limit = -2,
    .timeout_ms = 30000,
    .max_output = 1000,
    .tmp_bytes = 1 << 20,
    .readonly_rootfs = true,
};

static isol8_request code(const char *text)
{
    isol8_request rq;

    isol8_request_init(&rq);
    rq.runtime = "python";
    rq.code = text;
    rq.code_size = strlen(text);
    return rq;
}

static void refused(const isol8_request *rq, int status, const char *message)
{
    struct exec_plan p;
    isol8_error err = { 0 };

    assert_int_equal(exec_plan_make(&p, &engine, rq, &err), status);
    exec_plan_done(&p);
    assert_err(err, status, message);
}

/* ---- Working directory
 * ----------------------------------------------------------------------------- */

static void test_workdir(void **state)
{
    static const char *const folded[][2] = {
        { NULL, "/sandbox" },
        { "", "/sandbox" },
        { ".", "/sandbox" },
        { "a", "/sandbox/a" },
        { "a/", "/sandbox/a" },
        { "./a//b/.", "/sandbox/a/b" },
        { "a/../b", "/sandbox/b" },
        { "a/..", "/sandbox" },
        { "/sandbox", "/sandbox" },
        { "/sandbox/", "/sandbox" },
        { "//sandbox//x", "/sandbox/x" },
        { "/sandbox/../sandbox/x/", "/sandbox/x" },
        { "/../sandbox/x", "/sandbox/x" },
        { "/etc/../sandbox", "/sandbox" },
        { "..a/...", "/sandbox/..a/..." },
    };
    static const char *const outside[] = { "/",    "/etc",   "/sandboxx",   "a/../..", "..",
                                           "/tmp", "../tmp", "/sandbox/..", "/sandbo", "//" };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(folded); i++) {
        auto_free char *out = NULL;
        assert_int_equal(exec_workdir(folded[i][0], &out, NULL), 0);
        assert_string_equal(out, folded[i][1]);
    }
    for (size_t i = 0; i < ARRAY_LEN(outside); i++) {
        char *out = NULL;
        isol8_error err = { 0 };
        assert_int_equal(exec_workdir(outside[i], &out, &err), ISOL8_E_INVAL);
        assert_err(err, ISOL8_E_INVAL, "Working directory must be inside /sandbox");
        assert_null(out);
    }
}

/* ---- What is refused
 * ---------------------------------------------------------------------------------- */

static void test_source(void **state)
{
    static const char none[] =
        "ExecutionRequest must include exactly one of: code, codeUrl, or cmd.";
    static const char both[] =
        "ExecutionRequest.code, ExecutionRequest.codeUrl, and ExecutionRequest.cmd are mutually "
        "exclusive \xe2\x80\x94 provide exactly one.";
    isol8_request rq = code("");

    (void)state;
    refused(&rq, ISOL8_E_INVAL, none);
    rq = code(" \n\t\r\v\f");
    refused(&rq, ISOL8_E_INVAL, none);
    rq.cmd = " ";
    refused(&rq, ISOL8_E_INVAL, none);
    rq = code("x");
    rq.cmd = "x";
    refused(&rq, ISOL8_E_INVAL, both);
    rq = code("x");
    rq.runtime = NULL;
    refused(&rq, ISOL8_E_INVAL,
            "Unknown runtime: \"\". Available: python, node, bun, bash, deno, agent");
    rq.runtime = "Python";
    refused(&rq, ISOL8_E_INVAL,
            "Unknown runtime: \"Python\". Available: python, node, bun, bash, deno, agent");
    rq = code("x");
    rq.size = 0;
    refused(&rq, ISOL8_E_INVAL, "the request was not initialised");
    rq = code("x");
    rq.timeout_ms = -1;
    refused(&rq, ISOL8_E_INVAL, "timeoutMs: -1 must be positive");
    rq = code("x");
    rq.runtime = "agent"; /* before the source is looked at */
    rq.code_size = 0;
    refused(&rq, ISOL8_E_POLICY,
            "Agent runtime requires network access. The AI coding agent needs to reach its LLM "
            "provider API. Use --net host, or --net filtered --allow \"api.anthropic.com\" (or "
            "your provider's domain).");
}

static void test_extension(void **state)
{
    static const char *const bad[] = { "",   ".", "py", "./x", ".a/b", ".a b", ".12345678901234567",
                                       ".\n" };
    static const char *const good[] = { ".py", ".x", ".A-b_c.9", ".1234567890123456" };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        isol8_request rq = code("x");
        struct exec_plan p;
        rq.file_extension = bad[i];
        assert_int_equal(exec_plan_make(&p, &engine, &rq, NULL), ISOL8_E_INVAL);
        exec_plan_done(&p);
    }
    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        isol8_request rq = code("x");
        struct exec_plan p;
        char want[64];
        rq.file_extension = good[i];
        (void)snprintf(want, sizeof(want), "/sandbox/main%s", good[i]);
        assert_int_equal(exec_plan_make(&p, &engine, &rq, NULL), 0);
        assert_int_equal(exec_plan_paths(&p, &rq, 0, NULL), 0);
        assert_string_equal(p.script_path, want);
        exec_plan_done(&p);
    }
}

static void test_paths_and_variables(void **state)
{
    isol8_file file = { .path = "x/" };
    const char *out = "";
    isol8_pair var = { "A=B", "x" };
    isol8_request rq = code("x");

    (void)state;
    rq.files = &file;
    rq.n_files = 1;
    refused(&rq, ISOL8_E_INVAL, "files: 'x/' is not the path of a file");
    file.path = NULL;
    refused(&rq, ISOL8_E_INVAL, "files: '' is not the path of a file");
    rq.n_files = REQUEST_FILES_MAX + 1;
    refused(&rq, ISOL8_E_LIMIT, "files: 65537 are more than the limit of 65536");
    rq = code("x");
    rq.output_paths = &out;
    rq.n_output_paths = 1;
    refused(&rq, ISOL8_E_INVAL, "outputPaths: '' is not the path of a file");
    rq.n_output_paths = REQUEST_OUTPUTS_MAX + 1;
    refused(&rq, ISOL8_E_LIMIT, "outputPaths: 4097 are more than the limit of 4096");
    rq = code("x");
    rq.env = &var;
    rq.n_env = 1;
    refused(&rq, ISOL8_E_INVAL, "env: 'A=B' is not a variable name");
    var.key = "";
    refused(&rq, ISOL8_E_INVAL, "env: '' is not a variable name");
}

/* ---- What it becomes
 * ------------------------------------------------------------------------------------ */

static void test_plan(void **state)
{
    isol8_request rq = code("x");
    struct exec_plan p;

    (void)state;
    assert_int_equal(exec_plan_make(&p, &engine, &rq, NULL), 0);
    assert_string_equal(p.image, "isol8:python");
    assert_int_equal(exec_plan_paths(&p, &rq, 0, NULL), 0);
    assert_string_equal(p.script_path, "/sandbox/main.py");
    assert_int_equal(p.limits.pids, 64);
    assert_int_equal(p.sandbox.sandbox_bytes, 512u << 20);
    assert_int_equal(p.timeout_ms, 30000);
    exec_plan_done(&p);

    rq = code("prompt");
    rq.runtime = "agent";
    rq.timeout_ms = 7;
    engine.host_network = true;
    assert_int_equal(exec_plan_make(&p, &engine, &rq, NULL), 0);
    engine.host_network = false;
    assert_int_equal(exec_plan_paths(&p, &rq, 0, NULL), 0);
    assert_null(p.script_path);
    assert_int_equal(p.limits.pids, 200);
    assert_int_equal(p.sandbox.sandbox_bytes, 2048ull << 20);
    assert_int_equal(p.timeout_ms, 7);
    exec_plan_done(&p);

    rq = code("");
    rq.code = NULL;
    rq.cmd = "ls";
    engine.pids_limit = -1;
    assert_int_equal(exec_plan_make(&p, &engine, &rq, NULL), 0);
    engine.pids_limit = -2;
    assert_int_equal(exec_plan_paths(&p, &rq, 0, NULL), 0);
    assert_null(p.script_path);
    assert_int_equal(p.limits.pids, 0);
    exec_plan_done(&p);
}

/* Words of EXEC: cwd, arguments, then each variable once, the request's value before others. */
static void test_strings(void **state)
{
    isol8_pair secrets[] = { { "TOKEN", "t" }, { "HOME", "/secret" } };
    isol8_pair env[] = { { "HOME", "/x" }, { "NEW", "" } };
    auto_buf struct buf out = BUF_INIT(INIT_STRINGS_MAX);
    struct oci_image image = { 0 };
    struct init_exec counts;
    isol8_request rq = code("x");
    struct exec_plan p;
    size_t words = 0, homes = 0;

    (void)state;
    rq.env = env;
    rq.n_env = 2;
    rq.workdir = "w";
    engine.secret_env = secrets;
    engine.n_secret_env = 2;
    assert_int_equal(exec_plan_make(&p, &engine, &rq, NULL), 0);
    assert_int_equal(exec_plan_paths(&p, &rq, 0, NULL), 0);
    assert_int_equal(
        exec_plan_strings(&p, &engine, &rq, &image, rq.n_install > 0, &out, &counts, NULL), 0);
    assert_string_equal(out.data, "/sandbox/w");
    assert_int_equal(counts.argc, 2);
    assert_int_equal(counts.strings_size, out.len);
    assert_non_null(memmem(out.data, out.len, "python3\0/sandbox/main.py\0", 25));
    for (const char *w = out.data; w < out.data + out.len; w += strlen(w) + 1, words++) {
        homes += strncmp(w, "HOME=", 5) == 0;
        if (strncmp(w, "HOME=", 5) == 0)
            assert_string_equal(w, "HOME=/x");
    }
    assert_int_equal(homes, 1);
    assert_int_equal(words, 1 + counts.argc + counts.envc);
    assert_non_null(memmem(out.data, out.len, "\0TOKEN=t\0", 9));
    assert_non_null(memmem(out.data, out.len, "\0NEW=\0", 6));
    exec_plan_done(&p);
    engine.n_secret_env = 0;
}

static void test_too_many_variables(void **state)
{
    static isol8_pair env[REQUEST_ENV_MAX + 1];
    isol8_request rq = code("x");
    isol8_error err = { 0 };
    struct exec_plan p;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(env); i++)
        env[i] = (isol8_pair){ "A", "b" };
    rq.env = env;
    rq.n_env = ARRAY_LEN(env);
    assert_int_equal(exec_plan_make(&p, &engine, &rq, &err), ISOL8_E_LIMIT);
    assert_string_equal(err.msg, "env: 4097 variables are more than the limit of 4096");
    exec_plan_done(&p);
}

static void test_agent_flags(void **state)
{
    auto_buf struct buf out = BUF_INIT(INIT_STRINGS_MAX);
    struct oci_image image = { 0 };
    struct init_exec counts;
    isol8_request rq = code("do it; $(reboot)");
    struct exec_plan p;

    (void)state;
    rq.runtime = "agent";
    rq.agent_flags = "--model 'a b' ; rm";
    engine.host_network = true;
    assert_int_equal(exec_plan_make(&p, &engine, &rq, NULL), 0);
    engine.host_network = false;
    assert_int_equal(exec_plan_paths(&p, &rq, 0, NULL), 0);
    assert_int_equal(exec_plan_strings(&p, &engine, &rq, &image, false, &out, &counts, NULL), 0);
    static const char want[] = "--model\0a b\0;\0rm\0-p\0do it; $(reboot)\0";
    assert_non_null(memmem(out.data, out.len, want, sizeof(want) - 1));
    exec_plan_done(&p);

    rq.agent_flags = "'open";
    engine.host_network = true;
    assert_int_equal(exec_plan_make(&p, &engine, &rq, NULL), ISOL8_E_INVAL);
    engine.host_network = false;
    exec_plan_done(&p);
    rq = code("x"); /* other runtimes ignore the flags */
    rq.agent_flags = "'open";
    assert_int_equal(exec_plan_make(&p, &engine, &rq, NULL), 0);
    exec_plan_done(&p);
}

static void test_strings_ceiling(void **state)
{
    auto_buf struct buf out = BUF_INIT(100);
    struct oci_image image = { 0 };
    struct init_exec counts;
    isol8_request rq = code("x");
    struct exec_plan p;
    isol8_error err;

    (void)state;
    assert_int_equal(exec_plan_make(&p, &engine, &rq, NULL), 0);
    assert_int_equal(exec_plan_paths(&p, &rq, 0, NULL), 0);
    assert_int_equal(
        exec_plan_strings(&p, &engine, &rq, &image, rq.n_install > 0, &out, &counts, &err),
        ISOL8_E_LIMIT);
    exec_plan_done(&p);
}

static void test_detect(void **state)
{
    static const char *const known[][2] = {
        { "a.py", "python" },   { "a.mjs", "node" }, { "a.js", "node" }, { "a.cjs", "node" },
        { "a.ts", "bun" },      { "a.mts", "deno" }, { "a.sh", "bash" }, { "dir.x/a.py", "python" },
        { "a.b.py", "python" }, { ".py", "python" },
    };
    static const char *const unknown[] = { "a", "a.txt", "a.PY", "a.", "dir.py/a", "", "py" };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(known); i++)
        assert_string_equal(isol8_runtime_detect(known[i][0]), known[i][1]);
    for (size_t i = 0; i < ARRAY_LEN(unknown); i++)
        assert_null(isol8_runtime_detect(unknown[i]));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_workdir),
        cmocka_unit_test(test_source),
        cmocka_unit_test(test_extension),
        cmocka_unit_test(test_paths_and_variables),
        cmocka_unit_test(test_plan),
        cmocka_unit_test(test_strings),
        cmocka_unit_test(test_too_many_variables),
        cmocka_unit_test(test_agent_flags),
        cmocka_unit_test(test_strings_ceiling),
        cmocka_unit_test(test_detect),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
