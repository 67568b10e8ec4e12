/* SPDX-License-Identifier: Apache-2.0 */
/* http_request.c - from a request's head to an upstream connection, or to our own answer. */
#include <string.h>

#include "proxy/http.h"

/* ---- Our own answers ----------------------------------------------------------------------- */

void http_reply_blocked(struct conn *c)
{
    const char *what = strcmp(c->record.method, "CONNECT") == 0 ? "CONNECT" : "request";

    conn_reply(c, "403 Forbidden", "isol8: %s to %s blocked by network filter", what,
               c->record.host.text);
}

void http_reply_failed(struct conn *c, const char *status, const char *error)
{
    c->record.error = error;
    conn_reply(c, status, "isol8: proxy error: connection to %s:%u failed", c->record.host.text,
               c->record.port);
}

void http_reply_bad(struct conn *c, const char *why)
{
    conn_reply(c, "400 Bad Request", "isol8: bad request: %s", why);
}

/* ---- A request begins ---------------------------------------------------------------------- */

void http_set_body(struct body *b, enum http1_framing framing, uint64_t length)
{
    *b = (struct body){ .framing = framing, .left = length };
    b->is_done = framing == HTTP1_NO_BODY || (framing == HTTP1_LENGTH && length == 0);
    http1_chunks_init(&b->chunks);
}

void http_on_connected(struct upstream *u)
{
    struct conn *c = u->user;
    enum upstream_status status = u->status;
    const char *reason = u->reason;

    conn_take_upstream(c, u);
    if (status == UPSTREAM_BLOCKED) {
        conn_log_blocked(c, ISOL8_PROXY_ADDRESS, reason);
        http_reply_blocked(c);
    } else if (status == UPSTREAM_FAILED) {
        http_reply_failed(c, "502 Bad Gateway", reason);
    } else {
        c->http->up_host = c->record.host;
        c->http->up_port = c->record.port;
        c->http->is_reused = false;
        conn_set_state(c, CONN_EXCHANGE);
        http_run(c);
    }
}

/* NULL, or why the Host header does not fit what was connected to. */
static const char *host_problem(const struct conn *c, const struct http1_request *q)
{
    if (q->host_differs)
        return "Host header differs from the request's target";
    if (!c->has_target || (q->form == HTTP1_ORIGIN && !q->has_host_header))
        return NULL;
    if (q->port == c->target_port && strcmp(q->host.text, c->target.text) == 0)
        return NULL;
    if (c->target.is_address && q->port == c->target_port &&
        client_judge(c->client, &q->host, q->port).is_allowed)
        return NULL;
    return "Host header differs from the name connected to";
}

static bool is_safe(const struct http1_request *q)
{
    return q->framing == HTTP1_NO_BODY && !q->is_upgrade &&
           ((q->method.n == 3 && memcmp(q->method.p, "GET", 3) == 0) ||
            (q->method.n == 4 && memcmp(q->method.p, "HEAD", 4) == 0));
}

/* The request's head goes to to_up, what follows it stays in from_down. */
static bool take_head(struct conn *c, const struct http1_request *q, size_t n)
{
    struct exchange *x = c->http;
    bool has_host = q->form != HTTP1_ORIGIN || q->has_host_header;

    buf_clear(&x->to_up);
    buf_clear(&x->retry);
    buf_clear(&x->from_up);
    http_write_request(q, has_host ? &q->host : &c->record.host, c->record.port, &x->to_up);
    if (is_safe(q))
        (void)buf_add(&x->retry, x->to_up.data, x->to_up.len); /* no memory: no second try */
    http_set_body(&x->request, q->framing, q->content_length);
    http_set_body(&x->response, HTTP1_TO_CLOSE, 0);
    x->minor = q->minor;
    x->keep_alive = q->keep_alive && q->minor > 0;
    x->is_upgrade = q->is_upgrade;
    x->has_answer = x->must_close = x->up_keeps = x->up_eof = false;
    buf_consume(&x->from_down, n);
    c->record.bytes_out += n;
    return !x->to_up.failed;
}

static bool can_reuse(const struct conn *c)
{
    const struct exchange *x = c->http;

    return c->up.fd >= 0 && x->up_port == c->record.port &&
           strcmp(x->up_host.text, c->record.host.text) == 0;
}

static void forward(struct conn *c, const struct http1_request *q, size_t n)
{
    const struct proxy_host *host = c->has_target ? &c->target : &q->host;
    uint16_t port = c->has_target ? c->target_port : q->port;

    conn_record(c, q->method.p, q->method.n, host, port, q->path.p, q->path.n);
    const char *problem = host_problem(c, q);
    if (problem != NULL) {
        conn_log_blocked(c, ISOL8_PROXY_OTHER_NAME, problem);
        http_reply_blocked(c);
    } else if (!conn_judge(c)) {
        http_reply_blocked(c);
    } else if (!take_head(c, q, n)) {
        conn_end(c, true);
    } else if (can_reuse(c)) {
        c->http->is_reused = true;
        conn_set_state(c, CONN_EXCHANGE);
    } else {
        conn_connect(c, http_on_connected);
    }
}

static void judge_form(struct conn *c, const struct http1_request *q, size_t n)
{
    if (q->form == HTTP1_AUTHORITY && !c->has_target)
        connect_begin(c, q, n);
    else if (q->form == HTTP1_AUTHORITY)
        http_reply_bad(c, "CONNECT to a server that is no proxy");
    else if (!c->has_target && q->form != HTTP1_ABSOLUTE)
        http_reply_bad(c, "this is a proxy; the request must name an http:// URL");
    else
        forward(c, q, n);
}

bool http_begin_request(struct conn *c)
{
    struct exchange *x = c->http;
    struct http1_request q;
    const char *why = NULL;

    if (x->to_down.len > 0)
        return false;
    if (x->from_down.len == 0) {
        if (x->down_eof)
            conn_end(c, false);
        else
            buf_done(&x->from_down);
        return false;
    }
    if (c->deadline_ms == CONN_IDLE_MS)
        conn_set_deadline(c, CONN_HEAD_MS);
    long n = http1_parse_request(x->from_down.data, x->from_down.len, &q, &why);
    if (n < 0)
        http_reply_bad(c, why);
    else if (n > 0)
        judge_form(c, &q, (size_t)n);
    else if (x->down_eof)
        conn_end(c, false);
    return n != 0;
}
