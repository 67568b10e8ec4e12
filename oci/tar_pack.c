/* SPDX-License-Identifier: Apache-2.0 */
/**
 * tar_pack.c - write a directory as a compressed image layer
 *
 * Two writers of libarchive in a row: the first turns the tree into a tar, whose bytes are hashed
 * (the diff id) and handed to the second, a "raw" one that only compresses; its bytes are hashed
 * (the blob's digest) and written. A file with several names is stored once: the first name in
 * order carries the content, the others are hard links to it.
 */
#include "oci/tar.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/mem.h"
#include "oci/archive.h"

enum { COPY_CHUNK = 128 * 1024 };

struct first_name {
    dev_t dev;
    ino_t ino;
    char *name; /* owned */
};

struct pack {
    const struct archive_lib *lib;
    struct archive *tar;
    struct archive *zip;
    struct archive_entry *entry;
    struct hash *diff;
    struct hash *blob;
    int out_fd;
    int cancel_fd;
    uint64_t size;
    const char *media_type;
    int write_errno;
    struct first_name *links; /* files with several names, in order of appearance */
    size_t n_links;
    char name[TAR_NAME_MAX + 1]; /* of the entry at hand */
    char chunk[COPY_CHUNK];
};

static ssize_t write_blob(struct archive *a, void *user, const void *data, size_t n)
{
    struct pack *p = user;

    (void)a;
    int r = fd_write_all(p->out_fd, data, n);
    if (r < 0) {
        p->write_errno = -r;
        return -1;
    }
    p->size += n;
    return hash_update(p->blob, data, n, NULL) < 0 ? -1 : (ssize_t)n;
}

static ssize_t write_tar(struct archive *a, void *user, const void *data, size_t n)
{
    struct pack *p = user;

    (void)a;
    if (hash_update(p->diff, data, n, NULL) < 0)
        return -1;
    return p->lib->write_data(p->zip, data, n) == (ssize_t)n ? (ssize_t)n : -1;
}

static int write_failed(const struct pack *p, isol8_error *err)
{
    const char *why = p->lib->error_string(p->tar);

    if (p->write_errno != 0)
        return err_sys(err, p->write_errno, "cannot write a layer");
    return err_set(err, ISOL8_E_SYS, "cannot write a layer: %s", why != NULL ? why : "unknown");
}

/* ---- One entry ------------------------------------------------------------------------------- */

/* The name under which this file was stored before, or NULL after remembering this one. */
static int find_first(struct pack *p, const struct stat *st, const char **first, isol8_error *err)
{
    *first = NULL;
    if (S_ISDIR(st->st_mode) || st->st_nlink < 2)
        return 0;
    for (size_t i = 0; i < p->n_links; i++) {
        if (p->links[i].ino == st->st_ino && p->links[i].dev == st->st_dev) {
            *first = p->links[i].name;
            return 0;
        }
    }
    struct first_name *more = reallocarray(p->links, p->n_links + 1, sizeof(*more));
    if (more == NULL)
        return err_nomem(err);
    p->links = more;
    more[p->n_links] = (struct first_name){ st->st_dev, st->st_ino, strdup(p->name) };
    if (more[p->n_links].name == NULL)
        return err_nomem(err);
    p->n_links++;
    return 0;
}

static int put_content(struct pack *p, int at, const char *base, int64_t size, isol8_error *err)
{
    auto_close int fd = openat(at, base, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);

    if (fd < 0)
        return err_sys(err, errno, "cannot read '%s'", p->name);
    while (size > 0) {
        ssize_t n = read(fd, p->chunk, sizeof(p->chunk));
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return err_sys(err, n < 0 ? errno : EIO, "cannot read '%s'", p->name);
        if (p->lib->write_data(p->tar, p->chunk, (size_t)n) != n)
            return write_failed(p, err);
        size -= n;
    }
    return 0;
}

