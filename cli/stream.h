/* SPDX-License-Identifier: Apache-2.0 */
/**
 * stream.h - bytes on their way to stdout or stderr, without ever blocking the run
 *
 * A reader that is slow, or has stopped, must not keep the run from being driven: its deadline
 * and Ctrl-C still count. So bytes are queued, and written only when the descriptor takes them.
 * The descriptors are shared with other processes and are therefore left in the mode they have.
 */
#ifndef CLI_STREAM_H
#define CLI_STREAM_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"

struct stream {
    int fd;
    bool is_file; /* a regular file: always ready */
    bool is_tty;
    int broken; /* errno of the write that failed; nothing more is written */
    struct buf pending;
    size_t sent; /* bytes at the front of pending that are already out */
};

void stream_init(struct stream *s, int fd);
void stream_done(struct stream *s);

/** Queue bytes and write what the descriptor takes now. */
void stream_put(struct stream *s, const void *data, size_t n);

/** Write what the descriptor takes now. */
void stream_flush(struct stream *s);

/** Bytes still queued. */
size_t stream_pending(const struct stream *s);

#endif
