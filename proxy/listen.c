/* SPDX-License-Identifier: Apache-2.0 */
/* listen.c - a sandbox's listeners: taking connections, and refusing those above its share. */
#include <errno.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/fd.h"
#include "proxy/proxy_internal.h"

void fd_reset(int fd)
{
    struct linger now = { .l_onoff = 1, .l_linger = 0 };

    (void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now)); /* else it is a plain close */
    (void)fd_close(fd);
}

/* At most one entry a second: the flood is already in the counters of whoever floods. */
static void log_refused(struct proxy_client *c, const char *reason)
{
    uint64_t now = evl_now_ns(c->proxy->loop);
    struct netlog_entry e = {
        .wall_ms = clock_wall_ms(),
        .method = "TCP",
        .host = "",
        .reason = reason,
    };

    if (c->refused_log_ns != 0 && now - c->refused_log_ns < 1000000000u)
        return;
    c->refused_log_ns = now;
    (void)netlog_add(c->log, &e);
}

static void take_one(struct listener *l, int fd)
{
    struct proxy_client *c = l->client;
    int on = 1;

    if (c->is_exhausted || c->n_conns >= c->proxy->connections) {
        tally_decision(&c->proxy->tally, ISOL8_PROXY_TCP, ISOL8_PROXY_LIMIT);
        log_refused(c, c->is_exhausted ? "byte limit reached" : "too many connections");
        fd_reset(fd);
        return;
    }
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)); /* a hint */
    l->take(c, fd);
}

static void on_listener(struct evl_io *io, uint32_t events)
{
    struct listener *l = PROXY_CONTAINER(io, struct listener, io);
    struct evloop *loop = l->client->proxy->loop;

    (void)events;
    for (int i = 0; i < PROXY_ACCEPT_BATCH; i++) {
        int fd = accept4(io->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (fd >= 0) {
            take_one(l, fd);
            continue;
        }
        if (errno == EAGAIN)
            return;
        if (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS) {
            /* The listener stays readable: look away for a while instead of spinning. */
            evl_io_remove(loop, io);
            (void)evl_timer_set(loop, &l->backoff, PROXY_ACCEPT_BACKOFF_MS);
            return;
        }
        /* The rest is about the connection that was to be taken: ECONNABORTED and the like. */
    }
}

static void on_backoff(struct evl_timer *t)
{
    struct listener *l = PROXY_CONTAINER(t, struct listener, backoff);
    struct evloop *loop = l->client->proxy->loop;

    if (evl_io_set(loop, &l->io, EPOLLIN, NULL) < 0)
        (void)evl_timer_set(loop, t, PROXY_ACCEPT_BACKOFF_MS);
}

int listener_open(struct listener *l, struct proxy_client *c, int fd,
                  void (*take)(struct proxy_client *c, int fd), isol8_error *err)
{
    *l = (struct listener){ .io = { .fn = on_listener, .fd = fd }, .client = c, .take = take };
    evl_timer_init(&l->backoff, on_backoff);
    if (fd < 0)
        return 0;
    int r = fd_set_nonblock(fd, true);
    if (r < 0)
        return err_sys(err, -r, "cannot use a listener");
    return evl_io_set(c->proxy->loop, &l->io, EPOLLIN, err);
}

void listener_close(struct listener *l, struct proxy_client *c)
{
    evl_io_remove(c->proxy->loop, &l->io);
    evl_timer_cancel(c->proxy->loop, &l->backoff);
    l->io.fd = fd_close(l->io.fd);
}
