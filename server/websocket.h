/* SPDX-License-Identifier: Apache-2.0 */
/**
 * websocket.h - GET /execute/ws: one execution, watched and steered over a WebSocket
 */
#ifndef SERVER_WEBSOCKET_H
#define SERVER_WEBSOCKET_H

#include "server/srv.h"

enum {
    WEBSOCKET_IDLE_MS = 120000,    /* from the connection's begin until it says "execute" */
    WEBSOCKET_SILENT_MS = 120000,  /* without a sign of life, pongs included */
    WEBSOCKET_STDIN_MAX = 1 << 20, /* waiting for a program that does not exist yet */
};

struct websocket_args {
    struct srv *srv;
    struct srv_who who;
    int fd;            /* of the client; borrowed */
    int gone_fd;       /* hangs up when the client does, where @fd does not tell; else -1 */
    const void *early; /* what came with the handshake */
    size_t n_early;
    void (*set_busy)(void *user, bool is_busy); /* an execution begins or has ended */
    void *user;
};

/** Serve a connection until it is over, and nothing of its execution is left. */
void websocket_serve(const struct websocket_args *args);

#endif
