/* SPDX-License-Identifier: Apache-2.0 */
/**
 * http.h - HTTP/1.1 on listening sockets, by libmicrohttpd
 *
 * Every connection has a thread. Nothing limits how long a program may run or be quiet; a client
 * has deadlines: for a request's head, for its body and for taking the answer.
 */
#ifndef SERVER_HTTP_H
#define SERVER_HTTP_H

#include "server/srv.h"

enum {
    HTTP_HEAD_BYTES = 65536,   /* request line and headers */
    HTTP_HEAD_MS = 30000,      /* from the connection's begin until its first head is there */
    HTTP_IDLE_MS = 75000,      /* from an answer's end until the next head is there */
    HTTP_SLACK_MS = 30000,     /* for a body or an answer, and beyond that ... */
    HTTP_BYTES_PER_MS = 16,    /* ... this rate at least */
    HTTP_CROWDED_MS = 2000,    /* idle ones have this long when 9 in 10 connections are taken */
    HTTP_BODIES_MAX = 1 << 29, /* bytes of all bodies in memory */
    HTTP_CHUNK = 32768,        /* of streamed answers */
    HTTP_STACK = 2 << 20,      /* of a connection's thread; only what is used takes memory */
};

struct http;

struct http_args {
    struct srv *srv;
    const int *fds; /* listening; taken */
    size_t n_fds;
    unsigned connections;                  /* at once, of each listener */
    const char *tls_certificate, *tls_key; /* PEM texts; NULL: no TLS */
    void (*log)(const char *line);
};

int http_start(struct http **out, const struct http_args *args, isol8_error *err);

/** Take no new connections. */
void http_quiesce(struct http *h);

/** True while a request is being worked on or answered. */
bool http_is_busy(struct http *h);

/** Close everything and wait for all threads: what routes wait for must have been ended. */
void http_stop(struct http *h);

#endif
