/* SPDX-License-Identifier: Apache-2.0 */
/* test_rules.c - order of the lists, dialect, limits, messages. */
#include "proxy/rules.h"
#include "tests/support/test.h"

#include <pthread.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "proxy/host.h"

enum { LIST_MAX = 4, LATE_NS = 1000000000 };

static size_t count(const char *const *list)
{
    size_t n = 0;

    while (n < LIST_MAX && list[n] != NULL)
        n++;
    return n;
}

static struct proxy_rules *rules_of(const char *const *allow, const char *const *deny)
{
    struct proxy_rules *r = NULL;
    isol8_error err;

    if (proxy_rules_new(&r, "allow", allow, count(allow), "deny", deny, count(deny), &err) < 0)
        fail_msg("%s", err.msg);
    return r;
}

static void test_order(void **state)
{
    static const struct {
        const char *allow[LIST_MAX], *deny[LIST_MAX];
        const char *host;
        bool is_allowed;
        const char *rule, *reason;
    } rows[] = {
        { { NULL }, { NULL }, "a.com", true, NULL, "no allow list" },
        { { NULL }, { "^b" }, "a.com", true, NULL, "no allow list" },
        { { NULL }, { "^a" }, "a.com", false, "^a", "denied by rule" },
        { { "^a" }, { "com$" }, "a.com", false, "com$", "denied by rule" },
        { { "^b", "^a" }, { "^c" }, "a.com", true, "^a", "allowed by rule" },
        { { "^b", "^c" }, { NULL }, "a.com", false, NULL, "not on the allow list" },
        { { "" }, { NULL }, "a.com", true, "", "allowed by rule" },
        { { NULL }, { "" }, "a.com", false, "", "denied by rule" },
        { { "^10\\.0\\.0\\.1$" },
          { NULL },
          "10.0.0.1",
          true,
          "^10\\.0\\.0\\.1$",
          "allowed by rule" },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        auto_proxy_rules struct proxy_rules *r = rules_of(rows[i].allow, rows[i].deny);
        struct proxy_decision d = proxy_rules_match(r, rows[i].host);
        assert_int_equal(d.is_allowed, rows[i].is_allowed);
        assert_string_equal(d.reason, rows[i].reason);
        if (rows[i].rule == NULL)
            assert_null(d.rule);
        else
            assert_string_equal(d.rule, rows[i].rule);
    }
}

/* A second list that the first one's author cannot get around. */
static void test_bound(void **state)
{
    static const char *const bounds[] = { "\\.example\\.com$", "^one\\.x$" };
    static const struct {
        const char *allow, *deny, *host, *reason;
        bool is_allowed;
    } rows[] = {
        { ".*", NULL, "a.example.com", "allowed by rule", true },
        { ".*", NULL, "evil.net", "outside the operator's allow list", false },
        { NULL, NULL, "one.x", "no allow list", true },
        { NULL, NULL, "two.x", "outside the operator's allow list", false },
        { "^b\\.", NULL, "a.example.com", "not on the allow list", false },
        { ".*", "^a\\.", "a.example.com", "denied by rule", false },
    };
    isol8_error err;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        auto_proxy_rules struct proxy_rules *r = NULL;
        assert_int_equal(proxy_rules_new(&r, "allow", &rows[i].allow, rows[i].allow != NULL, "deny",
                                         &rows[i].deny, rows[i].deny != NULL, &err),
                         0);
        assert_int_equal(proxy_rules_bound(r, "bound", bounds, ARRAY_LEN(bounds), &err), 0);
        struct proxy_decision d = proxy_rules_match(r, rows[i].host);
        assert_int_equal(d.is_allowed, rows[i].is_allowed);
        assert_string_equal(d.reason, rows[i].reason);
    }
    static const char *const bad[] = { "(" };
    auto_proxy_rules struct proxy_rules *r = NULL;
    assert_int_equal(proxy_rules_new(&r, "allow", NULL, 0, "deny", NULL, 0, &err), 0);
    assert_int_equal(proxy_rules_bound(r, "bound", bad, 1, &err), ISOL8_E_INVAL);
    assert_non_null(strstr(err.msg, "bound[0]"));
}

