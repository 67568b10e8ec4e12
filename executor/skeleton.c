/* SPDX-License-Identifier: Apache-2.0 */
/**
 * skeleton.c - the layer on top of every image
 *
 * It brings what a sandbox needs whatever the image holds: mount points (a read-only root cannot
 * grow them), user and host files, and init itself. Init lies in the layer instead of being
 * bind-mounted: one mount less on every start, and no dependence on a state directory whose file
 * system may be mounted noexec. It may be executed but not read, so it is never dumpable.
 *
 * A skeleton is named after its content and never changes; it is made under a temporary name and
 * renamed, so two processes may make it at once and one wins.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/mem.h"
#include "base/path.h"
#include "base/rand.h"
#include "executor/egress.h"
#include "executor/host.h"
#include "init_digest.h" /* generated: INIT_DIGEST */

#define SKELETON_FORMAT "2" /* counts changes of the tables below */

extern const unsigned char exec_init_binary[];
extern const unsigned char exec_init_binary_end[];

struct entry {
    const char *path;
    mode_t mode;         /* directories have S_IFDIR, links S_IFLNK */
    const char *content; /* of a file, or target of a link */
};

static const struct entry skeleton_entries[] = {
    { "proc", S_IFDIR | 0555, NULL },
    { "sys", S_IFDIR | 0555, NULL },
    { "sys/fs", S_IFDIR | 0555, NULL },
    { "sys/fs/cgroup", S_IFDIR | 0555, NULL },
    { "sys/fs/cgroup/memory", S_IFDIR | 0555, NULL },
    { "sys/fs/cgroup/cpu", S_IFDIR | 0555, NULL },
    { "dev", S_IFDIR | 0755, NULL },
    { "tmp", S_IFDIR | 01777, NULL },
    { "sandbox", S_IFDIR | 0755, NULL },
    { "run", S_IFDIR | 0755, NULL },
    { ".isol8", S_IFDIR | 0755, NULL },
    { "etc", S_IFDIR | 0755, NULL },
    { "etc/passwd", 0644,
      "root:x:0:0:root:/root:/usr/sbin/nologin\n"
      "sandbox:x:100:101:isol8 sandbox:/sandbox:/bin/bash\n"
      "nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n" },
    { "etc/group", 0644, "root:x:0:\ntty:x:5:\nsandbox:x:101:\nnogroup:x:65534:\n" },
    { "etc/hosts", 0644, "127.0.0.1\tlocalhost isol8\n::1\tlocalhost isol8\n" },
    { "etc/hostname", 0644, "isol8\n" },
    { "etc/resolv.conf", 0644, "nameserver " EGRESS_ADDRESS "\noptions edns0\n" },
    { "etc/nsswitch.conf", 0644,
      "passwd: files\ngroup: files\nshadow: files\nhosts: files dns\nservices: files\n"
      "protocols: files\n" },
    { NULL, 0, NULL },
};

const struct exec_host_bind exec_host_binds[] = {
    { "/usr", true },
    { "/etc/alternatives", true },
    { "/etc/ssl", true },
    { "/etc/ca-certificates", true },
    { "/etc/ld.so.conf.d", true },
    { "/etc/ld.so.cache", false },
    { "/etc/ld.so.conf", false },
    { "/etc/mime.types", false },
    { "/etc/protocols", false },
    { "/etc/services", false },
    { NULL, false },
};

static const struct entry host_entries[] = {
    { "etc", S_IFDIR | 0755, NULL },     { "bin", S_IFLNK, "usr/bin" },
    { "sbin", S_IFLNK, "usr/sbin" },     { "lib", S_IFLNK, "usr/lib" },
    { "lib32", S_IFLNK, "usr/lib32" },   { "lib64", S_IFLNK, "usr/lib64" },
    { "libx32", S_IFLNK, "usr/libx32" }, { "var", S_IFDIR | 0755, NULL },
    { "opt", S_IFDIR | 0755, NULL },     { NULL, 0, NULL },
};

