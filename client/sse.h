/* SPDX-License-Identifier: Apache-2.0 */
/**
 * sse.h - the lines of an event stream, as they come
 *
 * Lines that begin with "data: " are handed on without it and without white space at their end;
 * all others (comments, names of events) are passed over without being kept, however long.
 */
#ifndef CLIENT_SSE_H
#define CLIENT_SSE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"

typedef void (*sse_line_fn)(void *user, const char *text, size_t n);

struct sse {
    struct buf line; /* what came of the present one */
    bool is_skipping;
    sse_line_fn fn;
    void *user;
};

/** @max: Bytes of a line that is kept. */
void sse_init(struct sse *s, size_t max, sse_line_fn fn, void *user);
void sse_done(struct sse *s);

/** Take bytes. Return: false when a line is longer than that, or memory is out. */
bool sse_feed(struct sse *s, const char *data, size_t n);

/** The stream has ended: its last line counts without a newline, too. */
void sse_end(struct sse *s);

#endif
