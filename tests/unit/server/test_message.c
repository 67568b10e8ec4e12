/* SPDX-License-Identifier: Apache-2.0 */
/* test_message.c - what a client says over WebSocket. */
#include "server/message.h"
#include "tests/support/test.h"

#include <signal.h>
#include <string.h>

#include "base/mem.h"

static void test_execute(void **state)
{
    static const char text[] =
        "{\"type\":\"execute\",\"request\":{},\"openStdin\":true,\"other\":[null]}";
    struct message m;
    struct srv_fault f;

    (void)state;
    assert_int_equal(message_parse(&m, text, strlen(text), &f), 0);
    assert_int_equal(m.type, MESSAGE_EXECUTE);
    assert_true(m.opens_stdin);
    assert_true(cJSON_HasObjectItem(m.json, "request"));
    message_done(&m);
}

static void test_stdin(void **state)
{
    static const struct {
        const char *text, *data;
        size_t n;
        bool is_end;
    } rows[] = {
        { "{\"type\":\"stdin\",\"data\":\"a\\n\"}", "a\n", 2, false },
        { "{\"type\":\"stdin\",\"data\":\"\",\"end\":null}", "", 0, false },
        { "{\"type\":\"stdin\",\"end\":true}", "", 0, true },
        { "{\"type\":\"stdin\",\"data\":\"AP8=\",\"encoding\":\"base64\",\"end\":true}", "\0\377",
          2, true },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct message m;
        struct srv_fault f;
        assert_int_equal(message_parse(&m, rows[i].text, strlen(rows[i].text), &f), 0);
        assert_int_equal(m.type, MESSAGE_STDIN);
        assert_int_equal(m.size, rows[i].n);
        assert_memory_equal(m.data, rows[i].data, rows[i].n);
        assert_int_equal(m.is_end, rows[i].is_end);
        message_done(&m);
    }
}

static void test_signals(void **state)
{
    static const char sigint[] = "{\"type\":\"signal\",\"signal\":\"SIGINT\"}";
    static const char sigterm[] = "{\"type\":\"signal\",\"signal\":\"SIGTERM\"}";
    struct message m;
    struct srv_fault f;

    (void)state;
    assert_int_equal(message_parse(&m, sigint, strlen(sigint), &f), 0);
    assert_int_equal(m.signal, SIGINT);
    message_done(&m);
    assert_int_equal(message_parse(&m, sigterm, strlen(sigterm), &f), 0);
    assert_int_equal(m.signal, SIGTERM);
    message_done(&m);
}

static void test_refused(void **state)
{
    static const struct {
        const char *text, *why;
        int status;
    } rows[] = {
        { "", "Invalid JSON message", MESSAGE_NO_JSON },
        { "{\"type\":\"execute\"", "Invalid JSON message", MESSAGE_NO_JSON },
        { "null", "Unknown message type: undefined", -1 },
        { "\"execute\"", "Unknown message type: undefined", -1 },
        { "{}", "Unknown message type: undefined", -1 },
        { "{\"type\":\"Execute\"}", "Unknown message type: Execute", -1 },
        { "{\"type\":null}", "Unknown message type: null", -1 },
        { "{\"type\":[1]}", "Unknown message type: [1]", -1 },
        { "{\"type\":\"execute\",\"openStdin\":1}", "openStdin: expected boolean", -1 },
        { "{\"type\":\"stdin\"}", "data: is required, unless \"end\" is true", -1 },
        { "{\"type\":\"stdin\",\"data\":{}}", "data: expected string", -1 },
        { "{\"type\":\"stdin\",\"data\":\"a\",\"encoding\":\"hex\"}",
          "encoding: expected \"base64\", or nothing", -1 },
        { "{\"type\":\"stdin\",\"data\":\"a\",\"encoding\":\"base64\"}",
          "data: is not valid base64", -1 },
        { "{\"type\":\"signal\"}", "signal: expected \"SIGINT\" or \"SIGTERM\"", -1 },
        { "{\"type\":\"signal\",\"signal\":9}", "signal: expected \"SIGINT\" or \"SIGTERM\"", -1 },
        { "{\"type\":\"stdin\",\"data\":\"\\u0000\"}",
          "strings must not hold a NUL character (\\u0000)", -1 },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct message m;
        struct srv_fault f;
        assert_int_equal(message_parse(&m, rows[i].text, strlen(rows[i].text), &f), rows[i].status);
        assert_string_equal(f.text, rows[i].why);
        message_done(&m);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_execute),
        cmocka_unit_test(test_stdin),
        cmocka_unit_test(test_signals),
        cmocka_unit_test(test_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