static bool matches(const char *pattern, const char *host)
{
    const char *const allow[LIST_MAX] = { pattern }, *const none[LIST_MAX] = { NULL };
    auto_proxy_rules struct proxy_rules *r = rules_of(allow, none);

    return proxy_rules_match(r, host).is_allowed;
}

static void test_dialect(void **state)
{
    static const struct {
        const char *pattern, *host;
        bool is_match;
    } rows[] = {
        { "example\\.com", "evil-example.com.attacker.net", true }, /* searched, as documented */
        { "^example\\.com$", "example.com", true },
        { "^EXAMPLE\\.com$", "example.com", true },
        { "^example\\.com$", "xexample.com", false },
        { "^example\\.com$", "example.comx", false },
        { "^(foo|bar)[0-9]{1,3}\\.x$", "bar42.x", true }, /* POSIX extended */
        { "^[[:alpha:]]+\\.x$", "abc.x", true },
        { "^[[:alpha:]]+\\.x$", "ab1.x", false },
        { "^[]a]\\.x$", "a.x", true },
        { "^(?:a|b)\\.x$", "b.x", true }, /* ECMAScript */
        { "^\\d+\\.\\w+$", "12.ab_c", true },
        { "^(?!evil)[a-z]+\\.x$", "evil.x", false },
        { "^(?!evil)[a-z]+\\.x$", "good.x", true },
        { "^[a-z]+?\\.x$", "abc.x", true },
        { "^(?<n>a)\\.x$", "a.x", true },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        if (matches(rows[i].pattern, rows[i].host) != rows[i].is_match)
            fail_msg("%s on %s", rows[i].pattern, rows[i].host);
    }
}

/* What a client writes goes through the normal form first: no spelling passes a deny rule. */
static void test_spellings_of_a_denied_name(void **state)
{
    static const char *const spellings[] = { "EXAMPLE.COM", "example.com.", "Example.com.",
                                             "\xef\xbd\x85xample.com", "exa\xc2\xadmple.com" };
    static const char *const none[LIST_MAX] = { NULL };
    static const char *const deny[LIST_MAX] = { "^example\\.com$" };
    auto_proxy_rules struct proxy_rules *r = rules_of(none, deny);

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(spellings); i++) {
        struct proxy_host h;
        assert_true(proxy_host_parse(spellings[i], strlen(spellings[i]), &h));
        assert_false(proxy_rules_match(r, h.text).is_allowed);
    }
}

static void test_invalid_patterns_are_named(void **state)
{
    static const struct {
        const char *pattern, *message;
    } rows[] = {
        { "a(", "network.whitelist[1]: 'a(' at offset 2: missing closing parenthesis" },
        { "*.example.com", "network.whitelist[1]: '*.example.com' at offset 0: quantifier does not "
                           "follow a repeatable item" },
        { "[a", "network.whitelist[1]: '[a' at offset 2: missing terminating ] for character "
                "class" },
        { "b\xc3\xbc"
          "cher",
          "network.whitelist[1]: 'b\xc3\xbc"
          "cher' can match no name: write "
          "names as xn--..." },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        const char *const patterns[] = { "ok", rows[i].pattern };
        struct proxy_rules *r = NULL;
        isol8_error err;
        assert_int_equal(
            proxy_rules_new(&r, "network.whitelist", patterns, 2, "deny", NULL, 0, &err),
            ISOL8_E_INVAL);
        assert_err(err, ISOL8_E_INVAL, rows[i].message);
        assert_null(r);
        assert_int_equal(
            proxy_rules_new(&r, "allow", NULL, 0, "network.blacklist", patterns, 2, &err),
            ISOL8_E_INVAL);
        assert_non_null(strstr(err.msg, "network.blacklist[1]: "));
    }
}

static void test_switches_in_patterns(void **state)
{
    static const char *const bad[] = { "(*UTF)a", "(*UCP)a", "a\\Cb" };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct proxy_rules *r = NULL;
        assert_int_equal(proxy_rules_new(&r, "a", &bad[i], 1, "d", NULL, 0, NULL), ISOL8_E_INVAL);
    }
    /* A pattern may lower the limit for itself but not raise it. */
    assert_false(matches("(*LIMIT_MATCH=4000000000)^(a+)+[bc]$",
                         "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"));
}

