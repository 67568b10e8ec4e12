/* SPDX-License-Identifier: Apache-2.0 */
/**
 * nft.c - load an nftables ruleset, by libnftables
 *
 * libnftables parses the text and sends one transaction; its netlink socket belongs to the
 * namespace of the thread that makes the context. Contexts are made and freed per call: the library
 * keeps global state only while parsing, so calls are serialised.
 */
#include "netns/nft.h"

#include <pthread.h>
#include <stdint.h>

#include "base/dl.h"

static struct {
    void *(*ctx_new)(uint32_t flags);
    void (*ctx_free)(void *ctx);
    int (*buffer_error)(void *ctx);
    const char *(*error_text)(void *ctx);
    int (*run)(void *ctx, const char *commands);
    isol8_error error;
    int status;
} nft;

static pthread_once_t nft_once = PTHREAD_ONCE_INIT;
static pthread_mutex_t nft_mutex = PTHREAD_MUTEX_INITIALIZER;

static void nft_open(void)
{
    static const struct dl_symbol symbols[] = {
        { "nft_ctx_new", &nft.ctx_new },
        { "nft_ctx_free", &nft.ctx_free },
        { "nft_ctx_buffer_error", &nft.buffer_error },
        { "nft_ctx_get_error_buffer", &nft.error_text },
        { "nft_run_cmd_from_buffer", &nft.run },
        { NULL, NULL },
    };

    nft.status = dl_load("libnftables.so.1", symbols, &nft.error);
}

int nft_load(const char *ruleset, isol8_error *err)
{
    int r = 0;

    (void)pthread_once(&nft_once, nft_open);
    if (nft.status < 0) {
        if (err != NULL)
            *err = nft.error;
        return nft.status;
    }
    (void)pthread_mutex_lock(&nft_mutex);
    void *ctx = nft.ctx_new(0);
    if (ctx == NULL) {
        r = err_set(err, ISOL8_E_NETWORK, "cannot reach nftables");
    } else {
        (void)nft.buffer_error(ctx);
        if (nft.run(ctx, ruleset) != 0)
            r = err_set(err, ISOL8_E_NETWORK, "nftables refused the gateway's rules: %s",
                        nft.error_text(ctx));
        nft.ctx_free(ctx);
    }
    (void)pthread_mutex_unlock(&nft_mutex);
    return r;
}
