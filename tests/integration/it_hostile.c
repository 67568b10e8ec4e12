/* SPDX-License-Identifier: Apache-2.0 */
/* it_hostile.c - programs that mean harm end in a clear result, and reach nothing. */
#include "tests/integration/it.h"

#include <dirent.h>
#include <ftw.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- Taking too much
 * ------------------------------------------------------------------------------ */

static void test_fork_bomb(void **state)
{
    isol8_options o = it_options();

    (void)state;
    o.timeout_ms = 1500;
    auto_result isol8_result *res = it_guest(&o, "forkbomb");
    it_expect(res, ISOL8_VERDICT_TIMEOUT, 137);

    isol8_request rq = it_cmd("f() { f | f & }; f; sleep 60");
    auto_result isol8_result *shell = it_execute(&o, &rq);
    assert_int_not_equal(isol8_result_verdict(shell), ISOL8_VERDICT_OK);
}

static void test_memory_hog(void **state)
{
    isol8_options o = it_options();
    isol8_request rq = it_cmd("x=a; while :; do x=$x$x; done");

    (void)state;
    o.memory_limit = "48m";
    auto_result isol8_result *res = it_execute(&o, &rq);
    it_expect(res, ISOL8_VERDICT_MEMORY, 137);
}

/* Every process alone is small; together they are not. */
static void test_memory_hogs(void **state)
{
    isol8_options o = it_options();
    isol8_request rq = it_cmd(
        "cp guest g; chmod +x g; for i in 1 2 3 4 5 6; do ./g alloc 30 & done; "
        "wait -n; for i in 1 2 3 4 5; do wait -n || exit 9; done; exit 9");

    (void)state;
    o.memory_limit = "48m";
    rq.files = it_guest_file();
    rq.n_files = 1;
    auto_result isol8_result *res = it_execute(&o, &rq);
    assert_int_not_equal(isol8_result_exit_code(res), 0);
}

static void test_gibibyte_of_output(void **state)
{
    isol8_options o = it_options();
    double start = it_seconds();

    (void)state;
    o.timeout_ms = 120000;
    auto_result isol8_result *res = it_guest(&o, "write-bytes 0x40000000");
    it_expect(res, ISOL8_VERDICT_OUTPUT, 0); /* it was read to its end, and kept at the limit */
    assert_non_null(strstr(isol8_result_stdout(res, NULL),
                           "--- OUTPUT TRUNCATED (1073741824 bytes, limit: 1048576) ---"));
    assert_true(it_seconds() - start < 120);
}

static void test_full_sandbox(void **state)
{
    isol8_options o = it_options();

    (void)state;
    o.sandbox_size = "8m";
    auto_result isol8_result *res = it_guest(&o, "fill /sandbox/x");
    it_expect(res, ISOL8_VERDICT_DISK, 1);
}

/* ---- Not ending
 * -------------------------------------------------------------------------------------- */

static void test_closes_stdout_and_goes_on(void **state)
{
    double start = it_seconds();

    (void)state;
    auto_result isol8_result *res = it_guest(NULL, "close-stdout 500 6");
    it_expect(res, ISOL8_VERDICT_EXIT, 6);
    assert_true(isol8_result_duration_ms(res) >= 500);

    isol8_options o = it_options();
    o.timeout_ms = 500;
    auto_result isol8_result *late = it_guest(&o, "close-stdout 100000 0");
    it_expect(late, ISOL8_VERDICT_TIMEOUT, 137);
    assert_true(it_seconds() - start < 60);
}

static void test_ignores_sigterm(void **state)
{
    char cmd[128] = "";
    isol8_request rq = it_cmd(cmd);
    struct it_watch w;

    (void)state;
    it_guest_cmd(cmd, sizeof(cmd), "ignore-term");
    rq.files = it_guest_file();
    rq.n_files = 1;
    it_watch_start(&w, NULL, &rq);
    it_watch_until(&w, "ready\n");
    assert_int_equal(isol8_run_signal(w.run, SIGTERM, NULL), 0);
    assert_int_equal(isol8_run_signal(w.run, SIGINT, NULL), 0);
    isol8_run_cancel(w.run);
    auto_result isol8_result *res = it_watch_finish(&w);
    it_expect_out(res, ISOL8_VERDICT_CANCELLED, 137, "ready\n");
}

