/* SPDX-License-Identifier: Apache-2.0 */
/* conn.h - one connection of a sandbox; see conn.c for its states. */
#ifndef PROXY_CONN_H
#define PROXY_CONN_H

#include "base/buf.h"
#include "proxy/http1.h"
#include "proxy/proxy_internal.h"
#include "proxy/relay.h"
#include "proxy/rules.h"
#include "proxy/upstream.h"

enum {
    CONN_HEAD_MS = 30000,      /* for a whole request head, however slowly it comes */
    CONN_IDLE_MS = 75000,      /* between two requests of a connection */
    CONN_CONNECT_MS = 35000,   /* above UPSTREAM_DEADLINE_MS, which answers with a reason */
    CONN_EXCHANGE_MS = 300000, /* without a byte in either direction */
    CONN_TUNNEL_MS = 600000,   /* same, of a tunnel */
    CONN_HELLO_MS = 30000,     /* from the first byte of a ClientHello to its last */
    CONN_REPLY_MS = 10000,     /* to take our last answer */
    CONN_LINGER_MS = 2000,     /* to close after our last answer */
    CONN_LINGER_BYTES = 1024 * 1024,
};

enum conn_state {
    CONN_HEAD,
    CONN_CONNECT,
    CONN_EXCHANGE,
    CONN_TUNNEL,
    CONN_REPLY,
    CONN_LINGER,
    CONN_CLOSED,
    CONN_STATE__MAX,
};

/* One network log entry in the making. */
struct record {
    bool is_open;
    enum isol8_proxy_protocol protocol;
    enum isol8_proxy_outcome outcome; /* of the judgement */
    char method[PROXY_METHOD_MAX + 1];
    char *path; /* owned, or NULL */
    struct proxy_host host;
    uint16_t port;
    const char *rule; /* of the client's rules: judged anew when they change */
    const char *reason;
    const char *error; /* literal */
    uint64_t start_ns;
    int64_t wall_ms;
    uint64_t bytes_in, bytes_out;
};

struct exchange; /* http.h */

struct conn {
    struct proxy_client *client;
    struct conn *prev, *next;
    enum conn_state state;
    bool is_transparent;
    bool has_target;    /* transparent HTTP: every request must be for @record's host */
    bool is_throttled;  /* waits for the client's bucket */
    struct evl_io down; /* to the sandbox; fd -1: none */
    struct evl_io up;   /* to the world */
    struct evl_timer timer;
    uint64_t active_ns;   /* the last byte moved */
    uint64_t deadline_ms; /* from active_ns, in this state */
    struct evl_deferred deferred;
    struct proxy_host target; /* transparent: what was connected to */
    uint16_t target_port;
    struct record record;
    struct upstream *connecting;
    struct exchange *http; /* explicit, or transparent HTTP; NULL in a tunnel */
    struct buf reply;      /* our last answer */
    size_t drained;
    struct relay relay;
};

/* conn.c */

/** A new connection in the client's list; @fd is taken. NULL: no memory, @fd is reset. */
struct conn *conn_new(struct proxy_client *c, int fd);

/** The only way from one state to another: checks the transition and sets the deadline. */
void conn_set_state(struct conn *c, enum conn_state state);

/** Another deadline for the present state, from now on. */
void conn_set_deadline(struct conn *c, uint64_t ms);

/** Something moved: the state's deadline starts anew, where it is one of idleness. */
void conn_touch(struct conn *c);

/** Close both sides, log what is open, free after this turn. @reset: the client sees RST. */
void conn_end(struct conn *c, bool reset);

/** Watch @io for @events; none: not at all, so that a hang-up does not spin. */
void conn_watch(struct conn *c, struct evl_io *io, uint32_t events);

/** Send a last plain-text answer, then close gracefully. */
void conn_reply(struct conn *c, const char *status, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
void conn_linger(struct conn *c);

/** Begin a log entry. @path NULL: none, as all but requests. */
void conn_record(struct conn *c, const char *method, size_t method_n, const struct proxy_host *host,
                 uint16_t port, const char *path, size_t path_n);

/** Write the open entry, if there is one. */
void conn_log(struct conn *c, bool is_allowed);

/** Judge the record's host; when it is blocked, log that. */
bool conn_judge(struct conn *c);

/** Log the open record as blocked for @reason. */
void conn_log_blocked(struct conn *c, enum isol8_proxy_outcome outcome, const char *reason);

/** Rules were replaced: close what they block. */
void conn_rejudge(struct conn *c);

/** The bucket has bytes again. */
void conn_resume(struct conn *c);

/** Bytes that were read: counters, log, deadline. */
void conn_count(struct conn *c, bool is_in, size_t n);

/** Connect to the record's host; @fn gets the upstream with user = the connection. */
void conn_connect(struct conn *c, void (*fn)(struct upstream *u));

/** Take the connected socket as c->up. */
void conn_take_upstream(struct conn *c, struct upstream *u);

/* conn_connect.c */
void connect_begin(struct conn *c, const struct http1_request *q, size_t n);

/* conn_tcp.c */
void explicit_take(struct proxy_client *c, int fd);
void transparent_take(struct proxy_client *c, int fd);

/** Whether a TLS server name may be used on this connection; false: logged as blocked. */
bool conn_name_agrees(struct conn *c, const struct proxy_host *name);

#endif
