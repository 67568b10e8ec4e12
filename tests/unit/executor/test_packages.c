/* SPDX-License-Identifier: Apache-2.0 */
/* test_packages.c - which package names are handed to a package manager. */
#include "executor/packages.h"

#include <string.h>

#include "base/mem.h"
#include "executor/runtimes.h"
#include "tests/support/test.h"

static int check(const char *runtime, const char *name)
{
    return packages_check(exec_runtime_find(runtime), &name, 1, NULL);
}

static void test_debian(void **state)
{
    static const char *const good[] = {
        "jq", "g++", "libstdc++6", "7zip", "lib.x", "jq=1.6-2.1", "a=1:2.0~rc1+b1-1", "python3.11",
    };
    static const char *const bad[] = {
        "",     "JQ",    "-jq",        "--allow-unauthenticated",
        "jq-",  "+jq",   "jq:i386",    "jq/sid",
        "jq^",  "jq=",   "jq=1=2",     "=1",
        "j q",  "jq;id", "./jq.deb",   "../jq",
        "j..q", "jq\n",  "jq=$(id)",   "~nlib",
        "?any", "j*",    "jQ",         "jq=1.6/sid",
        "jq_1", "jq~",   "jq=1 jq2=2", "\xc3\xa9",
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        if (check("bash", good[i]) != 0)
            fail_msg("refused: %s", good[i]);
    }
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        if (check("bash", bad[i]) != ISOL8_E_INVAL)
            fail_msg("not refused: %s", bad[i]);
    }
}

static void test_others(void **state)
{
    static const char *const good[][2] = {
        { "python", "six" },           { "python", "requests[socks]>=2,<3" },
        { "node", "@scope/pkg@^1.2" }, { "bun", "is-number" },
        { "agent", "@scope/pkg" },     { "deno", "npm:@scope/pkg@1" },
    };
    static const char *const bad[][2] = {
        { "python", "--index-url=x" },
        { "python", "git+https://x" },
        { "python", "/tmp/x" },
        { "node", "-g" },
        { "node", "../x" },
        { "node", "git:x" },
        { "bun", "" },
        { "deno", "@x" },
        { "agent", "a;b" },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        if (check(good[i][0], good[i][1]) != 0)
            fail_msg("refused: %s", good[i][1]);
    }
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        if (check(bad[i][0], bad[i][1]) != ISOL8_E_INVAL)
            fail_msg("not refused: %s", bad[i][1]);
    }
}

static void test_message(void **state)
{
    const char *names[] = { "jq", "JQ" };
    isol8_error err = { 0 };

    (void)state;
    assert_int_equal(packages_check(exec_runtime_find("bash"), names, 2, &err), ISOL8_E_INVAL);
    assert_err(
        err, ISOL8_E_INVAL,
        "Invalid package name: \"JQ\". For bash it may begin with a lower-case letter, digit "
        "and hold letters, digits and +.-=:~");
}

static void test_limits(void **state)
{
    static char name[PACKAGE_NAME_MAX + 2];
    const char *names[PACKAGES_MAX + 1];

    (void)state;
    memset(name, 'a', PACKAGE_NAME_MAX);
    assert_int_equal(check("bash", name), 0);
    name[PACKAGE_NAME_MAX] = 'a';
    assert_int_equal(check("bash", name), ISOL8_E_INVAL);
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        names[i] = "jq";
    assert_int_equal(packages_check(exec_runtime_find("bash"), names, PACKAGES_MAX, NULL), 0);
    assert_int_equal(packages_check(exec_runtime_find("bash"), names, PACKAGES_MAX + 1, NULL),
                     ISOL8_E_LIMIT);
}

static void test_deno(void **state)
{
    static const char *const good[] = {
        "npm:chalk@5",
        "jsr:@std/assert@^1",
        "https://example.org/x@1.0/mod.ts",
        "https://example.org:8443/a/b_c.ts?x=1&y=%20",
    };
    static const char *const bad[] = {
        "http://example.org/x.ts",
        "https://",
        "https:///x.ts",
        "https://example.org",
        "https://user@example.org/x.ts",
        "https://user:pw@example.org/x.ts",
        "https://example.org/../x.ts",
        "https://example.org/x.ts;id",
        "https://example.org/x.ts y",
        "https://example.org/$(id)",
        "file:///etc/passwd",
        "/etc/passwd",
        "--reload",
        "chalk",
        "npm:",
        "npm:a:b",
        "main.ts",
    };
    isol8_error err = { 0 };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        if (check("deno", good[i]) != 0)
            fail_msg("refused: %s", good[i]);
    }
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        if (check("deno", bad[i]) != ISOL8_E_INVAL)
            fail_msg("not refused: %s", bad[i]);
    }
    assert_int_equal(check("python", good[2]), ISOL8_E_INVAL);
    assert_int_equal(packages_check(exec_runtime_find("deno"), bad, 1, &err), ISOL8_E_INVAL);
    assert_err(err, ISOL8_E_INVAL,
               "Invalid package name: \"http://example.org/x.ts\". For deno it is npm:NAME, "
               "jsr:NAME or the https:// address of a module");
}

static void test_patterns(void **state)
{
    static const char *const names[] = { "npm:a", "https://mod.example.org:1/x.ts", "https" };
    char *patterns[PACKAGE_HOSTS_MAX];
    size_t n;

    (void)state;
    assert_int_equal(packages_patterns("[\"a.example\",7]", names, 3, patterns, &n, NULL), 0);
    assert_int_equal(n, 3);
    assert_string_equal(patterns[0], "(?!)"); /* an empty list would allow every host */
    assert_string_equal(patterns[1], "^a\\.example$");
    assert_string_equal(patterns[2], "^mod\\.example\\.org$");
    packages_patterns_done(patterns, n);
    assert_int_equal(packages_patterns("[]", NULL, 0, patterns, &n, NULL), 0);
    assert_int_equal(n, 1);
    packages_patterns_done(patterns, n);
    assert_int_equal(packages_patterns("{", NULL, 0, patterns, &n, NULL), ISOL8_E_IMAGE);
}

static void test_environ(void **state)
{
    size_t n = 99;

    (void)state;
    const isol8_pair *env = packages_environ(exec_runtime_find("bash"), &n);
    assert_int_equal(n, PACKAGE_ENV_MAX);
    assert_string_equal(env[0].key, "PATH");
    assert_null(packages_environ(exec_runtime_find("python"), &n));
    assert_int_equal(n, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_debian),   cmocka_unit_test(test_others),
        cmocka_unit_test(test_message),  cmocka_unit_test(test_limits),
        cmocka_unit_test(test_environ),  cmocka_unit_test(test_deno),
        cmocka_unit_test(test_patterns),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
