/* SPDX-License-Identifier: Apache-2.0 */
/**
 * lane.h - work that blocks, off the JavaScript thread, and its way back
 *
 * A job is done on a thread of its lane, then settled on the JavaScript thread that asked for it.
 */
#ifndef NODE_LANE_H
#define NODE_LANE_H

#include <isol8/isol8.h>
#include <node_api.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <time.h>

/* One JavaScript environment: the main thread, or a worker. */
struct js;

struct job {
    struct job *next;
    struct js *js; /* who is told; NULL: nobody */
    /* On a thread of the lane. Fills in status and err. */
    void (*work)(struct job *job);
    /* On the JavaScript thread, which settles @deferred. NULL: there is no promise. */
    void (*settle)(napi_env env, struct job *job);
    /* Afterwards, or instead of either when nobody waits any more; any thread. */
    void (*release)(struct job *job);
    napi_deferred deferred;
    int status;
    isol8_error err;
};

/* A queue, first come, first served, with a ceiling of threads of its own. */
struct lane;

/** Return: NULL when out of memory */
struct lane *lane_new(unsigned max);

/** Release a lane that gets no more jobs; what is queued is still done. NULL is fine. */
void lane_free(struct lane *lane);

/** Guards every structure that is shared by threads; never held while anything blocks. */
void lane_lock(void);
void lane_unlock(void);

/** Wait for a condition on the monotonic clock; lane_lock() held, and released meanwhile. */
void lane_wait(pthread_cond_t *cond, const struct timespec *until);

/** Make the environment's own structure, once for each environment. NULL: an exception is pending
 */
struct js *js_open(napi_env env);

/** The environment's structure. */
struct js *js_of(napi_env env);

/** Have an environment wait for a job: the process lives until the job was settled. */
void job_adopt(napi_env env, struct job *job);

/**
 * job_promise() - The same, with a promise
 *
 * Return: the promise, or NULL with an exception pending. The job is not released then.
 */
napi_value job_promise(napi_env env, struct job *job);

/** Queue a job, starting a thread if the lane has room. Takes the job. */
void lane_submit(struct lane *lane, struct job *job);

/** Take a job back that no thread has begun. Return: false when it is too late; lane_lock() held */
bool lane_withdraw(struct lane *lane, struct job *job);

/** A job is over: have it settled and released. Takes the job; lane_lock() held. */
void job_post(struct job *job);

/** True while everything is being ended: nothing new may begin. */
bool lane_is_closing(void);

/**
 * lane_close() - Let nothing new begin, and wait until no thread works any more
 *
 * Return: false when threads still work after @ms
 */
bool lane_close(long ms);

/** Begin anew, after a lane_close() that succeeded. */
void lane_reopen(void);

#endif
