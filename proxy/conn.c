/* SPDX-License-Identifier: Apache-2.0 */
/**
 * conn.c - one connection of a sandbox: its states, its two sockets, its log entry
 *
 * Theory of operation. A connection comes in at the explicit proxy (a request head tells what is
 * wanted) or was redirected to the transparent listener (its former destination tells). Either way
 * a host and port are judged, then connected to, and bytes are moved:
 *
 *   HEAD -----> CONNECT -----> EXCHANGE -----> HEAD (keep-alive: the next request is judged anew)
 *    |  \          |  \            \---------> TUNNEL (upgrade), LINGER (close)
 *    |   \         |   \---------------------> TUNNEL (CONNECT, any intercepted protocol)
 *    |    \------> EXCHANGE (the upstream connection of the last request serves again)
 *    \---> REPLY (we answer ourselves: 400, 403, 502) ---> LINGER ---> CLOSED
 *
 * HEAD:     http set, read from down.       An intercepted connection that is not HTTP skips it.
 * CONNECT:  connecting set; down is watched for a hang-up only.
 * EXCHANGE: http set, both sockets open.    conn_http.c
 * TUNNEL:   both sockets open, no http.     relay.c
 * REPLY:    reply is written to down.
 * LINGER:   our end is shut; what the client still sends is thrown away, since closing with unread
 *           bytes would reset the connection and may take our answer with it.
 * CLOSED:   both sockets closed, out of the client's list, memory freed after the turn.
 *
 * Any state may go to CLOSED. Every state has a deadline counted from the last byte moved, except
 * HEAD's, CONNECT's, REPLY's and LINGER's, which nothing extends. The timer is not moved with every
 * byte: when it fires early it is set again for the rest.
 */
#include "proxy/http.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/mem.h"

enum { REPLY_MAX = 4096 };

static const char *const state_names[] = {
    [CONN_HEAD] = "head",     [CONN_CONNECT] = "connect", [CONN_EXCHANGE] = "exchange",
    [CONN_TUNNEL] = "tunnel", [CONN_REPLY] = "reply",     [CONN_LINGER] = "linger",
    [CONN_CLOSED] = "closed",
};
static_assert(ARRAY_LEN(state_names) == CONN_STATE__MAX, "a name for each state");

#define BIT(state) (1u << (state))

/* Where each state may go. */
static const unsigned next_states[] = {
    [CONN_HEAD] = BIT(CONN_CONNECT) | BIT(CONN_EXCHANGE) | BIT(CONN_REPLY) | BIT(CONN_CLOSED),
    [CONN_CONNECT] = BIT(CONN_EXCHANGE) | BIT(CONN_TUNNEL) | BIT(CONN_REPLY) | BIT(CONN_CLOSED),
    [CONN_EXCHANGE] = BIT(CONN_HEAD) | BIT(CONN_CONNECT) | BIT(CONN_TUNNEL) | BIT(CONN_REPLY) |
                      BIT(CONN_LINGER) | BIT(CONN_CLOSED),
    [CONN_TUNNEL] = BIT(CONN_CLOSED),
    [CONN_REPLY] = BIT(CONN_LINGER) | BIT(CONN_CLOSED),
    [CONN_LINGER] = BIT(CONN_CLOSED),
    [CONN_CLOSED] = 0,
};
static_assert(ARRAY_LEN(next_states) == CONN_STATE__MAX, "a row for each state");

static const uint64_t deadlines_ms[] = {
    [CONN_HEAD] = CONN_IDLE_MS,
    [CONN_CONNECT] = CONN_CONNECT_MS,
    [CONN_EXCHANGE] = CONN_EXCHANGE_MS,
    [CONN_TUNNEL] = CONN_TUNNEL_MS,
    [CONN_REPLY] = CONN_REPLY_MS,
    [CONN_LINGER] = CONN_LINGER_MS,
    [CONN_CLOSED] = 0,
};

static struct evloop *loop_of(const struct conn *c)
{
    return c->client->proxy->loop;
}

void conn_set_deadline(struct conn *c, uint64_t ms)
{
    c->deadline_ms = ms;
    c->active_ns = evl_now_ns(loop_of(c));
    (void)evl_timer_set(loop_of(c), &c->timer, ms); /* its old place in the heap is free */
}

void conn_set_state(struct conn *c, enum conn_state state)
{
    assert((next_states[c->state] & BIT(state)) != 0);
    log_debug(&c->client->proxy->log, "proxy: connection %p %s -> %s", (void *)c,
              state_names[c->state], state_names[state]);
    c->state = state;
    if (state == CONN_CLOSED)
        evl_timer_cancel(loop_of(c), &c->timer);
    else
        conn_set_deadline(c, deadlines_ms[state]);
}

void conn_touch(struct conn *c)
{
    if (c->state == CONN_EXCHANGE || (c->state == CONN_TUNNEL && !c->relay.has_hello))
        c->active_ns = evl_now_ns(loop_of(c));
}

