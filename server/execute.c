/* SPDX-License-Identifier: Apache-2.0 */
/**
 * execute.c - POST /execute and POST /execute/stream
 *
 * Theory of operation. An execution passes the gate, takes an engine (its session's, or one shared
 * by requests with the same options) and drives a run to its end on the thread of the connection.
 * While it waits for anything it watches the client's socket; when the client leaves, or the server
 * will wait no longer, the run is cancelled and driven to its end all the same, so that nothing of
 * it is left when the place at the gate is given to the next one.
 *
 * The buffered form does all of that before it replies. The streaming form replies at once and
 * goes on whenever more bytes are asked for: a client that reads slowly slows its program down, and
 * what it is sent has a deadline (http.c). In the silence comment lines keep proxies on the way
 * from closing the connection; nothing else limits how long a program may be quiet.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/mem.h"
#include "base/text.h"
#include "server/order.h"
#include "server/srv.h"

#define EVENT_MAX (1u << 22) /* bytes of one event as JSON: 64 KiB of text, all of it escaped */

enum exec_state { EXEC_QUEUED, EXEC_RUNNING, EXEC_OVER };

struct exec {
    struct srv *srv;
    int client_fd; /* -1 once the client left */
    struct srv_order order;
    struct srv_ticket ticket;
    struct srv_engine *engine;   /* without a session */
    struct srv_session *session; /* with one */
    struct srv_who who;
    isol8_run *run;
    enum exec_state state;
    bool is_cancelled, was_killed;
    bool was_good; /* there is a result */
    uint64_t came_ns, began_ns;
    /* streaming */
    struct buf out;
    char held[2][4]; /* the beginning of a character that a read has cut; stdout, stderr */
    size_t n_held[2];
    uint64_t said_ns;
};

/* ---- Life ------------------------------------------------------------------------------------ */

static int exec_new(struct srv_call *c, struct exec **out, struct srv_fault *f)
{
    struct exec *x = calloc(1, sizeof(*x));

    if (x == NULL)
        return srv_fault_set(f, 500, NULL, "out of memory");
    x->srv = c->srv;
    x->client_fd = c->client_fd;
    x->who = c->who;
    x->came_ns = clock_now_ns();
    x->ticket = (struct srv_ticket)SRV_TICKET_NONE;
    x->state = EXEC_QUEUED;
    buf_init(&x->out, EVENT_MAX);
    *out = x;
    if (srv_order_parse(&x->order, &c->srv->policy, buf_text(&c->body), c->body.len, f) < 0)
        return -1;
    if (srv_gate_enter(&c->srv->gate, &x->ticket) < 0) {
        srv_metrics_count(&c->srv->metrics, &c->srv->metrics.queue_full);
        return srv_fault_set(f, 503, NULL, "The server is busy: too many executions are waiting");
    }
    return 0;
}

/* Count what came of it, and give everything back but the memory. */
static void exec_over(struct exec *x, const isol8_result *res)
{
    struct srv *s = x->srv;

    if (x->state == EXEC_OVER)
        return;
    if (x->began_ns != 0)
        srv_metrics_execution(&s->metrics, x->order.request.runtime, res,
                              (double)(x->began_ns - x->came_ns) / 1e9,
                              (double)(clock_now_ns() - x->came_ns) / 1e9);
    x->state = EXEC_OVER;
    srv_sessions_put(s->sessions, take_ptr(&x->session), true, x->was_good);
    srv_engines_put(s->engines, take_ptr(&x->engine));
    srv_gate_leave(&s->gate, &x->ticket);
}

static void exec_cancel(struct exec *x)
{
    x->is_cancelled = true;
    x->client_fd = -1;
    if (x->run != NULL)
        isol8_run_cancel(x->run);
}

/* Drive the run to its end and take its result. Return: 0, or why isol8 failed. */
static int exec_finish(struct exec *x, isol8_result **res, isol8_error *err)
{
    int r = isol8_run_finish(take_ptr(&x->run), res, err);

    x->was_good = r == 0;
    return r;
}

static void exec_free(struct exec *x)
{
    isol8_result *res = NULL;

    if (x == NULL)
        return;
    if (x->run != NULL) {
        isol8_run_cancel(x->run);
        (void)exec_finish(x, &res, NULL);
    }
    exec_over(x, res);
    isol8_result_free(res);
    srv_order_done(&x->order);
    buf_done(&x->out);
    free(x);
}

