/* SPDX-License-Identifier: Apache-2.0 */
/* request.h - check an execution request and turn it into what init is asked to do. */
#ifndef EXECUTOR_REQUEST_H
#define EXECUTOR_REQUEST_H

#include "base/hash.h"
#include "executor/engine.h"
#include "executor/images.h"
#include "executor/remote/url.h"
#include "executor/sandbox.h"
#include "executor/words.h"

enum {
    REQUEST_FILES_MAX = 65536,
    REQUEST_OUTPUTS_MAX = 4096,
    REQUEST_ENV_MAX = 4096,
    REQUEST_WORD_MAX =
        131071, /* bytes of one argument or variable: MAX_ARG_STRLEN - 1, execve(2) */
};

struct exec_plan {
    const struct exec_runtime *runtime;
    const char *image;
    struct exec_image_choice choice; /* after exec_plan_image() */
    const char *const *install;      /* packages that the image does not have */
    size_t n_install;
    struct words agent_flags;
    struct sandbox_args sandbox;
    struct cgroup_limits limits;
    int64_t timeout_ms;
    struct remote_url url;           /* where the code is fetched from; its text NULL: nowhere */
    char hash[HASH_SHA256_HEX_SIZE]; /* that it must have; "": any */
    const char *cmd;                 /* NULL: there is code */
    const char *code;                /* the request's, or what was fetched; NULL: not yet, or cmd */
    size_t code_size;
    char *script_path; /* where the code is put; NULL for cmd and prompts; owned */
    char *setup_path;  /* where setup scripts are put, one after the other; owned */
    char *workdir;     /* absolute; owned */
};

/** Check @rq against @e without doing anything yet. The caller calls exec_plan_done(). */
int exec_plan_make(struct exec_plan *out, const struct isol8_engine *e, const isol8_request *rq,
                   isol8_error *err);
void exec_plan_done(struct exec_plan *p);

/** Whether the agent can take a prompt of that size; ISOL8_E_LIMIT when not. */
int exec_plan_check_prompt(const struct exec_plan *p, size_t size, isol8_error *err);

/**
 * exec_plan_strings() - cwd, arguments and environment of the main command, as EXEC wants them
 * @image: For the environment that the image sets; may hold no config ("host")
 * @has_packages: Something was installed for this runtime in this sandbox
 * @out:   Strings, each ended by NUL
 */
int exec_plan_strings(const struct exec_plan *p, const struct isol8_engine *e,
                      const isol8_request *rq, const struct oci_image *image, bool has_packages,
                      struct buf *out, struct init_exec *counts, isol8_error *err);

/**
 * exec_plan_image() - Choose the image, and with it what is still to be installed
 * @fixed: The image that a session has already; NULL: the engine's, or one that fits the packages
 */
int exec_plan_image(struct exec_plan *p, const struct isol8_engine *e, const isol8_request *rq,
                    const char *fixed, isol8_error *err);

/** Where code and setup scripts go: main and .isol8-setup, in a session with @stamp_ms in the name
 * (0: not a session). */
int exec_plan_paths(struct exec_plan *p, const isol8_request *rq, int64_t stamp_ms,
                    isol8_error *err);

/** What a sandbox for @rt is made of by the engine's options. */
void exec_plan_sandbox(struct sandbox_args *out, const struct isol8_engine *e,
                       const struct exec_runtime *rt);

/** The same for a setup script: bash, in /sandbox, with the administrator's programs in PATH. */
int exec_plan_setup_strings(const struct exec_plan *p, const struct isol8_engine *e,
                            const isol8_request *rq, const struct oci_image *image, struct buf *out,
                            struct init_exec *counts, isol8_error *err);

/** Build the base image of @rt when it is missing and the engine may (option build_images). */
int exec_ensure_image(struct isol8_engine *e, const struct exec_runtime *rt, isol8_error *err);

/** "/sandbox/x" for "x"; absolute paths stay. The caller frees it. NULL: no memory. */
char *exec_sandbox_path(const char *path);

/** Fold @path against /sandbox ("a", "/sandbox/../sandbox/x/"); it must stay inside. */
int exec_workdir(const char *path, char **out, isol8_error *err);

#endif