/* It holds the streams open; the run is over with its main command all the same. */
static void test_background_child(void **state)
{
    double start = it_seconds();

    (void)state;
    auto_result isol8_result *res = it_guest(NULL, "orphan 100000");
    it_expect_out(res, ISOL8_VERDICT_OK, 0, "");
    auto_result isol8_result *shell = it_run("(trap '' TERM HUP INT; setsid sleep 1000) & disown; "
                                             "echo bye");
    it_expect_out(shell, ISOL8_VERDICT_OK, 0, "bye\n");
    assert_true(it_seconds() - start < 30);
}

static void test_stops_itself(void **state)
{
    isol8_request rq = it_cmd("kill -STOP $$");

    (void)state;
    rq.timeout_ms = 400;
    auto_result isol8_result *res = it_execute(NULL, &rq);
    it_expect(res, ISOL8_VERDICT_TIMEOUT, 137);
}

/* ---- Writing where nobody may
 * --------------------------------------------------------------------------- */

static void test_read_only_places(void **state)
{
    (void)state;
    auto_result isol8_result *res = it_run(
        "exec 2>&1\n"
        "for f in /x /etc/passwd /usr/x /proc/sys/kernel/hostname /proc/sys/kernel/core_pattern "
        "/proc/sys/vm/drop_caches /proc/sysrq-trigger /sys/x /sys/fs/cgroup/x "
        "/sys/fs/cgroup/memory/memory.limit_in_bytes /sys/fs/cgroup/memory/cgroup.procs "
        "/dev/x /dev/shm/../x; do\n"
        "  (echo 1 >$f) 2>/dev/null && echo \"wrote $f\"\n"
        "done\n"
        "for f in /dev/kmsg /dev/mem /dev/sda /dev/vda /dev/fuse /dev/kvm /dev/net/tun "
        "/dev/loop-control; do\n"
        "  test -e $f && echo \"there is $f\"\n"
        "done\n"
        "mknod d b 7 0 2>/dev/null && echo 'made a device'\n"
        "mknod /dev/shm/d c 1 1 2>/dev/null && echo 'made a device'\n"
        "chown 0 /sandbox 2>/dev/null && echo 'gave away'\n"
        "echo -n");
    it_expect_out(res, ISOL8_VERDICT_OK, 0, "");
}

static void test_masked_places(void **state)
{
    (void)state;
    auto_result isol8_result *res = it_run(
        "for f in /proc/kcore /proc/keys /proc/timer_list /proc/kallsyms /proc/kmsg "
        "/proc/kpagecount /proc/interrupts /proc/cmdline /proc/config.gz; do\n"
        "  [ -e $f ] && [ -n \"$(head -c 1 $f 2>/dev/null)\" ] && echo \"readable: $f\"\n"
        "done\n"
        "for d in /proc/acpi /proc/scsi /proc/asound; do\n"
        "  [ -n \"$(ls -A $d 2>/dev/null)\" ] && echo \"listed: $d\"\n"
        "done\n"
        "ls /sys\n");
    it_expect_out(res, ISOL8_VERDICT_OK, 0, "fs\n");
}

/* ---- What a process can see
 * ------------------------------------------------------------------------------- */

static void test_identity(void **state)
{
    static const char want[] = "Uid:\t100\t100\t100\t100\n"
                               "Gid:\t101\t101\t101\t101\n"
                               "Groups:\t \n"
                               "CapInh:\t0000000000000000\n"
                               "CapPrm:\t0000000000000000\n"
                               "CapEff:\t0000000000000000\n"
                               "CapBnd:\t0000000000000000\n"
                               "CapAmb:\t0000000000000000\n"
                               "NoNewPrivs:\t1\n"
                               "Seccomp:\t2\n";

    (void)state;
    auto_result isol8_result *res = it_guest(NULL, "status");
    it_expect_out(res, ISOL8_VERDICT_OK, 0, want);
}

static void test_descriptors(void **state)
{
    isol8_request rq = it_cmd("");
    char cmd[128] = "";

    (void)state;
    auto_result isol8_result *res = it_guest(NULL, "fds");
    it_expect_out(res, ISOL8_VERDICT_OK, 0, "0\n1\n2\n");
    it_guest_cmd(cmd, sizeof(cmd), "fds");
    rq.cmd = cmd;
    rq.files = it_guest_file();
    rq.n_files = 1;
    rq.stdin_data = "x";
    rq.stdin_size = 1;
    auto_result isol8_result *with_stdin = it_execute(NULL, &rq);
    it_expect_out(with_stdin, ISOL8_VERDICT_OK, 0, "0\n1\n2\n");
}

