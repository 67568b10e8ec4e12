/* SPDX-License-Identifier: Apache-2.0 */
/* test_dns_wire.c - queries as resolvers send them, and damaged ones. */
#include "proxy/dns_wire.h"
#include "tests/support/test.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

/* Header: id, flags (RD), one question, nothing else. */
#define HEAD "\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00"
#define HEAD_EDNS "\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x01"
#define NAME                                                                                       \
    "\x03www\x07"                                                                                  \
    "Example\x03"                                                                                  \
    "com\x00"
#define A_IN "\x00\x01\x00\x01"
#define AAAA_IN "\x00\x1c\x00\x01"
/* Root, OPT, 1232 bytes, version 0, DO, no options. */
#define OPT "\x00\x00\x29\x04\xd0\x00\x00\x80\x00\x00\x00"

/* Parsed from memory of exactly that size. */
#define PARSE(text, q) parse_exact((text), sizeof(text) - 1, (q))

static bool parse_exact(const char *p, size_t n, struct dns_question *q)
{
    char *exact = malloc(n + (n == 0));

    assert_non_null(exact);
    memcpy(exact, p, n);
    bool ok = dns_parse_query(exact, n, q);
    free(exact);
    return ok;
}

static void test_plain_query(void **state)
{
    struct dns_question q;

    (void)state;
    assert_true(PARSE(HEAD NAME A_IN, &q));
    assert_int_equal(q.rcode, DNS_RCODE_OK);
    assert_int_equal(q.id, 0x1234);
    assert_int_equal(q.type, DNS_TYPE_A);
    assert_int_equal(q.klass, DNS_CLASS_IN);
    assert_string_equal(q.name.text, "www.example.com");
    assert_int_equal(q.question_end, 12 + 17 + 4);
    assert_false(q.has_edns);
    assert_int_equal(q.udp_size, DNS_UDP_MIN);
    assert_true(PARSE(HEAD_EDNS NAME AAAA_IN OPT, &q));
    assert_int_equal(q.rcode, DNS_RCODE_OK);
    assert_int_equal(q.type, DNS_TYPE_AAAA);
    assert_true(q.has_edns);
    assert_int_equal(q.udp_size, 1232);
}

static void test_not_queries(void **state)
{
    struct dns_question q;

    (void)state;
    for (size_t n = 0; n < 12; n++)
        assert_false(parse_exact(HEAD, n, &q));
    /* An answer is never answered. */
    assert_false(PARSE("\x12\x34\x81\x80\x00\x01\x00\x00\x00\x00\x00\x00" NAME A_IN, &q));
}

static void test_malformed(void **state)
{
    static const struct {
        const char *p;
        size_t n;
        unsigned rcode;
    } rows[] = {
#define ROW(text, rcode) { (text), sizeof(text) - 1, (rcode) }
        ROW(HEAD, DNS_RCODE_FORMAT),
        ROW(HEAD NAME, DNS_RCODE_FORMAT),
        ROW(HEAD NAME "\0\1\0", DNS_RCODE_FORMAT),
        ROW(HEAD "\x03ww", DNS_RCODE_FORMAT),
        ROW(HEAD "\x03www", DNS_RCODE_FORMAT),
        ROW(HEAD "\xc0\x0c" A_IN, DNS_RCODE_FORMAT), /* pointer to itself */
        ROW(HEAD "\x40"
                 "abc" A_IN,
            DNS_RCODE_FORMAT), /* extended label */
        ROW(HEAD "\x80"
                 "abc" A_IN,
            DNS_RCODE_FORMAT),
        ROW("\0\1\1\0\0\0\0\0\0\0\0\0", DNS_RCODE_FORMAT),                     /* no question */
        ROW("\0\1\1\0\0\2\0\0\0\0\0\0" NAME A_IN NAME A_IN, DNS_RCODE_FORMAT), /* two */
        ROW("\0\1\1\0\0\1\0\1\0\0\0\0" NAME A_IN, DNS_RCODE_FORMAT),           /* with an answer */
        ROW("\0\1\1\0\0\1\0\0\0\1\0\0" NAME A_IN, DNS_RCODE_FORMAT),
        ROW("\0\1\1\0\0\1\0\0\0\0\0\x09" NAME A_IN OPT, DNS_RCODE_FORMAT),
        ROW(HEAD_EDNS NAME A_IN, DNS_RCODE_FORMAT),
        ROW(HEAD_EDNS NAME A_IN "\0\0\x29\x04\xd0\0\0\0\0\0\5abcd", DNS_RCODE_FORMAT),
        ROW(HEAD_EDNS NAME A_IN "\1a\0\0\x29\x04\xd0\0\0\0\0\0\0", DNS_RCODE_FORMAT),
        ROW("\0\1\1\0\0\1\0\0\0\0\0\2" NAME A_IN OPT OPT, DNS_RCODE_FORMAT), /* two OPT */
        ROW(HEAD_EDNS NAME A_IN "\0\0\x29\x04\xd0\0\1\0\0\0\0", DNS_RCODE_BADVERS),
        ROW("\0\1\x28\0\0\1\0\0\0\0\0\0" NAME A_IN, DNS_RCODE_NOTIMP), /* UPDATE */
        ROW("\0\1\x10\0\0\1\0\0\0\0\0\0" NAME A_IN, DNS_RCODE_NOTIMP), /* STATUS */
        ROW(HEAD NAME "\0\1\0\3", DNS_RCODE_REFUSED),                  /* CHAOS */
#undef ROW
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct dns_question q;
        assert_true(parse_exact(rows[i].p, rows[i].n, &q));
        if (q.rcode != rows[i].rcode)
            fail_msg("row %zu: rcode %u", i, q.rcode);
        assert_string_equal(q.name.text, "");
    }
}

