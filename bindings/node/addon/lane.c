/* SPDX-License-Identifier: Apache-2.0 */
/**
 * lane.c - threads for what blocks, and the way back to JavaScript
 *
 * Theory of operation. The library's calls wait for sandboxes, images and files, so none of them
 * that may block runs on a JavaScript thread. Nor do they run on the four threads that Node shares
 * with file access and name lookup: four executions of half a minute would starve both. Instead:
 *
 *   JavaScript thread              thread of a lane            JavaScript thread
 *   job_promise, lane_submit  -->  job->work()  -- job_post --> job->settle(), job->release()
 *
 * A lane is a queue with a ceiling of threads. An engine's lane of executions has as many as the
 * engine may have in flight, so a thread exists only beside a sandbox, whose processes cost far
 * more, and ten thousand executions at once are ten threads and a list. One thread for each is
 * chosen over one loop for all because starting a run makes a sandbox, and may build an image:
 * that would hold up all others of a shared loop. A thread ends when its lane has nothing more to
 * do. Threads are started by a thread of their own, the starter: pthread_create() waits for the
 * process's memory map, which the children that sandboxes begin with hold for milliseconds at a
 * time, and two hundred such waits on the JavaScript thread were more than a second.
 *
 * The way back is one thread-safe function for each environment. Finished jobs collect in
 * js->over; the function is called when the first one comes, and takes all. It keeps the process
 * alive only while promises are open (js->open), so a program ends by itself.
 *
 * One mutex guards it all. It is taken for a few pointers at a time and never while anything
 * blocks.
 *
 * The end. An environment that closes (a worker that stops, the main thread at exit) is taken out
 * of the way first: from then on its jobs are released unsettled, since there is no JavaScript left
 * to tell. Its structure lives on until the last of them.
 */
#include "bindings/node/addon/lane.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bindings/node/addon/host.h"
#include "bindings/node/addon/value.h"

enum { STACK_BYTES = 1 << 20 };

struct js {
    napi_env env;
    napi_threadsafe_function wake;
    struct job *over; /* finished, to be settled */
    struct job *over_last;
    size_t open;    /* promises to settle; keeps the process alive above 0; JavaScript thread */
    size_t refs;    /* the environment itself, and its jobs */
    bool is_closed; /* the environment is gone */
};

struct lane {
    struct job *first;
    struct job *last;
    unsigned threads; /* at work, or to be started */
    unsigned max;
    unsigned to_start; /* of them */
    struct lane *next; /* in lanes.to_start */
    bool is_dropped;   /* the last thread frees it */
};

static struct {
    pthread_mutex_t mutex;
    pthread_cond_t idle;   /* the last thread ended */
    pthread_cond_t wanted; /* to_start has something, or everything is closing */
    unsigned threads;      /* of all lanes, and the starter */
    struct lane *to_start; /* lanes that want threads */
    bool has_starter;
    bool is_closing;
} lanes = { .mutex = PTHREAD_MUTEX_INITIALIZER,
            .idle = PTHREAD_COND_INITIALIZER,
            .wanted = PTHREAD_COND_INITIALIZER };

void lane_lock(void)
{
    (void)pthread_mutex_lock(&lanes.mutex);
}

void lane_unlock(void)
{
    (void)pthread_mutex_unlock(&lanes.mutex);
}

void lane_wait(pthread_cond_t *cond, const struct timespec *until)
{
    (void)pthread_cond_timedwait(cond, &lanes.mutex, until);
}

bool lane_is_closing(void)
{
    lane_lock();
    bool is_closing = lanes.is_closing;
    lane_unlock();
    return is_closing;
}

/* ---- Environments -----------------------------------------------------------------------------
 */

static void js_unref(struct js *js)
{
    lane_lock();
    bool is_last = --js->refs == 0;
    lane_unlock();
    if (is_last)
        free(js);
}

static void job_release(struct job *job)
{
    struct js *js = job->js;

    job->release(job);
    if (js != NULL)
        js_unref(js);
}

static struct job *take_over(struct js *js)
{
    lane_lock();
    struct job *list = js->over;
    js->over = js->over_last = NULL;
    lane_unlock();
    return list;
}

