/* SPDX-License-Identifier: Apache-2.0 */
/* execution.c - one execution on a server, over one of three ways. */
#include "client/execution.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "client/call.h"
#include "client/sse.h"
#include "client/ws.h"

/* A result has both streams, each byte of which may need six as JSON, and more. */
#define RESULT_MAX (8u << 20)
#define RESULT_PER_BYTE 12u
#define RESULT_CEILING (1u << 30)
#define MESSAGE_MAX 400 /* bytes of the server's own words in a message */

enum { LINGER_MS = 5000 }; /* between the program's end and the connection's */

struct execution {
    const struct client *client;
    const struct client_order *order;
    execution_event_fn fn;
    void *user;
    struct buf body; /* the order */
    struct ws *ws;
    struct call *call;
    struct sse sse;
    bool is_sent; /* the order is on its way: there is a program to signal */
    bool has_data;
    bool has_ended;   /* an event said that nothing more comes */
    uint64_t exit_ns; /* when the program had ended; 0: not yet */
    bool is_done;
};

/* ---- Events ---------------------------------------------------------------------------------- */

static void on_event(void *user, const char *text, size_t n)
{
    struct execution *x = user;
    struct client_event ev;

    x->has_data = true;
    client_event_parse(&ev, text, n);
    /* A setup script that succeeds is followed by the program. */
    if (ev.type == CLIENT_EVENT_ERROR ||
        (ev.type == CLIENT_EVENT_EXIT && !(ev.is_setup && ev.exit_code == 0)))
        x->has_ended = true;
    if (ev.type == CLIENT_EVENT_EXIT && x->has_ended && x->exit_ns == 0)
        x->exit_ns = clock_now_ns();
    if (ev.type != CLIENT_EVENT_OTHER)
        x->fn(x->user, &ev);
    client_event_done(&ev);
}

static bool on_stream(void *user, const char *data, size_t n)
{
    struct execution *x = user;

    x->has_data = true;
    return sse_feed(&x->sse, data, n);
}

/* ---- Beginning ------------------------------------------------------------------------------- */

static int make_body(struct execution *x, bool is_message, isol8_error *err)
{
    buf_done(&x->body);
    buf_init(&x->body, CLIENT_ORDER_MAX);
    return client_order_text(x->order, is_message, &x->body, err);
}

static size_t result_max(const isol8_options *o)
{
    size_t most = (RESULT_CEILING - RESULT_MAX) / RESULT_PER_BYTE;

    return RESULT_MAX + RESULT_PER_BYTE * (o->max_output_size < most ? o->max_output_size : most);
}

static int start_call(struct execution *x, isol8_error *err)
{
    struct call_args args = { .method = "POST", .path = "/execute" };

    int r = make_body(x, false, err);
    if (r < 0)
        return r;
    args.body = buf_text(&x->body);
    args.body_size = x->body.len;
    args.answer_max = result_max(x->order->options);
    if (x->fn != NULL) {
        args.path = "/execute/stream";
        args.sink = on_stream;
        args.user = x;
    }
    x->is_sent = true;
    return call_start(&x->call, x->client, &args, err);
}

static int start_ws(struct execution *x, isol8_error *err)
{
    int r = make_body(x, true, err);
    if (r < 0)
        return r;
    if (x->body.len > WS_MESSAGE_MAX)
        return start_call(x, err);
    r = ws_start(&x->ws, x->client, "/execute/ws", on_event, x, err);
    if (r == ISOL8_E_UNSUPPORTED)
        return start_call(x, err);
    return r == 0 ? ws_send(x->ws, buf_text(&x->body), x->body.len, err) : r;
}

int execution_start(struct execution **out, const struct client *c,
                    const struct client_order *order, execution_event_fn fn, void *user,
                    isol8_error *err)
{
    struct execution *x = calloc(1, sizeof(*x));

    if (x == NULL)
        return err_nomem(err);
    *x = (struct execution){ .client = c, .order = order, .fn = fn, .user = user };
    sse_init(&x->sse, CLIENT_EVENT_MAX, on_event, x);
    int r = fn != NULL ? start_ws(x, err) : start_call(x, err);
    if (r < 0)
        execution_free(x);
    else
        *out = x;
    return r;
}

