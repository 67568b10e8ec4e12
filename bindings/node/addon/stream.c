/* SPDX-License-Identifier: Apache-2.0 */
/**
 * stream.c - events of a run on their way to an async iterator
 *
 * Theory of operation. The run's thread appends events to a list; text that follows text of the
 * same kind is joined to it. The reader takes the whole list at once: one crossing for many events.
 * A reader that comes too early leaves a wait behind, which the next event has settled.
 *
 * An unread stream stays small. When QUEUE_MAX bytes wait, the run's thread stops taking events,
 * the pipes fill, and the program blocks in write(2), as it would at a terminal that was stopped.
 * But the deadline is kept by the run itself, which must be driven for that. So the thread waits
 * no longer than until the deadline has passed for certain: counted from the first event, since the
 * run's own clock started earlier. What comes then is what the pipes still hold.
 *
 * References: one of the JavaScript handle, one of the execution. If the handle is collected or
 * closed, nobody reads any more, and the run is cancelled.
 */
#include "bindings/node/addon/stream.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "bindings/node/addon/engine.h"
#include "bindings/node/addon/execution.h"
#include "bindings/node/addon/lane.h"
#include "bindings/node/addon/value.h"

enum {
    QUEUE_MAX = 1 << 20, /* unread bytes at which the run's thread waits */
    JOIN_MAX = 1 << 16,  /* bytes up to which texts are joined */
    LAG_MS = 250,        /* after the deadline, before the thread goes on regardless */
};
static const uint64_t stream_kind = UINT64_C(0x69736f6c38737472);

struct chunk {
    struct chunk *next;
    enum isol8_event_type type;
    enum isol8_phase phase;
    bool is_marker;
    size_t size;
    size_t room;
    char data[];
};

/* Somebody who waits for events, or for the end. */
struct wait {
    struct job job; /* first: a job is the object */
    struct stream *stream;
};

struct stream {
    uint64_t kind;
    unsigned refs;
    struct execution *execution; /* NULL once it is over */
    int64_t timeout_ms;
    int64_t deadline_ms; /* on the monotonic clock, 0: no event has come yet */
    struct chunk *first;
    struct chunk *last;
    struct chunk **last_link; /* what points to it, since it may move */
    size_t bytes;             /* that the list takes */
    pthread_cond_t room;
    bool is_over;
    bool is_let_go;
    int status; /* of the execution; told once */
    isol8_error err;
    struct wait *reader;
    struct wait *closer;
}; /* all of it guarded by lane_lock(), once it was begun */

/* ---- Life -------------------------------------------------------------------------------------
 */

static struct stream *stream_new(void)
{
    struct stream *s = calloc(1, sizeof(*s));
    pthread_condattr_t attr;

    if (s == NULL)
        return NULL;
    s->kind = stream_kind;
    s->refs = 1;
    (void)pthread_condattr_init(&attr);
    (void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&s->room, &attr);
    (void)pthread_condattr_destroy(&attr);
    return s;
}

static void drop_chunks(struct chunk *list)
{
    while (list != NULL) {
        struct chunk *next = list->next;
        free(list);
        list = next;
    }
}

static void stream_unref(struct stream *s)
{
    lane_lock();
    bool is_last = --s->refs == 0;
    lane_unlock();
    if (!is_last)
        return;
    drop_chunks(s->first);
    (void)pthread_cond_destroy(&s->room);
    free(s);
}

void stream_let_go(struct stream *s)
{
    s->is_let_go = true;
    drop_chunks(s->first);
    s->first = s->last = NULL;
    s->bytes = 0;
    (void)pthread_cond_broadcast(&s->room);
}

/* Let go of it and end the run; lane_lock() held. */
static void stop(struct stream *s)
{
    stream_let_go(s);
    if (s->execution != NULL)
        execution_cancel_one(s->execution);
}

/* ---- The run's thread -------------------------------------------------------------------------
 */

