/* SPDX-License-Identifier: Apache-2.0 */
/* it_limits.c - limits hold, and the verdict names the one that was met. */
#include "tests/integration/it.h"

#include <string.h>

/* ---- Memory
 * -------------------------------------------------------------------------------------- */

static void test_memory(void **state)
{
    isol8_options o = it_options();
    isol8_usage u;

    (void)state;
    o.memory_limit = "64m";
    auto_result isol8_result *res = it_guest(&o, "alloc 300");
    it_expect(res, ISOL8_VERDICT_MEMORY, 137);
    assert_string_equal(isol8_result_detail(res), "killed: memory limit 64m reached");
    isol8_result_usage(res, &u);
    assert_in_range(u.memory_peak_bytes, 32 << 20, 64 << 20);

    auto_result isol8_result *fits = it_guest(&o, "alloc 30");
    it_expect_out(fits, ISOL8_VERDICT_OK, 0, "alloc: OK\n");
}

/* Swap would let it live: there is none for a sandbox. A killed child is not a killed program. */
static void test_memory_of_a_child(void **state)
{
    isol8_options o = it_options();
    char cmd[256] = "";
    isol8_request rq = it_cmd(cmd);

    (void)state;
    o.memory_limit = "64m";
    rq.files = it_guest_file();
    rq.n_files = 1;
    (void)snprintf(cmd, sizeof(cmd),
                   "cp guest g; chmod +x g; ./g alloc 300; echo \"child $?\"; "
                   "exit 0");
    auto_result isol8_result *ok = it_execute(&o, &rq);
    it_expect_out(ok, ISOL8_VERDICT_OK, 0, "child 137\n");
    (void)snprintf(cmd, sizeof(cmd), "cp guest g; chmod +x g; ./g alloc 300; exit 3");
    auto_result isol8_result *failed = it_execute(&o, &rq);
    it_expect(failed, ISOL8_VERDICT_MEMORY, 3);
    assert_string_equal(isol8_result_detail(failed),
                        "a process was killed: memory limit 64m reached");
}

/* Files in the sandbox's tmpfs are its memory. */
static void test_memory_in_files(void **state)
{
    isol8_options o = it_options();

    (void)state;
    o.memory_limit = "64m";
    auto_result isol8_result *res = it_guest(&o, "fill /sandbox/full");
    it_expect(res, ISOL8_VERDICT_MEMORY, 137);
    auto_result isol8_result *shm = it_guest(&o, "fill /dev/shm/full");
    assert_true(isol8_result_exit_code(shm) != 0); /* its own size, or the memory limit */
}

static void test_no_memory_limit(void **state)
{
    isol8_options o = it_options();

    (void)state;
    o.memory_limit = "0";
    auto_result isol8_result *res = it_guest(&o, "alloc 600");
    it_expect_out(res, ISOL8_VERDICT_OK, 0, "alloc: OK\n");
}

/* ---- Processes
 * ----------------------------------------------------------------------------------- */

static long number_after(const char *text, const char *name)
{
    const char *at = strstr(text, name);

    if (at == NULL)
        fail_msg("no '%s' in '%s'", name, text);
    return strtol(at + strlen(name), NULL, 10);
}

static void test_pids(void **state)
{
    isol8_options o = it_options();

    (void)state;
    o.pids_limit = 16;
    auto_result isol8_result *res = it_guest(&o, "fork 100");
    it_expect(res, ISOL8_VERDICT_PIDS, 1);
    assert_string_equal(isol8_result_detail(res), "failed: limit of 16 processes reached");
    assert_non_null(strstr(isol8_result_stdout(res, NULL), "fork: EAGAIN"));
    assert_in_range(number_after(isol8_result_stdout(res, NULL), "made: "), 8, 16);

    auto_result isol8_result *fits = it_guest(&o, "fork 5");
    it_expect(fits, ISOL8_VERDICT_OK, 0);

    /* In a process group of its own, because the guest ends its children by it. */
    isol8_request rq = it_cmd("cp guest g; chmod +x g; set -m; ./g fork 100 >/dev/null; exit 0");
    rq.files = it_guest_file();
    rq.n_files = 1;
    auto_result isol8_result *ok = it_execute(&o, &rq);
    it_expect(ok, ISOL8_VERDICT_OK, 0);
}

