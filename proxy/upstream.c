/* SPDX-License-Identifier: Apache-2.0 */
/**
 * upstream.c - from a judged host and port to a connected socket
 *
 *   RESOLVE --> CONNECT --> (next address) CONNECT ... --> DONE
 *                  \--(upstream proxy)--> ASK --> ANSWER --> DONE
 *
 * The address that passed the guard is the one given to connect(2); there is no second lookup.
 */
#include "proxy/upstream.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "base/fd.h"
#include "base/mem.h"
#include "proxy/http1.h"

static void try_next(struct upstream *u);

static void free_upstream(struct evl_deferred *d)
{
    free(PROXY_CONTAINER(d, struct upstream, deferred));
}

static void drop_socket(struct upstream *u)
{
    evl_io_remove(u->client->proxy->loop, &u->io);
    u->fd = fd_close(u->fd);
}

static void stop(struct upstream *u)
{
    struct evloop *loop = u->client->proxy->loop;

    u->state = UPSTREAM_DONE;
    resolver_cancel(&u->lookup);
    evl_timer_cancel(loop, &u->timer);
    evl_timer_cancel(loop, &u->attempt);
    evl_io_remove(loop, &u->io);
}

void upstream_free(struct upstream *u)
{
    if (u == NULL)
        return;
    stop(u);
    u->fd = fd_close(u->fd);
    buf_done(&u->head);
    u->deferred.fn = free_upstream;
    evl_defer(u->client->proxy->loop, &u->deferred);
}

static void done(struct upstream *u, enum upstream_status status, const char *reason)
{
    stop(u);
    if (status != UPSTREAM_OK)
        u->fd = fd_close(u->fd);
    u->status = status;
    u->reason = reason;
    u->fn(u);
}

static void on_deadline(struct evl_timer *t)
{
    struct upstream *u = PROXY_CONTAINER(t, struct upstream, timer);

    done(u, UPSTREAM_FAILED, u->state == UPSTREAM_RESOLVE ? "name lookup timed out" : "timed out");
}

static void on_attempt(struct evl_timer *t)
{
    struct upstream *u = PROXY_CONTAINER(t, struct upstream, attempt);

    drop_socket(u);
    u->reason = "timed out";
    try_next(u);
}

/* ---- The operator's upstream proxy --------------------------------------------------------- */

static void ask(struct upstream *u)
{
    while (u->head.len > 0) {
        ssize_t n = send(u->fd, u->head.data, u->head.len, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EAGAIN)
            return;
        if (n < 0) {
            done(u, UPSTREAM_FAILED, "upstream proxy closed the connection");
            return;
        }
        buf_consume(&u->head, (size_t)n);
    }
    u->state = UPSTREAM_ANSWER;
    if (evl_io_set(u->client->proxy->loop, &u->io, EPOLLIN, NULL) < 0)
        done(u, UPSTREAM_FAILED, "no memory");
}

static void begin_ask(struct upstream *u)
{
    const char *open = u->host.is_address && u->host.address.family == AF_INET6 ? "[" : "";
    const char *close = *open != '\0' ? "]" : "";

    u->state = UPSTREAM_ASK;
    (void)buf_addf(&u->head, "CONNECT %s%s%s:%u HTTP/1.1\r\nHost: %s%s%s:%u\r\n\r\n", open,
                   u->host.text, close, u->port, open, u->host.text, close, u->port);
    if (u->head.failed)
        done(u, UPSTREAM_FAILED, "no memory");
    else
        ask(u);
}

/* The head that is complete in u->head. */
static void judge_answer(struct upstream *u)
{
    struct http1_response a;
    const char *why;
    long n = http1_parse_response(u->head.data, u->head.len, "CONNECT", 7, &a, &why);

    if (n <= 0)
        done(u, UPSTREAM_FAILED, "bad answer of the upstream proxy");
    else if (a.status / 100 != 2)
        done(u, UPSTREAM_FAILED, "refused by the upstream proxy");
    else
        done(u, UPSTREAM_OK, NULL);
}

