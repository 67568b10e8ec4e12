/* SPDX-License-Identifier: Apache-2.0 */
/**
 * http1.h - strict parser of HTTP/1 message heads (RFC 9112), and the framing that follows
 *
 * I/O-free: bytes in, a structure of slices out. Ambiguous framing is refused, never repaired: both
 * Content-Length and Transfer-Encoding, more than one Content-Length (equal ones as well), a
 * transfer coding other than a single "chunked" or in HTTP/1.0, more than one Host, obs-fold, bare
 * CR or LF, spaces before a colon, NUL and control bytes, a body where there can be none.
 */
#ifndef PROXY_HTTP1_H
#define PROXY_HTTP1_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proxy/host.h"

enum {
    PROXY_HEAD_MAX = 64 * 1024, /* bytes of a request or response head */
    PROXY_HEADERS_MAX = 128,
    PROXY_METHOD_MAX = 32,
    PROXY_CHUNK_LINE_MAX = 4096, /* chunk size with extensions, or a trailer line */
};

struct http1_slice {
    const char *p;
    size_t n;
};

struct http1_header {
    struct http1_slice name;
    struct http1_slice value; /* without surrounding blanks */
};

enum http1_framing {
    HTTP1_NO_BODY,
    HTTP1_LENGTH, /* content_length bytes */
    HTTP1_CHUNKED,
    HTTP1_TO_CLOSE, /* responses only */
};

enum http1_target_form { HTTP1_ORIGIN, HTTP1_ABSOLUTE, HTTP1_AUTHORITY, HTTP1_ASTERISK };

struct http1_request {
    struct http1_slice method;
    enum http1_target_form form;
    struct proxy_host host;  /* ABSOLUTE and AUTHORITY: from the target; else from Host */
    uint16_t port;           /* as host; without one: 443 for AUTHORITY, else 80 */
    struct http1_slice path; /* path and query; "*" for ASTERISK; empty for AUTHORITY; begins with
                                '?' after an absolute target without path: "/" goes before it */
    bool has_host_header;    /* false: host is unset with ORIGIN and ASTERISK, HTTP/1.0 only */
    bool host_differs;       /* Host header names another host than the target */
    unsigned minor;          /* HTTP/1.minor: 0 or 1 */
    bool keep_alive;
    bool expects_continue;
    bool is_upgrade; /* Connection: upgrade with an Upgrade header that does not offer h2c, whose
                        requests could not be judged */
    enum http1_framing framing;
    uint64_t content_length;
    size_t n_headers;
    struct http1_header headers[PROXY_HEADERS_MAX];
};

struct http1_response {
    unsigned status;
    unsigned minor;
    bool keep_alive;
    bool is_upgrade;            /* 101 with Connection: upgrade and an Upgrade header */
    enum http1_framing framing; /* for a response to @method given below */
    uint64_t content_length;
    size_t n_headers;
    struct http1_header headers[PROXY_HEADERS_MAX];
};

/**
 * http1_parse_request() - Parse the head at the start of @p
 * @why: A literal, set when the head is refused
 *
 * One empty line before the request line is skipped (RFC 9112, 2.2) and counted as part of the
 * head. Absolute targets are http:// only, without userinfo. CONNECT has no body. Slices point into
 * @p, or at literals.
 * Return: bytes of the complete head; 0 when more are needed; -1 when it is refused, as soon as
 * that is known
 */
long http1_parse_request(const char *p, size_t n, struct http1_request *out, const char **why);

/** The same for a response to a request with @method, whose framing depends on it. */
long http1_parse_response(const char *p, size_t n, const char *method, size_t method_n,
                          struct http1_response *out, const char **why);

/** Whether a proxy leaves a header out: Connection and what it lists, Proxy-*, Keep-Alive, TE,
 * Upgrade. What carries the message is never left out, listed or not: Host, Content-Length,
 * Transfer-Encoding, Trailer. Upgrades: the caller writes Connection and Upgrade itself. */
bool http1_is_hop_by_hop(const struct http1_header *all, size_t n_all,
                         const struct http1_header *h);

/** Equal without regard to the case of ASCII letters. */
bool http1_slice_is(struct http1_slice s, const char *text);

/** The first header of that name, or NULL. */
const struct http1_header *http1_find(const struct http1_header *all, size_t n, const char *name);

/* Follows a chunked body (RFC 9112, 7.1) without changing it, its trailers included. */
struct http1_chunks {
    unsigned state;
    uint64_t left;   /* of the chunk's size or data */
    size_t line;     /* bytes of the present line */
    size_t trailers; /* bytes of all trailer lines; at most PROXY_HEAD_MAX */
};
void http1_chunks_init(struct http1_chunks *c);

/** Bytes of @p that belong to the body: all of them until its end; *done when its end was among
 * them; -1 when malformed, for good. */
long http1_chunks_feed(struct http1_chunks *c, const char *p, size_t n, bool *done);

#endif
