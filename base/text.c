/* SPDX-License-Identifier: Apache-2.0 */
/* text.c - strict conversions of text: whole numbers, sizes, nearest words. */
#include "base/text.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NEAREST_WORD_MAX 48 /* longer words are never offered as a correction */

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

bool text_parse_u64(const char *s, uint64_t *out)
{
    uint64_t v = 0;

    if (!is_digit(*s))
        return false;
    for (; is_digit(*s); s++) {
        if (__builtin_mul_overflow(v, (uint64_t)10, &v) ||
            __builtin_add_overflow(v, (uint64_t)(*s - '0'), &v))
            return false;
    }
    if (*s != '\0')
        return false;
    *out = v;
    return true;
}

/* Digits with an optional fraction at the front of @s; the rest of the string in @end. */
static bool scan_decimal(const char *s, double *out, const char **end)
{
    double v = 0, scale = 1;

    if (!is_digit(*s))
        return false;
    for (; is_digit(*s); s++)
        v = v * 10 + (*s - '0');
    if (*s == '.') {
        s++;
        if (!is_digit(*s))
            return false;
        for (; is_digit(*s); s++) {
            scale /= 10;
            v += scale * (*s - '0');
        }
    }
    *out = v;
    *end = s;
    return true;
}

bool text_parse_decimal(const char *s, double *out)
{
    double v;
    const char *end;

    if (!scan_decimal(s, &v, &end) || *end != '\0' || v > 1e15)
        return false;
    *out = v;
    return true;
}

bool text_parse_size(const char *s, uint64_t *out)
{
    static const char units[] = "kmgt";
    double v;
    const char *p;

    if (!scan_decimal(s, &v, &p))
        return false;
    while (*p == ' ' || *p == '\t')
        p++;
    if (*p != '\0') {
        const char *u = strchr(units, *p | 0x20);
        if (u != NULL) {
            v *= (double)(UINT64_C(1024) << (10 * (u - units)));
            p++;
        }
        if (*p == 'b' || *p == 'B')
            p++;
    }
    if (*p != '\0' || v >= 9223372036854775808.0)
        return false;
    *out = (uint64_t)v;
    return true;
}

static unsigned min3(unsigned a, unsigned b, unsigned c)
{
    unsigned m = a < b ? a : b;
    return m < c ? m : c;
}

/* Levenshtein distance by two rows; both words are at most NEAREST_WORD_MAX long. */
static unsigned edit_distance(const char *a, const char *b)
{
    unsigned rows[2][NEAREST_WORD_MAX + 1];
    unsigned *prev = rows[0], *cur = rows[1];
    size_t nb = strlen(b);

    for (unsigned j = 0; j <= nb; j++)
        prev[j] = j;
    for (unsigned i = 1; a[i - 1] != '\0'; i++) {
        cur[0] = i;
        for (unsigned j = 1; j <= nb; j++)
            cur[j] = min3(prev[j] + 1, cur[j - 1] + 1, prev[j - 1] + (a[i - 1] != b[j - 1]));
        unsigned *swap = prev;
        prev = cur;
        cur = swap;
    }
    return prev[nb];
}

const char *text_nearest(const char *word, const char *const *words)
{
    const char *best = NULL;
    size_t n = strlen(word);
    unsigned best_distance = n < 3 ? 2 : (unsigned)(n / 3) + 1; /* "rn" still finds "run" */

    if (n > NEAREST_WORD_MAX)
        return NULL;
    for (; *words != NULL; words++) {
        if (strlen(*words) > NEAREST_WORD_MAX)
            continue;
        unsigned d = edit_distance(word, *words);
        if (d < best_distance) {
            best_distance = d;
            best = *words;
        }
    }
    return best;
}

void text_format_size(uint64_t bytes, char *out, unsigned cap)
{
    static const char units[] = "kmgt";
    int u = -1;

    while (u < 3 && bytes >= 1024 && bytes % 1024 == 0) {
        bytes /= 1024;
        u++;
    }
    if (u < 0)
        (void)snprintf(out, cap, "%" PRIu64, bytes);
    else
        (void)snprintf(out, cap, "%" PRIu64 "%c", bytes, units[u]);
}

/* Length of the valid sequence at @p, or 0; overlong forms, surrogates and values above U+10FFFF
 * are not valid. */
static size_t utf8_length(const unsigned char *p, size_t n)
{
    unsigned char c = p[0], low = 0x80, high = 0xbf;
    size_t len;

    if (c < 0x80)
        return 1;
    if (c >= 0xc2 && c <= 0xdf)
        len = 2;
    else if (c >= 0xe0 && c <= 0xef)
        len = 3;
    else if (c >= 0xf0 && c <= 0xf4)
        len = 4;
    else
        return 0;
    if (c == 0xe0)
        low = 0xa0;
    else if (c == 0xed)
        high = 0x9f;
    else if (c == 0xf0)
        low = 0x90;
    else if (c == 0xf4)
        high = 0x8f;
    for (size_t i = 1; i < len; i++) {
        if (i >= n || p[i] < low || p[i] > high)
            return 0;
        low = 0x80;
        high = 0xbf;
    }
    return len;
}

bool text_utf8_valid(const char *text, size_t n)
{
    const unsigned char *p = (const unsigned char *)text;

    for (size_t i = 0; i < n;) {
        size_t len = utf8_length(p + i, n - i);
        if (len == 0)
            return false;
        i += len;
    }
    return true;
}

bool text_utf8_clean(const char *text, size_t n, struct buf *out)
{
    const unsigned char *p = (const unsigned char *)text;
    size_t start = 0;

    for (size_t i = 0; i < n;) {
        size_t len = utf8_length(p + i, n - i);
        if (len > 0) {
            i += len;
            continue;
        }
        (void)buf_add(out, text + start, i - start);
        (void)buf_adds(out, "\xef\xbf\xbd");
        start = ++i;
    }
    return buf_add(out, text + start, n - start);
}

bool text_base64(const void *data, size_t n, struct buf *out)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const unsigned char *p = data;

    for (size_t i = 0; i < n; i += 3) {
        uint32_t v = (uint32_t)p[i] << 16;
        if (i + 1 < n)
            v |= (uint32_t)p[i + 1] << 8;
        if (i + 2 < n)
            v |= p[i + 2];
        char four[4] = { digits[v >> 18], digits[(v >> 12) & 63], digits[(v >> 6) & 63],
                         digits[v & 63] };
        if (i + 1 >= n)
            four[2] = '=';
        if (i + 2 >= n)
            four[3] = '=';
        (void)buf_add(out, four, 4);
    }
    return !out->failed;
}

/* ---- Lists ----------------------------------------------------------------------------------- */

static const char blanks[] = " \t\r\n\v\f";

static bool separates(const char *comma, unsigned depth)
{
    const char *next = comma + 1 + strspn(comma + 1, blanks);

    return depth == 0 && (*next == '\0' || strchr("<>=!~", *next) == NULL);
}

bool text_next_item(const char **p, const char **item, size_t *n)
{
    const char *start = *p + strspn(*p, blanks), *end = start;
    unsigned depth = 0;

    if (**p == '\0')
        return false;
    for (; *end != '\0' && !(*end == ',' && separates(end, depth)); end++) {
        if (*end == '[')
            depth++;
        else if (*end == ']' && depth > 0)
            depth--;
    }
    *p = *end == ',' ? end + 1 : end;
    while (end > start && strchr(blanks, end[-1]) != NULL)
        end--;
    *item = start;
    *n = (size_t)(end - start);
    return true;
}
