/* SPDX-License-Identifier: Apache-2.0 */
/* text.h - strict conversions of text: whole numbers, sizes, durations. */
#ifndef BASE_TEXT_H
#define BASE_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

/** Whole decimal number; the entire string must match. */
bool text_parse_u64(const char *s, uint64_t *out);

/** Decimal number with an optional fraction, no sign, no exponent. */
bool text_parse_decimal(const char *s, double *out);

/**
 * text_parse_size() - Bytes from "512m", "1.5g", "1 g", "512MB", "1024", "10b"
 *
 * Units k m g t are powers of 1024, an optional b follows, case does not matter; a fraction is
 * rounded down. False for anything else or above 2^63-1.
 */
bool text_parse_size(const char *s, uint64_t *out);

/** Nearest word of the NULL-terminated @words within an edit distance of a third, or NULL. */
const char *text_nearest(const char *word, const char *const *words);

/** Write "512m"-like text: the largest unit that divides @bytes. @cap at least 24. */
void text_format_size(uint64_t bytes, char *out, unsigned cap);

/**
 * text_next_item() - Next item of a comma list
 * @p: Where to go on; moved behind the item
 *
 * White space around items is left out. A comma between brackets, or before a comparison, belongs
 * to its item: "a[b,c]>=1,<2, d" has two items.
 * Return: false at the end
 */
bool text_next_item(const char **p, const char **item, size_t *n);

/** Append @text with every invalid UTF-8 sequence (RFC 3629) replaced by U+FFFD; NUL stays. */
bool text_utf8_clean(const char *text, size_t n, struct buf *out);

/** Whether it is UTF-8 from end to end (RFC 3629); NUL counts as such. */
bool text_utf8_valid(const char *text, size_t n);

/** Append the base64 form (RFC 4648, section 4). */
bool text_base64(const void *data, size_t n, struct buf *out);

#endif
