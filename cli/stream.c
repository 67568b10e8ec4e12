/* SPDX-License-Identifier: Apache-2.0 */
/* stream.c - bytes on their way to stdout or stderr. */
#include "cli/stream.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdint.h>
#include <sys/stat.h>
#include <unistd.h>

/* A pipe that polls writable takes this much without blocking (pipe(7)). */
#define PIECE PIPE_BUF
#define FILE_PIECE (1u << 20)

void stream_init(struct stream *s, int fd)
{
    struct stat st;

    *s = (struct stream){ .fd = fd, .pending = BUF_INIT(SIZE_MAX / 2) };
    s->is_tty = isatty(fd) == 1;
    s->is_file = fstat(fd, &st) == 0 && S_ISREG(st.st_mode);
}

void stream_done(struct stream *s)
{
    buf_done(&s->pending);
}

size_t stream_pending(const struct stream *s)
{
    return s->pending.len - s->sent;
}

static void break_off(struct stream *s, int errnum)
{
    s->broken = errnum;
    buf_clear(&s->pending);
    s->sent = 0;
}

static bool is_ready(const struct stream *s)
{
    struct pollfd pfd = { .fd = s->fd, .events = POLLOUT };

    return s->is_file || (poll(&pfd, 1, 0) == 1 && pfd.revents != 0);
}

void stream_flush(struct stream *s)
{
    size_t max = s->is_file ? FILE_PIECE : PIECE;

    while (stream_pending(s) > 0 && is_ready(s)) {
        size_t n = stream_pending(s) < max ? stream_pending(s) : max;
        ssize_t w = write(s->fd, s->pending.data + s->sent, n);
        if (w < 0 && (errno == EINTR || errno == EAGAIN))
            return; /* the caller's poll() comes back here */
        if (w < 0) {
            break_off(s, errno);
            return;
        }
        s->sent += (size_t)w;
    }
    if (stream_pending(s) == 0) {
        buf_clear(&s->pending);
        s->sent = 0;
    }
}

void stream_put(struct stream *s, const void *data, size_t n)
{
    if (s->broken != 0 || n == 0)
        return;
    if (s->sent > s->pending.len / 2) {
        buf_consume(&s->pending, s->sent);
        s->sent = 0;
    }
    if (!buf_add(&s->pending, data, n)) {
        break_off(s, ENOMEM);
        return;
    }
    stream_flush(s);
}
