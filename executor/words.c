/* SPDX-License-Identifier: Apache-2.0 */
/* words.c - take a text apart as a shell does, without what makes a shell dangerous. */
#include "executor/words.h"

#include <stdlib.h>
#include <string.h>

/* One word from *@in to *@out, both moved on. Return: 0, or the quote that has no end. */
static char take_word(const char **in, char **out)
{
    const char *p = *in;
    char *o = *out;
    char quote = '\0';

    for (; *p != '\0' && (quote != '\0' || strchr(" \t\r\n", *p) == NULL); p++) {
        if (quote == '\0' && (*p == '\'' || *p == '"')) {
            quote = *p;
        } else if (*p == quote) {
            quote = '\0';
        } else if (*p == '\\' && p[1] != '\0' &&
                   (quote == '\0' || (quote == '"' && strchr("\\\"$`", p[1]) != NULL))) {
            *o++ = *++p;
        } else {
            *o++ = *p;
        }
    }
    *o++ = '\0';
    *in = p;
    *out = o;
    return quote;
}

int words_split(struct words *w, const char *what, const char *text, isol8_error *err)
{
    *w = (struct words){ 0 };
    if (text == NULL || *text == '\0')
        return 0;
    if (strlen(text) > WORDS_BYTES_MAX)
        return err_set(err, ISOL8_E_LIMIT, "%s: %zu bytes are more than the limit of %d", what,
                       strlen(text), WORDS_BYTES_MAX);
    /* A word never grows, but for its end: at most one byte for each separator, and the last. */
    w->text = malloc(strlen(text) + 2);
    if (w->text == NULL)
        return err_nomem(err);
    char *out = w->text;
    for (const char *p = text + strspn(text, " \t\r\n"); *p != '\0'; p += strspn(p, " \t\r\n")) {
        if (w->n == WORDS_MAX) {
            words_done(w);
            return err_set(err, ISOL8_E_LIMIT, "%s: more than %d words", what, WORDS_MAX);
        }
        w->at[w->n++] = (size_t)(out - w->text);
        char quote = take_word(&p, &out);
        if (quote != '\0') {
            words_done(w);
            return err_set(err, ISOL8_E_INVAL, "%s: a %c has no end", what, quote);
        }
    }
    return 0;
}

const char *words_get(const struct words *w, size_t i)
{
    return w->text + w->at[i];
}

void words_done(struct words *w)
{
    free(w->text);
    *w = (struct words){ 0 };
}
