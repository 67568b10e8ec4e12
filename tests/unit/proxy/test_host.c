/* SPDX-License-Identifier: Apache-2.0 */
/* test_host.c - every way to write a host ends in one normal form, or is refused. */
#include "proxy/host.h"
#include "tests/support/test.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"

#define L10 "aaaaaaaaaa"
#define L63 L10 L10 L10 L10 L10 L10 "aaa"

struct row {
    const char *in;
    const char *out; /* NULL: refused */
};

static void check_n(const char *in, size_t n, const char *out, bool is_address)
{
    struct proxy_host h, again;
    bool ok = proxy_host_parse(in, n, &h);

    if (ok != (out != NULL))
        fail_msg("'%.*s' was %s", (int)n, in, ok ? h.text : "refused");
    if (!ok)
        return;
    assert_string_equal(h.text, out);
    if (h.is_address != is_address)
        fail_msg("'%s' is an address: %d", in, h.is_address);
    /* A fixed point. */
    assert_true(proxy_host_parse(h.text, strlen(h.text), &again));
    assert_string_equal(again.text, h.text);
    assert_int_equal(again.is_address, h.is_address);
}

static void check_rows(const struct row *rows, size_t n, bool is_address)
{
    for (size_t i = 0; i < n; i++)
        check_n(rows[i].in, strlen(rows[i].in), rows[i].out, is_address);
}

static void test_upper_case_and_trailing_dot(void **state)
{
    static const struct row rows[] = {
        { "example.com", "example.com" },     { "EXAMPLE.COM", "example.com" },
        { "Example.Com.", "example.com" },    { "localhost", "localhost" },
        { "localhost.", "localhost" },        { "a", "a" },
        { "_dmarc.x-y.z9", "_dmarc.x-y.z9" }, { "1a.b2", "1a.b2" },
    };

    (void)state;
    check_rows(rows, ARRAY_LEN(rows), false);
}

static void test_not_hosts(void **state)
{
    static const struct row rows[] = {
        { "", NULL },
        { ".", NULL },
        { "..", NULL },
        { ".a", NULL },
        { "a..b", NULL },
        { "a..", NULL },
        { "a b", NULL },
        { " a", NULL },
        { "a ", NULL },
        { "a/b", NULL },
        { "a?b", NULL },
        { "a#b", NULL },
        { "a\\b", NULL },
        { "a%62", NULL },
        { "a*", NULL },
        { "a,b", NULL },
        { "a'b", NULL },
        { "a\"b", NULL },
        { "[a]", NULL },
        { "[", NULL },
        { "[]", NULL },
        { "]", NULL },
        { "a:80", NULL },
        { ":", NULL },
        { "[1.2.3.4]", NULL },
        { "http://a", NULL },
        { "[::1", NULL },
        { "::1]", NULL },
        { "fe80::1%eth0", NULL },
        { "[fe80::1%25eth0]", NULL },
        { "::g", NULL },
        { ":::", NULL },
    };

    (void)state;
    check_rows(rows, ARRAY_LEN(rows), false);
}

static void test_nul_and_control_bytes(void **state)
{
    char text[] = "exa?mple.com";

    (void)state;
    for (int c = 0; c < 0x21; c++) {
        text[3] = (char)c;
        check_n(text, sizeof(text) - 1, NULL, false);
    }
    text[3] = 0x7f;
    check_n(text, sizeof(text) - 1, NULL, false);
    check_n("good.example\0.evil.example", 26, NULL, false);
    check_n("example.com\0", 12, NULL, false);
    check_n("\0example.com", 12, NULL, false);
    check_n("::1\0", 4, NULL, false);
    check_n("[::1\0]", 6, NULL, false);
    check_n("127.0.0.1\n", 10, NULL, false);
}

static void test_userinfo(void **state)
{
    static const struct row rows[] = {
        { "user@example.com", NULL },
        { "good.example@evil.example", NULL },
        { "user:password@example.com", NULL },
        { "@example.com", NULL },
    };
    struct proxy_host h;
    uint16_t port;

    (void)state;
    check_rows(rows, ARRAY_LEN(rows), false);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        assert_false(proxy_authority_parse(rows[i].in, strlen(rows[i].in), 80, &h, &port));
    assert_false(proxy_authority_parse("a:80@b:80", 9, 80, &h, &port));
}

