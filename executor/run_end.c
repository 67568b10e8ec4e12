/* SPDX-License-Identifier: Apache-2.0 */
/**
 * run_end.c - the end of an execution: kill, drain, remove, hand over, sum up
 *
 * Theory of operation. A sandbox of its own is closed, or killed by pid 1's pidfd; then nobody is
 * left to write, and the streams are read to their end. Afterwards it goes to the pool's background
 * removal if there is room (option pool_dirty), else the run waits for the runtime and removes it.
 *
 * A sandbox that is spared (a session's, or one to be kept) goes on, and what the command left in
 * the background may hold the streams open for ever. So only what is in the pipes when the command
 * has ended is taken: drained; then the keeper reads on for whoever still writes. Killing means
 * killing the command's own cgroup there, and waiting for init to say that it has ended.
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
#include "executor/audit.h"
#include "executor/failpoint.h"
#include "executor/keeper.h"
#include "executor/run.h"
#include "oci/seccomp/seccomp.h"

/* ---- Closing and killing -------------------------------------------------------------------- */

static void unwatch_socket(struct isol8_run *r)
{
    if (r->socket_fd >= 0)
        (void)epoll_ctl(r->epoll_fd, EPOLL_CTL_DEL, r->socket_fd, NULL);
}

static void enter_closing(struct isol8_run *r)
{
    r->state = RUN_CLOSING;
    r->is_draining = false;
    r->get_fd = run_close_fd(r, r->get_fd);
    r->stdin_fd = run_close_fd(r, r->stdin_fd);
    run_set_pending(r, true); /* there may be nothing left that would make an event */
    (void)run_arm_timer(r, failpoint_ms(RUN_CLOSE_MS),
                        NULL); /* without it a stuck runtime would be waited for */
}

static bool is_to_be_kept(const struct isol8_run *r)
{
    return r->engine->persist && r->session == NULL && r->error.status == 0 && r->has_exited;
}

/* The ordinary end. */
void run_begin_close(struct isol8_run *r)
{
    if (r->state >= RUN_CLOSING)
        return;
    if (r->ended_ns == 0)
        r->ended_ns = clock_now_ns();
    if (!r->is_spared) {
        unwatch_socket(r);
        exec_sandbox_close(r->sandbox);
        r->socket_fd = -1;
        r->command_runs = false;
    }
    enter_closing(r);
}

static void kill_sandbox(struct isol8_run *r)
{
    unwatch_socket(r);
    exec_sandbox_kill(r->sandbox);
    r->socket_fd = -1;
    r->command_runs = false;
    r->is_spared = r->session != NULL;
}

/* Only the command that runs; what it left behind in other sessions' cgroups is none of it. */
static void kill_command(struct isol8_run *r)
{
    if (!r->command_runs)
        return;
    if (r->session != NULL && !session_lock(r->session)) {
        r->command_runs = false; /* the whole session was ended */
        return;
    }
    if (cgroup_exec_kill(&r->sandbox->cgroup, &r->cgroup, NULL) < 0)
        log_warn(&r->engine->host->log, "run: cannot kill an execution id=%.12s", r->sandbox->id);
    if (r->session != NULL)
        session_unlock(r->session);
}

/* Whoever waits for a place, for code or for the pool has nothing to kill. */
static void leave_queues(struct isol8_run *r)
{
    if (r->state == RUN_FETCHING)
        flights_leave(r->engine->host->flights, &r->fetch);
    struct sandbox *sb = r->state == RUN_WAITING ? pool_redeem(r->kind, &r->ticket) : NULL;

    if (sb != NULL)
        (void)pool_retire(r->engine->host->pool, sb, UINT32_MAX);
}

void run_kill(struct isol8_run *r)
{
    if (r->state >= RUN_CLOSING)
        return;
    if (r->ended_ns == 0)
        r->ended_ns = clock_now_ns();
    run_read_counters(r);
    run_leave_makers(r);
    if (r->sandbox == NULL)
        leave_queues(r);
    else if (r->is_spared && r->state > RUN_CREATING)
        kill_command(r);
    else
        kill_sandbox(r);
    enter_closing(r);
}

/* The first failure counts; @status is its own for convenience in "return run_fail(...)". */
int run_fail(struct isol8_run *r, int status)
{
    if (r->error.status == 0)
        r->error.status = status;
    if (r->session == NULL)
        r->is_spared = false; /* what failed is not worth keeping */
    run_kill(r);
    return 0;
}

/* ---- Streams -------------------------------------------------------------------------------- */

static const enum isol8_event_type stream_types[] = { ISOL8_EVENT_STDOUT, ISOL8_EVENT_STDERR };

/* What came on a stream, masked and within its limit, as an event. Return: 1 when @ev was filled
 * in. */
