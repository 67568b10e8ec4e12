/* SPDX-License-Identifier: Apache-2.0 */
/**
 * transfer.c - files of a session: isol8_put_file() and isol8_get_file()
 *
 * Theory of operation. A child of init copies between the sandbox's file and a pipe whose other end
 * is ours, so the host never opens a file of the sandbox, and every byte written is charged to it.
 * Both ends of the pipe and init's answer are polled together: a program that bends the path, fills
 * the disk or kills the copying child makes the transfer fail, never hang. One that stops the child
 * and lets it go on now and then has a little time for each byte, and no more.
 */
#include "executor/transfer.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/mem.h"
#include "executor/failpoint.h"
#include "executor/initlink.h"
#include "executor/session.h"

enum {
    CHUNK_BYTES = 65536,
    TRANSFER_ID = 1,
    PIPE_BYTES = 1 << 20, /* asked for; what the kernel gives is enough */
    PATH_BYTES_MAX = 4095,
    PATIENCE_MS = 60000,    /* for the sandbox, in all, and ... */
    BYTES_PER_MS_MIN = 256, /* ... more of it for every so many bytes */
    FILE_MODE = 0644,
};
#define MEMORY_FILE_MAX ((size_t)256 << 20)

/* ---- The protocol -------------------------------------------------------------------------- */

static int failed(const char *what, const char *path, const struct init_done *d, isol8_error *err)
{
    if (d->stage == INIT_STAGE_KIND || d->errnum == ELOOP || d->errnum == ENXIO ||
        d->errnum == EINVAL) /* of a copying child only the errno is known */
        return err_set(err, ISOL8_E_INVAL,
                       "Failed to %s file %s in container: it is not a regular file", what, path);
    if (d->errnum == EINTR)
        return err_set(err, ISOL8_E_LIMIT,
                       "Failed to %s file %s in container: the copying process was killed", what,
                       path);
    (void)err_sys(err, d->errnum, "Failed to %s file %s in container", what, path);
    if (err != NULL)
        err->status = d->errnum == ENOSPC || d->errnum == EDQUOT || d->errnum == EFBIG
                          ? ISOL8_E_LIMIT
                          : ISOL8_E_INVAL;
    return d->errnum == ENOSPC || d->errnum == EDQUOT || d->errnum == EFBIG ? ISOL8_E_LIMIT
                                                                            : ISOL8_E_INVAL;
}

/* Return: 1 with the answer, 0 when there is none yet, or a status. */
static int take_answer(int channel, struct init_done *out, isol8_error *err)
{
    struct initlink_answer a;
    int r = initlink_receive(channel, &a, err);

    if (r == ISOL8_E_STATE)
        return err_set(err, ISOL8_E_STATE, "the session's sandbox has ended");
    if (r == 1 && (a.type != INIT_DONE || a.id != TRANSFER_ID))
        return err_set(err, ISOL8_E_PROTOCOL,
                       "the sandbox's init answered something that was not asked");
    *out = a.done;
    return r;
}

struct patience {
    uint64_t waited_ns; /* for the sandbox */
    uint64_t bytes;     /* moved meanwhile */
};

/* @on_sandbox: it is its turn. Otherwise it is the caller's own descriptor that is waited for, as
 * long as it takes. */
static int wait_for(struct pollfd *p, nfds_t n, bool on_sandbox, struct patience *w,
                    isol8_error *err)
{
    uint64_t start_ns = clock_now_ns();
    uint64_t all_ms = (uint64_t)failpoint_ms(PATIENCE_MS) + w->bytes / BYTES_PER_MS_MIN;
    uint64_t waited_ms = w->waited_ns / 1000000;
    uint64_t left_ms = waited_ms < all_ms ? all_ms - waited_ms : 0;

    int r = poll(p, n, !on_sandbox ? -1 : left_ms < INT_MAX ? (int)left_ms : INT_MAX);
    if (on_sandbox)
        w->waited_ns += clock_now_ns() - start_ns;
    if (r < 0 && errno == EINTR) {
        for (nfds_t i = 0; i < n; i++)
            p[i].revents = 0;
        return 0;
    }
    if (r == 0)
        return err_set(err, ISOL8_E_TIMEOUT, "the sandbox did not do its part within %d s",
                       (int)(all_ms / 1000));
    return r < 0 ? err_sys(err, errno, "cannot wait for a transfer") : 0;
}

