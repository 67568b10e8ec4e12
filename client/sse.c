/* SPDX-License-Identifier: Apache-2.0 */
/* sse.c - the lines of an event stream, as they come. */
#include "client/sse.h"

#include <string.h>

static const char mark[] = "data: ";
#define MARK_SIZE (sizeof(mark) - 1)

void sse_init(struct sse *s, size_t max, sse_line_fn fn, void *user)
{
    *s = (struct sse){ .line = BUF_INIT(max + MARK_SIZE), .fn = fn, .user = user };
}

void sse_done(struct sse *s)
{
    buf_done(&s->line);
}

static void hand_on(struct sse *s)
{
    size_t n = s->line.len;

    while (n > MARK_SIZE && memchr(" \t\r", s->line.data[n - 1], 3) != NULL)
        n--;
    if (!s->is_skipping && n >= MARK_SIZE)
        s->fn(s->user, s->line.data + MARK_SIZE, n - MARK_SIZE);
    buf_clear(&s->line);
    s->is_skipping = false;
}

/* Bytes of one line, without its newline. */
static bool add(struct sse *s, const char *data, size_t n)
{
    if (!s->is_skipping && s->line.len < MARK_SIZE) { /* it is not known yet what line it is */
        size_t part = n < MARK_SIZE - s->line.len ? n : MARK_SIZE - s->line.len;
        if (!buf_add(&s->line, data, part))
            return false;
        s->is_skipping = memcmp(buf_text(&s->line), mark, s->line.len) != 0;
        data += part;
        n -= part;
    }
    return s->is_skipping || buf_add(&s->line, data, n);
}

bool sse_feed(struct sse *s, const char *data, size_t n)
{
    while (n > 0) {
        const char *newline = memchr(data, '\n', n);
        size_t part = newline == NULL ? n : (size_t)(newline - data);
        if (!add(s, data, part))
            return false;
        if (newline == NULL)
            return true;
        hand_on(s);
        data += part + 1;
        n -= part + 1;
    }
    return true;
}

void sse_end(struct sse *s)
{
    if (s->line.len > 0)
        hand_on(s);
}
