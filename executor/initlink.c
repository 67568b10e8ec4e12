/* SPDX-License-Identifier: Apache-2.0 */
/* initlink.c - the engine's end of a sandbox's init socket. */
#include "executor/initlink.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "base/fd.h"
#include "base/mem.h"

enum { SURE_TRIES = 10, SURE_WAIT_MS = 500 };

static int send_packet(int sock, const struct iovec *iov, size_t n_iov, const int *fds,
                       size_t n_fds, isol8_error *err)
{
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(sizeof(int) * INIT_FDS_MAX)];
    } control = { 0 };
    struct msghdr msg = { .msg_iov = (struct iovec *)iov, .msg_iovlen = n_iov };

    if (n_fds > 0) {
        msg.msg_control = control.bytes;
        msg.msg_controllen = CMSG_SPACE(sizeof(int) * n_fds);
        struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(sizeof(int) * n_fds);
        memcpy(CMSG_DATA(c), fds, sizeof(int) * n_fds);
    }
    for (;;) {
        if (sendmsg(sock, &msg, MSG_NOSIGNAL | MSG_DONTWAIT) >= 0)
            return 0;
        if (errno == EINTR)
            continue;
        if (errno == EAGAIN)
            return INITLINK_FULL;
        if (errno == EPIPE || errno == ECONNRESET)
            return err_set(err, ISOL8_E_STATE, "the sandbox is gone");
        return err_sys(err, errno, "cannot reach the sandbox's init");
    }
}

/* Content as a file that the receiver can read and nobody can change. */
static int sealed_memfd(const void *data, size_t n, isol8_error *err)
{
    int fd = fd_memfd("isol8", data, n);

    if (fd < 0)
        return err_sys(err, -fd, "cannot create a memory file of %zu bytes", n);
    if (fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) < 0) {
        int r = err_sys(err, errno, "cannot seal a memory file");
        (void)fd_close(fd);
        return r;
    }
    return fd;
}

int initlink_stdin(const void *data, size_t n, isol8_error *err)
{
    return sealed_memfd(data, n, err);
}

int initlink_put(int sock, uint32_t id, const char *path, unsigned mode, const void *data, size_t n,
                 isol8_error *err)
{
    struct init_head head = { .type = INIT_PUT, .id = id };
    struct init_put put = { .mode = mode };
    size_t path_size = strlen(path) + 1;
    bool is_inline = sizeof(head) + sizeof(put) + path_size + n <= INIT_PACKET_MAX;
    auto_close int fd = -1;

    if (!is_inline) {
        fd = sealed_memfd(data, n, err);
        if (fd < 0)
            return fd;
    }
    put.inline_size = is_inline ? (uint32_t)n : UINT32_MAX;
    struct iovec iov[] = {
        { &head, sizeof(head) },
        { &put, sizeof(put) },
        { (void *)path, path_size },
        { (void *)data, n },
    };
    return send_packet(sock, iov, is_inline && n > 0 ? 4 : 3, &fd, is_inline ? 0 : 1, err);
}

int initlink_put_pipe(int sock, uint32_t id, const char *path, unsigned mode, int pipe,
                      isol8_error *err)
{
    struct init_head head = { .type = INIT_PUT, .id = id };
    struct init_put put = { .mode = mode, .inline_size = UINT32_MAX };
    struct iovec iov[] = { { &head, sizeof(head) },
                           { &put, sizeof(put) },
                           { (void *)path, strlen(path) + 1 } };

    return send_packet(sock, iov, ARRAY_LEN(iov), &pipe, 1, err);
}

int initlink_exec(int sock, uint32_t id, const struct initlink_exec *x, isol8_error *err)
{
    struct init_head head = { .type = INIT_EXEC, .id = id };
    struct init_exec body = x->counts;
    bool is_inline = sizeof(head) + sizeof(body) + x->strings->len <= INIT_PACKET_MAX;
    auto_close int memfd = -1;
    int fds[INIT_FDS_MAX];
    size_t n = 0;

    body.flags = x->is_strict ? INIT_EXEC_STRICT : 0;
    if (x->in_fd >= 0) {
        body.flags |= INIT_EXEC_STDIN;
        fds[n++] = x->in_fd;
    }
    fds[n++] = x->out_fd;
    fds[n++] = x->err_fd;
    if (x->cgroup_fd >= 0) {
        body.flags |= INIT_EXEC_CGROUP;
        fds[n++] = x->cgroup_fd;
    }
    if (!is_inline) {
        body.flags |= INIT_EXEC_MEMFD;
        memfd = sealed_memfd(x->strings->data, x->strings->len, err);
        if (memfd < 0)
            return memfd;
        fds[n++] = memfd;
    }
    struct iovec iov[] = {
        { &head, sizeof(head) },
        { &body, sizeof(body) },
        { x->strings->data, x->strings->len },
    };
    return send_packet(sock, iov, is_inline ? 3 : 2, fds, n, err);
}

