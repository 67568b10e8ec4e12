/* SPDX-License-Identifier: Apache-2.0 */
/* test_output.c - mask, then limit: the limit cuts what is shown, never a secret open. */
#include "executor/output.h"

#include <stdio.h>
#include <string.h>

#include "tests/support/test.h"

static void feed(struct output *o, const char *text, bool is_end, const char *want)
{
    assert_true(output_feed(o, text, strlen(text), is_end));
    assert_string_equal(buf_text(&o->chunk), want);
}

static void test_below_the_limit(void **state)
{
    struct output o;

    (void)state;
    output_init(&o, NULL, 10, true);
    feed(&o, "12345", false, "12345");
    feed(&o, "67890", false, "67890");
    feed(&o, "", true, "");
    assert_false(o.is_truncated);
    assert_true(output_marker(&o));
    assert_int_equal(o.chunk.len, 0);
    assert_string_equal(buf_text(&o.captured), "1234567890");
    output_done(&o);
}

static void test_above_the_limit(void **state)
{
    struct output o;

    (void)state;
    output_init(&o, NULL, 10, true);
    feed(&o, "12345", false, "12345");
    feed(&o, "678901", false, "67890");
    assert_true(o.is_truncated);
    feed(&o, "more", false, "");
    feed(&o, "", true, "");
    assert_true(output_marker(&o));
    assert_string_equal(buf_text(&o.captured),
                        "1234567890\n\n--- OUTPUT TRUNCATED (15 bytes, limit: 10) ---");
    output_done(&o);
}

static void test_no_room_at_all(void **state)
{
    struct output o;

    (void)state;
    output_init(&o, NULL, 0, true);
    feed(&o, "", false, "");
    assert_false(o.is_truncated);
    feed(&o, "x", true, "");
    assert_true(o.is_truncated);
    output_done(&o);
}

static void test_no_capture(void **state)
{
    struct output o;

    (void)state;
    output_init(&o, NULL, 3, false);
    feed(&o, "12345", true, "123");
    assert_true(output_marker(&o));
    assert_true(o.chunk.len > 0);
    assert_int_equal(o.captured.len, 0);
    output_done(&o);
}

/* At every limit and every place of a cut, what is shown is a beginning of the masked text. */
static void test_secret_and_limit(void **state)
{
    static const isol8_pair secret = { "K", "QWERTZ" };
    static const char text[] = "ab QWERTZ cd QWERTZQWERTZ e", masked[] = "ab *** cd ****** e";
    struct mask_set *set = NULL;

    (void)state;
    assert_int_equal(mask_set_new(&set, &secret, 1, NULL), 0);
    for (uint64_t limit = 0; limit <= sizeof(masked); limit++) {
        for (size_t cut = 0; cut < sizeof(text); cut++) {
            struct output o;
            output_init(&o, set, limit, true);
            assert_true(output_feed(&o, text, cut, false));
            assert_true(output_feed(&o, text + cut, sizeof(text) - 1 - cut, true));
            size_t n = limit < sizeof(masked) - 1 ? (size_t)limit : sizeof(masked) - 1;
            assert_int_equal(o.captured.len, n);
            assert_memory_equal(buf_text(&o.captured), masked, n);
            assert_int_equal(o.is_truncated, limit < sizeof(masked) - 1);
            assert_int_equal(o.seen_bytes, sizeof(text) - 1);
            output_done(&o);
        }
    }
    mask_set_free(set);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_below_the_limit),  cmocka_unit_test(test_above_the_limit),
        cmocka_unit_test(test_no_room_at_all),   cmocka_unit_test(test_no_capture),
        cmocka_unit_test(test_secret_and_limit),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
