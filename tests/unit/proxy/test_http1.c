/* SPDX-License-Identifier: Apache-2.0 */
/* test_http1.c - request heads as clients and attackers write them. */
#include "proxy/http1.h"
#include "tests/support/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

#define GET "GET http://example.com/ HTTP/1.1\r\nHost: example.com\r\n"
#define POST "POST http://example.com/ HTTP/1.1\r\nHost: example.com\r\n"

static long parse(const char *text, struct http1_request *q, const char **why)
{
    *why = NULL;
    return http1_parse_request(text, strlen(text), q, why);
}

static void must(const char *text, struct http1_request *q)
{
    const char *why;
    long n = parse(text, q, &why);

    if (n < 0)
        fail_msg("%s: %s", why, text);
    assert_int_equal(n, strlen(text));
}

static void assert_slice(struct http1_slice s, const char *text)
{
    if (s.n != strlen(text) || memcmp(s.p, text, s.n) != 0)
        fail_msg("'%.*s' is not '%s'", (int)s.n, s.p, text);
}

struct refused {
    const char *head;
    const char *why;
};

static void check_refused(const struct refused *rows, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct http1_request q;
        const char *why;
        if (parse(rows[i].head, &q, &why) != -1)
            fail_msg("accepted: %s", rows[i].head);
        if (strcmp(why, rows[i].why) != 0)
            fail_msg("'%s', not '%s': %s", why, rows[i].why, rows[i].head);
    }
}

static void test_absolute(void **state)
{
    struct http1_request q;

    (void)state;
    must("GET HTTP://Example.COM.:8080/a/b?c=d HTTP/1.1\r\nhOST:\t example.com:8080 \t\r\n"
         "User-Agent: x y\r\nEmpty:\r\n\r\n",
         &q);
    assert_int_equal(q.form, HTTP1_ABSOLUTE);
    assert_slice(q.method, "GET");
    assert_string_equal(q.host.text, "example.com");
    assert_int_equal(q.port, 8080);
    assert_slice(q.path, "/a/b?c=d");
    assert_true(q.has_host_header);
    assert_false(q.host_differs);
    assert_int_equal(q.n_headers, 3);
    assert_slice(q.headers[0].value, "example.com:8080");
    assert_slice(q.headers[1].name, "User-Agent");
    assert_slice(q.headers[1].value, "x y");
    assert_slice(q.headers[2].value, "");
    assert_true(q.keep_alive);
    assert_int_equal(q.framing, HTTP1_NO_BODY);

    must("GET http://a HTTP/1.1\r\n\r\n", &q);
    assert_slice(q.path, "/");
    assert_int_equal(q.port, 80);
    assert_false(q.has_host_header);
    must("OPTIONS http://a HTTP/1.1\r\n\r\n", &q); /* RFC 9112, 3.2.4 */
    assert_slice(q.path, "*");
    must("GET http://a?x=/y HTTP/1.1\r\n\r\n", &q);
    assert_slice(q.path, "?x=/y");
    must("GET http://[::1]:81/ HTTP/1.1\r\n\r\n", &q);
    assert_string_equal(q.host.text, "::1");
    assert_int_equal(q.port, 81);
    must("GET http://0x7f.1/ HTTP/1.1\r\n\r\n", &q);
    assert_true(q.host.is_address);
    must("GET http://a/\xc3\xbc HTTP/1.1\r\n\r\n", &q);
    must("GET http://b\xc3\xbc"
         "cher.example/ HTTP/1.1\r\n\r\n",
         &q);
    assert_string_equal(q.host.text, "xn--bcher-kva.example");
}

