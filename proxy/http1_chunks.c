/* SPDX-License-Identifier: Apache-2.0 */
/**
 * http1_chunks.c - where a chunked body ends
 *
 * Theory of operation: one state per place in the grammar of RFC 9112, 7.1; each byte either moves
 * on or is refused. Lines end in CR LF only; sizes are hexadecimal digits only; blanks may stand
 * before a chunk extension and nowhere else before it; trailers are header lines, not folded.
 *
 *   SIZE -> [SIZE_BLANK] -> [EXTENSION] -> SIZE_LF -> DATA -> DATA_CR -> DATA_LF -> SIZE ...
 *                                             \-> (size 0) TRAILER_START -> TRAILER_NAME ->
 *                                                 TRAILER_VALUE -> TRAILER_LF -> TRAILER_START
 *                                                 TRAILER_START -> END_LF -> DONE
 */
#include "proxy/http1.h"

#include "proxy/http1_head.h"

enum chunk_state {
    CHUNK_SIZE,
    CHUNK_SIZE_BLANK,
    CHUNK_EXTENSION,
    CHUNK_SIZE_LF,
    CHUNK_DATA,
    CHUNK_DATA_CR,
    CHUNK_DATA_LF,
    CHUNK_TRAILER_START,
    CHUNK_TRAILER_NAME,
    CHUNK_TRAILER_VALUE,
    CHUNK_TRAILER_LF,
    CHUNK_END_LF,
    CHUNK_DONE,
    CHUNK_BAD,
};

enum { SIZE_DIGITS_MAX = 16 }; /* of 64 bits */

void http1_chunks_init(struct http1_chunks *c)
{
    *c = (struct http1_chunks){ .state = CHUNK_SIZE };
}

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

static bool is_text(char c)
{
    return (unsigned char)c >= 0x20 ? c != 0x7f : c == '\t';
}

static unsigned after_size(char c)
{
    if (c == ';')
        return CHUNK_EXTENSION;
    return c == ' ' || c == '\t' ? CHUNK_SIZE_BLANK : CHUNK_BAD;
}

static unsigned in_size(struct http1_chunks *c, char byte)
{
    int v = hex_value(byte);

    if (v >= 0) {
        if (c->line > SIZE_DIGITS_MAX || c->left >> 59 != 0) /* stays below 2^63 */
            return CHUNK_BAD;
        c->left = c->left << 4 | (unsigned)v;
        return CHUNK_SIZE;
    }
    if (c->line == 1) /* no digit at all */
        return CHUNK_BAD;
    return byte == '\r' ? CHUNK_SIZE_LF : after_size(byte);
}

static unsigned in_size_line(struct http1_chunks *c, char byte)
{
    switch (c->state) {
    case CHUNK_SIZE:
        return in_size(c, byte);
    case CHUNK_SIZE_BLANK:
        return after_size(byte);
    case CHUNK_EXTENSION:
        if (byte == '\r')
            return CHUNK_SIZE_LF;
        return is_text(byte) ? CHUNK_EXTENSION : CHUNK_BAD;
    default: /* CHUNK_SIZE_LF */
        if (byte != '\n')
            return CHUNK_BAD;
        c->line = 0;
        return c->left > 0 ? CHUNK_DATA : CHUNK_TRAILER_START;
    }
}

static unsigned in_trailer(struct http1_chunks *c, char byte)
{
    switch (c->state) {
    case CHUNK_TRAILER_START:
        if (byte == '\r')
            return CHUNK_END_LF;
        return head_is_token_byte(byte) ? CHUNK_TRAILER_NAME : CHUNK_BAD;
    case CHUNK_TRAILER_NAME:
        if (byte == ':')
            return CHUNK_TRAILER_VALUE;
        return head_is_token_byte(byte) ? CHUNK_TRAILER_NAME : CHUNK_BAD;
    case CHUNK_TRAILER_VALUE:
        if (byte == '\r')
            return CHUNK_TRAILER_LF;
        return is_text(byte) ? CHUNK_TRAILER_VALUE : CHUNK_BAD;
    case CHUNK_TRAILER_LF:
        c->line = 0;
        return byte == '\n' ? CHUNK_TRAILER_START : CHUNK_BAD;
    default: /* CHUNK_END_LF */
        return byte == '\n' ? CHUNK_DONE : CHUNK_BAD;
    }
}

/* One byte of framing. */
static unsigned step(struct http1_chunks *c, char byte)
{
    if (c->state == CHUNK_DATA_CR)
        return byte == '\r' ? CHUNK_DATA_LF : CHUNK_BAD;
    if (c->state == CHUNK_DATA_LF) {
        c->line = 0;
        return byte == '\n' ? CHUNK_SIZE : CHUNK_BAD;
    }
    if (++c->line > PROXY_CHUNK_LINE_MAX)
        return CHUNK_BAD;
    if (c->state < CHUNK_DATA)
        return in_size_line(c, byte);
    return ++c->trailers > PROXY_HEAD_MAX ? CHUNK_BAD : in_trailer(c, byte);
}

long http1_chunks_feed(struct http1_chunks *c, const char *p, size_t n, bool *done)
{
    size_t at = 0;

    while (at < n && c->state != CHUNK_DONE && c->state != CHUNK_BAD) {
        if (c->state != CHUNK_DATA) {
            c->state = step(c, p[at++]);
            continue;
        }
        size_t k = n - at < c->left ? n - at : (size_t)c->left;
        at += k;
        c->left -= k;
        if (c->left == 0)
            c->state = CHUNK_DATA_CR;
    }
    *done = c->state == CHUNK_DONE;
    return c->state == CHUNK_BAD ? -1 : (long)at;
}
