/* SPDX-License-Identifier: Apache-2.0 */
/* test_tls_hello.c - the server name in hellos cut anywhere, grown, and spoilt. */
#include "proxy/tls_hello.h"
#include "tests/support/test.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/path.h"

/* A handshake message being put together; lengths are filled in at its end. */
static void put(struct buf *b, const void *p, size_t n)
{
    assert_true(buf_add(b, p, n));
}

static void put_number(struct buf *b, size_t v, unsigned n)
{
    while (n-- > 0) {
        uint8_t byte = (uint8_t)(v >> (8 * n));
        put(b, &byte, 1);
    }
}

static void put_fill(struct buf *b, size_t n)
{
    while (n-- > 0)
        put(b, "\xaa", 1);
}

static void put_extension(struct buf *b, unsigned type, size_t n)
{
    put_number(b, type, 2);
    put_number(b, n, 2);
    put_fill(b, n);
}

static void put_server_name(struct buf *b, const char *name, size_t n)
{
    put_number(b, 0, 2);
    put_number(b, n + 5, 2);
    put_number(b, n + 3, 2);
    put_number(b, 0, 1);
    put_number(b, n, 2);
    put(b, name, n);
}

static void put_name(struct buf *b, const char *name)
{
    put_server_name(b, name, strlen(name));
}

/* Message around @extensions; NULL: a hello without any, as in TLS 1.0. */
static void wrap_message(const struct buf *extensions, struct buf *out)
{
    size_t body = 2 + 32 + 1 + 32 + 2 + 4 + 1 + 1 + (extensions != NULL ? 2 + extensions->len : 0);

    put_number(out, 1, 1);
    put_number(out, body, 3);
    put_number(out, 0x0303, 2);
    put_fill(out, 32);
    put_number(out, 32, 1);
    put_fill(out, 32);
    put_number(out, 4, 2);
    put_number(out, 0x13011302, 4);
    put_number(out, 1, 1);
    put_number(out, 0, 1);
    if (extensions != NULL) {
        put_number(out, extensions->len, 2);
        put(out, buf_text(extensions), extensions->len);
    }
}

static void put_record(struct buf *out, const char *p, size_t n)
{
    put_number(out, 22, 1);
    put_number(out, 0x0301, 2);
    put_number(out, n, 2);
    put(out, p, n);
}

/* In records of at most @piece bytes. */
static void wrap_records(const struct buf *message, size_t piece, struct buf *out)
{
    for (size_t at = 0; at < message->len; at += piece) {
        size_t n = message->len - at < piece ? message->len - at : piece;
        put_record(out, message->data + at, n);
    }
}

/* From memory of exactly that size. */
static enum tls_hello_result parse_exact(const void *p, size_t n, struct proxy_host *name)
{
    char *exact = malloc(n + (n == 0));

    assert_non_null(exact);
    if (n > 0)
        memcpy(exact, p, n);
    enum tls_hello_result r = tls_hello_parse(exact, n, name);
    free(exact);
    return r;
}

static enum tls_hello_result parse_buf(const struct buf *b, struct proxy_host *name)
{
    return parse_exact(buf_text(b), b->len, name);
}

static enum tls_hello_result parse_extensions(const struct buf *extensions, struct proxy_host *name)
{
    auto_buf struct buf message = BUF_INIT(1 << 20), records = BUF_INIT(1 << 20);

    wrap_message(extensions, &message);
    wrap_records(&message, 16384, &records);
    return parse_buf(&records, name);
}

/* GREASE (RFC 8701), ECH (type 0xfe0d), a post-quantum key share of 1216 bytes, padding; the name
 * comes behind the first KiB. */
static void put_modern(struct buf *b, const char *name)
{
    put_extension(b, 0x3a3a, 0);
    put_extension(b, 0xfe0d, 218);
    put_extension(b, 51, 1263);
    put_extension(b, 16, 14);
    put_name(b, name);
    put_extension(b, 43, 7);
    put_extension(b, 0x7a7a, 1);
    put_extension(b, 21, 190);
}

