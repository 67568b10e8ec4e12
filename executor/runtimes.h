/* SPDX-License-Identifier: Apache-2.0 */
/* runtimes.h - the languages: image, file extension, command line. */
#ifndef EXECUTOR_RUNTIMES_H
#define EXECUTOR_RUNTIMES_H

#include <stdbool.h>
#include <stddef.h>

enum { RUNTIME_ARGS_MAX = 12 };

struct exec_runtime {
    const char *name;
    const char *image;
    const char *extension;                 /* of the script file */
    const char *detect[4];                 /* extensions that select this runtime */
    const char *command[RUNTIME_ARGS_MAX]; /* the script's path is appended */
    bool is_agent;                         /* the code is a prompt: appended instead of a path */
};

/** The runtime of that name, or NULL. */
const struct exec_runtime *exec_runtime_find(const char *name);

#endif