/* The thread-safe function: on the JavaScript thread, after the first job was posted. */
static void settle_all(napi_env env, napi_value function, void *context, void *data)
{
    struct js *js = context;

    (void)function;
    (void)data;
    if (env == NULL) /* the environment is being torn down: js_close() releases them */
        return;
    for (struct job *job = take_over(js), *next; job != NULL; job = next) {
        napi_handle_scope scope = NULL;
        next = job->next;
        if (job->settle != NULL && napi_open_handle_scope(env, &scope) == napi_ok) {
            job->settle(env, job);
            (void)napi_close_handle_scope(env, scope);
        }
        js->open--;
        job_release(job);
    }
    if (js->open == 0)
        (void)napi_unref_threadsafe_function(env, js->wake);
}

/* The environment ends: what is still to come finds nobody. */
static void js_close(void *data)
{
    struct js *js = data;

    lane_lock();
    js->is_closed = true;
    (void)napi_release_threadsafe_function(js->wake, napi_tsfn_abort);
    lane_unlock();
    host_abandon(js);
    for (struct job *job = take_over(js), *next; job != NULL; job = next) {
        next = job->next;
        job_release(job);
    }
    host_leave();
    js_unref(js);
}

struct js *js_open(napi_env env)
{
    struct js *js = calloc(1, sizeof(*js));
    napi_value name = value_text(env, "isol8");

    if (js == NULL) {
        (void)napi_throw_error(env, "ISOL8_E_NOMEM", "out of memory");
        return NULL;
    }
    js->env = env;
    js->refs = 1;
    if (napi_create_threadsafe_function(env, NULL, NULL, name, 0, 1, NULL, NULL, js, settle_all,
                                        &js->wake) != napi_ok ||
        napi_unref_threadsafe_function(env, js->wake) != napi_ok ||
        napi_set_instance_data(env, js, NULL, NULL) != napi_ok ||
        napi_add_env_cleanup_hook(env, js_close, js) != napi_ok) {
        (void)napi_throw_error(env, "ISOL8_E_SYS", "cannot set up the way back to JavaScript");
        free(js);
        return NULL;
    }
    host_join();
    return js;
}

struct js *js_of(napi_env env)
{
    void *data = NULL;

    (void)napi_get_instance_data(env, &data);
    return data;
}

/* ---- Jobs --------------------------------------------------------------------------------------
 */

void job_adopt(napi_env env, struct job *job)
{
    struct js *js = js_of(env);

    job->js = js;
    if (js->open++ == 0)
        (void)napi_ref_threadsafe_function(env, js->wake);
    lane_lock();
    js->refs++;
    lane_unlock();
}

napi_value job_promise(napi_env env, struct job *job)
{
    napi_value promise = NULL;

    if (napi_create_promise(env, &job->deferred, &promise) != napi_ok) {
        (void)napi_throw_error(env, "ISOL8_E_NOMEM", "cannot make a promise");
        return NULL;
    }
    job_adopt(env, job);
    return promise;
}

void job_post(struct job *job)
{
    struct js *js = job->js;

    if (js == NULL || js->is_closed || lanes.is_closing) {
        lane_unlock(); /* what a job owns may need the lock to go */
        job_release(job);
        lane_lock();
        return;
    }
    job->next = NULL;
    bool is_first = js->over == NULL;
    if (is_first)
        js->over = job;
    else
        js->over_last->next = job;
    js->over_last = job;
    if (is_first)
        (void)napi_call_threadsafe_function(js->wake, NULL, napi_tsfn_nonblocking);
}

/* ---- Lanes ------------------------------------------------------------------------------------
 */

struct lane *lane_new(unsigned max)
{
    struct lane *lane = calloc(1, sizeof(*lane));

    if (lane != NULL)
        lane->max = max;
    return lane;
}

void lane_free(struct lane *lane)
{
    if (lane == NULL)
        return;
    lane_lock();
    lane->is_dropped = true;
    bool is_idle = lane->threads == 0;
    lane_unlock();
    if (is_idle)
        free(lane);
}

static struct job *pop(struct lane *lane)
{
    struct job *job = lane->first;

    if (job != NULL) {
        lane->first = job->next;
        if (lane->first == NULL)
            lane->last = NULL;
        job->next = NULL;
    }
    return job;
}

static void *work_off(void *data)
{
    struct lane *lane = data;

    lane_lock();
    for (struct job *job = pop(lane); job != NULL; job = pop(lane)) {
        bool is_closing = lanes.is_closing;
        lane_unlock();
        if (is_closing) {
            job->err = (isol8_error){ .msg = "the process is ending" };
            job->err.status = job->status = ISOL8_E_CANCELLED;
        } else {
            job->work(job);
        }
        lane_lock();
        job_post(job);
    }
    bool is_last = --lane->threads == 0 && lane->is_dropped;
    if (--lanes.threads == 0)
        (void)pthread_cond_broadcast(&lanes.idle);
    lane_unlock();
    if (is_last)
        free(lane);
    return NULL;
}

