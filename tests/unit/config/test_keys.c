/* SPDX-License-Identifier: Apache-2.0 */
/* test_keys.c - the key table is sound, and names what the JSON Schema names. */
#include "config/conf_internal.h"
#include "tests/support/test.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/path.h"

static void test_defaults_are_valid(void **state)
{
    struct conf_fault f;

    (void)state;
    for (const struct conf_key *k = conf_keys; k->path != NULL; k++) {
        if (k->fallback == NULL)
            continue;
        auto_json cJSON *v = cJSON_Parse(k->fallback);
        assert_non_null(v);
        assert_true(conf_check(k, v, &f));
        if (k->trust != CONF_ANYONE)
            assert_true(conf_trust_allows(k, v));
    }
}

static void test_paths_have_sections(void **state)
{
    (void)state;
    for (const struct conf_key *k = conf_keys; k->path != NULL; k++) {
        const char *dot = strrchr(k->path, '.');
        char section[CONF_PATH_MAX];
        if (dot == NULL)
            continue;
        (void)snprintf(section, sizeof(section), "%.*s", (int)(dot - k->path), k->path);
        assert_non_null(conf_section_find(section));
    }
}

/* The object that a "$ref" or an "anyOf" with one stands for. */
static const cJSON *resolve(const cJSON *root, const cJSON *node)
{
    const cJSON *any = cJSON_GetObjectItemCaseSensitive(node, "anyOf");
    const char *ref = json_string(any != NULL ? any->child : node, "$ref");

    if (ref == NULL)
        return node;
    const cJSON *definitions = cJSON_GetObjectItemCaseSensitive(root, "definitions");
    return cJSON_GetObjectItemCaseSensitive(definitions, strrchr(ref, '/') + 1);
}

static const cJSON *schema_at(const cJSON *root, const char *path)
{
    const cJSON *node = resolve(root, root);

    while (node != NULL && *path != '\0') {
        char name[64];
        size_t n = strcspn(path, ".");
        (void)snprintf(name, sizeof(name), "%.*s", (int)n, path);
        node = cJSON_GetObjectItemCaseSensitive(
            cJSON_GetObjectItemCaseSensitive(node, "properties"), name);
        node = resolve(root, node);
        path += path[n] == '.' ? n + 1 : n;
    }
    return node;
}

static size_t count_leaves(const cJSON *root, const char *path)
{
    const cJSON *properties = cJSON_GetObjectItemCaseSensitive(schema_at(root, path), "properties");
    const cJSON *p;
    size_t n = 0;

    cJSON_ArrayForEach(p, properties)
    {
        char child[CONF_PATH_MAX];
        (void)snprintf(child, sizeof(child), "%s%s%s", path, *path == '\0' ? "" : ".", p->string);
        n += conf_section_find(child) != NULL ? count_leaves(root, child) : 1;
    }
    return n;
}

static void test_schema_has_the_same_keys(void **state)
{
    auto_buf struct buf text = BUF_INIT(1u << 20);
    auto_json cJSON *root = NULL;
    isol8_error err;
    size_t n = 0;

    (void)state;
    assert_int_equal(path_read(AT_FDCWD, ISOL8_SOURCE_DIR "/schema/isol8.config.schema.json",
                               1u << 20, &text, &err),
                     0);
    assert_int_equal(json_parse(&root, buf_text(&text), text.len, "schema", &err), 0);
    for (const struct conf_key *k = conf_keys; k->path != NULL; k++, n++) {
        const cJSON *node = schema_at(root, k->path);
        if (node == NULL)
            fail_msg("%s is missing in the schema", k->path);
        const cJSON *fallback = cJSON_GetObjectItemCaseSensitive(node, "default");
        if (k->fallback == NULL || fallback == NULL)
            continue;
        auto_json cJSON *v = cJSON_Parse(k->fallback);
        if (!cJSON_Compare(v, fallback, true))
            fail_msg("%s: another default in the schema", k->path);
    }
    assert_int_equal(count_leaves(root, ""), n);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults_are_valid),
        cmocka_unit_test(test_paths_have_sections),
        cmocka_unit_test(test_schema_has_the_same_keys),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
