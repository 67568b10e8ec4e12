/* SPDX-License-Identifier: Apache-2.0 */
#include <sys/resource.h>

#include "tests/unit/proxy/px.h"

static const struct proxy_settings plain;
static const char established[] = "HTTP/1.1 200 Connection Established\r\n\r\n";

/* A ClientHello with the given server name, cut into records of @record bytes. */
static size_t make_hello(const char *name, size_t padding, size_t record, uint8_t *out)
{
    static uint8_t body[32768];
    size_t n = 0, name_n = strlen(name), at = 4, end = 0, ext_at;

    body[n++] = 1; /* handshake header, filled in below */
    n += 3;
    memcpy(body + n, "\x03\x03", 2);
    n += 2 + 32;
    body[n++] = 0;
    memcpy(body + n, "\x00\x02\x13\x01\x01\x00", 6);
    n += 6;
    ext_at = n;
    n += 2;
    if (padding > 0) {
        body[n++] = 0;
        body[n++] = 21;
        body[n++] = (uint8_t)(padding >> 8);
        body[n++] = (uint8_t)padding;
        memset(body + n, 0, padding);
        n += padding;
    }
    uint8_t sni[] = {
        0, 0, 0, (uint8_t)(name_n + 5), 0, (uint8_t)(name_n + 3), 0, 0, (uint8_t)name_n
    };
    memcpy(body + n, sni, sizeof(sni));
    n += sizeof(sni);
    memcpy(body + n, name, name_n);
    n += name_n;
    body[ext_at] = (uint8_t)((n - ext_at - 2) >> 8);
    body[ext_at + 1] = (uint8_t)(n - ext_at - 2);
    body[2] = (uint8_t)((n - at) >> 8);
    body[3] = (uint8_t)(n - at);
    for (size_t i = 0; i < n; i += record) {
        size_t m = n - i < record ? n - i : record;
        memcpy(out + end, "\x16\x03\x01", 3);
        out[end + 3] = (uint8_t)(m >> 8);
        out[end + 4] = (uint8_t)m;
        memcpy(out + end + 5, body + i, m);
        end += m + 5;
    }
    return end;
}

static int open_tunnel(const struct px *x, const char *host, int *server)
{
    char request[256];
    int c = px_connect(x->port);

    (void)snprintf(request, sizeof(request), "CONNECT %s:PORT HTTP/1.1\r\nHost: %s:PORT\r\n\r\n",
                   host, host);
    px_request(x, c, request);
    *server = px_accept(x);
    assert_string_equal(px_read(c, "\r\n\r\n"), established);
    return c;
}

static void test_tunnel(void **state)
{
    struct px x;
    int s;

    (void)state;
    px_open(&x, plain, "^a\\.test$", NULL);
    int c = open_tunnel(&x, "a.test", &s);
    px_send(s, "220 server speaks first");
    assert_string_equal(px_read(c, "first"), "220 server speaks first");
    px_send(c, "EHLO");
    assert_string_equal(px_read(s, "EHLO"), "EHLO");
    assert_int_equal(shutdown(c, SHUT_WR), 0);
    assert_string_equal(px_read(s, NULL), ""); /* the half-close arrived */
    px_send(s, "still here");
    (void)close(s);
    assert_string_equal(px_read(c, NULL), "still here");
    (void)close(c);
    px_close(&x);
    assert_has(x.log, "\"method\":\"CONNECT\",\"host\":\"a.test\",\"path\":null,"
                      "\"action\":\"ALLOW\"");
    assert_has(x.log, "\"bytesIn\":33,\"bytesOut\":4");
}

static void test_server_half_close(void **state)
{
    struct px x;
    int s;

    (void)state;
    px_open(&x, plain, NULL, NULL);
    int c = open_tunnel(&x, "127.0.0.1", &s);
    px_send(s, "all there is");
    assert_int_equal(shutdown(s, SHUT_WR), 0);
    assert_string_equal(px_read(c, NULL), "all there is");
    px_send(c, "thanks");
    (void)close(c);
    assert_string_equal(px_read(s, NULL), "thanks");
    (void)close(s);
    px_close(&x);
}

