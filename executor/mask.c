/* SPDX-License-Identifier: Apache-2.0 */
/**
 * mask.c - replace secret values in a stream of bytes by "***"
 *
 * Theory of operation. The stream keeps back the shortest tail that could still grow into a secret.
 * At each position the secrets are tried longest first. A full match opens a masked range, and
 * every further match that begins inside the range extends it, so that of two overlapping secrets
 * no rest of either is shown. If a secret could begin at a position but the bytes end too early,
 * everything from there (or from the start of the range it would extend) waits for more.
 *
 * A table of first bytes lets text that cannot begin a secret pass quickly. Whole secrets that are
 * part of a longer one need no entry of their own while the longer one matches.
 */
#include "executor/mask.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

struct secret {
    char *value;
    size_t len;
};

struct mask_set {
    struct secret list[MASK_SECRETS_MAX]; /* longest first */
    size_t n;
    bool first[256]; /* bytes that begin a secret */
};

static int by_length(const void *a, const void *b)
{
    const struct secret *x = a, *y = b;

    return x->len < y->len ? 1 : x->len > y->len ? -1 : 0;
}

int mask_set_new(struct mask_set **out, const isol8_pair *secrets, size_t n, isol8_error *err)
{
    if (n > MASK_SECRETS_MAX)
        return err_set(err, ISOL8_E_LIMIT, "secrets: at most %d are supported, not %zu",
                       MASK_SECRETS_MAX, n);
    struct mask_set *set = calloc(1, sizeof(*set));
    if (set == NULL)
        return err_nomem(err);

    for (size_t i = 0; i < n; i++) {
        size_t len = strlen(secrets[i].value);
        if (len == 0)
            continue;
        if (len > MASK_SECRET_BYTES_MAX) {
            mask_set_free(set);
            return err_set(err, ISOL8_E_LIMIT, "secrets: '%s' is longer than %d bytes",
                           secrets[i].key, MASK_SECRET_BYTES_MAX);
        }
        set->list[set->n].value = strdup(secrets[i].value);
        if (set->list[set->n].value == NULL) {
            mask_set_free(set);
            return err_nomem(err);
        }
        set->list[set->n++].len = len;
        set->first[(unsigned char)secrets[i].value[0]] = true;
    }
    qsort(set->list, set->n, sizeof(set->list[0]), by_length);
    *out = set;
    return 0;
}

void mask_set_free(struct mask_set *set)
{
    if (set == NULL)
        return;
    for (size_t i = 0; i < set->n; i++) {
        explicit_bzero(set->list[i].value, set->list[i].len);
        free(set->list[i].value);
    }
    free(set);
}

void mask_stream_init(struct mask_stream *s, const struct mask_set *set)
{
    s->set = set;
    buf_init(&s->held, (size_t)1 << 30);
}

void mask_stream_done(struct mask_stream *s)
{
    buf_done(&s->held);
}

enum { NO_MATCH = 0, NEED_MORE = -1 };

/* Length of the longest secret that begins at @p, NO_MATCH, or NEED_MORE when the bytes end before
 * that is known. */
static long match_at(const struct mask_set *set, const char *p, size_t left, bool is_end)
{
    if (!set->first[(unsigned char)*p])
        return NO_MATCH;
    for (size_t i = 0; i < set->n; i++) {
        const struct secret *s = &set->list[i];
        if (s->len <= left) {
            if (memcmp(p, s->value, s->len) == 0)
                return (long)s->len;
        } else if (!is_end && memcmp(p, s->value, left) == 0) {
            return NEED_MORE;
        }
    }
    return NO_MATCH;
}

/* End of the masked range that a match of @len bytes at @at opens, or NEED_MORE. */
static long range_end(const struct mask_set *set, const char *p, size_t n, size_t at, size_t len,
                      bool is_end)
{
    size_t end = at + len;

    for (size_t i = at + 1; i < end; i++) {
        long m = match_at(set, p + i, n - i, is_end);
        if (m == NEED_MORE)
            return NEED_MORE;
        if (m > 0 && i + (size_t)m > end)
            end = i + (size_t)m;
    }
    return (long)end;
}

/* Mask what can be decided of @p. Return: how many bytes were used up. */
static size_t mask_bytes(const struct mask_set *set, const char *p, size_t n, bool is_end,
                         struct buf *out)
{
    size_t i = 0, plain = 0; /* [plain, i) goes out as it is */

    while (i < n) {
        long m = match_at(set, p + i, n - i, is_end);
        if (m == NO_MATCH) {
            i++;
            continue;
        }
        long end = m == NEED_MORE ? NEED_MORE : range_end(set, p, n, i, (size_t)m, is_end);
        if (end == NEED_MORE)
            break;
        (void)buf_add(out, p + plain, i - plain);
        (void)buf_adds(out, MASK_TEXT);
        i = plain = (size_t)end;
    }
    (void)buf_add(out, p + plain, i - plain);
    return i;
}

bool mask_stream_feed(struct mask_stream *s, const char *data, size_t n, bool is_end,
                      struct buf *out)
{
    if (s->set == NULL || s->set->n == 0)
        return buf_add(out, data, n);
    if (s->held.len == 0) {
        size_t used = mask_bytes(s->set, data, n, is_end, out);
        return buf_add(&s->held, data + used, n - used) && !out->failed;
    }
    if (!buf_add(&s->held, data, n))
        return false;
    buf_consume(&s->held, mask_bytes(s->set, s->held.data, s->held.len, is_end, out));
    return !out->failed;
}

bool mask_text(const struct mask_set *set, const char *text, size_t n, struct buf *out)
{
    if (set == NULL || set->n == 0)
        return buf_add(out, text, n);
    (void)mask_bytes(set, text, n, true, out);
    return !out->failed;
}

void mask_error(const struct mask_set *set, isol8_error *err)
{
    auto_buf struct buf masked = BUF_INIT(1 << 20);

    if (err == NULL || set == NULL || set->n == 0)
        return;
    if (!mask_text(set, err->msg, strlen(err->msg), &masked)) {
        (void)err_nomem(err); /* better no reason than a secret in it */
        return;
    }
    (void)snprintf(err->msg, sizeof(err->msg), "%s", buf_text(&masked));
}