static void test_default_pids(void **state)
{
    isol8_options o = it_options();

    (void)state;
    auto_result isol8_result *res = it_guest(&o, "fork 1000");
    it_expect(res, ISOL8_VERDICT_PIDS, 1);
    assert_in_range(number_after(isol8_result_stdout(res, NULL), "made: "), 32, 64);
    o.pids_limit = 0;
    auto_result isol8_result *unlimited = it_guest(&o, "fork 200");
    it_expect(unlimited, ISOL8_VERDICT_OK, 0);
}

/* ---- Disk
 * ---------------------------------------------------------------------------------------- */

static void test_disk(void **state)
{
    isol8_options o = it_options();

    (void)state;
    o.sandbox_size = "16m";
    o.tmp_size = "8m";
    auto_result isol8_result *sandbox = it_guest(&o, "fill /sandbox/full");
    it_expect(sandbox, ISOL8_VERDICT_DISK, 1);
    assert_string_equal(isol8_result_detail(sandbox), "failed: /sandbox is full (limit 16m)");
    assert_non_null(strstr(isol8_result_stdout(sandbox, NULL), "fill: ENOSPC"));
    assert_in_range(number_after(isol8_result_stdout(sandbox, NULL), "bytes: "), 8 << 20, 16 << 20);

    auto_result isol8_result *tmp = it_guest(&o, "fill /tmp/full");
    it_expect(tmp, ISOL8_VERDICT_DISK, 1);
    assert_string_equal(isol8_result_detail(tmp), "failed: /tmp is full (limit 8m)");
    assert_in_range(number_after(isol8_result_stdout(tmp, NULL), "bytes: "), 7 << 20, 8 << 20);
}

/* Full once, but no longer, or no failure: other verdicts. */
static void test_disk_was_full(void **state)
{
    isol8_options o = it_options();
    isol8_request rq = it_cmd("cp guest g; chmod +x g; ./g fill full; rm full; exit 4");

    (void)state;
    o.sandbox_size = "16m";
    rq.files = it_guest_file();
    rq.n_files = 1;
    auto_result isol8_result *freed = it_execute(&o, &rq);
    it_expect(freed, ISOL8_VERDICT_EXIT, 4);
    rq.cmd = "cp guest g; chmod +x g; ./g fill full; exit 0";
    auto_result isol8_result *ok = it_execute(&o, &rq);
    it_expect(ok, ISOL8_VERDICT_OK, 0);
}

/* Many small files: inodes are bounded as well, by memory or by count. */
static void test_inodes(void **state)
{
    isol8_options o = it_options();
    isol8_request rq = it_cmd("i=0; while : >/tmp/f$i; do i=$((i + 1)); "
                              "[ $i -lt 400000 ] || exit 0; done; exit 1");

    (void)state;
    o.tmp_size = "4m";
    o.memory_limit = "128m";
    auto_result isol8_result *res = it_execute(&o, &rq);
    assert_true(isol8_result_verdict(res) == ISOL8_VERDICT_DISK ||
                isol8_result_verdict(res) == ISOL8_VERDICT_MEMORY);
}

/* ---- Output
 * -------------------------------------------------------------------------------------- */

static void test_output(void **state)
{
    isol8_options o = it_options();
    isol8_request rq = it_cmd("head -c 100000 /dev/zero | tr '\\0' x; echo err >&2; exit 3");
    static const char marker[] = "\n\n--- OUTPUT TRUNCATED (100000 bytes, limit: 1000) ---";
    struct it_watch w;
    size_t n;

    (void)state;
    o.max_output_size = 1000;
    it_watch_start(&w, &o, &rq);
    it_watch_to_end(&w);
    assert_int_equal(w.n_markers, 1);
    assert_int_equal(w.size[0], 1000 + strlen(marker));
    assert_string_equal(w.text[0] + 1000, marker);
    assert_string_equal(w.exit_text, "3");

    auto_result isol8_result *res = it_watch_finish(&w);
    it_expect(res, ISOL8_VERDICT_OUTPUT, 3);
    assert_string_equal(isol8_result_detail(res),
                        "output cut: limit of 1000 bytes a stream reached");
    assert_true(isol8_result_truncated(res));
    const char *out = isol8_result_stdout(res, &n);
    assert_int_equal(n, 1000 + strlen(marker));
    assert_string_equal(out + 1000, marker);
    assert_string_equal(isol8_result_stderr(res, NULL), "err\n");
}

