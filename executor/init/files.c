/* SPDX-License-Identifier: Apache-2.0 */
/* files.c - what init does with files, with the sandbox's rights. */
#include "executor/init/files.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdbool.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <unistd.h>

bool file_system_full(const char *mount)
{
    struct statfs s;

    return statfs(mount, &s) == 0 && (s.f_bavail == 0 || (s.f_files > 0 && s.f_ffree == 0));
}

/* Make the parent directories of @path; it is changed and restored on the way. */
static int make_parents(char *path)
{
    for (char *p = path + 1; *p != '\0'; p++) {
        if (*p != '/')
            continue;
        *p = '\0';
        int r = mkdir(path, 0755);
        int saved = errno;
        *p = '/';
        /* EROFS and EACCES are what an existing read-only parent may answer instead of EEXIST. */
        if (r < 0 && saved != EEXIST && saved != EROFS && saved != EACCES)
            return saved;
    }
    return 0;
}

/* The kernel's own files look regular, but writing to them does something else than storing. */
static bool is_proc_file(int fd)
{
    struct statfs s;

    return fstatfs(fd, &s) < 0 || s.f_type == PROC_SUPER_MAGIC || s.f_type == SYSFS_MAGIC ||
           s.f_type == CGROUP_SUPER_MAGIC || s.f_type == CGROUP2_SUPER_MAGIC;
}

/* Open a regular file, and nothing else, without waiting on a FIFO or taking a terminal. */
static int open_regular(const char *path, int flags, mode_t mode, enum init_stage *stage)
{
    struct stat st;
    int fd = open(path, flags | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC, mode);

    if (fd < 0) {
        /* A link, or a FIFO that nobody reads. */
        *stage = errno == ELOOP || errno == ENXIO ? INIT_STAGE_KIND : INIT_STAGE_OPEN;
        return -errno;
    }
    if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) ||
        ((flags & O_ACCMODE) != O_RDONLY && is_proc_file(fd))) {
        (void)close(fd);
        *stage = INIT_STAGE_KIND;
        return -EINVAL;
    }
    return fd;
}

static int write_all(int fd, const char *p, size_t n)
{
    while (n > 0) {
        ssize_t w = write(fd, p, n);
        if (w < 0 && errno == EINTR)
            continue;
        if (w < 0)
            return errno;
        p += w;
        n -= (size_t)w;
    }
    return 0;
}

static int copy_all(int from, int to)
{
    static char chunk[64 * 1024];

    for (;;) {
        ssize_t r = read(from, chunk, sizeof(chunk));
        if (r < 0 && errno == EINTR)
            continue;
        if (r < 0)
            return errno;
        if (r == 0)
            return 0;
        int e = write_all(to, chunk, (size_t)r);
        if (e != 0)
            return e;
    }
}

int file_put(char *path, mode_t mode, const char *data, size_t n, int pipe, enum init_stage *stage)
{
    *stage = INIT_STAGE_PARENTS;
    int e = make_parents(path);
    if (e != 0)
        return e;
    int fd = open_regular(path, O_WRONLY | O_CREAT, mode, stage);
    if (fd < 0)
        return -fd;
    *stage = INIT_STAGE_COPY;
    e = ftruncate(fd, 0) < 0 || fchmod(fd, mode) < 0 ? errno : 0;
    if (e == 0)
        e = pipe >= 0 ? copy_all(pipe, fd) : write_all(fd, data, n);
    if (close(fd) < 0 && e == 0)
        e = errno;
    return e;
}

int file_get(const char *path, int pipe, enum init_stage *stage)
{
    int fd = open_regular(path, O_RDONLY, 0, stage);

    if (fd < 0)
        return -fd;
    *stage = INIT_STAGE_COPY;
    int e = copy_all(fd, pipe);
    (void)close(fd);
    return e;
}
