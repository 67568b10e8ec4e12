/* SPDX-License-Identifier: Apache-2.0 */
/* anchor.c - a look at the text of a pattern: is it held at both ends of the name? */
#include "proxy/rules.h"

#include <string.h>

struct span {
    const char *p;
    size_t n;
};

static bool is_at(struct span s, size_t at, const char *text)
{
    size_t n = strlen(text);

    return at <= s.n && s.n - at >= n && memcmp(s.p + at, text, n) == 0;
}

/* Behind the bracket class that begins at @at. */
static size_t class_end(struct span s, size_t at)
{
    at++;
    if (is_at(s, at, "^"))
        at++;
    if (is_at(s, at, "]")) /* first in a class it stands for itself */
        at++;
    while (at < s.n && s.p[at] != ']') {
        if (s.p[at] == '\\') {
            at += 2;
        } else if (is_at(s, at, "[:")) {
            const char *end = memmem(s.p + at, s.n - at, ":]", 2);
            at = end != NULL ? (size_t)(end - s.p) + 2 : s.n;
        } else {
            at++;
        }
    }
    return at < s.n ? at + 1 : s.n;
}

/* Behind the piece at @at: an escape, a class, or one byte. */
static size_t piece_end(struct span s, size_t at)
{
    if (s.p[at] == '\\')
        return at + 2 < s.n ? at + 2 : s.n;
    return s.p[at] == '[' ? class_end(s, at) : at + 1;
}

/* Where the alternative that begins at @at ends: a bar outside groups, or the end. */
static size_t alternative_end(struct span s, size_t at)
{
    size_t depth = 0;

    while (at < s.n) {
        if (s.p[at] == '(')
            depth++;
        else if (s.p[at] == ')' && depth > 0)
            depth--;
        else if (s.p[at] == '|' && depth == 0)
            return at;
        at = piece_end(s, at);
    }
    return s.n;
}

/* Where the group that begins at 0 closes, or the end. */
static size_t group_end(struct span s)
{
    size_t depth = 0;

    for (size_t at = 0; at < s.n; at = piece_end(s, at)) {
        if (s.p[at] == '(')
            depth++;
        else if (s.p[at] == ')' && --depth == 0)
            return at;
    }
    return s.n;
}

/* What is inside the group that begins at 0 and closes at @end; *ok: it is no lookaround or such.
 */
static struct span group_inside(struct span s, size_t end, bool *ok)
{
    size_t skip = is_at(s, 0, "(?:") ? 3 : 1;

    *ok = end < s.n && end >= skip && !is_at(s, skip, "?") && !is_at(s, skip, "*");
    return *ok ? (struct span){ s.p + skip, end - skip } : (struct span){ s.p, 0 };
}

static bool may_be_absent(struct span s, size_t at)
{
    return is_at(s, at, "?") || is_at(s, at, "*") || is_at(s, at, "{");
}

/* Bytes of an anchor or of a literal dot at the start, or 0. */
static size_t boundary(struct span s)
{
    static const char *const texts[] = { "^", "\\A", "\\.", "[.]" };

    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        size_t n = strlen(texts[i]);
        if (is_at(s, 0, texts[i]))
            return may_be_absent(s, n) ? 0 : n;
    }
    return 0;
}

/* A group like (^|\.) of nothing but boundaries. */
static bool is_boundary_group(struct span s)
{
    bool ok;
    size_t end = group_end(s);
    struct span in = group_inside(s, end, &ok);

    if (!ok || may_be_absent(s, end + 1))
        return false;
    for (size_t at = 0; at <= in.n;) {
        size_t stop = alternative_end(in, at);
        struct span one = { in.p + at, stop - at };
        if (one.n == 0 || boundary(one) != one.n)
            return false;
        at = stop + 1;
    }
    return true;
}

static bool ends_anchored(struct span s)
{
    size_t n_slashes = 0;

    if (s.n >= 2 && (is_at(s, s.n - 2, "\\z") || is_at(s, s.n - 2, "\\Z")))
        return true;
    if (s.n == 0 || s.p[s.n - 1] != '$')
        return false;
    while (n_slashes + 1 < s.n && s.p[s.n - 2 - n_slashes] == '\\')
        n_slashes++;
    return n_slashes % 2 == 0;
}

static bool is_alternative_anchored(struct span s)
{
    if (s.n == 0)
        return false;
    return (boundary(s) > 0 || (s.p[0] == '(' && is_boundary_group(s))) && ends_anchored(s);
}

static bool is_anchored(struct span s)
{
    /* A group around everything stands for what is inside. */
    while (s.n > 0 && s.p[0] == '(') {
        bool ok;
        struct span in = group_inside(s, group_end(s), &ok);
        if (!ok || in.p + in.n + 1 != s.p + s.n)
            break;
        s = in;
    }
    for (size_t at = 0; at <= s.n;) {
        size_t stop = alternative_end(s, at);
        if (!is_alternative_anchored((struct span){ s.p + at, stop - at }))
            return false;
        at = stop + 1;
    }
    return true;
}

bool proxy_rules_is_unanchored(const char *pattern)
{
    struct span s = { pattern, strlen(pattern) };

    /* Quoting would need a parser of its own; nobody writes names that way. */
    if (memmem(s.p, s.n, "\\Q", 2) != NULL)
        return true;
    if (is_at(s, 0, "(?i)"))
        s = (struct span){ s.p + 4, s.n - 4 };
    return !is_anchored(s);
}