static void test_names_that_are_no_hosts(void **state)
{
    static const struct {
        const char *name;
        size_t n;
        const char *text;
    } rows[] = {
        { "", 1, "" },              /* the root */
        { "\4a.bc\3com", 10, "" },  /* a dot inside a label */
        { "\3a b\3com", 9, "" },    /* a blank */
        { "\4a\0bc\3com", 10, "" }, /* NUL */
        { "\1*\3com", 7, "" },      /* RFC 4592 */
        { "\3a\nb\3com", 9, "" },
        { "\3"
          "127\1"
          "0\1"
          "0\1"
          "1",
          11, "127.0.0.1" },
        { "\4"
          "0x7f\1"
          "1",
          8, "127.0.0.1" },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char query[64];
        struct dns_question q;
        memcpy(query, HEAD, 12);
        memcpy(query + 12, rows[i].name, rows[i].n);
        memcpy(query + 12 + rows[i].n, A_IN, 4);
        assert_true(parse_exact(query, 16 + rows[i].n, &q));
        if (q.rcode != DNS_RCODE_NXDOMAIN)
            fail_msg("row %zu: rcode %u", i, q.rcode);
        assert_string_equal(q.name.text, rows[i].text);
        assert_int_equal(q.question_end, 16 + rows[i].n);
    }
}

/* RFC 1035, 2.3.4: 255 bytes on the wire. */
static void test_longest_name(void **state)
{
    char query[12 + 300];
    struct dns_question q;

    (void)state;
    memcpy(query, HEAD, 12);
    for (size_t labels = 127; labels <= 128; labels++) {
        for (size_t i = 0; i < labels; i++)
            memcpy(query + 12 + 2 * i, "\1a", 2);
        memcpy(query + 12 + 2 * labels, "\0" A_IN, 5);
        assert_true(parse_exact(query, 12 + 2 * labels + 5, &q));
        assert_int_equal(q.rcode, labels == 127 ? DNS_RCODE_OK : DNS_RCODE_FORMAT);
    }
    static char large[DNS_MESSAGE_MAX + 1] = HEAD NAME A_IN;
    assert_true(dns_parse_query(large, DNS_MESSAGE_MAX, &q));
    assert_int_equal(q.rcode, DNS_RCODE_OK);
    assert_true(dns_parse_query(large, DNS_MESSAGE_MAX + 1, &q));
    assert_int_equal(q.rcode, DNS_RCODE_FORMAT);
}

static void test_answer_on_the_wire(void **state)
{
    static const char query[] = HEAD NAME A_IN;
    static const char expected[] = "\x12\x34\x81\x80\x00\x01\x00\x01\x00\x00\x00\x00" NAME
        A_IN "\xc0\x0c\x00\x01\x00\x01\x00\x00\x00\x3c\x00\x04\xc6\x12\x00\x05";
    static const uint8_t v4[] = { 198, 18, 0, 5 }, v6[16] = { 0x20, 1, [15] = 1 };
    struct proxy_address addresses[2];
    struct dns_question q;
    uint8_t out[512];

    (void)state;
    proxy_address_from_v6(v6, &addresses[0]);
    proxy_address_from_v4(v4, &addresses[1]);
    assert_true(dns_parse_query(query, sizeof(query) - 1, &q));
    size_t n = dns_write_answer(query, &q, DNS_RCODE_OK, addresses, 2, 60, out, sizeof(out));
    assert_int_equal(n, sizeof(expected) - 1);
    assert_memory_equal(out, expected, n);
}

