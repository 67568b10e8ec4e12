/* SPDX-License-Identifier: Apache-2.0 */
/* initlink.h - the engine's end of a sandbox's init socket (init/proto.h). */
#ifndef EXECUTOR_INITLINK_H
#define EXECUTOR_INITLINK_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>

#include "base/buf.h"
#include "base/err.h"
#include "executor/init/proto.h"

/** Nothing was sent because the socket is full: try again after the next answer. */
#define INITLINK_FULL 1

/**
 * initlink_put() - Ask for a file; content that does not fit in the packet travels in a memfd
 *
 * Return: 0, INITLINK_FULL, or a negative status
 */
int initlink_put(int sock, uint32_t id, const char *path, unsigned mode, const void *data, size_t n,
                 isol8_error *err);

/** Ask for a file whose content is read from @pipe. */
int initlink_put_pipe(int sock, uint32_t id, const char *path, unsigned mode, int pipe,
                      isol8_error *err);

struct initlink_exec {
    struct init_exec counts;
    const struct buf *strings;
    int in_fd; /* -1: /dev/null */
    int out_fd;
    int err_fd;
    int cgroup_fd;  /* directory; -1: stay in init's cgroup */
    bool is_strict; /* the built-in seccomp profile is on: see INIT_EXEC_STRICT */
};

int initlink_exec(int sock, uint32_t id, const struct initlink_exec *x, isol8_error *err);

/** A program's whole stdin as a file it can read from /dev/stdin, too. Return: fd or a status. */
int initlink_stdin(const void *data, size_t n, isol8_error *err);

/** Ask for a file's content to be written to @pipe. */
int initlink_get(int sock, uint32_t id, const char *path, int pipe, isol8_error *err);

int initlink_remove(int sock, uint32_t id, const char *path, isol8_error *err);

int initlink_signal(int sock, uint32_t id, int sig, isol8_error *err);

/** Give init one more socket to serve; the caller keeps @channel. */
int initlink_channel(int sock, int channel, isol8_error *err);

/** Let init outlive its socket. */
int initlink_keep(int sock, isol8_error *err);

struct initlink_answer {
    uint32_t type; /* INIT_EXITED or INIT_DONE */
    uint32_t id;
    struct init_exited exited;
    struct init_done done;
};

/** Close the descriptors that came with a received packet. */
void initlink_drop_fds(struct msghdr *msg);

/** Check and decode one packet of @n bytes. Return: 1, or ISOL8_E_PROTOCOL. */
int initlink_parse(const void *packet, size_t n, struct initlink_answer *out, isol8_error *err);

/**
 * initlink_receive() - One answer, without waiting
 *
 * Whatever does not have the exact form of an answer is a protocol error; descriptors that come
 * with it are closed.
 * Return: 1 with *out filled in, 0 when there is none, ISOL8_E_STATE when init is gone,
 * ISOL8_E_PROTOCOL
 */
int initlink_receive(int sock, struct initlink_answer *out, isol8_error *err);

#endif
