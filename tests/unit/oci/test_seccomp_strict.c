/* SPDX-License-Identifier: Apache-2.0 */
/* test_seccomp_strict.c - what the built-in profile decides: simulated, and by the kernel. */
#include <errno.h>
#include <linux/audit.h>
#include <sched.h>
#include <seccomp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/json.h"
#include "base/proc.h"
#include "oci/seccomp/seccomp.h"
#include "oci/seccomp/strict.h"
#include "tests/support/seccomp_sim.h"
#include "tests/support/test.h"

static struct sim sim;

static int set_up(void **state)
{
    (void)state;
    sim_compile(&sim, oci_seccomp_strict());
    return 0;
}

static void is_compact_json_for_this_machine_only(void **state)
{
    (void)state;
    auto_json cJSON *j = NULL;
    const char *text = oci_seccomp_strict();

    assert_int_equal(json_parse(&j, text, strlen(text), "strict", NULL), 0);
    assert_null(strchr(text, '\n'));
    assert_string_equal(json_string(j, "defaultAction"), "SCMP_ACT_ERRNO");
    assert_int_equal(cJSON_GetObjectItem(j, "defaultErrnoRet")->valueint, EPERM);
    assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItem(j, "architectures")), 1);
    assert_null(cJSON_GetObjectItem(j, "flags"));
}

/* Both builders of a filter must agree: ours from the table, and the loader of custom profiles. */
static void passes_its_own_loader_unchanged(void **state)
{
    (void)state;
    char *json = NULL;
    const char *text = oci_seccomp_strict();

    assert_int_equal(oci_seccomp_convert(text, strlen(text), "strict", &json, NULL), 0);
    struct sim *again = calloc(1, sizeof(*again));
    assert_non_null(again);
    sim_compile(again, json);
    assert_int_equal(again->n, sim.n);
    assert_memory_equal(again->insns, sim.insns, sim.n * sizeof(sim.insns[0]));
    free(again);
    free(json);
}

static void allows_what_the_table_lists(void **state)
{
    (void)state;
    for (const char *const *p = strict_allowed; *p != NULL; p++) {
        if (seccomp_syscall_resolve_name(*p) >= 0)
            assert_int_equal(sim_call(&sim, *p, 0, 0, 0), 0);
    }
}

static void refuses_what_the_table_lists(void **state)
{
    (void)state;
    for (const char *const *p = strict_refused; *p != NULL; p++) {
        if (seccomp_syscall_resolve_name(*p) < 0)
            continue;
        if (sim_call(&sim, *p, 0, 0, 0) != EPERM)
            fail_msg("'%s' is not refused", *p);
    }
}

static void refuses_every_number_it_does_not_know(void **state)
{
    (void)state;
    const uint64_t args[6] = { 0 };
    unsigned n_allowed = 0, n_listed = 0;

    for (int nr = 0; nr < 2000; nr++)
        n_allowed += sim_run(&sim, sim_arch(), nr, args) == 0;
    for (const char *const *p = strict_allowed; *p != NULL; p++)
        n_listed += seccomp_syscall_resolve_name(*p) >= 0;
    for (const char *const *p = strict_allowed_new; *p != NULL; p++)
        n_listed += seccomp_syscall_resolve_name(*p) >= 0;
    /* clone, clone3, prlimit64, personality, fcntl, ioctl with all arguments 0. */
    assert_int_equal(n_allowed, n_listed + 6);
}

static void kills_foreign_abis(void **state)
{
    (void)state;
    const uint64_t args[6] = { 0 };

    for (int nr = 0; nr < 512; nr++) {
        assert_int_equal(sim_run(&sim, AUDIT_ARCH_I386, nr, args), SIM_KILLED);
        assert_int_equal(sim_run(&sim, AUDIT_ARCH_ARM, nr, args), SIM_KILLED);
#if defined(__x86_64__)
        assert_int_equal(sim_run(&sim, sim_arch(), nr | 0x40000000, args), SIM_KILLED); /* x32 */
#endif
    }
}

