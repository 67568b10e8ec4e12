/* SPDX-License-Identifier: Apache-2.0 */
/* execution.h - executions in flight: a request, its run, and who waits for what comes of it. */
#ifndef NODE_EXECUTION_H
#define NODE_EXECUTION_H

#include <isol8/isol8.h>
#include <node_api.h>
#include <stdbool.h>

#include "bindings/node/addon/lane.h"
#include "bindings/node/addon/value.h"

struct engine;
struct js;
struct stream;

struct execution {
    struct job job;                /* first: a job is the object */
    struct execution *next, *prev; /* of all in flight; guarded by lane_lock() */
    struct engine *engine;
    struct keep keep; /* the request's parts live here */
    isol8_request request;
    isol8_run *run;        /* while it may be cancelled; guarded by lane_lock() */
    bool is_cancelled;     /* guarded by lane_lock() */
    char *json;            /* the result of the buffered form */
    struct stream *stream; /* whom events go to; NULL: the buffered form */
};

/**
 * execution_new() - An execution of argv[0], an engine, with the request in argv[1]
 *
 * Return: NULL with an exception pending
 */
struct execution *execution_new(napi_env env, napi_callback_info info);

/** Begin it: queued in its engine's lane. Takes it. */
void execution_submit(struct execution *x);

/** Release one that was not submitted. */
void execution_discard(struct execution *x);

/** Cancel one; a queued one ends at once. lane_lock() held. */
void execution_cancel_one(struct execution *x);

/** Cancel all of an environment, or with NULL all there are. */
void execution_cancel(struct js *js);

/** JavaScript: execute(engine, request) returns a promise of the result's JSON text. */
napi_value execution_execute(napi_env env, napi_callback_info info);

#endif
