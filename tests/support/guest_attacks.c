/* SPDX-License-Identifier: Apache-2.0 */
/* guest_attacks.c - what a sandbox must withstand, as subcommands of the guest program. */
#include <errno.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include "tests/support/guest.h"

/* "hold" as the last argument: keep what was taken until stdin ends. */
static void hold_if_asked(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[argc - 1], "hold") == 0)
        guest_wait_for_eof();
}

/* inotify N [hold]: how many instances this user may have. */
static int cmd_inotify(int argc, char **argv)
{
    long wanted = guest_number(argc, argv, 1, 1), made = 0;
    int failed = 0;

    while (made < wanted && failed >= 0) {
        failed = inotify_init1(IN_CLOEXEC);
        made += failed >= 0;
    }
    int e = errno;
    printf("made: %ld\n", made);
    errno = e;
    guest_report("inotify", failed);
    hold_if_asked(argc, argv);
    return failed < 0;
}

/* Send @fd @n times to @to, where nobody receives it. */
static ssize_t send_descriptor(int to, int fd, size_t n)
{
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(253 * sizeof(int))]; /* SCM_MAX_FD */
    } control = { .bytes = { 0 } };
    char byte = 0;
    struct iovec iov = { &byte, 1 };
    struct msghdr msg = { .msg_iov = &iov,
                          .msg_iovlen = 1,
                          .msg_control = control.bytes,
                          .msg_controllen = CMSG_SPACE(n * sizeof(int)) };
    struct cmsghdr *c = CMSG_FIRSTHDR(&msg);

    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(n * sizeof(int));
    for (size_t i = 0; i < n; i++)
        memcpy(CMSG_DATA(c) + i * sizeof(int), &fd, sizeof(int));
    return sendmsg(to, &msg, MSG_DONTWAIT);
}

/* fds-in-flight N [hold]: descriptors in messages that nobody reads, counted per user. */
static int cmd_fds_in_flight(int argc, char **argv)
{
    long wanted = guest_number(argc, argv, 1, 1), sent = 0;
    int pair[2] = { -1, -1 };
    int failed = 0;

    while (sent < wanted && failed >= 0) {
        size_t n = wanted - sent < 100 ? (size_t)(wanted - sent) : 100;
        if (pair[0] < 0 && socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, pair) < 0) {
            failed = -1;
            break;
        }
        failed = (int)send_descriptor(pair[0], pair[1], n);
        if (failed >= 0) {
            sent += (long)n;
        } else if (errno == EAGAIN) {
            pair[0] = -1; /* the queue is full: leave it be and make another */
            failed = 0;
        }
    }
    int e = errno;
    printf("sent: %ld\n", sent);
    errno = e;
    guest_report("fds-in-flight", failed);
    hold_if_asked(argc, argv);
    return failed < 0;
}

/* ---- Calls that must be refused ---------------------------------------------------------------
 */

struct probe {
    const char *name;
    long nr;
    long a[5];
};

static char some_memory[4096];

