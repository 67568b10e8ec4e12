/* SPDX-License-Identifier: Apache-2.0 */
/* test_store.c - images come back as they were put in; damage and races end in clear errors. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/hash.h"
#include "oci/oci_internal.h"
#include "tests/support/tmpdir.h"

struct fixture {
    struct tmpdir dir;
    struct oci_store *store;
    isol8_error err;
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));

    tmpdir_open(&f->dir);
    if (oci_store_open(&f->store, f->dir.path, &f->err) < 0)
        fail_msg("%s", f->err.msg);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    oci_store_free(f->store);
    tmpdir_close(&f->dir);
    free(f);
    return 0;
}

static bool has(int at, const char *name)
{
    struct stat st;

    return fstatat(at, name, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

/* A layer with one file that holds @content; its diff id is the digest of that. */
static void put_layer(struct fixture *f, const char *content, char hex[HASH_SHA256_HEX_SIZE])
{
    char tmp[OCI_TMP_SIZE];
    int fd = oci_store_tmp_dir(f->store, tmp, &f->err);

    assert_true(fd >= 0);
    assert_int_equal(hash_sha256(content, strlen(content), hex, &f->err), 0);
    int tree = path_mkdir_open(fd, "tree", 0755, &f->err);
    assert_true(tree >= 0);
    assert_int_equal(path_replace(tree, "f", content, strlen(content), 0644, false, &f->err), 0);
    assert_int_equal(oci_store_layer_commit(f->store, fd, "tree", hex, &f->err), 0);
    (void)fd_close(tree);
    (void)fd_close(fd);
    assert_int_equal(path_remove_tree(f->store->layers_fd, tmp, &f->err), 0);
}

static void put_image(struct fixture *f, const char *name, const char *const *contents, size_t n)
{
    char hex[HASH_SHA256_HEX_SIZE], id[OCI_DIGEST_SIZE];
    struct oci_manifest *m = calloc(1, sizeof(*m));
    struct oci_descriptor d;
    cJSON *config = cJSON_CreateObject();
    cJSON *labels = cJSON_AddObjectToObject(cJSON_AddObjectToObject(config, "config"), "Labels");
    cJSON *ids = cJSON_AddArrayToObject(cJSON_AddObjectToObject(config, "rootfs"), "diff_ids");

    (void)cJSON_AddStringToObject(labels, OCI_LABEL_RUNTIME, name);
    for (size_t i = 0; i < n; i++) {
        put_layer(f, contents[i], hex);
        (void)snprintf(id, sizeof(id), "sha256:%s", hex);
        (void)cJSON_AddItemToArray(ids, cJSON_CreateString(id));
        /* The blob stands for the compressed layer. */
        cJSON *blob = cJSON_CreateString(contents[i]);
        assert_int_equal(oci_store_put_json(f->store, blob, "layer", &m->layers[i], &f->err), 0);
        cJSON_Delete(blob);
    }
    m->n_layers = n;
    assert_int_equal(oci_store_put_json(f->store, config, OCI_TYPE_CONFIG, &m->config, &f->err), 0);
    cJSON *doc = oci_manifest_json(m);
    assert_int_equal(oci_store_put_json(f->store, doc, OCI_TYPE_MANIFEST, &d, &f->err), 0);
    assert_int_equal(oci_store_set_ref(f->store, name, &d, &f->err), 0);
    cJSON_Delete(doc);
    cJSON_Delete(config);
    free(m);
}

static const char *const base_and_top[] = { "base", "top" };

