/* SPDX-License-Identifier: Apache-2.0 */
/**
 * run.c - drive one execution from a request to a result
 *
 * Theory of operation. A run is a state machine (run.h) over one epoll descriptor, which is what
 * isol8_run_fd() shows: pipes, init's socket, the runtime's pidfd, a timer, and eventfds: for
 * cancelling, for a place in the queue, and one that stays readable while events are queued.
 * isol8_run_next() takes what is ready, one descriptor at a time, until that makes an event. It
 * never blocks, except for the few milliseconds of making or removing a sandbox.
 *
 *   QUEUED -> FETCHING -> WAITING or LINED_UP -> CREATING -> STAGING -> INSTALLING -> SETUP
 *      |          |              |                  |           |           |          |
 *      |          |              |                  |           |           |       RUNNING
 *      |          |              |                  |           |           |          |
 *      |          |              |                  |           |           |     COLLECTING
 *      +----------+--------------+------------------+-----------+-----------+----------+-> CLOSING
 *                                                                                            |
 *   States that have nothing to do are passed over; a failure, cancel or the deadline        DONE
 *   leads to CLOSING from each of them.
 *
 * The deadline starts when the sandbox is there and covers all steps up to the program's end. It
 * covers the fetch, too: what that took is taken off it.
 *
 * A failure of isol8 itself is kept in r->error and reported once everything is gone.
 */
#include "executor/run.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/mem.h"
#include "base/proc.h"
#include "executor/audit.h"

enum {
    READ_BYTES = 65536,
    NOTHING_READY = 2,
    QUIET_MAX = 64, /* things taken in one call that made no event */
};

/* ---- Plumbing ----------------------------------------------------------------------------------
 */

int run_watch(struct isol8_run *r, int fd, enum run_source src, uint32_t events, isol8_error *err)
{
    struct epoll_event ev = { .events = events, .data.u32 = src };

    if (epoll_ctl(r->epoll_fd, EPOLL_CTL_ADD, fd, &ev) < 0)
        return err_sys(err, errno, "cannot watch a descriptor");
    return 0;
}

/* Unwatch first: a process that another thread is just starting holds a copy until its exec, and a
 * closed descriptor with a copy elsewhere would go on making events. */
int run_close_fd(struct isol8_run *r, int fd)
{
    if (fd >= 0)
        (void)epoll_ctl(r->epoll_fd, EPOLL_CTL_DEL, fd, NULL);
    return fd_close(fd);
}

int run_arm_timer(struct isol8_run *r, int64_t ms, isol8_error *err)
{
    struct itimerspec t = { .it_value = { ms / 1000, (ms % 1000) * 1000000 } };

    if (timerfd_settime(r->timer_fd, 0, &t, NULL) < 0)
        return err_sys(err, errno, "cannot set a timer");
    return 0;
}

void run_set_pending(struct isol8_run *r, bool on)
{
    uint64_t v = 1;

    if (on)
        (void)!write(r->pending_fd, &v, sizeof(v));
    else
        (void)!read(r->pending_fd, &v, sizeof(v));
}

void run_queue(struct isol8_run *r, enum isol8_event_type type, enum isol8_phase phase,
               const char *text, bool is_marker)
{
    if (r->queue_len == RUN_EVENTS_MAX)
        return; /* cannot happen: fewer kinds of queued events exist than there is room for */
    struct queued_event *q = &r->queue[(r->queue_head + r->queue_len++) % RUN_EVENTS_MAX];
    (void)snprintf(q->text, sizeof(q->text), "%s", text);
    q->ev = (isol8_event){ .type = type,
                           .phase = phase,
                           .data = q->text,
                           .size = strlen(q->text),
                           .is_marker = is_marker };
    if (r->queue_len == 1)
        run_set_pending(r, true);
}

/* The popped event's text stays valid: its slot is reused seven events later at the earliest. */
static bool pop_event(struct isol8_run *r, isol8_event *ev)
{
    if (r->queue_len == 0)
        return false;
    *ev = r->queue[r->queue_head].ev;
    r->queue_head = (r->queue_head + 1) % RUN_EVENTS_MAX;
    r->queue_len--;
    if (r->queue_len == 0 && r->state != RUN_DONE)
        run_set_pending(r, false);
    return true;
}

