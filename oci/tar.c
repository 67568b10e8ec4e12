/* SPDX-License-Identifier: Apache-2.0 */
/**
 * tar.c - unpack foreign tar streams without trusting them
 *
 * Theory of operation. libarchive decodes the stream and nothing else: it never touches the file
 * system for us. Each entry goes through the same three steps: its name is checked and mapped, its
 * parent directory is reached one component at a time with O_NOFOLLOW (missing ones are made), and
 * the object is created under that descriptor with O_EXCL. So a symlink planted by an earlier entry
 * can neither be followed nor written through, whatever it points at. Consecutive entries mostly
 * share their directory: the last one stays open.
 *
 * Ceilings: entries, unpacked bytes, name length and depth (tar.h). Declared sizes are not
 * believed; the bytes that come out are counted. Holes of sparse files count as bytes.
 */
#include "oci/tar.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/mem.h"
#include "oci/archive.h"

enum { READ_CHUNK = 64 * 1024 };

struct unpack {
    const struct tar_unpack_args *args;
    const struct archive_lib *lib;
    struct archive *a;
    uint64_t bytes;
    uint64_t entries;
    int read_errno; /* why the input ended early */
    bool cancelled;
    int parent; /* the directory @parent_name, -1: none yet */
    char parent_name[TAR_NAME_MAX + 1];
    char chunk[READ_CHUNK];
};

/* ---- Names ----------------------------------------------------------------------------------- */

bool tar_name_ok(const char *name)
{
    size_t depth = 0;

    if (*name == '\0' || strlen(name) > TAR_NAME_MAX)
        return false;
    for (const char *p = name;;) {
        size_t n = strcspn(p, "/");
        if (n == 0 || n > 255 || (n == 1 && p[0] == '.') || (n == 2 && p[0] == '.' && p[1] == '.'))
            return false;
        if (++depth > TAR_DEPTH_MAX)
            return false;
        if (p[n] == '\0')
            return true;
        p += n + 1;
    }
}

/* Resolved as text: what lies on the way may itself be a link, but each of those was checked by
 * the same rule, and nobody follows them on the host. */
bool tar_link_ok(const char *name, const char *target)
{
    int depth = 0;

    if (*target == '\0' || strlen(target) > TAR_NAME_MAX)
        return false;
    if (*target != '/') {
        for (const char *p = name; *p != '\0'; p++)
            depth += *p == '/';
    }
    for (const char *p = target; *p != '\0';) {
        size_t n = strcspn(p, "/");
        if (n == 2 && p[0] == '.' && p[1] == '.')
            depth--;
        else if (n > 0 && !(n == 1 && p[0] == '.'))
            depth++;
        if (depth < 0)
            return false;
        p += n + (p[n] == '/');
    }
    return true;
}

/* "./a/./b/" -> "a/b"; the root itself becomes "". False when it is absolute or leads upwards. */
static bool clean_name(const char *raw, char out[TAR_NAME_MAX + 1])
{
    size_t len = 0;

    if (*raw == '/')
        return false;
    for (const char *p = raw; *p != '\0';) {
        size_t n = strcspn(p, "/");
        if (n > 0 && !(n == 1 && p[0] == '.')) {
            if (len + 1 + n > TAR_NAME_MAX)
                return false;
            if (len > 0)
                out[len++] = '/';
            memcpy(out + len, p, n);
            len += n;
        }
        p += n + (p[n] == '/');
    }
    out[len] = '\0';
    return len == 0 || tar_name_ok(out);
}

/* ---- Input ----------------------------------------------------------------------------------- */

static bool is_cancelled(int fd)
{
    struct pollfd p = { .fd = fd, .events = POLLIN };

    return fd >= 0 && poll(&p, 1, 0) > 0;
}

static ssize_t read_input(struct archive *a, void *user, const void **buffer)
{
    struct unpack *u = user;
    struct pollfd p[2] = { { .fd = u->args->in_fd, .events = POLLIN },
                           { .fd = u->args->cancel_fd, .events = POLLIN } };
    ssize_t n;

    (void)a;
    *buffer = u->chunk;
    do {
        if (poll(p, 2, -1) < 0 && errno != EINTR) {
            u->read_errno = errno;
            return -1;
        }
        if (p[1].revents != 0) {
            u->cancelled = true;
            return -1;
        }
        n = read(u->args->in_fd, u->chunk, sizeof(u->chunk));
    } while (n < 0 && (errno == EINTR || errno == EAGAIN));
    if (n < 0)
        u->read_errno = errno;
    return n;
}

