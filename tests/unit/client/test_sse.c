/* SPDX-License-Identifier: Apache-2.0 */
/* test_sse.c - the lines of an event stream, however they come. */
#include "client/sse.h"
#include "tests/support/test.h"

#include <string.h>

static void collect(void *user, const char *text, size_t n)
{
    struct buf *out = user;

    (void)buf_add(out, text, n);
    (void)buf_adds(out, "|");
}

static void test_all_cuts(void **state)
{
    static const char text[] = ": comment\ndata: one\n\nevent: x\r\ndata: two \t\r\ndata:three\n"
                               "data\ndata: \ndata: last";

    (void)state;
    for (size_t cut = 0; cut < sizeof(text); cut++) {
        auto_buf struct buf out = BUF_INIT(256);
        struct sse s;
        sse_init(&s, 64, collect, &out);
        assert_true(sse_feed(&s, text, cut));
        assert_true(sse_feed(&s, text + cut, sizeof(text) - 1 - cut));
        sse_end(&s);
        assert_string_equal(buf_text(&out), "one|two||last|");
        sse_done(&s);
    }
}

static void test_long_lines(void **state)
{
    auto_buf struct buf out = BUF_INIT(256);
    struct sse s;

    (void)state;
    sse_init(&s, 4, collect, &out);
    for (int i = 0; i < 1000; i++)
        assert_true(sse_feed(&s, "no data: of this matters", 24));
    assert_true(sse_feed(&s, "\ndata: 1234\ndata: 12345", 18));
    assert_string_equal(buf_text(&out), "1234|");
    assert_true(sse_feed(&s, "1234", 4));
    assert_false(sse_feed(&s, "5", 1));
    sse_done(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_cuts),
        cmocka_unit_test(test_long_lines),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
