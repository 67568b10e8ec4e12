/* SPDX-License-Identifier: Apache-2.0 */
/**
 * evil_init.c - a pid 1 that does not keep to its protocol
 *
 * it_evil_init puts it in the place of the real one. One word in the file /.isol8/evil says how it
 * misbehaves; in everything else it answers as the real one would, without running anything: every
 * file is written and read, every program prints "evil" and ends with 0.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "executor/init/proto.h"

enum {
    FDS_MAX = 253, /* SCM_MAX_FD: of one packet */
    FLOOD = 100000,
    HUGE_BYTES = 60000,
    /* executor/run.h, which is not for programs of the sandbox. */
    MAIN_ID = 0x40000000,
    INSTALL_ID = 0x48000000,
    SETUP_ID = 0x4a000000,
};

static char mode[64];
static char packet[INIT_PACKET_MAX];

static bool is(const char *name)
{
    return strcmp(mode, name) == 0;
}

static void read_mode(void)
{
    int fd = open("/.isol8/evil", O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, mode, sizeof(mode) - 1);

    mode[n > 0 ? n : 0] = '\0';
    mode[strcspn(mode, "\n")] = '\0';
    if (fd >= 0)
        (void)close(fd);
}

static _Noreturn void wait_for_ever(void)
{
    for (;;)
        (void)pause();
}

/* ---- Saying something ------------------------------------------------------------------------ */

/* @n bytes and as many copies of a descriptor as the kernel takes. */
static void say_with_fds(int sock, const void *data, size_t n)
{
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(sizeof(int) * FDS_MAX)];
    } control = { 0 };
    struct iovec iov = { (void *)data, n };
    struct msghdr msg = { .msg_iov = &iov,
                          .msg_iovlen = 1,
                          .msg_control = control.bytes,
                          .msg_controllen = sizeof(control.bytes) };
    struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
    int fds[FDS_MAX];

    for (unsigned i = 0; i < FDS_MAX; i++)
        fds[i] = i % 2 == 0 ? 0 : sock;
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(sizeof(fds));
    memcpy(CMSG_DATA(c), fds, sizeof(fds));
    (void)!sendmsg(sock, &msg, MSG_NOSIGNAL);
}

static void say(int sock, uint32_t type, uint32_t id, const void *body, size_t n)
{
    static char out[HUGE_BYTES];
    struct init_head head = { .type = type, .id = id };
    size_t size = sizeof(head) + n;

    memcpy(out, &head, sizeof(head));
    memcpy(out + sizeof(head), body, n);
    if (is("answer-huge") && type != INIT_HELLO)
        size = sizeof(out);
    if (is("answer-short") && type != INIT_HELLO)
        size--;
    if (is("answer-empty") && type != INIT_HELLO)
        size = 0;
    if (is("fds"))
        say_with_fds(sock, out, size);
    else
        (void)!send(sock, out, size, MSG_NOSIGNAL);
}

static void done(int sock, uint32_t id)
{
    struct init_done d = { 0 };

    if (is("done-stage"))
        d.stage = 0x7fffffff;
    if (is("done-errnum")) {
        d.errnum = 0x7fffffff;
        d.stage = INIT_STAGE__MAX - 1;
    }
    say(sock, INIT_DONE, id, &d, sizeof(d));
}

static void exited(int sock, uint32_t id)
{
    struct init_exited e = { 0 };

    if (is("exited-stage"))
        e.stage = INIT_STAGE__MAX;
    if (is("exited-negative"))
        e.errnum = -1;
    if (is("exited-errnum")) {
        e.errnum = 0x7fffffff;
        e.stage = INIT_STAGE_EXEC;
    }
    if (is("exited-lies")) {
        e.wait_status = -1;
        e.full = ~0u;
    }
    if (is("exited-stopped"))
        e.wait_status = 0x137f; /* stopped by a signal: not an end at all */
    say(sock, INIT_EXITED, id, &e, sizeof(e));
}

static void hello(void)
{
    struct init_hello h = { .version = INIT_PROTO_VERSION };
    char big[sizeof(h) + 8] = { 0 };

    if (is("hello-version"))
        h.version++;
    memcpy(big, &h, sizeof(h));
    if (is("hello-none"))
        wait_for_ever();
    if (is("hello-exit"))
        _exit(0);
    if (is("hello-close")) {
        (void)close(INIT_SOCKET_FD);
        wait_for_ever();
    }
    if (is("hello-empty")) {
        (void)!send(INIT_SOCKET_FD, "", 0, MSG_NOSIGNAL);
        wait_for_ever();
    }
    /* The one who introduces himself is gone by the time it is read, and was not pid 1. */
    if (is("hello-child") && fork() != 0)
        wait_for_ever();
    say(INIT_SOCKET_FD, is("hello-type") ? INIT_DONE : INIT_HELLO, 0, big,
        is("hello-short")  ? 1
        : is("hello-long") ? sizeof(big)
                           : sizeof(h));
    if (is("hello-twice"))
        say(INIT_SOCKET_FD, INIT_HELLO, 0, &h, sizeof(h));
    if (is("hello-child") || is("hello-then-exit"))
        _exit(0);
    if (is("exited-early"))
        exited(INIT_SOCKET_FD, MAIN_ID);
    if (is("done-early"))
        done(INIT_SOCKET_FD, 1);
}

/* ---- Doing something ------------------------------------------------------------------------- */

static _Noreturn void write_for_ever(int fd)
{
    static char chunk[65536];

    (void)signal(SIGPIPE, SIG_IGN);
    memset(chunk, 'e', sizeof(chunk));
    for (;;) {
        if (write(fd, chunk, sizeof(chunk)) < 0 && errno != EAGAIN)
            wait_for_ever();
    }
}

