/* SPDX-License-Identifier: Apache-2.0 */
/* test_mask.c - secrets are masked the same however the output is cut into pieces. */
#include "executor/mask.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "tests/support/test.h"

enum { TEXT_MAX = 4096 };

static struct mask_set *set_of(const char *const *values)
{
    isol8_pair pairs[8];
    struct mask_set *set = NULL;
    size_t n = 0;

    for (; values[n] != NULL; n++)
        pairs[n] = (isol8_pair){ "K", values[n] };
    assert_int_equal(mask_set_new(&set, pairs, n, NULL), 0);
    return set;
}

/* @text fed in pieces that end at each of @cuts. */
static void feed(const struct mask_set *set, const char *text, size_t n, const size_t *cuts,
                 size_t n_cuts, struct buf *out)
{
    struct mask_stream s;
    size_t at = 0;

    mask_stream_init(&s, set);
    for (size_t i = 0; i < n_cuts; i++) {
        assert_true(mask_stream_feed(&s, text + at, cuts[i] - at, false, out));
        at = cuts[i];
    }
    assert_true(mask_stream_feed(&s, text + at, n - at, true, out));
    mask_stream_done(&s);
}

static void expect_at_every_split(const char *const *values, const char *text, const char *want)
{
    struct mask_set *set = set_of(values);
    size_t n = strlen(text), every[TEXT_MAX];
    auto_buf struct buf whole = BUF_INIT(TEXT_MAX), bytes = BUF_INIT(TEXT_MAX);

    assert_true(mask_text(set, text, n, &whole));
    assert_string_equal(buf_text(&whole), want);
    for (size_t i = 0; i <= n; i++) {
        for (size_t j = i; j <= n; j++) {
            auto_buf struct buf out = BUF_INIT(TEXT_MAX);
            size_t cuts[2] = { i, j };
            feed(set, text, n, cuts, 2, &out);
            if (strcmp(buf_text(&out), want) != 0)
                fail_msg("'%s' cut at %zu and %zu gives '%s'", text, i, j, buf_text(&out));
        }
    }
    for (size_t i = 0; i < n; i++)
        every[i] = i;
    feed(set, text, n, every, n, &bytes);
    assert_string_equal(buf_text(&bytes), want);
    mask_set_free(set);
}

static void test_splits(void **state)
{
    static const struct {
        const char *secrets[5];
        const char *text, *want;
    } samples[] = {
        { { "secret", NULL }, "a secret, secretsecret", "a ***, ******" },
        { { "secret", NULL }, "secre sec s secretX", "secre sec s ***X" },
        { { "s", NULL }, "sass", "***a******" },
        { { "aab", NULL }, "aaab aaaab ab", "a*** aa*** ab" },
        { { "abab", NULL }, "abababab ababab aba", "*** *** aba" },
        { { "password", "word", NULL }, "password word passwor", "*** *** passwor" },
        { { "abc", "bcd", NULL }, "abcd abc bcd xbcdx", "*** *** *** x***x" },
        { { "abc", "cde", "efg", NULL }, "abcdefg cdefg", "*** ***" },
        { { "abcdef", "bc", NULL }, "abcde abcdef abc", "a***de *** a***" },
        { { "abc", "abcdef", NULL }, "abcde abcdef abcabcdef", "***de *** ******" },
        { { "aa", NULL }, "aaaa aaa a", "*** *** a" },
        { { "***", NULL }, "a***b", "a***b" },
        { { "\xff\x01", NULL }, "x\xff\x01y\xff", "x***y\xff" },
        { { "", "x", NULL }, "axb", "a***b" },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(samples); i++)
        expect_at_every_split(samples[i].secrets, samples[i].text, samples[i].want);
}

