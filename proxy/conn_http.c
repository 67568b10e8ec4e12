/* SPDX-License-Identifier: Apache-2.0 */
/**
 * conn_http.c - forwarding requests and responses of HTTP/1
 *
 * Theory of operation. Four buffers: from_down --(request)--> to_up, from_up --(response)-->
 * to_down. Heads are parsed strictly and written anew; bodies are followed by their framing and
 * copied. http_run() moves whatever can be moved until nothing changes, then asks the loop for what
 * is missing: a side is read while its buffer has room, a buffer is filled while the next one is
 * below PROXY_IO_MAX, so a slow reader stops its writer.
 *
 * One request at a time: what a client sends ahead stays in from_down until the response is out.
 * The upstream connection is kept for the next request if that is for the same host and port. When
 * a kept one turns out to be dead before the first byte of a response, a request without a body is
 * sent once more over a new one.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "base/fd.h"
#include "base/mem.h"
#include "proxy/http.h"

void http_drop_up(struct conn *c)
{
    evl_io_remove(c->client->proxy->loop, &c->up);
    c->up.fd = fd_close(c->up.fd);
}

bool http_open(struct conn *c)
{
    struct exchange *x = calloc(1, sizeof(*x));

    if (x == NULL)
        return false;
    struct buf *all[] = { &x->from_down, &x->to_up, &x->from_up, &x->to_down, &x->retry };
    for (size_t i = 0; i < ARRAY_LEN(all); i++)
        buf_init(all[i], HTTP_BUFFER_MAX);
    c->http = x;
    conn_watch(c, &c->down, EPOLLIN);
    return true;
}

void http_free(struct exchange *x)
{
    if (x == NULL)
        return;
    struct buf *all[] = { &x->from_down, &x->to_up, &x->from_up, &x->to_down, &x->retry };
    for (size_t i = 0; i < ARRAY_LEN(all); i++)
        buf_done(all[i]);
    free(x);
}

void http_consume(struct conn *c, size_t n)
{
    buf_consume(&c->http->from_down, n);
}

/* ---- The response -------------------------------------------------------------------------- */

/* Upstream is gone before there was a whole response head. */
static void up_failed(struct conn *c, const char *error)
{
    struct exchange *x = c->http;

    if (!x->is_reused || x->retry.len == 0 || x->from_up.len > 0 || x->to_down.len > 0) {
        http_reply_failed(c, "502 Bad Gateway", error);
        return;
    }
    buf_clear(&x->to_up);
    x->up_eof = false;
    if (buf_add(&x->to_up, x->retry.data, x->retry.len))
        conn_connect(c, http_on_connected);
    else
        conn_end(c, true);
}

static void broken(struct conn *c, const char *error)
{
    c->record.error = error;
    conn_end(c, true);
}

static void take_response(struct conn *c, const struct http1_response *a, size_t n)
{
    struct exchange *x = c->http;
    struct http1_slice head = { x->from_up.data, n };
    bool is_interim = a->status < 200 && a->status != 101;

    if (!is_interim) {
        x->has_answer = true;
        x->up_keeps = a->keep_alive && a->framing != HTTP1_TO_CLOSE;
        x->must_close = !x->keep_alive || a->framing == HTTP1_TO_CLOSE || x->down_eof ||
                        x->must_close;
        http_set_body(&x->response, a->framing, a->content_length);
    }
    if (!is_interim || x->minor > 0) /* RFC 9110, 15.2: HTTP/1.0 knows no interim ones */
        http_write_response(a, head, x->must_close, &x->to_down);
    buf_consume(&x->from_up, n);
}

