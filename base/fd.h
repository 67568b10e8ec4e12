/* SPDX-License-Identifier: Apache-2.0 */
/* fd.h - file descriptors: -1 means none, close-on-exec from birth. */
#ifndef BASE_FD_H
#define BASE_FD_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/buf.h"

/** Close @fd unless it is -1; errno is kept. Return: -1, for "fd = fd_close(fd)". */
int fd_close(int fd);

static inline void fd_close_p(int *fd)
{
    (void)fd_close(*fd);
}

#define auto_close __attribute__((cleanup(fd_close_p)))

/** Read a descriptor and set it to -1: the value now belongs to whoever takes it. */
static inline int take_fd(int *fd)
{
    int taken = *fd;
    *fd = -1;
    return taken;
}

/** Write all of @data; a short write is continued. Return: 0 or -errno. */
int fd_write_all(int fd, const void *data, size_t n);

/** One write(2) that raises no SIGPIPE (pipes) and no SIGXFSZ (RLIMIT_FSIZE). Return: bytes, or
 * -errno. */
ssize_t fd_write_nosigpipe(int fd, const void *data, size_t n);

/** Append what @fd yields until its end to @out. Return: 0, -errno, -EFBIG past @out's ceiling. */
int fd_read_all(int fd, struct buf *out);

/** Switch O_NONBLOCK. Return: 0 or -errno. */
int fd_set_nonblock(int fd, bool on);

/** An anonymous memory file, close-on-exec, with @data in it and its offset at 0, or -errno. */
int fd_memfd(const char *name, const void *data, size_t n);

#endif
