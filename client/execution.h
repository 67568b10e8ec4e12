/* SPDX-License-Identifier: Apache-2.0 */
/**
 * execution.h - one execution on a server
 *
 * Streaming goes over a WebSocket, which carries signals, too; where the server refuses that (an
 * old proxy, a server without it, no wslay on this machine, an order too large for one of its
 * messages), over an event stream. A refusal for the key's sake is final. Nothing blocks but
 * execution_wait().
 */
#ifndef CLIENT_EXECUTION_H
#define CLIENT_EXECUTION_H

#include <poll.h>

#include "client/client.h"
#include "client/event.h"
#include "client/order.h"
#include "client/result.h"

struct execution;

typedef void (*execution_event_fn)(void *user, const struct client_event *ev);

/**
 * execution_start() - Begin
 * @c, @order: Borrowed until execution_free()
 * @fn:        Gets each event; NULL: buffered, the result is fetched at the end
 */
int execution_start(struct execution **out, const struct client *c,
                    const struct client_order *order, execution_event_fn fn, void *user,
                    isol8_error *err);

/** Close the connection, at which a server of ours kills what still runs. */
void execution_free(struct execution *x);

/** Do what is due. Return: 1 to be called again at once, 0 to wait first, negative: it failed. */
int execution_step(struct execution *x, isol8_error *err);

/** Nothing more will come. */
bool execution_done(const struct execution *x);

/** Wait until something is due, one of @fds (-1: none) is ready, or at most a second. */
void execution_wait(struct execution *x, struct pollfd *fds, size_t n, int timeout_ms);

/** Hand a signal on to the program. Return: false when this connection cannot. */
bool execution_signal(struct execution *x, int number);

/** "WebSocket", "SSE" or "buffered". */
const char *execution_transport(const struct execution *x);

/** Of a buffered one that is done: the answer as it came, and what is in it. */
const struct buf *execution_answer(const struct execution *x);
int execution_result(const struct execution *x, struct client_result *out, isol8_error *err);

#endif
