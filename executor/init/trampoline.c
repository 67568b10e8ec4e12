/* SPDX-License-Identifier: Apache-2.0 */
/**
 * trampoline.c - confine oneself as init's children do, then execute the program
 *
 * The runtime joined the sandbox's namespaces and installed its seccomp profile, which leaves
 * clone3() to init. What init does for its children must be done here for a program that is not
 * one of them: lower limits, umask, the second filter. This binary may be executed but not read, so
 * it is not dumpable: until the program itself is there, nothing else in the sandbox can stop it on
 * its way, or take its descriptors. The filter comes before that changes.
 */
#include "executor/init/trampoline.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "executor/init/confine.h"
#include "executor/init/proto.h"

enum { EXIT_NOT_FOUND = 127, EXIT_NOT_EXECUTABLE = 126 };

static char *words[TRAMPOLINE_WORDS_MAX + 2]; /* argv, NULL, env, NULL */

static void report(int errnum, enum init_stage stage)
{
    struct trampoline_report r = { .errnum = errnum, .stage = stage };

    (void)!write(TRAMPOLINE_REPORT_FD, &r, sizeof(r));
}

_Noreturn static void give_up(int errnum, enum init_stage stage)
{
    report(errnum, stage);
    _exit(EXIT_NOT_FOUND);
}

/* The words of the job; *cwd is the first. False when it is malformed. */
static bool read_job(struct trampoline_job *job, char **cwd)
{
    struct stat st;
    unsigned w = 0;

    if (pread(TRAMPOLINE_JOB_FD, job, sizeof(*job), 0) != (ssize_t)sizeof(*job) ||
        fstat(TRAMPOLINE_JOB_FD, &st) < 0)
        return false;
    uint64_t total = (uint64_t)job->argc + job->envc;
    size_t n = job->strings_size;
    if (n == 0 || n > TRAMPOLINE_STRINGS_MAX || (uint64_t)st.st_size < sizeof(*job) + n ||
        job->argc == 0 || total > TRAMPOLINE_WORDS_MAX)
        return false;
    char *p = mmap(NULL, sizeof(*job) + n, PROT_READ, MAP_PRIVATE, TRAMPOLINE_JOB_FD, 0);
    if (p == MAP_FAILED)
        return false;
    p += sizeof(*job);
    char *end = p + n;
    if (end[-1] != '\0')
        return false;
    *cwd = p;
    for (uint64_t i = 0; i < total; i++) {
        p += strlen(p) + 1;
        if (p >= end)
            return false;
        if (i == job->argc)
            w++; /* the NULL after the arguments */
        words[w++] = p;
    }
    return true;
}

static void reset_signals(void)
{
    struct sigaction dfl = { .sa_handler = SIG_DFL };
    sigset_t none;

    for (int sig = 1; sig < NSIG; sig++)
        (void)sigaction(sig, &dfl, NULL);
    (void)sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
}

/* First to go when memory runs out, as every program of a sandbox. Needs a dumpable process. */
static void die_first(void)
{
    (void)prctl(PR_SET_DUMPABLE, 1);
    int adj = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
    if (adj >= 0) {
        (void)!write(adj, "1000", 4);
        (void)close(adj);
    }
}

/* On the program's own stderr, as a shell would put it there. */
static void say_not_started(const char *program, int errnum)
{
    const char *why = strerrordesc_np(errnum);
    const char *parts[] = { "isol8: cannot start '", program,
                            "': ", why != NULL ? why : "unknown error", "\n" };
    struct iovec v[5];

    for (unsigned i = 0; i < 5; i++)
        v[i] = (struct iovec){ .iov_base = (void *)parts[i], .iov_len = strlen(parts[i]) };
    (void)!writev(STDERR_FILENO, v, 5);
}

_Noreturn void trampoline(void)
{
    struct trampoline_job job;
    char *cwd;

    (void)prctl(PR_SET_DUMPABLE, 0);
    if (!read_job(&job, &cwd))
        give_up(EINVAL, INIT_STAGE_REQUEST);
    (void)close(TRAMPOLINE_JOB_FD);
    (void)fcntl(TRAMPOLINE_REPORT_FD, F_SETFD, FD_CLOEXEC);
    (void)syscall(SYS_close_range, TRAMPOLINE_REPORT_FD + 1, ~0u, 0); /* whatever was forgotten */

    lower_limits();
    (void)umask(022);
    reset_signals();
    if ((job.flags & TRAMPOLINE_TERMINAL) == 0)
        (void)setsid(); /* fails when the runtime has done so */
    if (chdir(cwd) < 0)
        give_up(errno, INIT_STAGE_CWD);
    if ((job.flags & TRAMPOLINE_STRICT) != 0 && forbid_clone3() < 0)
        give_up(errno, INIT_STAGE_FILTER);
    report(0, INIT_STAGE_NONE);
    (void)close(TRAMPOLINE_REPORT_FD);
    die_first();

    environ = words + job.argc + 1; /* so that the program's own PATH is searched */
    (void)execvp(words[0], words);
    int errnum = errno;
    say_not_started(words[0], errnum);
    _exit(errnum == ENOENT ? EXIT_NOT_FOUND : EXIT_NOT_EXECUTABLE);
}
