/* SPDX-License-Identifier: Apache-2.0 */
/**
 * tls_hello.c - the server name in a TLS ClientHello
 *
 * Theory of operation: a reader walks the bytes of the handshake message and steps over the record
 * headers between them, so that nothing is copied and a message may be cut anywhere. First it is
 * measured: is the whole message there? Only then it is parsed; positions are counted in bytes of
 * the message, and each length is checked against the end of what it lies in.
 */
#include "proxy/tls_hello.h"

#include <stdint.h>

/* RFC 8446, 4.1.2, 5.1 and appendix B; RFC 6066, 3. */
enum {
    RECORD_HEADER = 5,
    RECORD_MAX = 16384,
    CONTENT_HANDSHAKE = 22,
    VERSION_MAJOR = 3,
    HANDSHAKE_HEADER = 4,
    HANDSHAKE_CLIENT_HELLO = 1,
    VERSION_AND_RANDOM = 2 + 32,
    EXTENSION_SERVER_NAME = 0,
    NAME_TYPE_HOST = 0,
    SERVER_NAME_FIXED = 5, /* list length, type, name length */
};

struct reader {
    const uint8_t *p;
    size_t n;
    size_t at;                    /* in the bytes */
    size_t record_left;           /* of the present record */
    size_t pos;                   /* in the message */
    enum tls_hello_result failed; /* TLS_HELLO_NAME: not failed */
};

static bool fail(struct reader *r, enum tls_hello_result why)
{
    r->failed = why;
    return false;
}

/* Enter the next record. Until the first byte of its content is known, what is there must fit. */
static bool enter_record(struct reader *r)
{
    const uint8_t *h = r->p + r->at;
    size_t have = r->n - r->at;
    enum tls_hello_result bad = r->at == 0 ? TLS_HELLO_NOT_TLS : TLS_HELLO_BAD;

    if ((have > 0 && h[0] != CONTENT_HANDSHAKE) || (have > 1 && h[1] != VERSION_MAJOR))
        return fail(r, bad);
    if (have < RECORD_HEADER)
        return fail(r, TLS_HELLO_MORE);
    r->record_left = (size_t)h[3] << 8 | h[4];
    if (r->record_left == 0 || r->record_left > RECORD_MAX)
        return fail(r, bad);
    r->at += RECORD_HEADER;
    return true;
}

/* One byte of the message, or -1. */
static int next(struct reader *r)
{
    if (r->failed != TLS_HELLO_NAME)
        return -1;
    if (r->record_left == 0 && !enter_record(r))
        return -1;
    if (r->at == r->n) {
        (void)fail(r, TLS_HELLO_MORE);
        return -1;
    }
    r->record_left--;
    r->pos++;
    return r->p[r->at++];
}

static bool skip(struct reader *r, size_t n)
{
    while (n > 0) {
        if (next(r) < 0)
            return false;
        size_t k = r->record_left < n - 1 ? r->record_left : n - 1;
        if (k > r->n - r->at)
            k = r->n - r->at;
        r->record_left -= k;
        r->at += k;
        r->pos += k;
        n -= 1 + k;
    }
    return true;
}

/* A number of @n bytes; 0 once the reader has failed. */
static size_t number(struct reader *r, unsigned n)
{
    size_t v = 0;

    while (n-- > 0) {
        int byte = next(r);
        if (byte < 0)
            return 0;
        v = v << 8 | (size_t)byte;
    }
    return v;
}

/* A vector of the presentation language (RFC 8446, 3.4). */
struct vector {
    unsigned length_bytes;
    size_t min, max;
    unsigned item; /* bytes */
};

static const struct vector session_id = { 1, 0, 32, 1 };
static const struct vector cipher_suites = { 2, 2, 65534, 2 };
static const struct vector compression_methods = { 1, 1, 255, 1 };

/* Step over a vector that must lie before @end. */
static bool skip_vector(struct reader *r, const struct vector *v, size_t end)
{
    if (end - r->pos < v->length_bytes)
        return fail(r, TLS_HELLO_BAD);
    size_t len = number(r, v->length_bytes);
    if (len < v->min || len > v->max || len > end - r->pos || len % v->item != 0)
        return fail(r, TLS_HELLO_BAD);
    return skip(r, len);
}

