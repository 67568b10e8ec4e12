/* SPDX-License-Identifier: Apache-2.0 */
/* host.h - the process's one isol8_host: opened on first use, shared by all, ended with the process
 */
#ifndef NODE_HOST_H
#define NODE_HOST_H

#include <isol8/isol8.h>
#include <node_api.h>

struct js;
struct lane;

/**
 * host_get() - The host, opened now if need be; waits while another thread opens it
 *
 * Return: NULL on failure; the next call tries again
 */
isol8_host *host_get(isol8_error *err);

/** JavaScript: configure(options) sets what the host is opened with, and opens it on a thread. */
napi_value host_configure(napi_env env, napi_callback_info info);

/** JavaScript: cleanup(images) removes what nobody owns, or the images. */
napi_value host_cleanup(napi_env env, napi_callback_info info);

/** The lane of work that belongs to no engine. NULL when out of memory */
struct lane *host_lane(void);

/** An environment begins. */
void host_join(void);

/** An environment ends: cancel what it has in flight. */
void host_abandon(struct js *js);

/** It has ended. With the last one, engines and host go, and whatever they made. */
void host_leave(void);

#endif
