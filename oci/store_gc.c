/* SPDX-License-Identifier: Apache-2.0 */
/* store_gc.c - remove what no image refers to and nobody holds; see store.c for the locks. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/hash.h"
#include "base/mem.h"
#include "base/path.h"
#include "base/rand.h"
#include "oci/oci_internal.h"

/* Hex digests that some image needs: blobs and layers alike. */
struct marks {
    char (*hex)[HASH_SHA256_HEX_SIZE];
    size_t n;
};

static int mark(struct marks *m, const char *digest, isol8_error *err)
{
    void *more = reallocarray(m->hex, m->n + 1, sizeof(*m->hex));

    if (more == NULL)
        return err_nomem(err);
    m->hex = more;
    memcpy(m->hex[m->n++], oci_digest_hex(digest), HASH_SHA256_HEX_SIZE);
    return 0;
}

static bool is_marked(const struct marks *m, const char *name)
{
    for (size_t i = 0; i < m->n; i++) {
        if (strcmp(m->hex[i], name) == 0)
            return true;
    }
    return false;
}

static int mark_image(struct oci_store *s, struct marks *marks, const cJSON *entry,
                      isol8_error *err)
{
    auto_buf struct buf text = BUF_INIT(OCI_JSON_MAX);
    auto_buf struct buf config = BUF_INIT(OCI_JSON_MAX);
    auto_free struct oci_manifest *m = calloc(1, sizeof(*m));
    auto_json cJSON *j = NULL;
    const char *diff_ids[OCI_LAYERS_MAX];
    struct oci_descriptor d;

    if (m == NULL)
        return err_nomem(err);
    int r = oci_descriptor_parse(entry, &d, err);
    if (r == 0)
        r = mark(marks, d.digest, err);
    if (r == 0)
        r = oci_store_read_blob(s, d.digest, &text, err);
    if (r == 0)
        r = oci_manifest_parse(m, buf_text(&text), text.len, err);
    if (r == 0)
        r = mark(marks, m->config.digest, err);
    for (size_t i = 0; r == 0 && i < m->n_layers; i++)
        r = mark(marks, m->layers[i].digest, err);
    if (r == 0)
        r = oci_store_read_blob(s, m->config.digest, &config, err);
    if (r == 0)
        r = oci_config_parse(&j, buf_text(&config), config.len, m->n_layers, diff_ids, err);
    for (size_t i = 0; r == 0 && i < m->n_layers; i++)
        r = mark(marks, diff_ids[i], err);
    return r;
}

static int mark_all(struct oci_store *s, struct marks *marks, isol8_error *err)
{
    auto_json cJSON *index = NULL;
    const cJSON *entry;

    int r = oci_store_read_index(s, &index, err);
    if (r < 0)
        return r;
    cJSON_ArrayForEach(entry, cJSON_GetObjectItemCaseSensitive(index, "manifests"))
    {
        r = mark_image(s, marks, entry, err);
        if (r < 0 && r != ISOL8_E_IMAGE) /* a damaged image cannot be used, nor can its parts */
            return r;
    }
    return 0;
}

static bool is_tmp(const char *name)
{
    return strncmp(name, OCI_TMP_PREFIX, strlen(OCI_TMP_PREFIX)) == 0;
}

/* Remove an unpacked layer unless somebody holds it. */
static int remove_layer(struct oci_store *s, const char *name, isol8_error *err)
{
    char gone[OCI_TMP_SIZE] = OCI_TMP_PREFIX;
    auto_close int fd = openat(s->layers_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

    if (fd < 0 && errno != ENOENT && errno != ENOTDIR && errno != ELOOP)
        return err_sys(err, errno, "cannot open layer '%s'", name);
    if (fd >= 0 && path_lock(fd, true, false) < 0)
        return 0; /* in use */
    if (is_tmp(name))
        return path_remove_tree(s->layers_fd, name, err);
    int r = rand_hex(gone + strlen(OCI_TMP_PREFIX), 16, err);
    if (r < 0)
        return r;
    if (renameat(s->layers_fd, name, s->layers_fd, gone) < 0)
        return errno == ENOENT ? 0 : err_sys(err, errno, "cannot remove layer '%s'", name);
    return path_remove_tree(s->layers_fd, gone, err);
}

static int remove_blob(struct oci_store *s, const char *name, isol8_error *err)
{
    if (unlinkat(s->blobs_fd, name, 0) < 0 && errno != ENOENT)
        return err_sys(err, errno, "cannot remove blob '%s'", name);
    return 0;
}

/* Call @fn for the names in @dir_fd that are not marked; @marks NULL: for the temporary ones. */
static int sweep(struct oci_store *s, int dir_fd, const struct marks *marks,
                 int (*fn)(struct oci_store *, const char *, isol8_error *), isol8_error *err)
{
    int fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
    const struct dirent *e;
    int r = 0;

    if (dir == NULL) {
        (void)fd_close(fd);
        return err_sys(err, errno, "cannot read the image store");
    }
    while (r == 0 && (e = readdir(dir)) != NULL) {
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
            continue;
        if (marks != NULL ? !is_marked(marks, e->d_name) : is_tmp(e->d_name))
            r = fn(s, e->d_name, err);
    }
    (void)closedir(dir);
    return r;
}

int oci_store_remove_tmp(struct oci_store *s, isol8_error *err)
{
    int r = sweep(s, s->layers_fd, NULL, remove_layer, err);

    return r < 0 ? r : sweep(s, s->blobs_fd, NULL, remove_blob, err);
}

int oci_store_collect(struct oci_store *s, isol8_error *err)
{
    struct marks marks = { .n = 0 };
    auto_close int lock = oci_store_lock(s, err);

    if (lock < 0)
        return lock;
    int r = mark_all(s, &marks, err);
    if (r == 0)
        r = sweep(s, s->layers_fd, &marks, remove_layer, err);
    if (r == 0)
        r = sweep(s, s->blobs_fd, &marks, remove_blob, err);
    free(marks.hex);
    return r;
}

int oci_store_gc(struct oci_store *s, isol8_error *err)
{
    isol8_error why;
    auto_close int lock = oci_store_build_lock(s, false, &why);

    if (lock == ISOL8_E_BUSY)
        return 0; /* a build is running and collects at its end */
    if (lock < 0) {
        if (err != NULL)
            *err = why;
        return lock;
    }
    return oci_store_collect(s, err);
}
