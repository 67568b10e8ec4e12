/* SPDX-License-Identifier: Apache-2.0 */
/* run_files.c - the directory of --files, read into memory. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/fd.h"
#include "base/mem.h"
#include "cli/run.h"
#include "cli/xmem.h"

/* What tools make and nobody means to send. */
static const char *const skipped_dirs[] = { ".git",  "node_modules", "__pycache__",
                                            ".venv", "venv",         ".tox" };

static bool is_skipped(const char *name)
{
    for (size_t i = 0; i < ARRAY_LEN(skipped_dirs); i++) {
        if (strcmp(skipped_dirs[i], name) == 0)
            return true;
    }
    return false;
}

static int unreadable(const char *path, int errnum)
{
    return cli_fail("--files: cannot read %s: %s", path, strerrordesc_np(errnum));
}

/* Take one open regular file; @path is taken as well. */
static int add_file(struct run_files *files, int fd, char *path)
{
    auto_free char *name = path;
    auto_buf struct buf data = BUF_INIT(RUN_FILES_BYTES_MAX - files->bytes);
    int r;

    if (files->n == RUN_FILES_MAX)
        return cli_fail("--files: more than %u files", RUN_FILES_MAX);
    r = fd_read_all(fd, &data);
    if (r == -EFBIG)
        return cli_fail("--files: more than %" PRIu64 " MiB in all",
                        (uint64_t)(RUN_FILES_BYTES_MAX >> 20));
    if (r < 0)
        return unreadable(name, -r);

    files->bytes += data.len;
    files->items = xrealloc(files->items, (files->n + 1) * sizeof(*files->items));
    files->items[files->n].size = data.len;
    files->items[files->n].path = take_ptr(&name);
    files->items[files->n++].data = buf_take(&data);
    return 0;
}

static int walk(struct run_files *files, int dirfd, const char *prefix, unsigned depth);

/* One directory entry: regular files and directories count, links and special files do not. */
static int take_entry(struct run_files *files, int dirfd, const char *prefix, const char *name,
                      unsigned depth)
{
    auto_free char *path = xasprintf("%s%s", prefix, name);
    auto_close int fd = -1;
    struct stat st;

    if (fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return errno == ENOENT ? 0 : unreadable(path, errno);
    if (!S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode))
        return 0;
    if (S_ISDIR(st.st_mode) && is_skipped(name))
        return 0;
    fd = openat(dirfd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
    if (fd < 0)
        return errno == ENOENT || errno == ELOOP ? 0 : unreadable(path, errno);
    if (fstat(fd, &st) < 0)
        return unreadable(path, errno);
    if (S_ISREG(st.st_mode))
        return add_file(files, fd, take_ptr(&path));
    if (!S_ISDIR(st.st_mode))
        return 0;

    auto_free char *below = xasprintf("%s/", path);
    return walk(files, take_fd(&fd), below, depth + 1);
}

/* Take everything below @dirfd, which is taken. NOLINTNEXTLINE(misc-no-recursion): bounded */
static int walk(struct run_files *files, int dirfd, const char *prefix, unsigned depth)
{
    DIR *dir = fdopendir(dirfd);
    int code = 0;

    if (dir == NULL) {
        (void)fd_close(dirfd);
        return unreadable(prefix, errno);
    }
    if (depth > RUN_FILES_DEPTH_MAX)
        code = cli_fail("--files: more than %u directories below each other", RUN_FILES_DEPTH_MAX);
    while (code == 0) {
        errno = 0;
        struct dirent *d = readdir(dir);
        if (d == NULL && errno != 0)
            code = unreadable(prefix, errno);
        if (d == NULL)
            break;
        if (strcmp(d->d_name, ".") != 0 && strcmp(d->d_name, "..") != 0)
            code = take_entry(files, dirfd, prefix, d->d_name, depth);
    }
    (void)closedir(dir);
    return code;
}

static int by_path(const void *a, const void *b)
{
    return strcmp(((const isol8_file *)a)->path, ((const isol8_file *)b)->path);
}

int run_files_read(struct run_files *files, const char *dir)
{
    int fd = open(dir, O_RDONLY | O_CLOEXEC | O_DIRECTORY);
    int code;

    if (fd < 0 && (errno == ENOTDIR || errno == ENOENT))
        return cli_fail("--files path is not a directory: %s", dir);
    if (fd < 0)
        return unreadable(dir, errno);
    code = walk(files, fd, "", 0);
    if (files->n > 0)
        qsort(files->items, files->n, sizeof(*files->items), by_path);
    return code;
}

void run_files_done(struct run_files *files)
{
    for (size_t i = 0; i < files->n; i++) {
        free((void *)files->items[i].path);
        free((void *)files->items[i].data);
    }
    free(files->items);
}
