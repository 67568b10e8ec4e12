/* SPDX-License-Identifier: Apache-2.0 */
/* fd.c - file descriptors. */
#include "base/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

int fd_close(int fd)
{
    if (fd >= 0) {
        int saved = errno;
        (void)close(fd); /* Linux releases the descriptor whatever close() returns */
        errno = saved;
    }
    return -1;
}

int fd_write_all(int fd, const void *data, size_t n)
{
    const char *p = data;

    while (n > 0) {
        ssize_t w = write(fd, p, n);
        if (w < 0) {
            if (errno == EINTR)
                continue;
            return -errno;
        }
        p += w;
        n -= (size_t)w;
    }
    return 0;
}

/* Pipes and files know no MSG_NOSIGNAL: block the signals in this thread, and take the one that we
 * caused. */
ssize_t fd_write_nosigpipe(int fd, const void *data, size_t n)
{
    static const struct timespec now = { 0 };
    sigset_t raised, old, pending;

    (void)sigemptyset(&raised);
    (void)sigaddset(&raised, SIGPIPE);
    (void)sigaddset(&raised, SIGXFSZ);
    (void)pthread_sigmask(SIG_BLOCK, &raised, &old);
    (void)sigpending(&pending);
    ssize_t w = write(fd, data, n);
    int saved = errno;
    int sig = w < 0 && saved == EPIPE ? SIGPIPE : w < 0 && saved == EFBIG ? SIGXFSZ : 0;
    if (sig != 0 && sigismember(&pending, sig) == 0) {
        (void)sigemptyset(&raised);
        (void)sigaddset(&raised, sig);
        (void)sigtimedwait(&raised, NULL, &now);
    }
    (void)pthread_sigmask(SIG_SETMASK, &old, NULL);
    return w < 0 ? -saved : w;
}

int fd_read_all(int fd, struct buf *out)
{
    char chunk[16384];

    for (;;) {
        ssize_t r = read(fd, chunk, sizeof(chunk));
        if (r < 0) {
            if (errno == EINTR)
                continue;
            return -errno;
        }
        if (r == 0)
            return !out->failed ? 0 : out->no_memory ? -ENOMEM : -EFBIG;
        if (!buf_add(out, chunk, (size_t)r))
            return out->no_memory ? -ENOMEM : -EFBIG;
    }
}

int fd_set_nonblock(int fd, bool on)
{
    int flags = fcntl(fd, F_GETFL);

    if (flags < 0)
        return -errno;
    flags = on ? flags | O_NONBLOCK : flags & ~O_NONBLOCK;
    return fcntl(fd, F_SETFL, flags) < 0 ? -errno : 0;
}

int fd_memfd(const char *name, const void *data, size_t n)
{
    int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);

    if (fd < 0)
        return -errno;
    int r = fd_write_all(fd, data, n);
    if (r == 0 && lseek(fd, 0, SEEK_SET) < 0)
        r = -errno;
    if (r < 0) {
        (void)fd_close(fd);
        return r;
    }
    return fd;
}
