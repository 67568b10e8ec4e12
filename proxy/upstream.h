/* SPDX-License-Identifier: Apache-2.0 */
/**
 * upstream.h - from a judged host and port to a connected socket
 *
 * Resolves, checks every candidate address, connects to the first good one that answers; or asks
 * the operator's upstream proxy for a tunnel, which then resolves the name.
 */
#ifndef PROXY_UPSTREAM_H
#define PROXY_UPSTREAM_H

#include "base/buf.h"
#include "proxy/proxy_internal.h"

enum {
    UPSTREAM_ATTEMPT_MS = 3000,   /* for one address while there are others */
    UPSTREAM_DEADLINE_MS = 30000, /* for all of it, the lookup included */
    UPSTREAM_HEAD_MAX = 8192,     /* bytes of an upstream proxy's answer to CONNECT */
};

enum upstream_status {
    UPSTREAM_OK,
    UPSTREAM_BLOCKED, /* every address is refused by the guard */
    UPSTREAM_FAILED,
};

enum upstream_state {
    UPSTREAM_RESOLVE,
    UPSTREAM_CONNECT,
    UPSTREAM_ASK,
    UPSTREAM_ANSWER,
    UPSTREAM_DONE,
};

struct upstream {
    void (*fn)(struct upstream *u); /* called once, from the loop; may free the upstream */
    void *user;
    enum upstream_status status; /* set when @fn is called, like @fd and @reason */
    const char *reason;          /* literal: why blocked or failed */
    int fd;                      /* connected; the caller takes it with take_fd() */

    struct proxy_client *client;
    enum upstream_state state;
    struct proxy_host host;
    uint16_t port;
    uint16_t connect_port; /* the upstream proxy's, when there is one */
    struct lookup lookup;
    struct evl_io io;
    struct evl_timer timer;
    struct evl_timer attempt;
    struct evl_deferred deferred;
    struct proxy_address candidates[RESOLVE_ADDRESSES_MAX];
    size_t n, at;
    struct buf head; /* what the upstream proxy is sent, then what it answers */
};

/** NULL: no memory. @fn is never called from here. */
struct upstream *upstream_start(struct proxy_client *c, const struct proxy_host *host,
                                uint16_t port, void (*fn)(struct upstream *u), void *user);

/** Give up what is under way and free it after the present turn; NULL is fine. */
void upstream_free(struct upstream *u);

#endif
