/* SPDX-License-Identifier: Apache-2.0 */
/**
 * trampoline.h - the way of a program into a kept sandbox
 *
 * "runc exec" starts init's binary with the word "exec". It finds a memory file with the program to
 * run at descriptor 3 and a pipe at 4. On the pipe it sends one struct trampoline_report, as the
 * last thing before it executes the program, or with the reason why it does not come to that. If
 * the pipe ends without one, the runtime has failed.
 *
 * The program does not stand in the arguments: those would be seen in the machine's list of
 * processes, and the runtime would carry them through JSON, which holds no other bytes than UTF-8.
 */
#ifndef EXECUTOR_INIT_TRAMPOLINE_H
#define EXECUTOR_INIT_TRAMPOLINE_H

#include <stdint.h>

#define TRAMPOLINE_WORD "exec"

enum {
    TRAMPOLINE_JOB_FD = 3,
    TRAMPOLINE_REPORT_FD = 4,
    TRAMPOLINE_WORDS_MAX = 16384, /* arguments and variables */
    TRAMPOLINE_STRINGS_MAX = 8 << 20,
};

enum trampoline_flags {
    TRAMPOLINE_STRICT = 1,   /* as INIT_EXEC_STRICT */
    TRAMPOLINE_TERMINAL = 2, /* it has a terminal, and must stay in its session */
};

/* Followed by cwd, argc arguments and envc variables, each ended by NUL. */
struct trampoline_job {
    uint32_t flags;
    uint32_t argc;
    uint32_t envc;
    uint32_t strings_size;
};

struct trampoline_report {
    int32_t errnum; /* 0: the program comes next */
    uint32_t stage; /* enum init_stage */
};

/** In the sandbox: do what the job says. Never returns. */
_Noreturn void trampoline(void);

#endif
