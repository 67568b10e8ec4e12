/* SPDX-License-Identifier: Apache-2.0 */
/* test_http1_body.c - response heads, and where bodies end. */
#include "proxy/http1.h"
#include "tests/support/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

static long parse_answer(const char *text, const char *method, struct http1_response *a)
{
    const char *why = NULL;

    return http1_parse_response(text, strlen(text), method, strlen(method), a, &why);
}

static void test_response_framing(void **state)
{
    static const struct {
        const char *method, *head;
        int framing; /* -1: refused */
        bool keep_alive;
    } rows[] = {
        { "GET", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", HTTP1_LENGTH, true },
        { "GET", "HTTP/1.1 200 \r\nContent-Length: 5\r\n\r\n", HTTP1_LENGTH, true },
        { "GET", "HTTP/1.1 200\r\nContent-Length: 5\r\n\r\n", HTTP1_LENGTH, true },
        { "GET", "HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\n", HTTP1_LENGTH, false },
        { "GET", "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 5\r\n\r\n",
          HTTP1_LENGTH, true },
        { "GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", HTTP1_CHUNKED, true },
        { "GET", "HTTP/1.1 200 OK\r\n\r\n", HTTP1_TO_CLOSE, false },
        { "GET", "HTTP/1.1 204 No Content\r\n\r\n", HTTP1_NO_BODY, true },
        { "GET", "HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n", HTTP1_NO_BODY, true },
        { "GET", "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", HTTP1_NO_BODY, true },
        { "GET", "HTTP/1.1 100 Continue\r\n\r\n", HTTP1_NO_BODY, true },
        { "GET", "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n", HTTP1_NO_BODY, true },
        { "HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", HTTP1_NO_BODY, true },
        { "HEAD", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", HTTP1_NO_BODY, true },
        { "head", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", HTTP1_LENGTH, true },
        { "CONNECT", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", HTTP1_NO_BODY, true },
        { "CONNECT", "HTTP/1.1 407 No\r\nContent-Length: 5\r\n\r\n", HTTP1_LENGTH, true },
        { "GET", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\n", HTTP1_LENGTH,
          false },
        { "GET", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n", -1,
          false },
        { "GET", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n", -1, false },
        { "GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", -1, false },
        { "GET", "HTTP/1.1 204 OK\r\nTransfer-Encoding: chunked\r\n\r\n", -1, false },
        { "GET", "HTTP/1.1 100 Continue\r\nContent-Length: 5\r\n\r\n", -1, false },
        { "GET", "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", -1, false },
        { "GET", "HTTP/1.1 200 OK\nContent-Length: 5\n\n", -1, false },
        { "GET", "HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\n", -1, false },
        { "GET", "HTTP/1.1 20 OK\r\n\r\n", -1, false },
        { "GET", "HTTP/1.1 2000\r\n\r\n", -1, false },
        { "GET", "HTTP/1.1 099 x\r\n\r\n", -1, false },
        { "GET", "HTTP/1.1  200 OK\r\n\r\n", -1, false },
        { "GET", "HTTP/2 200\r\n\r\n", -1, false },
        { "GET", "ICY 200 OK\r\n\r\n", -1, false },
        { "GET", "\r\nHTTP/1.1 200 OK\r\n\r\n", -1, false },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct http1_response a;
        long n = parse_answer(rows[i].head, rows[i].method, &a);
        if (n != (rows[i].framing < 0 ? -1 : (long)strlen(rows[i].head)))
            fail_msg("%ld: %s", n, rows[i].head);
        if (n < 0)
            continue;
        if ((int)a.framing != rows[i].framing || a.keep_alive != rows[i].keep_alive)
            fail_msg("framing %d, keep %d: %s", (int)a.framing, a.keep_alive, rows[i].head);
    }
}

static void test_response_upgrade(void **state)
{
    struct http1_response a;

    (void)state;
    assert_true(parse_answer("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n"
                             "Upgrade: websocket\r\n\r\n",
                             "GET", &a) > 0);
    assert_int_equal(a.status, 101);
    assert_true(a.is_upgrade);
    assert_true(parse_answer("HTTP/1.1 200 OK\r\nConnection: Upgrade\r\nUpgrade: h2\r\n\r\n", "GET",
                             &a) > 0);
    assert_false(a.is_upgrade);
    assert_int_equal(parse_answer("HTTP/1.1 200 OK\r\nA", "GET", &a), 0);
    assert_int_equal(parse_answer("", "GET", &a), 0);
}

/* Feed in pieces of @piece bytes. Return: bytes of the body, -1 malformed, -2 not ended. */
static long feed(const char *body, size_t n, size_t piece)
{
    struct http1_chunks c;
    size_t at = 0;
    bool done = false;

    http1_chunks_init(&c);
    while (at < n && !done) {
        size_t k = n - at < piece ? n - at : piece;
        long used = http1_chunks_feed(&c, body + at, k, &done);
        if (used < 0)
            return -1;
        assert_true(done || (size_t)used == k);
        at += (size_t)used;
    }
    return done ? (long)at : -2;
}

static void test_chunked_bodies(void **state)
{
    static const char *const good[] = {
        "0\r\n\r\n",
        "5\r\nhello\r\n0\r\n\r\n",
        "5;a=b;c=\"d\"\r\nhello\r\n000\r\n\r\n",
        "5 ;a\r\nhello\r\n0\r\n\r\n",
        "a\r\n0\r\n\r\n12345\r\nA\r\n0123456789\r\n0\r\nX: y\r\nZ:\r\n\r\n",
        "0\r\nX:\tq\xff\r\n\r\n",
        "00000000000000a0;"
        "x"
        "\r\n"
        "0123456789012345678901234567890123456789"
        "0123456789012345678901234567890123456789"
        "0123456789012345678901234567890123456789"
        "0123456789012345678901234567890123456789"
        "\r\n0\r\n\r\n",
    };
    static const char *const bad[] = {
        "\r\n",
        "x\r\n",
        "-1\r\n",
        "+1\r\n",
        " 5\r\n",
        "0x5\r\n",
        "5\n",
        "5\r5",
        "5 \r\n",
        "5 5\r\n",
        ";a\r\n",
        "5;a\nhello",
        "5\r\nhelloX",
        "5\r\nhello\n",
        "5\r\nhello\rx",
        "0\r\n x: y\r\n",
        "0\r\nx\r\n",
        "0\r\nx : y\r\n",
        "0\r\n:\r\n",
        "0\r\nx: y\n",
        "0\r\n\rx",
        "0\r\n\n",
        "10000000000000000\r\n",
        "8000000000000000\r\n",
        "5;\x01\r\n",
        "0\r\nx: \x7f\r\n",
        "00000000000000000\r\n",
    };

    (void)state;
    for (size_t piece = 1; piece < 40; piece++) {
        for (size_t i = 0; i < ARRAY_LEN(good); i++) {
            char text[512];
            size_t n = strlen(good[i]);
            (void)snprintf(text, sizeof(text), "%sGET / HTTP", good[i]);
            assert_int_equal(feed(text, strlen(text), piece), n);
            assert_int_equal(feed(text, n - 1, piece), -2);
        }
        for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
            if (feed(bad[i], strlen(bad[i]), piece) != -1)
                fail_msg("accepted: %s", bad[i]);
        }
    }
    assert_int_equal(feed("0\r\nx: \0y\r\n\r\n", 12, 12), -1);
    assert_int_equal(feed("7fffffffffffffff\r\nx", 19, 19), -2);
}

/* @n bytes of a line's middle between @start and "\r\n\r\n". */
static long feed_line(const char *start, size_t n)
{
    size_t len = strlen(start);
    char *text = malloc(len + n + 8);

    assert_non_null(text);
    memcpy(text, start, len);
    memset(text + len, 'x', n);
    memcpy(text + len + n, "\r\n\r\n", 5);
    long r = feed(text, len + n + 4, len + n + 4);
    free(text);
    return r;
}

static void test_chunk_line_ceilings(void **state)
{
    const size_t room = PROXY_CHUNK_LINE_MAX - 2; /* CR LF */

    (void)state;
    assert_true(feed_line("0;", room - 2) > 0);
    assert_int_equal(feed_line("0;", room - 1), -1);
    assert_true(feed_line("0\r\nx:", room - 2) > 0);
    assert_int_equal(feed_line("0\r\nx:", room - 1), -1);

    /* Many short trailers. */
    struct http1_chunks c;
    bool done;
    long r = 0;
    http1_chunks_init(&c);
    assert_int_equal(http1_chunks_feed(&c, "0\r\n", 3, &done), 3);
    for (size_t i = 0; i <= PROXY_HEAD_MAX / 8 && r >= 0; i++)
        r = http1_chunks_feed(&c, "abcd:f\r\n", 8, &done);
    assert_int_equal(r, -1);
    assert_int_equal(http1_chunks_feed(&c, "\r\n", 2, &done), -1); /* for good */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_response_framing),
        cmocka_unit_test(test_response_upgrade),
        cmocka_unit_test(test_chunked_bodies),
        cmocka_unit_test(test_chunk_line_ceilings),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
