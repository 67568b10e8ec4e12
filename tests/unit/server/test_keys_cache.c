/* SPDX-License-Identifier: Apache-2.0 */
/* test_keys_cache.c - what is remembered of keys, and what makes it be forgotten. */
#include "server/keys/cache.h"
#include "tests/support/test.h"

#include <string.h>

#include "server/keys/keys.h"

static const char now[] = "2026-01-01T00:00:00.000Z";
static const struct keys_found key = { .tenant = "t", .expires = "2026-01-01T00:00:01.000Z" };
static struct keys_cache cache;

static const uint8_t *digest(unsigned char first, unsigned char last)
{
    static uint8_t d[KEYS_DIGEST_SIZE];

    d[1] = first;
    d[KEYS_DIGEST_SIZE - 1] = last;
    return d;
}

static enum cache_look look(unsigned char first, unsigned char last)
{
    struct keys_found found;
    enum cache_look l = keys_cache_look(&cache, digest(first, last), now, &found);

    if (l == CACHE_FRESH)
        assert_string_equal(found.tenant, "t");
    return l;
}

static void put(unsigned char first, unsigned char last, const struct keys_found *found)
{
    keys_cache_put(&cache, digest(first, last), keys_cache_generation(&cache), found);
}

static int setup(void **state)
{
    (void)state;
    keys_cache_init(&cache);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    keys_cache_done(&cache);
    return 0;
}

static void test_places(void **state)
{
    (void)state;
    assert_int_equal(look(0, 0), CACHE_NEVER);
    put(1, 1, &key);
    assert_int_equal(look(1, 1), CACHE_FRESH);
    assert_int_equal(look(1, 2), CACHE_NEVER);
    assert_int_equal(look(2, 1), CACHE_NEVER);
    put(1, 2, &key); /* takes the place */
    assert_int_equal(look(1, 1), CACHE_NEVER);
    assert_int_equal(look(1, 2), CACHE_FRESH);
    put(1, 1, NULL); /* another key: this one stays */
    assert_int_equal(look(1, 2), CACHE_FRESH);
    put(1, 2, NULL);
    assert_int_equal(look(1, 2), CACHE_NEVER);
}

static void test_ends(void **state)
{
    struct keys_found found;

    (void)state;
    put(1, 1, &key);
    assert_int_equal(keys_cache_look(&cache, digest(1, 1), key.expires, &found), CACHE_STALE);
    assert_int_equal(look(1, 1), CACHE_FRESH);
    cache.entries[1].then_ns -= (uint64_t)CACHE_FRESH_MS * 1000000u;
    assert_int_equal(look(1, 1), CACHE_STALE);
}

static void test_revoke(void **state)
{
    (void)state;
    put(1, 1, &key);
    uint64_t before = keys_cache_generation(&cache);
    keys_cache_expire(&cache);
    assert_int_equal(look(1, 1), CACHE_STALE);
    /* A look-up that began before the revoke may have seen the key as it was. */
    keys_cache_put(&cache, digest(2, 2), before, &key);
    assert_int_equal(look(2, 2), CACHE_NEVER);
    put(2, 2, &key);
    assert_int_equal(look(2, 2), CACHE_FRESH);
}

static void test_forms(void **state)
{
    static const char good[] =
        "isol8_0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
    char bad[sizeof(good)];

    (void)state;
    assert_true(srv_keys_has_form(good));
    assert_false(srv_keys_has_form(""));
    assert_false(srv_keys_has_form(good + 1));
    for (size_t i = 0; i < sizeof(good) - 1; i++) {
        memcpy(bad, good, sizeof(good));
        bad[i] = 'G';
        assert_false(srv_keys_has_form(bad));
    }
}

static void test_words(void **state)
{
    char longest[KEYS_TENANT_MAX + 2];

    (void)state;
    memset(longest, 'x', sizeof(longest));
    assert_true(keys_word_is_valid("a", 1));
    assert_true(keys_word_is_valid("\xc3\xbc '\";--", 8));
    assert_true(keys_word_is_valid("\xc2\xa0", 2));
    assert_true(keys_word_is_valid(longest, KEYS_TENANT_MAX));
    assert_false(keys_word_is_valid(longest, KEYS_TENANT_MAX + 1));
    assert_false(keys_word_is_valid("", 0));
    assert_false(keys_word_is_valid("a\0b", 3));
    assert_false(keys_word_is_valid("\n", 1));
    assert_false(keys_word_is_valid("\x7f", 1));
    assert_false(keys_word_is_valid("\xc2\x85", 2));
    assert_false(keys_word_is_valid("\xff", 1));
    assert_false(keys_word_is_valid("\xc3", 1));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_places, setup, teardown),
        cmocka_unit_test_setup_teardown(test_ends, setup, teardown),
        cmocka_unit_test_setup_teardown(test_revoke, setup, teardown),
        cmocka_unit_test(test_forms),
        cmocka_unit_test(test_words),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