static void test_refused(void **state)
{
    static const struct {
        const char *target, *answer;
    } cases[] = {
        { "b.test:PORT", "HTTP/1.1 403 Forbidden\r\n" },
        { "B.TEST.:PORT", "isol8: CONNECT to b.test blocked by network filter" },
        { "private.test:443", "isol8: CONNECT to private.test blocked by network filter" },
        { "198.18.0.1:8118", "isol8: CONNECT to 198.18.0.1 blocked by network filter" },
        { "[::1]:443", "isol8: CONNECT to ::1 blocked by network filter" },
        { "[64:ff9b::a9fe:a9fe]:80", "403 Forbidden" },
        { "017700000001:1", "isol8: proxy error: connection to 127.0.0.1:1 failed" },
        { "a.test:1", "HTTP/1.1 502 Bad Gateway\r\n" },
        { "a.test:0", "HTTP/1.1 400 " },
        { "a.test:99999", "HTTP/1.1 400 " },
        { "u@a.test:443", "HTTP/1.1 400 " },
    };
    struct px x;

    (void)state;
    px_open(&x, plain, NULL, "^b\\.test$");
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char request[128];
        int c = px_connect(x.port);
        (void)snprintf(request, sizeof(request), "CONNECT %s HTTP/1.1\r\nHost: x\r\n\r\n",
                       cases[i].target);
        px_request(&x, c, request);
        assert_has(px_read(c, NULL), cases[i].answer);
        (void)close(c);
    }
    px_no_accept(&x);
    px_close(&x);
}