static const struct probe probes[] = {
    { "mount", SYS_mount, { (long)"none", (long)"/tmp", (long)"tmpfs", 0, 0 } },
    { "umount2", SYS_umount2, { (long)"/tmp", MNT_DETACH } },
    { "fsopen", SYS_fsopen, { (long)"tmpfs", 0 } },
    { "open_tree", SYS_open_tree, { AT_FDCWD, (long)"/", 1 } },
    { "move_mount", SYS_move_mount, { -1, (long)"", -1, (long)"", 0 } },
    { "mount_setattr", SYS_mount_setattr, { -1, (long)"", 0, (long)some_memory, 32 } },
    { "pivot_root", SYS_pivot_root, { (long)".", (long)"." } },
    { "chroot", SYS_chroot, { (long)"/tmp" } },
    { "unshare-user", SYS_unshare, { CLONE_NEWUSER } },
    { "unshare-net", SYS_unshare, { CLONE_NEWNET } },
    { "setns", SYS_setns, { -1, 0 } },
    { "clone-user", SYS_clone, { CLONE_NEWUSER | SIGCHLD, 0, 0, 0, 0 } },
    { "clone3", SYS_clone3, { (long)some_memory, 64 } },
    { "ptrace", SYS_ptrace, { PTRACE_ATTACH, 1, 0, 0 } },
    { "process_vm_readv", SYS_process_vm_readv, { 1, 0, 0, 0, 0 } },
    { "pidfd_getfd", SYS_pidfd_getfd, { -1, 0, 0 } },
    { "kcmp", SYS_kcmp, { 1, 1, 0, 0, 0 } },
    { "keyctl", SYS_keyctl, { 0, -3, 1 } },
    { "add_key", SYS_add_key, { (long)"user", (long)"k", (long)"v", 1, -3 } },
    { "request_key", SYS_request_key, { (long)"user", (long)"k", 0, 0 } },
    { "io_uring_setup", SYS_io_uring_setup, { 4, (long)some_memory } },
    { "io_uring_enter", SYS_io_uring_enter, { -1, 0, 0, 0, 0 } },
    { "io_uring_register", SYS_io_uring_register, { -1, 0, 0, 0 } },
    { "io_setup", SYS_io_setup, { 1, (long)some_memory } },
    { "bpf", SYS_bpf, { 0, (long)some_memory, 64 } },
    { "perf_event_open", SYS_perf_event_open, { (long)some_memory, 0, -1, -1, 0 } },
    { "userfaultfd", SYS_userfaultfd, { 1 } },
    { "open_by_handle_at", SYS_open_by_handle_at, { -1, (long)some_memory, 0 } },
    { "name_to_handle_at", SYS_name_to_handle_at, { AT_FDCWD, (long)"/", 0, 0, 0 } },
    { "swapon", SYS_swapon, { (long)"/x", 0 } },
    { "reboot", SYS_reboot, { 0, 0, 0, 0 } },
    { "acct", SYS_acct, { 0 } },
    { "quotactl", SYS_quotactl, { 0, 0, 0, 0 } },
    { "syslog", SYS_syslog, { 2, 0, 0 } },
    { "settimeofday", SYS_settimeofday, { 0, 0 } },
    { "clock_settime", SYS_clock_settime, { 0, (long)some_memory } },
    { "sethostname", SYS_sethostname, { (long)"x", 1 } },
    { "init_module", SYS_init_module, { 0, 0, 0 } },
    { "kexec_load", SYS_kexec_load, { 0, 0, 0, 0 } },
    { "mbind", SYS_mbind, { 0, 0, 0, 0, 0 } },
    { "fanotify_init", SYS_fanotify_init, { 0, 0 } },
    { "raw-socket", SYS_socket, { AF_INET, SOCK_RAW, 1 } },
    { "packet-socket", SYS_socket, { AF_PACKET, SOCK_RAW, 0 } },
    { "alg-socket", SYS_socket, { AF_ALG, SOCK_SEQPACKET, 0 } },
    { "vsock-socket", SYS_socket, { AF_VSOCK, SOCK_STREAM, 0 } },
    { "audit-socket", SYS_socket, { AF_NETLINK, SOCK_RAW, NETLINK_AUDIT } },
    { "tiocsti", SYS_ioctl, { 0, 0x5412, (long)some_memory } },
    { "setpipe", SYS_fcntl, { 1, 1031, 1 << 20 } },
    { "prlimit-init", SYS_prlimit64, { 1, RLIMIT_CPU, (long)some_memory, 0 } },
    { "kill-init", SYS_kill, { 1, SIGKILL } },
    { "personality", SYS_personality, { 0x0040000 } },
    { NULL, 0, { 0 } },
};

static void run_probe(const struct probe *p)
{
    long r = syscall(p->nr, p->a[0], p->a[1], p->a[2], p->a[3], p->a[4]);

    if (p->nr == SYS_clone && r == 0)
        _exit(0);
    guest_report(p->name, (int)(r < 0 ? -1 : 0));
}

/* syscall-probe [NAME...]: all of them, or the named ones. As root on a machine of one's own they
 * would succeed: mount over /tmp, set the clock, limit process 1. */
