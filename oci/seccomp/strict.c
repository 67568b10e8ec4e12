/* SPDX-License-Identifier: Apache-2.0 */
/**
 * strict.c - what code in a sandbox may ask the kernel for
 *
 * The starting point is what python, node, bun, deno, bash, git, curl, pip and npm need, bounded
 * by the usual container default profile: nothing is allowed here that is refused there. Left out
 * beyond that default, since it is wide attack surface, a limit shared by the whole machine, or
 * simply of no use: ptrace and its relatives, io_setup and friends (fs.aio-max-nr counts the whole
 * machine), modify_ldt, vmsplice, remap_file_pages, adjtimex, process_mrelease, memfd_secret,
 * sync (it flushes the host's disks; its caller cannot see that it failed).
 */
#include "oci/seccomp/strict.h"

#include <errno.h>
#include <stddef.h>

/* clang-format off */
const char *const strict_allowed[] = {
    /* Processes, threads, scheduling. clone, clone3, prlimit64 and personality: see the rules. */
    "alarm", "arch_prctl", "capget", "capset", "execve", "execveat", "exit", "exit_group", "fork",
    "futex", "futex_waitv", "get_robust_list", "get_thread_area", "getcpu", "getegid", "geteuid",
    "getgid", "getgroups", "getitimer", "getpgid", "getpgrp", "getpid", "getppid", "getpriority",
    "getresgid", "getresuid", "getrlimit", "getrusage", "getsid", "gettid", "getuid", "ioprio_get",
    "ioprio_set", "membarrier", "nanosleep", "pause", "prctl", "restart_syscall", "rseq",
    "sched_get_priority_max", "sched_get_priority_min", "sched_getaffinity", "sched_getattr",
    "sched_getparam", "sched_getscheduler", "sched_rr_get_interval", "sched_setaffinity",
    "sched_setattr", "sched_setparam", "sched_setscheduler", "sched_yield", "set_robust_list",
    "set_thread_area", "set_tid_address", "setfsgid", "setfsuid", "setgid", "setgroups",
    "setitimer", "setpgid", "setpriority", "setregid", "setresgid", "setresuid", "setreuid",
    "setrlimit", "setsid", "setuid", "sysinfo", "times", "umask", "uname", "vfork", "wait4",
    "waitid",

    /* Signals. */
    "kill", "pidfd_open", "pidfd_send_signal", "rt_sigaction", "rt_sigpending", "rt_sigprocmask",
    "rt_sigqueueinfo", "rt_sigreturn", "rt_sigsuspend", "rt_sigtimedwait", "rt_tgsigqueueinfo",
    "sigaltstack", "signalfd", "signalfd4", "tgkill", "tkill",

    /* Restricting oneself further. */
    "landlock_add_rule", "landlock_create_ruleset", "landlock_restrict_self", "seccomp",

    /* Memory. */
    "brk", "madvise", "memfd_create", "mincore", "mlock", "mlock2", "mlockall", "mmap", "mprotect",
    "mremap", "msync", "munlock", "munlockall", "munmap", "pkey_alloc", "pkey_free",
    "pkey_mprotect",

    /* Time; reading only. */
    "clock_getres", "clock_gettime", "clock_nanosleep", "gettimeofday", "time", "timer_create",
    "timer_delete", "timer_getoverrun", "timer_gettime", "timer_settime", "timerfd_create",
    "timerfd_gettime", "timerfd_settime",

    /* Files. mknod makes fifos and sockets; device nodes need a capability. */
    "access", "chdir", "chmod", "chown", "close", "close_range", "copy_file_range", "creat", "dup",
    "dup2", "dup3", "faccessat", "faccessat2", "fadvise64", "fallocate", "fchdir", "fchmod",
    "fchmodat", "fchown", "fchownat", "fdatasync", "fgetxattr", "flistxattr", "flock",
    "fremovexattr", "fsetxattr", "fstat", "fstatfs", "fsync", "ftruncate", "futimesat", "getcwd",
    "getdents", "getdents64", "getxattr", "lchown", "lgetxattr", "link", "linkat", "listxattr",
    "llistxattr", "lremovexattr", "lseek", "lsetxattr", "lstat", "mkdir", "mkdirat", "mknod",
    "mknodat", "newfstatat", "open", "openat", "openat2", "pread64", "preadv", "preadv2",
    "pwrite64", "pwritev", "pwritev2", "read", "readahead", "readlink", "readlinkat", "readv",
    "removexattr", "rename", "renameat", "renameat2", "rmdir", "sendfile", "setxattr", "splice",
    "stat", "statfs", "statx", "symlink", "symlinkat", "sync_file_range", "sync_file_range2",
    "syncfs", "tee", "truncate", "unlink", "unlinkat", "utime", "utimensat", "utimes", "write",
    "writev",

    /* Waiting for events. fcntl and ioctl: see the rules. */
    "epoll_create", "epoll_create1", "epoll_ctl", "epoll_pwait", "epoll_pwait2", "epoll_wait",
    "eventfd", "eventfd2", "inotify_add_watch", "inotify_init", "inotify_init1",
    "inotify_rm_watch", "pipe", "pipe2", "poll", "ppoll", "pselect6", "select",

    /* Sockets. socket: see the rules. socketpair makes pairs of AF_UNIX only. */
    "accept", "accept4", "bind", "connect", "getpeername", "getsockname", "getsockopt", "listen",
    "recvfrom", "recvmmsg", "recvmsg", "sendmmsg", "sendmsg", "sendto", "setsockopt", "shutdown",
    "socketpair",

    /* System V and POSIX message passing, in the sandbox's own ipc namespace. */
    "mq_getsetattr", "mq_notify", "mq_open", "mq_timedreceive", "mq_timedsend", "mq_unlink",
    "msgctl", "msgget", "msgrcv", "msgsnd", "semctl", "semget", "semop", "semtimedop", "shmat",
    "shmctl", "shmdt", "shmget",

    "getrandom",
    NULL,
};