static void test_name(void **state)
{
    auto_buf struct buf extensions = BUF_INIT(1 << 16);
    struct proxy_host name;

    (void)state;
    put_name(&extensions, "WWW.Example.com");
    assert_int_equal(parse_extensions(&extensions, &name), TLS_HELLO_NAME);
    assert_string_equal(name.text, "www.example.com");
}

static void test_over_1_kib_with_ech_and_grease(void **state)
{
    auto_buf struct buf extensions = BUF_INIT(1 << 16);
    struct proxy_host name;

    (void)state;
    put_modern(&extensions, "example.com");
    assert_true(extensions.len > 1500);
    assert_int_equal(parse_extensions(&extensions, &name), TLS_HELLO_NAME);
    assert_string_equal(name.text, "example.com");
}

static void test_split_over_records_at_every_point(void **state)
{
    auto_buf struct buf extensions = BUF_INIT(1 << 16), message = BUF_INIT(1 << 16);

    (void)state;
    put_modern(&extensions, "example.com");
    wrap_message(&extensions, &message);
    for (size_t at = 1; at < message.len; at++) {
        auto_buf struct buf records = BUF_INIT(1 << 16);
        struct proxy_host name;
        put_record(&records, message.data, at);
        put_record(&records, message.data + at, message.len - at);
        if (parse_buf(&records, &name) != TLS_HELLO_NAME)
            fail_msg("split at %zu", at);
        assert_string_equal(name.text, "example.com");
    }
}

static void test_records_of_every_size(void **state)
{
    auto_buf struct buf extensions = BUF_INIT(1 << 16), message = BUF_INIT(1 << 16);

    (void)state;
    put_modern(&extensions, "example.com");
    wrap_message(&extensions, &message);
    for (size_t piece = 1; piece < 300; piece++) {
        auto_buf struct buf records = BUF_INIT(1 << 16);
        struct proxy_host name;
        wrap_records(&message, piece, &records);
        assert_int_equal(parse_buf(&records, &name), TLS_HELLO_NAME);
        assert_string_equal(name.text, "example.com");
    }
}

/* Whatever part has come, the answer is to wait; what follows the hello does not matter. */
static void test_received_in_parts(void **state)
{
    static const size_t pieces[] = { 1, 7, 16384 };
    auto_buf struct buf extensions = BUF_INIT(1 << 16), message = BUF_INIT(1 << 16);
    struct proxy_host name;

    (void)state;
    put_modern(&extensions, "example.com");
    wrap_message(&extensions, &message);
    for (size_t i = 0; i < ARRAY_LEN(pieces); i++) {
        auto_buf struct buf records = BUF_INIT(1 << 16);
        wrap_records(&message, pieces[i], &records);
        for (size_t n = 0; n < records.len; n++) {
            if (parse_exact(records.data, n, &name) != TLS_HELLO_MORE)
                fail_msg("decided after %zu bytes", n);
        }
        put(&records, "\x17\x03\x03\x00\x01x", 6); /* early data */
        assert_int_equal(parse_buf(&records, &name), TLS_HELLO_NAME);
    }
}

static void test_without_name(void **state)
{
    auto_buf struct buf none = BUF_INIT(1 << 16), other = BUF_INIT(1 << 16);
    struct proxy_host name;

    (void)state;
    assert_int_equal(parse_extensions(NULL, &name), TLS_HELLO_NO_NAME);
    assert_int_equal(parse_extensions(&none, &name), TLS_HELLO_NO_NAME);
    put_extension(&other, 51, 38);
    put_extension(&other, 0xfe0d, 218);
    assert_int_equal(parse_extensions(&other, &name), TLS_HELLO_NO_NAME);
}