/* What follows the head belongs to the tunnel and stays in the socket: look first, then take no
 * more than the head. */
static void on_answer(struct upstream *u)
{
    char peek[2048];
    size_t old = u->head.len, tail = old < 3 ? old : 3, take;
    ssize_t n = recv(u->fd, peek, sizeof(peek), MSG_PEEK);

    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n <= 0 || old + (size_t)n > UPSTREAM_HEAD_MAX || !buf_add(&u->head, peek, (size_t)n)) {
        done(u, UPSTREAM_FAILED, "bad answer of the upstream proxy");
        return;
    }
    const char *from = u->head.data + old - tail;
    const char *end = memmem(from, tail + (size_t)n, "\r\n\r\n", 4);
    take = end == NULL ? (size_t)n : (size_t)(end + 4 - (u->head.data + old));
    if (recv(u->fd, peek, take, 0) != (ssize_t)take) {
        done(u, UPSTREAM_FAILED, "bad answer of the upstream proxy");
        return;
    }
    u->head.len = old + take;
    if (end != NULL)
        judge_answer(u);
}

/* ---- Addresses ----------------------------------------------------------------------------- */

static void connected(struct upstream *u)
{
    struct proxy *p = u->client->proxy;
    int on = 1;

    evl_timer_cancel(p->loop, &u->attempt);
    (void)setsockopt(u->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)); /* a hint */
    if (p->has_upstream)
        begin_ask(u);
    else
        done(u, UPSTREAM_OK, NULL);
}

static const char *error_text(int errnum)
{
    switch (errnum) {
    case ECONNREFUSED:
        return "connection refused";
    case ETIMEDOUT:
        return "timed out";
    case ENETUNREACH:
    case EHOSTUNREACH:
        return "unreachable";
    default:
        return "cannot connect";
    }
}

static void on_connect(struct upstream *u, uint32_t events)
{
    int errnum = 0;
    socklen_t n = sizeof(errnum);

    if ((events & (EPOLLERR | EPOLLHUP)) != 0 &&
        getsockopt(u->fd, SOL_SOCKET, SO_ERROR, &errnum, &n) < 0)
        errnum = errno;
    if (errnum == 0) {
        connected(u);
        return;
    }
    drop_socket(u);
    u->reason = error_text(errnum);
    try_next(u);
}

static void on_io(struct evl_io *io, uint32_t events)
{
    struct upstream *u = PROXY_CONTAINER(io, struct upstream, io);

    switch (u->state) {
    case UPSTREAM_CONNECT:
        on_connect(u, events);
        break;
    case UPSTREAM_ASK:
        ask(u);
        break;
    case UPSTREAM_ANSWER:
        on_answer(u);
        break;
    default:
        break;
    }
}

static socklen_t make_sockaddr(const struct proxy_address *a, uint16_t port,
                               struct sockaddr_storage *out)
{
    memset(out, 0, sizeof(*out));
    if (a->family == AF_INET) {
        struct sockaddr_in *in = (struct sockaddr_in *)out;
        in->sin_family = AF_INET;
        in->sin_port = htons(port);
        in->sin_addr = a->v4;
        return sizeof(*in);
    }
    struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)out;
    in6->sin6_family = AF_INET6;
    in6->sin6_port = htons(port);
    in6->sin6_addr = a->v6;
    return sizeof(*in6);
}

