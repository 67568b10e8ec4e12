/* SPDX-License-Identifier: Apache-2.0 */
/* test_code_url.c - the shorthands for addresses of code. */
#include "cli/code_url.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "tests/support/test.h"

#define GITHUB "https://raw.githubusercontent.com/"
#define GIST "https://gist.githubusercontent.com/"

static void test_github(void **state)
{
    static const char *const good[][2] = {
        { "o/r/main/a.py", GITHUB "o/r/main/a.py" },
        { "o/r/v1.0/dir/sub/a.py", GITHUB "o/r/v1.0/dir/sub/a.py" },
        { "o/r/refs/heads/f/x/a.py", GITHUB "o/r/refs/heads/f/x/a.py" },
        { "o/r/main/a b.py", GITHUB "o/r/main/a%20b.py" },
        { "o/r/main/a%20b.py", GITHUB "o/r/main/a%20b.py" },
        { "o/r/main/100%.py", GITHUB "o/r/main/100%25.py" },
        { "o/r/main/c#/what?.py", GITHUB "o/r/main/c%23/what%3F.py" },
        { "o/r/main/\xc3\xa4.py", GITHUB "o/r/main/%C3%A4.py" },
        { "o/r/main/...", GITHUB "o/r/main/..." },
        { "o/r/main/@x:y.py", GITHUB "o/r/main/@x:y.py" },
    };
    static const char *const bad[] = {
        "",
        "o",
        "o/r",
        "o/r/main",
        "o/r/main/",
        "/o/r/main",
        "o//main/a",
        "o/r//a.py",
        "o/r/main//a.py",
        "o/r/main/a/",
        "o/r/../a.py",
        "o/r/main/./a",
        "o/r/main/%2E%2e/a",
        "o/r/main/a%2Fb",
        "o/r/main/a%5cb",
        "o/r/main/a\\b",
        "o/r/main/a\nb",
        "o/r/main/\xff",
        "o/r/main/a%00b",
    };
    const char *why = NULL;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        auto_free char *url = code_url_github(good[i][0], &why);
        assert_non_null(url);
        assert_string_equal(url, good[i][1]);
    }
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        assert_null(code_url_github(bad[i], &why));
        assert_string_equal(why, "--github format must be owner/repo/ref/path/to/file");
    }
    assert_null(code_url_github("o/r/a%2Fb/c.py", &why));
    assert_non_null(strstr(why, "a ref with '/' in it cannot be told from the path"));
}

static void test_gist(void **state)
{
    static const char *const bad[] = { "", "id", "id/", "/a.py", "o//a.py", "o/id/d/a.py", "../a" };
    const char *why = NULL;

    (void)state;
    auto_free char *two = code_url_gist("12ab/a b.py", &why);
    assert_string_equal(two, GIST "12ab/raw/a%20b.py");
    auto_free char *three = code_url_gist("owner/12ab/a.py", &why);
    assert_string_equal(three, GIST "owner/12ab/raw/a.py");
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        assert_null(code_url_gist(bad[i], &why));
        assert_string_equal(why, "--gist format must be gistId/file.ext");
    }
}

static void test_ceilings(void **state)
{
    char text[CODE_URL_SHORT_MAX + 2];
    const char *why = NULL;

    (void)state;
    memset(text, 'a', sizeof(text));
    text[sizeof(text) - 1] = '\0';
    text[1] = text[3] = text[5] = '/';
    assert_null(code_url_github(text, &why));
    text[CODE_URL_SHORT_MAX] = '\0';
    auto_free char *url = code_url_github(text, &why);
    assert_non_null(url);
    memset(text, '/', 2 * (size_t)CODE_URL_PART_MAX);
    assert_null(code_url_github(text, &why));
    for (size_t i = 0; i + 1 < CODE_URL_SHORT_MAX; i += 2)
        memcpy(text + i, "a/", 2);
    text[CODE_URL_SHORT_MAX - 1] = '\0';
    assert_null(code_url_github(text, &why)); /* too many parts */
}

static void test_ambiguous(void **state)
{
    (void)state;
    assert_false(code_url_ref_is_ambiguous("o/r/main/a.py"));
    assert_true(code_url_ref_is_ambiguous("o/r/feature/x/a.py"));
    assert_false(code_url_ref_is_ambiguous("o/r/refs/heads/x/a.py"));
}

static void expect_path(const char *url, const char *path)
{
    auto_free char *got = code_url_path(url);

    if (path == NULL)
        assert_null(got);
    else
        assert_string_equal(got, path);
}

static void test_path(void **state)
{
    (void)state;
    expect_path("https://h/d/a.py?x=b.sh#c.js", "/d/a.py");
    expect_path("https://h/a.py \n", "/a.py");
    expect_path("https://h.py", "");
    expect_path("https://h.py?x", "");
    expect_path("a.py", NULL);
    expect_path("a.py?://b", NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_github),   cmocka_unit_test(test_gist),
        cmocka_unit_test(test_ceilings), cmocka_unit_test(test_ambiguous),
        cmocka_unit_test(test_path),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
