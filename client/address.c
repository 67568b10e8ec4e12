/* SPDX-License-Identifier: Apache-2.0 */
/* address.c - the address of a server, as --host gives it. */
#include "client/address.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/mem.h"

#define ALNUM "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"

static size_t length_without_slash(const char *text)
{
    size_t n = strlen(text);

    return n > 0 && text[n - 1] == '/' ? n - 1 : n;
}

bool client_address_same(const char *a, const char *b)
{
    size_t n = length_without_slash(a);

    return n == length_without_slash(b) && memcmp(a, b, n) == 0;
}

static bool is_loopback(const char *authority)
{
    bool is_v6 = authority[0] == '[';
    size_t n = is_v6 ? strcspn(authority, "]") + 1 : strcspn(authority, ":");

    if (is_v6)
        return strncmp(authority, "[::1]", n) == 0;
    if (n >= 9 && strncasecmp(authority + n - 9, "localhost", 9) == 0)
        return n == 9 || authority[n - 10] == '.';
    return strncmp(authority, "127.", 4) == 0 && strspn(authority, "0123456789.") == n;
}

int client_address_init(struct client_address *a, const char *host, isol8_error *err)
{
    size_t n = length_without_slash(host);
    size_t scheme = strncasecmp(host, "http://", 7) == 0    ? 7
                    : strncasecmp(host, "https://", 8) == 0 ? 8
                                                            : 0;
    size_t authority = scheme == 0 ? 0 : strspn(host + scheme, ALNUM ".-_:[]");

    *a = (struct client_address){ .is_tls = scheme == 8 };
    /* What follows is a path: no query, no fragment, no user, nothing that breaks a header. */
    if (authority == 0 || n > CLIENT_ADDRESS_MAX || scheme + authority > n ||
        (host[scheme + authority] != '\0' && host[scheme + authority] != '/') ||
        scheme + authority + strspn(host + scheme + authority, ALNUM "/.-_~%!$&'()*+,;=:@") <
            strlen(host))
        return err_set(err, ISOL8_E_INVAL,
                       "Invalid --host: '%s'. Expected http://HOST[:PORT] or https://HOST[:PORT].",
                       host);
    a->url = strndup(host, n);
    a->authority = strndup(host + scheme, authority);
    if (a->url == NULL || a->authority == NULL)
        return err_nomem(err);
    a->path = a->url + scheme + authority;
    a->is_local = is_loopback(a->authority);
    return 0;
}

void client_address_done(struct client_address *a)
{
    free(a->url);
    free(a->authority);
    *a = (struct client_address){ 0 };
}

void client_address_escape(struct buf *out, const char *text)
{
    bool is_dots = strcmp(text, ".") == 0 || strcmp(text, "..") == 0; /* would be taken for steps */

    for (; *text != '\0'; text++) {
        if (strchr(ALNUM "-_~", *text) != NULL || (*text == '.' && !is_dots))
            (void)buf_add(out, text, 1);
        else
            (void)buf_addf(out, "%%%02X", (unsigned)(unsigned char)*text);
    }
}