/* The server stops waiting, or the client has left. */
static void exec_on_wake(struct exec *x, enum srv_wake wake)
{
    if (wake == SRV_WAKE_GONE)
        srv_metrics_count(&x->srv->metrics, &x->srv->metrics.clients_gone);
    x->was_killed = x->was_killed || wake == SRV_WAKE_KILL;
    if (wake == SRV_WAKE_GONE || wake == SRV_WAKE_KILL)
        exec_cancel(x);
}

/* ---- Steps ----------------------------------------------------------------------------------- */

/* It has its place: begin. Return: 0 or a status. */
static int exec_begin(struct exec *x, unsigned flags, isol8_error *err)
{
    struct srv *s = x->srv;
    isol8_engine *engine = NULL;
    int r;

    x->began_ns = clock_now_ns();
    if (x->order.request.timeout_ms == 0)
        x->order.request.timeout_ms = x->order.options.timeout_ms;
    if (x->order.session_id != NULL) {
        r = srv_sessions_use(s->sessions, &x->who, x->order.session_id, &x->order.options,
                             &x->session, err);
        engine = r == 0 ? srv_session_engine(x->session) : NULL;
    } else {
        r = srv_engines_get(s->engines, &x->order.options, &x->engine, err);
        engine = r == 0 ? srv_engine_of(x->engine) : NULL;
    }
    if (r < 0)
        return r;
    r = isol8_run_start(engine, &x->order.request, flags, &x->run, err);
    if (r < 0)
        return r;
    x->state = EXEC_RUNNING;
    if (x->session != NULL && srv_session_is_over(x->session))
        exec_cancel(x);
    return 0;
}

/* ---- Buffered -------------------------------------------------------------------------------- */

static int wait_for_place(struct exec *x)
{
    while (!srv_gate_has_place(&x->srv->gate, &x->ticket)) {
        exec_on_wake(x, srv_wait(x->srv, x->ticket.fd, x->client_fd, -1));
        if (x->is_cancelled)
            return -1;
    }
    return 0;
}

