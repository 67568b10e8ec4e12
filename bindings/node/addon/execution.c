/* SPDX-License-Identifier: Apache-2.0 */
/**
 * execution.c - from a request to a result, on a thread of the engine's lane
 *
 * One thread drives one run from its start to its end: poll its descriptor, do what is due, hand
 * events to the stream if there is one. The run may be cancelled meanwhile, by the reader of a
 * stream that stops or by the end of the process. x->run is set exactly while that is allowed, and
 * isol8_run_cancel() is only called with the lock held, so it never meets a run that is gone.
 */
#include "bindings/node/addon/execution.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>

#include "bindings/node/addon/engine.h"
#include "bindings/node/addon/stream.h"

static struct execution *in_flight; /* guarded by lane_lock() */

/* ---- On the thread ----------------------------------------------------------------------------
 */

static void set_cancelled(struct job *job)
{
    job->status = ISOL8_E_CANCELLED;
    job->err = (isol8_error){ .status = ISOL8_E_CANCELLED, .msg = "cancelled" };
}

/* From now on it may be cancelled. Return: false when that was asked for before */
static bool publish(struct execution *x, isol8_run *run)
{
    lane_lock();
    x->run = run;
    bool is_cancelled = x->is_cancelled;
    lane_unlock();
    return !is_cancelled;
}

static int drive(struct execution *x, isol8_run *run)
{
    struct pollfd p = { .fd = isol8_run_fd(run), .events = POLLIN };
    isol8_event event;

    while (!isol8_run_done(run)) {
        int r = isol8_run_next(run, &event, &x->job.err);
        if (r < 0)
            return r;
        if (engine_wants_id(x->engine))
            engine_note_id(x->engine);
        if (r == 1 && x->stream != NULL)
            stream_put(x->stream, &event);
        /* The only way for poll() to fail here is a signal, and those are blocked. */
        if (r == 0 && !isol8_run_done(run))
            (void)poll(&p, 1, -1);
    }
    return 0;
}

static void take_result(struct execution *x, isol8_result *result)
{
    if (result == NULL || x->stream != NULL)
        return;
    x->json = isol8_result_json(result);
    if (x->json == NULL) {
        x->job.err = (isol8_error){ .status = ISOL8_E_NOMEM, .msg = "out of memory" };
        x->job.status = ISOL8_E_NOMEM;
    }
}

static void execution_work(struct job *job)
{
    struct execution *x = (struct execution *)job;
    unsigned flags = x->stream == NULL ? ISOL8_RUN_CAPTURE : 0;
    isol8_result *result = NULL;
    isol8_run *run = NULL;

    if (!publish(x, NULL)) {
        set_cancelled(job);
        return;
    }
    job->status = isol8_run_start(x->engine->handle, &x->request, flags, &run, &job->err);
    if (job->status == 0) {
        if (!publish(x, run))
            isol8_run_cancel(run);
        (void)drive(x, run); /* isol8_run_finish() tells the failure again */
        (void)publish(x, NULL);
        job->status = isol8_run_finish(run, &result, &job->err);
        engine_note_id(x->engine);
    }
    take_result(x, result);
    isol8_result_free(result);
}

/* ---- On the JavaScript thread ------------------------------------------------------------------
 */

static void read_sources(struct reader *r, isol8_request *rq)
{
    size_t size = 0;

    rq->code = read_bytes(r, "code", &size);
    rq->code_size = size;
    rq->code_url = read_string(r, "codeUrl", NULL);
    rq->code_hash = read_string(r, "codeHash", NULL);
    rq->allow_insecure_code_url = read_bool(r, "allowInsecureCodeUrl", false);
    rq->cmd = read_string(r, "cmd", NULL);
    rq->runtime = read_string(r, "runtime", NULL);
    rq->file_extension = read_string(r, "fileExtension", NULL);
    rq->workdir = read_string(r, "workdir", NULL);
    rq->setup_script = read_string(r, "setupScript", NULL);
    rq->agent_flags = read_string(r, "agentFlags", NULL);
}