/* 0: connected, or under way (*pending); else an errno. */
static int try_address(struct upstream *u, const struct proxy_address *a, bool *pending)
{
    struct sockaddr_storage sa;
    socklen_t n = make_sockaddr(a, u->connect_port, &sa);
    struct evloop *loop = u->client->proxy->loop;

    u->fd = socket(a->family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (u->fd < 0)
        return errno;
    *pending = false;
    if (connect(u->fd, (struct sockaddr *)&sa, n) < 0) {
        if (errno != EINPROGRESS)
            return errno;
        *pending = true;
    }
    u->io.fd = u->fd;
    if (evl_io_set(loop, &u->io, EPOLLOUT, NULL) < 0)
        return ENOMEM;
    if (*pending && u->at < u->n)
        (void)evl_timer_set(loop, &u->attempt, UPSTREAM_ATTEMPT_MS);
    return 0;
}

static void try_next(struct upstream *u)
{
    bool pending;

    u->state = UPSTREAM_CONNECT;
    evl_timer_cancel(u->client->proxy->loop, &u->attempt);
    while (u->at < u->n) {
        int errnum = try_address(u, &u->candidates[u->at++], &pending);
        if (errnum == 0)
            return; /* on_io() follows, also when the connection stands already */
        u->reason = error_text(errnum);
        drop_socket(u);
    }
    done(u, UPSTREAM_FAILED, u->reason);
}

/* Keep what the guard lets through. The upstream proxy's own address is exempt. */
static void filter(struct upstream *u, const struct resolve_result *r)
{
    const struct proxy *p = u->client->proxy;

    for (size_t i = 0; i < r->n; i++) {
        const char *refused = p->has_upstream ? NULL
                                              : proxy_guard_refuses(p->guard, &r->addresses[i]);
        if (refused == NULL)
            u->candidates[u->n++] = r->addresses[i];
        else
            u->reason = refused;
    }
    if (u->n == 0)
        done(u, UPSTREAM_BLOCKED, u->reason);
    else
        try_next(u);
}

static void on_resolved(struct lookup *l, const struct resolve_result *r)
{
    static const char *const texts[] = {
        [RESOLVE_NO_NAME] = "name does not exist",
        [RESOLVE_NO_ADDRESS] = "name has no address",
        [RESOLVE_FAILED] = "name lookup failed",
    };
    struct upstream *u = PROXY_CONTAINER(l, struct upstream, lookup);

    if (r->status != RESOLVE_OK)
        done(u, UPSTREAM_FAILED, texts[r->status]);
    else
        filter(u, r);
}

static void on_literal(struct evl_timer *t)
{
    struct upstream *u = PROXY_CONTAINER(t, struct upstream, attempt);
    const struct proxy *p = u->client->proxy;
    const struct proxy_host *h = p->has_upstream ? &p->upstream_host : &u->host;
    struct resolve_result r = { .status = RESOLVE_OK, .n = 1, .addresses = { h->address } };

    evl_timer_init(&u->attempt, on_attempt);
    filter(u, &r);
}

struct upstream *upstream_start(struct proxy_client *c, const struct proxy_host *host,
                                uint16_t port, void (*fn)(struct upstream *u), void *user)
{
    struct proxy *p = c->proxy;
    struct upstream *u = calloc(1, sizeof(*u));

    if (u == NULL)
        return NULL;
    u->fn = fn;
    u->user = user;
    u->client = c;
    u->host = *host;
    u->port = port;
    u->connect_port = p->has_upstream ? p->upstream_port : port;
    u->fd = -1;
    u->reason = "cannot connect";
    u->io.fn = on_io;
    u->lookup.fn = on_resolved;
    buf_init(&u->head, UPSTREAM_HEAD_MAX);
    evl_timer_init(&u->timer, on_deadline);
    const struct proxy_host *target = p->has_upstream ? &p->upstream_host : host;
    evl_timer_init(&u->attempt, target->is_address ? on_literal : on_attempt);
    bool ok = evl_timer_set(p->loop, &u->timer, UPSTREAM_DEADLINE_MS);
    if (target->is_address)
        ok = ok && evl_timer_set(p->loop, &u->attempt, 0); /* never from here */
    else
        ok = ok && resolver_start(p->resolver, &c->quota, target->text, &u->lookup);
    if (!ok) {
        upstream_free(u);
        return NULL;
    }
    return u;
}
