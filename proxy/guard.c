/* SPDX-License-Identifier: Apache-2.0 */
/* guard.c - which addresses a sandbox may be connected to. */
#include "proxy/guard.h"

#include <errno.h>
#include <ifaddrs.h>
#include <string.h>

#include "base/mem.h"

/* A part of the address space; the first row that an address is in decides. */
struct special {
    const char *range;
    const char *reason; /* NULL: open */
};

/* IANA IPv4 and IPv6 Special-Purpose Address Registries (as of October 2025), the IPv4 multicast
 * space (RFC 5771) and IPv6 address space registries. Not in the table and therefore open: the
 * documentation ranges 192.0.2.0/24, 198.51.100.0/24, 203.0.113.0/24, 2001:db8::/32, 3fff::/20, and
 * what is globally reachable (AS112: 192.31.196.0/24, 192.175.48.0/24, 2620:4f:8000::/48; AMT:
 * 192.52.193.0/24). */
static const struct special specials[] = {
    { "0.0.0.0/8", "this network 0.0.0.0/8" },                         /* RFC 791, 3.2 */
    { "10.0.0.0/8", "private range 10.0.0.0/8" },                      /* RFC 1918 */
    { "100.64.0.0/10", "shared address space 100.64.0.0/10" },         /* RFC 6598 */
    { "127.0.0.0/8", "loopback range 127.0.0.0/8" },                   /* RFC 1122, 3.2.1.3 */
    { "169.254.0.0/16", "link-local range 169.254.0.0/16" },           /* RFC 3927 */
    { "172.16.0.0/12", "private range 172.16.0.0/12" },                /* RFC 1918 */
    { "192.0.0.0/24", "protocol assignments 192.0.0.0/24" },           /* RFC 6890 */
    { "192.88.99.0/24", "6to4 relay range 192.88.99.0/24" },           /* RFC 7526, RFC 6751 */
    { "192.168.0.0/16", "private range 192.168.0.0/16" },              /* RFC 1918 */
    { "198.18.0.0/15", "benchmarking range 198.18.0.0/15" },           /* RFC 2544 */
    { "224.0.0.0/4", "multicast range 224.0.0.0/4" },                  /* RFC 5771 */
    { "240.0.0.0/4", "reserved range 240.0.0.0/4" },                   /* RFC 1112, RFC 919 */
    { "::/128", "unspecified address ::" },                            /* RFC 4291, 2.5.2 */
    { "::1/128", "loopback address ::1" },                             /* RFC 4291, 2.5.3 */
    { "64:ff9b:1::/48", "local NAT64 range 64:ff9b:1::/48" },          /* RFC 8215 */
    { "100::/64", "discard range 100::/64" },                          /* RFC 6666 */
    { "5f00::/16", "segment routing range 5f00::/16" },                /* RFC 9602 */
    { "fc00::/7", "private range fc00::/7" },                          /* RFC 4193 */
    { "fe80::/10", "link-local range fe80::/10" },                     /* RFC 4291, 2.5.6 */
    { "fec0::/10", "site-local range fec0::/10" },                     /* RFC 3879 */
    { "ff00::/8", "multicast range ff00::/8" },                        /* RFC 4291, 2.7 */
    { "2001:3::/32", NULL },                                           /* AMT, RFC 7450 */
    { "2001:4:112::/48", NULL },                                       /* AS112, RFC 7535 */
    { "2001:20::/28", NULL },                                          /* ORCHIDv2, RFC 7343 */
    { "2001:30::/28", NULL },                                          /* drone ids, RFC 9374 */
    { "2001::/23", "protocol assignments 2001::/23" },                 /* RFC 2928 */
    { "2000::/3", NULL },                                              /* RFC 4291, 2.5.4 */
    { "::/0", "not in the range of global IPv6 addresses, 2000::/3" }, /* RFC 4291, 2.4 */
};

struct proxy_guard {
    struct proxy_range special[ARRAY_LEN(specials)];
    struct proxy_range *open; /* owned */
    size_t n_open;
    struct proxy_address *own; /* owned */
    size_t n_own;
};

/* Copy the addresses of a list. Return: how many there are; at most @cap are copied. */
static size_t copy_addresses(const struct ifaddrs *list, struct proxy_address *out, size_t cap)
{
    size_t n = 0;

    for (const struct ifaddrs *i = list; i != NULL; i = i->ifa_next) {
        struct proxy_address a;
        if (i->ifa_addr == NULL || !proxy_address_from_sockaddr(i->ifa_addr, &a))
            continue;
        if (n < cap)
            out[n] = a;
        n++;
    }
    return n;
}

static int read_own(struct proxy_address **out, size_t *n_out, isol8_error *err)
{
    auto_free struct proxy_address *own = NULL;
    struct ifaddrs *list = NULL;
    int r = 0;

    if (getifaddrs(&list) < 0)
        return err_sys(err, errno, "read the machine's own addresses");

    size_t n = copy_addresses(list, NULL, 0);
    if (n > GUARD_OWN_MAX)
        r = err_set(err, ISOL8_E_LIMIT, "the machine has more than %d addresses", GUARD_OWN_MAX);
    else if ((own = calloc(n + 1, sizeof(*own))) == NULL)
        r = err_nomem(err);
    else
        *n_out = copy_addresses(list, own, n);
    freeifaddrs(list);
    if (r == 0)
        *out = take_ptr(&own);
    return r;
}