/* Read message type and length. @end: position behind the message. */
static bool measure(struct reader *r, size_t *end)
{
    int type = next(r);

    if (type >= 0 && type != HANDSHAKE_CLIENT_HELLO)
        return fail(r, TLS_HELLO_BAD);
    *end = number(r, 3) + HANDSHAKE_HEADER;
    if (r->failed == TLS_HELLO_NAME && *end > PROXY_HELLO_MAX)
        return fail(r, TLS_HELLO_BAD);
    return r->failed == TLS_HELLO_NAME;
}

/* RFC 6066 allows one name of each type, and only one type was ever defined. */
static bool read_server_name(struct reader *r, size_t length, struct proxy_host *name)
{
    char text[PROXY_HOST_INPUT_MAX];

    if (length < SERVER_NAME_FIXED)
        return fail(r, TLS_HELLO_BAD);
    size_t list = number(r, 2), type = number(r, 1), n = number(r, 2);
    if (list != length - 2 || type != NAME_TYPE_HOST || n != length - SERVER_NAME_FIXED ||
        n > sizeof(text))
        return fail(r, TLS_HELLO_BAD);
    for (size_t i = 0; i < n; i++)
        text[i] = (char)next(r);
    if (!proxy_host_parse(text, n, name))
        return fail(r, TLS_HELLO_BAD);
    return true;
}

/* All extensions are walked: two server names, or bytes behind the last one, spoil the hello. */
static bool read_extensions(struct reader *r, size_t end, struct proxy_host *name, bool *found)
{
    if (end - r->pos < 2)
        return fail(r, TLS_HELLO_BAD);
    size_t all = number(r, 2);
    if (all != end - r->pos)
        return fail(r, TLS_HELLO_BAD);
    while (r->pos < end) {
        if (end - r->pos < 4)
            return fail(r, TLS_HELLO_BAD);
        size_t type = number(r, 2), length = number(r, 2);
        if (length > end - r->pos)
            return fail(r, TLS_HELLO_BAD);
        if (type != EXTENSION_SERVER_NAME) {
            if (!skip(r, length))
                return false;
            continue;
        }
        if (*found)
            return fail(r, TLS_HELLO_BAD);
        *found = true;
        if (!read_server_name(r, length, name))
            return false;
    }
    return true;
}

static bool read_hello(struct reader *r, size_t end, struct proxy_host *name, bool *found)
{
    if (end - r->pos < VERSION_AND_RANDOM)
        return fail(r, TLS_HELLO_BAD);
    return skip(r, VERSION_AND_RANDOM) && skip_vector(r, &session_id, end) &&
           skip_vector(r, &cipher_suites, end) && skip_vector(r, &compression_methods, end) &&
           (r->pos == end || read_extensions(r, end, name, found));
}

enum tls_hello_result tls_hello_parse(const void *p, size_t n, struct proxy_host *name)
{
    struct reader r = { .p = p, .n = n, .failed = TLS_HELLO_NAME };
    struct proxy_host found_name;
    bool found = false;
    size_t end = 0;

    if (n == 0)
        return TLS_HELLO_MORE;
    if (n > PROXY_HELLO_MAX)
        r.n = PROXY_HELLO_MAX;
    if (measure(&r, &end)) {
        struct reader whole = r;
        if (!skip(&whole, end - whole.pos))
            r.failed = whole.failed;
        else if (!read_hello(&r, end, &found_name, &found) && r.failed == TLS_HELLO_NAME)
            r.failed = TLS_HELLO_BAD;
    }
    if (r.failed == TLS_HELLO_MORE && n >= PROXY_HELLO_MAX)
        return TLS_HELLO_BAD;
    if (r.failed != TLS_HELLO_NAME)
        return r.failed;
    if (!found)
        return TLS_HELLO_NO_NAME;
    *name = found_name;
    return TLS_HELLO_NAME;
}
