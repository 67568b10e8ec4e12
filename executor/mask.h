/* SPDX-License-Identifier: Apache-2.0 */
/* mask.h - replace secret values in a stream of bytes by "***". */
#ifndef EXECUTOR_MASK_H
#define EXECUTOR_MASK_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/err.h"

#define MASK_TEXT "***"

enum {
    MASK_SECRETS_MAX = 256,
    MASK_SECRET_BYTES_MAX = 128 * 1024, /* one environment variable cannot be longer */
};

struct mask_set; /* the secrets of an engine; immutable, shared by its streams */

/** Copies the non-empty values. Return: 0, ISOL8_E_LIMIT, ISOL8_E_NOMEM. */
int mask_set_new(struct mask_set **out, const isol8_pair *secrets, size_t n, isol8_error *err);
void mask_set_free(struct mask_set *set);

struct mask_stream {
    const struct mask_set *set;
    struct buf held; /* bytes that may be the beginning of a secret */
};

void mask_stream_init(struct mask_stream *s, const struct mask_set *set);
void mask_stream_done(struct mask_stream *s);

/**
 * mask_stream_feed() - Append the masked form of @data to @out
 * @is_end: Nothing follows: what is held back goes out as well
 *
 * Secrets that overlap are masked together, so that none leaves a remainder.
 * Return: false when memory is out
 */
bool mask_stream_feed(struct mask_stream *s, const char *data, size_t n, bool is_end,
                      struct buf *out);

/** The masked form of a whole text, for messages. */
bool mask_text(const struct mask_set *set, const char *text, size_t n, struct buf *out);

/** Mask the message of an error in place; it stays within its size. */
void mask_error(const struct mask_set *set, isol8_error *err);

#endif
