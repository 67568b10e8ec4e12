/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_host.c - hosts, authorities, ranges: what is accepted is in a normal form of itself. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/host.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void check_name(const char *s)
{
    size_t n = strlen(s);

    if (n == 0 || n > PROXY_NAME_MAX || s[0] == '.' || s[n - 1] == '.' || strstr(s, "..") != NULL ||
        strspn(s, "abcdefghijklmnopqrstuvwxyz0123456789-_.") != n)
        abort();
}

static void check_host(const struct proxy_host *h)
{
    struct proxy_host again;

    if (!proxy_host_parse(h->text, strlen(h->text), &again) || strcmp(h->text, again.text) != 0 ||
        h->is_address != again.is_address)
        abort();
    if (!h->is_address)
        check_name(h->text);
    else if (!proxy_address_equal(&h->address, &again.address))
        abort();
}

static void fuzz_range(const uint8_t *data, size_t n)
{
    char text[64];
    struct proxy_range r;

    if (n >= sizeof(text))
        return;
    memcpy(text, data, n);
    text[n] = '\0';
    if (proxy_range_parse(text, &r) && !proxy_range_has(&r, &r.first))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct proxy_host h;
    uint16_t port;

    if (n == 0)
        return 0;
    if (proxy_host_parse((const char *)data, n, &h))
        check_host(&h);
    if (proxy_authority_parse((const char *)data, n, 80, &h, &port)) {
        check_host(&h);
        if (port == 0)
            abort();
    }
    fuzz_range(data, n);
    return 0;
}