int initlink_get(int sock, uint32_t id, const char *path, int pipe, isol8_error *err)
{
    struct init_head head = { .type = INIT_GET, .id = id };
    struct iovec iov[] = { { &head, sizeof(head) }, { (void *)path, strlen(path) + 1 } };

    return send_packet(sock, iov, ARRAY_LEN(iov), &pipe, 1, err);
}

int initlink_remove(int sock, uint32_t id, const char *path, isol8_error *err)
{
    struct init_head head = { .type = INIT_REMOVE, .id = id };
    struct iovec iov[] = { { &head, sizeof(head) }, { (void *)path, strlen(path) + 1 } };

    return send_packet(sock, iov, ARRAY_LEN(iov), NULL, 0, err);
}

int initlink_signal(int sock, uint32_t id, int sig, isol8_error *err)
{
    struct init_head head = { .type = INIT_SIGNAL, .id = id };
    struct init_signal body = { .sig = sig };
    struct iovec iov[] = { { &head, sizeof(head) }, { &body, sizeof(body) } };

    return send_packet(sock, iov, ARRAY_LEN(iov), NULL, 0, err);
}

/* What must not be lost for a full socket: the few packets under way are read in a moment. */
static int send_for_sure(int sock, uint32_t type, const int *fd, isol8_error *err)
{
    struct init_head head = { .type = type };
    struct iovec iov = { &head, sizeof(head) };
    int r = send_packet(sock, &iov, 1, fd, fd == NULL ? 0 : 1, err);

    for (int i = 0; r == INITLINK_FULL && i < SURE_TRIES; i++) {
        struct pollfd p = { .fd = sock, .events = POLLOUT };
        (void)poll(&p, 1, SURE_WAIT_MS);
        r = send_packet(sock, &iov, 1, fd, fd == NULL ? 0 : 1, err);
    }
    return r == INITLINK_FULL ? err_set(err, ISOL8_E_BUSY, "the sandbox's init does not answer")
                              : r;
}

int initlink_channel(int sock, int channel, isol8_error *err)
{
    return send_for_sure(sock, INIT_CHANNEL, &channel, err);
}

int initlink_keep(int sock, isol8_error *err)
{
    return send_for_sure(sock, INIT_KEEP, NULL, err);
}

int initlink_parse(const void *packet, size_t n, struct initlink_answer *out, isol8_error *err)
{
    struct init_head head;

    if (n < sizeof(head))
        return err_set(err, ISOL8_E_PROTOCOL, "the sandbox's init sent %zu bytes", n);
    memcpy(&head, packet, sizeof(head));
    *out = (struct initlink_answer){ .type = head.type, .id = head.id };
    const char *body = (const char *)packet + sizeof(head);
    n -= sizeof(head);
    if (head.type == INIT_EXITED && n == sizeof(out->exited)) {
        memcpy(&out->exited, body, n);
        if (out->exited.stage < INIT_STAGE__MAX && out->exited.errnum >= 0)
            return 1;
    }
    if (head.type == INIT_DONE && n == sizeof(out->done)) {
        memcpy(&out->done, body, n);
        if (out->done.stage < INIT_STAGE__MAX && out->done.errnum >= 0)
            return 1;
    }
    return err_set(err, ISOL8_E_PROTOCOL, "the sandbox's init sent a malformed answer (type %u)",
                   head.type);
}

void initlink_drop_fds(struct msghdr *msg)
{
    for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c != NULL; c = CMSG_NXTHDR(msg, c)) {
        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
            continue;
        size_t n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t i = 0; i < n; i++) {
            int fd;
            memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(fd));
            (void)fd_close(fd);
        }
    }
}

int initlink_receive(int sock, struct initlink_answer *out, isol8_error *err)
{
    char packet[sizeof(struct init_head) + sizeof(struct init_exited) + 1];
    union {
        struct cmsghdr align;
        char bytes[256];
    } control;
    struct iovec iov = { packet, sizeof(packet) };
    struct msghdr msg = { .msg_iov = &iov,
                          .msg_iovlen = 1,
                          .msg_control = control.bytes,
                          .msg_controllen = sizeof(control.bytes) };
    ssize_t n;

    do {
        n = recvmsg(sock, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    } while (n < 0 && errno == EINTR);
    if (n < 0 && errno == EAGAIN)
        return 0;
    if (n <= 0)
        return err_set(err, ISOL8_E_STATE, "the sandbox is gone");
    initlink_drop_fds(&msg);
    return initlink_parse(packet, (size_t)n, out, err);
}