int run_take_output(struct isol8_run *r, int i, const char *data, size_t n, bool is_end,
                    isol8_event *ev)
{
    bool is_setup = r->state == RUN_SETUP;
    struct output *o = is_setup ? &r->setup_streams[i] : &r->streams[i];

    if (is_setup && i == 1)
        run_keep_text(&r->step_text, data, n);
    if (!output_feed(o, data, n, is_end))
        return run_fail(r, err_nomem(&r->error));
    if (o->chunk.len == 0)
        return 0;
    *ev = (isol8_event){ .type = stream_types[i],
                         .phase = is_setup ? ISOL8_PHASE_SETUP : ISOL8_PHASE_CODE,
                         .data = o->chunk.data,
                         .size = o->chunk.len };
    return 1;
}

/* The pipe is empty, and may still be held by a program in the background. */
static int let_go(struct isol8_run *r, int i, bool at_end, isol8_event *ev)
{
    int fd = take_fd(&r->stream_fds[i]);

    (void)epoll_ctl(r->epoll_fd, EPOLL_CTL_DEL, fd, NULL);
    if (at_end)
        (void)fd_close(fd);
    else
        keeper_drain(r->engine->host->keeper, fd);
    return run_take_output(r, i, "", 0, true, ev);
}

void run_begin_draining(struct isol8_run *r)
{
    r->is_draining = true;
    r->drain_left[0] = r->drain_left[1] = RUN_DRAIN_MAX;
}

/* One more piece of what the ended command left in the pipes. Return: 1 when @ev was filled in. */
int run_drain(struct isol8_run *r, isol8_event *ev)
{
    char chunk[65536];

    for (int i = 0; i < 2; i++) {
        while (r->stream_fds[i] >= 0) {
            size_t want = sizeof(chunk) < r->drain_left[i] ? sizeof(chunk) : r->drain_left[i];
            ssize_t n = want == 0 ? -1 : read(r->stream_fds[i], chunk, want);
            int made = n > 0 ? run_take_output(r, i, chunk, (size_t)n, false, ev)
                             : let_go(r, i, n == 0, ev);
            r->drain_left[i] -= n > 0 ? (size_t)n : 0;
            if (made == 1)
                return 1;
        }
    }
    r->is_draining = false;
    return r->state == RUN_SETUP ? run_setup_drained(r) : 0;
}

static void queue_stream_end(struct isol8_run *r, int i)
{
    struct output *o = &r->streams[i];

    if (output_marker(o) && o->chunk.len > 0)
        run_queue(r, stream_types[i], ISOL8_PHASE_CODE, o->chunk.data, true);
}

/* The original's callers look for it at the end of the captured stderr, on a line of its own. */
static void mark_timeout(struct isol8_run *r)
{
    struct buf *text = &r->streams[1].captured;

    if (!r->facts.timed_out || r->facts.setup_failed || !r->streams[1].capture)
        return;
    if (text->len > 0 && text->data[text->len - 1] != '\n')
        (void)buf_adds(text, "\n");
    (void)buf_adds(text, "--- EXECUTION TIMED OUT ---");
}

static void queue_end_events(struct isol8_run *r)
{
    char code[16];

    queue_stream_end(r, 0);
    queue_stream_end(r, 1);
    mark_timeout(r);
    r->facts.truncated = r->streams[0].is_truncated || r->streams[1].is_truncated;
    exec_result_judge(r->result, &r->facts);
    if (r->error.status == 0 && !r->facts.setup_failed) {
        if (r->facts.timed_out)
            run_queue(r, ISOL8_EVENT_ERROR, ISOL8_PHASE_CODE, "EXECUTION TIMED OUT", false);
        (void)snprintf(code, sizeof(code), "%d", r->result->exit_code);
        run_queue(r, ISOL8_EVENT_EXIT, ISOL8_PHASE_CODE, code, false);
    }
    r->streams_ended = true;
}

/* ---- Summing up ----------------------------------------------------------------------------- */

static void take_network(struct isol8_run *r)
{
    struct proxy_counters counters = { 0 };
    auto_netlog struct netlog *log = NULL;
    struct sandbox *sb = r->sandbox;

    if (sb == NULL || !r->engine->is_filtered)
        return;
    if (r->session == NULL) {
        exec_link_close(&sb->link);
        log = take_ptr(&sb->link.log);
        counters = sb->link.counters;
    } else if (session_lock(r->session)) {
        exec_link_take_log(&sb->link, &log, &counters);
        session_unlock(r->session);
    }
    r->result->network_bytes_in = counters.bytes_in;
    r->result->network_bytes_out = counters.bytes_out;
    if (exec_result_take_log(r->result, log, r->engine->log_network) < 0 && r->error.status == 0)
        (void)err_nomem(&r->error);
}

