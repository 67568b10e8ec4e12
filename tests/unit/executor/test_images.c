/* SPDX-License-Identifier: Apache-2.0 */
/* test_images.c - which image a request runs in, and what is missing there. */
#include "executor/images.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "executor/host.h"
#include "oci/oci_internal.h"
#include "tests/support/tmpdir.h"

struct fixture {
    struct tmpdir dir;
    struct isol8_host host;
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));

    tmpdir_open(&f->dir);
    assert_int_equal(oci_store_open(&f->host.store, f->dir.path, NULL), 0);
    assert_int_equal(exec_images_new(&f->host.images, NULL), 0);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    exec_images_free(f->host.images);
    oci_store_free(f->host.store);
    tmpdir_close(&f->dir);
    free(f);
    return 0;
}

/* An image whose layer nobody looks at. NULL: without that label. */
static void put(struct fixture *f, const char *name, const char *runtime, const char *packages,
                const char *setup_script)
{
    static const char digest[] =
        "sha256:0000000000000000000000000000000000000000000000000000000000000000";
    struct oci_manifest *m = calloc(1, sizeof(*m));
    struct oci_descriptor d;
    cJSON *config = cJSON_CreateObject(), *doc;
    cJSON *labels = cJSON_AddObjectToObject(cJSON_AddObjectToObject(config, "config"), "Labels");
    cJSON *ids = cJSON_AddArrayToObject(cJSON_AddObjectToObject(config, "rootfs"), "diff_ids");

    (void)cJSON_AddItemToArray(ids, cJSON_CreateString(digest));
    if (runtime != NULL)
        (void)cJSON_AddStringToObject(labels, OCI_LABEL_RUNTIME, runtime);
    if (packages != NULL)
        (void)cJSON_AddStringToObject(labels, OCI_LABEL_DEPENDENCIES, packages);
    if (setup_script != NULL)
        (void)cJSON_AddStringToObject(labels, OCI_LABEL_SETUP, setup_script);
    m->n_layers = 1;
    (void)snprintf(m->layers[0].media_type, sizeof(m->layers[0].media_type), "layer");
    memcpy(m->layers[0].digest, digest, sizeof(digest));
    assert_int_equal(oci_store_put_json(f->host.store, config, OCI_TYPE_CONFIG, &m->config, NULL),
                     0);
    doc = oci_manifest_json(m);
    assert_int_equal(oci_store_put_json(f->host.store, doc, OCI_TYPE_MANIFEST, &d, NULL), 0);
    assert_int_equal(oci_store_set_ref(f->host.store, name, &d, NULL), 0);
    cJSON_Delete(doc);
    cJSON_Delete(config);
    free(m);
}

/* @packages and @missing are words separated by spaces. */
static void expect(struct fixture *f, const char *runtime, const char *override,
                   const char *packages, const char *name, const char *missing, const char *script)
{
    char copy[128], *save = NULL;
    const char *list[16];
    size_t n = 0;
    auto_buf struct buf left = BUF_INIT(256);
    struct exec_image_choice c;

    (void)snprintf(copy, sizeof(copy), "%s", packages);
    for (char *p = copy; (p = strtok_r(p, " ", &save)) != NULL; p = NULL)
        list[n++] = p;
    assert_int_equal(
        exec_image_choose(&f->host, exec_runtime_find(runtime), override, list, n, &c, NULL), 0);
    assert_string_equal(c.name, name);
    for (size_t i = 0; i < c.n_missing; i++)
        (void)buf_addf(&left, "%s%s", i > 0 ? " " : "", c.missing[i]);
    assert_string_equal(buf_text(&left), missing);
    if (script == NULL)
        assert_null(c.setup);
    else
        assert_string_equal(c.setup, script);
    exec_image_choice_done(&c);
    exec_image_choice_done(&c);
}

static void test_base(void **state)
{
    struct fixture *f = *state;

    expect(f, "python", NULL, "", "isol8:python", "", NULL);
    expect(f, "python", NULL, "a b", "isol8:python", "a b", NULL);
    expect(f, "python", "host", "a", "host", "a", NULL);
    put(f, "isol8:python", "python", NULL, NULL);
    put(f, "only-setup", "python", "", "echo x");
    expect(f, "python", NULL, "", "isol8:python", "", NULL);
    expect(f, "python", NULL, "a", "isol8:python", "a", NULL);
}

