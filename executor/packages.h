/* SPDX-License-Identifier: Apache-2.0 */
/* packages.h - installing packages in a sandbox: names, commands, and the hosts that serve them. */
#ifndef EXECUTOR_PACKAGES_H
#define EXECUTOR_PACKAGES_H

#include "base/buf.h"
#include "executor/engine.h"
#include "executor/init/proto.h"
#include "oci/store.h"

enum {
    PACKAGES_MAX = 256,     /* of one request */
    PACKAGE_NAME_MAX = 256, /* bytes of one name with its version */
    PACKAGE_HOSTS_MAX = 64, /* hosts of one image's package managers */
    PACKAGE_ENV_MAX = 3,    /* variables of packages_environ() */
};

/**
 * packages_check() - Refuse names that are not names
 *
 * They are passed as arguments, never through a shell; what is refused is whatever a package
 * manager would take for an option, a path, an address or a source repository. Modules of Deno may
 * be named by their https:// address: that is what they are called.
 */
int packages_check(const struct exec_runtime *rt, const char *const *names, size_t n,
                   isol8_error *err);

/**
 * packages_environ() - Variables by which a command of the runtime finds what was installed
 * @n: How many; NULL and 0 when those of every command are enough
 *
 * For executions with packages only: that LD_LIBRARY_PATH is set at all makes every start of a
 * program a tenth of a millisecond slower.
 */
const isol8_pair *packages_environ(const struct exec_runtime *rt, size_t *n);

/** Arguments and variables of the runtime's install command. Return: 0, ISOL8_E_UNSUPPORTED, ... */
int packages_command(const struct exec_runtime *rt, const struct isol8_engine *e,
                     const char *const *names, size_t n, const struct oci_image *image,
                     struct buf *strings, struct init_exec *counts, isol8_error *err);

/** The engine's rules with the image's package hosts allowed as well, for the install step only. */
int packages_rules(const struct isol8_engine *e, const struct oci_image *image,
                   struct proxy_rules **out, isol8_error *err);

/**
 * packages_patterns() - Patterns that match the package hosts exactly
 * @hosts: JSON list, as in the label org.isol8.install.hosts
 * @names: Packages; the hosts of those that are addresses count as well
 * @out:   Room for PACKAGE_HOSTS_MAX; at least one, so that the list allows no other host.
 *         packages_patterns_done() releases them
 *
 * Return: 0, ISOL8_E_IMAGE, ISOL8_E_NOMEM
 */
int packages_patterns(const char *hosts, const char *const *names, size_t n_names, char **out,
                      size_t *n, isol8_error *err);
void packages_patterns_done(char **patterns, size_t n);

#endif
