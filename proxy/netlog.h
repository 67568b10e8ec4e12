/* SPDX-License-Identifier: Apache-2.0 */
/* netlog.h - one record per decision, bounded, in the order decided. Not locked: one thread's. */
#ifndef PROXY_NETLOG_H
#define PROXY_NETLOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/json.h"

enum {
    NETLOG_ENTRIES_MAX = 10000, /* kept; above it the latest allowed entries make room for blocked
                                   ones, and the rest is dropped; both are counted */
    NETLOG_BYTES_MAX = 4 << 20, /* memory of the entries; above it, the same */
    NETLOG_HOST_MAX = 253,
    NETLOG_PATH_MAX = 2048, /* longer paths are cut */
    NETLOG_METHOD_MAX = 32,
    NETLOG_RULE_MAX = 256,
    NETLOG_TEXT_MAX = 256, /* reason, error */
};

struct netlog;

struct netlog_entry {
    int64_t wall_ms;
    const char *method; /* "GET", "CONNECT", "TCP" (intercepted), "DNS"; NULL: "UNKNOWN" */
    const char *host;   /* NULL: "" */
    const char *path;   /* NULL: null */
    bool is_allowed;
    uint64_t duration_ms;
    uint16_t port;
    const char *rule;   /* NULL: none */
    const char *reason; /* NULL: none */
    uint64_t bytes_in;  /* towards the sandbox */
    uint64_t bytes_out;
    const char *error; /* failed upstream, or NULL */
};

int netlog_new(struct netlog **out, isol8_error *err);
void netlog_free(struct netlog *l);

static inline void netlog_free_p(struct netlog **l)
{
    netlog_free(*l);
}
#define auto_netlog __attribute__((cleanup(netlog_free_p)))

/** Copies; too long texts are cut, bytes other than printable ASCII become %XX. False when the
 * entry was dropped (counted), also for want of memory. */
bool netlog_add(struct netlog *l, const struct netlog_entry *e);
size_t netlog_count(const struct netlog *l);

/** Entries that are missing: refused ones and those that made room. */
size_t netlog_dropped(const struct netlog *l);

/** Entry @i as JSON: timestamp (ISO, ms, Z), method, host, path (string or null), action
 * ALLOW|BLOCK, durationMs, then port, rule, reason, bytesIn, bytesOut, error; of these rule, reason
 * and error are left out when there is none. NULL: no memory. */
cJSON *netlog_json(const struct netlog *l, size_t i);

/** The entry's security event (network_blocked) when it is a block; NULL when not, or no memory. */
cJSON *netlog_event_json(const struct netlog *l, size_t i);

#endif