static void test_no_secrets(void **state)
{
    static const char *const none[] = { NULL }, *const empty[] = { "", NULL };
    auto_buf struct buf out = BUF_INIT(64);
    struct mask_stream s;

    (void)state;
    expect_at_every_split(none, "anything", "anything");
    expect_at_every_split(empty, "anything", "anything");
    mask_stream_init(&s, NULL);
    assert_true(mask_stream_feed(&s, "a\0b", 3, false, &out));
    assert_int_equal(out.len, 3); /* nothing is held back */
    mask_stream_done(&s);
}

/* Text that cannot be a secret's beginning goes on at once; the rest waits. */
static void test_holding_back(void **state)
{
    static const char *const values[] = { "secret", NULL };
    struct mask_set *set = set_of(values);
    auto_buf struct buf out = BUF_INIT(64);
    struct mask_stream s;

    (void)state;
    mask_stream_init(&s, set);
    assert_true(mask_stream_feed(&s, "hello sec", 9, false, &out));
    assert_string_equal(buf_text(&out), "hello ");
    assert_true(mask_stream_feed(&s, "ond", 3, false, &out));
    assert_string_equal(buf_text(&out), "hello second");
    assert_true(mask_stream_feed(&s, " secre", 6, false, &out));
    assert_true(mask_stream_feed(&s, "t", 1, false, &out));
    assert_string_equal(buf_text(&out), "hello second ***");
    mask_stream_done(&s);
    mask_set_free(set);
}

/* A naive model over random short texts of few letters: the masked text shows no secret. */
static void test_random_texts(void **state)
{
    static const char *const values[] = { "ab", "bca", "aabb", "cc", NULL };
    struct mask_set *set = set_of(values);
    uint32_t x = 12345;

    (void)state;
    for (int round = 0; round < 3000; round++) {
        char text[25];
        auto_buf struct buf whole = BUF_INIT(TEXT_MAX), cut = BUF_INIT(TEXT_MAX);
        for (size_t i = 0; i < 24; i++) {
            x = x * 1664525u + 1013904223u;
            text[i] = "abcx"[x >> 30];
        }
        text[24] = '\0';
        size_t cuts[3] = { x % 8, 8 + (x >> 8) % 8, 16 + (x >> 16) % 8 };
        assert_true(mask_text(set, text, 24, &whole));
        feed(set, text, 24, cuts, 3, &cut);
        assert_string_equal(buf_text(&cut), buf_text(&whole));
        for (size_t i = 0; values[i] != NULL; i++) {
            if (strstr(buf_text(&whole), values[i]) != NULL)
                fail_msg("'%s' shows '%s' of '%s'", buf_text(&whole), values[i], text);
        }
    }
    mask_set_free(set);
}

static void test_ceilings(void **state)
{
    static isol8_pair many[MASK_SECRETS_MAX + 1];
    auto_free char *longest = malloc(MASK_SECRET_BYTES_MAX + 2);
    isol8_pair one = { "KEY", longest };
    struct mask_set *set = NULL;
    isol8_error err;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(many); i++)
        many[i] = (isol8_pair){ "K", "v" };
    assert_int_equal(mask_set_new(&set, many, MASK_SECRETS_MAX, &err), 0);
    mask_set_free(set);
    assert_int_equal(mask_set_new(&set, many, MASK_SECRETS_MAX + 1, &err), ISOL8_E_LIMIT);
    assert_string_equal(err.msg, "secrets: at most 256 are supported, not 257");

    assert_non_null(longest);
    memset(longest, 'q', MASK_SECRET_BYTES_MAX + 1);
    longest[MASK_SECRET_BYTES_MAX + 1] = '\0';
    assert_int_equal(mask_set_new(&set, &one, 1, &err), ISOL8_E_LIMIT);
    assert_null(strchr(err.msg, 'q'));
    longest[MASK_SECRET_BYTES_MAX] = '\0';
    assert_int_equal(mask_set_new(&set, &one, 1, &err), 0);
    mask_set_free(set);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_splits),       cmocka_unit_test(test_no_secrets),
        cmocka_unit_test(test_holding_back), cmocka_unit_test(test_random_texts),
        cmocka_unit_test(test_ceilings),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