static bool read_response_head(struct conn *c)
{
    struct exchange *x = c->http;
    struct http1_response a;
    const char *why = NULL;

    if (x->from_up.len == 0 && !x->up_eof)
        return false;
    if (x->to_down.len > PROXY_IO_MAX)
        return false; /* a flood of interim responses */
    long n = x->from_up.len == 0
                 ? 0
                 : http1_parse_response(x->from_up.data, x->from_up.len, c->record.method,
                                        strlen(c->record.method), &a, &why);
    if (n == 0 && !x->up_eof)
        return false;
    if (n == 0) {
        up_failed(c, "upstream closed the connection");
    } else if (n < 0) {
        http_reply_failed(c, "502 Bad Gateway", why);
    } else if (a.status == 101 && !(a.is_upgrade && x->is_upgrade)) {
        http_reply_failed(c, "502 Bad Gateway", "upgrade that was not asked for");
    } else if (x->minor == 0 && a.framing == HTTP1_CHUNKED) {
        http_reply_failed(c, "502 Bad Gateway", "chunked answer to HTTP/1.0");
    } else {
        take_response(c, &a, (size_t)n);
        if (a.status == 101)
            http_to_tunnel(c, false);
    }
    return true;
}

void http_to_tunnel(struct conn *c, bool judge)
{
    struct exchange *x = take_ptr(&c->http);
    struct relay *r = &c->relay;
    bool ok = buf_add(&r->out.stash, x->from_down.data, x->from_down.len) &&
              buf_add(&r->in.stash, x->to_down.data, x->to_down.len) &&
              buf_add(&r->in.stash, x->from_up.data, x->from_up.len);

    r->out.is_eof = x->down_eof;
    r->in.is_eof = x->up_eof;
    http_free(x);
    if (ok)
        relay_start(c, judge);
    else
        conn_end(c, true);
}

/* ---- Bodies -------------------------------------------------------------------------------- */

/* Bytes moved, or -1: bad framing. */
static long move_body(struct body *b, struct buf *from, struct buf *to)
{
    size_t room = to->len < PROXY_IO_MAX ? PROXY_IO_MAX - to->len : 0;
    size_t n = from->len < room ? from->len : room;
    long fed;

    if (b->is_done || n == 0)
        return 0;
    switch (b->framing) {
    case HTTP1_LENGTH:
        n = n < b->left ? n : (size_t)b->left;
        b->left -= n;
        b->is_done = b->left == 0;
        break;
    case HTTP1_CHUNKED:
        fed = http1_chunks_feed(&b->chunks, from->data, n, &b->is_done);
        if (fed < 0)
            return -1;
        n = (size_t)fed;
        break;
    default:
        break;
    }
    if (!buf_add(to, from->data, n))
        return -1;
    buf_consume(from, n);
    return (long)n;
}

static bool move_request(struct conn *c)
{
    struct exchange *x = c->http;
    long n = move_body(&x->request, &x->from_down, &x->to_up);

    if (n < 0) {
        if (x->has_answer || x->to_down.len > 0)
            broken(c, "malformed request body");
        else
            http_reply_bad(c, "malformed chunked body");
        return false;
    }
    if (!x->request.is_done && x->down_eof && x->from_down.len == 0) {
        broken(c, "client closed the connection");
        return false;
    }
    return n > 0;
}

static bool move_response(struct conn *c)
{
    struct exchange *x = c->http;

    if (!x->has_answer)
        return read_response_head(c);
    long n = move_body(&x->response, &x->from_up, &x->to_down);
    if (n < 0) {
        broken(c, "malformed response body");
        return false;
    }
    if (x->up_eof && x->from_up.len == 0 && !x->response.is_done) {
        if (x->response.framing != HTTP1_TO_CLOSE) {
            broken(c, "upstream closed the connection early");
            return false;
        }
        x->response.is_done = true;
        return true;
    }
    return n > 0;
}

/* ---- Sockets ------------------------------------------------------------------------------- */

enum sent { SENT_SOME, SENT_NOTHING, SENT_FAILED };

static enum sent flush(struct conn *c, struct buf *b, int fd)
{
    if (b->len == 0 || fd < 0)
        return SENT_NOTHING;
    ssize_t n = send(fd, b->data, b->len, MSG_NOSIGNAL);
    if (n < 0)
        return errno == EAGAIN || errno == EINTR ? SENT_NOTHING : SENT_FAILED;
    conn_touch(c);
    buf_consume(b, (size_t)n);
    if (b->len == 0 && b->cap > 4096)
        buf_done(b);
    return SENT_SOME;
}

