/* SPDX-License-Identifier: Apache-2.0 */
/**
 * audit_file.c - the files of the audit log
 *
 * Theory of operation. Whoever appends opens the file anew, locks it, and checks that the name
 * still leads to what it locked: otherwise somebody rotated it in between, and it starts over. With
 * the lock held, the file's modification time tells the day of its last record. If that is not
 * today, the file gets that day's name and a new one is begun. So a file holds the records of one
 * day, and its age is the age of its last record, which is what keeping them for a number of days
 * needs.
 *
 * The lock also guards the line: what could not be written whole is cut off again. A line that was
 * torn by a writer's sudden death is ended before the next one begins.
 *
 * The directory may belong to a project that came from somewhere else. So nothing that was planted
 * there is followed, written to or deleted: no link in a relative path, no file but a regular one
 * that belongs to us.
 */
#include "executor/audit_file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/mem.h"
#include "base/path.h"

enum {
    TRIES_MAX = 100,    /* files rotated away under us, one after the other */
    SAME_DAY_MAX = 999, /* files of one day: more than one only when the clock was set back */
};

#define DAY_MS 86400000

/* ---- The directory --------------------------------------------------------------------------- */

/* One component after the other, so that none of them is a link. */
static int open_relative(int base, const char *path, bool make)
{
    auto_close int at = fcntl(base, F_DUPFD_CLOEXEC, 0);

    while (at >= 0) {
        char name[NAME_MAX + 1];
        path += strspn(path, "/");
        size_t n = strcspn(path, "/");
        if (n == 0)
            break;
        if (n > NAME_MAX)
            return -ENAMETOOLONG;
        memcpy(name, path, n);
        name[n] = '\0';
        path += n;
        if (make && mkdirat(at, name, 0700) < 0 && errno != EEXIST)
            return -errno;
        int next = openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (next < 0)
            return -errno; /* ENOTDIR for a link as well */
        (void)fd_close(at);
        at = next;
    }
    if (at < 0)
        return -errno;
    /* The base may be a descriptor that only names a place. */
    int fd = openat(at, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return fd < 0 ? -errno : fd;
}

int audit_dir_open(int base, const char *path, bool make)
{
    if (path[0] != '/')
        return open_relative(base, path, make);

    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT && make) {
        isol8_error err = { 0 };
        if (path_mkdirs(path, 0700, &err) < 0)
            return err.sys_errno != 0 ? -err.sys_errno : -ENAMETOOLONG;
        fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    }
    return fd < 0 ? -errno : fd;
}

/* ---- The present file ------------------------------------------------------------------------ */

struct current {
    int fd;
    struct stat st;
    bool is_locked;
};

static int check_kind(const struct stat *st, isol8_error *err)
{
    if (!S_ISREG(st->st_mode) || st->st_uid != geteuid())
        return err_set(err, ISOL8_E_POLICY,
                       "'" AUDIT_FILE_NAME "' is not an ordinary file of the caller");
    return 0;
}

/* Open and lock what has the name now. Return: 1, 0 when it is absent (and not to be made). */
static int open_current(struct current *c, int dir, bool make, isol8_error *err)
{
    /* Not blocking, in case it is a pipe that somebody planted. */
    const int flags = O_RDWR | O_APPEND | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY | O_NONBLOCK;

    for (int i = 0; i < TRIES_MAX; i++) {
        struct stat named;
        auto_close int fd = openat(dir, AUDIT_FILE_NAME, make ? flags | O_CREAT : flags, 0600);
        if (fd < 0 && errno == ENOENT && !make)
            return 0;
        if (fd < 0)
            return err_sys(err, errno, "cannot open '" AUDIT_FILE_NAME "'");
        if (fstat(fd, &c->st) < 0)
            return err_sys(err, errno, "cannot examine '" AUDIT_FILE_NAME "'");
        int r = check_kind(&c->st, err);
        if (r < 0)
            return r;
        /* A file system without locks: single appends of a line are still whole. */
        c->is_locked = path_lock(fd, true, true) == 0;
        if (fstat(fd, &c->st) == 0 &&
            fstatat(dir, AUDIT_FILE_NAME, &named, AT_SYMLINK_NOFOLLOW) == 0 &&
            named.st_dev == c->st.st_dev && named.st_ino == c->st.st_ino) {
            c->fd = take_fd(&fd);
            return 1;
        }
    }
    return err_set(err, ISOL8_E_BUSY, "'" AUDIT_FILE_NAME "' is replaced again and again");
}

