/* SPDX-License-Identifier: Apache-2.0 */
/* environ.h - the variables of a command in a sandbox: a later one replaces an earlier one. */
#ifndef EXECUTOR_ENVIRON_H
#define EXECUTOR_ENVIRON_H

#include "base/buf.h"
#include "executor/engine.h"
#include "oci/store.h"

/* Where programs are looked for, as far as no runtime or request says otherwise. */
#define ENVIRON_PATH                                                                               \
    "/sandbox/.local/bin:/sandbox/.npm-global/bin:/sandbox/.bun-global/bin:"                       \
    "/usr/local/bin:/usr/bin:/bin"

/* What a setup script finds in addition. */
#define ENVIRON_ADMIN_PATH ":/usr/local/sbin:/usr/sbin:/sbin"

struct exec_environ;

/** The image's variables, isol8's own, the runtime's, and the secrets; room for @extra more. @e
 * NULL: no secrets. */
int exec_environ_new(struct exec_environ **out, const struct isol8_engine *e,
                     const struct oci_image *image, const isol8_pair *runtime, size_t n_runtime,
                     size_t extra, isol8_error *err);
void exec_environ_free(struct exec_environ *env);

/** Both are borrowed until the environment is freed. */
void exec_environ_set(struct exec_environ *env, const char *key, const char *value);

/** Last: the proxy's variables of a filtered sandbox, which win over all others. */
void exec_environ_finish(struct exec_environ *env, const struct isol8_engine *e);

/** Append "KEY=VALUE", NUL for each, and count them. */
void exec_environ_write(const struct exec_environ *env, struct buf *out, uint32_t *count);

/** Append a word and its NUL; @count may be NULL. */
void exec_add_word(struct buf *out, const char *word, uint32_t *count);

#endif
