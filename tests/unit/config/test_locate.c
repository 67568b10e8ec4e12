/* SPDX-License-Identifier: Apache-2.0 */
/* test_locate.c - lines of values. */
#include "config/conf_internal.h"
#include "tests/support/test.h"

#include <string.h>

static const char text[] = "{ \"a\": 1,\n"
                           "  \"b\": { \"c\": [1,\n"
                           "      [2, \"x]}\\\"\"],\n"
                           "    {\"d\":\n"
                           "       true}] },\n"
                           "  \"a\": 2 }\n";

static void expect(const char *path, unsigned nth, unsigned line)
{
    assert_int_equal(conf_locate(text, sizeof(text) - 1, path, nth), line);
}

static void test_places(void **state)
{
    (void)state;
    expect("a", 0, 1);
    expect("a", 1, 6);
    expect("a", 2, 0);
    expect("b", 0, 2);
    expect("b.c", 0, 2);
    expect("b.c[0]", 0, 2);
    expect("b.c[1]", 0, 3);
    expect("b.c[1][1]", 0, 3);
    expect("b.c[2].d", 0, 5);
    expect("b.c[3]", 0, 0);
    expect("nothing", 0, 0);
}

static void test_byte_order_mark(void **state)
{
    static const char marked[] = "\xef\xbb\xbf{\n\"a\":1}";

    (void)state;
    assert_int_equal(conf_locate(marked, sizeof(marked) - 1, "a", 0), 2);
}

/* Paths longer than the ceiling are never found, and never overflow. */
static void test_long_keys(void **state)
{
    static char big[4096];
    size_t n = 0;

    (void)state;
    memcpy(big, "{\"", 2);
    memset(big + 2, 'k', 2000);
    n = 2002;
    memcpy(big + n, "\":{\"a\":1},\n\"a\":2}", 18);
    n += 17;
    assert_int_equal(conf_locate(big, n, "a", 0), 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_places),
        cmocka_unit_test(test_byte_order_mark),
        cmocka_unit_test(test_long_keys),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