static void clone_makes_threads_but_no_namespaces(void **state)
{
    (void)state;
    static const uint64_t namespaces[] = { CLONE_NEWNS,  CLONE_NEWCGROUP, CLONE_NEWUTS,
                                           CLONE_NEWIPC, CLONE_NEWUSER,   CLONE_NEWPID,
                                           CLONE_NEWNET };
    const uint64_t thread = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD |
                            CLONE_SYSVSEM | CLONE_SETTLS | CLONE_PARENT_SETTID |
                            CLONE_CHILD_CLEARTID;

    assert_int_equal(sim_call(&sim, "clone", thread, 0, 0), 0);
    assert_int_equal(sim_call(&sim, "clone", SIGCHLD, 0, 0), 0);
    assert_int_equal(sim_call(&sim, "clone", CLONE_VM | CLONE_VFORK | SIGCHLD, 0, 0), 0);
    assert_int_equal(sim_call(&sim, "clone", CLONE_PIDFD | SIGCHLD, 0, 0), 0);
    for (size_t i = 0; i < sizeof(namespaces) / sizeof(namespaces[0]); i++) {
        assert_int_equal(sim_call(&sim, "clone", namespaces[i] | SIGCHLD, 0, 0), EPERM);
        assert_int_equal(sim_call(&sim, "clone", namespaces[i] | thread | 1ull << 40, 0, 0), EPERM);
    }
    /* Left to init, which refuses it to programs by a filter of its own. */
    assert_int_equal(sim_call(&sim, "clone3", 0, 0, 0), 0);
}

/* The kernel looks at 32 bits; whatever stands above must change nothing. */
static void socket_families(void **state)
{
    (void)state;
    static const uint64_t high[] = { 0, 1ull << 32, 0xffffffffull << 32 };

    for (size_t h = 0; h < 3; h++) {
        for (uint64_t family = 0; family < 128; family++) {
            for (uint64_t proto = 0; proto < 300; proto++) {
                bool inet = family == AF_INET || family == AF_INET6;
                bool ok = family == AF_UNIX ||
                          (inet && (proto == 0 || proto == 6 || proto == 17)) ||
                          (family == AF_NETLINK && proto == 0);
                int refusal = family > 63 || inet || family == AF_NETLINK ? EPERM : EAFNOSUPPORT;
                assert_int_equal(
                    sim_call(&sim, "socket", family | high[h], SOCK_STREAM, proto | high[h]),
                    ok ? 0 : refusal);
            }
        }
        assert_int_equal(sim_call(&sim, "socket", AF_ALG | high[h], SOCK_SEQPACKET, 0),
                         EAFNOSUPPORT);
        assert_int_equal(sim_call(&sim, "socket", AF_VSOCK | high[h], SOCK_STREAM, 0),
                         EAFNOSUPPORT);
    }
}

static void ioctl_all_but_typing_into_terminals(void **state)
{
    (void)state;
    static const uint64_t high[] = { 0, 0x80040000, 1ull << 32, 0xffffffffull << 32 };

    for (size_t h = 0; h < 4; h++) {
        for (uint64_t request = 0; request < 65536; request++) {
            int want = request == 0x5412 || request == 0x541c ? EPERM : 0;
            if (sim_call(&sim, "ioctl", 0, request | high[h], 0) != want)
                fail_msg("ioctl %#llx", (unsigned long long)(request | high[h]));
        }
    }
}

static void fcntl_all_known_but_the_pipe_size(void **state)
{
    (void)state;
    for (uint64_t high = 0; high <= 1ull << 32; high += 1ull << 32) {
        for (uint64_t cmd = 0; cmd < 2048; cmd++) {
            bool ok = cmd < 64 || (cmd >= 1024 && cmd < 1040 && cmd != 1031);
            if (sim_call(&sim, "fcntl", 1, cmd | high, 0) != (ok ? 0 : EPERM))
                fail_msg("fcntl %llu", (unsigned long long)cmd);
        }
    }
}

static void prlimit_and_personality(void **state)
{
    (void)state;
    assert_int_equal(sim_call(&sim, "prlimit64", 0, RLIMIT_CPU, 1), 0);
    assert_int_equal(sim_call(&sim, "prlimit64", 1, RLIMIT_CPU, 1), EPERM);
    assert_int_equal(sim_call(&sim, "prlimit64", 1ull << 32 | 7, RLIMIT_CPU, 1), EPERM);

    static const uint64_t fine[] = { 0, 8, 0x20000, 0x20008, 0xffffffff };
    for (size_t i = 0; i < sizeof(fine) / sizeof(fine[0]); i++)
        assert_int_equal(sim_call(&sim, "personality", fine[i], 0, 0), 0);
    assert_int_equal(sim_call(&sim, "personality", 0x0040000, 0, 0), EPERM); /* ADDR_NO_RANDOMIZE */
    assert_int_equal(sim_call(&sim, "personality", 0x0400000, 0, 0), EPERM); /* READ_IMPLIES_EXEC */
    assert_int_equal(sim_call(&sim, "personality", 0x0100000, 0, 0), EPERM); /* MMAP_PAGE_ZERO */
}