/* Init's end goes to init, which may not open it for anything else than it is. */
static int open_pipe(int ends[2], int ours, isol8_error *err)
{
    if (pipe2(ends, O_CLOEXEC) < 0)
        return err_sys(err, errno, "cannot create a pipe");
    (void)fcntl(ends[0], F_SETPIPE_SZ, PIPE_BYTES);
    int r = fd_set_nonblock(ends[ours], true);
    if (r < 0) {
        (void)fd_close(ends[0]);
        (void)fd_close(ends[1]);
        return err_sys(err, -r, "cannot prepare a pipe");
    }
    return 0;
}

struct feeding {
    int from; /* the file */
    int pipe; /* write end; -1 once everything is written, or nobody reads */
    struct patience patience;
    char chunk[CHUNK_BYTES];
    size_t len, at;
};

/* Move what goes without waiting. Return: 0 or a status of reading @from. */
static int feed(struct feeding *f, isol8_error *err)
{
    if (f->at == f->len) {
        ssize_t n = read(f->from, f->chunk, sizeof(f->chunk));
        if (n < 0 && (errno == EINTR || errno == EAGAIN))
            return 0;
        if (n < 0)
            return err_sys(err, errno, "cannot read the file to put");
        f->len = (size_t)n;
        f->at = 0;
        if (n == 0)
            f->pipe = fd_close(f->pipe);
    }
    if (f->pipe < 0 || f->at == f->len)
        return 0;
    ssize_t n = fd_write_nosigpipe(f->pipe, f->chunk + f->at, f->len - f->at);
    if (n >= 0) {
        f->at += (size_t)n;
        f->patience.bytes += (uint64_t)n;
    } else if (n != -EAGAIN && n != -EINTR) {
        f->pipe = fd_close(f->pipe); /* the copier gave up: its answer says why */
    }
    return 0;
}

static int drive_put(int channel, struct feeding *f, struct init_done *done, isol8_error *err)
{
    for (;;) {
        bool has_data = f->at < f->len;
        struct pollfd p[] = {
            { .fd = channel, .events = POLLIN },
            { .fd = has_data ? f->pipe : -1, .events = POLLOUT },
            { .fd = !has_data && f->pipe >= 0 ? f->from : -1, .events = POLLIN },
        };
        int r = wait_for(p, ARRAY_LEN(p), has_data || f->pipe < 0, &f->patience, err);
        if (r == 0 && p[0].revents != 0) {
            r = take_answer(channel, done, err);
            if (r != 0)
                return r;
        }
        if (r == 0 && (p[1].revents | p[2].revents) != 0)
            r = feed(f, err);
        if (r < 0)
            return r;
    }
}

int transfer_put(int channel, const char *path, int fd, isol8_error *err)
{
    struct feeding f = { .from = fd };
    struct init_done done = { 0 };
    int ends[2];

    int r = open_pipe(ends, 1, err);
    if (r < 0)
        return r;
    f.pipe = ends[1];
    r = initlink_put_pipe(channel, TRANSFER_ID, path, FILE_MODE, ends[0], err);
    (void)fd_close(ends[0]);
    failpoint("put-sent");
    if (r == 0)
        r = drive_put(channel, &f, &done, err);
    (void)fd_close(f.pipe);
    if (r < 0)
        return r;
    return done.errnum != 0 ? failed("write", path, &done, err) : 0;
}

struct fetching {
    int pipe;
    int to;
    uint64_t room; /* bytes that may still come */
    bool ended;
    struct patience patience;
};

static int fetch(struct fetching *f, const char *path, isol8_error *err)
{
    char chunk[CHUNK_BYTES];
    ssize_t n = read(f->pipe, chunk, sizeof(chunk));

    f->ended = n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR);
    if (n <= 0)
        return 0;
    if ((uint64_t)n > f->room)
        return err_set(err, ISOL8_E_LIMIT,
                       "Failed to read file %s in container: it is too large; read it into a "
                       "descriptor",
                       path);
    f->room -= (uint64_t)n;
    f->patience.bytes += (uint64_t)n;
    int r = fd_write_all(f->to, chunk, (size_t)n);
    return r < 0 ? err_sys(err, -r, "cannot write what was read from file %s in container", path)
                 : 0;
}

static int drive_get(int channel, struct fetching *f, const char *path, struct init_done *done,
                     isol8_error *err)
{
    bool answered = false;

    while (!answered || !f->ended) {
        struct pollfd p[] = { { .fd = answered ? -1 : channel, .events = POLLIN },
                              { .fd = f->ended ? -1 : f->pipe, .events = POLLIN } };
        int r = wait_for(p, ARRAY_LEN(p), true, &f->patience, err);
        if (r == 0 && p[0].revents != 0) {
            r = take_answer(channel, done, err);
            answered = r == 1;
        }
        if (r >= 0 && p[1].revents != 0)
            r = fetch(f, path, err);
        if (r < 0)
            return r;
    }
    return 0;
}

