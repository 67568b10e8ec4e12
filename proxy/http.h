/* SPDX-License-Identifier: Apache-2.0 */
/* http.h - the HTTP/1 part of a connection; see conn_http.c. */
#ifndef PROXY_HTTP_H
#define PROXY_HTTP_H

#include "proxy/conn.h"

enum { HTTP_BUFFER_MAX = PROXY_IO_MAX + 2 * PROXY_HEAD_MAX };

struct body {
    enum http1_framing framing;
    uint64_t left;
    struct http1_chunks chunks;
    bool is_done;
};

struct exchange {
    struct buf from_down, to_up, from_up, to_down;
    struct buf retry; /* the request's head while it may be sent again */
    struct body request, response;
    unsigned minor;
    bool keep_alive; /* the client's wish */
    bool is_upgrade; /* asked for */
    bool has_answer; /* a final response head was taken */
    bool must_close; /* after this response */
    bool up_keeps;   /* upstream stays open after this response */
    bool is_reused;  /* the upstream connection served before */
    bool down_eof, up_eof;
    struct proxy_host up_host; /* what c->up is connected to */
    uint16_t up_port;
};

/* conn_http.c */

bool http_open(struct conn *c);
void http_free(struct exchange *x);
void http_on_down(struct conn *c, uint32_t events);
void http_on_up(struct conn *c, uint32_t events);
void http_run(struct conn *c); /* move what can be moved, then watch for the rest */

/** Drop the first @n bytes of what the client sent. */
void http_consume(struct conn *c, size_t n);

/** Hand both sides with all that is buffered to the relay; ends the HTTP part. */
void http_to_tunnel(struct conn *c, bool judge);

/** Answers of the proxy itself. */
void http_reply_blocked(struct conn *c);
void http_reply_failed(struct conn *c, const char *status, const char *error);

/* http_head.c: heads as they are sent on. */
void http_write_request(const struct http1_request *q, const struct proxy_host *host, uint16_t port,
                        struct buf *out);
void http_write_response(const struct http1_response *a, struct http1_slice head, bool close,
                         struct buf *out);

/* Shared by conn_http.c and http_request.c */
void http_drop_up(struct conn *c);
void http_set_body(struct body *b, enum http1_framing framing, uint64_t length);
void http_on_connected(struct upstream *u);
void http_reply_bad(struct conn *c, const char *why);

/** Parse, judge and forward the request at the front of what the client sent. True: something
 * happened. */
bool http_begin_request(struct conn *c);

#endif
