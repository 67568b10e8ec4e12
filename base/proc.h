/* SPDX-License-Identifier: Apache-2.0 */
/* proc.h - the only place that makes processes; they are waited for by pidfd, never by number. */
#ifndef BASE_PROC_H
#define BASE_PROC_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/buf.h"
#include "base/err.h"

/* CLONE_VM for a child that the caller waits for by CLONE_VFORK, so that no page tables are copied.
 * Not under the thread sanitizer: its runtime keeps books on threads, descriptors and signals in
 * the process's memory, and would enter there what the child does. */
#ifdef __SANITIZE_THREAD__
#define PROC_CLONE_VM 0
#else
#define PROC_CLONE_VM CLONE_VM
#endif

/* Runs in the new process before exec, sharing the parent's memory while the parent is stopped:
 * only system calls and plain stores. Returns 0 or -errno, and may set *what to a literal. */
typedef int (*proc_prepare_fn)(void *user, const char **what);

struct proc_args {
    const char *file;        /* searched in PATH when it has no slash */
    const char *const *argv; /* NULL-terminated */
    const char *const *envp; /* NULL-terminated; NULL: the caller's environment */
    int stdio[3];            /* descriptors for 0, 1, 2; -1: /dev/null */
    const int *pass_fds;     /* become 3, 4, ... in the child; nothing else is inherited */
    size_t n_pass;
    const char *cwd;         /* NULL: unchanged */
    bool new_session;        /* out of the terminal's reach: Ctrl-C is the parent's business */
    bool new_mount_ns;       /* own mount namespace, a slave of the caller's */
    proc_prepare_fn prepare; /* may be NULL */
    void *user;
};

#define PROC_ARGS_INIT                                                                             \
    {                                                                                              \
        .stdio = { -1, -1, -1 }                                                                    \
    }

/**
 * proc_spawn() - Start a program
 * @pidfd: Returned; readable when the process has ended
 * @pid:   May be NULL
 *
 * All signal dispositions are the default in the child and none is blocked.
 * Return: 0, or ISOL8_E_SYS with the step that failed (in the child, too)
 */
int proc_spawn(const struct proc_args *args, int *pidfd, pid_t *pid, isol8_error *err);

/**
 * proc_spawn_detached() - Start a program that nobody here waits for
 *
 * It is no child of this process, which is not told of its end: no zombie. Return: as proc_spawn()
 */
int proc_spawn_detached(const struct proc_args *args, isol8_error *err);

/** Wait for the end. Return: exit code, 128 + signal, or ISOL8_E_SYS. */
int proc_wait(int pidfd, isol8_error *err);

/** Send SIGKILL; a process already gone is fine. */
void proc_kill(int pidfd);

typedef void (*proc_line_fn)(const char *line, void *user);

/**
 * proc_run() - Run a program to its end, handing its output (both streams) on line by line
 * @line_fn:   May be NULL
 * @tail:      The last lines are kept here for error messages; may be NULL
 * @cancel_fd: Readable: the program and all it started in its session are killed; -1: none
 *
 * Return: its exit code (128 + signal), ISOL8_E_CANCELLED, or another negative status
 */
int proc_run(struct proc_args *args, proc_line_fn line_fn, void *user, struct buf *tail,
             int cancel_fd, isol8_error *err);

/**
 * proc_fork() - Run @fn in a copy of this process; its return value is the exit code
 *
 * The copy may use only system calls: other threads' locks are copied as they stood.
 */
int proc_fork(int (*fn)(void *user), void *user, int *pidfd, pid_t *pid, isol8_error *err);

#endif