const char *const strict_allowed_new[] = {
    "cachestat", "fchmodat2", "futex_requeue", "futex_wait", "futex_wake", "map_shadow_stack",
    "mseal", "uretprobe",
    NULL,
};

const char *const strict_refused[] = {
    /* What the profile of earlier versions refused by name. */
    "acct", "add_key", "bpf", "clock_adjtime", "clock_settime", "create_module", "delete_module",
    "finit_module", "get_mempolicy", "init_module", "ioperm", "iopl", "kcmp", "kexec_file_load",
    "kexec_load", "keyctl", "lookup_dcookie", "mbind", "mount", "move_pages", "name_to_handle_at",
    "open_by_handle_at", "perf_event_open", "pivot_root", "process_vm_readv", "process_vm_writev",
    "ptrace", "query_module", "quotactl", "reboot", "request_key", "set_mempolicy", "setns",
    "settimeofday", "stime", "swapon", "swapoff", "sysfs", "syslog", "umount", "umount2",
    "unshare", "uselib", "userfaultfd", "ustat", "vm86", "vm86old",

    /* What it forgot: the newer mount calls, io_uring, and ways into another process. */
    "chroot", "fanotify_init", "fanotify_mark", "fsconfig", "fsmount", "fsopen",
    "fspick", "io_uring_enter", "io_uring_register", "io_uring_setup", "migrate_pages",
    "mount_setattr", "move_mount", "open_tree", "pidfd_getfd", "process_madvise", "quotactl_fd",
    "set_mempolicy_home_node",

    /* Host-wide state, and interfaces with a history of holes that nothing here needs. */
    "_sysctl", "adjtimex", "io_setup", "io_submit", "memfd_secret", "modify_ldt", "nfsservctl",
    "process_mrelease", "remap_file_pages", "setdomainname", "sethostname", "sync", "vhangup",
    "vmsplice",
    NULL,
};
/* clang-format on */

#define ALL32 0xffffffffu

/* CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET. CLONE_NEWTIME (0x80) lies in the
 * byte that clone() reads as the signal number, so only clone3() and unshare() can ask for it. */
#define NEW_NAMESPACES 0x7e020000u

/* AF_INET is 2 and AF_INET6 is 10: one bit apart. */
#define INET_MASK (ALL32 & ~8u)

