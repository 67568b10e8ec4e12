/* SPDX-License-Identifier: Apache-2.0 */
/**
 * proc.c - the only place that makes processes
 *
 * Theory of operation. proc_spawn() clones with CLONE_VM | CLONE_VFORK: no page tables are copied
 * however large the embedding process is, and the child reports a failed step by storing it in the
 * parent's memory. The parent blocks every signal for that time; the child sets all dispositions to
 * their default before it unblocks them, so no handler of the embedding program ever runs in it.
 * Descriptors: sources are moved above the target range first, then dup2()ed down, and everything
 * above the range is closed, so nothing leaks from a program that forgot close-on-exec.
 *
 * A child is named by its pidfd from birth (CLONE_PIDFD): no number can be reused under us.
 *
 * proc_spawn_detached() puts a second such clone between: the child that is ours only makes the
 * program's process and ends, so that the program is the init process's to wait for. Both levels
 * stop their parent until the program runs, so a failed step is still seen.
 *
 * Under the thread sanitizer children get a copy of the memory instead (PROC_CLONE_VM). What they
 * report lies in a shared mapping.
 */
#include "base/proc.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/mem.h"

extern char **environ;

enum {
    CHILD_STACK_BYTES = 64 * 1024,
    PASS_FDS_MAX = 8,
    OUTPUT_LINE_MAX = 4096, /* longer lines of a child's output are cut into pieces */
};

#ifdef __SANITIZE_THREAD__
enum { CHILD_MAP = MAP_SHARED };
/* Its runtime sees clone(), and is to be told of the bare system call. */
void __sanitizer_syscall_pre_impl_fork(void);
void __sanitizer_syscall_post_impl_fork(long pid);
#define before_bare_clone() __sanitizer_syscall_pre_impl_fork()
#define after_bare_clone(pid) __sanitizer_syscall_post_impl_fork(pid)
#else
enum { CHILD_MAP = MAP_PRIVATE };
#define before_bare_clone() ((void)0)
#define after_bare_clone(pid) ((void)0)
#endif

/* Stands at the lower end of the child's stack. */
struct child {
    const struct proc_args *args;
    char *stack;      /* of a detached program's process: its upper end */
    const char *what; /* failed step */
    int errnum;       /* 0: the program was started */
};

static int fail(struct child *c, const char *what)
{
    c->what = what;
    c->errnum = errno;
    return -1;
}

static int reset_signals(void)
{
    struct sigaction dfl = { .sa_handler = SIG_DFL };
    sigset_t none;

    for (int sig = 1; sig < NSIG; sig++)
        (void)sigaction(sig, &dfl, NULL); /* SIGKILL, SIGSTOP and libc's own refuse: fine */
    (void)sigemptyset(&none);
    return sigprocmask(SIG_SETMASK, &none, NULL);
}

/* Put @src[i] at descriptor i for i < n. Sources may stand anywhere, also on each other's target.
 */
static int place_fds(struct child *c, const int *src, int n)
{
    int moved[3 + PASS_FDS_MAX];

    for (int i = 0; i < n; i++) {
        moved[i] = src[i] >= 0 ? fcntl(src[i], F_DUPFD_CLOEXEC, n)
                               : open("/dev/null", O_RDWR | O_CLOEXEC);
        if (moved[i] >= 0 && moved[i] < n)
            moved[i] = fcntl(moved[i], F_DUPFD_CLOEXEC, n);
        if (moved[i] < 0)
            return fail(c, "duplicate descriptor");
    }
    for (int i = 0; i < n; i++) {
        if (dup2(moved[i], i) < 0)
            return fail(c, "place descriptor");
    }
    return 0;
}

static int enter_place(struct child *c)
{
    const struct proc_args *a = c->args;

    if (a->new_session && setsid() < 0)
        return fail(c, "setsid");
    /* A slave, so that an unmount on the host still reaches us and pins nothing there. */
    if (a->new_mount_ns && mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL) < 0)
        return fail(c, "separate mount namespace");
    if (a->cwd != NULL && chdir(a->cwd) < 0)
        return fail(c, "change directory");
    if (a->prepare != NULL) {
        const char *what = "prepare";
        int r = a->prepare(a->user, &what);
        if (r < 0) {
            errno = -r;
            return fail(c, what);
        }
    }
    return 0;
}

