/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/proxy/px.h"

static const struct proxy_settings plain;

static void test_get(void **state)
{
    struct px x;

    (void)state;
    px_open(&x, plain, "^a\\.test$", NULL);
    int c = px_connect(x.port);
    px_request(&x, c,
               "GET http://A.test:PORT/x?y=1 HTTP/1.1\r\nhost: a.TEST.:PORT\r\nProxy-Thing: 1\r\n"
               "Connection: x-hop\r\nX-Hop: 1\r\nAccept: */*\r\n\r\n");
    int s = px_accept(&x);
    const char *head = px_read(s, "\r\n\r\n");
    char want[64];
    (void)snprintf(want, sizeof(want), "GET /x?y=1 HTTP/1.1\r\nHost: a.test:%u\r\n", x.origin_port);
    assert_has(head, want);
    assert_has(head, "Accept: */*\r\n");
    assert_lacks(head, "Proxy-");
    assert_lacks(head, "Hop");
    px_send(s, "HTTP/1.1 200 Fine\r\nContent-Length: 5\r\nKeep-Alive: 5\r\nX: y\r\n\r\nhello");
    const char *answer = px_read(c, "hello");
    assert_has(answer, "HTTP/1.1 200 Fine\r\nX: y\r\nContent-Length: 5\r\n\r\nhello");
    (void)close(c);
    (void)close(s);
    px_close(&x);
    assert_has(x.log,
               "\"method\":\"GET\",\"host\":\"a.test\",\"path\":\"/x?y=1\",\"action\":\"ALLOW\"");
    assert_has(x.log, "\"rule\":\"^a\\\\.test$\"");
    assert_true(x.counters.bytes_in > 5 && x.counters.bytes_out > 5);
    assert_int_equal(x.tally.bytes_in, x.counters.bytes_in);
    assert_int_equal(x.tally.bytes_out, x.counters.bytes_out);
    assert_int_equal(x.tally.decisions[ISOL8_PROXY_HTTP][ISOL8_PROXY_ALLOWED], 1);
}

static void test_keep_alive_judges_each(void **state)
{
    struct px x;

    (void)state;
    px_open(&x, plain, NULL, "^b\\.");
    int c = px_connect(x.port);
    px_request(&x, c, "GET http://a.test:PORT/1 HTTP/1.1\r\nHost: a.test:PORT\r\n\r\n");
    int s = px_accept(&x);
    (void)px_read(s, "\r\n\r\n");
    px_send(s, "HTTP/1.1 204 No\r\n\r\n");
    assert_has(px_read(c, "\r\n\r\n"), "HTTP/1.1 204 No\r\n\r\n");
    px_request(&x, c, "GET http://a.test:PORT/2 HTTP/1.1\r\nHost: a.test:PORT\r\n\r\n");
    assert_has(px_read(s, "\r\n\r\n"), "GET /2 HTTP/1.1");
    px_send(s, "HTTP/1.1 304 Same\r\nContent-Length: 77\r\n\r\n");
    assert_has(px_read(c, "\r\n\r\n"), "Content-Length: 77\r\n\r\n");
    px_request(&x, c, "GET http://b.test:PORT/3 HTTP/1.1\r\nHost: b.test:PORT\r\n\r\n");
    const char *answer = px_read(c, NULL);
    assert_has(answer, "HTTP/1.1 403 Forbidden\r\nContent-Type: text/plain\r\n");
    assert_has(answer, "\r\n\r\nisol8: request to b.test blocked by network filter");
    px_no_accept(&x);
    (void)close(c);
    (void)close(s);
    px_close(&x);
    assert_has(x.log, "\"host\":\"b.test\",\"path\":\"/3\",\"action\":\"BLOCK\",\"durationMs\":0");
}