static void test_not_tls(void **state)
{
    static const char *const rows[] = {
        "GET / HTTP/1.1\r\n",   "SSH-2.0-x\r\n",
        "\x16\x02\x00\x00\x05", "\x17\x03\x03\x00\x05",
        "\x15\x03\x03\x00\x02", "\x80\x2e\x01\x03\x01", /* SSL 2 hello */
        "\x16\x03\x01\xff\xff", "\x16X",
    };
    struct proxy_host name;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        assert_int_equal(parse_exact(rows[i], strlen(rows[i]), &name), TLS_HELLO_NOT_TLS);
    assert_int_equal(parse_exact("\x16\x03\x01\x00\x00", 5, &name), TLS_HELLO_NOT_TLS);
    assert_int_equal(parse_exact("", 0, &name), TLS_HELLO_MORE);
    assert_int_equal(parse_exact("\x16", 1, &name), TLS_HELLO_MORE);
}

static void test_names_that_are_refused(void **state)
{
    static const struct {
        const char *name;
        size_t n;
    } rows[] = {
        { "", 0 },      { "good.example\0.evil.example", 26 },
        { "a\nb", 3 },  { "a b", 3 },
        { "a..b", 4 },  { "u@a", 3 },
        { "a:443", 5 }, { "1.2.3.4.5", 9 },
    };
    struct proxy_host name;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        auto_buf struct buf extensions = BUF_INIT(1 << 16);
        put_server_name(&extensions, rows[i].name, rows[i].n);
        assert_int_equal(parse_extensions(&extensions, &name), TLS_HELLO_BAD);
    }
}

static void test_two_names(void **state)
{
    auto_buf struct buf two = BUF_INIT(1 << 16), list = BUF_INIT(1 << 16), type = BUF_INIT(1 << 16);
    struct proxy_host name;

    (void)state;
    put_name(&two, "good.example");
    put_extension(&two, 43, 7);
    put_name(&two, "evil.example");
    assert_int_equal(parse_extensions(&two, &name), TLS_HELLO_BAD);
    put(&list, "\0\0\0\x0a\0\x08\0\0\1a\0\0\1b", 14); /* in one extension */
    assert_int_equal(parse_extensions(&list, &name), TLS_HELLO_BAD);
    put(&type, "\0\0\0\6\0\4\1\0\1a", 10); /* a type that does not exist */
    assert_int_equal(parse_extensions(&type, &name), TLS_HELLO_BAD);
}

/* Each length in turn one too small and one too large. */
static void test_wrong_lengths(void **state)
{
    static const struct {
        size_t at; /* the length's last byte in the message */
    } rows[] = { { 3 }, { 38 }, { 72 }, { 77 }, { 80 }, { 84 }, { 86 }, { 89 } };
    auto_buf struct buf extensions = BUF_INIT(1 << 16), message = BUF_INIT(1 << 16);

    (void)state;
    put_name(&extensions, "example.com");
    wrap_message(&extensions, &message);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        for (int change = -1; change <= 1; change++) {
            auto_buf struct buf records = BUF_INIT(1 << 16);
            struct proxy_host name;
            message.data[rows[i].at] = (char)(message.data[rows[i].at] + change);
            wrap_records(&message, 16384, &records);
            message.data[rows[i].at] = (char)(message.data[rows[i].at] - change);
            enum tls_hello_result r = parse_buf(&records, &name);
            if (change == 0 && r != TLS_HELLO_NAME)
                fail_msg("the message itself: %d", (int)r);
            /* A message one byte longer is not there yet. */
            if (change != 0 && r != TLS_HELLO_BAD && !(i == 0 && change > 0 && r == TLS_HELLO_MORE))
                fail_msg("length at %zu, %+d: %d", rows[i].at, change, (int)r);
        }
    }
}