static void test_lengths(void **state)
{
    char long_name[PROXY_NAME_MAX + 3], dotted[PROXY_NAME_MAX + 3];
    struct proxy_host h;

    (void)state;
    check_n(L63 ".b", 65, L63 ".b", false);
    check_n("a" L63 ".b", 66, NULL, false);
    memset(long_name, 'a', sizeof(long_name));
    for (size_t i = 1; i < sizeof(long_name); i += 2)
        long_name[i] = '.';
    long_name[PROXY_NAME_MAX] = '\0';
    check_n(long_name, PROXY_NAME_MAX, long_name, false);
    /* A trailing dot is not counted, another byte is. */
    (void)snprintf(dotted, sizeof(dotted), "%s.", long_name);
    check_n(dotted, PROXY_NAME_MAX + 1, long_name, false);
    dotted[PROXY_NAME_MAX] = 'a';
    check_n(dotted, PROXY_NAME_MAX + 1, NULL, false);

    char raw[PROXY_HOST_INPUT_MAX + 1];
    memset(raw, 'a', sizeof(raw));
    assert_false(proxy_host_parse(raw, sizeof(raw), &h));
    memset(raw, '\xc3', sizeof(raw));
    assert_false(proxy_host_parse(raw, sizeof(raw), &h));
}

static void test_idna(void **state)
{
    static const struct row rows[] = {
        /* Mapped and lowered before encoding: upper case, full width, decomposed, other dots. */
        { "b\xc3\xbc"
          "cher.example",
          "xn--bcher-kva.example" },
        { "B\xc3\x9c"
          "CHER.EXAMPLE",
          "xn--bcher-kva.example" },
        { "bu\xcc\x88"
          "cher.example.",
          "xn--bcher-kva.example" },
        { "b\xc3\xbc"
          "cher\xe3\x80\x82"
          "example",
          "xn--bcher-kva.example" },
        { "\xef\xbd\x85xample.com", "example.com" },
        { "exa\xc2\xadmple.com", "example.com" },
        { "XN--BCHER-KVA.example", "xn--bcher-kva.example" },
        { "fa\xc3\x9f.example", "xn--fa-hia.example" }, /* non-transitional */
        { "\xe4\xbe\x8b\xe3\x81\x88.\xe3\x83\x86\xe3\x82\xb9\xe3\x83\x88",
          "xn--r8jz45g.xn--zckzah" },
        /* What maps to a byte that ends a host. */
        { "evil.example\xef\xbc\x8fgood.example", NULL }, /* full-width solidus */
        { "good.example\xef\xbc\xa0"
          "evil.example",
          NULL }, /* full-width @ */
        { "a\xef\xbc\x9a"
          "80",
          NULL }, /* full-width colon */
        /* Not UTF-8: stray, overlong, surrogate. */
        { "a\xff.example", NULL },
        { "a\xc3.example", NULL },
        { "a\xc0\xae.example", NULL },
        { "a\xed\xa0\x80.example", NULL },
        { "a\xc2\x80.example", NULL }, /* C1 control */
    };

    (void)state;
    check_rows(rows, ARRAY_LEN(rows), false);
}

static void test_idna_that_is_an_address(void **state)
{
    static const struct row rows[] = {
        { "\xef\xbc\x91\xef\xbc\x92\xef\xbc\x97.0.0.1", "127.0.0.1" }, /* full-width digits */
        { "127\xe3\x80\x82"
          "0\xe3\x80\x82"
          "0\xe3\x80\x82"
          "1",
          "127.0.0.1" },
        { "\xe2\x91\xa0\xe2\x91\xa1\xe2\x91\xa6.1", NULL }, /* circled digits: no IDN, or 127.1 */
    };
    struct proxy_host h;

    (void)state;
    check_rows(rows, 2, true);
    if (proxy_host_parse(rows[2].in, strlen(rows[2].in), &h))
        assert_string_equal(h.text, "127.0.0.1");
}

static void test_ipv4_decimal_octal_hex_short(void **state)
{
    static const struct row rows[] = {
        { "127.0.0.1", "127.0.0.1" },
        { "127.0.0.1.", "127.0.0.1" },
        { "2130706433", "127.0.0.1" },
        { "0x7f000001", "127.0.0.1" },
        { "0X7F.0.0.1", "127.0.0.1" },
        { "017700000001", "127.0.0.1" },
        { "0177.0.0.01", "127.0.0.1" },
        { "127.1", "127.0.0.1" },
        { "127.0.1", "127.0.0.1" },
        { "0x7f.1", "127.0.0.1" },
        { "0", "0.0.0.0" },
        { "00", "0.0.0.0" },
        { "0x", "0.0.0.0" },
        { "4294967295", "255.255.255.255" },
        { "1.16777215", "1.255.255.255" },
        { "1.2.65535", "1.2.255.255" },
        { "169.254.43518", "169.254.169.254" },
        { "0xa9.0xfe.0xa9.0xfe", "169.254.169.254" },
        { "0251.0376.0251.0376", "169.254.169.254" },
        { "010.8.8.8", "8.8.8.8" },
    };

    (void)state;
    check_rows(rows, ARRAY_LEN(rows), true);
}