static void on_timer(struct evl_timer *t)
{
    struct conn *c = PROXY_CONTAINER(t, struct conn, timer);
    uint64_t idle_ms = (evl_now_ns(loop_of(c)) - c->active_ns) / 1000000;

    if (idle_ms < c->deadline_ms) {
        (void)evl_timer_set(loop_of(c), &c->timer, c->deadline_ms - idle_ms);
        return;
    }
    if (c->record.is_open)
        c->record.error = "timed out";
    conn_end(c, c->state != CONN_HEAD && c->state != CONN_LINGER);
}

void conn_watch(struct conn *c, struct evl_io *io, uint32_t events)
{
    if (io->fd < 0)
        return;
    if (events == 0)
        evl_io_remove(loop_of(c), io);
    else if (evl_io_set(loop_of(c), io, events, NULL) < 0)
        conn_end(c, true);
}

/* ---- Beginning and end --------------------------------------------------------------------- */

static void on_reply(struct conn *c);
static void on_linger(struct conn *c);

/* While connecting, only the client's hang-up counts. What it sends ahead waits in the socket; most
 * send nothing, so the watch for it is given up only when something came. */
static void on_down_early(struct conn *c, uint32_t events)
{
    if ((events & (EPOLLHUP | EPOLLERR)) != 0 || evl_io_set(loop_of(c), &c->down, 0, NULL) < 0)
        conn_end(c, true);
}

static void on_down(struct evl_io *io, uint32_t events)
{
    struct conn *c = PROXY_CONTAINER(io, struct conn, down);

    switch (c->state) {
    case CONN_HEAD:
    case CONN_EXCHANGE:
        http_on_down(c, events);
        break;
    case CONN_CONNECT:
        on_down_early(c, events);
        break;
    case CONN_TUNNEL:
        relay_on_io(c, true, events);
        break;
    case CONN_REPLY:
        on_reply(c);
        break;
    case CONN_LINGER:
        on_linger(c);
        break;
    default:
        break;
    }
}

static void on_up(struct evl_io *io, uint32_t events)
{
    struct conn *c = PROXY_CONTAINER(io, struct conn, up);

    if (c->state == CONN_TUNNEL)
        relay_on_io(c, false, events);
    else
        http_on_up(c, events);
}

struct conn *conn_new(struct proxy_client *client, int fd)
{
    struct conn *c = calloc(1, sizeof(*c));

    if (c == NULL) {
        fd_reset(fd);
        return NULL;
    }
    c->client = client;
    c->state = CONN_HEAD;
    c->down = (struct evl_io){ .fn = on_down, .fd = fd };
    c->up = (struct evl_io){ .fn = on_up, .fd = -1 };
    c->active_ns = evl_now_ns(loop_of(c));
    c->deadline_ms = CONN_HEAD_MS;
    buf_init(&c->reply, REPLY_MAX);
    relay_init(&c->relay);
    evl_timer_init(&c->timer, on_timer);
    c->next = client->conns;
    if (c->next != NULL)
        c->next->prev = c;
    client->conns = c;
    client->n_conns++;
    if (!evl_timer_set(loop_of(c), &c->timer, c->deadline_ms)) {
        conn_end(c, true);
        return NULL;
    }
    return c;
}

static void free_conn(struct evl_deferred *d)
{
    free(PROXY_CONTAINER(d, struct conn, deferred));
}

static void unlink_conn(struct conn *c)
{
    if (c->prev != NULL)
        c->prev->next = c->next;
    else
        c->client->conns = c->next;
    if (c->next != NULL)
        c->next->prev = c->prev;
    c->client->n_conns--;
}

void conn_end(struct conn *c, bool reset)
{
    if (c->state == CONN_CLOSED)
        return;
    conn_log(c, true);
    conn_set_state(c, CONN_CLOSED);
    evl_io_remove(loop_of(c), &c->down);
    evl_io_remove(loop_of(c), &c->up);
    upstream_free(take_ptr(&c->connecting));
    relay_done(c);
    http_free(take_ptr(&c->http));
    buf_done(&c->reply);
    if (reset)
        fd_reset(take_fd(&c->down.fd));
    c->down.fd = fd_close(c->down.fd);
    c->up.fd = fd_close(c->up.fd);
    unlink_conn(c);
    c->deferred.fn = free_conn;
    evl_defer(loop_of(c), &c->deferred);
}

/* ---- Our own answers ----------------------------------------------------------------------- */

static void on_reply(struct conn *c)
{
    while (c->reply.len > 0) {
        ssize_t n = send(c->down.fd, c->reply.data, c->reply.len, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EAGAIN) {
            conn_watch(c, &c->down, EPOLLOUT);
            return;
        }
        if (n < 0) {
            conn_end(c, true);
            return;
        }
        buf_consume(&c->reply, (size_t)n);
    }
    conn_linger(c);
}

void conn_reply(struct conn *c, const char *status, const char *fmt, ...)
{
    char body[1024];
    va_list ap;

    va_start(ap, fmt);
    int n = vsnprintf(body, sizeof(body), fmt, ap);
    va_end(ap);
    conn_log(c, true);
    conn_set_state(c, CONN_REPLY);
    evl_io_remove(loop_of(c), &c->up);
    c->up.fd = fd_close(c->up.fd);
    (void)buf_addf(&c->reply,
                   "HTTP/1.1 %s\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n"
                   "Connection: close\r\n\r\n%s",
                   status, n, body);
    if (n < 0 || (size_t)n >= sizeof(body) || c->reply.failed)
        conn_end(c, true);
    else
        on_reply(c);
}

