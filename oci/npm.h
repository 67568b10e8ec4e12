/* SPDX-License-Identifier: Apache-2.0 */
/* npm.h - fetch tarballs from the host's npm registry; their digest decides, not their origin. */
#ifndef OCI_NPM_H
#define OCI_NPM_H

#include "base/err.h"
#include "oci/http.h"

enum {
    NPMRC_MAX = 64 * 1024,      /* bytes of one npmrc file */
    NPM_METADATA_MAX = 8 << 20, /* bytes of a version's metadata */
};

#define NPM_TARBALL_MAX (512ULL << 20) /* bytes of one tarball */

struct npm_registry {
    char *url;     /* ends with "/", owned */
    char *auth;    /* "Authorization: ..." header or NULL, owned */
    char *ca_file; /* or NULL, owned */
};

/**
 * npm_registry_load() - The registry that npm on this host would use
 *
 * Environment (npm_config_registry), then the user's, the global and npm's own npmrc, then npm's
 * default. Works without npm installed.
 */
int npm_registry_load(struct npm_registry *out, isol8_error *err);
void npm_registry_done(struct npm_registry *r); /* zeroed is fine */

/**
 * npmrc_value() - Value of @key in the text of an npmrc file, returned; NULL when absent
 *
 * ${NAME} is replaced from the environment, quotes are taken off; the last entry counts.
 */
char *npmrc_value(const char *text, const char *key);

struct npm_package {
    const char *name;
    const char *version;
    const char *integrity; /* "sha512-<base64>" */
    int out_fd;            /* borrowed; gets the tarball */
};

/** Address of a package's tarball by the registries' convention. Return: false when too long. */
bool npm_tarball_url(const char *registry, const char *name, const char *version,
                     char out[HTTP_URL_MAX]);

/** True when @integrity is the base64 form of the digest. */
bool npm_integrity_matches(const char *integrity, const uint8_t sha512[HASH_MAX_BYTES]);

/**
 * npm_fetch() - Download packages and check each against its integrity
 * @args: @auth and @ca_file are filled in from the registry
 *
 * A registry that keeps tarballs elsewhere is asked where.
 * Return: 0, ISOL8_E_NETWORK, ISOL8_E_PROTOCOL for a wrong digest, ISOL8_E_LIMIT, ...
 */
int npm_fetch(const struct npm_registry *r, const struct npm_package *packages, size_t n,
              struct http_args args, isol8_error *err);

#endif
