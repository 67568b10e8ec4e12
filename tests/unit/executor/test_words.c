/* SPDX-License-Identifier: Apache-2.0 */
/* test_words.c - agent flags: words as a shell takes them apart, and nothing of a shell's dangers.
 */
#include <string.h>

#include "executor/words.h"
#include "tests/support/test.h"

/* The words of @text joined by '|'. */
static void expect(const char *text, const char *want)
{
    char got[512] = "";
    struct words w;
    isol8_error err = { 0 };

    if (words_split(&w, "agentFlags", text, &err) < 0)
        fail_msg("%s: %s", text, err.msg);
    for (size_t i = 0; i < w.n; i++) {
        if (i > 0)
            strcat(got, "|");
        strcat(got, words_get(&w, i));
    }
    assert_string_equal(got, want);
    words_done(&w);
}

static void test_words(void **state)
{
    (void)state;
    expect(NULL, "");
    expect("", "");
    expect(" \t\n ", "");
    expect("--model x", "--model|x");
    expect("  --model   x\t--y\n", "--model|x|--y");
    expect("--a 'b c' \"d e\"", "--a|b c|d e");
    expect("''", "");
    expect("a''b\"\"c", "abc");
    expect("'it'\\''s'", "it's");
    expect("\"a\\\"b\" \"c\\d\" 'e\\f'", "a\"b|c\\d|e\\f");
    expect("back\\ slash\\\\", "back slash\\");
    expect("trailing\\", "trailing\\");
}

static void test_nothing_is_executed(void **state)
{
    (void)state;
    expect("$(id) `id` $HOME ; rm -rf / | cat > f & *",
           "$(id)|`id`|$HOME|;|rm|-rf|/|||cat|>|f|&|*");
    expect("\"$(id)\"", "$(id)");
}

static void test_refused(void **state)
{
    struct words w;
    isol8_error err = { 0 };
    char many[2 * WORDS_MAX + 8];

    (void)state;
    assert_int_equal(words_split(&w, "agentFlags", "a 'b", &err), ISOL8_E_INVAL);
    assert_string_equal(err.msg, "agentFlags: a ' has no end");
    assert_int_equal(words_split(&w, "agentFlags", "a \"b", &err), ISOL8_E_INVAL);
    for (size_t i = 0; i + 1 < sizeof(many); i++)
        many[i] = i % 2 == 0 ? 'x' : ' ';
    many[sizeof(many) - 1] = '\0';
    assert_int_equal(words_split(&w, "agentFlags", many, &err), ISOL8_E_LIMIT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_words),
        cmocka_unit_test(test_nothing_is_executed),
        cmocka_unit_test(test_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