void execution_free(struct execution *x)
{
    if (x == NULL)
        return;
    ws_free(x->ws);
    call_free(x->call);
    sse_done(&x->sse);
    buf_done(&x->body);
    free(x);
}

/* ---- Going on -------------------------------------------------------------------------------- */

static int lost(isol8_error *err)
{
    return err_set(err, ISOL8_E_NETWORK,
                   "The connection to the server was lost before the program ended.");
}

static int refused(const char *what, const struct buf *why, isol8_error *err)
{
    return err_set(err, ISOL8_E_POLICY, "%s: %.*s", what, MESSAGE_MAX, buf_text(why));
}

/* The other way. */
static int use_call(struct execution *x, isol8_error *err)
{
    ws_free(take_ptr(&x->ws));
    int r = start_call(x, err);
    return r < 0 ? r : 1;
}

/* No WebSocket here: the key is not good enough, or there is another way. */
static int on_refusal(struct execution *x, isol8_error *err)
{
    auto_buf struct buf why = BUF_INIT(1u << 20);
    int status = ws_refusal(x->ws, &why);

    if (status == 401 || status == 403)
        return refused("Stream failed", &why, err);
    return use_call(x, err);
}

static int step_ws(struct execution *x, isol8_error *err)
{
    int r = ws_step(x->ws, err);

    switch (ws_state(x->ws)) {
    case WS_CONNECTING:
        break;
    case WS_OPEN:
        x->is_sent = true;
        break;
    case WS_REFUSED:
        return r < 0 ? r : on_refusal(x, err);
    case WS_CLOSED:
        if (r < 0 || x->has_ended) {
            x->is_done = r >= 0;
            return r;
        }
        /* Its limit of a message is lower than ours: it has not looked at this one. */
        return ws_close_code(x->ws) == 1009 && !x->has_data ? use_call(x, err) : lost(err);
    }
    return r;
}

static int end_call(struct execution *x, isol8_error *err)
{
    auto_buf struct buf why = BUF_INIT(1u << 20);

    x->is_done = true;
    if (!call_is_good(x->call)) {
        call_error(x->call, &why);
        return refused(x->fn != NULL ? "Stream failed" : "Execution failed", &why, err);
    }
    if (x->fn == NULL)
        return 0;
    if (!x->has_data)
        return err_set(err, ISOL8_E_PROTOCOL, "No response body for streaming");
    sse_end(&x->sse);
    return x->has_ended ? 0 : lost(err);
}

int execution_step(struct execution *x, isol8_error *err)
{
    if (x->exit_ns != 0 && clock_now_ns() - x->exit_ns > LINGER_MS * 1000000ull)
        x->is_done = true; /* it does not close: that is its own affair */
    if (x->is_done)
        return 0;
    if (x->ws != NULL)
        return step_ws(x, err);
    int r = call_step(x->call, err);
    return r > 0 ? end_call(x, err) : r;
}

bool execution_done(const struct execution *x)
{
    return x->is_done;
}

void execution_wait(struct execution *x, struct pollfd *fds, size_t n, int timeout_ms)
{
    if (x->ws != NULL)
        ws_wait(x->ws, fds, n, timeout_ms);
    else
        call_wait(x->call, fds, n, timeout_ms);
}

bool execution_signal(struct execution *x, int number)
{
    static const char interrupt[] = "{\"type\":\"signal\",\"signal\":\"SIGINT\"}";
    static const char terminate[] = "{\"type\":\"signal\",\"signal\":\"SIGTERM\"}";
    const char *text = number == SIGINT ? interrupt : terminate;

    return x->ws != NULL && x->is_sent && ws_send(x->ws, text, strlen(text), NULL) == 0;
}

const char *execution_transport(const struct execution *x)
{
    return x->ws != NULL ? "WebSocket" : x->fn != NULL ? "SSE" : "buffered";
}

const struct buf *execution_answer(const struct execution *x)
{
    return call_answer(x->call);
}

int execution_result(const struct execution *x, struct client_result *out, isol8_error *err)
{
    const struct buf *answer = call_answer(x->call);

    return client_result_parse(out, buf_text(answer), answer->len, err);
}
