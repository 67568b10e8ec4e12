/* SPDX-License-Identifier: Apache-2.0 */
/**
 * store.c - the local image store
 *
 * Theory of operation. The store is an OCI image layout plus its layers unpacked, so that starting
 * a sandbox needs no archive library: oci_store_get() reads three small JSON files and opens the
 * layer directories. Everything that is named by a digest is complete and never changes: it is
 * written under a temporary name, synced, and renamed. index.json, the only thing that changes, is
 * replaced by rename under <data>/lock, so readers need no lock and see the old or the new state.
 *
 * Locks, taken in this order: <data>/build.lock (a build, or garbage collection, which skips its
 * work while a build runs because a build's blobs are not referred to yet), <data>/lock (index),
 * a shared lock on each layer directory in use. Collection takes the layer's lock exclusively,
 * without waiting, and renames it away before it removes it. A reader that opened the directory
 * before and locks it after that finds that the name is gone, and starts over from the index.
 *
 * Digests are not computed again here: only a writer with the store's own rights can damage it.
 */
#include "oci/store.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/hash.h"
#include "base/mem.h"
#include "base/path.h"
#include "base/rand.h"
#include "oci/oci_internal.h"

#define LAYOUT_TEXT "{\"imageLayoutVersion\":\"1.0.0\"}"

enum { GET_TRIES = 3 }; /* an image replaced and collected under a reader's eyes */

/* ---- Opening --------------------------------------------------------------------------------- */

/* A directory that every sandbox's user range may pass through, whatever the caller's umask is. */
static int open_dir(int at, const char *name, isol8_error *err)
{
    struct stat st;
    int fd = path_mkdir_open(at, name, 0755, err);

    if (fd < 0)
        return fd;
    if (fstat(fd, &st) == 0 && (st.st_mode & 0055) != 0055 && st.st_uid == geteuid() &&
        fchmod(fd, 0755) < 0) {
        int r = err_sys(err, errno, "cannot make '%s' readable", name);
        (void)fd_close(fd);
        return r;
    }
    return fd;
}

