/* SPDX-License-Identifier: Apache-2.0 */
/**
 * proxy.h - the way out of filtered sandboxes: one loop thread that owns all their connections
 *
 * A sandbox is attached with its listeners (made in the gateway namespace, bound to its own wire,
 * so that a connection's owner is known by the socket it came in on) and its rules. Upstream
 * sockets are made by the proxy's thread, in the namespace of the process.
 */
#ifndef PROXY_PROXY_H
#define PROXY_PROXY_H

#include "base/log.h"
#include "proxy/host.h"
#include "proxy/netlog.h"
#include "proxy/rules.h"
#include "proxy/tally.h"

enum {
    PROXY_EXPLICIT_PORT = 8118,
    PROXY_CONNECTIONS_DEFAULT = 256, /* of one sandbox at once */
    PROXY_LOOKUPS_MAX = 32,          /* of one sandbox at once */
};

struct proxy_fixed_host {
    const char *name; /* as configured; normalised by the proxy */
    const char *const *addresses;
    size_t n_addresses;
};

/* The operator's settings (config "network"); borrowed during proxy_open(). */
struct proxy_settings {
    const struct proxy_fixed_host *hosts;
    size_t n_hosts;
    const char *const *allow_addresses;
    size_t n_allow_addresses;
    const uint16_t *ports; /* none: any */
    size_t n_ports;
    const char *upstream_proxy; /* "http://host:port", or NULL */
    unsigned connections;       /* of one sandbox; 0: PROXY_CONNECTIONS_DEFAULT */
    uint64_t bytes_per_second;  /* of one sandbox, both directions; 0: no limit */
    uint64_t bytes;             /* of one sandbox in its life; 0: no limit */
    struct log log;
};

/** Host and port of "http://host[:port][/]". False when it is not of this form. */
bool proxy_upstream_parse(const char *url, struct proxy_host *host, uint16_t *port);

struct proxy;
struct proxy_client;

/** Start the thread. A bad setting is an error that names it. */
int proxy_open(struct proxy **out, const struct proxy_settings *settings, isol8_error *err);

/** What it did so far; from any thread, without waiting. */
void proxy_look(const struct proxy *p, struct proxy_tally *out);

/** Stop the thread; every client must have been detached. NULL is fine. */
void proxy_close(struct proxy *p);

/* All taken, also on failure; -1 where there is none. */
struct proxy_listeners {
    int explicit_fd;    /* TCP, PROXY_EXPLICIT_PORT */
    int transparent_fd; /* TCP, where every other connection is redirected to (SO_ORIGINAL_DST) */
    int dns_udp_fd;
    int dns_tcp_fd;
};

/** Serve a sandbox. @rules: borrowed until replaced or detached. Any thread; returns when the loop
 * has taken it over. */
int proxy_attach(struct proxy *p, const struct proxy_listeners *l, const struct proxy_rules *rules,
                 struct proxy_client **out, isol8_error *err);

/** Replace the rules for connections and requests judged from now on; the old ones may be freed
 * afterwards. Connections that the new rules would block are closed. Waits for the loop. */
void proxy_set_rules(struct proxy_client *c, const struct proxy_rules *rules);

struct proxy_counters {
    uint64_t bytes_in; /* towards the sandbox */
    uint64_t bytes_out;
};

/** Hand over what was logged so far (the caller frees it; NULL when memory is out) and go on with
 * an empty log. Waits for the loop. */
void proxy_take_log(struct proxy_client *c, struct netlog **log, struct proxy_counters *counters);

/** Close everything of the client, hand its log over (the caller frees it). Waits for the loop. */
void proxy_detach(struct proxy_client *c, struct netlog **log, struct proxy_counters *counters);

#endif