static int drive(struct exec *x, isol8_error *err)
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
        exec_on_wake(x, srv_wait(x->srv, isol8_run_fd(x->run), x->client_fd, -1));
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

    if (exec_new(c, &x, &f) < 0) {
        srv_reply_fault(c, &f);
        exec_free(x);
        return;
    }
    int r = wait_for_place(x);
    if (r == 0)
        r = exec_begin(x, ISOL8_RUN_CAPTURE, &err);
    if (r == 0) {
        (void)drive(x, &err);
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

/* ---- Streaming ------------------------------------------------------------------------------- */

static void put_event(struct exec *x, const char *type, const char *text, size_t n,
                      const char *phase)
{
    auto_json cJSON *j = cJSON_CreateObject();

    (void)cJSON_AddStringToObject(j, "type", type);
    (void)json_add_text(j, "data", text, n);
    if (phase != NULL)
        (void)cJSON_AddStringToObject(j, "phase", phase);
    auto_free char *line = cJSON_PrintUnformatted(j);
    if (line != NULL)
        (void)buf_addf(&x->out, "data: %s\n\n", line);
}

/* Bytes at the end of @text that begin a UTF-8 character without ending it. */
static size_t cut_tail(const char *text, size_t n)
{
    for (size_t back = 1; back <= 3 && back <= n; back++) {
        unsigned char b = (unsigned char)text[n - back];
        if ((b & 0xc0) == 0x80)
            continue;
        size_t need = b >= 0xf0 ? 4 : b >= 0xe0 ? 3 : b >= 0xc2 ? 2 : 1;
        return need > back && b < 0xf5 ? back : 0;
    }
    return 0;
}

static const char *const stream_names[] = { "stdout", "stderr" };

/* A stream's text, whole characters only; what is cut waits for the rest. */
static void put_text(struct exec *x, int i, const isol8_event *ev, const char *phase)
{
    auto_buf struct buf text = BUF_INIT(EVENT_MAX);

    (void)buf_add(&text, x->held[i], x->n_held[i]);
    (void)buf_add(&text, ev->data, ev->size);
    size_t cut = cut_tail(buf_text(&text), text.len);
    x->n_held[i] = cut;
    memcpy(x->held[i], buf_text(&text) + text.len - cut, cut);
    if (text.len > cut)
        put_event(x, stream_names[i], buf_text(&text), text.len - cut, phase);
}

static void put_held(struct exec *x, const char *phase)
{
    for (int i = 0; i < 2; i++) {
        if (x->n_held[i] > 0)
            put_event(x, stream_names[i], x->held[i], x->n_held[i], phase);
        x->n_held[i] = 0;
    }
}

static void put_engine_event(struct exec *x, const isol8_event *ev)
{
    const char *phase = ev->phase == ISOL8_PHASE_SETUP ? "setup" : "code";

    switch (ev->type) {
    case ISOL8_EVENT_STDOUT:
        put_text(x, 0, ev, phase);
        break;
    case ISOL8_EVENT_STDERR:
        put_text(x, 1, ev, phase);
        break;
    case ISOL8_EVENT_EXIT:
    case ISOL8_EVENT_ERROR:
        put_held(x, phase);
        put_event(x, ev->type == ISOL8_EVENT_EXIT ? "exit" : "error", ev->data, ev->size, phase);
        break;
    }
}

/* The last event is what went wrong on our side. */
static void end_stream(struct exec *x, int r, const isol8_error *err)
{
    isol8_result *res = NULL;
    isol8_error why = { 0 };

    if (r < 0 && err != NULL)
        why = *err;
    if (x->run != NULL) {
        int finished = exec_finish(x, &res, r < 0 ? NULL : &why);
        r = r < 0 ? r : finished;
    }
    put_held(x, "code");
    if (x->was_killed)
        put_event(x, "error", "The server is shutting down", 27, NULL);
    else if (r < 0)
        put_event(x, "error", why.msg, strlen(why.msg), NULL);
    exec_over(x, res);
    isol8_result_free(res);
}

static void stream_queued(struct exec *x)
{
    isol8_error err = { 0 };

    if (!srv_gate_has_place(&x->srv->gate, &x->ticket))
        return;
    int r = exec_begin(x, 0, &err);
    if (r < 0)
        end_stream(x, r, &err);
}

/* Return: true when there was nothing to do. */
static bool stream_running(struct exec *x)
{
    isol8_event ev;
    isol8_error err = { 0 };

    if (isol8_run_done(x->run)) {
        end_stream(x, 0, NULL);
        return false;
    }
    int r = isol8_run_next(x->run, &ev, &err);
    if (r < 0)
        end_stream(x, r, &err);
    else if (r > 0)
        put_engine_event(x, &ev);
    return r == 0 && !isol8_run_done(x->run);
}

static void stream_wait(struct exec *x)
{
    int fd = x->state == EXEC_QUEUED ? x->ticket.fd : isol8_run_fd(x->run);
    int64_t quiet_ms = (int64_t)((clock_now_ns() - x->said_ns) / 1000000);
    int left = quiet_ms >= SRV_KEEP_ALIVE_MS ? 0 : SRV_KEEP_ALIVE_MS - (int)quiet_ms;
    enum srv_wake wake = srv_wait(x->srv, fd, x->client_fd, left);

    exec_on_wake(x, wake);
    if (wake == SRV_WAKE_TIMEOUT)
        (void)buf_adds(&x->out, ": keep-alive\n\n");
    if (x->is_cancelled)
        end_stream(x, 0, NULL);
}

static ssize_t stream_read(void *user, char *out, size_t max)
{
    struct exec *x = user;

    while (x->out.len == 0 && x->state != EXEC_OVER) {
        if (x->state == EXEC_QUEUED)
            stream_queued(x);
        bool is_idle = x->state == EXEC_QUEUED || (x->state == EXEC_RUNNING && stream_running(x));
        if (is_idle && x->out.len == 0)
            stream_wait(x);
    }
    if (x->out.failed)
        return -1;
    size_t n = x->out.len < max ? x->out.len : max;
    memcpy(out, buf_text(&x->out), n);
    buf_consume(&x->out, n);
    x->said_ns = clock_now_ns();
    return (ssize_t)n;
}

static void stream_done(void *user)
{
    exec_free(user);
}

void srv_post_execute_stream(struct srv_call *c)
{
    struct exec *x = NULL;
    struct srv_fault f;

    if (exec_new(c, &x, &f) < 0) {
        srv_reply_fault(c, &f);
        exec_free(x);
        return;
    }
    x->said_ns = clock_now_ns();
    c->reply.status = 200;
    c->reply.type = "text/event-stream";
    c->reply.no_cache = true;
    c->reply.source = (struct srv_source){ stream_read, stream_done, x };
}