static const char *const explosive[] = {
    "^(a+)+[bc]",
    "(a|a)*[bc]",
    "(a|aa)+[bc]",
    "(.*)*[bc]",
    "a*a*a*a*a*a*a*a*[bc]",
    "(?:(?:(?:a+)+)+)+[bc]",
    "\\w*?\\w*?\\w*?\\w*?\\w*?[bc]",
    "(.+)+\\1+[bc]",
    "(\\w*)(\\w*)(\\w*)(\\w*)\\4\\3\\2\\1[bc]",
    "(?(?=a*a*a*[bc])x|a*a*a*[bc])",
    "(*NO_JIT)(?(?=a*a*a*[bc])x|a*a*a*[bc])",
    "(*NO_JIT)(a+)+[bc]",
};

static void fill_host(char host[PROXY_NAME_MAX + 1])
{
    memset(host, 'a', PROXY_NAME_MAX);
    host[PROXY_NAME_MAX] = '\0';
}

/* In the deny list it would fail open, in the allow list another rule might still allow. */
static void test_pattern_that_explodes_blocks(void **state)
{
    char host[PROXY_NAME_MAX + 1];

    (void)state;
    fill_host(host);
    for (size_t i = 0; i < ARRAY_LEN(explosive); i++) {
        const char *const none[LIST_MAX] = { NULL };
        const char *const list[LIST_MAX] = { explosive[i], "a" };
        auto_proxy_rules struct proxy_rules *deny = rules_of(none, list);
        auto_proxy_rules struct proxy_rules *allow = rules_of(list, none);
        uint64_t start = clock_now_ns();
        struct proxy_decision d = proxy_rules_match(deny, host);
        assert_false(d.is_allowed);
        assert_string_equal(d.reason, "rule hit its step limit");
        assert_string_equal(d.rule, explosive[i]);
        d = proxy_rules_match(allow, host);
        assert_false(d.is_allowed);
        assert_string_equal(d.reason, "rule hit its step limit");
        /* A hundredth of this is usual. */
        assert_true(clock_now_ns() - start < LATE_NS);
        /* Names that give it nothing to chew on are judged as always. */
        assert_true(proxy_rules_match(deny, "x.y").is_allowed);
    }
}

/* Each just below the step limit, together far above any patience. */
static void test_many_slow_patterns_block(void **state)
{
    static const char *patterns[PROXY_RULES_MAX];
    char host[PROXY_NAME_MAX + 1];
    struct proxy_rules *r = NULL;

    (void)state;
    fill_host(host);
    for (size_t i = 0; i < ARRAY_LEN(patterns); i++)
        patterns[i] = "(*NO_JIT)(.*)\\1[bc]";
    assert_int_equal(proxy_rules_new(&r, "a", NULL, 0, "d", patterns, PROXY_RULES_MAX, NULL), 0);
    uint64_t start = clock_now_ns();
    struct proxy_decision d = proxy_rules_match(r, host);
    assert_false(d.is_allowed);
    assert_string_equal(d.reason, "rules hit their time limit");
    assert_true(clock_now_ns() - start < LATE_NS);
    assert_true(proxy_rules_match(r, "xyz").is_allowed);
    proxy_rules_free(r);
}

static void test_ceilings(void **state)
{
    static const char *patterns[PROXY_RULES_MAX + 1];
    static char text[PROXY_PATTERN_MAX + 2];
    const char *one = text;
    struct proxy_rules *r = NULL;
    isol8_error err;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(patterns); i++)
        patterns[i] = "x";
    assert_int_equal(proxy_rules_new(&r, "a", patterns, PROXY_RULES_MAX, "d", NULL, 0, &err), 0);
    proxy_rules_free(r);
    r = NULL;
    assert_int_equal(proxy_rules_new(&r, "a", patterns, PROXY_RULES_MAX + 1, "d", NULL, 0, &err),
                     ISOL8_E_LIMIT);
    assert_err(err, ISOL8_E_LIMIT, "a: more than 4096 patterns");
    memset(text, 'x', PROXY_PATTERN_MAX);
    assert_int_equal(proxy_rules_new(&r, "a", &one, 1, "d", NULL, 0, &err), 0);
    proxy_rules_free(r);
    r = NULL;
    text[PROXY_PATTERN_MAX] = 'x';
    assert_int_equal(proxy_rules_new(&r, "a", NULL, 0, "d", &one, 1, &err), ISOL8_E_LIMIT);
    assert_err(err, ISOL8_E_LIMIT, "d[0]: longer than 4096 bytes");
    assert_null(r);
}

