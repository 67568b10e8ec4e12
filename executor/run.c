/* SPDX-License-Identifier: Apache-2.0 */
/**
 * run.c - drive one execution from a request to a result
 *
 * Theory of operation. A run is a state machine (run.h) over one epoll descriptor, which is what
 * isol8_run_fd() shows: pipes, init's socket, the runtime's pidfd, a timer, and two eventfds, one
 * for cancelling and one that stays readable while events are queued. isol8_run_next() takes what
 * is ready, one descriptor at a time, until that makes an event. It never blocks, except for the
 * few milliseconds of removing a sandbox whose processes are gone.
 *
 *   CREATING --hello--> STAGING --files in place--> RUNNING --exited--> [COLLECTING] --> CLOSING
 *       |                  |                           |                     |              |
 *       +---- failure, cancel, deadline: everything is killed, -------------+-----------> DONE
 *
 * The deadline starts when the sandbox is up and covers staging and the program. At the deadline,
 * as on cancel, pid 1 is killed by its pidfd and the kernel ends the rest of the pid namespace; the
 * counters are read first, because the cgroup goes with the container. In CLOSING the streams are
 * read to their end: no writer is left, so that takes no longer than what the pipes hold.
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

#include "base/fd.h"
#include "base/mem.h"

enum { READ_BYTES = 65536 };

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

static void set_pending(struct isol8_run *r, bool on)
{
    uint64_t v = 1;

    if (on)
        (void)!write(r->pending_fd, &v, sizeof(v));
    else
        (void)!read(r->pending_fd, &v, sizeof(v));
}

void run_queue(struct isol8_run *r, enum isol8_event_type type, const char *text, bool is_marker)
{
    if (r->queue_len == RUN_EVENTS_MAX)
        return; /* cannot happen: fewer kinds of queued events exist than there is room for */
    struct queued_event *q = &r->queue[(r->queue_head + r->queue_len++) % RUN_EVENTS_MAX];
    (void)snprintf(q->text, sizeof(q->text), "%s", text);
    q->ev = (isol8_event){ .type = type,
                           .phase = ISOL8_PHASE_CODE,
                           .data = q->text,
                           .size = strlen(q->text),
                           .is_marker = is_marker };
    if (r->queue_len == 1)
        set_pending(r, true);
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
        set_pending(r, false);
    return true;
}

/* ---- Ending ------------------------------------------------------------------------------------
 */

static void unwatch_socket(struct isol8_run *r)
{
    if (r->sandbox->socket_fd >= 0)
        (void)epoll_ctl(r->epoll_fd, EPOLL_CTL_DEL, r->sandbox->socket_fd, NULL);
}

static void enter_closing(struct isol8_run *r)
{
    r->state = RUN_CLOSING;
    r->get_fd = run_close_fd(r, r->get_fd);
    r->stdin_fd = run_close_fd(r, r->stdin_fd);
    (void)run_arm_timer(r, RUN_CLOSE_MS, NULL); /* without it a stuck runtime would be waited for */
}

void run_begin_close(struct isol8_run *r)
{
    if (r->ended_ns == 0)
        r->ended_ns = clock_now_ns();
    unwatch_socket(r);
    exec_sandbox_close(r->sandbox);
    enter_closing(r);
}

static void kill_all(struct isol8_run *r)
{
    if (r->ended_ns == 0)
        r->ended_ns = clock_now_ns();
    run_read_counters(r);
    unwatch_socket(r);
    exec_sandbox_kill(r->sandbox);
    enter_closing(r);
}

/* The first failure counts; @status is its own for convenience in "return run_fail(...)". */
int run_fail(struct isol8_run *r, int status)
{
    if (r->error.status == 0)
        r->error.status = status;
    if (r->state < RUN_CLOSING)
        kill_all(r);
    return 0;
}

static void queue_stream_end(struct isol8_run *r, int i)
{
    static const enum isol8_event_type types[] = { ISOL8_EVENT_STDOUT, ISOL8_EVENT_STDERR };
    struct output *o = &r->streams[i];

    if (output_marker(o) && o->chunk.len > 0)
        run_queue(r, types[i], o->chunk.data, true);
}