static int input_failed(const struct unpack *u, isol8_error *err)
{
    if (u->cancelled)
        return err_set(err, ISOL8_E_CANCELLED, "interrupted");
    if (u->read_errno != 0)
        return err_sys(err, u->read_errno, "cannot read an archive");
    const char *why = u->lib->error_string(u->a);
    return err_set(err, ISOL8_E_PROTOCOL, "damaged archive: %s", why != NULL ? why : "unknown");
}

/* ---- Placing one entry ----------------------------------------------------------------------- */

/* An open directory @name below @at, made when absent; what is there and no directory is an error
 * of the archive: nothing is followed and no file is turned into a directory. */
static int enter_dir(int at, const char *name)
{
    int fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

    if (fd >= 0 || errno != ENOENT)
        return fd >= 0 ? fd : -errno;
    if (mkdirat(at, name, 0755) < 0)
        return -errno;
    fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    if (fchmod(fd, 0755) < 0) { /* the caller's umask is not ours to change */
        int r = -errno;
        (void)fd_close(fd);
        return r;
    }
    return fd;
}

/* Make u->parent the directory that holds @name. Return: 0 or -errno. */
static int enter_parent(struct unpack *u, const char *name)
{
    const char *slash = strrchr(name, '/');
    size_t n = slash == NULL ? 0 : (size_t)(slash - name);
    char part[256];

    if (u->parent >= 0 && strlen(u->parent_name) == n && memcmp(u->parent_name, name, n) == 0)
        return 0;
    u->parent = fd_close(u->parent);

    auto_close int at = fcntl(u->args->dir_fd, F_DUPFD_CLOEXEC, 0);
    if (at < 0)
        return -errno;
    for (size_t i = 0; i < n;) {
        size_t len = strcspn(name + i, "/");
        memcpy(part, name + i, len);
        part[len] = '\0';
        int next = enter_dir(at, part);
        if (next < 0)
            return next;
        (void)fd_close(at);
        at = next;
        i += len + 1;
    }
    memcpy(u->parent_name, name, n);
    u->parent_name[n] = '\0';
    u->parent = take_fd(&at);
    return 0;
}

static int write_content(struct unpack *u, int fd, const char *name, isol8_error *err)
{
    uint64_t max = u->args->bytes_max != 0 ? u->args->bytes_max : TAR_BYTES_MAX;
    int64_t end = 0;

    for (;;) {
        const void *data;
        size_t n;
        int64_t offset;
        int r = u->lib->read_data_block(u->a, &data, &n, &offset);
        if (r == ARCHIVE_EOF)
            return ftruncate(fd, end) < 0 ? err_sys(err, errno, "cannot write '%s'", name) : 0;
        if (r != ARCHIVE_OK)
            return input_failed(u, err);
        if (offset < end || (uint64_t)(offset - end) + n > max - u->bytes)
            return err_set(err, ISOL8_E_LIMIT, "archive unpacks to more than %llu bytes",
                           (unsigned long long)max);
        u->bytes += (uint64_t)(offset - end) + n;
        end = offset + (int64_t)n;
        if (n > 0 && lseek(fd, offset, SEEK_SET) < 0)
            return err_sys(err, errno, "cannot write '%s'", name);
        r = fd_write_all(fd, data, n);
        if (r < 0)
            return err_sys(err, -r, "cannot write '%s'", name);
    }
}

static int put_file(struct unpack *u, const char *base, const char *name, mode_t perm,
                    isol8_error *err)
{
    mode_t mode = (perm & 0100) != 0 ? 0755 : 0644;

    if (unlinkat(u->parent, base, 0) < 0 && errno != ENOENT)
        return err_sys(err, errno, "cannot replace '%s'", name);
    auto_close int fd = openat(u->parent, base,
                               O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode);
    if (fd < 0)
        return err_sys(err, errno, "cannot create '%s'", name);
    int r = write_content(u, fd, name, err);
    if (r < 0)
        return r;
    if (fchmod(fd, mode) < 0)
        return err_sys(err, errno, "cannot set the mode of '%s'", name);
    return 0;
}

static int put_link(struct unpack *u, const char *base, const char *name, const char *target,
                    isol8_error *err)
{
    if (target == NULL || !tar_link_ok(name, target))
        return err_set(err, ISOL8_E_PROTOCOL, "archive has a link that leaves it: '%s' -> '%s'",
                       name, target != NULL ? target : "");
    if (unlinkat(u->parent, base, 0) < 0 && errno != ENOENT)
        return err_sys(err, errno, "cannot replace '%s'", name);
    if (symlinkat(target, u->parent, base) < 0)
        return err_sys(err, errno, "cannot create link '%s'", name);
    return 0;
}