static int open_dirs(struct oci_store *s, isol8_error *err)
{
    int r = path_mkdirs(s->root, 0755, err);
    if (r < 0)
        return r;
    s->root_fd = open(s->root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (s->root_fd < 0)
        return err_sys(err, errno, "cannot open '%s'", s->root);
    s->images_fd = open_dir(s->root_fd, "images", err);
    if (s->images_fd < 0)
        return s->images_fd;
    s->layers_fd = open_dir(s->root_fd, "layers", err);
    if (s->layers_fd < 0)
        return s->layers_fd;
    auto_close int blobs = open_dir(s->images_fd, "blobs", err);
    if (blobs < 0)
        return blobs;
    s->blobs_fd = open_dir(blobs, "sha256", err);
    if (s->blobs_fd < 0)
        return s->blobs_fd;
    if (faccessat(s->images_fd, "oci-layout", F_OK, 0) == 0)
        return 0;
    return path_replace(s->images_fd, "oci-layout", LAYOUT_TEXT, strlen(LAYOUT_TEXT), 0644, true,
                        err);
}

int oci_store_open(struct oci_store **out, const char *data_root, isol8_error *err)
{
    if (data_root[0] != '/')
        return err_set(err, ISOL8_E_INVAL, "data root '%s' is no absolute path", data_root);

    struct oci_store *s = calloc(1, sizeof(*s));
    if (s == NULL)
        return err_nomem(err);
    s->root_fd = s->images_fd = s->blobs_fd = s->layers_fd = -1;
    s->root = strdup(data_root);
    int r = s->root != NULL ? open_dirs(s, err) : err_nomem(err);
    if (r < 0) {
        oci_store_free(s);
        return err_wrap(err, r, "image store");
    }
    *out = s;
    return 0;
}

void oci_store_free(struct oci_store *s)
{
    if (s == NULL)
        return;
    (void)fd_close(s->root_fd);
    (void)fd_close(s->images_fd);
    (void)fd_close(s->blobs_fd);
    (void)fd_close(s->layers_fd);
    free(s->root);
    free(s);
}

/* ---- Reading --------------------------------------------------------------------------------- */

int oci_store_read_index(struct oci_store *s, cJSON **out, isol8_error *err)
{
    auto_buf struct buf text = BUF_INIT(OCI_JSON_MAX);
    isol8_error why;

    int r = path_read(s->images_fd, "index.json", OCI_JSON_MAX, &text, &why);
    if (r == ISOL8_E_SYS && why.sys_errno == ENOENT) {
        static const char empty[] = "{\"schemaVersion\":2,\"mediaType\":\"" OCI_TYPE_INDEX
                                    "\",\"manifests\":[]}";
        return oci_index_parse(out, empty, strlen(empty), err);
    }
    if (r < 0) {
        if (err != NULL)
            *err = why;
        return err_wrap(err, r, "image store");
    }
    return oci_index_parse(out, buf_text(&text), text.len, err);
}

int oci_store_read_blob(struct oci_store *s, const char *digest, struct buf *out, isol8_error *err)
{
    int r = path_read(s->blobs_fd, oci_digest_hex(digest), OCI_JSON_MAX, out, err);

    return r == ISOL8_E_SYS || r == ISOL8_E_LIMIT ? err_wrap(err, ISOL8_E_IMAGE, "damaged image")
                                                  : r;
}

void oci_image_done(struct oci_image *img)
{
    for (size_t i = 0; i < img->n_layers; i++) {
        free(img->layer_dirs[i]);
        (void)fd_close(img->layer_fds[i]);
    }
    cJSON_Delete(img->config);
    memset(img, 0, sizeof(*img));
}

const char *oci_config_label(const cJSON *config, const char *key)
{
    const cJSON *inner = cJSON_GetObjectItemCaseSensitive(config, "config");

    return json_string(cJSON_GetObjectItemCaseSensitive(inner, "Labels"), key);
}

const char *oci_image_label(const struct oci_image *img, const char *key)
{
    return oci_config_label(img->config, key);
}

/* Open a layer and hold it. ISOL8_E_IMAGE when it is not there (any more). */
static int hold_layer(struct oci_store *s, struct oci_image *img, const char *hex, isol8_error *err)
{
    struct stat held, named;
    auto_close int fd = openat(s->layers_fd, hex, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    char *dir = NULL;

    if (fd < 0)
        return err_set(err, ISOL8_E_IMAGE, "damaged image: layer %.12s is missing", hex);
    int r = path_lock(fd, false, false);
    if (r < 0 && r != -EWOULDBLOCK)
        return err_sys(err, -r, "cannot lock layer %.12s", hex);
    if (r < 0 || fstat(fd, &held) < 0 ||
        fstatat(s->layers_fd, hex, &named, AT_SYMLINK_NOFOLLOW) < 0 ||
        held.st_ino != named.st_ino || held.st_dev != named.st_dev)
        return err_set(err, ISOL8_E_IMAGE, "damaged image: layer %.12s is being removed", hex);
    if (asprintf(&dir, "%s/layers/%s", s->root, hex) < 0)
        return err_nomem(err);
    img->layer_dirs[img->n_layers] = dir;
    img->layer_fds[img->n_layers++] = take_fd(&fd);
    return 0;
}

/* Read an entry's two documents. @diff_ids borrows from *@config. */
static int load_documents(struct oci_store *s, const cJSON *entry, struct oci_descriptor *d,
                          struct oci_manifest *m, cJSON **config,
                          const char *diff_ids[OCI_LAYERS_MAX], isol8_error *err)
{
    auto_buf struct buf text = BUF_INIT(OCI_JSON_MAX);
    auto_buf struct buf inner = BUF_INIT(OCI_JSON_MAX);

    int r = oci_descriptor_parse(entry, d, err);
    if (r == 0)
        r = oci_store_read_blob(s, d->digest, &text, err);
    if (r == 0)
        r = oci_manifest_parse(m, buf_text(&text), text.len, err);
    if (r == 0)
        r = oci_store_read_blob(s, m->config.digest, &inner, err);
    return r < 0
               ? r
               : oci_config_parse(config, buf_text(&inner), inner.len, m->n_layers, diff_ids, err);
}

static int load_image(struct oci_store *s, const cJSON *entry, struct oci_image *img,
                      isol8_error *err)
{
    auto_free struct oci_manifest *m = calloc(1, sizeof(*m));
    const char *diff_ids[OCI_LAYERS_MAX];
    struct oci_descriptor d;

    if (m == NULL)
        return err_nomem(err);
    int r = load_documents(s, entry, &d, m, &img->config, diff_ids, err);
    for (size_t i = m->n_layers; r == 0 && i > 0; i--)
        r = hold_layer(s, img, oci_digest_hex(diff_ids[i - 1]), err);
    if (r == 0)
        memcpy(img->digest, d.digest, sizeof(d.digest));
    return r;
}

static int try_get(struct oci_store *s, const char *name, struct oci_image *img, isol8_error *err)
{
    auto_json cJSON *index = NULL;

    int r = oci_store_read_index(s, &index, err);
    if (r < 0)
        return r;
    const cJSON *entry = oci_index_find(index, name);
    if (entry == NULL)
        return err_set(err, ISOL8_E_IMAGE, "no image '%s'", name);
    r = load_image(s, entry, img, err);
    if (r < 0)
        oci_image_done(img);
    return r < 0 ? err_wrap(err, r, "image '%s'", name) : 0;
}

int oci_store_get(struct oci_store *s, const char *name, struct oci_image *out, isol8_error *err)
{
    struct oci_image img = { .n_layers = 0 };
    char full[OCI_NAME_MAX + 1];

    int r = oci_name_check(name, full, err);
    if (r < 0)
        return r;
    r = ISOL8_E_IMAGE;
    for (int i = 0; i < GET_TRIES && r == ISOL8_E_IMAGE; i++)
        r = try_get(s, full, &img, err);
    if (r < 0)
        return r;
    memcpy(img.name, full, sizeof(full));
    *out = img;
    return 0;
}

int oci_store_list(struct oci_store *s,
                   int (*each)(const char *name, const char *digest, void *user), void *user,
                   isol8_error *err)
{
    auto_json cJSON *index = NULL;
    const cJSON *entry;

    int r = oci_store_read_index(s, &index, err);
    if (r < 0)
        return r;
    cJSON_ArrayForEach(entry, cJSON_GetObjectItemCaseSensitive(index, "manifests"))
    {
        const char *name = oci_index_name(entry);
        const char *digest = json_string(entry, "digest");
        if (name == NULL || !oci_digest_ok(digest))
            continue; /* not one of ours: another tool may list images without a name */
        r = each(name, digest, user);
        if (r < 0)
            return r;
    }
    return 0;
}

int oci_store_each(struct oci_store *s, int (*each)(const struct oci_listed *image, void *user),
                   void *user, isol8_error *err)
{
    auto_free struct oci_manifest *m = calloc(1, sizeof(*m));
    auto_json cJSON *index = NULL;
    const char *diff_ids[OCI_LAYERS_MAX];
    struct oci_descriptor d;
    const cJSON *entry;

    if (m == NULL)
        return err_nomem(err);
    int r = oci_store_read_index(s, &index, err);
    if (r < 0)
        return r;
    cJSON_ArrayForEach(entry, cJSON_GetObjectItemCaseSensitive(index, "manifests"))
    {
        auto_json cJSON *config = NULL;
        const char *name = oci_index_name(entry);
        /* Damaged, or replaced and collected meanwhile: it cannot be used either. */
        if (name == NULL || load_documents(s, entry, &d, m, &config, diff_ids, NULL) < 0)
            continue;
        r = each(&(struct oci_listed){ name, d.digest, config }, user);
        if (r != 0)
            return r;
    }
    return 0;
}

void oci_store_stamp(struct oci_store *s, struct oci_stamp *out)
{
    struct stat st;

    *out = (struct oci_stamp){ 0 };
    if (fstatat(s->images_fd, "index.json", &st, AT_SYMLINK_NOFOLLOW) < 0)
        return;
    out->inode = st.st_ino;
    out->changed_ns = (int64_t)st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec;
    out->size = (uint64_t)st.st_size;
}

/* ---- Writing --------------------------------------------------------------------------------- */

static int open_lock(struct oci_store *s, const char *name, bool wait, isol8_error *err)
{
    auto_close int fd = openat(s->root_fd, name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);

    if (fd < 0)
        return err_sys(err, errno, "cannot open '%s/%s'", s->root, name);
    int r = path_lock(fd, true, wait);
    if (r == -EWOULDBLOCK)
        return err_set(err, ISOL8_E_BUSY, "'%s/%s' is locked", s->root, name);
    if (r < 0)
        return err_sys(err, -r, "cannot lock '%s/%s'", s->root, name);
    return take_fd(&fd);
}

int oci_store_lock(struct oci_store *s, isol8_error *err)
{
    return open_lock(s, "lock", true, err);
}

int oci_store_build_lock(struct oci_store *s, bool wait, isol8_error *err)
{
    return open_lock(s, "build.lock", wait, err);
}

static int tmp_name(char tmp[OCI_TMP_SIZE], isol8_error *err)
{
    memcpy(tmp, OCI_TMP_PREFIX, strlen(OCI_TMP_PREFIX));
    return rand_hex(tmp + strlen(OCI_TMP_PREFIX), 16, err);
}

int oci_store_blob_begin(struct oci_store *s, char tmp[OCI_TMP_SIZE], isol8_error *err)
{
    int r = tmp_name(tmp, err);
    if (r < 0)
        return r;
    int fd = openat(s->blobs_fd, tmp, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    return fd < 0 ? err_sys(err, errno, "cannot create a blob in '%s'", s->root) : fd;
}

int oci_store_blob_commit(struct oci_store *s, int fd, const char *tmp, const char *hex,
                          isol8_error *err)
{
    int e = 0;

    if (fsync(fd) < 0 || renameat(s->blobs_fd, tmp, s->blobs_fd, hex) < 0 || fsync(s->blobs_fd) < 0)
        e = errno;
    if (e == 0)
        return 0;
    (void)unlinkat(s->blobs_fd, tmp, 0); /* the first failure is the one to report */
    return err_sys(err, e, "cannot write a blob in '%s'", s->root);
}

int oci_store_put_json(struct oci_store *s, const cJSON *doc, const char *media_type,
                       struct oci_descriptor *out, isol8_error *err)
{
    char tmp[OCI_TMP_SIZE], hex[HASH_SHA256_HEX_SIZE];
    auto_free char *text = cJSON_PrintUnformatted(doc);

    if (text == NULL)
        return err_nomem(err);
    size_t n = strlen(text);
    int r = hash_sha256(text, n, hex, err);
    if (r < 0)
        return r;
    auto_close int fd = oci_store_blob_begin(s, tmp, err);
    if (fd < 0)
        return fd;
    r = fd_write_all(fd, text, n);
    if (r < 0) {
        (void)unlinkat(s->blobs_fd, tmp, 0); /* the first failure is the one to report */
        return err_sys(err, -r, "cannot write a blob in '%s'", s->root);
    }
    r = oci_store_blob_commit(s, fd, tmp, hex, err);
    if (r < 0)
        return r;
    (void)snprintf(out->media_type, sizeof(out->media_type), "%s", media_type);
    (void)snprintf(out->digest, sizeof(out->digest), "sha256:%s", hex);
    out->size = n;
    return 0;
}

int oci_store_tmp_dir(struct oci_store *s, char tmp[OCI_TMP_SIZE], isol8_error *err)
{
    int r = tmp_name(tmp, err);
    return r < 0 ? r : open_dir(s->layers_fd, tmp, err);
}

int oci_store_layer_commit(struct oci_store *s, int dir_fd, const char *name, const char *hex,
                           isol8_error *err)
{
    /* One sync for the whole file system instead of thousands of fsync(); it reports write errors
     * that happened since the directory was opened. */
    if (syncfs(dir_fd) < 0)
        return err_sys(err, errno, "cannot write a layer in '%s'", s->root);
    if (renameat(dir_fd, name, s->layers_fd, hex) < 0) {
        if (errno == EEXIST || errno == ENOTEMPTY)
            return path_remove_tree(dir_fd, name, err);
        return err_sys(err, errno, "cannot put layer %.12s in place", hex);
    }
    if (fsync(s->layers_fd) < 0)
        return err_sys(err, errno, "cannot put layer %.12s in place", hex);
    return 0;
}

/* ---- The index ------------------------------------------------------------------------------- */

/* Take the entry called @name out. Return: whether there was one. */
static bool drop_entry(cJSON *index, const char *name)
{
    const cJSON *entry = oci_index_find(index, name);

    if (entry == NULL)
        return false;
    cJSON *list = cJSON_GetObjectItemCaseSensitive(index, "manifests");
    cJSON_Delete(cJSON_DetachItemViaPointer(list, (cJSON *)(uintptr_t)entry));
    return true;
}

static int write_index(struct oci_store *s, const cJSON *index, isol8_error *err)
{
    auto_free char *text = cJSON_PrintUnformatted(index);

    if (text == NULL)
        return err_nomem(err);
    if (strlen(text) > OCI_JSON_MAX)
        return err_set(err, ISOL8_E_LIMIT, "too many images: index.json would exceed %d bytes",
                       OCI_JSON_MAX);
    return path_replace(s->images_fd, "index.json", text, strlen(text), 0644, true, err);
}

int oci_store_set_ref(struct oci_store *s, const char *name, const struct oci_descriptor *manifest,
                      isol8_error *err)
{
    auto_json cJSON *index = NULL;
    auto_json cJSON *entry = oci_descriptor_json(manifest);
    auto_close int lock = oci_store_lock(s, err);

    if (lock < 0)
        return lock;
    cJSON *notes = entry != NULL ? cJSON_AddObjectToObject(entry, "annotations") : NULL;
    if (notes == NULL || cJSON_AddStringToObject(notes, OCI_REF_NAME, name) == NULL)
        return err_nomem(err);
    int r = oci_store_read_index(s, &index, err);
    if (r < 0)
        return r;
    (void)drop_entry(index, name);
    if (!cJSON_AddItemToArray(cJSON_GetObjectItemCaseSensitive(index, "manifests"), entry))
        return err_nomem(err);
    (void)take_ptr(&entry); /* the index owns it now */
    return write_index(s, index, err);
}

int oci_store_remove(struct oci_store *s, const char *name, isol8_error *err)
{
    auto_json cJSON *index = NULL;
    char full[OCI_NAME_MAX + 1];

    int r = oci_name_check(name, full, err);
    if (r < 0)
        return r;
    auto_close int lock = oci_store_lock(s, err);
    if (lock < 0)
        return lock;
    r = oci_store_read_index(s, &index, err);
    if (r < 0)
        return r;
    return drop_entry(index, full) ? write_index(s, index, err) : 0;
}