static bool read_request(struct reader *r, isol8_request *rq)
{
    isol8_request_init(rq);
    read_sources(r, rq);
    rq->timeout_ms = read_int(r, "timeoutMs", 0);
    rq->env = read_pairs(r, "env", &rq->n_env);
    rq->stdin_data = read_bytes(r, "stdin", &rq->stdin_size);
    rq->files = read_files(r, "files", &rq->n_files);
    rq->output_paths = read_strings(r, "outputPaths", &rq->n_output_paths);
    rq->install = read_strings(r, "installPackages", &rq->n_install);
    rq->metadata = read_pairs(r, "metadata", &rq->n_metadata);
    return !r->has_failed;
}

static void execution_release(struct job *job)
{
    struct execution *x = (struct execution *)job;

    lane_lock();
    if (x->prev != NULL)
        x->prev->next = x->next;
    else if (in_flight == x)
        in_flight = x->next;
    if (x->next != NULL)
        x->next->prev = x->prev;
    lane_unlock();
    if (x->stream != NULL)
        stream_end(x->stream, job->status, &job->err);
    keep_done(&x->keep);
    free(x->json);
    engine_unref(x->engine);
    free(x);
}

void execution_discard(struct execution *x)
{
    execution_release(&x->job);
}

struct execution *execution_new(napi_env env, napi_callback_info info)
{
    size_t argc = 2;
    napi_value argv[2];

    if (napi_get_cb_info(env, info, &argc, argv, NULL, NULL) != napi_ok)
        return NULL;
    struct engine *e = engine_of(env, argv[0]);
    if (e == NULL)
        return NULL;
    struct execution *x = calloc(1, sizeof(*x));
    if (x == NULL) {
        engine_unref(e);
        (void)napi_throw_error(env, "ISOL8_E_NOMEM", "out of memory");
        return NULL;
    }
    x->engine = e;
    x->job = (struct job){ .work = execution_work, .release = execution_release };
    struct reader r = { .env = env, .object = argv[1], .keep = &x->keep };
    if (!read_request(&r, &x->request)) {
        execution_discard(x);
        return NULL;
    }
    return x;
}

void execution_submit(struct execution *x)
{
    lane_lock();
    x->next = in_flight;
    if (in_flight != NULL)
        in_flight->prev = x;
    in_flight = x;
    lane_unlock();
    lane_submit(x->engine->runs, &x->job);
}

void execution_cancel_one(struct execution *x)
{
    x->is_cancelled = true;
    if (x->run != NULL) {
        isol8_run_cancel(x->run);
    } else if (lane_withdraw(x->engine->runs, &x->job)) {
        set_cancelled(&x->job);
        job_post(&x->job); /* may release the lock for a moment */
    }
}

void execution_cancel(struct js *js)
{
    lane_lock();
    for (struct execution *x = in_flight; x != NULL; x = x->next) {
        if (js != NULL && x->job.js != js)
            continue;
        /* The queued ones are left to the lane, which drops them: this list must hold still. */
        x->is_cancelled = true;
        if (x->run != NULL)
            isol8_run_cancel(x->run);
        if (x->stream != NULL)
            stream_let_go(x->stream);
    }
    lane_unlock();
}

static void execute_settle(napi_env env, struct job *job)
{
    struct execution *x = (struct execution *)job;

    if (job->status < 0)
        (void)napi_reject_deferred(env, job->deferred, value_error(env, &job->err));
    else
        (void)napi_resolve_deferred(env, job->deferred, value_text(env, x->json));
}

napi_value execution_execute(napi_env env, napi_callback_info info)
{
    struct execution *x = execution_new(env, info);

    if (x == NULL)
        return NULL;
    x->job.settle = execute_settle;
    napi_value promise = job_promise(env, &x->job);
    if (promise == NULL)
        execution_discard(x);
    else
        execution_submit(x);
    return promise;
}
