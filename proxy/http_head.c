/* SPDX-License-Identifier: Apache-2.0 */
/* http_head.c - request and response heads as they are sent on: framing and host are ours. */
#include <netinet/in.h>

#include "proxy/http.h"

static void add_slice(struct buf *out, struct http1_slice s)
{
    (void)buf_add(out, s.p, s.n); /* the buffer's failure is sticky */
}

static void add_header(struct buf *out, const struct http1_header *h)
{
    add_slice(out, h->name);
    (void)buf_adds(out, ": ");
    add_slice(out, h->value);
    (void)buf_adds(out, "\r\n");
}

/* Headers that are written anew from what was understood. */
static bool is_ours(const struct http1_header *h)
{
    return http1_slice_is(h->name, "host") || http1_slice_is(h->name, "content-length") ||
           http1_slice_is(h->name, "transfer-encoding");
}

static void add_headers(struct buf *out, const struct http1_header *all, size_t n, bool is_upgrade)
{
    for (size_t i = 0; i < n; i++) {
        bool keeps = is_upgrade && http1_slice_is(all[i].name, "upgrade");
        if (keeps || (!is_ours(&all[i]) && !http1_is_hop_by_hop(all, n, &all[i])))
            add_header(out, &all[i]);
    }
}

static void add_framing(struct buf *out, enum http1_framing framing, uint64_t length)
{
    if (framing == HTTP1_LENGTH)
        (void)buf_addf(out, "Content-Length: %llu\r\n", (unsigned long long)length);
    else if (framing == HTTP1_CHUNKED)
        (void)buf_adds(out, "Transfer-Encoding: chunked\r\n");
}

void http_write_request(const struct http1_request *q, const struct proxy_host *host, uint16_t port,
                        struct buf *out)
{
    bool is_v6 = host->is_address && host->address.family == AF_INET6;

    add_slice(out, q->method);
    (void)buf_adds(out, q->path.n == 0 || q->path.p[0] == '?' ? " /" : " ");
    add_slice(out, q->path);
    /* An HTTP/1.0 client could not read a chunked answer: let the server know. */
    (void)buf_addf(out, " HTTP/1.%u\r\nHost: %s%s%s", q->minor, is_v6 ? "[" : "", host->text,
                   is_v6 ? "]" : "");
    if (port != 80)
        (void)buf_addf(out, ":%u", port);
    (void)buf_adds(out, "\r\n");
    add_headers(out, q->headers, q->n_headers, q->is_upgrade);
    add_framing(out, q->framing, q->content_length);
    if (q->is_upgrade)
        (void)buf_adds(out, "Connection: upgrade\r\n");
    (void)buf_adds(out, "\r\n");
}

/* "200 OK" of the head's first line. */
static struct http1_slice status_of(struct http1_slice head)
{
    size_t n = 0;

    while (n < head.n && head.p[n] != '\r')
        n++;
    return (struct http1_slice){ head.p + 9, n > 9 ? n - 9 : 0 };
}

void http_write_response(const struct http1_response *a, struct http1_slice head, bool close,
                         struct buf *out)
{
    (void)buf_adds(out, "HTTP/1.1 ");
    add_slice(out, status_of(head));
    (void)buf_adds(out, "\r\n");
    add_headers(out, a->headers, a->n_headers, a->is_upgrade);
    add_framing(out, a->framing, a->content_length);
    if (a->framing == HTTP1_NO_BODY && a->status >= 200 && a->status != 204) {
        /* To HEAD, or 304: says what a GET would have got. */
        const struct http1_header *h = http1_find(a->headers, a->n_headers, "content-length");
        if (h != NULL)
            add_header(out, h);
    }
    if (a->is_upgrade)
        (void)buf_adds(out, "Connection: upgrade\r\n");
    else if (close && a->status >= 200)
        (void)buf_adds(out, "Connection: close\r\n");
    (void)buf_adds(out, "\r\n");
}