static void test_match(void **state)
{
    struct fixture *f = *state;

    put(f, "large:1", "python", "a,b,c,d", "large");
    put(f, "medium:1", "python", "a,b,c", NULL);
    put(f, "exact:1", "python", "a,b", "exact");
    put(f, "exact:2", "python", "a,b", NULL);
    put(f, "other:1", "node", "a", NULL);
    put(f, "range:1", "python", "numpy>=1,<2,x[y,z]", NULL);

    expect(f, "python", NULL, "a b", "exact:1", "", "exact");
    expect(f, "python", NULL, "b a b", "exact:1", "", "exact");
    expect(f, "python", NULL, "a", "exact:1", "", "exact");
    expect(f, "python", NULL, "c b", "medium:1", "", NULL);
    expect(f, "python", NULL, "d", "large:1", "", "large");
    expect(f, "python", NULL, "d e", "isol8:python", "d e", NULL);
    expect(f, "node", NULL, "a", "other:1", "", NULL);
    expect(f, "bun", NULL, "a", "isol8:bun", "a", NULL);
    /* As text: another spelling is another package. */
    expect(f, "python", NULL, "numpy", "isol8:python", "numpy", NULL);
    expect(f, "python", NULL, "numpy>=1,<2", "range:1", "", NULL);
    expect(f, "python", NULL, "x[y,z] numpy>=1,<2", "range:1", "", NULL);
    expect(f, "python", NULL, "numpy>=1", "isol8:python", "numpy>=1", NULL);
}

static void test_override(void **state)
{
    struct fixture *f = *state;

    put(f, "mine:latest", "python", "a,b", "echo hi");
    put(f, "foreign:latest", NULL, NULL, NULL);
    expect(f, "python", "mine", "", "mine", "", "echo hi");
    expect(f, "python", "mine:latest", "a", "mine:latest", "", "echo hi");
    expect(f, "python", "mine", "c b", "mine", "c", "echo hi");
    expect(f, "node", "mine", "a c", "mine", "c", "echo hi");
    expect(f, "python", "foreign", "a", "foreign", "a", NULL);
    expect(f, "python", "absent", "a", "absent", "a", NULL);
    expect(f, "python", "no name", "a", "no name", "a", NULL);

    char name[OCI_NAME_MAX + 2];
    struct exec_image_choice c;
    memset(name, 'a', OCI_NAME_MAX + 1);
    name[OCI_NAME_MAX + 1] = '\0';
    assert_int_equal(
        exec_image_choose(&f->host, exec_runtime_find("python"), name, NULL, 0, &c, NULL),
        ISOL8_E_INVAL);
}

static void test_changes(void **state)
{
    struct fixture *f = *state;

    expect(f, "python", NULL, "a", "isol8:python", "a", NULL);
    put(f, "one:1", "python", "a,b", NULL);
    expect(f, "python", NULL, "a", "one:1", "", NULL);
    put(f, "two:1", "python", "a", NULL);
    expect(f, "python", NULL, "a", "two:1", "", NULL);
    put(f, "two:1", "python", "c", NULL);
    expect(f, "python", NULL, "a", "one:1", "", NULL);
    assert_int_equal(oci_store_remove(f->host.store, "one:1", NULL), 0);
    expect(f, "python", NULL, "a", "isol8:python", "a", NULL);
}

/* What is damaged is passed over, and the rest is still found. */
static void test_damaged(void **state)
{
    struct fixture *f = *state;
    struct oci_descriptor none = { .media_type = "m",
                                   .digest = "sha256:ffffffffffffffffffffffffffffffffffffffffffffff"
                                             "ffffffffffffffffff" };

    assert_int_equal(oci_store_set_ref(f->host.store, "gone:1", &none, NULL), 0);
    put(f, "one:1", "python", "a", NULL);
    expect(f, "python", NULL, "a", "one:1", "", NULL);
}

static void *choose_often(void *user)
{
    for (int i = 0; i < 200; i++)
        expect(user, "python", NULL, "a", "one:1", "", "s");
    return NULL;
}

static void test_threads(void **state)
{
    struct fixture *f = *state;
    pthread_t threads[4];

    put(f, "one:1", "python", "a,b", "s");
    for (size_t i = 0; i < ARRAY_LEN(threads); i++)
        assert_int_equal(pthread_create(&threads[i], NULL, choose_often, f), 0);
    for (int i = 0; i < 20; i++) {
        char name[16];
        (void)snprintf(name, sizeof(name), "more:%d", i);
        put(f, name, "python", "z", NULL);
    }
    for (size_t i = 0; i < ARRAY_LEN(threads); i++)
        (void)pthread_join(threads[i], NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_base, setup, teardown),
        cmocka_unit_test_setup_teardown(test_match, setup, teardown),
        cmocka_unit_test_setup_teardown(test_override, setup, teardown),
        cmocka_unit_test_setup_teardown(test_changes, setup, teardown),
        cmocka_unit_test_setup_teardown(test_damaged, setup, teardown),
        cmocka_unit_test_setup_teardown(test_threads, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