static void leave_children(void)
{
    for (int i = 0; i < 20; i++) {
        if (fork() == 0) {
            (void)signal(SIGTERM, SIG_IGN);
            wait_for_ever();
        }
    }
}

/* Return: false when it was not answered. */
static bool misbehave_at_exec(int sock, uint32_t id, int out)
{
    if (is("exec-never"))
        return false;
    if (is("exec-exit"))
        _exit(3);
    if (is("exec-close")) {
        (void)close(sock);
        (void)close(INIT_SOCKET_FD);
        wait_for_ever();
    }
    if (is("exec-flood"))
        write_for_ever(out);
    if (is("done-flood") || is("done-flood-known")) {
        for (uint32_t i = 0; i < FLOOD; i++)
            done(sock, is("done-flood") ? 77 + i : 1);
    }
    if (is("exited-foreign"))
        exited(sock, 12345);
    if (is("exited-other-steps")) {
        exited(sock, INSTALL_ID);
        exited(sock, SETUP_ID);
    }
    if (is("children"))
        leave_children(); /* which hold the pipes open */
    (void)!write(out, "evil\n", 5);
    exited(sock, id);
    if (is("exited-twice"))
        exited(sock, id);
    if (is("deaf"))
        wait_for_ever(); /* no CLOSE, no end of the socket ends it */
    return true;
}

static void do_exec(int sock, uint32_t id, const int *fds, const char *body)
{
    struct init_exec x;

    memcpy(&x, body, sizeof(x));
    (void)misbehave_at_exec(sock, id, fds[(x.flags & INIT_EXEC_STDIN) != 0 ? 1 : 0]);
}

static void do_get(int sock, uint32_t id, int pipe)
{
    if (is("get-never"))
        return;
    if (is("get-flood"))
        write_for_ever(pipe);
    if (is("get-holds"))
        (void)dup(pipe);
    if (is("get-trickle") && fork() == 0) {
        for (;;) {
            (void)!write(pipe, "e", 1);
            (void)poll(NULL, 0, 200);
        }
    }
    (void)!write(pipe, "evil\n", 5);
    if (is("get-exited"))
        exited(sock, id);
    else
        done(sock, is("get-other") ? id + 1 : id);
}

static void do_put(int sock, uint32_t id, const int *fds, unsigned n_fds)
{
    if (is("put-never"))
        return;
    if (is("put-unread") && n_fds == 1)
        (void)dup(fds[0]);
    if (is("put-exited"))
        exited(sock, id);
    else
        done(sock, is("put-other") ? id + 1 : id);
}

/* ---- Listening ------------------------------------------------------------------------------- */

static void take_channel(int fd, int *channel)
{
    if (is("channel-ignored"))
        return;
    if (is("channel-unread")) {
        (void)dup(fd);
        return;
    }
    if (*channel >= 0)
        (void)close(*channel);
    *channel = dup(fd);
}

static void handle(int sock, size_t n, const int *fds, unsigned n_fds, int *channel)
{
    struct init_head head;

    memcpy(&head, packet, sizeof(head));
    if (n < sizeof(head))
        return;
    switch (head.type) {
    case INIT_EXEC:
        if (n_fds >= 2)
            do_exec(sock, head.id, fds, packet + sizeof(head));
        break;
    case INIT_PUT:
        do_put(sock, head.id, fds, n_fds);
        break;
    case INIT_GET:
        if (n_fds == 1)
            do_get(sock, head.id, fds[0]);
        break;
    case INIT_REMOVE:
        done(sock, head.id);
        break;
    case INIT_CHANNEL:
        if (n_fds == 1)
            take_channel(fds[0], channel);
        break;
    case INIT_CLOSE:
        if (!is("close-ignored"))
            _exit(0);
        break;
    default:
        break;
    }
}

static bool receive(int sock, int *channel)
{
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(sizeof(int) * FDS_MAX)];
    } control;
    struct iovec iov = { packet, sizeof(packet) };
    struct msghdr msg = { .msg_iov = &iov,
                          .msg_iovlen = 1,
                          .msg_control = control.bytes,
                          .msg_controllen = sizeof(control.bytes) };
    int fds[FDS_MAX];
    unsigned n_fds = 0;

    ssize_t n = recvmsg(sock, &msg, MSG_DONTWAIT);
    if (n <= 0)
        return n < 0 && errno == EAGAIN;
    struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
    if (c != NULL && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS) {
        n_fds = (unsigned)((c->cmsg_len - CMSG_LEN(0)) / sizeof(int));
        memcpy(fds, CMSG_DATA(c), n_fds * sizeof(int));
    }
    handle(sock, (size_t)n, fds, n_fds, channel);
    for (unsigned i = 0; i < n_fds; i++)
        (void)close(fds[i]);
    return true;
}

int main(void)
{
    int channel = -1;

    read_mode();
    (void)signal(SIGPIPE, SIG_IGN);
    (void)signal(SIGCHLD, SIG_IGN);
    hello();
    for (;;) {
        struct pollfd p[] = { { .fd = INIT_SOCKET_FD, .events = POLLIN },
                              { .fd = channel, .events = POLLIN } };
        if (poll(p, 2, -1) < 0)
            continue;
        if (p[0].revents != 0 && !receive(INIT_SOCKET_FD, &channel)) {
            if (is("close-ignored"))
                wait_for_ever();
            _exit(0);
        }
        if (channel >= 0 && p[1].revents != 0 && !receive(channel, &channel)) {
            (void)close(channel);
            channel = -1;
        }
    }
}