static void test_bad_records(void **state)
{
    static const struct {
        const char *header;
        const char *what;
    } rows[] = {
        { "\x16\x03\x01\x00\x00", "empty" },
        { "\x16\x03\x01\x40\x01", "larger than 16 KiB" },
        { "\x15\x03\x01\x00\x02", "alert in between" },
        { "\x14\x03\x01\x00\x01", "change cipher spec in between" },
        { "\x16\x02\x01\x00\x05", "another version" },
    };
    auto_buf struct buf extensions = BUF_INIT(1 << 16), message = BUF_INIT(1 << 16);
    struct proxy_host name;

    (void)state;
    put_name(&extensions, "example.com");
    wrap_message(&extensions, &message);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        auto_buf struct buf records = BUF_INIT(1 << 16);
        put_record(&records, message.data, 10);
        put(&records, rows[i].header, 5);
        put(&records, message.data + 10, message.len - 10);
        if (parse_buf(&records, &name) != TLS_HELLO_BAD)
            fail_msg("%s", rows[i].what);
    }
    /* Another handshake message, and one whose length alone is too much. */
    assert_int_equal(parse_exact("\x16\x03\x01\x00\x04\x02\x00\x00\x00", 9, &name), TLS_HELLO_BAD);
    assert_int_equal(parse_exact("\x16\x03\x01\x40\x00\x01\xff\xff\xff", 9, &name), TLS_HELLO_BAD);
}

static void test_ceiling(void **state)
{
    auto_buf struct buf extensions = BUF_INIT(1 << 20), message = BUF_INIT(1 << 20);
    auto_buf struct buf large = BUF_INIT(1 << 20), small = BUF_INIT(1 << 20);
    struct proxy_host name;

    (void)state;
    put_extension(&extensions, 21, 60000);
    put_name(&extensions, "example.com");
    wrap_message(&extensions, &message);
    wrap_records(&message, 16384, &large);
    assert_true(large.len < PROXY_HELLO_MAX);
    assert_int_equal(parse_buf(&large, &name), TLS_HELLO_NAME);
    /* The same message in small records needs more room than there is. */
    wrap_records(&message, 5, &small);
    assert_int_equal(parse_exact(small.data, PROXY_HELLO_MAX - 1, &name), TLS_HELLO_MORE);
    assert_int_equal(parse_exact(small.data, PROXY_HELLO_MAX, &name), TLS_HELLO_BAD);
    assert_int_equal(parse_buf(&small, &name), TLS_HELLO_BAD);
}

/* What OpenSSL really sends. */
static void test_hellos_of_openssl(void **state)
{
    static const struct {
        const char *seed;
        enum tls_hello_result result;
        const char *name;
    } rows[] = {
        { "openssl_tls13", TLS_HELLO_NAME, "www.example.com" },
        { "openssl_tls12_alpn", TLS_HELLO_NAME, "api.example.org" },
        { "openssl_no_name", TLS_HELLO_NO_NAME, NULL },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        auto_buf struct buf seed = BUF_INIT(1 << 16);
        char path[4096];
        struct proxy_host name;
        (void)snprintf(path, sizeof(path), "%s/tests/fuzz/corpus/tls_hello/%s", ISOL8_SOURCE_DIR,
                       rows[i].seed);
        assert_int_equal(path_read(AT_FDCWD, path, 1 << 16, &seed, NULL), 0);
        assert_int_equal(parse_buf(&seed, &name), rows[i].result);
        if (rows[i].name != NULL)
            assert_string_equal(name.text, rows[i].name);
        assert_int_equal(parse_exact(seed.data, seed.len - 1, &name), TLS_HELLO_MORE);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_name),
        cmocka_unit_test(test_over_1_kib_with_ech_and_grease),
        cmocka_unit_test(test_split_over_records_at_every_point),
        cmocka_unit_test(test_records_of_every_size),
        cmocka_unit_test(test_received_in_parts),
        cmocka_unit_test(test_without_name),
        cmocka_unit_test(test_not_tls),
        cmocka_unit_test(test_names_that_are_refused),
        cmocka_unit_test(test_two_names),
        cmocka_unit_test(test_wrong_lengths),
        cmocka_unit_test(test_bad_records),
        cmocka_unit_test(test_ceiling),
        cmocka_unit_test(test_hellos_of_openssl),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