static void queue_end_events(struct isol8_run *r)
{
    char code[16];

    queue_stream_end(r, 0);
    queue_stream_end(r, 1);
    r->facts.truncated = r->streams[0].is_truncated || r->streams[1].is_truncated;
    exec_result_judge(r->result, &r->facts);
    if (r->error.status == 0) {
        if (r->facts.timed_out)
            run_queue(r, ISOL8_EVENT_ERROR, "EXECUTION TIMED OUT", false);
        (void)snprintf(code, sizeof(code), "%d", r->result->exit_code);
        run_queue(r, ISOL8_EVENT_EXIT, code, false);
    }
    r->streams_ended = true;
}

static void fill_result(struct isol8_run *r)
{
    struct isol8_result *res = r->result;
    uint64_t ns = r->started_ns == 0 ? 0 : r->ended_ns - r->started_ns;

    res->usage.wall_us = ns / 1000;
    res->duration_ms = (int64_t)(ns / 1000000);
    res->is_truncated = r->facts.truncated;
    res->network_bytes_in = r->sandbox->link.counters.bytes_in;
    res->network_bytes_out = r->sandbox->link.counters.bytes_out;
    if (exec_result_take_log(res, r->sandbox->link.log, r->engine->log_network) < 0 &&
        r->error.status == 0)
        (void)err_nomem(&r->error);
    clock_iso(clock_wall_ms(), res->timestamp);
    res->out_size = r->streams[0].captured.len;
    res->err_size = r->streams[1].captured.len;
    res->out = buf_take(&r->streams[0].captured);
    res->err = buf_take(&r->streams[1].captured);
}

static void leave_engine(struct isol8_run *r)
{
    if (r->has_permit)
        exec_engine_leave(r->engine);
    r->has_permit = false;
}

/* Once the streams and the runtime have ended, nothing of the sandbox is left but its names. */
static void finish_if_over(struct isol8_run *r)
{
    isol8_error err = { 0 };

    if (r->state != RUN_CLOSING || r->stream_fds[0] >= 0 || r->stream_fds[1] >= 0)
        return;
    if (!r->streams_ended)
        queue_end_events(r);
    if (r->sandbox->runtime_pidfd >= 0) {
        struct pollfd p = { .fd = r->sandbox->runtime_pidfd, .events = POLLIN };
        if (poll(&p, 1, 0) == 0)
            return;
    }
    if (exec_sandbox_remove(r->sandbox, &err) < 0 && r->error.status == 0)
        r->error = err;
    fill_result(r);
    r->state = RUN_DONE;
    set_pending(r, true);
    leave_engine(r);
}

/* ---- What may become ready
 * ----------------------------------------------------------------------- */

static int on_hello(struct isol8_run *r)
{
    int s = exec_sandbox_hello(r->sandbox, &r->error);

    if (s == 0)
        s = exec_sandbox_take(r->sandbox, &r->plan.limits, &r->error);
    if (s == 0)
        s = run_arm_timer(r, r->plan.timeout_ms, &r->error);
    return s < 0 ? run_fail(r, s) : run_start_staging(r);
}

/* The runtime ended: expected in CLOSING, else init's socket says more in a moment, except when
 * init never came up. */
static int on_runtime_end(struct isol8_run *r)
{
    (void)epoll_ctl(r->epoll_fd, EPOLL_CTL_DEL, r->sandbox->runtime_pidfd, NULL);
    if (r->state == RUN_CREATING)
        return run_fail(r, exec_sandbox_start_error(r->sandbox, &r->error));
    return 0;
}

static int on_timer(struct isol8_run *r)
{
    uint64_t expirations;

    (void)!read(r->timer_fd, &expirations, sizeof(expirations));
    switch (r->state) {
    case RUN_CREATING:
        return run_fail(r, err_set(&r->error, ISOL8_E_TIMEOUT,
                                   "the sandbox did not start within %d s", RUN_CREATE_MS / 1000));
    case RUN_INSTALLING:
        return run_install_timed_out(r);
    case RUN_STAGING:
    case RUN_RUNNING:
        r->facts.timed_out = true;
        kill_all(r);
        return 0;
    case RUN_COLLECTING: /* what was fetched so far is kept */
        kill_all(r);
        return 0;
    default: /* stuck: the runtime dies, and a stream held open by something undead is given up */
        proc_kill(r->sandbox->init_pidfd);
        proc_kill(r->sandbox->runtime_pidfd);
        for (int i = 0; i < 2; i++)
            r->stream_fds[i] = run_close_fd(r, r->stream_fds[i]);
        return 0;
    }
}

