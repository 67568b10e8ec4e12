/* SPDX-License-Identifier: Apache-2.0 */
/* proxy_internal.h - the loop's own structures; every field belongs to the proxy's thread. */
#ifndef PROXY_PROXY_INTERNAL_H
#define PROXY_PROXY_INTERNAL_H

#include <netinet/in.h>
#include <pthread.h>
#include <stddef.h>

#include "base/evloop.h"
#include "proxy/guard.h"
#include "proxy/host.h"
#include "proxy/names.h"
#include "proxy/proxy.h"
#include "proxy/resolver.h"
#include "proxy/tally.h"

enum {
    PROXY_IO_MAX = 64 * 1024,        /* bytes moved by one read */
    PROXY_PIPES_MAX = 32,            /* idle pipes kept for the next large transfer */
    PROXY_GUARD_REFRESH_MS = 30000,  /* the machine's own addresses may change */
    PROXY_ACCEPT_BACKOFF_MS = 100,   /* after accept() ran out of descriptors or memory */
    PROXY_ACCEPT_BATCH = 32,         /* connections taken by one event */
    PROXY_REFILL_MS = 20,            /* between two looks at an empty token bucket */
    PROXY_DNS_PENDING_MAX = 256,     /* questions of one sandbox that wait for an answer */
    PROXY_DNS_PER_SECOND_MAX = 1000, /* questions of one sandbox */
};

#define PROXY_CONTAINER(ptr, type, member) ((type *)((char *)(ptr)-offsetof(type, member)))

struct conn;
struct dns_pending;
struct dns_conn;

struct proxy {
    struct evloop *loop;
    pthread_t thread;
    struct log log;
    struct resolver *resolver;
    struct proxy_guard *guard;
    struct evl_timer guard_timer;
    uint16_t *ports; /* none: any */
    size_t n_ports;
    bool has_upstream;
    struct proxy_host upstream_host;
    uint16_t upstream_port;
    unsigned connections;
    uint64_t bytes_per_second;
    uint64_t bytes;
    int pipes[PROXY_PIPES_MAX][2];
    size_t n_pipes;
    struct proxy_tally tally;
    char scratch[PROXY_IO_MAX]; /* bytes between one read and the write that follows at once */
};

struct listener {
    struct evl_io io;
    struct evl_timer backoff;
    struct proxy_client *client;
    void (*take)(struct proxy_client *c, int fd); /* @fd is taken */
};

struct proxy_client {
    struct proxy *proxy;
    const struct proxy_rules *rules; /* borrowed */
    struct netlog *log;
    struct listener explicit_listener, transparent_listener, dns_listener;
    struct evl_io dns_udp;
    struct conn *conns;
    unsigned n_conns; /* DNS over TCP included */
    struct names *names;
    struct resolver_quota quota;
    struct dns_pending *dns_pending;
    unsigned n_dns_pending;
    struct dns_conn *dns_conns;
    uint64_t dns_second, dns_in_second;
    char dns_blocked[PROXY_NAME_MAX + 1]; /* the last name refused, to log A and AAAA once */
    uint64_t dns_blocked_ns;
    uint64_t refused_log_ns; /* when a connection above the cap was last logged */
    struct proxy_counters counters;
    bool is_exhausted; /* the byte limit was reached */
    bool is_throttled; /* some connection waits for the bucket */
    double tokens;     /* bytes that may be moved now */
    uint64_t tokens_ns;
    struct evl_timer refill;
    struct evl_deferred deferred;
};

struct verdict {
    bool is_allowed;
    enum isol8_proxy_outcome outcome;
    const char *rule;   /* lives as long as the client's rules */
    const char *reason; /* lives until the next turn of the loop at least */
};

/* What the rules, the port list, the byte limit and, for literals, the address guard say. */
struct verdict client_judge(const struct proxy_client *c, const struct proxy_host *host,
                            uint16_t port);

/** How many of @want bytes may be moved now; 0: wait, the connections are resumed by a timer. */
size_t client_allowance(struct proxy_client *c, size_t want);

/** Count what was moved. */
void client_count(struct proxy_client *c, uint64_t in, uint64_t out);

/* client.c */
void client_init(struct proxy_client *c);
void client_end(struct proxy_client *c);

/* listen.c */
int listener_open(struct listener *l, struct proxy_client *c, int fd,
                  void (*take)(struct proxy_client *c, int fd), isol8_error *err);
void listener_close(struct listener *l, struct proxy_client *c);

/** Close so that the other side sees a reset. */
void fd_reset(int fd);

/* Pipes for splice(2); false when there is none to be had. */
bool proxy_pipe_take(struct proxy *p, int out[2]);
void proxy_pipe_give(struct proxy *p, int pipe[2]); /* must be empty */

#endif
