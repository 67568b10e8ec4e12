/* SPDX-License-Identifier: Apache-2.0 */
/* runtimes.c - the languages: image, file extension, command line. */
#include "executor/runtimes.h"

#include <string.h>

#include <isol8/isol8.h>

#include "base/mem.h"

static const char agent_system_prompt[] =
    "You are working inside an isol8 sandbox. Memory, CPU time, processes and disk are strictly "
    "limited, some system calls are refused, and outbound traffic reaches only the hosts on an "
    "allow list. The file system is temporary: nothing survives this run except what is written "
    "under /sandbox and fetched by the caller. Work within these limits: do not assume open "
    "internet access, do not count on state from earlier runs, and do not try to leave the "
    "sandbox.";

/* Inline Node code is a .js file: Node looks at its syntax and runs it as a CommonJS or an ES
 * module, so that require() and import both work.
 *
 * In the order of the original's registry, which its messages and listings show. */
static const struct exec_runtime runtimes[] = {
    { .name = "python",
      .image = "isol8:python",
      .extension = ".py",
      .detect = { "py" },
      .command = { "python3" } },
    { .name = "node",
      .image = "isol8:node",
      .extension = ".js",
      .detect = { "mjs", "js", "cjs" },
      .command = { "node" } },
    { .name = "bun",
      .image = "isol8:bun",
      .extension = ".ts",
      .detect = { "ts" },
      .command = { "bun", "run" } },
    { .name = "bash",
      .image = "isol8:bash",
      .extension = ".sh",
      .detect = { "sh" },
      .command = { "bash" } },
    { .name = "deno",
      .image = "isol8:deno",
      .extension = ".mts",
      .detect = { "mts" },
      .command = { "deno", "run", "--allow-read=/sandbox,/tmp", "--allow-write=/sandbox,/tmp",
                   "--allow-env", "--allow-net", "--allow-import" } },
    { .name = "agent",
      .image = "isol8:agent",
      .extension = ".txt",
      .is_agent = true,
      .command = { "pi", "--no-session", "--append-system-prompt", agent_system_prompt, "-p" } },
};

const struct exec_runtime *exec_runtime_find(const char *name)
{
    for (size_t i = 0; i < ARRAY_LEN(runtimes); i++) {
        if (strcmp(runtimes[i].name, name) == 0)
            return &runtimes[i];
    }
    return NULL;
}

const char *isol8_runtime_name(size_t i)
{
    return i < ARRAY_LEN(runtimes) ? runtimes[i].name : NULL;
}

const char *isol8_runtime_detect(const char *file_name)
{
    const char *slash = strrchr(file_name, '/');
    const char *base = slash == NULL ? file_name : slash + 1;
    const char *dot = strrchr(base, '.');

    if (dot == NULL)
        return NULL;
    for (size_t i = 0; i < ARRAY_LEN(runtimes); i++) {
        for (size_t j = 0; j < ARRAY_LEN(runtimes[i].detect); j++) {
            if (runtimes[i].detect[j] != NULL && strcmp(runtimes[i].detect[j], dot + 1) == 0)
                return runtimes[i].name;
        }
    }
    return NULL;
}