static void test_other_forms(void **state)
{
    struct http1_request q;

    (void)state;
    must("CONNECT Example.com:8443 HTTP/1.1\r\nHost: example.com:8443\r\n\r\n", &q);
    assert_int_equal(q.form, HTTP1_AUTHORITY);
    assert_string_equal(q.host.text, "example.com");
    assert_int_equal(q.port, 8443);
    assert_int_equal(q.path.n, 0);
    must("CONNECT example.com HTTP/1.0\r\n\r\n", &q);
    assert_int_equal(q.port, 443);
    must("CONNECT [2001:db8::1]:22 HTTP/1.1\r\nContent-Length: 0\r\n\r\n", &q);
    assert_string_equal(q.host.text, "2001:db8::1");

    must("GET /x?http://b/ HTTP/1.1\r\nHost: A.example:81\r\n\r\n", &q);
    assert_int_equal(q.form, HTTP1_ORIGIN);
    assert_string_equal(q.host.text, "a.example");
    assert_int_equal(q.port, 81);
    assert_slice(q.path, "/x?http://b/");
    must("GET //b/ HTTP/1.1\r\nHost: a\r\n\r\n", &q);
    assert_slice(q.path, "//b/");
    assert_int_equal(q.port, 80);
    must("GET / HTTP/1.0\r\n\r\n", &q);
    assert_false(q.has_host_header);
    assert_string_equal(q.host.text, "");

    must("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", &q);
    assert_int_equal(q.form, HTTP1_ASTERISK);
    assert_string_equal(q.host.text, "a");
    must("\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", &q);
}

static void test_host_differs_from_target(void **state)
{
    struct http1_request q;

    (void)state;
    must("GET http://good.example/ HTTP/1.1\r\nHost: evil.example\r\n\r\n", &q);
    assert_true(q.host_differs);
    assert_string_equal(q.host.text, "good.example");
    must("CONNECT good.example:443 HTTP/1.1\r\nHost: evil.example:443\r\n\r\n", &q);
    assert_true(q.host_differs);
    must("GET http://127.0.0.1/ HTTP/1.1\r\nHost: 0x7f000001\r\n\r\n", &q);
    assert_false(q.host_differs);
    must("GET http://a.example./ HTTP/1.1\r\nHost: A.EXAMPLE\r\n\r\n", &q);
    assert_false(q.host_differs);
}

static void test_bad_targets(void **state)
{
    static const struct refused rows[] = {
        { "GET http://user@example.com/ HTTP/1.1\r\n\r\n", "userinfo in the request target" },
        { "GET http://good.example:80@evil.example/ HTTP/1.1\r\n\r\n",
          "userinfo in the request target" },
        { "GET http://good.example#@evil.example/ HTTP/1.1\r\n\r\n",
          "fragment in the request target" },
        { "GET http://good.example\\.evil.example/ HTTP/1.1\r\n\r\n",
          "bad host in the request target" },
        { "GET http:///x HTTP/1.1\r\n\r\n", "bad host in the request target" },
        { "GET http:// HTTP/1.1\r\n\r\n", "bad host in the request target" },
        { "GET http://a:0/ HTTP/1.1\r\n\r\n", "bad host in the request target" },
        { "GET http://a%2eb/ HTTP/1.1\r\n\r\n", "bad host in the request target" },
        { "GET https://a/ HTTP/1.1\r\n\r\n",
          "request target is neither a path nor an http:// URL" },
        { "GET ftp://a/ HTTP/1.1\r\n\r\n", "request target is neither a path nor an http:// URL" },
        { "GET a.example HTTP/1.1\r\n\r\n", "request target is neither a path nor an http:// URL" },
        { "GET * HTTP/1.1\r\nHost: a\r\n\r\n",
          "request target is neither a path nor an http:// URL" },
        { "CONNECT http://a/ HTTP/1.1\r\n\r\n", "bad host in the request target" },
        { "CONNECT /x HTTP/1.1\r\nHost: a\r\n\r\n", "bad host in the request target" },
        { "CONNECT u@a:443 HTTP/1.1\r\n\r\n", "bad host in the request target" },
        { "CONNECT ::1:443 HTTP/1.1\r\n\r\n", "bad host in the request target" },
        { "CONNECT a:443 HTTP/1.1\r\nContent-Length: 5\r\n\r\n", "CONNECT with a body" },
        { "CONNECT a:443 HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", "CONNECT with a body" },
    };

    (void)state;
    check_refused(rows, ARRAY_LEN(rows));
}