static int on_cancel(struct isol8_run *r)
{
    (void)epoll_ctl(r->epoll_fd, EPOLL_CTL_DEL, r->cancel_fd, NULL);
    if (r->state < RUN_COLLECTING) {
        r->facts.cancelled = true;
        kill_all(r);
    } else if (r->state == RUN_COLLECTING) {
        kill_all(r);
    }
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
    static const enum isol8_event_type types[] = { ISOL8_EVENT_STDOUT, ISOL8_EVENT_STDERR };
    char chunk[READ_BYTES];

    if (r->state == RUN_INSTALLING || r->install_failed)
        return run_on_install_output(r, i);
    struct output *o = &r->streams[i];
    ssize_t n = read(r->stream_fds[i], chunk, sizeof(chunk));

    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return 0;
    if (n <= 0)
        r->stream_fds[i] = run_close_fd(r, r->stream_fds[i]);
    if (!output_feed(o, chunk, n > 0 ? (size_t)n : 0, n <= 0))
        return run_fail(r, err_nomem(&r->error));
    if (o->chunk.len == 0)
        return 0;
    *ev = (isol8_event){
        .type = types[i], .phase = ISOL8_PHASE_CODE, .data = o->chunk.data, .size = o->chunk.len
    };
    return 1;
}

static int dispatch(struct isol8_run *r, enum run_source src, isol8_event *ev)
{
    switch (src) {
    case RUN_SRC_SOCKET:
        return r->state == RUN_CREATING ? on_hello(r) : run_on_answer(r);
    case RUN_SRC_RUNTIME:
        return on_runtime_end(r);
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
    case RUN_SRC_PENDING:
        break;
    }
    return 0;
}

int isol8_run_next(isol8_run *r, isol8_event *ev, isol8_error *err)
{
    struct epoll_event ready;

    while (!pop_event(r, ev)) {
        if (r->state == RUN_DONE) {
            if (r->error.status == 0 || r->error_was_reported)
                return 0;
            r->error_was_reported = true;
            mask_error(r->engine->secrets, &r->error);
            if (err != NULL)
                *err = r->error;
            return r->error.status;
        }
        int n = epoll_wait(r->epoll_fd, &ready, 1, 0);
        if (n < 0 && errno != EINTR)
            return err_sys(err, errno, "cannot wait for events");
        if (n <= 0)
            return 0;
        int made = dispatch(r, (enum run_source)ready.data.u32, ev);
        finish_if_over(r);
        if (made == 1)
            return 1;
    }
    return 1;
}

/* ---- Start and finish
 * ---------------------------------------------------------------------------- */

static void run_free(struct isol8_run *r)
{
    if (r == NULL)
        return;
    exec_sandbox_free(r->sandbox);
    leave_engine(r);
    cgroup_exec_done(&r->cgroup);
    for (int i = 0; i < 2; i++) {
        output_done(&r->streams[i]);
        (void)fd_close(r->stream_fds[i]);
    }
    buf_done(&r->stdin_queue);
    buf_done(&r->install_text);
    proxy_rules_free(r->install_rules);
    buf_done(&r->get_data);
    (void)fd_close(r->stdin_fd);
    (void)fd_close(r->get_fd);
    (void)fd_close(r->epoll_fd);
    (void)fd_close(r->timer_fd);
    (void)fd_close(r->cancel_fd);
    (void)fd_close(r->pending_fd);
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
    if (r->epoll_fd < 0 || r->timer_fd < 0 || r->cancel_fd < 0 || r->pending_fd < 0)
        return err_sys(err, errno, "cannot create descriptors for a run");

    int s = run_watch(r, r->timer_fd, RUN_SRC_TIMER, EPOLLIN, err);
    if (s == 0)
        s = run_watch(r, r->cancel_fd, RUN_SRC_CANCEL, EPOLLIN, err);
    if (s == 0)
        s = run_watch(r, r->pending_fd, RUN_SRC_PENDING, EPOLLIN, err);
    return s;
}

