/* SPDX-License-Identifier: Apache-2.0 */
/* test_text.c - numbers, sizes, UTF-8, base64, nearest words. */
#include "base/text.h"

#include <string.h>

#include "base/mem.h"
#include "tests/support/test.h"

static void test_whole_numbers(void **state)
{
    static const char *const bad[] = { "",
                                       " 1",
                                       "1 ",
                                       "-1",
                                       "+1",
                                       "0x10",
                                       "1.0",
                                       "a",
                                       "18446744073709551616",
                                       "99999999999999999999" };
    uint64_t v = 5;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_false(text_parse_u64(bad[i], &v));
    assert_int_equal(v, 5); /* written only on success */
    assert_true(text_parse_u64("18446744073709551615", &v));
    assert_true(v == UINT64_MAX);
    assert_true(text_parse_u64("007", &v));
    assert_int_equal(v, 7);
}

static void test_decimals(void **state)
{
    static const char *const bad[] = { "",    ".5",  "1.",  "1.5.5", "-1",
                                       "1e3", "nan", "inf", " 1",    "1000000000000001" };
    double v = 0;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_false(text_parse_decimal(bad[i], &v));
    assert_true(text_parse_decimal("0.25", &v));
    assert_true(v == 0.25);
    assert_true(text_parse_decimal("1000000000000000", &v));
}

static void test_sizes(void **state)
{
    static const struct {
        const char *text;
        uint64_t bytes;
    } good[] = {
        { "0", 0 },
        { "1024", 1024 },
        { "10b", 10 },
        { "512m", 512ull << 20 },
        { "512M", 512ull << 20 },
        { "512MB", 512ull << 20 },
        { "512mb", 512ull << 20 },
        { "1.5g", 3ull << 29 },
        { "1 g", 1ull << 30 },
        { "1\tk", 1024 },
        { "2t", 2ull << 40 },
        { "0.5k", 512 },
        { "1.9", 1 },
        { "0.0001k", 0 },
        { "00012", 12 },
        { "8388607t", 8388607ull << 40 },
    };
    static const char *const bad[] = { "",
                                       "m",
                                       "-1",
                                       "+1m",
                                       "1gib",
                                       "1e3",
                                       "1 mm",
                                       "1m ",
                                       " 1m",
                                       "1.m",
                                       ".5m",
                                       "1,5m",
                                       "50%",
                                       "1kk",
                                       "1bb",
                                       "0x1",
                                       "9223372036854775808",
                                       "8388608t",
                                       "1mB1" };
    uint64_t v = 77;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        if (text_parse_size(bad[i], &v))
            fail_msg("'%s' was taken", bad[i]);
    }
    assert_int_equal(v, 77);
    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        if (!text_parse_size(good[i].text, &v) || v != good[i].bytes)
            fail_msg("'%s' gives %llu", good[i].text, (unsigned long long)v);
    }
}

static void test_format_size(void **state)
{
    static const struct {
        uint64_t bytes;
        const char *text;
    } samples[] = { { 1023, "1023" },         { 1024, "1k" },          { 1536, "1536" },
                    { 512ull << 20, "512m" }, { 3ull << 29, "1536m" }, { 1ull << 40, "1t" } };
    char out[24];

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(samples); i++) {
        uint64_t again = 1;
        text_format_size(samples[i].bytes, out, sizeof(out));
        assert_string_equal(out, samples[i].text);
        assert_true(text_parse_size(out, &again));
        assert_true(again == samples[i].bytes);
    }
}

#define R "\xef\xbf\xbd"

