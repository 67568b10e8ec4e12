/* SPDX-License-Identifier: Apache-2.0 */
/* test_handshake.c - the opening handshake of a WebSocket. */
#include "client/handshake.h"
#include "tests/support/test.h"

#include <stdio.h>
#include <string.h>

#define OK "HTTP/1.1 101 Switching Protocols\r\n"
#define UP "Upgrade: websocket\r\nConnection: Upgrade\r\n"
#define ACCEPT "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"

static int parse(const char *text, struct handshake_answer *a, isol8_error *err)
{
    return handshake_parse(a, text, strlen(text), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", err);
}

/* The example of RFC 6455, section 1.3. */
static void test_accept(void **state)
{
    char accept[HANDSHAKE_ACCEPT_SIZE], key[HANDSHAKE_KEY_SIZE], other[HANDSHAKE_KEY_SIZE];

    (void)state;
    assert_int_equal(handshake_accept("dGhlIHNhbXBsZSBub25jZQ==", accept, NULL), 0);
    assert_string_equal(accept, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    assert_int_equal(handshake_key(key, NULL), 0);
    assert_int_equal(handshake_key(other, NULL), 0);
    assert_int_equal(strlen(key), 24);
    assert_string_not_equal(key, other);
}

static void test_request(void **state)
{
    auto_buf struct buf text = BUF_INIT(4096);
    struct client_address a;

    (void)state;
    assert_int_equal(client_address_init(&a, "https://box:1/x/", NULL), 0);
    assert_true(handshake_request(&a, "/execute/ws", "k", "n", &text));
    assert_string_equal(buf_text(&text), "GET /x/execute/ws HTTP/1.1\r\nHost: box:1\r\n"
                                         "Upgrade: websocket\r\nConnection: Upgrade\r\n"
                                         "Sec-WebSocket-Key: n\r\nSec-WebSocket-Version: 13\r\n"
                                         "Authorization: Bearer k\r\n"
                                         "User-Agent: isol8/" ISOL8_VERSION "\r\n\r\n");
    client_address_done(&a);
}

static void test_good(void **state)
{
    struct handshake_answer a;

    (void)state;
    assert_int_equal(parse(OK UP ACCEPT "\r\nrest", &a, NULL), 1);
    assert_true(a.is_websocket);
    assert_int_equal(a.head_size, strlen(OK UP ACCEPT "\r\n"));
    assert_int_equal(parse("HTTP/1.1 101\r\nCONNECTION: keep-alive,\tupgrade\r\n"
                           "upgrade:  WebSocket \r\n" ACCEPT "\r\n",
                           &a, NULL),
                     1);
    assert_true(a.is_websocket);
}

static void test_incomplete(void **state)
{
    static const char text[] = OK UP ACCEPT "\r\n";
    struct handshake_answer a;

    (void)state;
    for (size_t n = 0; n < sizeof(text) - 1; n++)
        assert_int_equal(handshake_parse(&a, text, n, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", NULL), 0);
}

static void test_false(void **state)
{
    static const char *const heads[] = {
        OK "\r\n",
        OK UP "\r\n",
        OK ACCEPT "\r\n",
        OK "Upgrade: websocket\r\n" ACCEPT "\r\n",
        OK "Connection: Upgrade\r\n" ACCEPT "\r\n",
        OK "Upgrade: websockets\r\nConnection: Upgrade\r\n" ACCEPT "\r\n",
        OK UP "Sec-WebSocket-Accept: S3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n",
        OK UP ACCEPT "Sec-WebSocket-Extensions: x\r\n\r\n",
        OK UP ACCEPT "Sec-WebSocket-Protocol: x\r\n\r\n",
    };
    static const char *const others[] = { "\r\n\r\n",
                                          "HTTP/2 200 OK\r\n\r\n",
                                          "HTTP/1.1 2\r\n\r\n",
                                          "HTTP/1.1 2000\r\n\r\n",
                                          "HTTP/1.1x200 OK\r\n\r\n",
                                          "SSH-2.0\r\n\r\n" };
    struct handshake_answer a;
    isol8_error err;

    (void)state;
    for (size_t i = 0; i < sizeof(heads) / sizeof(heads[0]); i++) {
        assert_int_equal(parse(heads[i], &a, &err), ISOL8_E_PROTOCOL);
        assert_string_equal(err.msg, "the server's WebSocket handshake is not valid");
    }
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        assert_int_equal(parse(others[i], &a, &err), ISOL8_E_PROTOCOL);
        assert_string_equal(err.msg, "the server does not speak HTTP");
    }
}

static void test_refusal(void **state)
{
    struct handshake_answer a;

    (void)state;
    assert_int_equal(parse("HTTP/1.1 401 Who are you?\r\nContent-Length: 17\r\n\r\n", &a, NULL), 1);
    assert_int_equal(a.status, 401);
    assert_string_equal(a.reason, "Who are you?");
    assert_int_equal(a.body_size, 17);
    assert_false(a.is_websocket);
    assert_int_equal(parse("HTTP/1.0 404 \r\nContent-Length: -1\r\n\r\n", &a, NULL), 1);
    assert_string_equal(a.reason, "");
    assert_int_equal(a.body_size, 0);
}

static void test_too_large(void **state)
{
    struct handshake_answer a;
    static char text[HANDSHAKE_HEAD_MAX + 1];
    isol8_error err;

    (void)state;
    memset(text, 'x', HANDSHAKE_HEAD_MAX);
    assert_int_equal(parse(text, &a, &err), ISOL8_E_PROTOCOL);
    assert_string_equal(err.msg, "the head of the server's answer is too large");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_accept),    cmocka_unit_test(test_request),
        cmocka_unit_test(test_good),      cmocka_unit_test(test_incomplete),
        cmocka_unit_test(test_false),     cmocka_unit_test(test_refusal),
        cmocka_unit_test(test_too_large),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