/* Not instrumented: it runs on a foreign stack in memory shared with its parent. */
__attribute__((no_sanitize("address", "undefined"))) static int child_main(void *arg)
{
    struct child *c = arg;
    const struct proc_args *a = c->args;
    int src[3 + PASS_FDS_MAX];
    int n = 3 + (int)a->n_pass;

    for (int i = 0; i < 3; i++)
        src[i] = a->stdio[i];
    for (size_t i = 0; i < a->n_pass; i++)
        src[3 + i] = a->pass_fds[i];

    if (enter_place(c) < 0 || place_fds(c, src, n) < 0)
        _exit(127);
    if (syscall(SYS_close_range, (unsigned)n, ~0u, 0u) < 0) {
        (void)fail(c, "close descriptors");
        _exit(127);
    }
    if (reset_signals() < 0) {
        (void)fail(c, "reset signals");
        _exit(127);
    }
    /* execvpe() searches PATH without touching the heap. */
    (void)execvpe(a->file, (char *const *)a->argv,
                  a->envp != NULL ? (char *const *)a->envp : environ);
    (void)fail(c, "exec");
    _exit(127);
}

/* The process between a detached program and us. */
__attribute__((no_sanitize("address", "undefined"))) static int detach_main(void *arg)
{
    struct child *c = arg;

    if (clone(child_main, c->stack, PROC_CLONE_VM | CLONE_VFORK | SIGCHLD, c) < 0)
        (void)fail(c, "detach");
    _exit(0);
}

static int spawn_on(struct child *c, bool is_detached, int *pidfd, pid_t *pid, isol8_error *err)
{
    const struct proc_args *args = c->args;
    int flags = PROC_CLONE_VM | CLONE_VFORK | CLONE_PIDFD | SIGCHLD;
    int fd = -1;
    sigset_t all, old;

    if (args->new_mount_ns)
        flags |= CLONE_NEWNS;
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &old);
    pid_t child = clone(is_detached ? detach_main : child_main, (char *)c + CHILD_STACK_BYTES,
                        flags, c, &fd);
    int clone_errno = errno;
    (void)pthread_sigmask(SIG_SETMASK, &old, NULL);

    if (child < 0)
        return err_sys(err, clone_errno, "cannot create a process for '%s'", args->file);
    if (c->errnum != 0) {
        (void)proc_wait(fd, NULL);
        (void)fd_close(fd);
        return err_sys(err, c->errnum, "cannot start '%s': %s", args->file, c->what);
    }
    if (pid != NULL)
        *pid = child;
    *pidfd = fd;
    return 0;
}

static int spawn(const struct proc_args *args, bool is_detached, int *pidfd, pid_t *pid,
                 isol8_error *err)
{
    if (args->n_pass > PASS_FDS_MAX)
        return err_set(err, ISOL8_E_LIMIT, "too many descriptors for '%s'", args->file);
    char *stack = mmap(NULL, CHILD_STACK_BYTES, PROT_READ | PROT_WRITE,
                       CHILD_MAP | MAP_ANONYMOUS | MAP_STACK, -1, 0);
    if (stack == MAP_FAILED)
        return err_nomem(err);
    struct child *c = (struct child *)(void *)stack;
    *c = (struct child){ .args = args, .stack = stack + CHILD_STACK_BYTES / 2 };
    int r = spawn_on(c, is_detached, pidfd, pid, err);
    (void)munmap(stack, CHILD_STACK_BYTES);
    return r;
}

int proc_spawn(const struct proc_args *args, int *pidfd, pid_t *pid, isol8_error *err)
{
    return spawn(args, false, pidfd, pid, err);
}

int proc_spawn_detached(const struct proc_args *args, isol8_error *err)
{
    auto_close int pidfd = -1;
    int r = spawn(args, true, &pidfd, NULL, err);

    if (r == 0)
        (void)proc_wait(pidfd, NULL); /* it has ended, or is just about to */
    return r;
}