static int run_new(struct isol8_run **out, isol8_engine *e, const isol8_request *rq, unsigned flags,
                   isol8_error *err)
{
    struct isol8_run *r = calloc(1, sizeof(*r));

    if (r == NULL)
        return err_nomem(err);
    r->engine = e;
    r->rq = rq;
    r->epoll_fd = r->timer_fd = r->cancel_fd = r->pending_fd = r->stdin_fd = r->get_fd = -1;
    r->stream_fds[0] = r->stream_fds[1] = -1;
    r->cgroup = (struct cgroup_exec)CGROUP_EXEC_NONE;
    buf_init(&r->stdin_queue, RUN_STDIN_MAX);
    buf_init(&r->install_text, RUN_INSTALL_TEXT_MAX);
    for (int i = 0; i < 2; i++)
        output_init(&r->streams[i], e->secrets, e->max_output, (flags & ISOL8_RUN_CAPTURE) != 0);

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
    *out = r;
    return 0;
}

static void note_facts(struct isol8_run *r)
{
    r->facts = (struct verdict_facts){
        .timeout_ms = r->plan.timeout_ms,
        .memory_text = r->engine->memory_text,
        .pids_limit = r->plan.limits.pids,
        .max_output = r->engine->max_output,
        .sandbox_bytes = r->plan.sandbox.sandbox_bytes,
        .tmp_bytes = r->plan.sandbox.tmp_bytes,
    };
    (void)snprintf(r->result->container_id, sizeof(r->result->container_id), "%s", r->sandbox->id);
    r->result->runtime = r->plan.runtime->name;
    r->result->has_userns = r->sandbox->userns_fd >= 0;
    r->result->asked_for_files = r->rq->n_output_paths > 0;
}

int isol8_run_start(isol8_engine *e, const isol8_request *rq, unsigned flags, isol8_run **out,
                    isol8_error *err)
{
    struct isol8_run *r = NULL;
    int s = run_new(&r, e, rq, flags, err);

    if (s < 0 || r == NULL) {
        mask_error(e->secrets, err);
        return s;
    }
    exec_engine_enter(e);
    r->has_permit = true;
    s = exec_sandbox_create(&r->sandbox, e->host, &r->plan.sandbox, err);
    if (s == 0)
        s = run_arm_timer(r, RUN_CREATE_MS, err);
    if (s == 0)
        s = run_watch(r, r->sandbox->socket_fd, RUN_SRC_SOCKET, EPOLLIN, err);
    if (s == 0)
        s = run_watch(r, r->sandbox->runtime_pidfd, RUN_SRC_RUNTIME, EPOLLIN, err);
    if (s < 0) {
        run_free(r);
        return s;
    }
    note_facts(r);
    *out = r;
    return 0;
}

int isol8_run_fd(const isol8_run *r)
{
    return r->epoll_fd;
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
    if (r->state != RUN_RUNNING)
        return err_set(err, ISOL8_E_STATE, "no program is running");
    return run_send_signal(r, sig, err);
}

void isol8_run_cancel(isol8_run *r)
{
    uint64_t one = 1;
    int saved = errno;

    (void)!write(r->cancel_fd, &one, sizeof(one));
    errno = saved;
}

static int drive(isol8_run *r, isol8_error *err)
{
    struct pollfd p = { .fd = r->epoll_fd, .events = POLLIN };
    isol8_event ev;
    int failure = 0;

    while (!isol8_run_done(r)) {
        int s = isol8_run_next(r, &ev, err);
        if (s < 0)
            failure = s;
        if (s == 0 && !isol8_run_done(r) && poll(&p, 1, -1) < 0 && errno != EINTR)
            return err_sys(err, errno, "cannot wait for a run");
    }
    return failure;
}

int isol8_run_finish(isol8_run *r, isol8_result **out, isol8_error *err)
{
    int s = drive(r, err);

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