static void test_mounts_show_no_host_path(void **state)
{
    isol8_options o = it_options();
    isol8_request rq = it_cmd("cat /proc/self/mountinfo /proc/self/mounts /proc/mounts");
    const char *state_root = getenv("ISOL8_STATE_ROOT"), *data_root = getenv("ISOL8_DATA_ROOT");
    const char *const secrets[] = { state_root,       data_root,        "/run/isol8",
                                    "/var/lib/isol8", ISOL8_BINARY_DIR, ISOL8_SOURCE_DIR };

    (void)state;
    o.image = "isol8:bash";
    auto_result isol8_result *res = it_execute(&o, &rq);
    it_expect(res, ISOL8_VERDICT_OK, 0);
    for (size_t i = 0; i < ARRAY_LEN(secrets); i++) {
        if (strstr(isol8_result_stdout(res, NULL), secrets[i]) != NULL)
            fail_msg("'%s' is in\n%s", secrets[i], isol8_result_stdout(res, NULL));
    }
}

/* Only its own processes: pid 1 is init, and it tells nothing. */
static void test_init_is_closed(void **state)
{
    (void)state;
    auto_result isol8_result *res = it_run(
        "exec 2>/dev/null\n"
        "ls /proc/1/fd && echo 'fd listed'\n"
        "ls -l /proc/1/root/ && echo root\n"
        "readlink /proc/1/exe && echo exe\n"
        "readlink /proc/1/ns/net && echo ns\n"
        "[ -n \"$(head -c 1 /proc/1/mem)\" ] && echo mem\n"
        "[ -n \"$(head -c 1 /proc/1/maps)\" ] && echo maps\n"
        "[ -n \"$(tr '\\0' x </proc/1/environ | head -c 1)\" ] && echo environ\n"
        "[ -n \"$(head -c 1 /proc/1/stack)\" ] && echo stack\n"
        "(echo 1000 >/proc/1/oom_score_adj) && echo adjusted\n"
        "kill -9 1; kill -STOP 1; kill -TERM 1\n"
        "sleep 0.2\n"
        "echo alive");
    it_expect_out(res, ISOL8_VERDICT_OK, 0, "alive\n");
}

static void test_prlimit_on_init(void **state)
{
    (void)state;
    auto_result isol8_result *res = it_run(
        "prlimit --pid 1 --cpu=1:1 2>/dev/null && echo limited; "
        "prlimit --pid 1 --nofile=0:0 2>/dev/null && echo limited; echo alive");
    it_expect_out(res, ISOL8_VERDICT_OK, 0, "alive\n");
}

static void test_few_processes_are_seen(void **state)
{
    (void)state;
    auto_result isol8_result *res = it_run(
        "for p in /proc/[0-9]*; do [ ${p#/proc/} -lt 50 ] || echo \"$p\"; done; "
        "hostname; cat /proc/sys/kernel/hostname; ls /sys/class 2>/dev/null; "
        "ls /proc/net/ | head -1; wc -l </proc/net/dev");
    it_expect_out(res, ISOL8_VERDICT_OK, 0, "isol8\nisol8\nanycast6\n3\n");
}

/* ---- Calls
 */

/* Each must be refused. What stands here with OK is harmless and explained. */
static void test_calls(void **state)
{
    char cmd[64] = "";
    isol8_request rq = it_cmd(cmd);

    (void)state;
    it_guest_cmd(cmd, sizeof(cmd), "syscall-probe");
    rq.files = it_guest_file();
    rq.n_files = 1;
    auto_result isol8_result *res = it_execute(NULL, &rq);
    it_expect(res, ISOL8_VERDICT_OK, 0);
    const char *out = isol8_result_stdout(res, NULL);
    size_t n = 0;
    for (const char *line = out; *line != '\0'; line = strchr(line, '\n') + 1, n++) {
        const char *end = strchr(line, '\n');
        assert_non_null(end);
        /* A signal from inside does not reach a pid 1 that has no handler for it. */
        if (memmem(line, (size_t)(end - line), ": OK", 4) != NULL &&
            strncmp(line, "kill-init:", 10) != 0 && strncmp(line, "setpipe:", 8) != 0 &&
            strncmp(line, "personality:", 12) != 0)
            fail_msg("allowed: %.*s", (int)(end - line), line);
    }
    assert_true(n > 45);
    assert_non_null(strstr(out, "clone3: ENOSYS\n"));
    assert_non_null(strstr(out, "unshare-user: EPERM\n"));
    assert_non_null(strstr(out, "clone-user: EPERM\n"));
    assert_non_null(strstr(out, "prlimit-init: EPERM\n"));
}