/* ---- What may become ready
 * ----------------------------------------------------------------------- */

/* Stuck in closing: the runtime dies, and a stream held open by something undead is given up. */
static void give_up(struct isol8_run *r)
{
    if (r->session == NULL && r->sandbox != NULL) {
        exec_sandbox_kill(r->sandbox);
        proc_kill(r->sandbox->runtime_pidfd);
    }
    if (r->command_runs && r->error.status == 0)
        (void)err_set(&r->error, ISOL8_E_TIMEOUT, "the execution could not be ended");
    r->command_runs = false;
    for (int i = 0; i < 2; i++)
        r->stream_fds[i] = run_close_fd(r, r->stream_fds[i]);
}

/* An execution that lasts: the pool is filled up meanwhile, and the rest of the time runs. */
static int refill_and_go_on(struct isol8_run *r)
{
    int64_t passed = (int64_t)((clock_now_ns() - r->taken_ns) / 1000000);
    int64_t left = r->plan.timeout_ms - passed;

    r->was_refilled = true;
    pool_refill(r->kind);
    int s = run_arm_timer(r, left < 1 ? 1 : left, &r->error);
    return s < 0 ? run_fail(r, s) : 0;
}

static int on_timer(struct isol8_run *r)
{
    uint64_t expirations;

    (void)!read(r->timer_fd, &expirations, sizeof(expirations));
    if (!r->was_refilled && r->state > RUN_CREATING && r->state < RUN_COLLECTING &&
        r->plan.timeout_ms > RUN_REFILL_MS)
        return refill_and_go_on(r);
    switch (r->state) {
    case RUN_WAITING:
    case RUN_CREATING:
        return run_fail(r, err_set(&r->error, ISOL8_E_TIMEOUT,
                                   "the sandbox did not start within %d s", RUN_CREATE_MS / 1000));
    case RUN_INSTALLING:
        return run_install_timed_out(r);
    case RUN_SETUP:
        return run_setup_timed_out(r);
    case RUN_FETCHING:
    case RUN_STAGING:
    case RUN_RUNNING:
        r->facts.timed_out = true;
        run_kill(r);
        return 0;
    case RUN_COLLECTING: /* what was fetched so far is kept */
        run_kill(r);
        return 0;
    case RUN_CLOSING:
        give_up(r);
        return 0;
    default:
        return 0;
    }
}

static int on_cancel(struct isol8_run *r)
{
    (void)epoll_ctl(r->epoll_fd, EPOLL_CTL_DEL, r->cancel_fd, NULL);
    if (r->state < RUN_COLLECTING)
        r->facts.cancelled = true;
    run_kill(r);
    return 0;
}

static int on_stdin_room(struct isol8_run *r)
{
    ssize_t n = 0;

    if (r->stdin_queue.len > 0)
        n = fd_write_nosigpipe(r->stdin_fd, r->stdin_queue.data, r->stdin_queue.len);
    if (n == -EAGAIN || n == -EINTR)
        return 0;
    if (n < 0) { /* the program closed its stdin: nobody is left to read */
        r->stdin_fd = run_close_fd(r, r->stdin_fd);
        buf_clear(&r->stdin_queue);
        return 0;
    }
    buf_consume(&r->stdin_queue, (size_t)n);
    if (r->stdin_queue.len == 0) {
        struct epoll_event ev = { .events = 0, .data.u32 = RUN_SRC_STDIN };
        if (r->stdin_close)
            r->stdin_fd = run_close_fd(r, r->stdin_fd);
        else
            (void)epoll_ctl(r->epoll_fd, EPOLL_CTL_MOD, r->stdin_fd, &ev);
    }
    return 0;
}

/* Return: 1 when @ev was filled in. */
static int on_stream(struct isol8_run *r, int i, isol8_event *ev)
{
    char chunk[READ_BYTES];

    if (r->state == RUN_INSTALLING || r->install_failed)
        return run_on_install_output(r, i);
    ssize_t n = read(r->stream_fds[i], chunk, sizeof(chunk));
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return 0;
    if (n <= 0)
        r->stream_fds[i] = run_close_fd(r, r->stream_fds[i]);
    return run_take_output(r, i, chunk, n > 0 ? (size_t)n : 0, n <= 0, ev);
}