static void test_get(void **state)
{
    struct fixture *f = *state;
    struct oci_image img;
    char hex[HASH_SHA256_HEX_SIZE], path[160];

    put_image(f, "isol8:x", base_and_top, 2);
    assert_int_equal(oci_store_get(f->store, "isol8:x", &img, &f->err), 0);
    assert_string_equal(img.name, "isol8:x");
    assert_int_equal(img.n_layers, 2);
    assert_true(oci_digest_ok(img.digest));
    assert_string_equal(oci_image_label(&img, OCI_LABEL_RUNTIME), "isol8:x");
    assert_null(oci_image_label(&img, "none"));
    assert_int_equal(hash_sha256("top", 3, hex, NULL), 0);
    (void)snprintf(path, sizeof(path), "%s/layers/%s", f->dir.path, hex);
    assert_string_equal(img.layer_dirs[0], path); /* top first */
    oci_image_done(&img);
    oci_image_done(&img); /* twice is fine */
}

static void test_latest_is_implied(void **state)
{
    struct fixture *f = *state;
    struct oci_image img;

    put_image(f, "my-env:latest", base_and_top, 1);
    assert_int_equal(oci_store_get(f->store, "my-env", &img, &f->err), 0);
    assert_string_equal(img.name, "my-env:latest");
    oci_image_done(&img);
}

static void test_names(void **state)
{
    static const char *const bad[] = { "",     "../x",  "a/../b", "/abs", "a//b",     "a b",
                                       "a\nb", "-flag", "a:",     "a/",   "\xc3\xa4", "a..b" };
    char out[OCI_NAME_MAX + 1], name[OCI_NAME_MAX + 2];

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        if (oci_name_check(bad[i], out, NULL) != ISOL8_E_INVAL)
            fail_msg("'%s' was accepted", bad[i]);
    }
    assert_int_equal(oci_name_check("host.local:5000/a/b", out, NULL), 0);
    assert_string_equal(out, "host.local:5000/a/b:latest");
    memset(name, 'a', sizeof(name));
    name[OCI_NAME_MAX - 7] = '\0'; /* ":latest" fits exactly */
    assert_int_equal(oci_name_check(name, out, NULL), 0);
    name[OCI_NAME_MAX - 7] = 'a';
    name[OCI_NAME_MAX - 6] = '\0';
    assert_int_equal(oci_name_check(name, out, NULL), ISOL8_E_INVAL);
}

static void test_absent(void **state)
{
    struct fixture *f = *state;
    struct oci_image img;

    assert_int_equal(oci_store_get(f->store, "isol8:none", &img, &f->err), ISOL8_E_IMAGE);
    assert_string_equal(f->err.msg, "no image 'isol8:none'");
}

static void test_damage(void **state)
{
    static const char *const texts[] = {
        "", "[]", "{}", "{\"manifests\":{}}", "{\"manifests\":", "{\"manifests\":[]} x"
    };
    struct fixture *f = *state;
    struct oci_image img;
    char hex[HASH_SHA256_HEX_SIZE];

    put_image(f, "isol8:x", base_and_top, 2);
    assert_int_equal(hash_sha256("top", 3, hex, NULL), 0);
    assert_int_equal(path_remove_tree(f->store->layers_fd, hex, NULL), 0);
    assert_int_equal(oci_store_get(f->store, "isol8:x", &img, &f->err), ISOL8_E_IMAGE);
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        assert_int_equal(path_replace(f->store->images_fd, "index.json", texts[i], strlen(texts[i]),
                                      0644, false, NULL),
                         0);
        assert_int_equal(oci_store_get(f->store, "isol8:x", &img, &f->err), ISOL8_E_IMAGE);
    }
}

static int count(const char *name, const char *digest, void *user)
{
    (void)name;
    assert_true(oci_digest_ok(digest));
    (*(int *)user)++;
    return 0;
}

