/* SPDX-License-Identifier: Apache-2.0 */
/**
 * ws.h - a WebSocket to a server, driven by whoever waits for it
 *
 * libcurl makes the connection (names, proxies, TLS), the handshake is ours, frames are wslay's.
 * Nothing blocks but ws_wait(). One step takes at most one message and the little that has been
 * read with it, so a caller that has no room for more holds the server up.
 */
#ifndef CLIENT_WS_H
#define CLIENT_WS_H

#include <poll.h>

#include "client/client.h"

#define WS_MESSAGE_MAX (16u << 20) /* bytes of a message that servers take */

struct ws;

typedef void (*ws_message_fn)(void *user, const char *text, size_t n);

enum ws_state {
    WS_CONNECTING, /* up to the end of the handshake */
    WS_OPEN,
    WS_REFUSED, /* by an answer that is none of a WebSocket */
    WS_CLOSED,  /* by either side, in good order or not */
};

/** @path below the server's address. Return: 0, ISOL8_E_UNSUPPORTED (no libcurl, no wslay), ... */
int ws_start(struct ws **out, const struct client *c, const char *path, ws_message_fn fn,
             void *user, isol8_error *err);
void ws_free(struct ws *ws);

/** Queue a message; before the handshake is over, too. Return: 0, ISOL8_E_NOMEM */
int ws_send(struct ws *ws, const char *text, size_t n, isol8_error *err);

/** Do what is due. Return: 1 to be called again at once, 0 to wait first, ISOL8_E_NETWORK, ... */
int ws_step(struct ws *ws, isol8_error *err);

/** Wait until something is due, one of @fds (-1: none) is ready, or at most a second. */
void ws_wait(struct ws *ws, struct pollfd *fds, size_t n, int timeout_ms);

enum ws_state ws_state(const struct ws *ws);

/** Of a refusal: the status, and appended what the server says went wrong. */
int ws_refusal(const struct ws *ws, struct buf *out);

/** Status code of the server's close frame; 0: there was none. */
unsigned ws_close_code(const struct ws *ws);

#endif
