/* SPDX-License-Identifier: Apache-2.0 */
/**
 * run_begin.c - from the request to a sandbox
 *
 * A place among the engine's executions, the code if it is to be fetched, then a sandbox: the
 * session's, one of the pool's, one that the pool is just making, or one of its own. Whichever way,
 * it ends in enter(): limits and rules are put into effect and the deadline starts to run.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/mem.h"
#include "executor/failpoint.h"
#include "executor/run.h"

static void note_facts(struct isol8_run *r)
{
    const struct sandbox *sb = r->sandbox;

    r->facts.timeout_ms = r->plan.timeout_ms;
    r->facts.memory_text = r->engine->memory_text;
    r->facts.pids_limit = r->plan.limits.pids;
    r->facts.max_output = r->engine->max_output;
    r->facts.sandbox_bytes = r->plan.sandbox.sandbox_bytes;
    r->facts.tmp_bytes = r->plan.sandbox.tmp_bytes;
    (void)snprintf(r->result->container_id, sizeof(r->result->container_id), "%s", sb->id);
    r->result->has_userns = sb->userns_fd >= 0;
}

/* The deadline, less what fetching the code took of it. A sandbox of the pool leaves a gap there;
 * an execution that lasts lets it be filled before its own end. */
static int arm_deadline(struct isol8_run *r)
{
    int64_t ms = r->plan.timeout_ms - (int64_t)(r->fetch_ns / 1000000);

    if (ms < 1)
        ms = 1;
    r->taken_ns = clock_now_ns() - r->fetch_ns;
    if (r->kind == NULL)
        r->was_refilled = true;
    else if (ms > RUN_REFILL_MS)
        ms = RUN_REFILL_MS;
    return run_arm_timer(r, ms, &r->error);
}

static int enter(struct isol8_run *r)
{
    note_facts(r);
    int s = arm_deadline(r);
    return s < 0 ? run_fail(r, s) : run_next_step(r);
}

/* A READY sandbox of its own. */
static int take(struct isol8_run *r)
{
    struct sandbox *sb = r->sandbox;

    r->socket_fd = sb->socket_fd;
    if (r->kind != NULL && r->engine->is_filtered)
        proxy_set_rules(sb->link.client, r->engine->rules);
    int s = exec_sandbox_take(sb, &r->plan.limits, &r->error);
    return s < 0 ? run_fail(r, s) : enter(r);
}

void run_leave_makers(struct isol8_run *r)
{
    if (r->has_maker)
        turns_leave(&r->engine->host->makers, &r->maker);
    r->has_maker = false;
}

int run_on_hello(struct isol8_run *r)
{
    run_leave_makers(r);
    int s = exec_sandbox_hello(r->sandbox, &r->error);

    return s < 0 ? run_fail(r, s) : take(r);
}

/* The runtime ended: expected in CLOSING, else init's socket says more in a moment, except when
 * init never came up. */
int run_on_runtime_end(struct isol8_run *r)
{
    (void)epoll_ctl(r->epoll_fd, EPOLL_CTL_DEL, r->sandbox->runtime_pidfd, NULL);
    if (r->state == RUN_CREATING)
        return run_fail(r, exec_sandbox_start_error(r->sandbox, &r->error));
    return 0;
}

/* ---- Where the sandbox comes from ----------------------------------------------------------- */

/* A sandbox of its own, with the base image built first if that is what is missing. */
static int create(struct isol8_run *r, isol8_error *err)
{
    int s = exec_sandbox_create(&r->sandbox, r->engine->host, &r->plan.sandbox, err);

    if (s == ISOL8_E_IMAGE && exec_ensure_image(r->engine, r->plan.runtime, err) == 0)
        s = exec_sandbox_create(&r->sandbox, r->engine->host, &r->plan.sandbox, err);
    if (s < 0)
        return s;
    r->state = RUN_CREATING;
    r->socket_fd = r->sandbox->socket_fd;
    s = run_arm_timer(r, failpoint_ms(RUN_CREATE_MS), err);
    if (s == 0)
        s = run_watch(r, r->socket_fd, RUN_SRC_SOCKET, EPOLLIN, err);
    if (s == 0)
        s = run_watch(r, r->sandbox->runtime_pidfd, RUN_SRC_RUNTIME, EPOLLIN, err);
    return s;
}

