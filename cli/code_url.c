/* SPDX-License-Identifier: Apache-2.0 */
/* code_url.c - the shorthands --github and --gist, and what the command needs of an address. */
#include "cli/code_url.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/text.h"
#include "cli/xmem.h"

#define GITHUB_FORM "--github format must be owner/repo/ref/path/to/file"
#define GIST_FORM "--gist format must be gistId/file.ext"
#define PARTS_MAX 128 /* of a path */

/* The parts between the slashes; they point into the text. */
struct parts {
    const char *at[PARTS_MAX];
    size_t len[PARTS_MAX];
    size_t n;
};

static bool is_hex(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

static bool is_encoded(const char *s, size_t n)
{
    return n >= 3 && s[0] == '%' && is_hex(s[1]) && is_hex(s[2]);
}

static bool is_code(const char *s, size_t n, const char *code)
{
    return is_encoded(s, n) && (s[1] == code[0]) && (s[2] | 0x20) == code[1];
}

/* No part may be empty or lead elsewhere, in whatever way it is written. */
static bool is_good_part(const char *s, size_t n)
{
    if (n == 0 || (n == 1 && s[0] == '.') || (n == 2 && s[0] == '.' && s[1] == '.'))
        return false;
    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)s[i];
        if (c < 0x20 || c == 0x7f || c == '\\' || is_code(s + i, n - i, "2f") ||
            is_code(s + i, n - i, "5c") || is_code(s + i, n - i, "2e") ||
            is_code(s + i, n - i, "00"))
            return false;
    }
    return text_utf8_valid(s, n);
}

static bool split(const char *text, struct parts *p)
{
    p->n = 0;
    if (strlen(text) > CODE_URL_SHORT_MAX)
        return false;
    for (;;) {
        size_t n = strcspn(text, "/");
        if (p->n == PARTS_MAX || !is_good_part(text, n))
            return false;
        p->at[p->n] = text;
        p->len[p->n++] = n;
        if (text[n] == '\0')
            return true;
        text += n + 1;
    }
}

static void add_part(struct buf *b, const char *s, size_t n)
{
    static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
                                "-._~!$&'()*+,;=:@";

    for (size_t i = 0; i < n; i++) {
        if (is_encoded(s + i, n - i) || (s[i] != '\0' && strchr(plain, s[i]) != NULL))
            (void)buf_add(b, &s[i], 1);
        else
            (void)buf_addf(b, "%%%02X", (unsigned char)s[i]);
    }
}

/* "/part/part" */
static void add_parts(struct buf *b, const struct parts *p, size_t first, size_t end)
{
    for (size_t i = first; i < end; i++) {
        (void)buf_adds(b, "/");
        add_part(b, p->at[i], p->len[i]);
    }
}

static bool are_short(const struct parts *p, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (p->len[i] > CODE_URL_PART_MAX)
            return false;
    }
    return true;
}

/* A ref with an encoded slash: whoever wrote it knows that it has one. */
static bool has_slash_in_ref(const char *text)
{
    const char *ref = text;

    for (unsigned i = 0; i < 2 && ref != NULL; i++) {
        ref = strchr(ref, '/');
        ref = ref == NULL ? NULL : ref + 1;
    }
    for (size_t n = ref == NULL ? 0 : strcspn(ref, "/"); n > 0; ref++, n--) {
        if (is_code(ref, n, "2f"))
            return true;
    }
    return false;
}

char *code_url_github(const char *text, const char **why)
{
    struct parts p;
    auto_buf struct buf b = BUF_INIT(8 * (size_t)CODE_URL_SHORT_MAX);

    *why = GITHUB_FORM;
    if (has_slash_in_ref(text)) {
        *why = GITHUB_FORM "; a ref with '/' in it cannot be told from the path: give the whole "
                           "address by --url";
        return NULL;
    }
    if (!split(text, &p) || p.n < 4 || !are_short(&p, 3))
        return NULL;
    (void)buf_adds(&b, "https://raw.githubusercontent.com");
    add_parts(&b, &p, 0, p.n);
    return xstrdup(buf_text(&b));
}

char *code_url_gist(const char *text, const char **why)
{
    struct parts p;
    auto_buf struct buf b = BUF_INIT(8 * (size_t)CODE_URL_SHORT_MAX);

    *why = GIST_FORM;
    if (!split(text, &p) || p.n < 2 || p.n > 3 || !are_short(&p, p.n - 1))
        return NULL;
    (void)buf_adds(&b, "https://gist.githubusercontent.com");
    add_parts(&b, &p, 0, p.n - 1);
    (void)buf_adds(&b, "/raw");
    add_parts(&b, &p, p.n - 1, p.n);
    return xstrdup(buf_text(&b));
}

bool code_url_ref_is_ambiguous(const char *text)
{
    struct parts p;

    /* "refs/heads/a/b/file" is whole. */
    return split(text, &p) && p.n > 4 && !(p.len[2] == 4 && memcmp(p.at[2], "refs", 4) == 0);
}

char *code_url_path(const char *url)
{
    const char *authority = strstr(url, "://");
    size_t n = strcspn(url, "?#");

    if (authority == NULL || (size_t)(authority - url) >= n)
        return NULL;
    authority += 3;
    size_t host_n = strcspn(authority, "/?#");
    char *path = xstrdup(authority + host_n);
    n = strcspn(path, "?#");
    while (n > 0 && strchr(" \t\r\n\v\f", path[n - 1]) != NULL)
        n--;
    path[n] = '\0';
    return path;
}
