/* SPDX-License-Identifier: Apache-2.0 */
/**
 * fetch.h - code from an address: the checks of the policy, in its order, hop by hop
 *
 *   cached under the hash? -> resolve -> guard -> GET --(redirect: check anew)--> resolve ...
 *                                                  \--> size, UTF-8, NUL, hash -> cache
 *
 * Blocks; runs in a thread of its own, see flights.h.
 */
#ifndef EXECUTOR_REMOTE_FETCH_H
#define EXECUTOR_REMOTE_FETCH_H

#include "base/hash.h"
#include "executor/remote/cache.h"
#include "executor/remote/policy.h"
#include "executor/remote/transfer.h"

/* Fetched code: immutable, shared by all who asked for it, and counted. */
struct remote_code {
    unsigned refs; /* atomic */
    char *data;    /* owned; NUL behind its end; without a byte order mark */
    size_t size;
    char hash[HASH_SHA256_HEX_SIZE]; /* of these bytes */
};

void remote_code_unref(struct remote_code *c); /* NULL is fine */

struct remote_fetch {
    const struct proxy_settings *settings;
    const char *ca_file; /* certificates to trust in addition to the machine's; NULL: none */
    struct remote_cache cache;
    const struct remote_policy *policy;
    const struct remote_url *url; /* checked by remote_policy_check() */
    bool allow_insecure;
    const char *hash; /* lower case; "": any */
    struct remote_patience patience;
    struct remote_progress *progress;
};

/** Return: 0, ISOL8_E_POLICY, ISOL8_E_NETWORK, ISOL8_E_LIMIT, ISOL8_E_INVAL, ISOL8_E_TIMEOUT,
 * ISOL8_E_CANCELLED, ISOL8_E_UNSUPPORTED, ISOL8_E_NOMEM, ISOL8_E_SYS */
int remote_fetch(const struct remote_fetch *f, struct remote_code **out, isol8_error *err);

/** The checks of a body (UTF-8, NUL, hash) and the code it is. @body: its bytes may be taken. */
int remote_code_new(struct remote_code **out, struct buf *body, const char *hash, isol8_error *err);

#endif
