/* SPDX-License-Identifier: Apache-2.0 */
/* http1_head.c - lines, headers, and what they say about framing and connection. */
#include "proxy/http1_head.h"

#include <string.h>

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c + ('a' - 'A')) : c;
}

static bool slices_match(struct http1_slice a, struct http1_slice b)
{
    if (a.n != b.n)
        return false;
    for (size_t i = 0; i < a.n; i++) {
        if (lower(a.p[i]) != lower(b.p[i]))
            return false;
    }
    return true;
}

bool http1_slice_is(struct http1_slice s, const char *text)
{
    return slices_match(s, (struct http1_slice){ text, strlen(text) });
}

const struct http1_header *http1_find(const struct http1_header *all, size_t n, const char *name)
{
    for (size_t i = 0; i < n; i++) {
        if (http1_slice_is(all[i].name, name))
            return &all[i];
    }
    return NULL;
}

bool head_is_token_byte(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           (c != '\0' && strchr("!#$%&'*+-.^_`|~", c) != NULL);
}

bool head_is_token(struct http1_slice s)
{
    for (size_t i = 0; i < s.n; i++) {
        if (!head_is_token_byte(s.p[i]))
            return false;
    }
    return s.n > 0;
}

bool head_version(struct http1_slice s, unsigned *minor)
{
    if (s.n != 8 || memcmp(s.p, "HTTP/1.", 7) != 0 || (s.p[7] != '0' && s.p[7] != '1'))
        return false;
    *minor = (unsigned)(s.p[7] - '0');
    return true;
}

/* NULL, or what is wrong with a byte of the line. */
static const char *check_bytes(const char *p, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)p[i];
        if (c >= 0x20 && c != 0x7f)
            continue;
        if (c == '\r')
            return "bare CR in the head";
        if (c != '\t')
            return "control byte in the head";
    }
    return NULL;
}

static enum head_status refuse(struct head_reader *r, const char *why)
{
    r->why = why;
    return HEAD_BAD;
}

enum head_status head_line(struct head_reader *r, struct http1_slice *line)
{
    size_t rest = r->n - r->at;

    if (rest == 0)
        return r->at >= PROXY_HEAD_MAX ? refuse(r, "head too large") : HEAD_MORE;

    const char *start = r->p + r->at;
    const char *lf = memchr(start, '\n', rest);
    size_t n = lf != NULL ? (size_t)(lf - start) : rest;
    bool has_cr = n > 0 && start[n - 1] == '\r';

    r->why = check_bytes(start, has_cr ? n - 1 : n);
    if (r->why != NULL)
        return HEAD_BAD;
    if (r->at + n >= PROXY_HEAD_MAX)
        return refuse(r, "head too large");
    if (lf == NULL)
        return HEAD_MORE;
    if (!has_cr)
        return refuse(r, "bare LF in the head");
    *line = (struct http1_slice){ start, n - 1 };
    r->at += n + 1;
    return HEAD_OK;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

static struct http1_slice trim(struct http1_slice s)
{
    while (s.n > 0 && is_blank(s.p[0])) {
        s.p++;
        s.n--;
    }
    while (s.n > 0 && is_blank(s.p[s.n - 1]))
        s.n--;
    return s;
}

static const char *parse_header(struct http1_slice line, struct http1_header *out)
{
    const char *colon = memchr(line.p, ':', line.n);

    if (is_blank(line.p[0]))
        return "folded header line";
    if (colon == NULL)
        return "header line without a colon";
    out->name = (struct http1_slice){ line.p, (size_t)(colon - line.p) };
    out->value = trim((struct http1_slice){ colon + 1, line.n - out->name.n - 1 });
    return head_is_token(out->name) ? NULL : "bad header name";
}

enum head_status head_headers(struct head_reader *r, struct http1_header *out, size_t *n_out)
{
    *n_out = 0;
    for (;;) {
        struct http1_slice line;
        enum head_status s = head_line(r, &line);
        if (s != HEAD_OK || line.n == 0)
            return s;
        if (*n_out == PROXY_HEADERS_MAX)
            return refuse(r, "too many headers");
        r->why = parse_header(line, &out[*n_out]);
        if (r->why != NULL)
            return HEAD_BAD;
        (*n_out)++;
    }
}

/* Cut the first item off a list. */
static struct http1_slice next_item(struct http1_slice *list)
{
    const char *comma = list->n > 0 ? memchr(list->p, ',', list->n) : NULL;
    size_t n = comma != NULL ? (size_t)(comma - list->p) : list->n;
    struct http1_slice item = trim((struct http1_slice){ list->p, n });