/* A new libarchive entry named p->name; the one before is freed. */
static int new_entry(struct pack *p, const struct stat *st, isol8_error *err)
{
    const struct archive_lib *lib = p->lib;

    if (p->entry != NULL)
        lib->entry_free(p->entry);
    p->entry = lib->entry_new();
    if (p->entry == NULL)
        return err_nomem(err);
    lib->entry_set_pathname(p->entry, p->name);
    lib->entry_set_filetype(p->entry, st->st_mode & S_IFMT);
    lib->entry_set_perm(p->entry, st->st_mode & 0777);
    lib->entry_set_mtime(p->entry, 0, 0); /* owner is 0:0 in a fresh entry */
    return 0;
}

static int put_node(struct pack *p, int at, const char *base, const struct stat *st,
                    isol8_error *err)
{
    const struct archive_lib *lib = p->lib;
    const char *first;
    char target[PATH_MAX];
    int64_t size = 0;

    int r = find_first(p, st, &first, err);
    if (r == 0)
        r = new_entry(p, st, err);
    if (r < 0)
        return r;
    if (first != NULL) {
        lib->entry_set_hardlink(p->entry, first);
    } else if (S_ISLNK(st->st_mode)) {
        ssize_t n = readlinkat(at, base, target, sizeof(target) - 1);
        if (n < 0)
            return err_sys(err, errno, "cannot read link '%s'", p->name);
        target[n] = '\0';
        lib->entry_set_symlink(p->entry, target);
    } else if (S_ISREG(st->st_mode)) {
        size = st->st_size;
    } else if (!S_ISDIR(st->st_mode)) {
        return err_set(err, ISOL8_E_INVAL, "'%s' is no file, directory or symlink", p->name);
    }
    lib->entry_set_size(p->entry, size);
    if (lib->write_header(p->tar, p->entry) < ARCHIVE_WARN)
        return write_failed(p, err);
    return size > 0 ? put_content(p, at, base, size, err) : 0;
}

/* ---- The tree -------------------------------------------------------------------------------- */