static void test_ports(void **state)
{
    static const uint16_t ports[] = { 443 };
    struct proxy_settings s = { .ports = ports, .n_ports = 1 };
    struct px x;

    (void)state;
    px_open(&x, s, NULL, NULL);
    int c = px_connect(x.port);
    px_request(&x, c, "CONNECT a.test:PORT HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_has(px_read(c, NULL), "403 Forbidden");
    (void)close(c);
    px_close(&x);
    assert_has(x.log, "\"reason\":\"port is not open\"");
}

static void test_hello_agrees(void **state)
{
    static uint8_t hello[65536];
    static char got[65536];
    struct px x;
    int s;

    (void)state;
    px_open(&x, plain, NULL, NULL);
    int c = open_tunnel(&x, "a.test", &s);
    size_t n = make_hello("A.test", 3000, 700, hello), have = 0;
    for (size_t i = 0; i < n; i += 500) /* also cut by the network */
        assert_true(send(c, hello + i, n - i < 500 ? n - i : 500, MSG_NOSIGNAL) > 0);
    while (have < n) {
        ssize_t r = recv(s, got + have, sizeof(got) - have, 0);
        assert_true(r > 0);
        have += (size_t)r;
    }
    assert_memory_equal(got, hello, n);
    (void)close(c);
    (void)close(s);
    px_close(&x);
}

static void test_hello_differs(void **state)
{
    static uint8_t hello[65536];
    struct px x;
    int s;

    (void)state;
    px_open(&x, plain, NULL, NULL);
    int c = open_tunnel(&x, "a.test", &s);
    size_t n = make_hello("b.test", 0, 16384, hello);
    assert_int_equal(send(c, hello, n, MSG_NOSIGNAL), (ssize_t)n);
    px_expect_reset(c);
    assert_string_equal(px_read(s, NULL), ""); /* not a byte of it */
    (void)close(s);

    c = open_tunnel(&x, "a.test", &s); /* ends in the middle */
    assert_int_equal(send(c, hello, n / 2, MSG_NOSIGNAL), (ssize_t)(n / 2));
    assert_int_equal(shutdown(c, SHUT_WR), 0);
    px_expect_reset(c);
    assert_string_equal(px_read(s, NULL), "");
    (void)close(s);
    px_close(&x);
    assert_has(x.log, "TLS server name differs from the name connected to");
}

static void test_hello_literal(void **state)
{
    static uint8_t hello[65536];
    struct px x;
    int s;

    (void)state;
    px_open(&x, plain, NULL, "^b\\.test$");
    int c = open_tunnel(&x, "127.0.0.1", &s);
    size_t n = make_hello("a.test", 0, 16384, hello);
    assert_int_equal(send(c, hello, n, MSG_NOSIGNAL), (ssize_t)n);
    char byte;
    assert_int_equal(recv(s, &byte, 1, 0), 1); /* allowed by itself */
    (void)close(c);
    (void)close(s);
    c = open_tunnel(&x, "127.0.0.1", &s);
    n = make_hello("b.test", 0, 16384, hello);
    assert_int_equal(send(c, hello, n, MSG_NOSIGNAL), (ssize_t)n);
    px_expect_reset(c);
    (void)close(s);
    px_close(&x);
}

static void test_upstream_proxy(void **state)
{
    uint16_t port = 0;
    int up = px_bind(SOCK_STREAM, &port);
    char url[64];
    struct proxy_settings settings = { .upstream_proxy = url };
    struct px x;

    (void)state;
    (void)snprintf(url, sizeof(url), "http://127.0.0.1:%u/", port);
    px_open(&x, settings, NULL, NULL);
    int c = px_connect(x.port);
    px_send(c, "CONNECT unknown.test:443 HTTP/1.1\r\nHost: x\r\n\r\n");
    struct px there = { .origin = up };
    int s = px_accept(&there);
    assert_string_equal(px_read(s, "\r\n\r\n"),
                        "CONNECT unknown.test:443 HTTP/1.1\r\nHost: unknown.test:443\r\n\r\n");
    px_send(s, "HTTP/1.1 200 OK\r\nX: ");
    px_send(s, "y\r\n\r\n220 hi");
    assert_has(px_read(c, "220 hi"), established);
    (void)close(c);
    (void)close(s);

    c = px_connect(x.port);
    px_send(c, "GET http://other.test/ HTTP/1.1\r\nHost: other.test\r\n\r\n");
    s = px_accept(&there);
    (void)px_read(s, "\r\n\r\n");
    px_send(s, "HTTP/1.1 407 No\r\nContent-Length: 0\r\n\r\n");
    assert_has(px_read(c, NULL), "HTTP/1.1 502 ");
    (void)close(c);
    (void)close(s);

    c = px_connect(x.port); /* literals are guarded all the same */
    px_send(c, "CONNECT 10.0.0.1:443 HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_has(px_read(c, NULL), "HTTP/1.1 403 ");
    (void)close(c);
    px_close(&x);
    (void)close(up);
    assert_has(x.log, "refused by the upstream proxy");
}

/* What a client does while its connection is being made: its bytes and its end wait, a hang-up ends
 * the attempt. */
static void test_while_connecting(void **state)
{
    static const char ask[] = "CONNECT unknown.test:443 HTTP/1.1\r\nHost: x\r\n\r\n";
    struct linger now = { .l_onoff = 1 };
    uint16_t port = 0;
    int up = px_bind(SOCK_STREAM, &port), c, s;
    struct px x, there = { .origin = up };
    char url[64], one;
    struct proxy_settings settings = { .upstream_proxy = url };

    (void)state;
    (void)snprintf(url, sizeof(url), "http://127.0.0.1:%u", port);
    px_open(&x, settings, NULL, NULL);
    c = px_connect(x.port);
    px_send(c, ask);
    s = px_accept(&there);
    (void)px_read(s, "\r\n\r\n");
    px_send(c, "ahead");
    assert_int_equal(shutdown(c, SHUT_WR), 0);
    px_send(s, "HTTP/1.1 200 OK\r\n\r\n");
    assert_string_equal(px_read(s, NULL), "ahead");
    (void)close(s);
    assert_string_equal(px_read(c, NULL), established);
    (void)close(c);

    c = px_connect(x.port);
    px_send(c, ask);
    s = px_accept(&there);
    (void)px_read(s, "\r\n\r\n");
    assert_int_equal(setsockopt(c, SOL_SOCKET, SO_LINGER, &now, sizeof(now)), 0);
    (void)close(c);
    errno = 0;
    assert_true(recv(s, &one, 1, 0) <= 0 && errno != EAGAIN);
    (void)close(s);
    px_close(&x);
    (void)close(up);
}

/* Many tunnels at once, all alive, none with a buffer. */
static void test_many_tunnels(void **state)
{
    enum { N = 1000 };
    static int c[N], s[N];
    struct proxy_settings settings = { .connections = N + 1 };
    struct rlimit limit;
    struct px x;

    (void)state;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    if (limit.rlim_max < 4 * N + 200)
        fail_msg("only %llu open files are allowed: 1,000 tunnels need %d",
                 (unsigned long long)limit.rlim_max, 4 * N + 200);
    limit.rlim_cur = limit.rlim_max;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    px_open(&x, settings, NULL, NULL);
    for (int i = 0; i < N; i++)
        c[i] = open_tunnel(&x, "a.test", &s[i]);
    for (int i = 0; i < N; i++) {
        px_send(c[i], "ping");
        assert_string_equal(px_read(s[i], "ping"), "ping");
        px_send(s[i], "pong");
        assert_string_equal(px_read(c[i], "pong"), "pong");
    }
    for (int i = 0; i < N; i++) {
        (void)close(c[i]);
        (void)close(s[i]);
    }
    px_close(&x);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tunnel),           cmocka_unit_test(test_server_half_close),
        cmocka_unit_test(test_refused),          cmocka_unit_test(test_ports),
        cmocka_unit_test(test_hello_agrees),     cmocka_unit_test(test_hello_differs),
        cmocka_unit_test(test_hello_literal),    cmocka_unit_test(test_upstream_proxy),
        cmocka_unit_test(test_while_connecting), cmocka_unit_test(test_many_tunnels),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