/* ---- The same, asked of the kernel ----------------------------------------------------------- */

struct probe {
    const char *what;
    long nr;
    long a0, a1, a2;
    int want; /* 0: must not fail by the filter's errno */
};

static const struct probe probes[] = {
    { "getpid", SYS_getpid, 0, 0, 0, 0 },
    { "mount", SYS_mount, 0, 0, 0, EPERM },
    { "unshare user", SYS_unshare, CLONE_NEWUSER, 0, 0, EPERM },
    { "ptrace", SYS_ptrace, 0, 0, 0, EPERM },
    { "keyctl", SYS_keyctl, 0, 0, 0, EPERM },
    { "io_uring_setup", SYS_io_uring_setup, 1, 0, 0, EPERM },
    { "bpf", SYS_bpf, 0, 0, 0, EPERM },
    { "userfaultfd", SYS_userfaultfd, 0, 0, 0, EPERM },
    { "perf_event_open", SYS_perf_event_open, 0, 0, 0, EPERM },
    { "open_by_handle_at", SYS_open_by_handle_at, 0, 0, 0, EPERM },
    { "process_vm_readv", SYS_process_vm_readv, 0, 0, 0, EPERM },
    { "AF_ALG", SYS_socket, AF_ALG, SOCK_SEQPACKET, 0, EAFNOSUPPORT },
    { "AF_VSOCK", SYS_socket, AF_VSOCK, SOCK_STREAM, 0, EAFNOSUPPORT },
    { "AF_PACKET", SYS_socket, AF_PACKET, SOCK_RAW, 0, EAFNOSUPPORT },
    { "AF_INET raw icmp", SYS_socket, AF_INET, SOCK_RAW, 1, EPERM },
    { "AF_UNIX", SYS_socket, AF_UNIX, SOCK_STREAM, 0, 0 },
    { "TIOCSTI", SYS_ioctl, 0, 0x5412, 0, EPERM },
    { "F_SETPIPE_SZ", SYS_fcntl, 0, 1031, 4096, EPERM },
    { "F_GETFD", SYS_fcntl, 0, 1, 0, 0 },
    { "prlimit of pid 1", SYS_prlimit64, 1, RLIMIT_CPU, 0, EPERM },
    { "own prlimit", SYS_prlimit64, 0, RLIMIT_CPU, 0, 0 },
};

/* In a child: 0, or 1 + the index of the probe that went wrong. */
__attribute__((no_sanitize("address", "undefined"))) static int run_probes(void *user)
{
    (void)user;
    if (sim_install(&sim) < 0)
        return 255;
    for (size_t i = 0; i < sizeof(probes) / sizeof(probes[0]); i++) {
        const struct probe *p = &probes[i];
        long r = syscall(p->nr, p->a0, p->a1, p->a2, 0, 0, 0);
        if (p->want == 0 ? r < 0 : r >= 0 || errno != p->want)
            return 1 + (int)i;
    }
    return 0;
}

static void the_kernel_agrees(void **state)
{
    (void)state;
    isol8_error err;
    int pidfd = -1;

    assert_int_equal(proc_fork(run_probes, NULL, &pidfd, NULL, &err), 0);
    int code = proc_wait(pidfd, &err);
    (void)fd_close(pidfd);
    if (code == 255)
        fail_msg("the kernel refuses the filter");
    if (code != 0)
        fail_msg("unexpected outcome of '%s'", probes[code - 1].what);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(is_compact_json_for_this_machine_only),
        cmocka_unit_test(passes_its_own_loader_unchanged),
        cmocka_unit_test(allows_what_the_table_lists),
        cmocka_unit_test(refuses_what_the_table_lists),
        cmocka_unit_test(refuses_every_number_it_does_not_know),
        cmocka_unit_test(kills_foreign_abis),
        cmocka_unit_test(clone_makes_threads_but_no_namespaces),
        cmocka_unit_test(socket_families),
        cmocka_unit_test(ioctl_all_but_typing_into_terminals),
        cmocka_unit_test(fcntl_all_known_but_the_pipe_size),
        cmocka_unit_test(prlimit_and_personality),
        cmocka_unit_test(the_kernel_agrees),
    };
    return cmocka_run_group_tests(tests, set_up, NULL);
}
