/* SPDX-License-Identifier: Apache-2.0 */
/**
 * srv.h - the server as its routes see it, and one request
 *
 * Routes are straight-line code that fills in a reply; http.c, the only file that knows the HTTP
 * library, calls them on the thread of the connection. Waiting is done in srv_wait(), beside the
 * client's socket: the library does not tell a handler that its client has left.
 */
#ifndef SERVER_SRV_H
#define SERVER_SRV_H

#include <stdatomic.h>

#include "base/json.h"
#include "server/auth.h"
#include "server/engines.h"
#include "server/gate.h"
#include "server/metrics.h"
#include "server/policy.h"
#include "server/sessions.h"

enum { SRV_KEEP_ALIVE_MS = 15000 }; /* silence after which a stream says something */

struct srv {
    const struct conf *conf;
    isol8_host *host;
    struct srv_policy policy;
    struct srv_auth auth;
    struct srv_keys *keys; /* NULL: none but the master key */
    struct srv_gate gate;
    struct srv_engines *engines;
    struct srv_sessions *sessions;
    struct srv_metrics metrics;
    struct srv_engine *prewarmed; /* keeps its kinds of the pool */
    pthread_mutex_t cleanup_mutex;
    size_t body_max, message_max; /* of HTTP, of WebSocket */
    bool has_websocket;
    atomic_size_t bodies; /* bytes of bodies and messages in memory */
    atomic_uint connections;
    atomic_bool is_ready, is_draining;
    int kill_fd; /* eventfd, readable for good once everything must end */
    bool is_debug;
};

/* Where a reply's bytes come from when they are not there yet. */
struct srv_source {
    /** Wait for more. Return: bytes, 0 at the end, -1 when the answer cannot be completed. */
    ssize_t (*read)(void *user, char *out, size_t max);
    void (*done)(void *user); /* called once, also when the client left */
    void *user;               /* NULL: no source */
};

struct srv_reply {
    int status;
    const char *type; /* content type, a literal */
    struct buf body;
    struct srv_source source; /* instead of the body */
    unsigned retry_after_s;   /* 0: no such header */
    bool no_cache;
    char upgrade[32]; /* status 101: what Sec-WebSocket-Accept says */
};

struct srv_call;

enum srv_need { SRV_NEED_NOTHING, SRV_NEED_KEY, SRV_NEED_MASTER };

/* Takes a body as it comes. */
struct srv_sink {
    /** Return: 0, or -1: the rest is not wanted, and finish() has the answer. */
    int (*take)(struct srv_call *c, const char *data, size_t n);
    void (*finish)(struct srv_call *c);  /* all of it has come: reply */
    void (*abandon)(struct srv_call *c); /* the client left before */
};

struct srv_route {
    const char *method;
    const char *path; /* a trailing '*' stands for one more component */
    enum srv_need need;
    void (*handle)(struct srv_call *c);
    /** Chooses a sink instead of handle(); NULL: never. May reply at once with a fault. */
    const struct srv_sink *(*sink)(struct srv_call *c);
};

extern const struct srv_route srv_routes[]; /* ends with a NULL path */

/** The route for a request; @tail gets what stands for '*'. HEAD is answered as GET. */
const struct srv_route *srv_route_find(const char *method, const char *path, const char **tail);

struct srv_call {
    struct srv *srv;
    const struct srv_route *route;
    const char *tail;
    struct srv_who who;
    struct buf body;
    int client_fd;
    bool is_head; /* HEAD, answered as GET */
    struct srv_reply reply;
    const struct srv_sink *sink;
    void *sink_state;
    void *connection; /* for srv_query() and srv_header() */
};

/** Parameters of the query and headers of the request; NULL when absent. */
const char *srv_query(const struct srv_call *c, const char *name);
const char *srv_header(const struct srv_call *c, const char *name);

/* ---- Replies (reply.c) ----------------------------------------------------------------------- */

void srv_reply_json(struct srv_call *c, int status, const cJSON *j);
void srv_reply_text(struct srv_call *c, int status, const char *type, const char *text);
void srv_reply_fault(struct srv_call *c, const struct srv_fault *f);
void srv_reply_error(struct srv_call *c, const isol8_error *err);

/* ---- Waiting (wait.c) ------------------------------------------------------------------------ */

enum srv_wake {
    SRV_WAKE_READY, /* @fd is readable */
    SRV_WAKE_TIMEOUT,
    SRV_WAKE_GONE, /* the client closed its connection */
    SRV_WAKE_KILL, /* the server is stopping and waits no longer */
};

/** @client_fd: -1 when the client does not matter any more. @timeout_ms: -1 for ever. */
enum srv_wake srv_wait(const struct srv *s, int fd, int client_fd, int timeout_ms);

/* ---- Routes ---------------------------------------------------------------------------------- */

void srv_get_health(struct srv_call *c);
void srv_get_ready(struct srv_call *c);
void srv_get_metrics(struct srv_call *c);
void srv_get_openapi(struct srv_call *c);
void srv_post_execute(struct srv_call *c);
void srv_post_execute_stream(struct srv_call *c);
void srv_get_websocket(struct srv_call *c);
void srv_post_file(struct srv_call *c);
const struct srv_sink *srv_post_file_sink(struct srv_call *c);
void srv_get_file(struct srv_call *c);
void srv_get_sessions(struct srv_call *c);
void srv_delete_session(struct srv_call *c);
void srv_post_cleanup(struct srv_call *c);
void srv_post_auth_keys(struct srv_call *c);
void srv_get_auth_keys(struct srv_call *c);
void srv_delete_auth_key(struct srv_call *c);
void srv_post_auth_login(struct srv_call *c);

#endif
