/* SPDX-License-Identifier: Apache-2.0 */
/* custom.h - images of one's own: packages and a setup script on top of a base image. */
#ifndef OCI_CUSTOM_H
#define OCI_CUSTOM_H

#include "base/hash.h"
#include "oci/build.h"

#define CUSTOM_BYTES_MAX (8ULL << 30) /* unpacked bytes of the packages' layer */

enum {
    CUSTOM_ENTRIES_MAX = 400000,   /* files and directories of that layer */
    CUSTOM_SETUP_MAX = 128 * 1024, /* bytes of a setup script */
};

struct oci_custom_args {
    const char *runtime;         /* "python", ...: stands on isol8:<runtime>, which must be there */
    const char *name;            /* checked by oci_custom_name() */
    const char *const *packages; /* checked; sorted, none twice */
    size_t n_packages;
    const char *setup; /* a script; NULL: none */
    bool force;
    int cancel_fd; /* -1: none */
    const struct oci_build_sandbox *sandbox;
    oci_build_progress_fn progress; /* may be NULL */
    void *user;
};

/**
 * oci_custom_name() - Check the name for a custom image
 * @out: Room for OCI_NAME_MAX + 1 bytes: the name with its tag
 *
 * The names of isol8's own images are refused, as is "host", which means something else.
 * Return: 0 or ISOL8_E_INVAL
 */
int oci_custom_name(const char *name, char *out, isol8_error *err);

/** True for isol8:<runtime> and isol8:base. */
bool oci_custom_is_base(const char *name);

/** What an image is made of, as one digest: every part counts with its length. */
int oci_custom_hash(const struct oci_custom_args *args, char out[HASH_SHA256_HEX_SIZE],
                    isol8_error *err);

/**
 * oci_custom_build() - Build a custom image unless it is current
 *
 * Its layers are the base's and, with packages, one more. It is current when its hash is the
 * expected one and it stands on the base image as that is now.
 * Return: 1 when it was current, 0 when it was built, ISOL8_E_IMAGE without a base image,
 * ISOL8_E_RUNTIME when the packages could not be installed, ISOL8_E_CANCELLED, ...
 */
int oci_custom_build(struct oci_store *s, const struct oci_custom_args *args, isol8_error *err);

#endif