static int cmd_syscall_probe(int argc, char **argv)
{
    int missing = argc > 1 ? argc - 1 : 0;

    if (geteuid() == 0) {
        fprintf(stderr, "guest: syscall-probe is for sandboxes and refuses to run as root\n");
        return 2;
    }
    for (const struct probe *p = probes; p->name != NULL; p++) {
        if (argc == 1)
            run_probe(p);
        for (int i = 1; i < argc; i++) {
            if (strcmp(argv[i], p->name) == 0) {
                run_probe(p);
                missing--;
            }
        }
    }
    return missing == 0 ? 0 : 2;
}

/* read PATH: what a file of the host or of /proc shows. */
static int cmd_read(int argc, char **argv)
{
    char chunk[4096];
    int fd = open(argc > 1 ? argv[1] : "/", O_RDONLY);
    ssize_t n = fd < 0 ? -1 : read(fd, chunk, sizeof(chunk));

    guest_report(argc > 1 ? argv[1] : "/", (int)n);
    if (n > 0)
        (void)!write(1, chunk, (size_t)n);
    return n < 0;
}

/* connect-unix PATH: a socket file, or with a leading @ an abstract name. */
static int cmd_connect_unix(int argc, char **argv)
{
    struct sockaddr_un a = { .sun_family = AF_UNIX };
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const char *path = argc > 1 ? argv[1] : "";

    (void)snprintf(a.sun_path, sizeof(a.sun_path), "%s", path);
    socklen_t n = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path));
    if (path[0] == '@')
        a.sun_path[0] = '\0';
    int r = connect(fd, (const struct sockaddr *)&a, n);
    guest_report("connect", r);
    return r < 0;
}

/* One descriptor per open file until none is left. */
static int cmd_open_files(int argc, char **argv)
{
    long made = 0;

    (void)argc, (void)argv;
    while (open("/dev/null", O_RDONLY | O_CLOEXEC) >= 0)
        made++;
    int e = errno;
    printf("made: %ld\n", made);
    errno = e;
    guest_report("open-files", -1);
    return 0;
}

/* stop-others: every process but itself and pid 1, again and again. */
static int cmd_stop_others(int argc, char **argv)
{
    (void)argc, (void)argv;
    printf("stopping\n");
    (void)fflush(stdout);
    for (;;)
        (void)kill(-1, SIGSTOP);
    return 0;
}

/* bend PATH TARGET: at PATH there is something else all the time, and its directory, too, is
 * replaced by a link now and then. */
static int cmd_bend(int argc, char **argv)
{
    const char *path = argc > 1 ? argv[1] : "bent/x", *target = argc > 2 ? argv[2] : "/etc/passwd";
    const char *const links[] = { target,      "/proc/1/mem", "/dev/zero",       "/proc/self/fd/0",
                                  "/dev/null", "/sandbox",    "/proc/1/root/etc" };
    char dir[256], aside[264];

    (void)snprintf(dir, sizeof(dir), "%.*s", (int)(strrchr(path, '/') - path), path);
    (void)snprintf(aside, sizeof(aside), "%s-aside", dir);
    printf("bending\n");
    (void)fflush(stdout);
    for (unsigned i = 0;; i++) {
        (void)mkdir(dir, 0755);
        (void)symlink(links[i % 7], path);
        (void)unlink(path);
        (void)mkfifo(path, 0666);
        (void)unlink(path);
        (void)mknod(path, S_IFSOCK | 0666, 0);
        (void)unlink(path);
        (void)mkdir(path, 0755);
        (void)rmdir(path);
        (void)rename(dir, aside);
        (void)symlink(i % 2 == 0 ? "/proc/1" : "/", dir);
        (void)unlink(dir);
        (void)rename(aside, dir);
    }
    return 0;
}

const struct guest_command guest_attacks[] = {
    { "inotify", "N [hold]", cmd_inotify },
    { "fds-in-flight", "N [hold]", cmd_fds_in_flight },
    { "syscall-probe", "[NAME...]", cmd_syscall_probe },
    { "read", "PATH", cmd_read },
    { "connect-unix", "PATH", cmd_connect_unix },
    { "open-files", "", cmd_open_files },
    { "stop-others", "", cmd_stop_others },
    { "bend", "PATH TARGET", cmd_bend },
    { NULL, NULL, NULL },
};
