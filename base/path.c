/* SPDX-License-Identifier: Apache-2.0 */
/* path.c - files and directories reached from directory descriptors. */
#include "base/path.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/mem.h"

#define TREE_DEPTH_MAX                                                                             \
    1024 /* directories below each other; the kernel's own path limit allows 2048 */

int path_mkdirs(const char *path, mode_t mode, isol8_error *err)
{
    char part[PATH_MAX];
    size_t n = strlen(path);

    if (n >= sizeof(part))
        return err_set(err, ISOL8_E_LIMIT, "path too long: '%.60s...'", path);
    memcpy(part, path, n + 1);
    for (char *p = part + 1;; p++) {
        if (*p != '/' && *p != '\0')
            continue;
        char end = *p;
        *p = '\0';
        if (mkdir(part, mode) < 0 && errno != EEXIST)
            return err_sys(err, errno, "cannot create directory '%s'", part);
        *p = end;
        if (end == '\0')
            return 0;
    }
}

int path_mkdir_open(int at, const char *name, mode_t mode, isol8_error *err)
{
    if (mkdirat(at, name, mode) < 0 && errno != EEXIST)
        return err_sys(err, errno, "cannot create directory '%s'", name);

    int fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return err_sys(err, errno, "cannot open directory '%s'", name);
    return fd;
}

int path_read(int at, const char *name, size_t max, struct buf *out, isol8_error *err)
{
    auto_close int fd = openat(at, name, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);

    if (fd < 0)
        return err_sys(err, errno, "cannot read '%s'", name);
    buf_init(out, max);
    int r = fd_read_all(fd, out);
    if (r == -EFBIG)
        return err_set(err, ISOL8_E_LIMIT, "'%s' is larger than %zu bytes", name, max);
    if (r < 0)
        return err_sys(err, -r, "cannot read '%s'", name);
    return 0;
}

int path_write_value(int at, const char *name, const char *value, isol8_error *err)
{
    auto_close int fd = openat(at, name, O_WRONLY | O_CLOEXEC);

    if (fd < 0)
        return err_sys(err, errno, "cannot open '%s'", name);
    ssize_t w = write(fd, value, strlen(value));
    if (w < 0)
        return err_sys(err, errno, "cannot write '%s' to '%s'", value, name);
    return 0;
}

int path_replace(int at, const char *name, const void *data, size_t n, mode_t mode, bool fsync_it,
                 isol8_error *err)
{
    char tmp[NAME_MAX];
    (void)snprintf(tmp, sizeof(tmp), ".%.200s.%d.%llx", name, getpid(),
                   (unsigned long long)clock_now_ns());

    auto_close int fd = openat(at, tmp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
    if (fd < 0)
        return err_sys(err, errno, "cannot create '%s'", tmp);
    int r = fd_write_all(fd, data, n);
    if (r == 0 && fsync_it && fsync(fd) < 0)
        r = -errno;
    if (r == 0 && renameat(at, tmp, at, name) < 0)
        r = -errno;
    if (r < 0) {
        (void)unlinkat(at, tmp, 0); /* the first failure is the one to report */
        return err_sys(err, -r, "cannot write '%s'", name);
    }
    return 0;
}

/* One level of a tree walk; the callers below keep one of these per directory on the way down. */
struct walk {
    DIR *dir;
    dev_t dev;
};

static int walk_open(struct walk *w, int at, const char *name)
{
    struct stat st;
    int fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

    if (fd < 0)
        return -errno;
    if (fstat(fd, &st) < 0 || (w->dir = fdopendir(fd)) == NULL) {
        int r = -errno;
        (void)fd_close(fd);
        return r;
    }
    w->dev = st.st_dev;
    return 0;
}

static const struct dirent *walk_next(struct walk *w)
{
    const struct dirent *e;

    do {
        e = readdir(w->dir);
    } while (e != NULL && (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0));
    return e;
}

static int remove_children(int at, const char *name, dev_t dev, unsigned depth);

static int remove_entry(int at, const char *name, dev_t dev, unsigned depth)
{
    if (unlinkat(at, name, 0) == 0 || errno == ENOENT)
        return 0;
    if (errno != EISDIR && errno != EPERM)
        return -errno;
    int r = remove_children(at, name, dev, depth + 1);
    if (r < 0)
        return r;
    return unlinkat(at, name, AT_REMOVEDIR) == 0 || errno == ENOENT ? 0 : -errno;
}

static int remove_children(int at, const char *name, dev_t dev, unsigned depth)
{
    struct walk w;
    const struct dirent *e;

    if (depth > TREE_DEPTH_MAX)
        return -ELOOP;
    int r = walk_open(&w, at, name);
    if (r < 0)
        return r == -ENOENT ? 0 : r;
    if (dev != 0 && w.dev != dev) {
        (void)closedir(w.dir);
        return -EXDEV; /* a mount left inside: deleting its content would destroy foreign data */
    }
    while (r == 0 && (e = walk_next(&w)) != NULL)
        r = remove_entry(dirfd(w.dir), e->d_name, w.dev, depth);
    (void)closedir(w.dir);
    return r;
}

int path_remove_tree(int at, const char *name, isol8_error *err)
{
    int r = remove_entry(at, name, 0, 0);

    if (r < 0)
        return err_sys(err, -r, "cannot remove '%s'", name);
    return 0;
}

static int tree_size(int at, const char *name, uint64_t *bytes, unsigned depth)
{
    struct walk w;
    const struct dirent *e;

    if (depth > TREE_DEPTH_MAX)
        return -ELOOP;
    int r = walk_open(&w, at, name);
    if (r < 0)
        return r;
    while (r == 0 && (e = walk_next(&w)) != NULL) {
        struct stat st;
        if (fstatat(dirfd(w.dir), e->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0) {
            r = -errno;
        } else {
            /* A hard link's share: the sum over all its names is the file once. */
            *bytes += (uint64_t)st.st_blocks * 512 /
                      (st.st_nlink > 1 && !S_ISDIR(st.st_mode) ? (uint64_t)st.st_nlink : 1);
            if (S_ISDIR(st.st_mode))
                r = tree_size(dirfd(w.dir), e->d_name, bytes, depth + 1);
        }
    }
    (void)closedir(w.dir);
    return r;
}

int path_tree_size(int at, const char *name, uint64_t *bytes, isol8_error *err)
{
    *bytes = 0;
    int r = tree_size(at, name, bytes, 0);

    if (r < 0)
        return err_sys(err, -r, "cannot measure '%s'", name);
    return 0;
}

int path_lock(int fd, bool exclusive, bool wait)
{
    int op = (exclusive ? LOCK_EX : LOCK_SH) | (wait ? 0 : LOCK_NB);

    while (flock(fd, op) < 0) {
        if (errno != EINTR)
            return -errno;
    }
    return 0;
}

int path_unlock(int fd)
{
    return flock(fd, LOCK_UN) < 0 ? -errno : 0;
}
