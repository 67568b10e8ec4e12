/* SPDX-License-Identifier: Apache-2.0 */
/* http1_head.h - what request and response heads have in common; only for http1*.c. */
#ifndef PROXY_HTTP1_HEAD_H
#define PROXY_HTTP1_HEAD_H

#include "proxy/http1.h"

enum head_status { HEAD_BAD = -1, HEAD_MORE = 0, HEAD_OK = 1 };

/* Walks a head line by line. */
struct head_reader {
    const char *p;
    size_t n;
    size_t at;
    const char *why; /* set with HEAD_BAD */
};

/** The next line without its CRLF. HEAD_BAD on bare LF or CR, control bytes, a head too large. */
enum head_status head_line(struct head_reader *r, struct http1_slice *line);

/** All header lines with the empty one that ends them. */
enum head_status head_headers(struct head_reader *r, struct http1_header *out, size_t *n_out);

/* What the headers say about the message and the connection. */
struct head_fields {
    const struct http1_header *host; /* NULL: none */
    bool has_length;
    uint64_t length;
    bool is_chunked;
    bool close, keep_alive, upgrade; /* tokens of Connection */
    bool has_upgrade;
    bool offers_h2c;
    bool expects_continue;
};

/** NULL, or why the headers are refused. */
const char *head_fields_read(const struct http1_header *all, size_t n, unsigned minor,
                             struct head_fields *out);

/** "HTTP/1.0" or "HTTP/1.1". */
bool head_version(struct http1_slice s, unsigned *minor);

/** RFC 9110, 5.6.2: a token of at least one byte. */
bool head_is_token(struct http1_slice s);
bool head_is_token_byte(char c);

/** Whether a list header (RFC 9110, 5.6.1) has the item @text. */
bool head_list_has(struct http1_slice list, struct http1_slice text);

#endif
