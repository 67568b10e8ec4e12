/* SPDX-License-Identifier: Apache-2.0 */
/**
 * relay.c - a tunnel between a connection's two sockets
 *
 * Bytes go from a read into the loop's scratch memory and from there straight into a write, so an
 * idle tunnel holds no buffer. What a write does not take is stashed, and its source is not read
 * until the stash is empty: that bounds a direction by PROXY_IO_MAX. After some full reads in a
 * row a direction moves through a pipe by splice(2) instead, which copies nothing; the pipe goes
 * back to the proxy's store as soon as it is empty and the source is.
 *
 * An end of one side is passed on when everything before it was. The tunnel ends when both did, on
 * an error, or by the deadline. A socket that is neither read nor written is not watched at all:
 * epoll reports hang-ups regardless, and would spin.
 */
#include "proxy/relay.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/fd.h"
#include "proxy/conn.h"
#include "proxy/tls_hello.h"

enum step { STEP_MORE, STEP_WAIT, STEP_FAILED };

void relay_init(struct relay *r)
{
    struct relay_dir d = { .stash = BUF_INIT(PROXY_HELLO_MAX + PROXY_IO_MAX), .pipe = { -1, -1 } };

    *r = (struct relay){ .out = d, .in = d };
}

static void drop_dir(struct conn *c, struct relay_dir *d)
{
    buf_done(&d->stash);
    if (d->pipe[0] < 0)
        return;
    if (d->in_pipe == 0) {
        proxy_pipe_give(c->client->proxy, d->pipe);
    } else {
        d->pipe[0] = fd_close(d->pipe[0]);
        d->pipe[1] = fd_close(d->pipe[1]);
    }
    d->in_pipe = 0;
}

void relay_done(struct conn *c)
{
    drop_dir(c, &c->relay.out);
    drop_dir(c, &c->relay.in);
}

/* ---- One direction ------------------------------------------------------------------------- */

static bool would_block(void)
{
    return errno == EAGAIN || errno == EINTR;
}

/* Write what is stashed or in the pipe. MORE: nothing is left. */
static enum step drain(struct conn *c, struct relay_dir *d, int to)
{
    while (d->stash.len > 0) {
        ssize_t n = send(to, d->stash.data, d->stash.len, MSG_NOSIGNAL);
        if (n < 0)
            return would_block() ? STEP_WAIT : STEP_FAILED;
        conn_touch(c);
        buf_consume(&d->stash, (size_t)n);
        if (d->stash.len == 0)
            buf_done(&d->stash);
    }
    while (d->in_pipe > 0) {
        ssize_t n = splice(d->pipe[0], NULL, to, NULL, d->in_pipe,
                           SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
        if (n <= 0)
            return n < 0 && would_block() ? STEP_WAIT : STEP_FAILED;
        conn_touch(c);
        d->in_pipe -= (uint32_t)n;
    }
    return STEP_MORE;
}

static enum step end_of(struct relay_dir *d, int to)
{
    d->is_eof = true;
    if (!d->is_shut)
        (void)shutdown(to, SHUT_WR); /* fails when the other side is gone, which ends it as well */
    d->is_shut = true;
    return STEP_WAIT;
}

static enum step move_spliced(struct conn *c, struct relay_dir *d, int from, int to, size_t want)
{
    ssize_t n = splice(from, NULL, d->pipe[1], NULL, want, SPLICE_F_MOVE | SPLICE_F_NONBLOCK);

    if (n == 0)
        return end_of(d, to);
    if (n < 0 && errno == EINVAL) {
        d->no_splice = true;
        proxy_pipe_give(c->client->proxy, d->pipe);
        return STEP_MORE;
    }
    if (n < 0) {
        if (!would_block())
            return STEP_FAILED;
        d->full_reads = 0;
        proxy_pipe_give(c->client->proxy, d->pipe);
        return STEP_WAIT;
    }
    d->in_pipe = (uint32_t)n;
    conn_count(c, d == &c->relay.in, (size_t)n);
    return drain(c, d, to);
}

static enum step move_copied(struct conn *c, struct relay_dir *d, int from, int to, size_t want)
{
    char *scratch = c->client->proxy->scratch;
    ssize_t n = recv(from, scratch, want, 0), w;

    if (n == 0)
        return end_of(d, to);
    if (n < 0)
        return would_block() ? STEP_WAIT : STEP_FAILED;
    conn_count(c, d == &c->relay.in, (size_t)n);
    if ((size_t)n < PROXY_IO_MAX)
        d->full_reads = 0;
    else if (d->full_reads < RELAY_SPLICE_AFTER)
        d->full_reads++;
    w = send(to, scratch, (size_t)n, MSG_NOSIGNAL);
    if (w < 0 && !would_block())
        return STEP_FAILED;
    if (w < 0)
        w = 0;
    if (w < n && !buf_add(&d->stash, scratch + w, (size_t)(n - w)))
        return STEP_FAILED;
    /* A short read has emptied the source; the loop tells when there is more. */
    return w < n || (size_t)n < want ? STEP_WAIT : STEP_MORE;
}

static enum step move(struct conn *c, struct relay_dir *d, int from, int to)
{
    bool can_splice = d->pipe[0] >= 0 || (d->full_reads >= RELAY_SPLICE_AFTER && !d->no_splice &&
                                          proxy_pipe_take(c->client->proxy, d->pipe));
    size_t want = client_allowance(c->client, can_splice ? RELAY_PIPE_BYTES : PROXY_IO_MAX);