static void fill_result(struct isol8_run *r)
{
    struct isol8_result *res = r->result;
    uint64_t ns = r->started_ns == 0 ? 0 : r->ended_ns - r->started_ns;

    res->usage.wall_us = ns / 1000;
    res->duration_ms = (int64_t)(ns / 1000000);
    res->is_truncated = r->facts.truncated;
    clock_iso(clock_wall_ms(), res->timestamp);
    res->out_size = r->streams[0].captured.len;
    res->err_size = r->streams[1].captured.len;
    res->out = buf_take(&r->streams[0].captured);
    res->err = buf_take(&r->streams[1].captured);
}

void run_audit(struct isol8_run *r)
{
    isol8_error error = r->error;

    if (r->engine->audit == NULL)
        return;
    if (r->facts.setup_failed && error.status == 0) /* told by events: no failure of the run */
        (void)err_set(&error, ISOL8_E_INVAL, "Setup script failed (exit code %d)",
                      r->result->exit_code);
    mask_error(r->engine->secrets, &error);
    struct audit_entry entry = {
        .request = r->rq,
        .code = r->plan.code,
        .code_size = r->plan.code_size,
        .result = r->result,
        .error = error.status != 0 ? &error : NULL,
        .started_wall_ms = r->started_wall_ms,
        .has_network_logs = r->engine->log_network,
        .secrets = r->engine->secrets,
    };
    audit_write(r->engine->audit, &entry);
}

/* ---- The sandbox's way -------------------------------------------------------------------- */

static void leave_session(struct isol8_run *r)
{
    run_close_packages(r);
    for (unsigned i = 0; i < r->n_numbers; i++)
        session_exec_over(r->session, r->numbers[i]);
    unwatch_socket(r);
    r->socket_fd = fd_close(r->socket_fd);
    r->sandbox = NULL;
    session_release(r->session);
    r->session = NULL;
}

/* Return: false while the runtime is still cleaning up. */
static bool remove_sandbox(struct isol8_run *r)
{
    struct isol8_host *h = r->engine->host;
    struct pollfd end = { .fd = r->sandbox->runtime_pidfd, .events = POLLIN };
    isol8_error err = { 0 };

    if (!r->is_removing && pool_retire(h->pool, r->sandbox, r->engine->pool_dirty)) {
        r->sandbox = NULL;
        return true;
    }
    if (end.fd >= 0 && poll(&end, 1, 0) == 0) {
        if (!r->is_removing) /* it may be watched since it was made */
            (void)run_watch(r, end.fd, RUN_SRC_RUNTIME, EPOLLIN, NULL);
        r->is_removing = true;
        return false;
    }
    if (exec_sandbox_remove(r->sandbox, &err) < 0 && r->error.status == 0)
        r->error = err;
    return true;
}

static void keep_sandbox(struct isol8_run *r)
{
    unwatch_socket(r);
    r->socket_fd = -1;
    bool is_strict = r->engine->seccomp == oci_seccomp_strict();
    if (exec_sandbox_keep(r->sandbox, is_strict, &r->error) < 0) {
        r->is_spared = false;
        exec_sandbox_kill(r->sandbox);
        (void)exec_sandbox_remove(r->sandbox, NULL);
    }
}

void run_leave(struct isol8_run *r)
{
    run_leave_makers(r);
    if (r->has_turn)
        turns_leave(&r->engine->turns, &r->turn);
    r->has_turn = false;
}

/* Whether there is still something to wait for before the sandbox can be let go. */
static bool is_over(struct isol8_run *r)
{
    if (r->is_spared && !r->command_runs && !r->is_draining &&
        (r->stream_fds[0] >= 0 || r->stream_fds[1] >= 0)) {
        run_begin_draining(r);
    }
    return r->stream_fds[0] < 0 && r->stream_fds[1] < 0 && !r->command_runs;
}

/* Once the streams and the runtime have ended, or the sandbox is somebody else's. */
void run_finish_if_over(struct isol8_run *r)
{
    if (r->state != RUN_CLOSING || !is_over(r))
        return;
    if (!r->streams_ended) {
        queue_end_events(r);
        take_network(r);
    }
    if (r->session != NULL)
        leave_session(r);
    else if (r->sandbox != NULL && is_to_be_kept(r) && r->is_spared)
        keep_sandbox(r);
    else if (r->sandbox != NULL && !remove_sandbox(r))
        return;
    if (r->kind != NULL)
        pool_refill(r->kind);
    fill_result(r);
    run_leave(r);
    run_audit(r);
    r->state = RUN_DONE;
    run_set_pending(r, true);
}