static int parse_open(struct proxy_guard *g, const char *const *open, size_t n, isol8_error *err)
{
    if (n > GUARD_OPEN_MAX)
        return err_set(err, ISOL8_E_LIMIT, "more than %d open address ranges", GUARD_OPEN_MAX);
    g->open = calloc(n + 1, sizeof(*g->open));
    if (g->open == NULL)
        return err_nomem(err);
    for (size_t i = 0; i < n; i++) {
        if (!proxy_range_parse(open[i], &g->open[i]))
            return err_set(err, ISOL8_E_INVAL, "'%.80s' is not an address or range like 10.0.0.0/8",
                           open[i]);
    }
    g->n_open = n;
    return 0;
}

int proxy_guard_new(struct proxy_guard **out, const char *const *open, size_t n_open,
                    isol8_error *err)
{
    auto_proxy_guard struct proxy_guard *g = calloc(1, sizeof(*g));
    int r;

    if (g == NULL)
        return err_nomem(err);
    for (size_t i = 0; i < ARRAY_LEN(specials); i++) {
        if (!proxy_range_parse(specials[i].range, &g->special[i]))
            return err_set(err, ISOL8_E_INVAL, "bad built-in range %s", specials[i].range);
    }

    r = parse_open(g, open, n_open, err);
    if (r < 0)
        return r;

    r = read_own(&g->own, &g->n_own, err);
    if (r < 0)
        return r;

    *out = take_ptr(&g);
    return 0;
}

void proxy_guard_free(struct proxy_guard *g)
{
    if (g == NULL)
        return;
    free(g->open);
    free(g->own);
    free(g);
}

int proxy_guard_refresh(struct proxy_guard *g, isol8_error *err)
{
    struct proxy_address *own = NULL;
    size_t n = 0;
    int r;

    r = read_own(&own, &n, err);
    if (r < 0)
        return r;

    free(g->own);
    g->own = own;
    g->n_own = n;
    return 0;
}

static bool is_open(const struct proxy_guard *g, const struct proxy_address *a)
{
    for (size_t i = 0; i < g->n_open; i++) {
        if (proxy_range_has(&g->open[i], a))
            return true;
    }
    return false;
}

static bool is_own(const struct proxy_guard *g, const struct proxy_address *a)
{
    for (size_t i = 0; i < g->n_own; i++) {
        if (proxy_address_equal(&g->own[i], a))
            return true;
    }
    return false;
}

static bool starts_with(const uint8_t *bytes, const char *prefix, size_t n)
{
    return memcmp(bytes, prefix, n) == 0;
}

/* IPv4 addresses that an IPv6 address leads to: none, one, or with Teredo two. *is_carrier: its
 * prefix says nothing about what is reached, so that they alone decide. */
static size_t embedded(const struct proxy_address *a, struct proxy_address out[2], bool *is_carrier)
{
    const uint8_t *b = a->v6.s6_addr;

    *is_carrier = true;
    if (starts_with(b, "\x00\x64\xff\x9b\0\0\0\0\0\0\0\0", 12)) { /* NAT64 (RFC 6052, 2.1) */
        proxy_address_from_v4(b + 12, &out[0]);
        return 1;
    }
    if (starts_with(b, "\x20\x02", 2)) { /* 6to4 (RFC 3056, 2) */
        proxy_address_from_v4(b + 2, &out[0]);
        return 1;
    }
    if (starts_with(b, "\x20\x01\0\0", 4)) { /* Teredo: server, inverted client (RFC 4380, 4) */
        uint8_t client[4];
        for (size_t i = 0; i < sizeof(client); i++)
            client[i] = (uint8_t)~b[12 + i];
        proxy_address_from_v4(client, &out[0]);
        proxy_address_from_v4(b + 4, &out[1]);
        return 2;
    }
    *is_carrier = false;
    if ((b[8] & 0xfd) == 0 && starts_with(b + 9, "\0\x5e\xfe", 3)) { /* ISATAP (RFC 5214, 6.1) */
        proxy_address_from_v4(b + 12, &out[0]);
        return 1;
    }
    return 0;
}

/* What the address is by itself. */
static const char *refuses_plain(const struct proxy_guard *g, const struct proxy_address *a)
{
    if (is_open(g, a))
        return NULL;
    for (size_t i = 0; i < ARRAY_LEN(specials); i++) {
        if (!proxy_range_has(&g->special[i], a))
            continue;
        if (specials[i].reason != NULL)
            return specials[i].reason;
        break;
    }
    return is_own(g, a) ? "address of this machine" : NULL;
}

const char *proxy_guard_refuses(const struct proxy_guard *g, const struct proxy_address *a)
{
    struct proxy_address inner[2];
    const char *reason;
    bool is_carrier;

    if (a->family == AF_INET || is_open(g, a))
        return refuses_plain(g, a);

    size_t n = embedded(a, inner, &is_carrier);
    if (!is_carrier || is_own(g, a)) {
        reason = refuses_plain(g, a);
        if (reason != NULL)
            return reason;
    }
    for (size_t i = 0; i < n; i++) {
        reason = refuses_plain(g, &inner[i]);
        if (reason != NULL)
            return reason;
    }
    return NULL;
}
