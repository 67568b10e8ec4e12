/* SPDX-License-Identifier: Apache-2.0 */
/* resolve.h - a name's addresses for a fetch, by the proxy's resolver: the operator's fixed hosts,
 * then c-ares, which can be given up at any moment. */
#ifndef EXECUTOR_REMOTE_RESOLVE_H
#define EXECUTOR_REMOTE_RESOLVE_H

#include "proxy/proxy.h"
#include "proxy/resolver.h"

struct remote_addresses {
    size_t n;
    struct proxy_address all[RESOLVE_ADDRESSES_MAX];
};

/* When to stop waiting, wherever a fetch waits. */
struct remote_patience {
    int cancel_fd; /* readable: nobody wants the result any more */
    uint64_t deadline_ns;
    int64_t timeout_ms; /* the same for the message */
};

/** Milliseconds left, at least 0. */
int64_t remote_patience_left(const struct remote_patience *p);

/** "Remote code fetch timed out after <ms>ms". */
int remote_patience_over(const struct remote_patience *p, isol8_error *err);

/**
 * remote_resolve() - All addresses of a host; of a literal, itself
 *
 * Waits. Return: 0 with at least one address, ISOL8_E_NETWORK (no such name, or no answer),
 * ISOL8_E_TIMEOUT, ISOL8_E_CANCELLED, ISOL8_E_UNSUPPORTED without c-ares
 */
int remote_resolve(const struct proxy_settings *settings, const struct proxy_host *host,
                   const struct remote_patience *patience, struct remote_addresses *out,
                   isol8_error *err);

#endif
