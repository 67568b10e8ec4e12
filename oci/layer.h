/* SPDX-License-Identifier: Apache-2.0 */
/* layer.h - carry out one recipe: from nothing to a layer in the store. */
#ifndef OCI_LAYER_H
#define OCI_LAYER_H

#include "oci/build.h"
#include "oci/oci_internal.h"
#include "oci/recipe.h"

struct layer_args {
    struct oci_store *store;
    const struct oci_build_args *build;
    const char *runtime; /* the recipe's folder */
    const struct recipe *recipe;
    const struct recipe *base;     /* base's recipe; the same as @recipe for the base itself */
    const struct oci_image *below; /* the base image, NULL while it is being built */
    const void *ca_bundle;         /* the host's certificates */
    size_t ca_len;
};

struct layer {
    struct oci_descriptor blob;
    char diff_id[OCI_DIGEST_SIZE];
};

/**
 * layer_build() - Build a recipe's layer, pack it and put both forms in the store
 *
 * The caller holds the build lock. On failure nothing of it stays.
 */
int layer_build(const struct layer_args *args, struct layer *out, isol8_error *err);

/** What layer_build() does at its end: pack the tree @name, open at @tree_fd, below @dir_fd and put
 * both forms in the store. */
int layer_pack(struct oci_store *s, int dir_fd, const char *name, int tree_fd, int cancel_fd,
               struct layer *out, isol8_error *err);

/** False when the recipe adds nothing of its own. */
bool layer_needed(const struct recipe *recipe);

/** Tell the builder's caller what is going on. */
void layer_say(const struct layer_args *a, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* What may come out of a step, and where it goes. */
struct layer_take {
    int tree_fd;
    const char *const *patterns; /* fnmatch(3) over whole paths, as a recipe's "take" */
    size_t n_patterns;
    uint64_t bytes_max;
    uint64_t entries_max;
};

/** Run a step in a sandbox and unpack what it writes meanwhile. @step's out_fd is set here.
 * Return: the script's exit code, or a status. */
int layer_step(const struct oci_build_sandbox *sandbox, struct oci_step *step,
               const struct layer_take *take, isol8_error *err);

/** Take the build lock; tells @progress (may be NULL) when another build has it. Return: fd, ... */
int oci_build_wait(struct oci_store *s, int cancel_fd, oci_build_progress_fn progress, void *user,
                   isol8_error *err);

/** Read a manifest. */
int oci_build_manifest(struct oci_store *s, const char *digest, struct oci_manifest *out,
                       isol8_error *err);

/* ---- Steps in files of their own, on a tree at @tree_fd ---- */

/** Download and unpack the recipe's npm packages. */
int layer_add_npm(const struct layer_args *a, int tmp_fd, int tree_fd, isol8_error *err);

/** Write the host's apt sources for Debian, and what they name, where the recipe wants them. */
int layer_add_apt(const struct layer_args *a, int tree_fd, isol8_error *err);

/** Run the recipe's script in a sandbox over the tree at @tree_path and take what it yields. */
int layer_run(const struct layer_args *a, const char *tree_path, int tree_fd, isol8_error *err);

#endif