static int dispatch(struct isol8_run *r, enum run_source src, isol8_event *ev)
{
    switch (src) {
    case RUN_SRC_TURN:
        return run_on_turn(r);
    case RUN_SRC_SOCKET:
        return r->state == RUN_CREATING ? run_on_hello(r) : run_on_answer(r);
    case RUN_SRC_RUNTIME:
        return run_on_runtime_end(r);
    case RUN_SRC_STDOUT:
        return on_stream(r, 0, ev);
    case RUN_SRC_STDERR:
        return on_stream(r, 1, ev);
    case RUN_SRC_STDIN:
        return on_stdin_room(r);
    case RUN_SRC_GET:
        return run_on_get_data(r);
    case RUN_SRC_TIMER:
        return on_timer(r);
    case RUN_SRC_CANCEL:
        return on_cancel(r);
    case RUN_SRC_PENDING: /* nothing is queued: it is about the beginning of the end */
        run_set_pending(r, false);
        break;
    }
    return 0;
}

/* Take one thing that is ready. Return: 1 when it made an event, 0 when not, NOTHING_READY, or a
 * negative status. */
static int advance(struct isol8_run *r, isol8_event *ev, isol8_error *err)
{
    struct epoll_event ready;
    int made;

    if (r->is_draining) {
        made = run_drain(r, ev);
    } else {
        int n = epoll_wait(r->epoll_fd, &ready, 1, 0);
        if (n <= 0)
            return n < 0 && errno != EINTR ? err_sys(err, errno, "cannot wait for events")
                                           : NOTHING_READY;
        made = dispatch(r, (enum run_source)ready.data.u32, ev);
    }
    run_finish_if_over(r);
    return made;
}

int isol8_run_next(isol8_run *r, isol8_event *ev, isol8_error *err)
{
    for (int quiet = 0; !pop_event(r, ev); quiet++) {
        /* A flood beyond the output limit makes no events, and must not keep the caller. What is
         * left keeps the descriptor readable; except for drained pipes, which hold only so much. */
        if (quiet >= QUIET_MAX && !r->is_draining && r->state != RUN_DONE)
            return 0;
        if (r->state == RUN_DONE) {
            if (r->error.status == 0 || r->error_was_reported)
                return 0;
            r->error_was_reported = true;
            mask_error(r->engine->secrets, &r->error);
            if (err != NULL)
                *err = r->error;
            return r->error.status;
        }
        int made = advance(r, ev, err);
        if (made != 0)
            return made == NOTHING_READY ? 0 : made;
    }
    return 1;
}

/* ---- Start and finish
 * ---------------------------------------------------------------------------- */

void run_free(struct isol8_run *r)
{
    if (r == NULL)
        return;
    if (r->session != NULL) {
        (void)fd_close(r->socket_fd);
        session_release(r->session);
    } else {
        exec_sandbox_free(r->sandbox);
    }
    run_leave(r);
    pool_release(r->kind);
    flights_leave(r->engine->host->flights, &r->fetch);
    cgroup_exec_done(&r->cgroup);
    for (int i = 0; i < 2; i++) {
        output_done(&r->streams[i]);
        output_done(&r->setup_streams[i]);
        (void)fd_close(r->stream_fds[i]);
    }
    buf_done(&r->stdin_queue);
    buf_done(&r->step_text);
    proxy_rules_free(r->install_rules);
    buf_done(&r->get_data);
    (void)fd_close(r->stdin_fd);
    (void)fd_close(r->get_fd);
    (void)fd_close(r->epoll_fd);
    (void)fd_close(r->timer_fd);
    (void)fd_close(r->cancel_fd);
    (void)fd_close(r->pending_fd);
    (void)fd_close(r->turn.fd);
    exec_plan_done(&r->plan);
    isol8_result_free(r->result);
    free(r);
}

