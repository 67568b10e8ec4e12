/* SPDX-License-Identifier: Apache-2.0 */
/* strict_bad.c - tables with one mistake of each kind, which the generator must refuse. */
#include <stddef.h>

#include "oci/seccomp/strict.h"

const char *const strict_allowed[] = { "read", "mount", "opne", "write", "read", "socket", NULL };
const char *const strict_allowed_new[] = { "write", NULL };
const char *const strict_refused[] = { "mount", "clone3", NULL };
const struct strict_rule strict_rules[] = {
    { "socket", 0, 1, { { 0, 0xffffffffu, 1 } } },
    { "clone3", 0, 0, { { 0 } } },
    { "sokcet", 0, 0, { { 0 } } },
    { NULL, 0, 0, { { 0 } } },
};
const struct strict_except strict_excepts[] = { { NULL, 0, 0, 0, { 0 } } };
