/* SPDX-License-Identifier: Apache-2.0 */
/* test_recipe.c - the compiled-in recipes are valid for both architectures; bad ones are refused.
 */
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "oci/recipe.h"
#include "tests/support/test.h"

#define SHA "sha512-" A40 A40 "AAAAAA=="
#define A40 "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"

static void test_compiled_in(void **state)
{
    static const char *const runtimes[] = {
        "base", "bash", "python", "node", "bun", "deno", "agent"
    };
    static const char *const archs[] = { "amd64", "arm64" };
    isol8_error err;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(runtimes); i++) {
        const struct recipe_file *f = recipe_file_find(runtimes[i], "recipe.json");
        assert_non_null(f);
        for (size_t k = 0; k < ARRAY_LEN(archs); k++) {
            struct recipe r;
            if (recipe_parse(&r, runtimes[i], archs[k], (const char *)f->data,
                             (size_t)(f->end - f->data), NULL, 0, &err) < 0)
                fail_msg("%s: %s", runtimes[i], err.msg);
            recipe_done(&r);
        }
    }
    struct recipe r;
    assert_int_equal(recipe_load(&r, "cobol", &err), ISOL8_E_INVAL);
    assert_int_equal(recipe_load(&r, "../python", &err), ISOL8_E_INVAL);
}

/* Files that a recipe names are compiled in, too. */
static void test_named_files(void **state)
{
    static const char *const runtimes[] = { "base", "bash", "python", "agent" };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(runtimes); i++) {
        struct recipe r;
        assert_int_equal(recipe_load(&r, runtimes[i], NULL), 0);
        if (r.run_file != NULL)
            assert_non_null(recipe_file_find(runtimes[i], r.run_file));
        for (size_t k = 0; k < r.n_files; k++)
            assert_non_null(recipe_file_find(runtimes[i], r.files[k].file));
        recipe_done(&r);
    }
}

static bool has(const struct recipe_list *l, const char *text)
{
    for (size_t i = 0; i < l->n; i++) {
        if (strcmp(l->items[i], text) == 0)
            return true;
    }
    return false;
}

/* "keep" takes back patterns of the base; a misspelt one would keep nothing. */
static void test_keep(void **state)
{
    struct recipe base, bash;

    (void)state;
    assert_int_equal(recipe_load(&base, "base", NULL), 0);
    assert_int_equal(recipe_load(&bash, "bash", NULL), 0);
    assert_true(bash.keep.n > 0);
    for (size_t i = 0; i < bash.keep.n; i++)
        assert_true(has(&base.exclude, bash.keep.items[i]));
    recipe_done(&base);
    recipe_done(&bash);
}

static void test_refused(void **state)
{
    static const char *const bad[] = {
        "",
        "[]",
        "{\"packages\":\"x\"}",
        "{\"packages\":[1]}",
        "{\"packages\":[\"\"]}",
        "{\"dirs\":[\"/abs\"]}",
        "{\"dirs\":[\"a/../b\"]}",
        "{\"links\":{\"/x\":\"y\"}}",
        "{\"links\":{\"x\":\"../y\"}}",
        "{\"links\":{\"x\":1}}",
        "{\"caBundle\":\"../x\"}",
        "{\"run\":{\"take\":[\"x\"]}}",
        "{\"files\":[{\"file\":\"x\"}]}",
        "{\"files\":[{\"file\":\"x\",\"to\":\"../x\"}]}",
        "{\"npm\":[{\"package\":\"x\",\"version\":\"1\"}]}",
        "{\"npm\":[{\"package\":\"x\",\"version\":\"1\",\"integrity\":\"sha512-AAAA\"}]}",
        "{\"npm\":[{\"package\":\"../x\",\"version\":\"1\",\"integrity\":\"" SHA "\"}]}",
        "{\"npm\":[{\"package\":\"x?y\",\"version\":\"1\",\"integrity\":\"" SHA "\"}]}",
        "{\"npm\":[{\"package\":\"x\",\"version\":\"1/2\",\"integrity\":\"" SHA "\"}]}",
        "{\"npm\":[{\"package\":{\"arm64\":\"x\"},\"version\":\"1\",\"integrity\":\"" SHA "\"}]}",
        "{\"npm\":[{\"package\":\"x\",\"version\":\"1\",\"integrity\":\"" SHA
        "\",\"take\":{\"a\":\"/b\"}}]}",
        "{\"lock\":{\"file\":\"none.json\",\"to\":\"x\"}}",
        "{\"lock\":{\"file\":\"lock.json\"}}",
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct recipe r;
        if (recipe_parse(&r, "none", "amd64", bad[i], strlen(bad[i]), NULL, 0, NULL) !=
            ISOL8_E_INVAL)
            fail_msg("accepted: %s", bad[i]);
    }
}

static void test_lock(void **state)
{
    static const char doc[] = "{\"lock\":{\"file\":\"l\",\"to\":\"opt\",\"exclude\":[\"*.md\"]}}";
    static const char good[] = "[{\"path\":\"node_modules/@a/b\",\"name\":\"@a/b\","
                               "\"version\":\"1.0.0\",\"integrity\":\"" SHA "\"}]";
    static const char bad[] = "[{\"path\":\"../b\",\"name\":\"b\",\"version\":\"1.0.0\","
                              "\"integrity\":\"" SHA "\"}]";
    struct recipe r;

    (void)state;
    assert_int_equal(recipe_parse(&r, "x", "amd64", doc, strlen(doc), good, strlen(good), NULL), 0);
    assert_int_equal(r.n_npm, 1);
    assert_string_equal(r.npm[0].package, "@a/b");
    assert_string_equal(r.npm[0].lock_path, "node_modules/@a/b");
    assert_string_equal(r.lock_to, "opt");
    recipe_done(&r);
    assert_int_equal(recipe_parse(&r, "x", "amd64", doc, strlen(doc), bad, strlen(bad), NULL),
                     ISOL8_E_INVAL);
}

static void test_list_ceiling(void **state)
{
    static char text[16 + 4 * (RECIPE_LIST_MAX + 1)];
    struct recipe r;

    (void)state;
    for (size_t n = RECIPE_LIST_MAX; n <= RECIPE_LIST_MAX + 1; n++) {
        size_t len = (size_t)snprintf(text, sizeof(text), "{\"dirs\":[\"a\"");
        for (size_t i = 1; i < n; i++)
            len += (size_t)snprintf(text + len, sizeof(text) - len, ",\"a\"");
        len += (size_t)snprintf(text + len, sizeof(text) - len, "]}");
        int status = recipe_parse(&r, "x", "amd64", text, len, NULL, 0, NULL);
        assert_int_equal(status, n <= RECIPE_LIST_MAX ? 0 : ISOL8_E_LIMIT);
        if (status == 0)
            recipe_done(&r);
    }
}

static void test_hash(void **state)
{
    char a[HASH_SHA256_HEX_SIZE], b[HASH_SHA256_HEX_SIZE];

    (void)state;
    assert_int_equal(recipe_hash("python", "ca", 2, a, NULL), 0);
    assert_int_equal(recipe_hash("python", "ca", 2, b, NULL), 0);
    assert_string_equal(a, b);
    assert_int_equal(recipe_hash("python", "cb", 2, b, NULL), 0);
    assert_string_not_equal(a, b);
    assert_int_equal(recipe_hash("node", "ca", 2, b, NULL), 0);
    assert_string_not_equal(a, b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_compiled_in), cmocka_unit_test(test_named_files),
        cmocka_unit_test(test_keep),        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_lock),        cmocka_unit_test(test_list_ceiling),
        cmocka_unit_test(test_hash),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
