/* SPDX-License-Identifier: Apache-2.0 */
/* http1.c - request and response heads. */
#include "proxy/http1.h"

#include <string.h>

#include "proxy/http1_head.h"

enum { PORT_HTTP = 80, PORT_HTTPS = 443 };

/* Cut at the first space; what is behind it stays in @rest. False when there is none. */
static bool cut_word(struct http1_slice *rest, struct http1_slice *word)
{
    const char *space = rest->n > 0 ? memchr(rest->p, ' ', rest->n) : NULL;

    if (space == NULL)
        return false;
    *word = (struct http1_slice){ rest->p, (size_t)(space - rest->p) };
    rest->p += word->n + 1;
    rest->n -= word->n + 1;
    return true;
}

/* RFC 9112, 3: exactly one space between the three parts. */
static const char *parse_request_line(struct http1_slice line, struct http1_request *q,
                                      struct http1_slice *target)
{
    if (!cut_word(&line, &q->method) || !cut_word(&line, target))
        return "bad request line";
    if (!head_is_token(q->method) || q->method.n > PROXY_METHOD_MAX)
        return "bad method";
    if (target->n == 0 || memchr(target->p, '\t', target->n) != NULL)
        return "bad request target";
    if (memchr(target->p, '#', target->n) != NULL)
        return "fragment in the request target";
    return head_version(line, &q->minor) ? NULL : "HTTP version other than 1.0 and 1.1";
}

static bool is_method(const struct http1_request *q, const char *name)
{
    return q->method.n == strlen(name) && memcmp(q->method.p, name, q->method.n) == 0;
}

/* RFC 9112, 3.2.2 */
static const char *parse_absolute(struct http1_slice target, struct http1_request *q)
{
    static const char scheme[] = "http://";
    const size_t scheme_n = sizeof(scheme) - 1;
    size_t n = 0;

    if (target.n < scheme_n || !http1_slice_is((struct http1_slice){ target.p, scheme_n }, scheme))
        return "request target is neither a path nor an http:// URL";
    target.p += scheme_n;
    target.n -= scheme_n;
    while (n < target.n && target.p[n] != '/' && target.p[n] != '?')
        n++;
    if (n > 0 && memchr(target.p, '@', n) != NULL)
        return "userinfo in the request target";
    if (!proxy_authority_parse(target.p, n, PORT_HTTP, &q->host, &q->port))
        return "bad host in the request target";
    q->path = (struct http1_slice){ target.p + n, target.n - n };
    if (q->path.n == 0) /* RFC 9112, 3.2.4 */
        q->path = (struct http1_slice){ is_method(q, "OPTIONS") ? "*" : "/", 1 };
    return NULL;
}

static const char *parse_target(struct http1_slice target, struct http1_request *q)
{
    if (is_method(q, "CONNECT")) {
        q->form = HTTP1_AUTHORITY;
        if (!proxy_authority_parse(target.p, target.n, PORT_HTTPS, &q->host, &q->port))
            return "bad host in the request target";
        return NULL;
    }
    if (target.p[0] == '/') {
        q->form = HTTP1_ORIGIN;
        q->path = target;
        return NULL;
    }
    if (target.n == 1 && target.p[0] == '*' && is_method(q, "OPTIONS")) {
        q->form = HTTP1_ASTERISK;
        q->path = target;
        return NULL;
    }
    q->form = HTTP1_ABSOLUTE;
    return parse_absolute(target, q);
}

/* The Host header is the host of an origin-form request, and is compared with any other's. */
static const char *parse_host(const struct http1_header *h, struct http1_request *q)
{
    bool in_target = q->form == HTTP1_ABSOLUTE || q->form == HTTP1_AUTHORITY;
    struct proxy_host host;
    uint16_t port;

    if (h == NULL)
        return in_target || q->minor == 0 ? NULL : "no Host header";
    if (!proxy_authority_parse(h->value.p, h->value.n, PORT_HTTP, &host, &port))
        return "bad Host header";
    q->has_host_header = true;
    if (in_target) {
        q->host_differs = strcmp(host.text, q->host.text) != 0;
    } else {
        q->host = host;
        q->port = port;
    }
    return NULL;
}

/* RFC 9112, 9.3 */
static bool stays_open(const struct head_fields *f, unsigned minor)
{
    return !f->close && (minor > 0 || f->keep_alive);
}