static void test_utf8(void **state)
{
    static const struct {
        const char *in;
        const char *want;
    } samples[] = {
        { "plain", "plain" },
        { "\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80", "\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80" },
        { "a\xff"
          "b",
          "a" R "b" },
        { "\x80", R },
        { "\xc3", R }, /* cut */
        { "\xc3(", R "(" },
        { "\xf4\x8f\xbf\xbf", "\xf4\x8f\xbf\xbf" }, /* U+10FFFF */
    };
    static const char *const never[] = { "\xc0\xaf",         "\xe0\x80\xaf",         "\xed\xa0\x80",
                                         "\xf4\x90\x80\x80", "\xf8\x88\x80\x80\x80", "\xfe" };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(samples); i++) {
        auto_buf struct buf out = BUF_INIT(100);
        assert_true(text_utf8_clean(samples[i].in, strlen(samples[i].in), &out));
        assert_string_equal(buf_text(&out), samples[i].want);
    }
    for (size_t i = 0; i < ARRAY_LEN(never); i++) { /* overlong, surrogate, too large */
        auto_buf struct buf out = BUF_INIT(100);
        assert_true(text_utf8_clean(never[i], strlen(never[i]), &out));
        assert_int_equal(out.len % 3, 0);
        for (size_t k = 0; k < out.len; k += 3)
            assert_memory_equal(out.data + k, R, 3);
    }
    auto_buf struct buf nul = BUF_INIT(100);
    assert_true(text_utf8_clean("a\0b", 3, &nul));
    assert_int_equal(nul.len, 3);
    auto_buf struct buf small = BUF_INIT(2);
    assert_false(text_utf8_clean("\xff", 1, &small));
}

/* RFC 4648, section 10. */
static void test_base64(void **state)
{
    static const char *const pairs[][2] = { { "", "" },
                                            { "f", "Zg==" },
                                            { "fo", "Zm8=" },
                                            { "foo", "Zm9v" },
                                            { "foob", "Zm9vYg==" },
                                            { "fooba", "Zm9vYmE=" },
                                            { "foobar", "Zm9vYmFy" },
                                            { "\xff\xfe\xfd", "//79" } };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(pairs); i++) {
        auto_buf struct buf out = BUF_INIT(64);
        assert_true(text_base64(pairs[i][0], strlen(pairs[i][0]), &out));
        assert_string_equal(buf_text(&out), pairs[i][1]);
    }
    auto_buf struct buf small = BUF_INIT(3);
    assert_false(text_base64("f", 1, &small));
}

static void test_nearest(void **state)
{
    static const char *const words[] = { "run", "setup", "config", "cleanup", "doctor", NULL };
    char longest[200];

    (void)state;
    assert_string_equal(text_nearest("rn", words), "run");
    assert_string_equal(text_nearest("setpu", (const char *const[]){ "setu", NULL }), "setu");
    assert_string_equal(text_nearest("confg", words), "config");
    assert_string_equal(text_nearest("clean-up", words), "cleanup");
    assert_string_equal(text_nearest("docter", words), "doctor");
    assert_null(text_nearest("something", words));
    assert_null(text_nearest("xyz", words));
    memset(longest, 'r', sizeof(longest) - 1);
    longest[sizeof(longest) - 1] = '\0';
    assert_null(text_nearest(longest, words));
}

/* The items of @list, each in angle brackets. */
static void expect_items(const char *list, const char *expected)
{
    auto_buf struct buf out = BUF_INIT(256);
    const char *item;
    size_t n;

    while (text_next_item(&list, &item, &n))
        (void)buf_addf(&out, "<%.*s>", (int)n, item);
    assert_string_equal(buf_text(&out), expected);
}

static void test_items(void **state)
{
    (void)state;
    expect_items("", "");
    expect_items("a", "<a>");
    expect_items(" a , b,c\t", "<a><b><c>");
    expect_items("a,,b,", "<a><><b>");
    expect_items("a[b,c],d", "<a[b,c]><d>");
    expect_items("a>=1,<2,!=1.5, ~=3,b", "<a>=1,<2,!=1.5, ~=3><b>");
    expect_items("a[b,c", "<a[b,c>"); /* not a name: what takes it will say so */
    expect_items("a],b", "<a]><b>");
    expect_items("@s/a@^1,@s/b@>2", "<@s/a@^1><@s/b@>2>");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_whole_numbers), cmocka_unit_test(test_decimals),
        cmocka_unit_test(test_sizes),         cmocka_unit_test(test_format_size),
        cmocka_unit_test(test_utf8),          cmocka_unit_test(test_base64),
        cmocka_unit_test(test_nearest),       cmocka_unit_test(test_items),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