/* The same, when it is this run's turn. */
static int line_up(struct isol8_run *r, isol8_error *err)
{
    r->maker.fd = r->turn.fd;
    r->has_maker = true;
    if (turns_take(&r->engine->host->makers, &r->maker))
        return create(r, err);
    r->state = RUN_LINED_UP;
    return 0;
}

/* A sandbox from the pool: init is waiting in it. */
static int take_prepared(struct isol8_run *r, struct sandbox *sb, isol8_error *err)
{
    r->sandbox = sb;
    r->state = RUN_STAGING;
    int s = run_watch(r, sb->socket_fd, RUN_SRC_SOCKET, EPOLLIN, err);
    return s < 0 ? s : take(r);
}

static int acquire(struct isol8_run *r, isol8_error *err)
{
    struct sandbox *sb = NULL;

    r->kind = exec_engine_kind(r->engine, &r->plan.sandbox);
    if (r->kind == NULL)
        return line_up(r, err);
    r->ticket.fd = r->turn.fd;
    switch (pool_acquire(r->kind, &r->ticket, &sb)) {
    case POOL_HAVE:
        return take_prepared(r, sb, err);
    case POOL_WAIT:
        r->state = RUN_WAITING;
        return run_arm_timer(r, failpoint_ms(RUN_CREATE_MS), err);
    case POOL_MISS:
        break;
    }
    return line_up(r, err);
}

static int join_session(struct isol8_run *r, isol8_error *err)
{
    int s = session_enter(r->session, &r->plan, err);

    if (s == ISOL8_E_IMAGE && exec_ensure_image(r->engine, r->plan.runtime, err) == 0)
        s = session_enter(r->session, &r->plan, err);
    if (s < 0)
        return s;
    r->is_spared = true;
    r->sandbox = r->session->sandbox;
    r->socket_fd = session_channel(r->session, err);
    if (r->socket_fd < 0)
        return r->socket_fd;
    r->state = RUN_STAGING;
    s = run_watch(r, r->socket_fd, RUN_SRC_SOCKET, EPOLLIN, err);
    return s < 0 ? s : enter(r);
}

/* What the session settles for its executions: names of their own, and the image. */
static int plan_in_session(struct isol8_run *r, isol8_error *err)
{
    auto_free char *image = NULL;
    int s = session_hold(r->engine, &r->session, err);

    if (s == 0)
        s = session_image(r->session, &image, err);
    if (s == 0)
        s = exec_plan_image(&r->plan, r->engine, r->rq, image, err);
    return s < 0 ? s : exec_plan_paths(&r->plan, r->rq, session_stamp_ms(r->session), err);
}

int run_begin(struct isol8_run *r, isol8_error *err)
{
    int s;

    if (r->plan.url.text != NULL && r->plan.code == NULL)
        return run_start_fetch(r, err);
    if (r->engine->is_persistent) {
        s = plan_in_session(r, err);
        return s < 0 ? s : join_session(r, err);
    }
    s = exec_plan_image(&r->plan, r->engine, r->rq, NULL, err);
    if (s == 0)
        s = exec_plan_paths(&r->plan, r->rq, 0, err);
    return s < 0 ? s : acquire(r, err);
}

/* ---- Waiting -------------------------------------------------------------------------------- */

/* The descriptor says that a place was given, that the code was fetched or cannot be, or that the
 * pool's sandbox is made, or is not. */
int run_on_turn(struct isol8_run *r)
{
    uint64_t count;
    isol8_error err = { 0 };
    int s = 0;

    (void)!read(r->turn.fd, &count, sizeof(count));
    if (r->state == RUN_QUEUED && turns_has_place(&r->engine->turns, &r->turn)) {
        s = run_begin(r, &err);
    } else if (r->state == RUN_FETCHING) {
        s = run_on_fetched(r, &err);
    } else if (r->state == RUN_WAITING) {
        struct sandbox *sb = pool_redeem(r->kind, &r->ticket);
        s = sb != NULL ? take_prepared(r, sb, &err) : line_up(r, &err);
    } else if (r->state == RUN_LINED_UP && turns_has_place(&r->engine->host->makers, &r->maker)) {
        s = create(r, &err);
    }
    if (s >= 0)
        return 0;
    if (r->error.status == 0)
        r->error = err;
    return run_fail(r, s);
}