static int write_file(int at, const char *path, const void *data, size_t n, mode_t mode)
{
    auto_close int fd = openat(at, path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

    if (fd < 0)
        return -errno;
    int r = fd_write_all(fd, data, n);
    if (r == 0 && fchmod(fd, mode) < 0)
        r = -errno;
    if (r == 0 && fsync(fd) < 0)
        r = -errno;
    return r;
}

static int make_entry(int at, const struct entry *e)
{
    switch (e->mode & S_IFMT) {
    case S_IFDIR:
        if (mkdirat(at, e->path, 0755) < 0 || fchmodat(at, e->path, e->mode & 07777, 0) < 0)
            return -errno;
        return 0;
    case S_IFLNK:
        return symlinkat(e->content, at, e->path) < 0 ? -errno : 0;
    default:
        return write_file(at, e->path, e->content, strlen(e->content), e->mode);
    }
}

static int fill_skeleton(int at)
{
    size_t n = (size_t)(exec_init_binary_end - exec_init_binary);

    for (const struct entry *e = skeleton_entries; e->path != NULL; e++) {
        int r = make_entry(at, e);
        if (r < 0)
            return r;
    }
    return write_file(at, &OCI_INIT_PATH[1], exec_init_binary, n, 0111);
}

static int fill_host_layer(int at)
{
    for (const struct entry *e = host_entries; e->path != NULL; e++) {
        int r = make_entry(at, e);
        if (r < 0)
            return r;
    }
    for (const struct exec_host_bind *b = exec_host_binds; b->path != NULL; b++) {
        struct entry e = { b->path + 1, b->is_dir ? S_IFDIR | 0755 : 0644, "" };
        int r = make_entry(at, &e);
        if (r < 0)
            return r;
    }
    return 0;
}

/* Make <data>/skeleton/@name with @fill unless it is there. */
static int make_layer(struct isol8_host *h, const char *name, int (*fill)(int at), isol8_error *err)
{
    char dir[160], tmp[40] = ".tmp-";

    (void)snprintf(dir, sizeof(dir), "%s/skeleton", h->data_root);
    int r = path_mkdirs(dir, 0755, err);
    if (r == 0)
        r = rand_hex(tmp + strlen(tmp), 16, err);
    if (r < 0)
        return r;
    auto_close int base = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (base < 0)
        return err_sys(err, errno, "cannot open '%s'", dir);

    auto_close int at = path_mkdir_open(base, tmp, 0755, err);
    if (at < 0)
        return at;
    r = fill(at);
    if (r == 0 && renameat(base, tmp, base, name) < 0)
        r = errno == EEXIST || errno == ENOTEMPTY ? 1 : -errno;
    if (r != 0)
        (void)path_remove_tree(base, tmp, NULL); /* lost the race, or the failure is reported */
    return r < 0 ? err_sys(err, -r, "cannot create the layer '%s/%s'", dir, name) : 0;
}

static int get_layer(struct isol8_host *h, char **slot, const char *name, int (*fill)(int at),
                     const char **dir, isol8_error *err)
{
    int r = 0;

    (void)pthread_mutex_lock(&h->skeleton_mutex);
    if (*slot == NULL) {
        char path[256];
        (void)snprintf(path, sizeof(path), "%s/skeleton/%s", h->data_root, name);
        if (access(path, F_OK) < 0)
            r = make_layer(h, name, fill, err);
        if (r == 0 && (*slot = strdup(path)) == NULL)
            r = err_nomem(err);
    }
    *dir = *slot;
    (void)pthread_mutex_unlock(&h->skeleton_mutex);
    return r;
}

int exec_skeleton(struct isol8_host *h, const char **dir, isol8_error *err)
{
    return get_layer(h, &h->skeleton, "base-" SKELETON_FORMAT "-" INIT_DIGEST, fill_skeleton, dir,
                     err);
}

int exec_host_layer(struct isol8_host *h, const char **dir, isol8_error *err)
{
    return get_layer(h, &h->host_layer, "host-" SKELETON_FORMAT, fill_host_layer, dir, err);
}