    n += comma != NULL;
    list->p += n;
    list->n -= n;
    return item;
}

bool head_list_has(struct http1_slice list, struct http1_slice text)
{
    while (list.n > 0) {
        if (slices_match(next_item(&list), text))
            return true;
    }
    return false;
}

static bool list_has(struct http1_slice list, const char *text)
{
    return head_list_has(list, (struct http1_slice){ text, strlen(text) });
}

/* RFC 9110, 8.6: digits only; at most 2^63-1, so that sums with it cannot overflow. */
static bool parse_length(struct http1_slice s, uint64_t *out)
{
    uint64_t v = 0;

    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] < '0' || s.p[i] > '9' || v > (INT64_MAX - 9) / 10)
            return false;
        v = v * 10 + (uint64_t)(s.p[i] - '0');
    }
    *out = v;
    return s.n > 0;
}

static const char *read_field(const struct http1_header *h, unsigned minor, struct head_fields *f)
{
    if (http1_slice_is(h->name, "host")) {
        if (f->host != NULL)
            return "more than one Host";
        f->host = h;
    } else if (http1_slice_is(h->name, "content-length")) {
        if (f->has_length)
            return "more than one Content-Length";
        f->has_length = true;
        if (!parse_length(h->value, &f->length))
            return "bad Content-Length";
    } else if (http1_slice_is(h->name, "transfer-encoding")) {
        if (f->is_chunked || minor == 0 || !http1_slice_is(h->value, "chunked"))
            return "transfer coding other than one 'chunked' of HTTP/1.1";
        f->is_chunked = true;
    } else if (http1_slice_is(h->name, "connection")) {
        f->close |= list_has(h->value, "close");
        f->keep_alive |= list_has(h->value, "keep-alive");
        f->upgrade |= list_has(h->value, "upgrade");
    } else if (http1_slice_is(h->name, "upgrade")) {
        f->has_upgrade = true;
        f->offers_h2c |= list_has(h->value, "h2c");
    } else if (http1_slice_is(h->name, "expect")) {
        f->expects_continue |= minor > 0 && list_has(h->value, "100-continue");
    }
    return NULL;
}

const char *head_fields_read(const struct http1_header *all, size_t n, unsigned minor,
                             struct head_fields *out)
{
    *out = (struct head_fields){ 0 };
    for (size_t i = 0; i < n; i++) {
        const char *why = read_field(&all[i], minor, out);
        if (why != NULL)
            return why;
    }
    if (out->has_length && out->is_chunked)
        return "both Content-Length and Transfer-Encoding";
    return NULL;
}

static bool is_listed(const struct http1_header *all, size_t n_all, struct http1_slice name)
{
    for (size_t i = 0; i < n_all; i++) {
        if (http1_slice_is(all[i].name, "connection") && head_list_has(all[i].value, name))
            return true;
    }
    return false;
}

bool http1_is_hop_by_hop(const struct http1_header *all, size_t n_all, const struct http1_header *h)
{
    static const char *const kept[] = { "host", "content-length", "transfer-encoding", "trailer" };
    static const char *const dropped[] = { "connection", "keep-alive", "te", "upgrade" };

    for (size_t i = 0; i < sizeof(kept) / sizeof(kept[0]); i++) {
        if (http1_slice_is(h->name, kept[i]))
            return false;
    }
    for (size_t i = 0; i < sizeof(dropped) / sizeof(dropped[0]); i++) {
        if (http1_slice_is(h->name, dropped[i]))
            return true;
    }
    if (h->name.n >= 6 && http1_slice_is((struct http1_slice){ h->name.p, 6 }, "proxy-"))
        return true;
    return is_listed(all, n_all, h->name);
}