static void test_bad_request_lines(void **state)
{
    static const struct refused rows[] = {
        { "GET\r\n\r\n", "bad request line" },
        { "GET /\r\n\r\n", "bad request line" }, /* HTTP/0.9 */
        { "GET  / HTTP/1.1\r\n\r\n", "bad request target" },
        { " GET / HTTP/1.1\r\n\r\n", "bad method" },
        { "G@T / HTTP/1.1\r\n\r\n", "bad method" },
        { "GET / HTTP/1.1 \r\n\r\n", "HTTP version other than 1.0 and 1.1" },
        { "GET /  HTTP/1.1\r\n\r\n", "HTTP version other than 1.0 and 1.1" },
        { "GET / x HTTP/1.1\r\n\r\n", "HTTP version other than 1.0 and 1.1" },
        { "GET / http/1.1\r\n\r\n", "HTTP version other than 1.0 and 1.1" },
        { "GET / HTTP/1.2\r\n\r\n", "HTTP version other than 1.0 and 1.1" },
        { "GET / HTTP/2.0\r\n\r\n", "HTTP version other than 1.0 and 1.1" },
        { "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "HTTP version other than 1.0 and 1.1" },
        { "GET\t/ HTTP/1.1\r\n\r\n", "bad request line" },
        { "GET /a\tb HTTP/1.1\r\nHost: a\r\n\r\n", "bad request target" },
        { "\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", "bad request line" },
        { "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA / HTTP/1.1\r\nHost: a\r\n\r\n", "bad method" },
    };

    (void)state;
    check_refused(rows, ARRAY_LEN(rows));
}

static void test_host_headers(void **state)
{
    static const struct refused rows[] = {
        { "GET / HTTP/1.1\r\n\r\n", "no Host header" },
        { "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", "more than one Host" },
        { "GET / HTTP/1.1\r\nHost: a\r\nhost: a\r\n\r\n", "more than one Host" },
        { "GET / HTTP/1.1\r\nHost:\r\n\r\n", "bad Host header" },
        { "GET / HTTP/1.1\r\nHost: a, b\r\n\r\n", "bad Host header" },
        { "GET / HTTP/1.1\r\nHost: a b\r\n\r\n", "bad Host header" },
        { "GET / HTTP/1.1\r\nHost: u@a\r\n\r\n", "bad Host header" },
        { "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", "bad Host header" },
        { "GET http://a/ HTTP/1.1\r\nHost: a:b\r\n\r\n", "bad Host header" },
    };

    (void)state;
    check_refused(rows, ARRAY_LEN(rows));
}

static void test_both_length_and_coding(void **state)
{
    static const struct refused rows[] = {
        { POST "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
          "both Content-Length and Transfer-Encoding" },
        { POST "Transfer-Encoding: chunked\r\nContent-Length: 0\r\n\r\n",
          "both Content-Length and Transfer-Encoding" },
        { POST "transfer-ENCODING:chunked\r\nCONTENT-length:5\r\n\r\n",
          "both Content-Length and Transfer-Encoding" },
    };

    (void)state;
    check_refused(rows, ARRAY_LEN(rows));
}

static void test_content_lengths(void **state)
{
    static const struct refused rows[] = {
        { POST "Content-Length: 5\r\nContent-Length: 6\r\n\r\n", "more than one Content-Length" },
        { POST "Content-Length: 5\r\ncontent-length: 5\r\n\r\n", "more than one Content-Length" },
        { POST "Content-Length: 5, 5\r\n\r\n", "bad Content-Length" },
        { POST "Content-Length: 5,6\r\n\r\n", "bad Content-Length" },
        { POST "Content-Length: +5\r\n\r\n", "bad Content-Length" },
        { POST "Content-Length: -5\r\n\r\n", "bad Content-Length" },
        { POST "Content-Length: 0x5\r\n\r\n", "bad Content-Length" },
        { POST "Content-Length: 5 5\r\n\r\n", "bad Content-Length" },
        { POST "Content-Length: 5.\r\n\r\n", "bad Content-Length" },
        { POST "Content-Length:\r\n\r\n", "bad Content-Length" },
        { POST "Content-Length: 9223372036854775808\r\n\r\n", "bad Content-Length" },
        { POST "Content-Length: 18446744073709551621\r\n\r\n", "bad Content-Length" },
    };
    struct http1_request q;

    (void)state;
    check_refused(rows, ARRAY_LEN(rows));
    must(POST "Content-Length: 0005\r\n\r\n", &q);
    assert_int_equal(q.framing, HTTP1_LENGTH);
    assert_int_equal(q.content_length, 5);
    must(POST "Content-Length: 9223372036854775799\r\n\r\n", &q);
    assert_true(q.content_length == 9223372036854775799u);
}

static void test_transfer_codings(void **state)
{
    static const char why[] = "transfer coding other than one 'chunked' of HTTP/1.1";
    static const struct refused rows[] = {
        { POST "Transfer-Encoding: gzip, chunked\r\n\r\n", why },
        { POST "Transfer-Encoding: chunked, chunked\r\n\r\n", why },
        { POST "Transfer-Encoding: chunked, identity\r\n\r\n", why },
        { POST "Transfer-Encoding: identity\r\n\r\n", why },
        { POST "Transfer-Encoding: xchunked\r\n\r\n", why },
        { POST "Transfer-Encoding: \"chunked\"\r\n\r\n", why },
        { POST "Transfer-Encoding: chunked;q=1\r\n\r\n", why },
        { POST "Transfer-Encoding:\r\n\r\n", why },
        { POST "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n", why },
        { POST "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n", why },
        { "POST http://a/ HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", why },
        { POST "Transfer-Encoding : chunked\r\n\r\n", "bad header name" },
        { POST "Transfer-Encoding: \x0b"
               "chunked\r\n\r\n",
          "control byte in the head" },
    };
    struct http1_request q;

    (void)state;
    check_refused(rows, ARRAY_LEN(rows));
    must(POST "Transfer-Encoding: Chunked\r\n\r\n", &q);
    assert_int_equal(q.framing, HTTP1_CHUNKED);
}

static void test_obs_fold(void **state)
{
    static const struct refused rows[] = {
        { GET "A: b\r\n c\r\n\r\n", "folded header line" },
        { GET "A: b\r\n\tc\r\n\r\n", "folded header line" },
        { GET "A: b\r\n \r\n\r\n", "folded header line" },
        { "GET http://a/ HTTP/1.1\r\n Host: a\r\n\r\n", "folded header line" },
        { POST "Transfer-Encoding:\r\n chunked\r\n\r\n", "folded header line" },
    };

    (void)state;
    check_refused(rows, ARRAY_LEN(rows));
}

static void test_bare_lf_and_cr(void **state)
{
    static const struct refused rows[] = {
        { "GET / HTTP/1.1\nHost: a\n\n", "bare LF in the head" },
        { "GET / HTTP/1.1\r\nHost: a\n\r\n", "bare LF in the head" },
        { "GET / HTTP/1.1\r\nHost: a\r\n\n", "bare LF in the head" },
        { "\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", "bare LF in the head" },
        { GET "A: b\rC: d\r\n\r\n", "bare CR in the head" },
        { GET "A: b\r\r\n\r\n", "bare CR in the head" },
        { GET "\r\r\n", "bare CR in the head" },
        /* At once, not when the head is complete. */
        { "GET / HTTP/1.1\n", "bare LF in the head" },
        { "GET / HT\rTP", "bare CR in the head" },
    };

    (void)state;
    check_refused(rows, ARRAY_LEN(rows));
}

static void test_nul_and_control_bytes(void **state)
{
    char head[] = GET "A: b?c\r\n\r\n";
    char *at = strchr(head, '?');
    struct http1_request q;
    const char *why = NULL;

    (void)state;
    for (int c = 0; c < 0x20; c++) {
        *at = (char)c;
        long n = http1_parse_request(head, sizeof(head) - 1, &q, &why);
        if (c == '\t')
            assert_int_equal(n, sizeof(head) - 1);
        else
            assert_int_equal(n, -1);
    }
    *at = 0x7f;
    assert_int_equal(http1_parse_request(head, sizeof(head) - 1, &q, &why), -1);
    *at = (char)0x80;
    assert_int_equal(http1_parse_request(head, sizeof(head) - 1, &q, &why), sizeof(head) - 1);
    static const char nul_in_host[] = "GET / HTTP/1.1\r\nHost: good.example\0.evil.example\r\n\r\n";
    assert_int_equal(http1_parse_request(nul_in_host, sizeof(nul_in_host) - 1, &q, &why), -1);
    assert_string_equal(why, "control byte in the head");
}

static void test_header_names(void **state)
{
    static const struct refused rows[] = {
        { GET "A b: c\r\n\r\n", "bad header name" },
        { GET "A : c\r\n\r\n", "bad header name" },
        { GET ": c\r\n\r\n", "bad header name" },
        { GET "A\t: c\r\n\r\n", "bad header name" },
        { GET "A(b): c\r\n\r\n", "bad header name" },
        { GET "\xc3\xbc: c\r\n\r\n", "bad header name" },
        { GET "Abc\r\n\r\n", "header line without a colon" },
    };

    (void)state;
    check_refused(rows, ARRAY_LEN(rows));
}

/* @size bytes in all, filled up in one header. */
static char *head_of(size_t size)
{
    static const char start[] = GET "A: ", end[] = "\r\n\r\n";
    char *head = malloc(size + 1);

    assert_non_null(head);
    memset(head, 'x', size);
    memcpy(head, start, sizeof(start) - 1);
    memcpy(head + size - (sizeof(end) - 1), end, sizeof(end));
    return head;
}

static void test_oversized_heads(void **state)
{
    auto_free char *fits = head_of(PROXY_HEAD_MAX);
    auto_free char *large = head_of(PROXY_HEAD_MAX + 1);
    struct http1_request q;
    const char *why = NULL;

    (void)state;
    assert_int_equal(http1_parse_request(fits, PROXY_HEAD_MAX, &q, &why), PROXY_HEAD_MAX);
    assert_int_equal(http1_parse_request(fits, PROXY_HEAD_MAX - 1, &q, &why), 0);
    assert_int_equal(http1_parse_request(large, PROXY_HEAD_MAX + 1, &q, &why), -1);
    assert_string_equal(why, "head too large");
    /* A full buffer always gets a verdict. */
    assert_int_equal(http1_parse_request(large, PROXY_HEAD_MAX, &q, &why), -1);
    memset(large, 'x', PROXY_HEAD_MAX);
    assert_int_equal(http1_parse_request(large, PROXY_HEAD_MAX, &q, &why), -1);
}

static void test_too_many_headers(void **state)
{
    char head[8192];
    struct http1_request q;
    const char *why = NULL;

    (void)state;
    for (size_t n = PROXY_HEADERS_MAX; n <= PROXY_HEADERS_MAX + 1; n++) {
        size_t len = (size_t)snprintf(head, sizeof(head), "%s", GET);
        for (size_t i = 1; i < n; i++)
            len += (size_t)snprintf(head + len, sizeof(head) - len, "A%zu: b\r\n", i);
        len += (size_t)snprintf(head + len, sizeof(head) - len, "\r\n");
        long r = http1_parse_request(head, len, &q, &why);
        assert_int_equal(r, n == PROXY_HEADERS_MAX ? (long)len : -1);
    }
    assert_string_equal(why, "too many headers");
}

static void test_split_anywhere(void **state)
{
    static const char head[] = POST "A: b\r\nContent-Length: 3\r\nConnection: close\r\n\r\nabcGET";
    const size_t whole = sizeof(head) - 1 - 6;
    struct http1_request q;
    const char *why = NULL;

    (void)state;
    for (size_t n = 0; n < sizeof(head); n++) {
        auto_free char *exact = malloc(n + 1);
        assert_non_null(exact);
        memcpy(exact, head, n);
        long r = http1_parse_request(exact, n, &q, &why);
        assert_int_equal(r, n < whole ? 0 : (long)whole);
    }
    assert_int_equal(q.content_length, 3);
    assert_false(q.keep_alive);
}

static void test_connection(void **state)
{
    struct http1_request q;

    (void)state;
    must(GET "Connection: foo , Close\r\n\r\n", &q);
    assert_false(q.keep_alive);
    must(GET "Connection: foo\r\nConnection: close\r\n\r\n", &q);
    assert_false(q.keep_alive);
    must("GET http://a/ HTTP/1.0\r\n\r\n", &q);
    assert_false(q.keep_alive);
    assert_int_equal(q.minor, 0);
    must("GET http://a/ HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n", &q);
    assert_true(q.keep_alive);
    must(GET "Expect: 100-Continue\r\n\r\n", &q);
    assert_true(q.expects_continue);
    must("GET http://a/ HTTP/1.0\r\nExpect: 100-continue\r\n\r\n", &q);
    assert_false(q.expects_continue);
    must(GET "Connection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n\r\n", &q);
    assert_true(q.is_upgrade);
    must(GET "Connection: upgrade\r\n\r\n", &q);
    assert_false(q.is_upgrade);
    must(GET "Upgrade: websocket\r\n\r\n", &q);
    assert_false(q.is_upgrade);
    must(GET "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: websocket, H2C\r\n\r\n", &q);
    assert_false(q.is_upgrade);
}

static void test_hop_by_hop(void **state)
{
    static const char *const left_out[] = {
        "Connection", "keep-alive", "Proxy-Connection", "proxy-authorization",
        "TE",         "Upgrade",    "X-Listed",         "x-also",
    };
    static const char *const kept[] = {
        "Host", "Content-Length", "Trailer", "Transfer-Encoding", "Accept", "Prox", "X-Also2",
    };
    struct http1_request q;

    (void)state;
    must(GET "Connection: X-Listed, host, content-length, transfer-encoding, trailer\r\n"
             "connection: ,X-Also,\r\nKeep-Alive: 1\r\nProxy-Connection: x\r\n"
             "Proxy-Authorization: x\r\nTE: trailers\r\nUpgrade: x\r\nX-Listed: 1\r\nX-Also: 1\r\n"
             "X-Also2: 1\r\nTrailer: x\r\nAccept: x\r\nProx: x\r\nContent-Length: 0\r\n\r\n",
         &q);
    for (size_t i = 0; i < ARRAY_LEN(left_out); i++) {
        const struct http1_header *h = http1_find(q.headers, q.n_headers, left_out[i]);
        assert_non_null(h);
        if (!http1_is_hop_by_hop(q.headers, q.n_headers, h))
            fail_msg("%s", left_out[i]);
    }
    for (size_t i = 0; i < ARRAY_LEN(kept); i++) {
        struct http1_header h = { { kept[i], strlen(kept[i]) }, { "", 0 } };
        if (http1_is_hop_by_hop(q.headers, q.n_headers, &h))
            fail_msg("%s", kept[i]);
    }
    assert_null(http1_find(q.headers, q.n_headers, "nothing"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_absolute),
        cmocka_unit_test(test_other_forms),
        cmocka_unit_test(test_host_differs_from_target),
        cmocka_unit_test(test_bad_targets),
        cmocka_unit_test(test_bad_request_lines),
        cmocka_unit_test(test_host_headers),
        cmocka_unit_test(test_both_length_and_coding),
        cmocka_unit_test(test_content_lengths),
        cmocka_unit_test(test_transfer_codings),
        cmocka_unit_test(test_obs_fold),
        cmocka_unit_test(test_bare_lf_and_cr),
        cmocka_unit_test(test_nul_and_control_bytes),
        cmocka_unit_test(test_header_names),
        cmocka_unit_test(test_oversized_heads),
        cmocka_unit_test(test_too_many_headers),
        cmocka_unit_test(test_split_anywhere),
        cmocka_unit_test(test_connection),
        cmocka_unit_test(test_hop_by_hop),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
