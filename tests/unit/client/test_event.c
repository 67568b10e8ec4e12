/* SPDX-License-Identifier: Apache-2.0 */
/* test_event.c - events and answers of a server. */
#include "client/event.h"
#include "tests/support/test.h"

#include <string.h>

#include "base/mem.h"

static void expect(const char *text, enum client_event_type type, const char *data, size_t size,
                   int exit_code)
{
    struct client_event ev;

    client_event_parse(&ev, text, strlen(text));
    assert_int_equal(ev.type, type);
    if (type != CLIENT_EVENT_OTHER) {
        assert_int_equal(ev.size, size);
        assert_memory_equal(ev.data, data, size);
        assert_int_equal(ev.exit_code, exit_code);
    }
    client_event_done(&ev);
}

static void test_events(void **state)
{
    (void)state;
    expect("{\"type\":\"stdout\",\"data\":\"a\\u0000b\"}", CLIENT_EVENT_STDOUT, "a\0b", 3, -1);
    expect("{\"type\":\"stderr\",\"data\":\"\\\\u0000\"}", CLIENT_EVENT_STDERR, "\\u0000", 6, -1);
    expect("{\"type\":\"stdout\",\"data\":\"\\\\\\u0000\"}", CLIENT_EVENT_STDOUT, "\\\0", 2, -1);
    expect("{\"type\":\"stdout\"}", CLIENT_EVENT_STDOUT, "", 0, -1);
    expect("{\"type\":\"exit\",\"data\":\"255\"}", CLIENT_EVENT_EXIT, "255", 3, 255);
    expect("{\"type\":\"exit\",\"data\":\"256\"}", CLIENT_EVENT_EXIT, "256", 3, -1);
    expect("{\"type\":\"exit\",\"data\":\"0\\u0000\"}", CLIENT_EVENT_EXIT, "0\0", 2, -1);
    expect("{\"type\":\"exit\",\"data\":0}", CLIENT_EVENT_EXIT, "", 0, -1);
    expect("{\"type\":\"error\",\"data\":\"x\"}", CLIENT_EVENT_ERROR, "x", 1, -1);
    expect("{\"type\":\"\"}", CLIENT_EVENT_OTHER, NULL, 0, -1);
    expect("{\"type\":7}", CLIENT_EVENT_OTHER, NULL, 0, -1);
    expect("[]", CLIENT_EVENT_OTHER, NULL, 0, -1);
    expect("", CLIENT_EVENT_OTHER, NULL, 0, -1);
    expect("{\"type\":\"stdout\"} x", CLIENT_EVENT_OTHER, NULL, 0, -1);
}

static void test_phase(void **state)
{
    static const char text[] = "{\"type\":\"exit\",\"data\":\"0\",\"phase\":\"setup\"}";
    struct client_event ev;

    (void)state;
    client_event_parse(&ev, text, sizeof(text) - 1);
    assert_true(ev.is_setup);
    client_event_done(&ev);
    client_event_parse(&ev, text, sizeof(text)); /* a NUL byte is not JSON */
    assert_int_equal(ev.type, CLIENT_EVENT_OTHER);
    client_event_done(&ev);
}

static void test_errors(void **state)
{
    auto_buf struct buf out = BUF_INIT(64);

    (void)state;
    assert_true(client_json_error("{\"error\":\"no\"}", 14, &out));
    assert_string_equal(buf_text(&out), "no");
    assert_false(client_json_error("{\"error\":\"\"}", 12, &out));
    assert_false(client_json_error("{\"error\":{}}", 12, &out));
    assert_false(client_json_error("<html>", 6, &out));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_events),
        cmocka_unit_test(test_phase),
        cmocka_unit_test(test_errors),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
