/* SPDX-License-Identifier: Apache-2.0 */
/* test_custom.c - names that custom images may have, and the hash of what they are made of. */
#include "oci/custom.h"

#include <string.h>

#include "base/mem.h"
#include "tests/support/test.h"

static void test_names(void **state)
{
    static const char *const good[][2] = {
        { "a", "a:latest" },
        { "my-env:1.0", "my-env:1.0" },
        { "isol8:my-env", "isol8:my-env" },
        { "isol8", "isol8:latest" },
        { "isol8:python-ml", "isol8:python-ml" },
        { "reg.example:5000/a/b:t", "reg.example:5000/a/b:t" },
        { "hosts", "hosts:latest" },
        { "host:1", "host:1" },
    };
    static const char *const bad[] = {
        "isol8:python", "isol8:node", "isol8:bun", "isol8:deno",  "isol8:bash", "isol8:agent",
        "isol8:base",   "host",       "",          ":a",          "a:",         "a:b:c",
        "a@sha256:00",  "-a",         "../a",      "a/../b",      "a b",        "a//b",
        "a/",           "a\nb",       "a;b",       "host:latest", "a/:b",       "\xc3\xa9",
    };
    char full[OCI_NAME_MAX + 1];

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        assert_int_equal(oci_custom_name(good[i][0], full, NULL), 0);
        assert_string_equal(full, good[i][1]);
    }
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        if (oci_custom_name(bad[i], full, NULL) != ISOL8_E_INVAL)
            fail_msg("not refused: %s", bad[i]);
    }
    assert_int_equal(oci_custom_name(NULL, full, NULL), ISOL8_E_INVAL);
    assert_false(oci_custom_is_base("isol8:my-env"));
    assert_false(oci_custom_is_base("python"));
    assert_false(oci_custom_is_base(""));
}

static void hash(const char *runtime, const char *const *packages, size_t n, const char *setup,
                 char out[HASH_SHA256_HEX_SIZE])
{
    struct oci_custom_args args = {
        .runtime = runtime, .packages = packages, .n_packages = n, .setup = setup
    };

    assert_int_equal(oci_custom_hash(&args, out, NULL), 0);
}

static void test_hash(void **state)
{
    static const struct {
        const char *runtime;
        const char *packages[3];
        size_t n;
        const char *setup;
    } all[] = {
        { "python", { "ab", "c" }, 2, NULL }, { "python", { "a", "bc" }, 2, NULL },
        { "python", { "abc" }, 1, NULL },     { "python", { "ab", "c" }, 2, "x" },
        { "python", { "ab" }, 1, "c" },       { "python", { "setup", "x" }, 2, NULL },
        { "python", { NULL }, 0, "x" },       { "python", { NULL }, 0, "x\n" },
        { "python", { "5:setup" }, 1, "x" },  { "python", { "ab", "setup:c" }, 2, NULL },
        { "node", { "ab", "c" }, 2, NULL },   { "bun", { "ab", "c" }, 2, NULL },
        { "agent", { "ab", "c" }, 2, NULL },
    };
    char hashes[ARRAY_LEN(all)][HASH_SHA256_HEX_SIZE], again[HASH_SHA256_HEX_SIZE];

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(all); i++) {
        hash(all[i].runtime, all[i].packages, all[i].n, all[i].setup, hashes[i]);
        hash(all[i].runtime, all[i].packages, all[i].n, all[i].setup, again);
        assert_string_equal(hashes[i], again);
        for (size_t k = 0; k < i; k++) {
            if (strcmp(hashes[i], hashes[k]) == 0)
                fail_msg("%zu and %zu have the same hash", i, k);
        }
    }
}

static void test_unknown_runtime(void **state)
{
    struct oci_custom_args args = { .runtime = "perl" };
    char out[HASH_SHA256_HEX_SIZE];

    (void)state;
    assert_int_equal(oci_custom_hash(&args, out, NULL), ISOL8_E_INVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_hash),
        cmocka_unit_test(test_unknown_runtime),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
