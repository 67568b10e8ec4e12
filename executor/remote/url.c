/* SPDX-License-Identifier: Apache-2.0 */
/* url.c - the address of code, parsed strictly and written anew. */
#include "executor/remote/url.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/text.h"

enum { PORT_HTTP = 80, PORT_HTTPS = 443 };

#define SPACES " \t\r\n\v\f"

/* Extensions by which a runtime knows what a file is. Others (".txt", ".php") say nothing to it,
 * and code fetched from such an address gets the runtime's own. */
static const char *const extensions[] = { ".py",  ".pyw", ".mjs", ".js", ".cjs",  ".jsx", ".ts",
                                          ".mts", ".cts", ".tsx", ".sh", ".bash", NULL };

static bool is_alpha(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* RFC 3986, 3.1. Return: bytes in front of the colon; 0: no scheme. */
static size_t take_scheme(const char *s, size_t n, char out[REMOTE_SCHEME_MAX + 1])
{
    size_t i = 0;

    for (; i < n && s[i] != ':'; i++) {
        char c = s[i];
        bool is_later = i > 0 && ((c >= '0' && c <= '9') || c == '+' || c == '-' || c == '.');
        if (i == REMOTE_SCHEME_MAX || (!is_alpha(c) && !is_later))
            return 0;
        out[i] = c >= 'A' && c <= 'Z' ? (char)(c + ('a' - 'A')) : c;
    }
    out[i] = '\0';
    return i < n ? i : 0;
}

/* Nothing that a parser anywhere drops, or takes for a slash. */
static bool has_bad_byte(const char *s, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)s[i];
        if (c < 0x20 || c == 0x7f || c == '\\')
            return true;
    }
    return !text_utf8_valid(s, n);
}

/* Path and query, with what may not stand there percent-encoded. */
static void add_escaped(struct buf *b, const char *s, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)s[i];
        if (c > 0x7f || strchr(" \"<>`{}|^", c) != NULL)
            (void)buf_addf(b, "%%%02X", c);
        else
            (void)buf_add(b, &s[i], 1);
    }
}

static void take_extension(const char *path, size_t n, char out[REMOTE_EXTENSION_MAX + 1])
{
    const char *slash = memrchr(path, '/', n);
    const char *base = slash == NULL ? path : slash + 1;
    size_t base_n = n - (size_t)(base - path);
    const char *dot = memrchr(base, '.', base_n);
    size_t len = dot == NULL ? 0 : base_n - (size_t)(dot - base);

    out[0] = '\0';
    if (dot == base)
        return; /* a hidden file without one */
    for (const char *const *e = extensions; *e != NULL; e++) {
        if (len == strlen(*e) && memcmp(dot, *e, len) == 0)
            memcpy(out, *e, len + 1);
    }
}

static bool write_anew(struct remote_url *u, const char *rest, size_t n)
{
    auto_buf struct buf b = BUF_INIT(4 * (size_t)REMOTE_URL_MAX);
    char host[PROXY_NAME_MAX + 3];
    const char *hash = memchr(rest, '#', n);
    size_t end = hash == NULL ? n : (size_t)(hash - rest);
    const char *query = memchr(rest, '?', end);
    size_t path_n = query == NULL ? end : (size_t)(query - rest);

    remote_url_host(u, host, sizeof(host));
    (void)buf_addf(&b, "%s://%s", u->scheme, host);
    if (u->port != (remote_url_is_https(u) ? PORT_HTTPS : PORT_HTTP))
        (void)buf_addf(&b, ":%u", u->port);
    if (path_n == 0)
        (void)buf_adds(&b, "/");
    add_escaped(&b, rest, end);
    take_extension(rest, path_n, u->extension);
    u->text = buf_take(&b);
    return u->text != NULL;
}

bool remote_url_parse(const char *text, struct remote_url *out)
{
    struct remote_url u = { .port = 0 };

    text += strspn(text, SPACES);
    size_t n = strlen(text);
    while (n > 0 && strchr(SPACES, text[n - 1]) != NULL)
        n--;
    if (n == 0 || n > REMOTE_URL_MAX || has_bad_byte(text, n))
        return false;
    size_t scheme_n = take_scheme(text, n, u.scheme);
    if (scheme_n == 0)
        return false;
    if (strcmp(u.scheme, "https") != 0 && strcmp(u.scheme, "http") != 0) {
        *out = u; /* the policy has a message for it */
        return true;
    }
    if (n - scheme_n < 3 || strncmp(text + scheme_n, "://", 3) != 0)
        return false;
    const char *authority = text + scheme_n + 3, *end = text + n;
    size_t authority_n = 0;
    while (authority + authority_n < end && strchr("/?#", authority[authority_n]) == NULL)
        authority_n++;
    /* User names are no hosts to it: that refuses them. */
    if (!proxy_authority_parse(authority, authority_n,
                               remote_url_is_https(&u) ? PORT_HTTPS : PORT_HTTP, &u.host, &u.port))
        return false;
    const char *rest = authority + authority_n;
    if (!write_anew(&u, rest, (size_t)(end - rest)))
        return false;
    *out = u;
    return true;
}

void remote_url_done(struct remote_url *u)
{
    free(u->text);
    u->text = NULL;
}

bool remote_url_is_https(const struct remote_url *u)
{
    return strcmp(u->scheme, "https") == 0;
}

void remote_url_host(const struct remote_url *u, char *out, size_t cap)
{
    bool is_v6 = u->host.is_address && u->host.address.family == AF_INET6;

    (void)snprintf(out, cap, "%s%s%s", is_v6 ? "[" : "", u->host.text, is_v6 ? "]" : "");
}

void remote_url_redact(const char *text, char *out, size_t cap)
{
    const char *start = strstr(text, "//");
    const char *host = start != NULL ? start + 2 : text;
    const char *at = memrchr(host, '@', strcspn(host, "/?#\\"));

    (void)snprintf(out, cap, "%.*s%s", (int)(host - text), text, at != NULL ? at + 1 : host);
}
