/* SPDX-License-Identifier: Apache-2.0 */
/* oci_internal.h - the image store's writing side, shared by store.c, store_gc.c and the builder.
 */
#ifndef OCI_INTERNAL_H
#define OCI_INTERNAL_H

#include "oci/image_json.h"
#include "oci/store.h"

struct oci_store {
    char *root;    /* absolute path of the data root, owned */
    int root_fd;   /* <data> */
    int images_fd; /* <data>/images */
    int blobs_fd;  /* <data>/images/blobs/sha256 */
    int layers_fd; /* <data>/layers */
};

#define OCI_TMP_PREFIX ".tmp-"
#define OCI_TMP_SIZE 32 /* ".tmp-", 16 hex digits, NUL */

/** Take <data>/lock, waiting for it. Return: fd (closing it unlocks) or ISOL8_E_SYS. */
int oci_store_lock(struct oci_store *s, isol8_error *err);

/** The parsed index; an absent file is an empty index. The caller frees it. */
int oci_store_read_index(struct oci_store *s, cJSON **out, isol8_error *err);

/** Content of a blob that holds JSON. Return: 0, ISOL8_E_IMAGE when absent or too large, ... */
int oci_store_read_blob(struct oci_store *s, const char *digest, struct buf *out, isol8_error *err);

/** A new file for a blob. Return: fd, its name in @tmp; or ISOL8_E_SYS. */
int oci_store_blob_begin(struct oci_store *s, char tmp[OCI_TMP_SIZE], isol8_error *err);

/** Give the finished blob its name. On failure, or when it is there already, @tmp is removed. */
int oci_store_blob_commit(struct oci_store *s, int fd, const char *tmp, const char *hex,
                          isol8_error *err);

/** Store a JSON document as a blob and describe it. */
int oci_store_put_json(struct oci_store *s, const cJSON *doc, const char *media_type,
                       struct oci_descriptor *out, isol8_error *err);

/** A new directory below layers/. Return: fd, its name in @tmp; or ISOL8_E_SYS. */
int oci_store_tmp_dir(struct oci_store *s, char tmp[OCI_TMP_SIZE], isol8_error *err);

/** Make the tree @name below @dir_fd the layer <hex>; a layer that is there already wins. */
int oci_store_layer_commit(struct oci_store *s, int dir_fd, const char *name, const char *hex,
                           isol8_error *err);

/** Point @name (with its tag) at a manifest, replacing what it pointed at. */
int oci_store_set_ref(struct oci_store *s, const char *name, const struct oci_descriptor *manifest,
                      isol8_error *err);

/** Remove what a killed build left in layers/ and blobs/. The caller holds the build lock. */
int oci_store_remove_tmp(struct oci_store *s, isol8_error *err);

/** oci_store_gc() for a caller that holds the build lock. */
int oci_store_collect(struct oci_store *s, isol8_error *err);

/** The lock that a build holds from start to end. Return: fd, ISOL8_E_BUSY (only !wait), ... */
int oci_store_build_lock(struct oci_store *s, bool wait, isol8_error *err);

#endif