/* Even without the filter the rest holds: no capability, no way to another user's process. */
static void test_calls_without_filter(void **state)
{
    static const char *const must_fail[] = {
        "mount: ",       "umount2: ",     "pivot_root: ", "chroot: ",     "setns: ",
        "unshare-net: ", "swapon: ",      "reboot: ",     "raw-socket: ", "packet-socket: ",
        "sethostname: ", "init_module: ", "kexec_load: ", "ptrace: "
    };
    isol8_options o = it_options();

    (void)state;
    o.seccomp = "unconfined";
    auto_result isol8_result *res = it_guest(
        &o, "syscall-probe mount umount2 pivot_root chroot setns unshare-net swapon reboot "
            "raw-socket packet-socket sethostname init_module kexec_load ptrace");
    it_expect(res, ISOL8_VERDICT_OK, 0);
    for (size_t i = 0; i < ARRAY_LEN(must_fail); i++) {
        const char *at = strstr(isol8_result_stdout(res, NULL), must_fail[i]);
        assert_non_null(at);
        if (strncmp(at + strlen(must_fail[i]), "OK", 2) == 0)
            fail_msg("allowed without the filter: %s", must_fail[i]);
    }
}

static void test_shell_tools(void **state)
{
    (void)state;
    auto_result isol8_result *res = it_run(
        "exec 2>/dev/null\n"
        "mount -t tmpfs none /tmp && echo mounted\n"
        "mount --bind / /tmp && echo bound\n"
        "umount /proc && echo unmounted\n"
        "unshare -Ur true && echo unshared\n"
        "unshare -n true && echo unshared\n"
        "nsenter -t 1 -a true && echo entered\n"
        "chroot /sandbox true && echo chrooted\n"
        "su -c true && echo su\n"
        "cp /bin/bash b && chmod u+s b && chown 0 b && echo setuid\n"
        "echo $UID");
    it_expect_out(res, ISOL8_VERDICT_OK, 0, "100\n");
}

/* ---- Secrets
 */

static void test_secret_in_pieces(void **state)
{
    static const isol8_pair secrets[] = { { "A", "correct-horse-battery" }, { "B", "horse" } };
    isol8_options o = it_options();
    isol8_request rq = it_cmd("");
    char cmd[128] = "";
    struct it_watch w;

    (void)state;
    o.secrets = secrets;
    o.n_secrets = 2;
    it_guest_cmd(cmd, sizeof(cmd), "pieces \"<$A>|$B|correct-horse-batter|corr\"");
    rq.cmd = cmd;
    rq.files = it_guest_file();
    rq.n_files = 1;
    it_watch_start(&w, &o, &rq);
    it_watch_to_end(&w);
    assert_string_equal(w.text[0], "<***>|***|correct-***-batter|corr");
    auto_result isol8_result *res = it_watch_finish(&w);
    it_expect_out(res, ISOL8_VERDICT_OK, 0, "<***>|***|correct-***-batter|corr");
}

/* The limit falls into the secret, at every place: none of its bytes may show. */
static void test_secret_at_the_limit(void **state)
{
    static const isol8_pair secrets[] = { { "S", "QWERTZUIOP" } };
    isol8_options o = it_options();
    isol8_request rq = it_cmd("printf 'ab%scd%s' \"$S\" \"$S\"; printf %s \"$S\" >&2");

    (void)state;
    o.secrets = secrets;
    o.n_secrets = 1;
    for (o.max_output_size = 0; o.max_output_size < 14; o.max_output_size += 3) {
        auto_result isol8_result *res = it_execute(&o, &rq);
        auto_free char *json = isol8_result_json(res);
        assert_null(strpbrk(isol8_result_stdout(res, NULL), "QWZI"));
        assert_null(strpbrk(isol8_result_stderr(res, NULL), "QWZI"));
        assert_null(strstr(json, "QW"));
        assert_int_equal(strncmp(isol8_result_stdout(res, NULL), "ab***cd***",
                                 (size_t)(o.max_output_size < 10 ? o.max_output_size : 10)),
                         0);
    }
}

/* ---- Where a secret is not ------------------------------------------------------------------- */

#define HIDDEN "hidden-from-every-file"

static size_t n_searched;

static bool holds_secret(const char *path)
{
    size_t n = 0;

    if (access(path, R_OK) != 0)
        return false; /* gone meanwhile */
    auto_free char *text = it_read_file(path, &n);
    n_searched++;
    return memmem(text, n, HIDDEN, strlen(HIDDEN)) != NULL;
}