static void test_refused_requests(void **state)
{
    static const struct {
        const char *request, *answer;
    } cases[] = {
        { "GET / HTTP/1.1\r\nHost: a.test\r\n\r\n", "HTTP/1.1 400 " },
        { "OPTIONS * HTTP/1.1\r\nHost: a.test\r\n\r\n", "HTTP/1.1 400 " },
        { "GET http://u:p@a.test/ HTTP/1.1\r\nHost: a.test\r\n\r\n", "HTTP/1.1 400 " },
        { "GET http://a.test:PORT/ HTTP/1.1\r\nHost: b.test\r\n\r\n", "HTTP/1.1 403 " },
        { "POST http://a.test:PORT/ HTTP/1.1\r\nHost: a.test\r\nContent-Length: 3\r\n"
          "Transfer-Encoding: chunked\r\n\r\n",
          "HTTP/1.1 400 " },
        { "GET http://a.test:PORT/ HTTP/1.1\nHost: a.test\n\n", "HTTP/1.1 400 " },
        { "GET http://private.test/ HTTP/1.1\r\nHost: private.test\r\n\r\n", "HTTP/1.1 403 " },
        { "GET http://10.0.0.1/ HTTP/1.1\r\nHost: 10.0.0.1\r\n\r\n", "HTTP/1.1 403 " },
        { "GET http://0x0a000001/ HTTP/1.1\r\nHost: 0x0a000001\r\n\r\n", "HTTP/1.1 403 " },
        { "GET http://[::ffff:10.0.0.1]/ HTTP/1.1\r\nHost: [::ffff:a00:1]\r\n\r\n",
          "HTTP/1.1 403 " },
        { "GET http://a.test:1/ HTTP/1.1\r\nHost: a.test\r\n\r\n",
          "isol8: proxy error: connection to a.test:1 failed" },
    };
    struct px x;

    (void)state;
    px_open(&x, plain, NULL, NULL);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        int c = px_connect(x.port);
        px_request(&x, c, cases[i].request);
        assert_has(px_read(c, NULL), cases[i].answer);
        (void)close(c);
    }
    px_no_accept(&x);
    px_close(&x);
    assert_has(x.log, "private range 10.0.0.0/8");
    assert_has(x.log, "connection refused");
}