int proc_wait(int pidfd, isol8_error *err)
{
    siginfo_t info = { 0 };

    while (waitid((idtype_t)P_PIDFD, (id_t)pidfd, &info, WEXITED) < 0) {
        if (errno != EINTR)
            return err_sys(err, errno, "cannot wait for a process");
    }
    return info.si_code == CLD_EXITED ? info.si_status : 128 + info.si_status;
}

void proc_kill(int pidfd)
{
    if (pidfd >= 0)
        (void)syscall(SYS_pidfd_send_signal, pidfd, SIGKILL, NULL, 0u); /* ESRCH: already gone */
}

int proc_fork(int (*fn)(void *user), void *user, int *pidfd, pid_t *pid, isol8_error *err)
{
    int fd = -1;

    before_bare_clone();
    long child = syscall(SYS_clone, CLONE_PIDFD | SIGCHLD, NULL, &fd, NULL, NULL);
    after_bare_clone(child);
    if (child < 0)
        return err_sys(err, errno, "cannot create a process");
    if (child == 0)
        _exit(fn(user));
    if (pid != NULL)
        *pid = (pid_t)child;
    *pidfd = fd;
    return 0;
}

/* ---- Running to the end, line by line -------------------------------------------------------- */

struct lines {
    proc_line_fn fn;
    void *user;
    struct buf *tail;
    char line[OUTPUT_LINE_MAX + 1];
    size_t len;
};

static void end_line(struct lines *l)
{
    l->line[l->len] = '\0';
    if (l->len > 0) {
        if (l->fn != NULL)
            l->fn(l->line, l->user);
        if (l->tail != NULL) {
            while (l->tail->len > 0 && l->tail->len + l->len + 1 > l->tail->max) {
                const char *nl = memchr(l->tail->data, '\n', l->tail->len);
                buf_consume(l->tail, nl == NULL ? l->tail->len : (size_t)(nl - l->tail->data) + 1);
            }
            (void)buf_addf(l->tail, "%s\n", l->line); /* a single line too long is dropped */
            l->tail->failed = false;
        }
    }
    l->len = 0;
}

/* Carriage returns end a line as well: that is how progress bars draw over themselves. */
static void feed_lines(struct lines *l, const char *p, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (p[i] == '\n' || p[i] == '\r' || l->len == OUTPUT_LINE_MAX)
            end_line(l);
        if (p[i] != '\n' && p[i] != '\r')
            l->line[l->len++] = p[i];
    }
}

/* Until end of output: 0, or ISOL8_E_CANCELLED. */
static int pump_lines(struct lines *l, int out, int cancel_fd, isol8_error *err)
{
    struct pollfd p[2] = { { .fd = out, .events = POLLIN }, { .fd = cancel_fd, .events = POLLIN } };
    char chunk[8192];

    for (;;) {
        if (poll(p, 2, -1) < 0) {
            if (errno == EINTR)
                continue;
            return err_sys(err, errno, "cannot wait for a program's output");
        }
        if (p[1].revents != 0)
            return err_set(err, ISOL8_E_CANCELLED, "interrupted");
        ssize_t r = read(out, chunk, sizeof(chunk));
        if (r < 0 && errno == EINTR)
            continue;
        if (r <= 0) {
            end_line(l);
            return 0;
        }
        feed_lines(l, chunk, (size_t)r);
    }
}

int proc_run(struct proc_args *args, proc_line_fn line_fn, void *user, struct buf *tail,
             int cancel_fd, isol8_error *err)
{
    struct lines l = { .fn = line_fn, .user = user, .tail = tail };
    auto_close int pidfd = -1;
    int ends[2];
    pid_t pid;

    if (pipe2(ends, O_CLOEXEC) < 0)
        return err_sys(err, errno, "cannot create a pipe");
    auto_close int out = ends[0];
    args->stdio[1] = ends[1];
    args->stdio[2] = ends[1];
    args->new_session = true;

    int r = proc_spawn(args, &pidfd, &pid, err);
    (void)fd_close(ends[1]);
    if (r < 0)
        return r;

    r = pump_lines(&l, out, cancel_fd, err);
    if (r < 0)
        (void)kill(-pid, SIGKILL); /* not yet waited for, so the group's number is still ours */
    int code = proc_wait(pidfd, r < 0 ? NULL : err);
    return r < 0 ? r : code;
}