static int put_entry(struct unpack *u, struct archive_entry *e, const char *name, isol8_error *err)
{
    mode_t type = u->lib->entry_filetype(e);
    const char *slash = strrchr(name, '/');
    const char *base = slash == NULL ? name : slash + 1;

    if (u->lib->entry_hardlink(e) != NULL ||
        (type != S_IFREG && type != S_IFDIR && type != S_IFLNK))
        return err_set(err, ISOL8_E_PROTOCOL,
                       "archive has an entry that is no file, directory or symlink: '%s'", name);

    int r = enter_parent(u, name);
    if (r == -ELOOP || r == -ENOTDIR)
        return err_set(err, ISOL8_E_PROTOCOL, "archive has '%s' below something else", name);
    if (r < 0)
        return err_sys(err, -r, "cannot create the directories of '%s'", name);
    if (type == S_IFREG)
        return put_file(u, base, name, u->lib->entry_perm(e), err);
    if (type == S_IFLNK) {
        const char *target = u->lib->entry_symlink(e);
        return put_link(u, base, name, target != NULL ? target : u->lib->entry_symlink_utf8(e),
                        err);
    }

    auto_close int dir = enter_dir(u->parent, base);
    if (dir == -ELOOP || dir == -ENOTDIR)
        return err_set(err, ISOL8_E_PROTOCOL, "archive has '%s' twice", name);
    return dir < 0 ? err_sys(err, -dir, "cannot create directory '%s'", name) : 0;
}

/* ---- The stream ------------------------------------------------------------------------------ */

static int take_entry(struct unpack *u, struct archive_entry *e, isol8_error *err)
{
    uint64_t max = u->args->entries_max != 0 ? u->args->entries_max : TAR_ENTRIES_MAX;
    const char *raw = u->lib->entry_pathname(e);
    char name[TAR_NAME_MAX + 1], mapped[TAR_NAME_MAX + 1];

    /* In a "C" locale libarchive cannot convert names that are marked as UTF-8. */
    if (raw == NULL)
        raw = u->lib->entry_pathname_utf8(e);
    if (++u->entries > max)
        return err_set(err, ISOL8_E_LIMIT, "archive has more than %llu entries",
                       (unsigned long long)max);
    if (is_cancelled(u->args->cancel_fd))
        return err_set(err, ISOL8_E_CANCELLED, "interrupted");
    if (raw == NULL || !clean_name(raw, name))
        return err_set(err, ISOL8_E_PROTOCOL, "archive has an unsafe name: '%.80s'",
                       raw != NULL ? raw : "");
    if (name[0] == '\0')
        return 0;
    if (u->args->map == NULL)
        return put_entry(u, e, name, err);
    if (!u->args->map(name, mapped, u->args->user))
        return 0;
    if (!tar_name_ok(mapped))
        return err_set(err, ISOL8_E_PROTOCOL, "archive has an unsafe name: '%.80s'", mapped);
    return put_entry(u, e, mapped, err);
}

static int unpack_all(struct unpack *u, isol8_error *err)
{
    const struct archive_lib *lib = u->lib;

    /* A filter that is not built in returns a warning: its streams are then not recognised. */
    (void)lib->read_support_filter_gzip(u->a);
    (void)lib->read_support_filter_zstd(u->a);
    if (lib->read_support_format_tar(u->a) < ARCHIVE_WARN ||
        lib->read_open(u->a, u, NULL, read_input, NULL) != ARCHIVE_OK)
        return input_failed(u, err);
    for (;;) {
        struct archive_entry *e;
        int r = lib->read_next_header(u->a, &e);
        if (r == ARCHIVE_EOF)
            return 0;
        if (r != ARCHIVE_OK && r != ARCHIVE_WARN)
            return input_failed(u, err);
        r = take_entry(u, e, err);
        if (r < 0)
            return r;
    }
}

int tar_unpack(const struct tar_unpack_args *args, isol8_error *err)
{
    const struct archive_lib *lib;

    int r = archive_lib_get(&lib, err);
    if (r < 0)
        return r;
    auto_free struct unpack *u = calloc(1, sizeof(*u));
    if (u == NULL)
        return err_nomem(err);
    u->args = args;
    u->lib = lib;
    u->parent = -1;
    u->a = lib->read_new();
    if (u->a == NULL)
        return err_nomem(err);
    r = unpack_all(u, err);
    (void)lib->read_free(u->a); /* nothing is written by it */
    (void)fd_close(u->parent);
    return r;
}
