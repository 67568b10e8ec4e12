/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/names.h"
#include "tests/unit/proxy/px.h"

static const struct proxy_settings plain;

struct answer {
    unsigned rcode;
    unsigned n; /* answers */
    uint8_t address[4];
};

static size_t make_query(const char *name, uint16_t type, uint8_t *out)
{
    size_t n = 12, label = 12;

    memcpy(out, "\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00", 12);
    out[n++] = 0;
    for (; *name != '\0'; name++) {
        if (*name == '.') {
            label = n;
            out[n++] = 0;
        } else {
            out[n++] = (uint8_t)*name;
            out[label]++;
        }
    }
    out[n++] = 0;
    out[n++] = (uint8_t)(type >> 8);
    out[n++] = (uint8_t)type;
    out[n++] = 0;
    out[n++] = 1;
    return n;
}

static struct answer read_answer(const uint8_t *p, ssize_t n)
{
    struct answer a = { 0 };

    assert_true(n >= 12);
    assert_memory_equal(p, "\x12\x34", 2);
    assert_true((p[2] & 0x80) != 0);
    a.rcode = p[3] & 15;
    a.n = p[7];
    if (a.n > 0)
        memcpy(a.address, p + n - 4, 4);
    return a;
}

static struct answer ask(const struct px *x, const char *name, uint16_t type)
{
    struct sockaddr_in to = { .sin_family = AF_INET,
                              .sin_port = htons(x->dns_port),
                              .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    uint8_t query[512], out[512];
    uint16_t any = 0;
    int fd = px_bind(SOCK_DGRAM, &any);
    size_t n = make_query(name, type, query);

    assert_int_equal(sendto(fd, query, n, 0, (struct sockaddr *)&to, sizeof(to)), (ssize_t)n);
    ssize_t m = recv(fd, out, sizeof(out), 0);
    (void)close(fd);
    return read_answer(out, m);
}

static void test_names(void **state)
{
    struct px x;
    struct answer a;

    (void)state;
    px_open(&x, plain, "\\.test$", "^b\\.test$");
    a = ask(&x, "a.test", 1);
    assert_int_equal(a.rcode, 0);
    assert_int_equal(a.n, 1);
    assert_memory_equal(a.address, "\xc6\x12\x01\x00", 4);
    a = ask(&x, "A.Test", 1); /* the same name: the same address */
    assert_memory_equal(a.address, "\xc6\x12\x01\x00", 4);
    a = ask(&x, "mixed.test", 1);
    assert_memory_equal(a.address, "\xc6\x12\x01\x01", 4);
    a = ask(&x, "a.test", 28); /* AAAA: it exists, without one */
    assert_int_equal(a.rcode, 0);
    assert_int_equal(a.n, 0);
    assert_int_equal(ask(&x, "a.test", 65).n, 0);
    assert_int_equal(ask(&x, "b.test", 1).rcode, 3);
    assert_int_equal(ask(&x, "b.test", 28).rcode, 3);
    assert_int_equal(ask(&x, "elsewhere.example", 1).rcode, 3);
    assert_int_equal(ask(&x, "private.test", 1).rcode, 3);
    a = ask(&x, "localhost", 1);
    assert_memory_equal(a.address, "\x7f\x00\x00\x01", 4);
    assert_int_equal(ask(&x, "1.0.0.127.in-addr.arpa", 12).rcode, 3);
    px_close(&x);
    assert_has(x.log, "\"method\":\"DNS\",\"host\":\"b.test\",\"path\":null,\"action\":\"BLOCK\"");
    assert_has(x.log, "\"host\":\"private.test\"");
    assert_has(x.log, "private range 10.0.0.0/8");
    assert_lacks(x.log, "in-addr");
    assert_null(strstr(strstr(x.log, "\"b.test\"") + 1, "\"b.test\"")); /* A and AAAA: one */
}

static void test_tcp(void **state)
{
    struct px x;
    uint8_t out[1024], in[1024];
    size_t have = 0;

    (void)state;
    px_open(&x, plain, NULL, NULL);
    int fd = px_connect(x.dns_port);
    size_t n = make_query("a.test", 1, out + 2), m = make_query("mixed.test", 1, out + n + 4);
    out[0] = 0;
    out[1] = (uint8_t)n;
    out[n + 2] = 0;
    out[n + 3] = (uint8_t)m;
    assert_int_equal(send(fd, out, 1, MSG_NOSIGNAL), 1);
    assert_int_equal(send(fd, out + 1, n + m + 3, MSG_NOSIGNAL), (ssize_t)(n + m + 3));
    while (have < n + m + 4 + 32) { /* two answers with a record of 16 bytes each */
        ssize_t r = recv(fd, in + have, sizeof(in) - have, 0);
        assert_true(r > 0);
        have += (size_t)r;
    }
    assert_int_equal(read_answer(in + 2, in[1]).n, 1);
    assert_int_equal(read_answer(in + in[1] + 4, in[in[1] + 3]).n, 1);
    px_send(fd, "\xff\xff"); /* longer than any question */
    px_expect_end(fd);
    px_close(&x);
}

static void test_malformed(void **state)
{
    struct sockaddr_in to = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    struct px x;
    uint16_t any = 0;
    int fd = px_bind(SOCK_DGRAM, &any);

    (void)state;
    px_open(&x, plain, NULL, NULL);
    to.sin_port = htons(x.dns_port);
    for (size_t n = 0; n < 40; n++) {
        static const uint8_t junk[40] = { 0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0xc0, 0x0c };
        assert_int_equal(sendto(fd, junk, n, 0, (struct sockaddr *)&to, sizeof(to)), (ssize_t)n);
    }
    assert_int_equal(ask(&x, "a.test", 1).n, 1); /* still there */
    (void)close(fd);
    px_close(&x);
}

static void test_table(void **state)
{
    struct names *t = names_new();
    struct in_addr a, b;
    char name[32];

    (void)state;
    assert_non_null(t);
    for (int i = 0; i < NAMES_MAX; i++) {
        (void)snprintf(name, sizeof(name), "n%d.test", i);
        assert_true(names_give(t, name, &a));
        assert_true(names_give(t, name, &b));
        assert_int_equal(a.s_addr, b.s_addr);
        assert_true(names_is_fake(a));
        assert_string_equal(names_find(t, a), name);
    }
    assert_false(names_give(t, "one.more", &a));
    assert_true(names_give(t, "n7.test", &a));
    assert_true(names_has(t, "n7.test"));
    assert_false(names_has(t, "one.more"));
    a.s_addr = htonl(NAMES_FIRST - 1);
    assert_null(names_find(t, a));
    a.s_addr = htonl(NAMES_FIRST + NAMES_MAX);
    assert_null(names_find(t, a));
    names_free(t);
    names_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_tcp),
        cmocka_unit_test(test_malformed),
        cmocka_unit_test(test_table),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