static int64_t now_ms(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* What a chunk costs is what its room costs: a list of many small ones has a ceiling as well. */
static struct chunk *chunk_resize(struct stream *s, struct chunk *old, size_t room)
{
    struct chunk *c = realloc(old, sizeof(*c) + room);

    if (c == NULL)
        return NULL;
    s->bytes += old == NULL ? sizeof(*c) + room : room - c->room;
    c->room = room;
    return c;
}

/* Put text behind text of the same kind. */
static bool join(struct stream *s, const isol8_event *event)
{
    struct chunk *c = s->last;

    if (c == NULL || c->type != event->type || c->phase != event->phase ||
        c->is_marker != event->is_marker || c->size + event->size > JOIN_MAX)
        return false;
    if (c->room - c->size < event->size) {
        size_t room = 2 * (c->size + event->size);
        c = chunk_resize(s, c, room < JOIN_MAX ? room : JOIN_MAX);
        if (c == NULL)
            return false;
        *s->last_link = s->last = c;
    }
    memcpy(c->data + c->size, event->data, event->size);
    c->size += event->size;
    return true;
}

/* Without memory the run is cancelled: a stream with a hole in it would be a wrong answer. */
static void append(struct stream *s, const isol8_event *event)
{
    bool is_text = event->type == ISOL8_EVENT_STDOUT || event->type == ISOL8_EVENT_STDERR;

    if (is_text && event->size > 0 && join(s, event))
        return;
    struct chunk *c = chunk_resize(s, NULL, event->size);
    if (c == NULL) {
        stop(s);
        return;
    }
    *c = (struct chunk){ .type = event->type,
                         .phase = event->phase,
                         .is_marker = event->is_marker,
                         .size = event->size,
                         .room = event->size };
    if (event->size > 0)
        memcpy(c->data, event->data, event->size);
    s->last_link = s->last != NULL ? &s->last->next : &s->first;
    *s->last_link = s->last = c;
}

static void wake_reader(struct stream *s)
{
    struct wait *w = s->reader;

    s->reader = NULL;
    if (w != NULL)
        job_post(&w->job);
}

static void wait_for_room(struct stream *s)
{
    struct timespec until = { .tv_sec = s->deadline_ms / 1000,
                              .tv_nsec = s->deadline_ms % 1000 * 1000000 };

    lane_lock();
    while (s->bytes >= QUEUE_MAX && !s->is_let_go && now_ms() < s->deadline_ms)
        lane_wait(&s->room, &until);
    lane_unlock();
}

void stream_put(struct stream *s, const isol8_event *event)
{
    lane_lock();
    if (s->deadline_ms == 0)
        s->deadline_ms = now_ms() + s->timeout_ms + LAG_MS;
    if (!s->is_let_go) {
        append(s, event);
        wake_reader(s);
    }
    bool is_full = s->bytes >= QUEUE_MAX;
    lane_unlock();
    if (is_full)
        wait_for_room(s);
}

void stream_end(struct stream *s, int status, const isol8_error *err)
{
    lane_lock();
    s->is_over = true;
    s->execution = NULL;
    s->status = status;
    s->err = *err;
    wake_reader(s);
    struct wait *w = s->closer;
    s->closer = NULL;
    if (w != NULL)
        job_post(&w->job);
    lane_unlock();
    stream_unref(s);
}

/* ---- The reader -------------------------------------------------------------------------------
 */

static void wait_release(struct job *job)
{
    struct wait *w = (struct wait *)job;

    stream_unref(w->stream);
    free(w);
}

/* The list as [type, phase, bytes, ...]. */
static napi_value events_array(napi_env env, const struct chunk *list)
{
    napi_value array = NULL, value = NULL;
    uint32_t n = 0;

    (void)napi_create_array(env, &array);
    for (const struct chunk *c = list; c != NULL; c = c->next) {
        (void)napi_create_uint32(env, (uint32_t)c->type, &value);
        (void)napi_set_element(env, array, n++, value);
        (void)napi_create_uint32(env, (uint32_t)c->phase, &value);
        (void)napi_set_element(env, array, n++, value);
        (void)napi_create_buffer_copy(env, c->size, c->data, NULL, &value);
        (void)napi_set_element(env, array, n++, value);
    }
    return array;
}

static void next_settle(napi_env env, struct job *job)
{
    struct stream *s = ((struct wait *)job)->stream;
    napi_value value = NULL;
    isol8_error err;

    lane_lock();
    struct chunk *list = s->first;
    s->first = s->last = NULL;
    s->bytes = 0;
    (void)pthread_cond_broadcast(&s->room);
    bool has_failed = list == NULL && s->status < 0 && !s->is_let_go;
    err = s->err;
    if (has_failed)
        s->status = 0;
    lane_unlock();

    if (has_failed) {
        (void)napi_reject_deferred(env, job->deferred, value_error(env, &err));
        return;
    }
    if (list == NULL)
        (void)napi_get_null(env, &value);
    else
        value = events_array(env, list);
    drop_chunks(list);
    (void)napi_resolve_deferred(env, job->deferred, value);
}

static void close_settle(napi_env env, struct job *job)
{
    (void)napi_resolve_deferred(env, job->deferred, value_undefined(env));
}

static struct wait *wait_new(napi_env env, napi_callback_info info, napi_value *promise)
{
    size_t argc = 1;
    napi_value argv[1];
    void *data = NULL;

    if (napi_get_cb_info(env, info, &argc, argv, NULL, NULL) != napi_ok ||
        napi_get_value_external(env, argv[0], &data) != napi_ok || data == NULL ||
        ((struct stream *)data)->kind != stream_kind) {
        (void)napi_throw_type_error(env, NULL, "not a stream");
        return NULL;
    }
    struct wait *w = calloc(1, sizeof(*w));
    if (w == NULL) {
        (void)napi_throw_error(env, "ISOL8_E_NOMEM", "out of memory");
        return NULL;
    }
    w->stream = data;
    w->job = (struct job){ .release = wait_release };
    *promise = job_promise(env, &w->job);
    if (*promise == NULL) {
        free(w);
        return NULL;
    }
    lane_lock();
    w->stream->refs++;
    lane_unlock();
    return w;
}

napi_value stream_js_next(napi_env env, napi_callback_info info)
{
    napi_value promise = NULL;
    struct wait *w = wait_new(env, info, &promise);

    if (w == NULL)
        return NULL;
    struct stream *s = w->stream;
    w->job.settle = next_settle;
    lane_lock();
    if (s->reader != NULL)
        wake_reader(s); /* the package asks once at a time; an earlier wait ends with nothing */
    s->reader = w;
    if (s->first != NULL || s->is_over)
        wake_reader(s);
    lane_unlock();
    return promise;
}

napi_value stream_js_close(napi_env env, napi_callback_info info)
{
    napi_value promise = NULL;
    struct wait *w = wait_new(env, info, &promise);

    if (w == NULL)
        return NULL;
    struct stream *s = w->stream;
    w->job.settle = close_settle;
    lane_lock();
    if (s->is_over || s->closer != NULL) {
        job_post(&w->job);
    } else {
        s->closer = w;
        stop(s);
    }
    lane_unlock();
    return promise;
}

static void on_collected(napi_env env, void *data, void *hint)
{
    struct stream *s = data;

    (void)env;
    (void)hint;
    lane_lock();
    stop(s);
    lane_unlock();
    stream_unref(s);
}

napi_value stream_js_open(napi_env env, napi_callback_info info)
{
    struct execution *x = execution_new(env, info);
    napi_value external = NULL;

    if (x == NULL)
        return NULL;
    struct stream *s = stream_new();
    if (s == NULL || napi_create_external(env, s, on_collected, NULL, &external) != napi_ok) {
        if (s != NULL)
            stream_unref(s);
        execution_discard(x);
        (void)napi_throw_error(env, "ISOL8_E_NOMEM", "out of memory");
        return NULL;
    }
    s->refs++;
    s->execution = x;
    s->timeout_ms = x->request.timeout_ms > 0 ? x->request.timeout_ms : x->engine->timeout_ms;
    x->stream = s;
    job_adopt(env, &x->job);
    execution_submit(x);
    return external;
}
