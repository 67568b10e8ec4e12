/* SPDX-License-Identifier: Apache-2.0 */
/* hash.c - SHA digests by OpenSSL's libcrypto, loaded on first use. */
#include "base/hash.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/dl.h"
#include "base/mem.h"

/* The few EVP functions used, with OpenSSL 3's signatures (EVP_DigestInit(3)). */
static struct {
    void *(*ctx_new)(void);
    void (*ctx_free)(void *ctx);
    const void *(*sha1)(void);
    const void *(*sha256)(void);
    const void *(*sha512)(void);
    int (*init)(void *ctx, const void *type, void *engine);
    int (*update)(void *ctx, const void *data, size_t n);
    int (*final)(void *ctx, unsigned char *out, unsigned *n);
    isol8_error error;
    int status;
} evp;

static pthread_once_t evp_once = PTHREAD_ONCE_INIT;

static void evp_load(void)
{
    static const struct dl_symbol symbols[] = {
        { "EVP_MD_CTX_new", &evp.ctx_new },
        { "EVP_MD_CTX_free", &evp.ctx_free },
        { "EVP_sha1", &evp.sha1 },
        { "EVP_sha256", &evp.sha256 },
        { "EVP_sha512", &evp.sha512 },
        { "EVP_DigestInit_ex", &evp.init },
        { "EVP_DigestUpdate", &evp.update },
        { "EVP_DigestFinal_ex", &evp.final },
        { NULL, NULL },
    };

    evp.status = dl_load("libcrypto.so.3", symbols, &evp.error);
}

struct hash {
    void *ctx;
};

static int hash_failed(isol8_error *err)
{
    return err_set(err, ISOL8_E_SYS, "libcrypto could not compute a digest");
}

int hash_new(struct hash **out, enum hash_kind kind, isol8_error *err)
{
    (void)pthread_once(&evp_once, evp_load);
    if (evp.status < 0) {
        if (err != NULL)
            *err = evp.error;
        return evp.status;
    }

    auto_hash struct hash *h = calloc(1, sizeof(*h));
    if (h == NULL || (h->ctx = evp.ctx_new()) == NULL)
        return err_nomem(err);
    const void *type = kind == HASH_SHA1     ? evp.sha1()
                       : kind == HASH_SHA256 ? evp.sha256()
                                             : evp.sha512();
    if (evp.init(h->ctx, type, NULL) != 1)
        return hash_failed(err);
    *out = take_ptr(&h);
    return 0;
}

int hash_update(struct hash *h, const void *data, size_t n, isol8_error *err)
{
    return evp.update(h->ctx, data, n) == 1 ? 0 : hash_failed(err);
}

int hash_final(struct hash *h, uint8_t out[HASH_MAX_BYTES], size_t *n, isol8_error *err)
{
    unsigned len = 0;

    if (evp.final(h->ctx, out, &len) != 1)
        return hash_failed(err);
    *n = len;
    return 0;
}

void hash_free(struct hash *h)
{
    if (h == NULL)
        return;
    if (h->ctx != NULL)
        evp.ctx_free(h->ctx);
    free(h);
}

void hash_hex(const uint8_t *bytes, size_t n, char *out)
{
    static const char digits[] = "0123456789abcdef";

    for (size_t i = 0; i < n; i++) {
        out[2 * i] = digits[bytes[i] >> 4];
        out[2 * i + 1] = digits[bytes[i] & 15];
    }
    out[2 * n] = '\0';
}

int hash_sha256(const void *data, size_t n, char out[HASH_SHA256_HEX_SIZE], isol8_error *err)
{
    auto_hash struct hash *h = NULL;
    uint8_t digest[HASH_MAX_BYTES];
    size_t len = 0;

    int r = hash_new(&h, HASH_SHA256, err);
    if (r == 0)
        r = hash_update(h, data, n, err);
    if (r == 0)
        r = hash_final(h, digest, &len, err);
    if (r == 0)
        hash_hex(digest, len, out);
    return r;
}