/* What some parser might still take for an address, but not ours, is no name either. */
static void test_ipv4_malformed(void **state)
{
    static const struct row rows[] = {
        { "256.0.0.1", NULL },
        { "1.2.3.256", NULL },
        { "1.2.3.4.5", NULL },
        { "4294967296", NULL },
        { "08.0.0.1", NULL },
        { "1.2.3.09", NULL },
        { "0x100000000", NULL },
        { "1.16777216", NULL },
        { "1.2.65536", NULL },
        { "a.1", NULL },
        { "example.0x7f", NULL },
        { "1..2", NULL },
        { "99999999999999999999999", NULL },
        { "0x7g.1", NULL },
        { "1.2.3.0xfff", NULL },
        { "-1.2.3.4", NULL },
        { "+1", NULL },
        { "1e3.1", NULL },
    };

    (void)state;
    check_rows(rows, ARRAY_LEN(rows), false);
}

/* Whatever inet_aton(3) accepts is an address here, and the same one. */
static void test_ipv4_agrees_with_inet_aton(void **state)
{
    static const char *const parts[] = { "0",    "1",   "7",   "08",    "010",   "0377", "0400",
                                         "0xff", "0x0", "256", "65535", "65536", "0x",   "a" };
    const size_t n = ARRAY_LEN(parts);
    struct proxy_host h;
    struct in_addr in;
    char text[64];
    size_t n_both = 0;

    (void)state;
    for (size_t i = 0; i < n * n * n * n; i++) {
        size_t dots = i % 4;
        (void)snprintf(text, sizeof(text), "%s.%s.%s.%s", parts[i % n], parts[i / n % n],
                       parts[i / n / n % n], parts[i / n / n / n]);
        for (char *p = text; dots < 3; p++) {
            if (*p == '\0')
                break;
            if (*p == '.' && dots++ == 2)
                *p = '\0';
        }
        bool ok = proxy_host_parse(text, strlen(text), &h);
        if (inet_aton(text, &in) == 0)
            continue;
        n_both++;
        if (!ok || !h.is_address || h.address.v4.s_addr != in.s_addr)
            fail_msg("'%s' is %s", text, inet_ntoa(in));
    }
    assert_true(n_both > 1000);
}

static void test_ipv6_and_mapped(void **state)
{
    static const struct row rows[] = {
        { "::1", "::1" },
        { "[::1]", "::1" },
        { "[0:0:0:0:0:0:0:1]", "::1" },
        { "[2001:DB8::00FF]", "2001:db8::ff" },
        { "2001:0db8:0000:0000:0000:0000:0000:0001", "2001:db8::1" },
        { "::ffff:127.0.0.1", "127.0.0.1" },
        { "[::FFFF:7f00:1]", "127.0.0.1" },
        { "[0:0:0:0:0:ffff:169.254.169.254]", "169.254.169.254" },
        { "::ffff:0:0", "0.0.0.0" },
        { "64:ff9b::10.0.0.1", "64:ff9b::a00:1" },
    };
    struct proxy_host h;

    (void)state;
    check_rows(rows, ARRAY_LEN(rows), true);
    assert_true(proxy_host_parse("[::ffff:1.2.3.4]", 16, &h));
    assert_int_equal(h.address.family, AF_INET);
}

static void test_authority(void **state)
{
    static const struct {
        const char *in;
        const char *host; /* NULL: refused */
        uint16_t port;
    } rows[] = {
        { "example.com", "example.com", 80 },
        { "Example.Com.:443", "example.com", 443 },
        { "example.com:1", "example.com", 1 },
        { "example.com:65535", "example.com", 65535 },
        { "example.com:00080", "example.com", 80 },
        { "[::1]", "::1", 80 },
        { "[::1]:8080", "::1", 8080 },
        { "0x7f.1:22", "127.0.0.1", 22 },
        { "example.com:", NULL, 0 },
        { "example.com:0", NULL, 0 },
        { "example.com:65536", NULL, 0 },
        { "example.com:000080", NULL, 0 },
        { "example.com:8a", NULL, 0 },
        { "example.com:+80", NULL, 0 },
        { "example.com:80:80", NULL, 0 },
        { "example.com: 80", NULL, 0 },
        { ":80", NULL, 0 },
        { "", NULL, 0 },
        { "::1", NULL, 0 },
        { "2001:db8::1", NULL, 0 },
        { "[::1]8080", NULL, 0 },
        { "[::1]:", NULL, 0 },
        { "[::1", NULL, 0 },
        { "[1.2.3.4]:80", NULL, 0 },
        { "[example.com]:80", NULL, 0 },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct proxy_host h;
        uint16_t port = 0;
        bool ok = proxy_authority_parse(rows[i].in, strlen(rows[i].in), 80, &h, &port);
        if (ok != (rows[i].host != NULL))
            fail_msg("'%s': %d", rows[i].in, ok);
        if (!ok)
            continue;
        assert_string_equal(h.text, rows[i].host);
        assert_int_equal(port, rows[i].port);
    }
}

