/* SPDX-License-Identifier: Apache-2.0 */
/* image_json.h - read and write the JSON documents of an OCI image layout (no file is touched). */
#ifndef OCI_IMAGE_JSON_H
#define OCI_IMAGE_JSON_H

#include <stdbool.h>
#include <stdint.h>

#include "base/json.h"
#include "oci/store.h"

#define OCI_DIGEST_SIZE 72 /* "sha256:", 64 hex digits, NUL */
#define OCI_REF_NAME "org.opencontainers.image.ref.name"
#define OCI_TYPE_INDEX "application/vnd.oci.image.index.v1+json"
#define OCI_TYPE_MANIFEST "application/vnd.oci.image.manifest.v1+json"
#define OCI_TYPE_CONFIG "application/vnd.oci.image.config.v1+json"

struct oci_descriptor {
    char media_type[96];
    char digest[OCI_DIGEST_SIZE];
    uint64_t size;
};

struct oci_manifest {
    struct oci_descriptor config;
    size_t n_layers;
    struct oci_descriptor layers[OCI_LAYERS_MAX]; /* base first, as in the document */
};

/** True for "sha256:" and 64 lower-case hex digits. */
bool oci_digest_ok(const char *digest);

/** The hex part of a valid digest. */
const char *oci_digest_hex(const char *digest);

/**
 * oci_name_check() - Check an image name and add ":latest" when it has no tag
 * @out: Room for OCI_NAME_MAX + 1 bytes
 *
 * Allowed: [A-Za-z0-9._/:@-], starting with a letter or digit, no "..", no "//".
 * Return: 0 or ISOL8_E_INVAL
 */
int oci_name_check(const char *name, char *out, isol8_error *err);

/** The entry of @index with this name, or NULL. The index is only borrowed. */
const cJSON *oci_index_find(const cJSON *index, const char *name);

/** The entry's name annotation, or NULL. */
const char *oci_index_name(const cJSON *entry);

/** A descriptor object. Return: 0 or ISOL8_E_IMAGE. */
int oci_descriptor_parse(const cJSON *obj, struct oci_descriptor *out, isol8_error *err);

/** Return: 0 or ISOL8_E_IMAGE. */
int oci_index_parse(cJSON **out, const char *text, size_t n, isol8_error *err);
int oci_manifest_parse(struct oci_manifest *out, const char *text, size_t n, isol8_error *err);

/**
 * oci_config_parse() - Parse an image config
 * @diff_ids: Gets @n_layers borrowed strings out of *@out
 *
 * Return: 0, ISOL8_E_IMAGE when it is damaged or does not have @n_layers diff ids
 */
int oci_config_parse(cJSON **out, const char *text, size_t n, size_t n_layers,
                     const char *diff_ids[OCI_LAYERS_MAX], isol8_error *err);

/** {mediaType, digest, size}; NULL when memory is out. */
cJSON *oci_descriptor_json(const struct oci_descriptor *d);

/** The manifest's document; NULL when memory is out. */
cJSON *oci_manifest_json(const struct oci_manifest *m);

#endif