static int search_file(const char *path, const struct stat *st, int kind, struct FTW *where)
{
    (void)st, (void)where;
    if (kind == FTW_F && holds_secret(path))
        fail_msg("the secret is in %s", path);
    return 0;
}

static void search_command_lines(void)
{
    DIR *dir = opendir("/proc");
    const struct dirent *e;
    char path[300];

    assert_non_null(dir);
    while ((e = readdir(dir)) != NULL) {
        if (strspn(e->d_name, "0123456789") != strlen(e->d_name))
            continue;
        (void)snprintf(path, sizeof(path), "/proc/%s/cmdline", e->d_name);
        if (holds_secret(path))
            fail_msg("the secret is in %s", path);
    }
    assert_int_equal(closedir(dir), 0);
}

/* Secrets reach no file on the host and no command line, while the program runs. */
static void test_secret_on_disk(void **state)
{
    static const isol8_pair secrets[] = { { "S", HIDDEN } };
    isol8_options o = it_options();
    isol8_request rq = it_cmd("echo ready; cat");
    struct it_watch w;

    (void)state;
    o.secrets = secrets;
    o.n_secrets = 1;
    rq.stdin_open = true;
    it_watch_start(&w, &o, &rq);
    it_watch_until(&w, "ready\n");
    n_searched = 0;
    assert_int_equal(nftw(getenv("ISOL8_STATE_ROOT"), search_file, 16, FTW_PHYS | FTW_MOUNT), 0);
    assert_true(n_searched >= 2); /* config.json and the record at least */
    search_command_lines();
    assert_int_equal(isol8_run_stdin(w.run, NULL, 0, NULL), 0);
    auto_result isol8_result *res = it_watch_finish(&w);
    it_expect(res, ISOL8_VERDICT_OK, 0);
}

/* ---- Code
 */

static void test_odd_code(void **state)
{
    static const char nul_only[64] = { 0 };
    isol8_request rq;
    isol8_error err;

    (void)state;
    isol8_request_init(&rq);
    rq.runtime = "bash";
    rq.code = nul_only;
    rq.code_size = sizeof(nul_only);
    auto_result isol8_result *res = it_execute(NULL, &rq);
    assert_int_equal(isol8_result_verdict(res), ISOL8_VERDICT_EXIT); /* no shell runs that */
    rq.code = "";
    rq.code_size = 0;
    assert_int_equal(it_refused(NULL, &rq, &err), ISOL8_E_INVAL);
    rq.code = "\xff\xfe\x80 not text";
    rq.code_size = strlen(rq.code);
    auto_result isol8_result *junk = it_execute(NULL, &rq);
    assert_int_equal(isol8_result_exit_code(junk), 127);
}

/* The network of a sandbox: nothing but its own loopback. */
static void test_no_network(void **state)
{
    (void)state;
    auto_result isol8_result *res = it_run(
        "exec 2>/dev/null; cut -d: -f1 /proc/net/dev | tail -n +3; "
        "(echo >/dev/tcp/192.0.2.1/80) && echo connected; "
        "wc -l </proc/net/route");
    it_expect_out(res, ISOL8_VERDICT_OK, 0, "    lo\n1\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fork_bomb),
        cmocka_unit_test(test_memory_hog),
        cmocka_unit_test(test_memory_hogs),
        cmocka_unit_test(test_gibibyte_of_output),
        cmocka_unit_test(test_full_sandbox),
        cmocka_unit_test(test_closes_stdout_and_goes_on),
        cmocka_unit_test(test_ignores_sigterm),
        cmocka_unit_test(test_background_child),
        cmocka_unit_test(test_stops_itself),
        cmocka_unit_test(test_read_only_places),
        cmocka_unit_test(test_masked_places),
        cmocka_unit_test(test_identity),
        cmocka_unit_test(test_descriptors),
        cmocka_unit_test(test_mounts_show_no_host_path),
        cmocka_unit_test(test_init_is_closed),
        cmocka_unit_test(test_prlimit_on_init),
        cmocka_unit_test(test_few_processes_are_seen),
        cmocka_unit_test(test_calls),
        cmocka_unit_test(test_calls_without_filter),
        cmocka_unit_test(test_shell_tools),
        cmocka_unit_test(test_secret_in_pieces),
        cmocka_unit_test(test_secret_at_the_limit),
        cmocka_unit_test(test_secret_on_disk),
        cmocka_unit_test(test_odd_code),
        cmocka_unit_test(test_no_network),
    };

    return cmocka_run_group_tests(tests, it_open, it_close);
}
