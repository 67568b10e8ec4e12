/* SPDX-License-Identifier: Apache-2.0 */
/**
 * store.h - the local image store: an OCI image layout and its unpacked layers
 *
 *   <data>/images/             OCI layout: oci-layout, index.json, blobs/sha256/<hex>
 *   <data>/layers/<hex>/       one layer unpacked, named by its diff id (sha256 of the tar)
 *   <data>/layers/.tmp-*       a layer being unpacked; whoever holds no lock on it may remove it
 *   <data>/lock                taken exclusively to change index.json or to collect garbage
 *
 * Readers need no lock: index.json is replaced by rename, blobs and layers never change. A layer in
 * use is held by a shared flock on its directory, which garbage collection respects.
 */
#ifndef OCI_STORE_H
#define OCI_STORE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/json.h"

enum {
    OCI_LAYERS_MAX = 64,    /* layers of one image */
    OCI_NAME_MAX = 127,     /* bytes of an image name */
    OCI_JSON_MAX = 1 << 20, /* bytes of index.json, a manifest or an image config */
};

#define OCI_LABEL_BUILD_HASH "org.isol8.build.hash"
#define OCI_LABEL_RUNTIME "org.isol8.runtime"
#define OCI_LABEL_INSTALL_HOSTS                                                                    \
    "org.isol8.install.hosts" /* JSON list: what package managers use                              \
                               */

/* Of custom images only. */
#define OCI_LABEL_DEPS_HASH "org.isol8.deps.hash"
#define OCI_LABEL_DEPENDENCIES "org.isol8.dependencies" /* packages, sorted, joined by "," */
#define OCI_LABEL_SETUP "org.isol8.setup"               /* a script; absent: none */
#define OCI_LABEL_BASE_DIGEST "org.isol8.base.digest"   /* manifest of the image it stands on */
#define OCI_LABEL_ENV "org.isol8.env" /* JSON list of "KEY=VALUE" that win over isol8's own */

struct oci_store; /* opaque; safe to use from several threads */

/** Open (and create when absent) the store below @data_root. The caller frees it. */
int oci_store_open(struct oci_store **out, const char *data_root, isol8_error *err);
void oci_store_free(struct oci_store *s);

struct oci_image {
    char name[OCI_NAME_MAX + 1]; /* "isol8:python" */
    char digest[72];             /* manifest digest, "sha256:<hex>" */
    cJSON *config;               /* image config (env, labels), owned */
    size_t n_layers;
    char *layer_dirs[OCI_LAYERS_MAX]; /* absolute paths, TOP layer first, owned */
    int layer_fds[OCI_LAYERS_MAX];    /* each holds a shared flock while the image is held */
};

void oci_image_done(struct oci_image *img); /* zeroed or half-filled is fine */

/** The label's value, or NULL. */
const char *oci_image_label(const struct oci_image *img, const char *key);

/** The same for an image config. */
const char *oci_config_label(const cJSON *config, const char *key);

/**
 * oci_store_get() - Find an image by name and hold its layers
 * @name: "isol8:python", "my-env" (":latest" is implied); checked: [A-Za-z0-9._/:@-], no ".."
 *
 * Return: 0, ISOL8_E_INVAL for a bad name, ISOL8_E_IMAGE when absent or damaged
 */
int oci_store_get(struct oci_store *s, const char *name, struct oci_image *out, isol8_error *err);

/** One entry per image in index.json. Return: 0 or a negative status. */
int oci_store_list(struct oci_store *s,
                   int (*each)(const char *name, const char *digest, void *user), void *user,
                   isol8_error *err);

/* An image as it stands in the index; nothing of it is held. */
struct oci_listed {
    const char *name;
    const char *digest;  /* of its manifest */
    const cJSON *config; /* image config */
};

/** Call @each for every image that can be read, in the order they were named, until it returns
 * non-zero. Return: that, or a status. */
int oci_store_each(struct oci_store *s, int (*each)(const struct oci_listed *image, void *user),
                   void *user, isol8_error *err);

/* What tells one index.json from the next; all 0 while there is none. */
struct oci_stamp {
    uint64_t inode;
    int64_t changed_ns;
    uint64_t size;
};

void oci_store_stamp(struct oci_store *s, struct oci_stamp *out);

/** Drop an image's name; its blobs and layers go with the next oci_store_gc(). Absent is fine. */
int oci_store_remove(struct oci_store *s, const char *name, isol8_error *err);

/** Remove blobs, layers and temporary directories that nothing refers to and nobody holds. */
int oci_store_gc(struct oci_store *s, isol8_error *err);

#endif