static void test_ranges(void **state)
{
    static const struct {
        const char *range, *address;
        bool has;
    } rows[] = {
        { "10.77.0.0/24", "10.77.0.255", true },
        { "10.77.0.0/24", "10.77.1.0", false },
        { "10.77.0.9/24", "10.77.0.1", true },
        { "10.0.0.0/8", "::ffff:10.1.2.3", true },
        { "1.2.3.4", "1.2.3.4", true },
        { "1.2.3.4", "1.2.3.5", false },
        { "0.0.0.0/0", "8.8.8.8", true },
        { "0.0.0.0/0", "::1", false },
        { "::/0", "8.8.8.8", false },
        { "fd00::/8", "fd12::1", true },
        { "fd00::/8", "fe00::1", false },
        { "2001:db8::/33", "2001:db8:7fff::1", true },
        { "2001:db8::/33", "2001:db8:8000::1", false },
        { "::1", "::1", true },
        { "::ffff:10.0.0.0/104", "10.9.9.9", true },
        { "172.16.0.0/12", "172.31.255.255", true },
        { "172.16.0.0/12", "172.32.0.0", false },
        { "1.2.3.4/31", "1.2.3.5", true },
    };
    static const char *const bad[] = {
        "",          "/8",           "10.0.0.0/",     "10.0.0.0/33", "10.0.0.0/-1", "10.0.0.0/8 ",
        "10.0.0/8",  "10/8",         "010.0.0.0/8",   "::/129",      "example.com", "1.2.3.4/0008",
        "::1%lo/64", "10.0.0.0/8/8", "::ffff:0:0/95", "[::1]/128",
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct proxy_range r;
        struct proxy_host h;
        assert_true(proxy_range_parse(rows[i].range, &r));
        assert_true(proxy_host_parse(rows[i].address, strlen(rows[i].address), &h));
        if (proxy_range_has(&r, &h.address) != rows[i].has)
            fail_msg("%s in %s", rows[i].address, rows[i].range);
    }
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct proxy_range r;
        if (proxy_range_parse(bad[i], &r))
            fail_msg("accepted: %s", bad[i]);
    }
}

static void test_sockaddr(void **state)
{
    struct sockaddr_in in = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(0x01020304) };
    struct sockaddr_in6 in6 = { .sin6_family = AF_INET6 };
    struct sockaddr other = { .sa_family = AF_UNIX };
    struct proxy_address a, b;

    (void)state;
    assert_true(proxy_address_from_sockaddr((const struct sockaddr *)&in, &a));
    assert_int_equal(inet_pton(AF_INET6, "::ffff:1.2.3.4", &in6.sin6_addr), 1);
    assert_true(proxy_address_from_sockaddr((const struct sockaddr *)&in6, &b));
    assert_true(proxy_address_equal(&a, &b));
    in6.sin6_addr.s6_addr[0] = 0x20;
    assert_true(proxy_address_from_sockaddr((const struct sockaddr *)&in6, &b));
    assert_false(proxy_address_equal(&a, &b));
    assert_false(proxy_address_from_sockaddr(&other, &a));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_upper_case_and_trailing_dot),
        cmocka_unit_test(test_not_hosts),
        cmocka_unit_test(test_nul_and_control_bytes),
        cmocka_unit_test(test_userinfo),
        cmocka_unit_test(test_lengths),
        cmocka_unit_test(test_idna),
        cmocka_unit_test(test_idna_that_is_an_address),
        cmocka_unit_test(test_ipv4_decimal_octal_hex_short),
        cmocka_unit_test(test_ipv4_malformed),
        cmocka_unit_test(test_ipv4_agrees_with_inet_aton),
        cmocka_unit_test(test_ipv6_and_mapped),
        cmocka_unit_test(test_authority),
        cmocka_unit_test(test_ranges),
        cmocka_unit_test(test_sockaddr),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