/* A socket of family @value under @mask does not exist here: what a kernel without it would say. */
#define NO_FAMILY(mask_, value_)                                                                   \
    {                                                                                              \
        "socket", EAFNOSUPPORT, 1,                                                                 \
        {                                                                                          \
            {                                                                                      \
                0, mask_, value_                                                                   \
            }                                                                                      \
        }                                                                                          \
    }

const struct strict_rule strict_rules[] = {
    { "clone", 0, 1, { { 0, NEW_NAMESPACES, 0 } } },
    /* For init alone, which starts each program inside a cgroup of its own by it. Its flags are in
     * memory, where no filter can look, so init forbids it to the program by a second filter
     * (executor/init/init.c): ENOSYS, on which the C libraries use clone(). */
    { "clone3", 0, 0, { { 0 } } },
    /* Only on oneself: else code of the same uid ends the sandbox's init by a CPU limit. */
    { "prlimit64", 0, 1, { { 0, ALL32, 0 } } },
    /* PER_LINUX and PER_LINUX32 (8), each with or without UNAME26 (0x20000); and the question. */
    { "personality", 0, 1, { { 0, ALL32 & ~0x20008u, 0 } } },
    { "personality", 0, 1, { { 0, ALL32, ALL32 } } },

    /* AF_UNIX; AF_INET and AF_INET6 with the default protocol, TCP, UDP; netlink's route family
     * (interface lists). No SCTP, MPTCP, ping: protocols whose modules load on first use. */
    { "socket", 0, 1, { { 0, ALL32, 1 } } },
    { "socket", 0, 2, { { 0, INET_MASK, 2 }, { 2, ALL32, 0 } } },
    { "socket", 0, 2, { { 0, INET_MASK, 2 }, { 2, ALL32, 6 } } },
    { "socket", 0, 2, { { 0, INET_MASK, 2 }, { 2, ALL32, 17 } } },
    { "socket", 0, 2, { { 0, ALL32, 16 }, { 2, ALL32, 0 } } },
    /* Every other family up to 63 (the kernel has 46), as ranges of powers of two. */
    NO_FAMILY(ALL32, 0),
    NO_FAMILY(ALL32, 3),
    NO_FAMILY(ALL32 & ~3u, 4), /* 4-7 */
    NO_FAMILY(ALL32 & ~1u, 8), /* 8-9 */
    NO_FAMILY(ALL32, 11),
    NO_FAMILY(ALL32 & ~3u, 12),  /* 12-15 */
    NO_FAMILY(ALL32, 17),        /* AF_PACKET */
    NO_FAMILY(ALL32 & ~1u, 18),  /* 18-19 */
    NO_FAMILY(ALL32 & ~3u, 20),  /* 20-23 */
    NO_FAMILY(ALL32 & ~7u, 24),  /* 24-31 */
    NO_FAMILY(ALL32 & ~31u, 32), /* 32-63: AF_ALG 38, AF_VSOCK 40, AF_XDP 44 */

    /* Every fcntl command but F_SETPIPE_SZ (1031, 0x407): the pages of a pipe are charged to the
     * user who made it, which for a sandbox's stdin, stdout and stderr is the engine's. Code that
     * enlarged them would use up root's fs.pipe-user-pages-soft and shrink every new pipe of the
     * machine to one page. */
    { "fcntl", 0, 1, { { 1, ALL32 & ~63u, 0 } } },    /* 0-63 */
    { "fcntl", 0, 1, { { 1, ALL32 & ~3u, 0x400 } } }, /* F_SETLEASE ... */
    { "fcntl", 0, 1, { { 1, ALL32 & ~1u, 0x404 } } },
    { "fcntl", 0, 1, { { 1, ALL32, 0x406 } } },       /* F_DUPFD_CLOEXEC */
    { "fcntl", 0, 1, { { 1, ALL32 & ~7u, 0x408 } } }, /* F_GETPIPE_SZ, seals, hints */
    { NULL, 0, 0, { { 0 } } },
};

const struct strict_except strict_excepts[] = {
    /* TIOCSTI types into a terminal, TIOCLINUX pastes into a console: both were used to break out
     * of sandboxes. Compared by type and number; no other request of use has these 16 bits. */
    { "ioctl", 1, 16, 2, { 0x5412, 0x541c } },
    { NULL, 0, 0, 0, { 0 } },
};