static const char *finish_request(struct http1_request *q, struct http1_slice target)
{
    struct head_fields f;
    const char *why = head_fields_read(q->headers, q->n_headers, q->minor, &f);

    if (why == NULL)
        why = parse_target(target, q);
    if (why == NULL)
        why = parse_host(f.host, q);
    if (why != NULL)
        return why;
    if (q->form == HTTP1_AUTHORITY && (f.is_chunked || (f.has_length && f.length > 0)))
        return "CONNECT with a body";
    q->keep_alive = stays_open(&f, q->minor);
    q->expects_continue = f.expects_continue;
    q->is_upgrade = f.upgrade && f.has_upgrade && !f.offers_h2c && q->minor > 0;
    q->content_length = f.length;
    q->framing = f.is_chunked ? HTTP1_CHUNKED : f.has_length ? HTTP1_LENGTH : HTTP1_NO_BODY;
    return NULL;
}

static void clear_request(struct http1_request *q)
{
    /* All but the headers, of which only those counted are valid. */
    memset(q, 0, offsetof(struct http1_request, headers));
}

long http1_parse_request(const char *p, size_t n, struct http1_request *out, const char **why)
{
    struct head_reader r = { .p = p, .n = n };
    struct http1_slice line, target;
    enum head_status s = head_line(&r, &line);

    clear_request(out);
    if (s == HEAD_OK && line.n == 0)
        s = head_line(&r, &line);
    if (s == HEAD_OK) {
        r.why = parse_request_line(line, out, &target);
        s = r.why == NULL ? head_headers(&r, out->headers, &out->n_headers) : HEAD_BAD;
    }
    if (s == HEAD_OK) {
        r.why = finish_request(out, target);
        s = r.why == NULL ? HEAD_OK : HEAD_BAD;
    }
    if (s == HEAD_BAD)
        *why = r.why;
    return s == HEAD_OK ? (long)r.at : (long)s;
}

/* RFC 9112, 4. The space before an empty reason is often forgotten. */
static const char *parse_status_line(struct http1_slice line, struct http1_response *a)
{
    unsigned v = 0;

    if (line.n < 12 || !head_version((struct http1_slice){ line.p, 8 }, &a->minor))
        return "HTTP version other than 1.0 and 1.1";
    if (line.p[8] != ' ' || (line.n > 12 && line.p[12] != ' '))
        return "bad status line";
    for (size_t i = 9; i < 12; i++) {
        if (line.p[i] < '0' || line.p[i] > '9')
            return "bad status line";
        v = v * 10 + (unsigned)(line.p[i] - '0');
    }
    a->status = v;
    return v >= 100 ? NULL : "bad status line";
}

/* RFC 9112, 6.3 */
static const char *frame_response(struct http1_response *a, const struct head_fields *f,
                                  struct http1_slice method)
{
    bool never = a->status < 200 || a->status == 204;
    bool tunnel = method.n == 7 && memcmp(method.p, "CONNECT", 7) == 0 && a->status / 100 == 2;

    if (never && (f->is_chunked || (f->has_length && f->length > 0)))
        return "body with a status that has none";
    a->content_length = f->length;
    if (never || tunnel || a->status == 304 || (method.n == 4 && memcmp(method.p, "HEAD", 4) == 0))
        a->framing = HTTP1_NO_BODY;
    else if (f->is_chunked)
        a->framing = HTTP1_CHUNKED;
    else
        a->framing = f->has_length ? HTTP1_LENGTH : HTTP1_TO_CLOSE;
    return NULL;
}

static const char *finish_response(struct http1_response *a, struct http1_slice method)
{
    struct head_fields f;
    const char *why = head_fields_read(a->headers, a->n_headers, a->minor, &f);

    if (why == NULL)
        why = frame_response(a, &f, method);
    a->keep_alive = stays_open(&f, a->minor) && a->framing != HTTP1_TO_CLOSE;
    a->is_upgrade = a->status == 101 && f.upgrade && f.has_upgrade;
    return why;
}

long http1_parse_response(const char *p, size_t n, const char *method, size_t method_n,
                          struct http1_response *out, const char **why)
{
    struct head_reader r = { .p = p, .n = n };
    struct http1_slice line;
    enum head_status s = head_line(&r, &line);

    memset(out, 0, offsetof(struct http1_response, headers));
    if (s == HEAD_OK) {
        r.why = parse_status_line(line, out);
        s = r.why == NULL ? head_headers(&r, out->headers, &out->n_headers) : HEAD_BAD;
    }
    if (s == HEAD_OK) {
        r.why = finish_response(out, (struct http1_slice){ method, method_n });
        s = r.why == NULL ? HEAD_OK : HEAD_BAD;
    }
    if (s == HEAD_BAD)
        *why = r.why;
    return s == HEAD_OK ? (long)r.at : (long)s;
}
