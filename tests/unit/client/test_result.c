/* SPDX-License-Identifier: Apache-2.0 */
/* test_result.c - the answer of POST /execute. */
#include "client/result.h"
#include "tests/support/test.h"

#include <string.h>

static int parse(struct client_result *r, const char *text)
{
    return client_result_parse(r, text, strlen(text), NULL);
}

static void test_good(void **state)
{
    struct client_result r;

    (void)state;
    assert_int_equal(parse(&r, "{\"stdout\":\"a\\u0000\",\"stderr\":\"b\",\"exitCode\":7,"
                               "\"truncated\":true,\"verdict\":\"exit\",\"verdictDetail\":\"d\"}"),
                     0);
    assert_int_equal(r.out_size, 2);
    assert_memory_equal(r.out, "a\0", 2);
    assert_string_equal(r.err, "b");
    assert_int_equal(r.exit_code, 7);
    assert_true(r.is_truncated);
    assert_null(r.detail);
    client_result_done(&r);
    assert_int_equal(parse(&r, "{\n\t\"exitCode\": 0, \"stdout\": 3, \"verdict\": \"timeout\","
                               "\"verdictDetail\": \"late\"}\r\n"),
                     0);
    assert_int_equal(r.out_size, 0);
    assert_true(r.is_timeout);
    assert_string_equal(r.detail, "late");
    client_result_done(&r);
}

static void test_bad(void **state)
{
    static const char *const bad[] = { "",
                                       "{}",
                                       "{\"exitCode\":\"0\"}",
                                       "{\"exitCode\":256}",
                                       "{\"exitCode\":-1}",
                                       "{\"exitCode\":0.5}",
                                       "{\"exitCode\":1e300}",
                                       "{\"exitCode\":0,\"stdout\":\"\x1b\"}",
                                       "{\"exitCode\":0}{}" };
    struct client_result r;

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_int_equal(parse(&r, bad[i]), ISOL8_E_PROTOCOL);
        client_result_done(&r);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good),
        cmocka_unit_test(test_bad),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