    if (want == 0) {
        c->is_throttled = true;
        return STEP_WAIT;
    }
    return can_splice ? move_spliced(c, d, from, to, want) : move_copied(c, d, from, to, want);
}

/* False: the tunnel is broken. */
static bool pump(struct conn *c, struct relay_dir *d, int from, int to)
{
    for (int i = 0; i < RELAY_TURNS; i++) {
        enum step s = drain(c, d, to);
        if (s == STEP_MORE && d->is_eof)
            s = end_of(d, to);
        if (s == STEP_MORE)
            s = move(c, d, from, to);
        if (s != STEP_MORE)
            return s == STEP_WAIT;
    }
    return true;
}

/* ---- The first bytes ----------------------------------------------------------------------- */

static void let_through(struct conn *c)
{
    c->relay.is_judging = c->relay.has_hello = false;
    conn_set_deadline(c, CONN_TUNNEL_MS);
}

static bool judge_hello(struct conn *c)
{
    struct relay_dir *d = &c->relay.out;
    struct proxy_host name;

    switch (tls_hello_parse(d->stash.data, d->stash.len, &name)) {
    case TLS_HELLO_MORE:
        if (!d->is_eof && d->stash.len < PROXY_HELLO_MAX) {
            if (!c->relay.has_hello)
                conn_set_deadline(c, CONN_HELLO_MS);
            c->relay.has_hello = true;
            return true;
        }
        conn_log_blocked(c, ISOL8_PROXY_BAD_HELLO, "TLS hello is incomplete or too long");
        return false;
    case TLS_HELLO_NOT_TLS:
    case TLS_HELLO_NO_NAME:
        let_through(c);
        return true;
    case TLS_HELLO_NAME:
        let_through(c);
        return conn_name_agrees(c, &name);
    case TLS_HELLO_BAD:
        break;
    }
    conn_log_blocked(c, ISOL8_PROXY_BAD_HELLO, "TLS hello is malformed");
    return false;
}

/* Take what the client sent into the stash; nothing of it goes on before it was judged. False: the
 * tunnel ends. */
static bool collect(struct conn *c)
{
    struct relay_dir *d = &c->relay.out;
    size_t room = PROXY_HELLO_MAX - d->stash.len;
    size_t want = client_allowance(c->client, room < 4096 ? room : 4096);

    if (want == 0) {
        c->is_throttled = true;
        return true;
    }
    ssize_t n = recv(c->down.fd, c->client->proxy->scratch, want, 0);
    if (n < 0)
        return would_block();
    if (n > 0) {
        conn_count(c, false, (size_t)n);
        if (!buf_add(&d->stash, c->client->proxy->scratch, (size_t)n))
            return false;
        return judge_hello(c);
    }
    d->is_eof = true;
    if (d->stash.len > 0)
        return judge_hello(c);
    let_through(c);
    return true;
}

/* ---- The tunnel ---------------------------------------------------------------------------- */

static uint32_t wanted(const struct conn *c, const struct relay_dir *from_here,
                       const struct relay_dir *to_here, bool is_held)
{
    bool is_full = (from_here->stash.len > 0 && !is_held) || from_here->in_pipe > 0;
    bool reads = !from_here->is_eof && !is_full && !c->is_throttled;
    bool writes = to_here->stash.len > 0 || to_here->in_pipe > 0;

    return (reads ? EPOLLIN : 0u) | (writes ? EPOLLOUT : 0u);
}

static void update(struct conn *c)
{
    struct relay *r = &c->relay;

    if (r->out.is_shut && r->in.is_shut) {
        conn_end(c, false);
        return;
    }
    uint32_t down = wanted(c, &r->out, &r->in, r->is_judging);
    uint32_t up = wanted(c, &r->in, &r->out, false);
    if (r->is_judging)
        up &= ~(uint32_t)EPOLLOUT;
    conn_watch(c, &c->down, down);
    conn_watch(c, &c->up, up);
}

static bool run_out(struct conn *c)
{
    if (c->relay.is_judging && !c->relay.out.is_eof && !collect(c))
        return false;
    return c->relay.is_judging || pump(c, &c->relay.out, c->down.fd, c->up.fd);
}

static bool run_in(struct conn *c)
{
    return pump(c, &c->relay.in, c->up.fd, c->down.fd);
}

void relay_start(struct conn *c, bool judge)
{
    conn_set_state(c, CONN_TUNNEL);
    c->relay.is_judging = judge;
    if (judge && c->relay.out.stash.len > 0 && !judge_hello(c)) {
        conn_end(c, true);
        return;
    }
    if (!run_out(c) || !run_in(c))
        conn_end(c, true);
    else
        update(c);
}

void relay_on_io(struct conn *c, bool is_down, uint32_t events)
{
    bool in = (events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0;
    bool out = (events & (EPOLLOUT | EPOLLHUP | EPOLLERR)) != 0;
    bool ok = true;

    if (is_down ? in : out)
        ok = run_out(c);
    if (ok && (is_down ? out : in))
        ok = run_in(c);
    if (!ok)
        conn_end(c, true);
    else
        update(c);
}

void relay_resume(struct conn *c)
{
    update(c);
}
