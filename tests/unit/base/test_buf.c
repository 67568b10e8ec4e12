/* SPDX-License-Identifier: Apache-2.0 */
/* test_buf.c - growing bytes: the ceiling, the sticky failure, hand-over. */
#include "base/buf.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "tests/support/test.h"

static void test_ceiling(void **state)
{
    auto_buf struct buf b = BUF_INIT(10);

    (void)state;
    assert_string_equal(buf_text(&b), "");
    assert_true(buf_add(&b, "12345", 5));
    assert_true(buf_adds(&b, "67890"));
    assert_int_equal(b.len, 10);
    assert_true(buf_add(&b, NULL, 0));
    assert_false(buf_add(&b, "x", 1));
    assert_true(b.failed);
    assert_false(buf_add(&b, NULL, 0)); /* failure stays */
    assert_string_equal(buf_text(&b), "1234567890");
    assert_null(buf_take(&b));
    buf_clear(&b);
    assert_false(b.failed);
    assert_true(buf_addf(&b, "%s-%d", "ab", 7));
    assert_string_equal(buf_text(&b), "ab-7");
    assert_false(buf_addf(&b, "%08d", 1));
}

static void test_huge_sizes(void **state)
{
    auto_buf struct buf b = BUF_INIT(SIZE_MAX / 2);

    (void)state;
    assert_true(buf_adds(&b, "abc"));
    assert_null(buf_room(&b, SIZE_MAX));
    assert_true(b.failed);
    buf_clear(&b);
    assert_null(buf_room(&b, SIZE_MAX / 2 + 1));
}

static void test_growth(void **state)
{
    auto_buf struct buf b = BUF_INIT(1 << 20);

    (void)state;
    for (int i = 0; i < 100000; i++)
        assert_true(buf_add(&b, &(char){ (char)i }, 1));
    assert_int_equal(b.len, 100000);
    for (int i = 0; i < 100000; i++)
        assert_int_equal(b.data[i], (char)i);
    assert_int_equal(b.data[b.len], 0);
}

static void test_consume_and_take(void **state)
{
    auto_buf struct buf b = BUF_INIT(100);

    (void)state;
    buf_consume(&b, 0); /* empty: nothing to move */
    assert_true(buf_adds(&b, "hello world"));
    buf_consume(&b, 6);
    assert_string_equal(buf_text(&b), "world");
    auto_free char *text = buf_take(&b);
    assert_string_equal(text, "world");
    assert_null(b.data);
    assert_int_equal(b.len, 0);
    assert_null(buf_take(&b));
    assert_true(buf_adds(&b, "again"));
    buf_consume(&b, 5);
    assert_string_equal(buf_text(&b), "");
}

static void test_room(void **state)
{
    auto_buf struct buf b = BUF_INIT(100);
    char *p = buf_room(&b, 3);

    (void)state;
    assert_non_null(p);
    memcpy(p, "abc", 3);
    buf_claim(&b, 2);
    assert_string_equal(buf_text(&b), "ab");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ceiling), cmocka_unit_test(test_huge_sizes),
        cmocka_unit_test(test_growth),  cmocka_unit_test(test_consume_and_take),
        cmocka_unit_test(test_room),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
