/* SPDX-License-Identifier: Apache-2.0 */
/* locate.c - the line on which a value stands; cJSON forgets positions. */
#include <stdio.h>
#include <string.h>

#include "config/conf_internal.h"

#define LOCATE_DEPTH_MAX 1000 /* cJSON's own limit */

struct scan {
    const char *p, *end;
    unsigned line;
    char path[CONF_PATH_MAX]; /* of the value at hand */
    size_t path_len;          /* the true length, which may exceed the array */
    const char *want;
    unsigned nth;
    unsigned found; /* line, or 0 */
};

static void step(struct scan *s)
{
    if (*s->p == '\n')
        s->line++;
    s->p++;
}

static char peek(struct scan *s)
{
    while (s->p < s->end && memchr(" \t\r\n", *s->p, 4) != NULL)
        step(s);
    return s->p < s->end ? *s->p : '\0';
}

/* Step over a string; @text and @n get what stands between its quotes. */
static void scan_string(struct scan *s, const char **text, size_t *n)
{
    step(s);
    *text = s->p;
    while (s->p < s->end && *s->p != '"') {
        if (*s->p == '\\' && s->p + 1 < s->end)
            step(s);
        step(s);
    }
    *n = (size_t)(s->p - *text);
    if (s->p < s->end)
        step(s);
}

static void scan_scalar(struct scan *s)
{
    while (s->p < s->end && memchr(",]} \t\r\n", *s->p, 7) == NULL)
        step(s);
}

static void push(struct scan *s, const char *text, size_t n)
{
    if (s->path_len + n < sizeof(s->path)) {
        memcpy(s->path + s->path_len, text, n);
        s->path[s->path_len + n] = '\0';
    }
    s->path_len += n;
}

static void pop(struct scan *s, size_t len)
{
    s->path_len = len;
    if (len < sizeof(s->path))
        s->path[len] = '\0';
}

static bool at_wanted(const struct scan *s)
{
    return s->path_len < sizeof(s->path) && strcmp(s->path, s->want) == 0;
}

static void scan_value(struct scan *s, unsigned depth);

/* Name the next member in the path: ".key" of an object, "[3]" of an array. */
static void enter_member(struct scan *s, bool is_object, unsigned index)
{
    if (is_object) {
        const char *key;
        size_t n;

        scan_string(s, &key, &n);
        if (s->path_len > 0)
            push(s, ".", 1);
        push(s, key, n);
        if (peek(s) == ':')
            step(s);
    } else {
        char text[16];
        int n = snprintf(text, sizeof(text), "[%u]", index);
        push(s, text, (size_t)n);
    }
}

static void scan_members(struct scan *s, bool is_object, unsigned depth)
{
    unsigned index = 0;
    size_t len = s->path_len;

    step(s);
    while (s->found == 0) {
        char c = peek(s);
        if (c == '\0')
            return;
        if (c == ',' || c == '}' || c == ']') {
            step(s);
            if (c != ',')
                return;
            continue;
        }
        enter_member(s, is_object, index++);
        scan_value(s, depth + 1);
        pop(s, len);
    }
}

/* NOLINTNEXTLINE(misc-no-recursion): bounded by LOCATE_DEPTH_MAX */
static void scan_value(struct scan *s, unsigned depth)
{
    const char *text;
    size_t n;
    char c = peek(s);

    if (at_wanted(s)) {
        if (s->nth == 0) {
            s->found = s->line;
            return;
        }
        s->nth--;
    }
    if (c == '"')
        scan_string(s, &text, &n);
    else if ((c == '{' || c == '[') && depth < LOCATE_DEPTH_MAX)
        scan_members(s, c == '{', depth);
    else
        scan_scalar(s);
}

unsigned conf_locate(const char *text, size_t n, const char *path, unsigned nth)
{
    struct scan s = { .p = text, .end = text + n, .line = 1, .want = path, .nth = nth };

    if (n >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0)
        s.p += 3;
    scan_value(&s, 0);
    return s.found;
}