/* False: the connection is broken. */
static bool fill(struct conn *c, bool is_up)
{
    struct exchange *x = c->http;
    struct buf *b = is_up ? &x->from_up : &x->from_down;
    bool *eof = is_up ? &x->up_eof : &x->down_eof;
    char *scratch = c->client->proxy->scratch;

    if (*eof || b->len >= PROXY_IO_MAX)
        return true;
    size_t want = client_allowance(c->client, PROXY_IO_MAX - b->len);
    if (want == 0) {
        c->is_throttled = true;
        return true;
    }
    ssize_t n = recv(is_up ? c->up.fd : c->down.fd, scratch, want, 0);
    if (n < 0)
        return errno == EAGAIN || errno == EINTR;
    if (n == 0)
        *eof = true;
    else
        conn_count(c, is_up, (size_t)n);
    return buf_add(b, scratch, (size_t)n);
}

/* Upstream takes no more: what it answered may still be read. */
static void stop_sending(struct exchange *x)
{
    buf_clear(&x->to_up);
    x->request.is_done = true;
    x->must_close = true;
    x->up_keeps = false;
}

static bool flush_both(struct conn *c)
{
    struct exchange *x = c->http;
    enum sent up = flush(c, &x->to_up, c->up.fd);

    if (up == SENT_FAILED && x->is_reused && x->retry.len > 0 && !x->has_answer)
        x->up_eof = true; /* the second try is decided where a response is missing */
    if (up == SENT_FAILED)
        stop_sending(x);
    enum sent down = flush(c, &x->to_down, c->down.fd);
    if (down == SENT_FAILED) {
        broken(c, "client closed the connection");
        return false;
    }
    return up != SENT_NOTHING || down == SENT_SOME;
}

/* The response is out: log it, then the next request or the end. */
static bool finish(struct conn *c)
{
    struct exchange *x = c->http;
    bool is_whole = x->request.is_done && x->to_up.len == 0;

    if (!x->response.is_done || x->to_down.len > 0)
        return false;
    conn_log(c, true);
    if (!x->up_keeps || x->up_eof || !is_whole || x->from_up.len > 0)
        http_drop_up(c);
    if (x->must_close || !is_whole) {
        conn_linger(c);
        return false;
    }
    buf_done(&x->from_up);
    conn_set_state(c, CONN_HEAD);
    return true;
}

static bool is_http(const struct conn *c)
{
    return c->http != NULL && (c->state == CONN_HEAD || c->state == CONN_EXCHANGE);
}

/* Everything is moved before anything is sent: a head and a small body leave in one segment. */
static bool advance(struct conn *c)
{
    bool moved;

    if (c->state == CONN_HEAD)
        return http_begin_request(c);
    moved = move_request(c);
    if (is_http(c) && c->state == CONN_EXCHANGE)
        moved |= move_response(c);
    if (moved)
        return true;
    if (is_http(c) && c->state == CONN_EXCHANGE)
        moved |= flush_both(c);
    if (is_http(c) && c->state == CONN_EXCHANGE)
        moved |= finish(c);
    return moved;
}

static void watch(struct conn *c)
{
    struct exchange *x = c->http;
    bool reads_down = !x->down_eof && x->from_down.len < PROXY_IO_MAX && !c->is_throttled;
    bool reads_up = !x->up_eof && x->from_up.len < PROXY_IO_MAX && !c->is_throttled;

    conn_watch(c, &c->up, (reads_up ? EPOLLIN : 0u) | (x->to_up.len > 0 ? EPOLLOUT : 0u));
    if (is_http(c))
        conn_watch(c, &c->down, (reads_down ? EPOLLIN : 0u) | (x->to_down.len > 0 ? EPOLLOUT : 0u));
}

void http_run(struct conn *c)
{
    while (is_http(c) && advance(c))
        continue;
    if (is_http(c))
        watch(c);
}

void http_on_down(struct conn *c, uint32_t events)
{
    if ((events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0 && !fill(c, false))
        broken(c, "client closed the connection");
    else
        http_run(c);
}

void http_on_up(struct conn *c, uint32_t events)
{
    if (c->state == CONN_HEAD) { /* kept for the next request, and now ended or talking alone */
        http_drop_up(c);
        return;
    }
    if ((events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0 && !fill(c, true))
        c->http->up_eof = true;
    http_run(c);
}
