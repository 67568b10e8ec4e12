/* SPDX-License-Identifier: Apache-2.0 */
/* engine.h - an isol8_engine with its lanes: what one DockerIsol8 object stands on. */
#ifndef NODE_ENGINE_H
#define NODE_ENGINE_H

#include <isol8/isol8.h>
#include <node_api.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

struct lane;

struct engine {
    uint64_t kind; /* tells our own externals from others' */
    struct engine *next;
    isol8_engine *handle; /* NULL once it was ended */
    unsigned refs;        /* the JavaScript object, and its jobs; guarded by lane_lock() */
    int64_t timeout_ms;   /* of requests without their own */
    bool is_persistent;
    pthread_mutex_t id_mutex; /* held while the id is asked for */
    char container_id[65];    /* as last seen, "" for none; guarded by lane_lock() */
    struct lane *runs;        /* executions: as many at once as the engine allows */
    struct lane *files;       /* putFile, getFile: one after the other, in order */
    struct lane *controls;    /* start, stop */
};

/** The engine behind a value, with a reference more. NULL: an exception is pending */
struct engine *engine_of(napi_env env, napi_value value);

/**
 * engine_note_id() - See what the session's sandbox is called now; not on the JavaScript thread
 *
 * The library may answer only once a sandbox that is being made stands, so the property
 * containerId shows what was seen last.
 */
void engine_note_id(struct engine *engine);

/** True while a session has no sandbox that was seen. */
bool engine_wants_id(const struct engine *engine);

/** The last one ends the engine, on a thread. */
void engine_unref(struct engine *engine);

/** End all engines; no thread works any more. */
void engine_close_all(void);

/* JavaScript. create(options) is checked and made at once; the others return promises. */
napi_value engine_create(napi_env env, napi_callback_info info);
napi_value engine_start(napi_env env, napi_callback_info info);
napi_value engine_stop(napi_env env, napi_callback_info info);
napi_value engine_put_file(napi_env env, napi_callback_info info);
napi_value engine_get_file(napi_env env, napi_callback_info info);
napi_value engine_container_id(napi_env env, napi_callback_info info);

#endif
