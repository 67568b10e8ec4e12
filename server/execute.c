/* SPDX-License-Identifier: Apache-2.0 */
/**
 * execute.c - POST /execute and POST /execute/stream
 *
 * Theory of operation. The execution is driven on the thread of the connection. While it waits for
 * anything it watches the client's socket; when the client leaves, or the server will wait no
 * longer, the run is cancelled and driven to its end all the same, so that nothing of it is left
 * when the place at the gate is given to the next one.
 *
 * The buffered form does all of that before it replies. The streaming form replies at once and
 * goes on whenever more bytes are asked for: a client that reads slowly slows its program down, and
 * what it is sent has a deadline (http.c). In the silence comment lines keep proxies on the way
 * from closing the connection; nothing else limits how long a program may be quiet.
 */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "server/flow.h"

static int order(struct srv_call *c, struct exec **x, struct srv_fault *f)
{
    cJSON *json = NULL;

    if (srv_json_object(&json, buf_text(&c->body), c->body.len, f) < 0)
        return -1;
    return exec_new(x, c->srv, &c->who, json, f);
}

/* ---- Buffered -------------------------------------------------------------------------------- */

static int wait_for_place(struct exec *x, int client_fd)
{
    while (!srv_gate_has_place(&x->srv->gate, &x->ticket)) {
        exec_on_wake(x, srv_wait(x->srv, x->ticket.fd, client_fd, -1));
        if (x->is_cancelled)
            return -1;
    }
    return 0;
}

static int drive(struct exec *x, int client_fd, isol8_error *err)
{
    isol8_event ev;

    while (!isol8_run_done(x->run)) {
        int r = isol8_run_next(x->run, &ev, err);
        if (r < 0)
            return r;
        if (r > 0 || isol8_run_done(x->run))
            continue;
        if (x->is_cancelled) /* nothing else matters until it has ended */
            break;
        exec_on_wake(x, srv_wait(x->srv, isol8_run_fd(x->run), client_fd, -1));
    }
    return 0;
}

static void reply_result(struct srv_call *c, const isol8_result *res)
{
    auto_free char *text = isol8_result_json(res);

    if (text == NULL)
        srv_reply_text(c, 500, "application/json", "{\"error\":\"out of memory\"}");
    else
        srv_reply_text(c, 200, "application/json", text);
}

void srv_post_execute(struct srv_call *c)
{
    struct exec *x = NULL;
    isol8_result *res = NULL;
    struct srv_fault f;
    isol8_error err = { 0 };

    if (order(c, &x, &f) < 0) {
        srv_reply_fault(c, &f);
        exec_free(x);
        return;
    }
    int r = wait_for_place(x, c->client_fd);
    if (r == 0)
        r = exec_begin(x, ISOL8_RUN_CAPTURE, &err);
    if (r == 0) {
        (void)drive(x, c->client_fd, &err);
        r = exec_finish(x, &res, &err);
    }
    exec_over(x, res);
    if (x->was_killed) {
        (void)srv_fault_set(&f, 503, NULL, "The server is shutting down");
        srv_reply_fault(c, &f);
    } else if (r < 0) {
        srv_reply_error(c, &err);
    } else {
        reply_result(c, res);
    }
    isol8_result_free(res);
    exec_free(x);
}

/* ---- Server-sent events ---------------------------------------------------------------------- */

struct sse {
    struct flow flow;
    int client_fd;
    struct buf out;
    uint64_t said_ns;
};

static void emit(void *user, const char *json, size_t n)
{
    struct sse *s = user;

    (void)buf_adds(&s->out, "data: ");
    (void)buf_add(&s->out, json, n);
    (void)buf_adds(&s->out, "\n\n");
}

static void sse_wait(struct sse *s)
{
    struct exec *x = s->flow.x;
    int64_t quiet_ms = (int64_t)((clock_now_ns() - s->said_ns) / 1000000);
    int left = quiet_ms >= SRV_KEEP_ALIVE_MS ? 0 : SRV_KEEP_ALIVE_MS - (int)quiet_ms;
    enum srv_wake wake = srv_wait(x->srv, flow_fd(&s->flow), s->client_fd, left);

    exec_on_wake(x, wake);
    if (wake == SRV_WAKE_TIMEOUT)
        (void)buf_adds(&s->out, ": keep-alive\n\n");
    if (x->is_cancelled)
        flow_end(&s->flow);
}

static ssize_t sse_read(void *user, char *out, size_t max)
{
    struct sse *s = user;

    while ((s->out.len == 0 || exec_is_late(s->flow.x)) && s->flow.x->state != EXEC_OVER) {
        bool is_idle = flow_step(&s->flow);
        if (is_idle && s->out.len > 0)
            break;
        if (is_idle)
            sse_wait(s);
    }
    if (s->out.failed)
        return -1;
    size_t n = s->out.len < max ? s->out.len : max;
    memcpy(out, buf_text(&s->out), n);
    buf_consume(&s->out, n);
    s->said_ns = clock_now_ns();
    return (ssize_t)n;
}

static void sse_done(void *user)
{
    struct sse *s = user;

    exec_free(s->flow.x);
    buf_done(&s->out);
    free(s);
}

void srv_post_execute_stream(struct srv_call *c)
{
    struct sse *s = calloc(1, sizeof(*s));
    struct srv_fault f;

    if (s == NULL) {
        (void)srv_fault_set(&f, 500, NULL, "out of memory");
        srv_reply_fault(c, &f);
        return;
    }
    s->flow.emit = emit;
    s->flow.user = s;
    s->client_fd = c->client_fd;
    s->said_ns = clock_now_ns();
    buf_init(&s->out, 2 * FLOW_EVENT_MAX);
    if (order(c, &s->flow.x, &f) < 0) {
        srv_reply_fault(c, &f);
        sse_done(s);
        return;
    }
    c->reply.status = 200;
    c->reply.type = "text/event-stream";
    c->reply.no_cache = true;
    c->reply.source = (struct srv_source){ sse_read, sse_done, s };
}