/* Detached, with all signals blocked: they are the program's own. */
static int start_thread(void *(*main)(void *), void *data)
{
    pthread_attr_t attr;
    sigset_t all, old;
    pthread_t thread;

    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &old);
    (void)pthread_attr_init(&attr);
    (void)pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    (void)pthread_attr_setstacksize(&attr, STACK_BYTES);
    int r = pthread_create(&thread, &attr, main, data);
    (void)pthread_attr_destroy(&attr);
    (void)pthread_sigmask(SIG_SETMASK, &old, NULL);
    return r;
}

/* A thread that was counted could not be started. With others at work its job only has to wait;
 * alone it would wait for ever. lane_lock() held. */
static void give_up_thread(struct lane *lane, int errnum)
{
    lane->threads--;
    lanes.threads--;
    for (struct job *job; lane->threads == 0 && (job = pop(lane)) != NULL;) {
        job->status = job->err.status = ISOL8_E_SYS;
        job->err.sys_errno = errnum;
        (void)snprintf(job->err.msg, sizeof(job->err.msg), "cannot start a thread: %s",
                       strerrordesc_np(errnum));
        job_post(job);
    }
}

static struct lane *next_to_start(void)
{
    struct lane *lane = lanes.to_start;

    if (lane != NULL && --lane->to_start == 0)
        lanes.to_start = lane->next;
    return lane;
}

/* The starter. At the end it works off what nobody has begun, which then only says so. */
static void *start_threads(void *data)
{
    (void)data;
    lane_lock();
    for (;;) {
        struct lane *lane = next_to_start();
        if (lane == NULL && lanes.is_closing)
            break;
        if (lane == NULL) {
            (void)pthread_cond_wait(&lanes.wanted, &lanes.mutex);
            continue;
        }
        bool is_closing = lanes.is_closing;
        lane_unlock();
        int r = 0;
        if (is_closing)
            (void)work_off(lane);
        else
            r = start_thread(work_off, lane);
        lane_lock();
        if (r != 0)
            give_up_thread(lane, r);
    }
    lanes.has_starter = false;
    if (--lanes.threads == 0)
        (void)pthread_cond_broadcast(&lanes.idle);
    lane_unlock();
    return NULL;
}

/* One thread more for a lane; lane_lock() held. */
static void want_thread(struct lane *lane)
{
    if (!lanes.has_starter) {
        int r = start_thread(start_threads, NULL);
        if (r != 0) {
            lane->threads++;
            lanes.threads++;
            give_up_thread(lane, r);
            return;
        }
        lanes.has_starter = true;
        lanes.threads++;
    }
    lane->threads++;
    lanes.threads++;
    if (lane->to_start++ == 0) {
        lane->next = lanes.to_start;
        lanes.to_start = lane;
    }
    (void)pthread_cond_signal(&lanes.wanted);
}

void lane_submit(struct lane *lane, struct job *job)
{
    lane_lock();
    job->next = NULL;
    if (lane->last != NULL)
        lane->last->next = job;
    else
        lane->first = job;
    lane->last = job;
    if (lane->threads < lane->max)
        want_thread(lane);
    lane_unlock();
}

bool lane_withdraw(struct lane *lane, struct job *job)
{
    struct job *before = NULL;

    for (struct job *j = lane->first; j != NULL; before = j, j = j->next) {
        if (j != job)
            continue;
        if (before == NULL)
            lane->first = j->next;
        else
            before->next = j->next;
        if (lane->last == j)
            lane->last = before;
        return true;
    }
    return false;
}

bool lane_close(long ms)
{
    struct timespec until;
    int r = 0;

    (void)clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += ms / 1000;
    lane_lock();
    lanes.is_closing = true;
    (void)pthread_cond_signal(&lanes.wanted);
    while (lanes.threads > 0 && r == 0)
        r = pthread_cond_timedwait(&lanes.idle, &lanes.mutex, &until);
    bool is_idle = lanes.threads == 0;
    lane_unlock();
    return is_idle;
}

void lane_reopen(void)
{
    lane_lock();
    lanes.is_closing = false;
    lane_unlock();
}
