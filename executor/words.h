/* SPDX-License-Identifier: Apache-2.0 */
/* words.h - take a text apart as a shell does, without what makes a shell dangerous. */
#ifndef EXECUTOR_WORDS_H
#define EXECUTOR_WORDS_H

#include <stddef.h>

#include "base/err.h"

enum { WORDS_BYTES_MAX = 65536, WORDS_MAX = 256 };

struct words {
    char *text; /* owned: the words, each ended by NUL */
    size_t n;
    size_t at[WORDS_MAX]; /* where each begins */
};

/**
 * words_split() - Split at white space, honouring '...', "..." and backslashes
 * @what: Name of the option, for messages
 * @text: May be NULL: no words
 *
 * Nothing is expanded or executed: $, `, *, ; and | are bytes like any other.
 * Return: 0, ISOL8_E_INVAL for a quote without its end, ISOL8_E_LIMIT, ISOL8_E_NOMEM
 */
int words_split(struct words *out, const char *what, const char *text, isol8_error *err);

const char *words_get(const struct words *w, size_t i);

void words_done(struct words *w);

#endif
