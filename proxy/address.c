/* SPDX-License-Identifier: Apache-2.0 */
/* address.c - IP addresses and ranges of them. */
#include "proxy/host.h"

#include <arpa/inet.h>
#include <string.h>

enum {
    V4_BITS = 32,
    V6_BITS = 128,
    MAPPED_BITS = 96, /* of ::ffff:0:0/96, RFC 4291, 2.5.5.2 */
};

void proxy_address_from_v4(const uint8_t bytes[4], struct proxy_address *out)
{
    *out = (struct proxy_address){ .family = AF_INET };
    memcpy(&out->v4, bytes, sizeof(out->v4));
}

void proxy_address_from_v6(const uint8_t bytes[16], struct proxy_address *out)
{
    static const uint8_t mapped[MAPPED_BITS / 8] = { [10] = 0xff, [11] = 0xff };

    if (memcmp(bytes, mapped, sizeof(mapped)) == 0) {
        proxy_address_from_v4(bytes + sizeof(mapped), out);
        return;
    }
    *out = (struct proxy_address){ .family = AF_INET6 };
    memcpy(&out->v6, bytes, sizeof(out->v6));
}

bool proxy_address_from_sockaddr(const struct sockaddr *sa, struct proxy_address *out)
{
    struct sockaddr_in in;
    struct sockaddr_in6 in6;

    switch (sa->sa_family) {
    case AF_INET:
        memcpy(&in, sa, sizeof(in));
        proxy_address_from_v4((const uint8_t *)&in.sin_addr, out);
        return true;
    case AF_INET6:
        memcpy(&in6, sa, sizeof(in6));
        proxy_address_from_v6(in6.sin6_addr.s6_addr, out);
        return true;
    default:
        return false;
    }
}

const uint8_t *proxy_address_bytes(const struct proxy_address *a, size_t *n)
{
    if (a->family == AF_INET) {
        *n = sizeof(a->v4);
        return (const uint8_t *)&a->v4;
    }
    *n = sizeof(a->v6);
    return a->v6.s6_addr;
}

bool proxy_address_equal(const struct proxy_address *a, const struct proxy_address *b)
{
    size_t n, m;
    const uint8_t *p = proxy_address_bytes(a, &n);
    const uint8_t *q = proxy_address_bytes(b, &m);

    return a->family == b->family && n == m && memcmp(p, q, n) == 0;
}

void proxy_address_text(const struct proxy_address *a, char *out, size_t cap)
{
    size_t n;
    const uint8_t *bytes = proxy_address_bytes(a, &n);

    if (inet_ntop(a->family, bytes, out, (socklen_t)cap) == NULL && cap > 0)
        out[0] = '\0';
}

/* Whole number of at most three digits behind the slash. */
static bool parse_bits(const char *s, unsigned *out)
{
    unsigned v = 0;
    size_t n = strlen(s);

    if (n == 0 || n > 3)
        return false;
    for (; *s != '\0'; s++) {
        if (*s < '0' || *s > '9')
            return false;
        v = v * 10 + (unsigned)(*s - '0');
    }
    *out = v;
    return true;
}

bool proxy_range_parse(const char *s, struct proxy_range *out)
{
    char text[INET6_ADDRSTRLEN];
    uint8_t bytes[16];
    struct proxy_range r;
    const char *slash = strchr(s, '/');
    size_t n = slash != NULL ? (size_t)(slash - s) : strlen(s);
    bool is_v6 = memchr(s, ':', n) != NULL;
    unsigned max = is_v6 ? V6_BITS : V4_BITS, bits = max;

    if (n >= sizeof(text))
        return false;
    memcpy(text, s, n);
    text[n] = '\0';
    if (inet_pton(is_v6 ? AF_INET6 : AF_INET, text, bytes) != 1)
        return false;
    if (slash != NULL && (!parse_bits(slash + 1, &bits) || bits > max))
        return false;

    if (is_v6)
        proxy_address_from_v6(bytes, &r.first);
    else
        proxy_address_from_v4(bytes, &r.first);
    if (is_v6 && r.first.family == AF_INET) {
        /* Mapped addresses are stored as IPv4; a range around them would match none of them. */
        if (bits < MAPPED_BITS)
            return false;
        bits -= MAPPED_BITS;
    }
    r.bits = (uint8_t)bits;
    *out = r;
    return true;
}

bool proxy_range_has(const struct proxy_range *r, const struct proxy_address *a)
{
    size_t n;
    const uint8_t *first = proxy_address_bytes(&r->first, &n);
    const uint8_t *p = proxy_address_bytes(a, &n);
    size_t whole = r->bits / 8u;
    unsigned rest = r->bits % 8u;

    if (r->first.family != a->family || memcmp(first, p, whole) != 0)
        return false;
    return rest == 0 || ((first[whole] ^ p[whole]) >> (8u - rest)) == 0;
}
