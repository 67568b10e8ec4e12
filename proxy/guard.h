/* SPDX-License-Identifier: Apache-2.0 */
/**
 * guard.h - which addresses a sandbox may be connected to, whatever name led there
 *
 * Refused unless the operator opened the range: what IANA's special-purpose registries (RFC 6890
 * and successors) list as not globally reachable, except the documentation ranges, which lead
 * nowhere; IPv6 outside 2000::/3, the only part given out so far; multicast; and the machine's own
 * addresses. An IPv4 address inside an IPv6 one (mapped, NAT64 64:ff9b::/96, 6to4, Teredo,
 * ISATAP) is judged as itself; compatible ones (::a.b.c.d) lie outside 2000::/3. NAT64's local
 * prefix 64:ff9b:1::/48 (RFC 8215) is refused as a whole: where in it the IPv4 address lies is
 * known to the translator only.
 */
#ifndef PROXY_GUARD_H
#define PROXY_GUARD_H

#include "base/err.h"
#include "proxy/host.h"

struct proxy_guard;

enum {
    GUARD_OPEN_MAX = 1024, /* ranges that the operator opens */
    GUARD_OWN_MAX = 65536, /* addresses of the machine; more than that is an error */
};

/** @open: ranges that are let through ("10.77.0.0/24"); a bad one is named in the error
 * (ISOL8_E_INVAL). Reads the machine's own addresses (getifaddrs) of the network namespace that the
 * calling thread is in. */
int proxy_guard_new(struct proxy_guard **out, const char *const *open, size_t n_open,
                    isol8_error *err);
void proxy_guard_free(struct proxy_guard *g);

/** Read the machine's own addresses again; on failure the old ones stay. Not while another thread
 * asks the guard. */
int proxy_guard_refresh(struct proxy_guard *g, isol8_error *err);

/** NULL when @a may be connected to, else the reason in a few words, a literal ("private range
 * 10.0.0.0/8"). */
const char *proxy_guard_refuses(const struct proxy_guard *g, const struct proxy_address *a);

static inline void proxy_guard_free_p(struct proxy_guard **g)
{
    proxy_guard_free(*g);
}
#define auto_proxy_guard __attribute__((cleanup(proxy_guard_free_p)))

#endif