static void test_bodies(void **state)
{
    struct px x;

    (void)state;
    px_open(&x, plain, NULL, NULL);
    int c = px_connect(x.port);
    px_request(
        &x, c,
        "POST http://mixed.test:PORT/ HTTP/1.1\r\nHost: mixed.test\r\nExpect: 100-continue\r\n"
        "Transfer-Encoding: chunked\r\n\r\n");
    int s = px_accept(&x);
    const char *head = px_read(s, "\r\n\r\n");
    assert_has(head, "Transfer-Encoding: chunked\r\n");
    assert_has(head, "Expect: 100-continue\r\n");
    px_send(s, "HTTP/1.1 100 Continue\r\n\r\n");
    assert_string_equal(px_read(c, "\r\n\r\n"), "HTTP/1.1 100 Continue\r\n\r\n");
    px_send(c, "3\r\nabc\r\n0\r\n\r\n");
    assert_string_equal(px_read(s, "0\r\n\r\n"), "3\r\nabc\r\n0\r\n\r\n");
    px_send(s, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n");
    assert_has(px_read(c, "0\r\n\r\n"), "Transfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n");
    /* Sent ahead: handled one after the other. */
    px_request(&x, c,
               "HEAD http://mixed.test:PORT/1 HTTP/1.1\r\nHost: mixed.test\r\n\r\n"
               "PUT http://mixed.test:PORT/2 HTTP/1.1\r\nHost: mixed.test\r\nContent-Length: 2\r\n"
               "\r\nxy");
    assert_lacks(px_read(s, "\r\n\r\n"), "PUT");
    px_send(s, "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n");
    assert_has(px_read(c, "\r\n\r\n"), "Content-Length: 1000\r\n");
    assert_has(px_read(s, "xy"), "PUT /2 HTTP/1.1\r\n");
    px_send(s, "HTTP/1.1 200 OK\r\n\r\nuntil the end");
    assert_has(px_read(c, "the end"), "Connection: close\r\n\r\nuntil");
    (void)close(s);
    px_expect_end(c);
    px_close(&x);
}

static void test_broken_upstream(void **state)
{
    struct px x;

    (void)state;
    px_open(&x, plain, NULL, NULL);
    int c = px_connect(x.port);
    px_request(&x, c, "GET http://a.test:PORT/1 HTTP/1.1\r\nHost: a.test\r\n\r\n");
    int s = px_accept(&x);
    (void)px_read(s, "\r\n\r\n");
    px_send(s, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc");
    (void)px_read(c, "abc");
    (void)close(s);
    px_expect_reset(c); /* never an answer that looks whole */

    c = px_connect(x.port);
    px_request(&x, c, "GET http://a.test:PORT/2 HTTP/1.1\r\nHost: a.test\r\n\r\n");
    s = px_accept(&x);
    (void)px_read(s, "\r\n\r\n");
    px_send(s, "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nabc");
    assert_has(px_read(c, NULL), "HTTP/1.1 502 ");
    (void)close(s);
    (void)close(c);
    px_close(&x);
    assert_has(x.log, "\"error\":\"upstream closed the connection early\"");
}

static void test_stale_keep_alive(void **state)
{
    struct px x;

    (void)state;
    px_open(&x, plain, NULL, NULL);
    int c = px_connect(x.port);
    px_request(&x, c, "GET http://a.test:PORT/1 HTTP/1.1\r\nHost: a.test\r\n\r\n");
    int s = px_accept(&x);
    (void)px_read(s, "\r\n\r\n");
    px_send(s, "HTTP/1.1 204 No\r\n\r\n");
    (void)px_read(c, "\r\n\r\n");
    px_request(&x, c, "GET http://a.test:PORT/2 HTTP/1.1\r\nHost: a.test\r\n\r\n");
    (void)px_read(s, "\r\n\r\n");
    (void)close(s); /* died with the request in it */
    s = px_accept(&x);
    assert_has(px_read(s, "\r\n\r\n"), "GET /2 ");
    px_send(s, "HTTP/1.1 204 Yes\r\n\r\n");
    assert_has(px_read(c, "\r\n\r\n"), "204 Yes");
    (void)close(s);
    (void)close(c);
    px_close(&x);
}

static void test_upgrade(void **state)
{
    struct px x;

    (void)state;
    px_open(&x, plain, NULL, NULL);
    int c = px_connect(x.port);
    px_request(&x, c,
               "GET http://a.test:PORT/ws HTTP/1.1\r\nHost: a.test\r\nConnection: Upgrade\r\n"
               "Upgrade: websocket\r\n\r\n");
    int s = px_accept(&x);
    const char *head = px_read(s, "\r\n\r\n");
    assert_has(head, "Upgrade: websocket\r\n");
    assert_has(head, "Connection: upgrade\r\n");
    px_send(s, "HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\nfirst");
    assert_has(px_read(c, "first"), "HTTP/1.1 101 Switching\r\n");
    px_send(c, "ping");
    assert_string_equal(px_read(s, "ping"), "ping");
    px_send(s, "pong");
    assert_string_equal(px_read(c, "pong"), "pong");
    (void)close(s);
    px_expect_end(c);
    px_close(&x);
}

static void test_new_rules(void **state)
{
    struct px x;

    (void)state;
    px_open(&x, plain, NULL, NULL);
    int c = px_connect(x.port);
    px_request(&x, c, "GET http://a.test:PORT/ HTTP/1.1\r\nHost: a.test\r\n\r\n");
    int s = px_accept(&x);
    (void)px_read(s, "\r\n\r\n");
    struct proxy_rules *rules = px_rules("^b\\.test$", NULL), *old = x.rules;
    proxy_set_rules(x.client, rules);
    proxy_rules_free(old);
    x.rules = rules;
    px_expect_reset(c);
    (void)close(s);
    px_close(&x);
    assert_has(x.log, "\"reason\":\"not on the allow list\"");
}

static void test_connection_cap(void **state)
{
    struct proxy_settings s = { .connections = 4 };
    struct px x;
    int c[4];

    (void)state;
    px_open(&x, s, NULL, NULL);
    for (int i = 0; i < 4; i++)
        c[i] = px_connect(x.port);
    px_expect_reset(px_connect(x.port));
    (void)close(c[0]);
    (void)close(c[1]);
    /* The places are free once the proxy has seen the ends; a request tells when. */
    for (int i = 2; i < 4; i++) {
        px_send(c[i], "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
        assert_has(px_read(c[i], NULL), "400");
        (void)close(c[i]);
    }
    px_close(&x);
    assert_has(x.log, "\"reason\":\"too many connections\"");
    assert_int_equal(x.tally.decisions[ISOL8_PROXY_TCP][ISOL8_PROXY_LIMIT], 1);
}

/* Each outcome is counted by itself, in the words of the public header. */
static void test_tally(void **state)
{
    static const uint16_t port = 80;
    static const struct {
        const char *request;
        enum isol8_proxy_protocol protocol;
        enum isol8_proxy_outcome outcome;
    } cases[] = {
        { "GET http://b.test/ HTTP/1.1\r\nHost: b.test\r\n\r\n", ISOL8_PROXY_HTTP,
          ISOL8_PROXY_DENIED },
        { "CONNECT b.test:80 HTTP/1.1\r\n\r\n", ISOL8_PROXY_CONNECT, ISOL8_PROXY_DENIED },
        { "GET http://c.other/ HTTP/1.1\r\nHost: c.other\r\n\r\n", ISOL8_PROXY_HTTP,
          ISOL8_PROXY_NOT_ALLOWED },
        { "CONNECT a.test:81 HTTP/1.1\r\n\r\n", ISOL8_PROXY_CONNECT, ISOL8_PROXY_PORT },
        { "GET http://private.test/ HTTP/1.1\r\nHost: private.test\r\n\r\n", ISOL8_PROXY_HTTP,
          ISOL8_PROXY_ADDRESS },
        { "GET http://a.test/ HTTP/1.1\r\nHost: m.test\r\n\r\n", ISOL8_PROXY_HTTP,
          ISOL8_PROXY_OTHER_NAME },
    };
    struct proxy_settings s = { .ports = &port, .n_ports = 1 };
    uint64_t total = 0;
    struct px x;

    (void)state;
    px_open(&x, s, "\\.test$", "^b\\.");
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        int c = px_connect(x.port);
        px_send(c, cases[i].request);
        assert_has(px_read(c, NULL), "HTTP/1.1 403 ");
        (void)close(c);
    }
    px_close(&x);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        assert_int_equal(x.tally.decisions[cases[i].protocol][cases[i].outcome], 1);
    for (unsigned p = 0; p < ISOL8_PROXY_PROTOCOLS; p++) {
        assert_non_null(isol8_proxy_protocol_name((enum isol8_proxy_protocol)p));
        for (unsigned o = 0; o < ISOL8_PROXY_OUTCOMES; o++)
            total += x.tally.decisions[p][o];
    }
    assert_int_equal(total, sizeof(cases) / sizeof(cases[0]));
    assert_string_equal(isol8_proxy_outcome_name(ISOL8_PROXY_OTHER_NAME), "other_name");
    assert_null(isol8_proxy_protocol_name(ISOL8_PROXY_PROTOCOLS));
    assert_null(isol8_proxy_outcome_name(ISOL8_PROXY_OUTCOMES));
}

static void test_byte_limit(void **state)
{
    struct proxy_settings s = { .bytes = 1000 };
    struct px x;
    char big[4096];

    (void)state;
    px_open(&x, s, NULL, NULL);
    int c = px_connect(x.port);
    px_request(&x, c, "GET http://a.test:PORT/ HTTP/1.1\r\nHost: a.test\r\n\r\n");
    int o = px_accept(&x);
    (void)px_read(o, "\r\n\r\n");
    px_send(o, "HTTP/1.1 200 OK\r\n\r\n");
    memset(big, 'x', sizeof(big) - 1);
    big[sizeof(big) - 1] = '\0';
    px_send(o, big);
    px_expect_reset(c);
    (void)close(o);
    px_expect_reset(px_connect(x.port));
    px_close(&x);
    assert_has(x.log, "byte limit reached");
}

static void test_settings(void **state)
{
    static const char *const none[] = { "nonsense" };
    struct proxy_fixed_host host = { "a b", none, 1 };
    struct proxy_settings bad[] = {
        { .hosts = &host, .n_hosts = 1 },
        { .allow_addresses = none, .n_allow_addresses = 1 },
        { .upstream_proxy = "https://proxy.test" },
        { .upstream_proxy = "http://" },
    };
    struct proxy *p = NULL;
    isol8_error err;

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_int_equal(proxy_open(&p, &bad[i], &err), ISOL8_E_INVAL);
        assert_has(err.msg, "network.");
    }
    host.name = "a.test";
    assert_int_equal(proxy_open(&p, &bad[0], &err), ISOL8_E_INVAL);
    proxy_close(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_get),
        cmocka_unit_test(test_keep_alive_judges_each),
        cmocka_unit_test(test_refused_requests),
        cmocka_unit_test(test_bodies),
        cmocka_unit_test(test_broken_upstream),
        cmocka_unit_test(test_stale_keep_alive),
        cmocka_unit_test(test_upgrade),
        cmocka_unit_test(test_new_rules),
        cmocka_unit_test(test_connection_cap),
        cmocka_unit_test(test_tally),
        cmocka_unit_test(test_byte_limit),
        cmocka_unit_test(test_settings),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