static int open_descriptors(struct isol8_run *r, isol8_error *err)
{
    r->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    r->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    r->cancel_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    r->pending_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    r->turn.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (r->epoll_fd < 0 || r->timer_fd < 0 || r->cancel_fd < 0 || r->pending_fd < 0 ||
        r->turn.fd < 0)
        return err_sys(err, errno, "cannot create descriptors for a run");

    int s = run_watch(r, r->timer_fd, RUN_SRC_TIMER, EPOLLIN, err);
    if (s == 0)
        s = run_watch(r, r->cancel_fd, RUN_SRC_CANCEL, EPOLLIN, err);
    if (s == 0)
        s = run_watch(r, r->pending_fd, RUN_SRC_PENDING, EPOLLIN, err);
    return s == 0 ? run_watch(r, r->turn.fd, RUN_SRC_TURN, EPOLLIN, err) : s;
}

/* Before anything can fail: what run_free() looks at. */
static struct isol8_run *run_alloc(isol8_engine *e, const isol8_request *rq, unsigned flags)
{
    struct isol8_run *r = calloc(1, sizeof(*r));
    bool captures = (flags & ISOL8_RUN_CAPTURE) != 0;

    if (r == NULL)
        return NULL;
    r->engine = e;
    r->rq = rq;
    r->is_buffered = captures;
    r->is_spared = e->persist;
    r->started_wall_ms = clock_wall_ms();
    r->epoll_fd = r->timer_fd = r->cancel_fd = r->pending_fd = r->stdin_fd = r->get_fd = -1;
    r->stream_fds[0] = r->stream_fds[1] = r->socket_fd = r->turn.fd = -1;
    r->cgroup = (struct cgroup_exec)CGROUP_EXEC_NONE;
    buf_init(&r->stdin_queue, RUN_STDIN_MAX);
    buf_init(&r->step_text, RUN_STEP_TEXT_MAX);
    for (int i = 0; i < 2; i++) {
        output_init(&r->streams[i], e->secrets, e->max_output,
                    captures || audit_wants_output(e->audit));
        output_init(&r->setup_streams[i], e->secrets, e->max_output, false);
    }
    return r;
}

static int run_new(struct isol8_run **out, isol8_engine *e, const isol8_request *rq, unsigned flags,
                   isol8_error *err)
{
    struct isol8_run *r = run_alloc(e, rq, flags);

    if (r == NULL)
        return err_nomem(err);
    int s = exec_plan_make(&r->plan, e, rq, err);
    if (s == 0)
        s = open_descriptors(r, err);
    if (s == 0 && (r->result = calloc(1, sizeof(*r->result))) == NULL)
        s = err_nomem(err);
    if (s == 0)
        s = rand_uuid(r->result->execution_id, err);
    if (s < 0) {
        run_free(r);
        return s;
    }
    r->result->runtime = r->plan.runtime->name;
    r->result->asked_for_files = rq->n_output_paths > 0;
    *out = r;
    return 0;
}

/* A run that could not begin leaves a record, too. */
static int not_begun(struct isol8_run *r, int status, isol8_error *err)
{
    r->error = err != NULL ? *err : (isol8_error){ .status = status };
    r->facts.died_unexplained = true;
    exec_result_judge(r->result, &r->facts);
    clock_iso(clock_wall_ms(), r->result->timestamp);
    run_audit(r);
    mask_error(r->engine->secrets, err);
    run_free(r);
    return status;
}

int isol8_run_start(isol8_engine *e, const isol8_request *rq, unsigned flags, isol8_run **out,
                    isol8_error *err)
{
    struct isol8_run *r = NULL;

    if (!exec_engine_is_ours(e, err))
        return ISOL8_E_STATE;
    int s = run_new(&r, e, rq, flags, err);
    if (s < 0 || r == NULL) {
        mask_error(e->secrets, err);
        return s;
    }
    r->has_turn = true;
    r->state = RUN_QUEUED;
    if (turns_take(&e->turns, &r->turn))
        s = run_begin(r, err);
    if (s < 0)
        return not_begun(r, s, err);
    *out = r;
    return 0;
}

int isol8_run_fd(const isol8_run *r)
{
    return r->epoll_fd;
}