static int by_bytes(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

static int not_dots(const struct dirent *e)
{
    return strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0;
}

static int put_dir(struct pack *p, int at, const char *base, size_t len, unsigned depth,
                   isol8_error *err);

static int put_child(struct pack *p, int dir, const char *base, size_t len, unsigned depth,
                     isol8_error *err)
{
    size_t n = strlen(base);
    struct stat st;
    struct pollfd cancel = { .fd = p->cancel_fd, .events = POLLIN };

    if (p->cancel_fd >= 0 && poll(&cancel, 1, 0) > 0)
        return err_set(err, ISOL8_E_CANCELLED, "interrupted");
    if (len + 1 + n > TAR_NAME_MAX || depth > TAR_DEPTH_MAX)
        return err_set(err, ISOL8_E_LIMIT, "path too long in '%.100s...'", p->name);
    if (len > 0)
        p->name[len++] = '/';
    memcpy(p->name + len, base, n + 1);
    if (fstatat(dir, base, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return err_sys(err, errno, "cannot read '%s'", p->name);
    int r = put_node(p, dir, base, &st, err);
    if (r == 0 && S_ISDIR(st.st_mode))
        r = put_dir(p, dir, base, len + n, depth + 1, err);
    return r;
}

static int put_dir(struct pack *p, int at, const char *base, size_t len, unsigned depth,
                   isol8_error *err)
{
    struct dirent **list = NULL;
    auto_close int dir = openat(at, base, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    int n = dir < 0 ? -1 : scandirat(dir, ".", &list, not_dots, by_bytes);
    int r = 0;

    if (n < 0)
        return err_sys(err, errno, "cannot read directory '%s'", p->name);
    for (int i = 0; i < n; i++) {
        if (r == 0)
            r = put_child(p, dir, list[i]->d_name, len, depth, err);
        p->name[len] = '\0';
        free(list[i]);
    }
    free(list);
    return r;
}

/* ---- The writers ----------------------------------------------------------------------------- */

static int open_writers(struct pack *p, isol8_error *err)
{
    const struct archive_lib *lib = p->lib;

    p->zip = lib->write_new();
    p->tar = lib->write_new();
    if (p->zip == NULL || p->tar == NULL)
        return err_nomem(err);
    p->media_type = "application/vnd.oci.image.layer.v1.tar+zstd";
    if (lib->write_add_filter_zstd(p->zip) != ARCHIVE_OK) {
        /* Built without zstd, or it would start a program: gzip is always there. */
        (void)lib->write_free(p->zip);
        p->zip = lib->write_new();
        if (p->zip == NULL)
            return err_nomem(err);
        p->media_type = "application/vnd.oci.image.layer.v1.tar+gzip";
        (void)lib->write_add_filter_gzip(p->zip); /* a failure shows when it is opened */
    }
    if (lib->write_set_format_raw(p->zip) != ARCHIVE_OK ||
        lib->write_set_bytes_in_last_block(p->zip, 1) != ARCHIVE_OK ||
        lib->write_open(p->zip, p, NULL, write_blob, NULL) != ARCHIVE_OK)
        return write_failed(p, err);

    int r = new_entry(p, &(struct stat){ .st_mode = S_IFREG | 0644 }, err);
    if (r < 0)
        return r;
    if (lib->write_header(p->zip, p->entry) < ARCHIVE_WARN ||
        lib->write_set_format_pax_restricted(p->tar) != ARCHIVE_OK ||
        lib->write_set_bytes_in_last_block(p->tar, 1) != ARCHIVE_OK ||
        lib->write_open(p->tar, p, NULL, write_tar, NULL) != ARCHIVE_OK)
        return write_failed(p, err);
    return 0;
}

static int finish(struct pack *p, struct tar_packed *out, isol8_error *err)
{
    uint8_t digest[HASH_MAX_BYTES];
    size_t n;

    if (p->lib->write_close(p->tar) != ARCHIVE_OK || p->lib->write_close(p->zip) != ARCHIVE_OK)
        return write_failed(p, err);
    int r = hash_final(p->diff, digest, &n, err);
    if (r < 0)
        return r;
    hash_hex(digest, n, out->diff_id);
    r = hash_final(p->blob, digest, &n, err);
    if (r < 0)
        return r;
    hash_hex(digest, n, out->digest);
    out->size = p->size;
    out->media_type = p->media_type;
    return 0;
}

static void pack_free(struct pack *p)
{
    if (p == NULL)
        return;
    /* Freeing a writer closes it and would write its tail, but after a failure nobody reads it. */
    if (p->tar != NULL)
        (void)p->lib->write_free(p->tar);
    if (p->zip != NULL)
        (void)p->lib->write_free(p->zip);
    if (p->entry != NULL)
        p->lib->entry_free(p->entry);
    for (size_t i = 0; i < p->n_links; i++)
        free(p->links[i].name);
    free(p->links);
    hash_free(p->diff);
    hash_free(p->blob);
    free(p);
}

int tar_pack(int dir_fd, int out_fd, int cancel_fd, struct tar_packed *out, isol8_error *err)
{
    struct pack *p = calloc(1, sizeof(*p));

    if (p == NULL)
        return err_nomem(err);
    p->out_fd = out_fd;
    p->cancel_fd = cancel_fd;
    int r = archive_lib_get(&p->lib, err);
    if (r == 0)
        r = hash_new(&p->diff, HASH_SHA256, err);
    if (r == 0)
        r = hash_new(&p->blob, HASH_SHA256, err);
    if (r == 0)
        r = open_writers(p, err);
    if (r == 0)
        r = put_dir(p, dir_fd, ".", 0, 0, err);
    if (r == 0)
        r = finish(p, out, err);
    pack_free(p);
    return r;
}
