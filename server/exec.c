/* SPDX-License-Identifier: Apache-2.0 */
/* exec.c - one execution that a client asked for. */
#include "server/exec.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/mem.h"

enum { EXEC_LATE_MS = 1000 }; /* making a sandbox is not counted, nor is the way to the client */

int exec_new(struct exec **out, struct srv *s, const struct srv_who *who, cJSON *order,
             struct srv_fault *f)
{
    struct exec *x = calloc(1, sizeof(*x));

    *out = x;
    if (x == NULL) {
        cJSON_Delete(order);
        return srv_fault_set(f, 500, NULL, "out of memory");
    }
    x->srv = s;
    x->who = *who;
    x->came_ns = clock_now_ns();
    x->ticket = (struct srv_ticket)SRV_TICKET_NONE;
    x->state = EXEC_QUEUED;
    if (srv_order_take(&x->order, &s->policy, order, f) < 0)
        return -1;
    if (srv_gate_enter(&s->gate, &x->ticket) < 0) {
        srv_metrics_count(&s->metrics, &s->metrics.queue_full);
        return srv_fault_set(f, 503, NULL, "The server is busy: too many executions are waiting");
    }
    return 0;
}

void exec_over(struct exec *x, const isol8_result *res)
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

void exec_cancel(struct exec *x)
{
    x->is_cancelled = true;
    if (x->run != NULL)
        isol8_run_cancel(x->run);
}

int exec_finish(struct exec *x, isol8_result **res, isol8_error *err)
{
    int r = isol8_run_finish(take_ptr(&x->run), res, err);

    x->was_good = r == 0;
    return r;
}

void exec_free(struct exec *x)
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
    free(x);
}

bool exec_is_late(const struct exec *x)
{
    int64_t ms = x->order.request.timeout_ms;

    return x->state == EXEC_RUNNING && ms > 0 &&
           clock_now_ns() > x->began_ns + (uint64_t)(ms + EXEC_LATE_MS) * 1000000u;
}

void exec_on_wake(struct exec *x, enum srv_wake wake)
{
    if (wake == SRV_WAKE_GONE)
        srv_metrics_count(&x->srv->metrics, &x->srv->metrics.clients_gone);
    x->was_killed = x->was_killed || wake == SRV_WAKE_KILL;
    if (wake == SRV_WAKE_GONE || wake == SRV_WAKE_KILL)
        exec_cancel(x);
}

int exec_begin(struct exec *x, unsigned flags, isol8_error *err)
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
