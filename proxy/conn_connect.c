/* SPDX-License-Identifier: Apache-2.0 */
/* conn_connect.c - CONNECT: judge, connect, say so, then relay. */
#include "base/mem.h"
#include "proxy/http.h"

static void on_connected(struct upstream *u)
{
    static const char text[] = "HTTP/1.1 200 Connection Established\r\n\r\n";
    struct conn *c = u->user;
    enum upstream_status status = u->status;
    const char *reason = u->reason;

    conn_take_upstream(c, u);
    if (status == UPSTREAM_BLOCKED) {
        conn_log_blocked(c, ISOL8_PROXY_ADDRESS, reason);
        http_reply_blocked(c);
    } else if (status == UPSTREAM_FAILED) {
        http_reply_failed(c, "502 Bad Gateway", reason);
    } else if (!buf_add(&c->relay.in.stash, text, sizeof(text) - 1)) {
        conn_end(c, true);
    } else {
        http_to_tunnel(c, true);
    }
}

void connect_begin(struct conn *c, const struct http1_request *q, size_t n)
{
    conn_record(c, "CONNECT", 7, &q->host, q->port, NULL, 0);
    http_consume(c, n); /* @q is gone */
    if (conn_judge(c))
        conn_connect(c, on_connected);
    else
        http_reply_blocked(c);
}
