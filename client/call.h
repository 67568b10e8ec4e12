/* SPDX-License-Identifier: Apache-2.0 */
/**
 * call.h - one HTTP request to a server, driven by whoever waits for it
 *
 * Nothing blocks but call_wait(). The answer of a success goes to a function as it comes, or is
 * collected; that of a failure is collected for its error text. What is not fetched by call_step()
 * stays with the server, so a caller that has no room holds the server up.
 */
#ifndef CLIENT_CALL_H
#define CLIENT_CALL_H

#include <poll.h>

#include "client/client.h"

struct call;

/** Take bytes of the answer. Return: false to break the call off. */
typedef bool (*call_sink_fn)(void *user, const char *data, size_t n);

struct call_args {
    const char *method; /* "GET", "POST", "DELETE" */
    const char *path;   /* below the server's address, escaped */
    const char *body;   /* borrowed as long as the call; NULL: none */
    size_t body_size;
    int timeout_ms;    /* of the whole call; 0: none, it may take as long as a program runs */
    size_t answer_max; /* bytes that are collected */
    call_sink_fn sink; /* NULL: collect */
    void *user;
};

/** Return: 0, ISOL8_E_NOMEM, ISOL8_E_UNSUPPORTED (no libcurl) */
int call_start(struct call **out, const struct client *c, const struct call_args *args,
               isol8_error *err);
void call_free(struct call *call);

/** Do what is due. Return: 1 when the answer is complete, 0 when not, ISOL8_E_NETWORK, ... */
int call_step(struct call *call, isol8_error *err);

/** Wait until something is due, one of @fds (-1: none) is ready, or at most a second. */
void call_wait(struct call *call, struct pollfd *fds, size_t n, int timeout_ms);

/** Of the answer's head; 0: it has not come. */
long call_status(const struct call *call);

/** Whether the status is one of success. */
bool call_is_good(const struct call *call);

/** What was collected. */
const struct buf *call_answer(const struct call *call);

/** Append what the server says went wrong: its error, the reason phrase, or the status. */
void call_error(const struct call *call, struct buf *out);

/** Options that every connection to a server has. */
struct curl_lib;
void call_set_common(const struct curl_lib *lib, void *easy, char *error);

#endif
