/* SPDX-License-Identifier: Apache-2.0 */
/**
 * run_fetch.c - code from a URL, before there is a sandbox
 *
 * The fetch is done by a thread (remote/flights.h), perhaps one that others wait for as well. The
 * run waits for it by the descriptor that told of its place in the queue, so cancel and deadline
 * work as everywhere. Nothing is made for a run whose code never came.
 */
#include <string.h>

#include "base/clock.h"
#include "executor/run.h"

int run_start_fetch(struct isol8_run *r, isol8_error *err)
{
    r->state = RUN_FETCHING;
    r->facts.timeout_ms = r->plan.timeout_ms;
    r->fetch_ns = clock_now_ns(); /* its start, until it is over */
    r->fetch.fd = r->turn.fd;
    int s = run_arm_timer(r, r->plan.timeout_ms, err);
    return s < 0 ? s
                 : flights_join(r->engine->host->flights, r->engine->remote, &r->plan.url,
                                r->rq->allow_insecure_code_url, r->plan.hash, &r->fetch, err);
}

int run_on_fetched(struct isol8_run *r, isol8_error *err)
{
    if (!flights_is_done(r->engine->host->flights, &r->fetch))
        return 0;
    const struct remote_code *code = r->fetch.code;
    if (code == NULL) {
        if (err != NULL)
            *err = r->fetch.error;
        return r->fetch.error.status;
    }
    r->fetch_ns = clock_now_ns() - r->fetch_ns;
    r->plan.code = code->data;
    r->plan.code_size = code->size;
    memcpy(r->result->code_hash, code->hash, sizeof(code->hash));
    log_debug(&r->engine->host->log, "run: fetched bytes=%zu sha256=%s", code->size, code->hash);
    int s = run_arm_timer(r, 0, err); /* off: a sandbox that is waited for has its own */
    if (s == 0)
        s = exec_plan_check_prompt(&r->plan, code->size, err);
    return s < 0 ? s : run_begin(r, err);
}

void run_note_source(struct isol8_run *r)
{
    const char *source = r->plan.cmd != NULL ? r->plan.cmd : r->plan.code;
    size_t n = r->plan.cmd != NULL ? strlen(r->plan.cmd) : r->plan.code_size;

    if (r->result->code_hash[0] == '\0')
        exec_result_note_source(r->result, source, n);
}
