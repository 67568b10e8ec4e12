/* SPDX-License-Identifier: Apache-2.0 */
/* stream.h - events of a run on their way from its thread to an async iterator. */
#ifndef NODE_STREAM_H
#define NODE_STREAM_H

#include <isol8/isol8.h>
#include <node_api.h>

struct stream;

/** Hand over one event; on the run's thread. Waits while too much is unread. */
void stream_put(struct stream *s, const isol8_event *event);

/** No more events come: the execution is over, with a status. Takes the execution's reference. */
void stream_end(struct stream *s, int status, const isol8_error *err);

/** Nobody will read any more: do not wait for that. lane_lock() held. */
void stream_let_go(struct stream *s);

/* JavaScript. open(engine, request) begins it. next(stream) is a promise of what has come, as
 * [type, phase, bytes, ...], or of null at the end. close(stream) cancels the run, and is a promise
 * of its end. */
napi_value stream_js_open(napi_env env, napi_callback_info info);
napi_value stream_js_next(napi_env env, napi_callback_info info);
napi_value stream_js_close(napi_env env, napi_callback_info info);

#endif