static void test_answer_aaaa_with_edns(void **state)
{
    static const char query[] = HEAD_EDNS NAME AAAA_IN OPT;
    static const char expected[] =
        "\x12\x34\x81\x80\x00\x01\x00\x01\x00\x00\x00\x01" NAME AAAA_IN
        "\xc0\x0c\x00\x1c\x00\x01\x00\x00\x00\x05\x00\x10"
        "\x20\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01"
        "\x00\x00\x29\x04\xd0\x00\x00\x00\x00\x00\x00";
    static const uint8_t v6[16] = { 0x20, 1, [15] = 1 };
    struct proxy_address address;
    struct dns_question q;
    uint8_t out[512];

    (void)state;
    proxy_address_from_v6(v6, &address);
    assert_true(dns_parse_query(query, sizeof(query) - 1, &q));
    size_t n = dns_write_answer(query, &q, DNS_RCODE_OK, &address, 1, 5, out, sizeof(out));
    assert_int_equal(n, sizeof(expected) - 1);
    assert_memory_equal(out, expected, n);
}

static void test_negative_answers(void **state)
{
    static const char query[] = HEAD NAME A_IN;
    static const char bad[] = HEAD "\xc0\x0c" A_IN;
    static const char version[] = HEAD_EDNS NAME A_IN "\0\0\x29\x04\xd0\0\1\0\0\0\0";
    static const uint8_t v4[] = { 198, 18, 0, 5 };
    struct proxy_address address;
    struct dns_question q;
    uint8_t out[512];

    (void)state;
    proxy_address_from_v4(v4, &address);
    assert_true(dns_parse_query(query, sizeof(query) - 1, &q));
    /* NXDOMAIN: no record, whatever is passed. */
    assert_int_equal(
        dns_write_answer(query, &q, DNS_RCODE_NXDOMAIN, &address, 1, 5, out, sizeof(out)),
        sizeof(query) - 1);
    assert_memory_equal(out + 2, "\x81\x83\x00\x01\x00\x00\x00\x00\x00\x00", 10);
    /* NODATA */
    assert_int_equal(dns_write_answer(query, &q, DNS_RCODE_OK, NULL, 0, 5, out, sizeof(out)),
                     sizeof(query) - 1);
    assert_memory_equal(out + 2, "\x81\x80\x00\x01\x00\x00\x00\x00\x00\x00", 10);
    /* Malformed: the header alone. */
    assert_true(dns_parse_query(bad, sizeof(bad) - 1, &q));
    assert_int_equal(dns_write_answer(bad, &q, q.rcode, NULL, 0, 5, out, sizeof(out)), 12);
    assert_memory_equal(out, "\x12\x34\x81\x81\x00\x00\x00\x00\x00\x00\x00\x00", 12);
    /* BADVERS is said in two places. */
    assert_true(dns_parse_query(version, sizeof(version) - 1, &q));
    size_t n = dns_write_answer(version, &q, q.rcode, NULL, 0, 5, out, sizeof(out));
    assert_int_equal(n, 12 + 17 + 4 + 11);
    assert_int_equal(out[3] & 15, 0);
    assert_memory_equal(out + n - 11, "\x00\x00\x29\x04\xd0\x01\x00\x00\x00\x00\x00", 11);
}

static void test_truncation(void **state)
{
    static const char query[] = HEAD_EDNS NAME A_IN OPT;
    static const uint8_t v4[] = { 198, 18, 0, 5 };
    struct proxy_address addresses[8];
    struct dns_question q;
    uint8_t out[12 + 17 + 4 + 3 * 16 + 11];

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(addresses); i++)
        proxy_address_from_v4(v4, &addresses[i]);
    assert_true(dns_parse_query(query, sizeof(query) - 1, &q));
    assert_int_equal(dns_write_answer(query, &q, 0, addresses, 3, 5, out, sizeof(out)),
                     sizeof(out));
    assert_int_equal(out[2] & 2, 0);
    assert_int_equal(dns_write_answer(query, &q, 0, addresses, 4, 5, out, sizeof(out)),
                     sizeof(out));
    assert_int_equal(out[2] & 2, 2); /* TC */
    assert_int_equal(out[7], 3);
    assert_int_equal(dns_write_answer(query, &q, 0, addresses, 3, 5, out, sizeof(out) - 1),
                     sizeof(out) - 16);
    assert_int_equal(out[2] & 2, 2);
    /* Not even the question. */
    assert_int_equal(dns_write_answer(query, &q, 0, addresses, 3, 5, out, 12 + 17 + 4 + 10), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_plain_query),
        cmocka_unit_test(test_not_queries),
        cmocka_unit_test(test_malformed),
        cmocka_unit_test(test_names_that_are_no_hosts),
        cmocka_unit_test(test_longest_name),
        cmocka_unit_test(test_answer_on_the_wire),
        cmocka_unit_test(test_answer_aaaa_with_edns),
        cmocka_unit_test(test_negative_answers),
        cmocka_unit_test(test_truncation),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