static void on_linger(struct conn *c)
{
    char *scratch = c->client->proxy->scratch;
    ssize_t n = recv(c->down.fd, scratch, PROXY_IO_MAX, 0);

    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n > 0)
        c->drained += (size_t)n;
    if (n <= 0 || c->drained > CONN_LINGER_BYTES)
        conn_end(c, n != 0);
}

void conn_linger(struct conn *c)
{
    conn_set_state(c, CONN_LINGER);
    evl_io_remove(loop_of(c), &c->up);
    c->up.fd = fd_close(c->up.fd);
    (void)shutdown(c->down.fd, SHUT_WR); /* fails when the client is gone: recv() tells */
    conn_watch(c, &c->down, EPOLLIN);
}

/* ---- The log ------------------------------------------------------------------------------- */

void conn_record(struct conn *c, const char *method, size_t method_n, const struct proxy_host *host,
                 uint16_t port, const char *path, size_t path_n)
{
    struct record *r = &c->record;

    free(r->path);
    *r = (struct record){ .is_open = true, .port = port, .host = *host };
    r->protocol = path != NULL        ? ISOL8_PROXY_HTTP
                  : c->is_transparent ? ISOL8_PROXY_TCP
                                      : ISOL8_PROXY_CONNECT;
    method_n = method_n < PROXY_METHOD_MAX ? method_n : PROXY_METHOD_MAX;
    memcpy(r->method, method, method_n);
    if (path != NULL)
        r->path = strndup(path, path_n < NETLOG_PATH_MAX ? path_n : NETLOG_PATH_MAX);
    r->start_ns = clock_now_ns();
    r->wall_ms = clock_wall_ms();
}

void conn_log(struct conn *c, bool is_allowed)
{
    struct record *r = &c->record;

    if (r->is_open) {
        struct netlog_entry e = {
            .wall_ms = r->wall_ms,
            .method = r->method,
            .host = r->host.text,
            .path = r->path,
            .is_allowed = is_allowed,
            .duration_ms = is_allowed ? (clock_now_ns() - r->start_ns) / 1000000 : 0,
            .port = r->port,
            .rule = r->rule,
            .reason = r->reason,
            .bytes_in = r->bytes_in,
            .bytes_out = r->bytes_out,
            .error = r->error,
        };
        (void)netlog_add(c->client->log, &e); /* what is dropped is counted */
        tally_decision(&c->client->proxy->tally, r->protocol,
                       !is_allowed        ? r->outcome
                       : r->error != NULL ? ISOL8_PROXY_FAILED
                                          : ISOL8_PROXY_ALLOWED);
    }
    r->is_open = false;
    free(r->path);
    r->path = NULL;
}

void conn_log_blocked(struct conn *c, enum isol8_proxy_outcome outcome, const char *reason)
{
    c->record.outcome = outcome;
    c->record.reason = reason;
    conn_log(c, false);
}

bool conn_judge(struct conn *c)
{
    struct record *r = &c->record;
    struct verdict v = client_judge(c->client, &r->host, r->port);

    r->outcome = v.outcome;
    r->rule = v.rule;
    r->reason = v.reason;
    if (!v.is_allowed)
        conn_log(c, false);
    return v.is_allowed;
}

void conn_rejudge(struct conn *c)
{
    if (c->state != CONN_CLOSED && c->record.is_open && !conn_judge(c))
        conn_end(c, true);
}

void conn_count(struct conn *c, bool is_in, size_t n)
{
    client_count(c->client, is_in ? n : 0, is_in ? 0 : n);
    if (is_in)
        c->record.bytes_in += n;
    else
        c->record.bytes_out += n;
    conn_touch(c);
}

void conn_resume(struct conn *c)
{
    if (!c->is_throttled)
        return;
    c->is_throttled = false;
    if (c->state == CONN_TUNNEL)
        relay_resume(c);
    else if (c->state == CONN_HEAD || c->state == CONN_EXCHANGE)
        http_run(c);
}

/* ---- The other side ------------------------------------------------------------------------ */

void conn_connect(struct conn *c, void (*fn)(struct upstream *u))
{
    const struct record *r = &c->record;

    conn_set_state(c, CONN_CONNECT);
    evl_io_remove(loop_of(c), &c->up);
    c->up.fd = fd_close(c->up.fd);
    c->connecting = upstream_start(c->client, &r->host, r->port, fn, c);
    bool ok = c->down.is_added || evl_io_set(loop_of(c), &c->down, 0, NULL) == 0;
    if (c->connecting == NULL || !ok)
        conn_end(c, true);
}

void conn_take_upstream(struct conn *c, struct upstream *u)
{
    c->up.fd = take_fd(&u->fd);
    c->connecting = NULL;
    upstream_free(u);
}
