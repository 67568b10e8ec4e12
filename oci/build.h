/* SPDX-License-Identifier: Apache-2.0 */
/**
 * build.h - build the base images from the recipes in images/
 *
 * Nothing that comes from a registry runs on the host: Debian packages are unpacked without their
 * maintainer scripts, npm tarballs are checked by digest and unpacked, and a recipe's "run" step is
 * carried out by a sandbox that the executor provides through struct oci_build_sandbox. What is
 * built on top of them is in custom.h.
 */
#ifndef OCI_BUILD_H
#define OCI_BUILD_H

#include <stdint.h>

#include "oci/store.h"

/* A script that is run in a sandbox while an image is built. */
struct oci_step {
    const char *image;             /* in this image of the store, or ... */
    const char *const *layer_dirs; /* ... over these directories, top first */
    size_t n_layers;
    const char *const *env;    /* "KEY=VALUE", NULL-terminated; NULL: none */
    const char *install_hosts; /* JSON list: only these can be reached, and those of words that
                                  are addresses; NULL: no network */
    const char *script;        /* for bash, as the sandbox user, in a large /sandbox */
    const char *const *words;  /* what it works on: lines of the file "words" beside it, which */
    size_t n_words;            /* is not there without them */
    int out_fd;                /* gets its standard output: a tar stream, hostile input */
    void (*line)(const char *line, void *user); /* its stderr; may be NULL */
    void *line_user;
    int cancel_fd; /* -1: none */
};

/* How steps are carried out; executor/build_step.c implements it. */
struct oci_build_sandbox {
    /** Return: the script's exit code, or a negative status. */
    int (*run)(void *user, const struct oci_step *step, isol8_error *err);
    void *user;
};

struct oci_build_progress {
    const char *message; /* the step, one line */
    uint64_t done;       /* bytes, while a download is running */
    uint64_t total;      /* 0: unknown */
};

typedef void (*oci_build_progress_fn)(const struct oci_build_progress *p, void *user);

struct oci_build_args {
    const char *runtime; /* "python", ...: builds isol8:<runtime> */
    bool force;
    int cancel_fd; /* -1: none */
    const struct oci_build_sandbox *sandbox;
    oci_build_progress_fn progress; /* may be NULL */
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
