/* SPDX-License-Identifier: Apache-2.0 */
/* request.h - check an execution request and turn it into what init is asked to do. */
#ifndef EXECUTOR_REQUEST_H
#define EXECUTOR_REQUEST_H

#include "executor/engine.h"
#include "executor/sandbox.h"

enum {
    REQUEST_FILES_MAX = 65536,
    REQUEST_OUTPUTS_MAX = 4096,
    REQUEST_WORD_MAX =
        131071, /* bytes of one argument or variable: MAX_ARG_STRLEN - 1, execve(2) */
};

struct exec_plan {
    const struct exec_runtime *runtime;
    const char *image;
    struct sandbox_args sandbox;
    struct cgroup_limits limits;
    int64_t timeout_ms;
    char *script_path; /* where the code is put; NULL for cmd and prompts; owned */
    char *workdir;     /* absolute; owned */
};

/** Check @rq against @e without doing anything yet. The caller calls exec_plan_done(). */
int exec_plan_make(struct exec_plan *out, const struct isol8_engine *e, const isol8_request *rq,
                   isol8_error *err);
void exec_plan_done(struct exec_plan *p);

/**
 * exec_plan_strings() - cwd, arguments and environment of the main command, as EXEC wants them
 * @image: For the environment that the image sets; may hold no config ("host")
 * @out:   Strings, each ended by NUL
 */
int exec_plan_strings(const struct exec_plan *p, const struct isol8_engine *e,
                      const isol8_request *rq, const struct oci_image *image, struct buf *out,
                      struct init_exec *counts, isol8_error *err);

/** "/sandbox/x" for "x"; absolute paths stay. The caller frees it. NULL: no memory. */
char *exec_sandbox_path(const char *path);

/** Fold @path against /sandbox ("a", "/sandbox/../sandbox/x/"); it must stay inside. */
int exec_workdir(const char *path, char **out, isol8_error *err);

#endif