static bool is_old(const struct stat *st)
{
    return st->st_size > 0 &&
           (int64_t)st->st_mtim.tv_sec / (DAY_MS / 1000) < clock_wall_ms() / DAY_MS;
}

/* With the lock held: give the file the name of its day. No existing file is replaced. */
static int rename_old(int dir, const struct stat *st, isol8_error *err)
{
    char day[CLOCK_ISO_SIZE], name[64];
    struct stat taken;

    clock_iso((int64_t)st->st_mtim.tv_sec * 1000, day);
    (void)snprintf(name, sizeof(name), "executions-%.10s.log", day);
    for (int i = 2; fstatat(dir, name, &taken, AT_SYMLINK_NOFOLLOW) == 0; i++) {
        if (i > SAME_DAY_MAX)
            return err_set(err, ISOL8_E_LIMIT, "more than %d files of one day", SAME_DAY_MAX);
        (void)snprintf(name, sizeof(name), "executions-%.10s.%d.log", day, i);
    }
    if (renameat(dir, AUDIT_FILE_NAME, dir, name) < 0)
        return err_sys(err, errno, "cannot rename '" AUDIT_FILE_NAME "'");
    return 0;
}

int audit_file_rotate(int dir, isol8_error *err)
{
    struct current c = { .fd = -1 };
    int r = open_current(&c, dir, false, err);

    if (r <= 0)
        return r;
    r = is_old(&c.st) ? rename_old(dir, &c.st, err) : 0;
    c.fd = fd_close(c.fd);
    return r;
}

static int write_all(int fd, const char *data, size_t n)
{
    while (n > 0) {
        ssize_t w = fd_write_nosigpipe(fd, data, n);
        if (w < 0 && w != -EINTR)
            return (int)w;
        data += w < 0 ? 0 : w;
        n -= w < 0 ? 0 : (size_t)w;
    }
    return 0;
}

static int write_line(const struct current *c, const char *line, size_t n)
{
    char last = '\n';

    if (c->st.st_size > 0)
        (void)!pread(c->fd, &last, 1, c->st.st_size - 1);
    int r = last == '\n' ? 0 : write_all(c->fd, "\n", 1);
    if (r == 0)
        r = write_all(c->fd, line, n);
    if (r < 0 && c->is_locked)
        (void)!ftruncate(c->fd, c->st.st_size); /* what is left is ended by the next line */
    return r;
}

int audit_file_append(int dir, const char *line, size_t n, bool *rotated, isol8_error *err)
{
    struct current c = { .fd = -1 };

    *rotated = false;
    int r = open_current(&c, dir, true, err);
    if (r > 0 && is_old(&c.st)) {
        r = rename_old(dir, &c.st, err);
        c.fd = fd_close(c.fd);
        *rotated = r == 0;
        if (r == 0)
            r = open_current(&c, dir, true, err);
    }
    if (r < 0)
        return r;
    r = write_line(&c, line, n);
    c.fd = fd_close(c.fd);
    return r < 0 ? err_sys(err, -r, "cannot append to '" AUDIT_FILE_NAME "'") : 0;
}

/* ---- Retention ------------------------------------------------------------------------------- */

static bool has_suffix(const char *name, const char *suffix)
{
    size_t n = strlen(name), m = strlen(suffix);

    return n > m && strcmp(name + n - m, suffix) == 0;
}

static bool is_expired(int dir, const char *name, double days)
{
    struct stat st;

    if (!has_suffix(name, ".log") && !has_suffix(name, ".jsonl"))
        return false;
    if (strcmp(name, AUDIT_FILE_NAME) == 0) /* rotated first; removing it would race with writers */
        return false;
    if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISREG(st.st_mode))
        return false;
    return (double)st.st_mtim.tv_sec * 1000 < (double)clock_wall_ms() - days * DAY_MS;
}

int audit_file_clean(int dir, double days, size_t *removed, isol8_error *err)
{
    int own = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *list = own < 0 ? NULL : fdopendir(own);
    const struct dirent *e;
    int r = 0;

    *removed = 0;
    if (list == NULL) {
        r = err_sys(err, errno, "cannot list the directory");
        (void)fd_close(own);
        return r;
    }
    while ((e = readdir(list)) != NULL) {
        if (!is_expired(dir, e->d_name, days))
            continue;
        if (unlinkat(dir, e->d_name, 0) == 0)
            (*removed)++;
        else if (errno != ENOENT && r == 0) /* another process may clean at the same time */
            r = err_sys(err, errno, "cannot remove '%s'", e->d_name);
    }
    (void)closedir(list);
    return r;
}
