/* SPDX-License-Identifier: Apache-2.0 */
/* custom.h - lists of packages in the one form that is hashed and compared. */
#ifndef EXECUTOR_CUSTOM_H
#define EXECUTOR_CUSTOM_H

#include <stddef.h>

#include "base/err.h"

/** Copies without white space around them, without empty and repeated ones, sorted by code point.
 * exec_packages_free() releases the list. */
int exec_packages_normalise(const char *const *in, size_t n, char ***out, size_t *n_out,
                            isol8_error *err);
void exec_packages_free(char **list, size_t n);

#endif
