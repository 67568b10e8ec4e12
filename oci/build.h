/* SPDX-License-Identifier: Apache-2.0 */
/**
 * build.h - build the base images from the recipes in images/
 *
 * Nothing that comes from a registry runs on the host: Debian packages are unpacked without their
 * maintainer scripts, npm tarballs are checked by digest and unpacked, and a recipe's "run" step is
 * carried out by a sandbox that the executor provides through struct oci_build_sandbox.
 */
#ifndef OCI_BUILD_H
#define OCI_BUILD_H

#include <stdint.h>

#include "oci/store.h"

/* How a recipe's "run" step is carried out; executor/setup.c implements it. */
struct oci_build_sandbox {
    /**
     * Run @script by bash as the sandbox user over the given read-only layers, with a large
     * /sandbox as working directory and HOME; what it writes to standard output goes to @out_fd
     * (a tar stream, to be unpacked as hostile input), its stderr lines to @line.
     * Return: the script's exit code, or a negative status.
     */
    int (*run)(void *user, const char *const *layer_dirs_top_first, size_t n_layers,
               const char *const *env, bool host_network, const char *script, int out_fd,
               void (*line)(const char *line, void *line_user), void *line_user, int cancel_fd,
               isol8_error *err);
    void *user;
};

struct oci_build_progress {
    const char *message; /* the step, one line */
    uint64_t done;       /* bytes, while a download is running */
    uint64_t total;      /* 0: unknown */
};

struct oci_build_args {
    const char *runtime; /* "python", ...: builds isol8:<runtime> */
    bool force;
    int cancel_fd; /* -1: none */
    const struct oci_build_sandbox *sandbox;
    void (*progress)(const struct oci_build_progress *p, void *user); /* may be NULL */
    void *user;
};

struct oci_build_result {
    bool was_current;     /* nothing had to be done */
    uint64_t image_bytes; /* unpacked, the image's own layers beyond the base */
    uint64_t base_bytes;  /* unpacked, the shared base layer */
};

/**
 * oci_build() - Build isol8:<runtime> unless it is current
 *
 * Two builds at once wait for each other; a build killed half-way leaves nothing that the next one,
 * or oci_store_gc(), does not remove.
 * Return: 0, ISOL8_E_INVAL, ISOL8_E_CANCELLED, ISOL8_E_NETWORK, ISOL8_E_LIMIT, ISOL8_E_SYS, ...
 */
int oci_build(struct oci_store *s, const struct oci_build_args *args, struct oci_build_result *out,
              isol8_error *err);

/** True when isol8:<runtime> is in the store (whether or not it is current). */
bool oci_build_present(struct oci_store *s, const char *runtime);

#endif