int transfer_get(int channel, const char *path, int fd, uint64_t bytes_max, isol8_error *err)
{
    struct init_done done = { 0 };
    int ends[2];

    int r = open_pipe(ends, 0, err);
    if (r < 0)
        return r;
    r = initlink_get(channel, TRANSFER_ID, path, ends[1], err);
    (void)fd_close(ends[1]);
    failpoint("get-sent");
    if (r == 0)
        r = drive_get(channel, &(struct fetching){ .pipe = ends[0], .to = fd, .room = bytes_max },
                      path, &done, err);
    (void)fd_close(ends[0]);
    if (r < 0)
        return r;
    return done.errnum != 0 ? failed("read", path, &done, err) : 0;
}

/* ---- The public functions ------------------------------------------------------------------ */

/* The path inside, absolute; the caller frees it. */
static int check(const struct isol8_engine *e, const char *path, char **out, isol8_error *err)
{
    size_t n = path == NULL ? 0 : strlen(path);

    if (!exec_engine_is_ours(e, err))
        return ISOL8_E_STATE;
    if (!e->is_persistent)
        return err_set(err, ISOL8_E_STATE,
                       "No active container. Call execute() first in persistent mode.");
    if (n == 0 || n > PATH_BYTES_MAX - 16 || path[n - 1] == '/')
        return err_set(err, ISOL8_E_INVAL,
                       "path: '%.100s' is not the path of a file (1 to %d bytes)",
                       path == NULL ? "" : path, PATH_BYTES_MAX - 16);
    *out = exec_sandbox_path(path);
    return *out == NULL ? err_nomem(err) : 0;
}

int isol8_put_file_fd(isol8_engine *e, const char *path, int fd, isol8_error *err)
{
    auto_free char *inside = NULL;
    struct session *s = NULL;

    int r = check(e, path, &inside, err);
    if (r == 0)
        r = session_hold(e, &s, err);
    if (r < 0)
        return r;
    r = session_stage(s, inside, fd, err);
    if (r == 0) {
        auto_close int channel = session_channel(s, err);
        r = channel < 0 ? channel : transfer_put(channel, inside, fd, err);
    }
    session_release(s);
    return r < 0 ? r : 0;
}

int isol8_put_file(isol8_engine *e, const char *path, const void *data, size_t size,
                   isol8_error *err)
{
    auto_close int fd = fd_memfd("isol8-put", data, size);

    if (fd < 0)
        return err_sys(err, -fd, "cannot create a memory file of %zu bytes", size);
    return isol8_put_file_fd(e, path, fd, err);
}

static int get_file(isol8_engine *e, const char *path, int fd, uint64_t bytes_max, isol8_error *err)
{
    auto_free char *inside = NULL;
    struct session *s = NULL;

    int r = check(e, path, &inside, err);
    if (r == 0)
        r = session_hold(e, &s, err);
    if (r < 0)
        return r;
    if (!session_lock(s)) {
        r = err_set(err, ISOL8_E_STATE,
                    "No active container. Call execute() first in persistent mode.");
    } else {
        session_unlock(s);
        auto_close int channel = session_channel(s, err);
        r = channel < 0 ? channel : transfer_get(channel, inside, fd, bytes_max, err);
    }
    session_release(s);
    return r;
}

int isol8_get_file_fd(isol8_engine *e, const char *path, int fd, isol8_error *err)
{
    return get_file(e, path, fd, UINT64_MAX, err);
}

int isol8_get_file(isol8_engine *e, const char *path, void **data, size_t *size, isol8_error *err)
{
    auto_buf struct buf content = BUF_INIT(MEMORY_FILE_MAX);
    auto_close int fd = fd_memfd("isol8-get", "", 0);

    if (fd < 0)
        return err_sys(err, -fd, "cannot create a memory file");
    int r = get_file(e, path, fd, MEMORY_FILE_MAX, err);
    if (r < 0)
        return r;
    if (lseek(fd, 0, SEEK_SET) < 0)
        return err_sys(err, errno, "cannot read a memory file");
    r = fd_read_all(fd, &content);
    if (r < 0)
        return err_sys(err, -r, "cannot read a memory file");
    *size = content.len;
    *data = content.len > 0 ? buf_take(&content) : calloc(1, 1);
    return *data == NULL ? err_nomem(err) : 0;
}