/* Short patterns that unfold into much code. */
static void test_memory_ceiling(void **state)
{
    static const char *patterns[PROXY_RULES_MAX];
    struct proxy_rules *r = NULL;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(patterns); i++)
        patterns[i] = "(?:(?:[a-z]{1,9}x){1,20}y){40}";
    assert_int_equal(proxy_rules_new(&r, "a", patterns, PROXY_RULES_MAX, "d", NULL, 0, NULL),
                     ISOL8_E_LIMIT);
    assert_null(r);
}

static void *match_often(void *user)
{
    const struct proxy_rules *r = user;
    uintptr_t wrong = 0;

    for (unsigned i = 0; i < 20000; i++) {
        wrong += !proxy_rules_match(r, "api.example.com").is_allowed;
        wrong += proxy_rules_match(r, "other.example.net").is_allowed;
    }
    return (void *)wrong; /* NOLINT(performance-no-int-to-ptr): a count, not an address */
}

static void test_threads_share_rules(void **state)
{
    static const char *const allow[LIST_MAX] = { "(^|\\.)example\\.com$" };
    static const char *const deny[LIST_MAX] = { "^evil" };
    auto_proxy_rules struct proxy_rules *r = rules_of(allow, deny);
    pthread_t threads[4];

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(threads); i++)
        assert_int_equal(pthread_create(&threads[i], NULL, match_often, r), 0);
    for (size_t i = 0; i < ARRAY_LEN(threads); i++) {
        void *wrong = r;
        assert_int_equal(pthread_join(threads[i], &wrong), 0);
        assert_null(wrong);
    }
}

static void test_unanchored(void **state)
{
    static const char *const anchored[] = {
        "^example\\.com$", "^(a|b)\\.com$",     "^a$|^b$",   "(^a$)",       "(?:^a$|^b$)",
        "(^|\\.)a\\.com$", "(?:^|\\.)a\\.com$", "(\\.|^)a$", "\\.a\\.com$", "[.]a\\.com$",
        "(?i)^a$",         "\\Aa\\z",           "^a\\\\$",   "^[|(]$",      "^(a|(b|c))$",
        "^[^]|]+$",        "^.*example\\.com$", /* only a look at the text */
    };
    static const char *const unanchored[] = {
        "",       "a",        "^a",      "a$",         "^a|b$",      "^a$|b",
        "^a\\$",  "(^a$|b)",  "(^|x)a$", "(^|\\.)?a$", "(^|\\.?)a$", ".*\\.a$",
        "\\.?a$", "^*a$",     "(?=^)a$", "(|^)a$",     "\\Q^a$\\E",  "example.com",
        "^(a|b)", "(",        ")",       "|",          "^a$|",       "[",
        "\\",     "(^a$){0}", "(?:",     "$",          "^a\\\\\\$",
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(anchored); i++) {
        if (proxy_rules_is_unanchored(anchored[i]))
            fail_msg("unanchored: %s", anchored[i]);
    }
    for (size_t i = 0; i < ARRAY_LEN(unanchored); i++) {
        if (!proxy_rules_is_unanchored(unanchored[i]))
            fail_msg("anchored: %s", unanchored[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_order),
        cmocka_unit_test(test_bound),
        cmocka_unit_test(test_dialect),
        cmocka_unit_test(test_spellings_of_a_denied_name),
        cmocka_unit_test(test_invalid_patterns_are_named),
        cmocka_unit_test(test_switches_in_patterns),
        cmocka_unit_test(test_pattern_that_explodes_blocks),
        cmocka_unit_test(test_many_slow_patterns_block),
        cmocka_unit_test(test_ceilings),
        cmocka_unit_test(test_memory_ceiling),
        cmocka_unit_test(test_threads_share_rules),
        cmocka_unit_test(test_unanchored),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