static void test_replace_list_remove(void **state)
{
    struct fixture *f = *state;
    struct oci_image img;
    int n = 0;

    put_image(f, "isol8:x", base_and_top, 1);
    put_image(f, "isol8:x", base_and_top, 2);
    put_image(f, "isol8:y", base_and_top, 1);
    assert_int_equal(oci_store_list(f->store, count, &n, &f->err), 0);
    assert_int_equal(n, 2);
    assert_int_equal(oci_store_get(f->store, "isol8:x", &img, &f->err), 0);
    assert_int_equal(img.n_layers, 2);
    oci_image_done(&img);
    assert_int_equal(oci_store_remove(f->store, "isol8:x", &f->err), 0);
    assert_int_equal(oci_store_remove(f->store, "isol8:x", &f->err), 0); /* absent is fine */
    assert_int_equal(oci_store_get(f->store, "isol8:x", &img, &f->err), ISOL8_E_IMAGE);
    assert_int_equal(oci_store_get(f->store, "isol8:y", &img, &f->err), 0);
    oci_image_done(&img);
}

static void test_gc(void **state)
{
    struct fixture *f = *state;
    struct oci_image img, kept;
    char base[HASH_SHA256_HEX_SIZE], top[HASH_SHA256_HEX_SIZE], tmp[OCI_TMP_SIZE];

    assert_int_equal(hash_sha256("base", 4, base, NULL), 0);
    assert_int_equal(hash_sha256("top", 3, top, NULL), 0);
    put_image(f, "isol8:x", base_and_top, 2);
    put_image(f, "isol8:y", base_and_top, 1);
    (void)fd_close(oci_store_tmp_dir(f->store, tmp, NULL));
    assert_int_equal(oci_store_gc(f->store, &f->err), 0);
    assert_false(has(f->store->layers_fd, tmp));
    assert_int_equal(oci_store_get(f->store, "isol8:x", &img, &f->err), 0);

    /* Held: the layer stays although nothing refers to it. */
    assert_int_equal(oci_store_remove(f->store, "isol8:x", &f->err), 0);
    assert_int_equal(oci_store_gc(f->store, &f->err), 0);
    assert_true(has(f->store->layers_fd, top));
    oci_image_done(&img);
    assert_int_equal(oci_store_gc(f->store, &f->err), 0);
    assert_false(has(f->store->layers_fd, top));
    assert_true(has(f->store->layers_fd, base));
    assert_int_equal(oci_store_get(f->store, "isol8:y", &kept, &f->err), 0);
    oci_image_done(&kept);
}

static void test_gc_leaves_a_build_alone(void **state)
{
    struct fixture *f = *state;
    char tmp[OCI_TMP_SIZE];
    int lock = oci_store_build_lock(f->store, false, &f->err);

    assert_true(lock >= 0);
    (void)fd_close(oci_store_tmp_dir(f->store, tmp, NULL));
    assert_int_equal(oci_store_gc(f->store, &f->err), 0);
    assert_true(has(f->store->layers_fd, tmp));
    assert_int_equal(oci_store_build_lock(f->store, false, &f->err), ISOL8_E_BUSY);
    (void)fd_close(lock);
    assert_int_equal(oci_store_gc(f->store, &f->err), 0);
    assert_false(has(f->store->layers_fd, tmp));
}

static void test_layer_that_is_there_wins(void **state)
{
    struct fixture *f = *state;
    char hex[HASH_SHA256_HEX_SIZE];

    put_layer(f, "same", hex);
    put_layer(f, "same", hex);
    assert_true(has(f->store->layers_fd, hex));
}

static void test_bad_roots(void **state)
{
    struct fixture *f = *state;
    struct oci_store *s = NULL;

    assert_int_equal(oci_store_open(&s, "relative", &f->err), ISOL8_E_INVAL);
    assert_int_equal(oci_store_open(&s, "/proc/isol8", &f->err), ISOL8_E_SYS);
    assert_null(s);
    oci_store_free(NULL);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_get),
        TEST(test_latest_is_implied),
        cmocka_unit_test(test_names),
        TEST(test_absent),
        TEST(test_damage),
        TEST(test_replace_list_remove),
        TEST(test_gc),
        TEST(test_gc_leaves_a_build_alone),
        TEST(test_layer_that_is_there_wins),
        TEST(test_bad_roots),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