static void test_output_at_the_limit(void **state)
{
    isol8_options o = it_options();
    isol8_request rq = it_cmd("printf 12345 >&2; printf 1234");

    (void)state;
    o.max_output_size = 5;
    auto_result isol8_result *fits = it_execute(&o, &rq);
    it_expect_out(fits, ISOL8_VERDICT_OK, 0, "1234");
    assert_string_equal(isol8_result_stderr(fits, NULL), "12345");
    assert_false(isol8_result_truncated(fits));

    rq.cmd = "printf 123456 >&2";
    auto_result isol8_result *above = it_execute(&o, &rq);
    it_expect_out(above, ISOL8_VERDICT_OUTPUT, 0, "");
    assert_string_equal(isol8_result_stderr(above, NULL),
                        "12345\n\n--- OUTPUT TRUNCATED (6 bytes, limit: 5) ---");

    o.max_output_size = 0;
    auto_result isol8_result *none = it_execute(&o, &rq);
    it_expect(none, ISOL8_VERDICT_OUTPUT, 0);
    rq.cmd = "true";
    auto_result isol8_result *silent = it_execute(&o, &rq);
    it_expect_out(silent, ISOL8_VERDICT_OK, 0, "");
}

/* ---- CPU
 * ----------------------------------------------------------------------------------------- */

/* By accounting: what the processes used, against the wall time that went by for them. */
static void test_cpu(void **state)
{
    isol8_options o = it_options();
    isol8_request rq = it_cmd("cp guest g; chmod +x g; ./g spin & ./g spin & ./g spin");
    isol8_usage u;

    (void)state;
    o.cpu_limit = 0.25;
    o.timeout_ms = 3000;
    rq.files = it_guest_file();
    rq.n_files = 1;
    auto_result isol8_result *res = it_execute(&o, &rq);
    it_expect(res, ISOL8_VERDICT_TIMEOUT, 137);
    isol8_result_usage(res, &u);
    assert_true(u.wall_us > 1000000);
    assert_true(u.cpu_us > 50000);
    assert_true((double)u.cpu_us < 0.25 * (double)u.wall_us + 200000);
}

/* ---- Resource limits of a process
 * ------------------------------------------------------------------ */

static void test_rlimits(void **state)
{
    (void)state;
    auto_result isol8_result *res = it_run("ulimit -Sn; ulimit -c; ulimit -Hn 65537 2>/dev/null; "
                                           "test $(ulimit -Hn) -le 65536 && echo bounded");
    it_expect_out(res, ISOL8_VERDICT_OK, 0, "1024\n0\nbounded\n");
    auto_result isol8_result *files = it_guest(NULL, "open-files");
    it_expect(files, ISOL8_VERDICT_OK, 0);
    assert_int_equal(number_after(isol8_result_stdout(files, NULL), "made: "), 1021);
    assert_non_null(strstr(isol8_result_stdout(files, NULL), "open-files: EMFILE"));
}

static void test_mount_flags(void **state)
{
    (void)state;
    auto_result isol8_result *res = it_run(
        "cp /bin/true /tmp/t && chmod +x /tmp/t && ! /tmp/t 2>/dev/null && echo tmp-noexec; "
        "cp /bin/true t && ./t && echo sandbox-exec; "
        "stat -c '%u %g %a' /sandbox /tmp; "
        "df --output=target,size -k /sandbox /tmp | tail -n +2 | tr -s ' '");
    it_expect_out(res, ISOL8_VERDICT_OK, 0,
                  "tmp-noexec\nsandbox-exec\n100 101 755\n100 101 1777\n"
                  "/sandbox 524288\n/tmp 262144\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_memory),
        cmocka_unit_test(test_memory_of_a_child),
        cmocka_unit_test(test_memory_in_files),
        cmocka_unit_test(test_no_memory_limit),
        cmocka_unit_test(test_pids),
        cmocka_unit_test(test_default_pids),
        cmocka_unit_test(test_disk),
        cmocka_unit_test(test_disk_was_full),
        cmocka_unit_test(test_inodes),
        cmocka_unit_test(test_output),
        cmocka_unit_test(test_output_at_the_limit),
        cmocka_unit_test(test_cpu),
        cmocka_unit_test(test_rlimits),
        cmocka_unit_test(test_mount_flags),
    };

    return cmocka_run_group_tests(tests, it_open, it_close);
}
