/* SPDX-License-Identifier: Apache-2.0 */
/**
 * buf.h - growing bytes with a ceiling
 *
 * Always NUL-terminated once something was added. Failure (no memory, above the ceiling) is sticky:
 * a chain of appends is checked once at its end with @failed.
 */
#ifndef BASE_BUF_H
#define BASE_BUF_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

struct buf {
    char *data; /* owned; NULL while empty */
    size_t len;
    size_t cap;
    size_t max; /* ceiling of len */
    bool failed;
    bool no_memory; /* why, when not for the ceiling */
};

#define BUF_INIT(ceiling)                                                                          \
    {                                                                                              \
        .max = (ceiling)                                                                           \
    }

void buf_init(struct buf *b, size_t max);
void buf_done(struct buf *b);
#define auto_buf __attribute__((cleanup(buf_done)))

bool buf_add(struct buf *b, const void *data, size_t n);
bool buf_adds(struct buf *b, const char *s);
bool buf_addf(struct buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/** Room for @n more bytes at the end, to be claimed with buf_claim(); NULL on failure. */
char *buf_room(struct buf *b, size_t n);
void buf_claim(struct buf *b, size_t n);

/** Drop the first @n bytes. */
void buf_consume(struct buf *b, size_t n);
void buf_clear(struct buf *b);

/** The text, never NULL. */
const char *buf_text(const struct buf *b);

/** The bytes, returned; the caller frees them. NULL when failed or empty. */
char *buf_take(struct buf *b);

#endif
