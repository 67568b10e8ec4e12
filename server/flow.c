/* SPDX-License-Identifier: Apache-2.0 */
/* flow.c - an execution as a sequence of events, each a JSON text. */
#include "server/flow.h"

#include <string.h>

#include "base/mem.h"

/* ---- Events ---------------------------------------------------------------------------------- */

static void put_event(struct flow *fl, const char *type, const char *text, size_t n,
                      const char *phase)
{
    auto_json cJSON *j = cJSON_CreateObject();

    (void)cJSON_AddStringToObject(j, "type", type);
    (void)json_add_text(j, "data", text, n);
    if (phase != NULL)
        (void)cJSON_AddStringToObject(j, "phase", phase);
    auto_free char *line = cJSON_PrintUnformatted(j);
    if (line != NULL)
        fl->emit(fl->user, line, strlen(line));
}

void flow_error(struct flow *fl, const char *text)
{
    put_event(fl, "error", text, strlen(text), NULL);
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
static void put_text(struct flow *fl, int i, const isol8_event *ev, const char *phase)
{
    auto_buf struct buf text = BUF_INIT(FLOW_EVENT_MAX);

    (void)buf_add(&text, fl->held[i], fl->n_held[i]);
    (void)buf_add(&text, ev->data, ev->size);
    size_t cut = cut_tail(buf_text(&text), text.len);
    fl->n_held[i] = cut;
    memcpy(fl->held[i], buf_text(&text) + text.len - cut, cut);
    if (text.len > cut)
        put_event(fl, stream_names[i], buf_text(&text), text.len - cut, phase);
}

static void put_held(struct flow *fl, const char *phase)
{
    for (int i = 0; i < 2; i++) {
        if (fl->n_held[i] > 0)
            put_event(fl, stream_names[i], fl->held[i], fl->n_held[i], phase);
        fl->n_held[i] = 0;
    }
}

static void put_engine_event(struct flow *fl, const isol8_event *ev)
{
    const char *phase = ev->phase == ISOL8_PHASE_SETUP ? "setup" : "code";

    switch (ev->type) {
    case ISOL8_EVENT_STDOUT:
        put_text(fl, 0, ev, phase);
        break;
    case ISOL8_EVENT_STDERR:
        put_text(fl, 1, ev, phase);
        break;
    case ISOL8_EVENT_EXIT:
    case ISOL8_EVENT_ERROR:
        put_held(fl, phase);
        put_event(fl, ev->type == ISOL8_EVENT_EXIT ? "exit" : "error", ev->data, ev->size, phase);
        break;
    }
}

/* ---- Steps ----------------------------------------------------------------------------------- */

/* The last event is what went wrong on our side. */
static void end(struct flow *fl, int r, const isol8_error *err)
{
    struct exec *x = fl->x;
    isol8_result *res = NULL;
    isol8_error why = { 0 };
    struct srv_fault f;

    if (r < 0 && err != NULL)
        why = *err;
    if (x->run != NULL) {
        int finished = exec_finish(x, &res, r < 0 ? NULL : &why);
        r = r < 0 ? r : finished;
    }
    put_held(fl, "code");
    if (x->was_killed) {
        flow_error(fl, "The server is shutting down");
    } else if (r < 0) {
        (void)srv_fault_of_error(&f, &why);
        flow_error(fl, f.text);
    }
    exec_over(x, res);
    isol8_result_free(res);
}

void flow_end(struct flow *fl)
{
    end(fl, 0, NULL);
}

/* Return: true when it still waits for its place. */
static bool step_queued(struct flow *fl)
{
    struct exec *x = fl->x;
    isol8_error err = { 0 };

    if (!srv_gate_has_place(&x->srv->gate, &x->ticket))
        return true;
    int r = exec_begin(x, 0, &err);
    if (r < 0)
        end(fl, r, &err);
    return false;
}

static bool step_running(struct flow *fl)
{
    struct exec *x = fl->x;
    isol8_event ev;
    isol8_error err = { 0 };

    if (isol8_run_done(x->run)) {
        end(fl, 0, NULL);
        return false;
    }
    int r = isol8_run_next(x->run, &ev, &err);
    if (r < 0)
        end(fl, r, &err);
    else if (r > 0)
        put_engine_event(fl, &ev);
    return r == 0 && !isol8_run_done(x->run);
}

bool flow_step(struct flow *fl)
{
    switch (fl->x->state) {
    case EXEC_QUEUED:
        return step_queued(fl);
    case EXEC_RUNNING:
        return step_running(fl);
    default:
        return true;
    }
}

int flow_fd(const struct flow *fl)
{
    return fl->x->state == EXEC_QUEUED ? fl->x->ticket.fd : isol8_run_fd(fl->x->run);
}
