/* SPDX-License-Identifier: Apache-2.0 */
/* hash.h - SHA digests by OpenSSL's libcrypto, loaded on first use. */
#ifndef BASE_HASH_H
#define BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define HASH_SHA256_HEX_SIZE 65 /* 64 hex digits and NUL */
#define HASH_MAX_BYTES 64       /* a SHA-512 digest */

enum hash_kind { HASH_SHA1 /* of RFC 6455's handshake only */, HASH_SHA256, HASH_SHA512 };

struct hash; /* a digest being computed */

int hash_new(struct hash **out, enum hash_kind kind, isol8_error *err);
int hash_update(struct hash *h, const void *data, size_t n, isol8_error *err);

/** The digest's bytes; @n gets their number. The hash can only be freed afterwards. */
int hash_final(struct hash *h, uint8_t out[HASH_MAX_BYTES], size_t *n, isol8_error *err);
void hash_free(struct hash *h);

static inline void hash_free_p(struct hash **h)
{
    hash_free(*h);
}
#define auto_hash __attribute__((cleanup(hash_free_p)))

/** Lower-case hex of @n bytes and a NUL; @out has room for 2 * @n + 1. */
void hash_hex(const uint8_t *bytes, size_t n, char *out);

/** SHA-256 of one piece of memory, in hex. */
int hash_sha256(const void *data, size_t n, char out[HASH_SHA256_HEX_SIZE], isol8_error *err);

#endif
