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

/** False when the recipe adds nothing of its own. */
bool layer_needed(const struct recipe *recipe);

/** Tell the builder's caller what is going on. */
void layer_say(const struct layer_args *a, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* ---- Steps in files of their own, on a tree at @tree_fd ---- */

/** Download and unpack the recipe's npm packages. */
int layer_add_npm(const struct layer_args *a, int tmp_fd, int tree_fd, isol8_error *err);

/** Write the host's apt sources for Debian, and what they name, where the recipe wants them. */
int layer_add_apt(const struct layer_args *a, int tree_fd, isol8_error *err);

/** Run the recipe's script in a sandbox over the tree at @tree_path and take what it yields. */
int layer_run(const struct layer_args *a, const char *tree_path, int tree_fd, isol8_error *err);

#endif