bool isol8_run_fetching(const isol8_run *r, uint64_t *done, uint64_t *total)
{
    return r->state == RUN_FETCHING &&
           flights_progress(r->engine->host->flights, &r->fetch, done, total);
}

bool isol8_run_done(const isol8_run *r)
{
    return r->state == RUN_DONE && r->queue_len == 0;
}

int isol8_run_stdin(isol8_run *r, const void *data, size_t n, isol8_error *err)
{
    struct epoll_event ev = { .events = EPOLLOUT, .data.u32 = RUN_SRC_STDIN };

    if (!r->rq->stdin_open || r->stdin_close)
        return err_set(err, ISOL8_E_STATE, "stdin is not open");
    if (n == 0)
        r->stdin_close = true;
    else if (r->state >= RUN_RUNNING && r->stdin_fd < 0)
        return err_set(err, ISOL8_E_STATE, "the program closed its stdin");
    else if (!buf_add(&r->stdin_queue, data, n)) {
        r->stdin_queue.failed = false;
        return err_set(err, ISOL8_E_LIMIT, "stdin: more than %d bytes are waiting", RUN_STDIN_MAX);
    }
    if (r->stdin_fd >= 0 && epoll_ctl(r->epoll_fd, EPOLL_CTL_MOD, r->stdin_fd, &ev) < 0)
        return err_sys(err, errno, "cannot watch stdin");
    return 0;
}

int isol8_run_signal(isol8_run *r, int sig, isol8_error *err)
{
    if (sig < 1 || sig > 64)
        return err_set(err, ISOL8_E_INVAL, "signal: %d is not between 1 and 64", sig);
    if (r->state > RUN_RUNNING)
        return 0;
    if (r->state < RUN_RUNNING)
        return err_set(err, ISOL8_E_STATE, "no program is running yet");
    int s = initlink_signal(r->socket_fd, RUN_MAIN_ID, sig, err);
    return s == INITLINK_FULL ? err_set(err, ISOL8_E_BUSY, "the sandbox does not answer") : s;
}

void isol8_run_cancel(isol8_run *r)
{
    uint64_t one = 1;
    int saved = errno;

    (void)!write(r->cancel_fd, &one, sizeof(one));
    errno = saved;
}

/* Drive the run to its end, handing every event to @fn. */
static int drive(isol8_run *r, isol8_event_fn fn, void *user, isol8_error *err)
{
    struct pollfd p = { .fd = r->epoll_fd, .events = POLLIN };
    isol8_event ev;
    int failure = 0;

    while (!isol8_run_done(r)) {
        int s = isol8_run_next(r, &ev, err);
        if (s < 0)
            failure = s;
        if (s == 1 && fn != NULL && fn(&ev, user) != 0) {
            isol8_run_cancel(r);
            fn = NULL;
        }
        if (s == 0 && !isol8_run_done(r) && poll(&p, 1, -1) < 0 && errno != EINTR)
            return err_sys(err, errno, "cannot wait for a run");
    }
    return failure;
}

int isol8_run_finish(isol8_run *r, isol8_result **out, isol8_error *err)
{
    int s = drive(r, NULL, NULL, err);

    if (r->error.status != 0) {
        mask_error(r->engine->secrets, &r->error);
        if (err != NULL)
            *err = r->error;
        s = r->error.status;
    }
    if (s == 0 && out != NULL)
        *out = take_ptr(&r->result);
    run_free(r);
    return s;
}

int isol8_execute(isol8_engine *e, const isol8_request *rq, isol8_result **out, isol8_error *err)
{
    isol8_run *r = NULL;
    int s = isol8_run_start(e, rq, ISOL8_RUN_CAPTURE, &r, err);

    return s < 0 ? s : isol8_run_finish(r, out, err);
}

int isol8_execute_stream(isol8_engine *e, const isol8_request *rq, isol8_event_fn fn, void *user,
                         isol8_result **out, isol8_error *err)
{
    isol8_run *r = NULL;
    int s = isol8_run_start(e, rq, 0, &r, err);

    if (s < 0)
        return s;
    (void)drive(r, fn, user, NULL); /* its failure comes again */
    return isol8_run_finish(r, out, err);
}
