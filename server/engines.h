/* SPDX-License-Identifier: Apache-2.0 */
/**
 * engines.h - engines for requests without a session, shared by those with the same options
 *
 * All engines stand on one host, and so on one pool. Making one is cheap, but it compiles the
 * lists and opens the audit log, and releasing one waits for removals: neither belongs on the way
 * of a request. Those with secrets are never kept for another request.
 */
#ifndef SERVER_ENGINES_H
#define SERVER_ENGINES_H

#include <isol8/isol8.h>

enum {
    ENGINES_MAX = 64,         /* kept for the next request */
    ENGINES_IDLE_MS = 600000, /* and no longer than this */
};

struct srv_engines;
struct srv_engine; /* one that somebody uses */

int srv_engines_new(struct srv_engines **out, isol8_host *host, isol8_error *err);

/** Release all of them, which nobody may use any more, and wait for that. NULL is fine. */
void srv_engines_free(struct srv_engines *all);

/** An engine with these options. Return: 0, or why isol8_create() refused. */
int srv_engines_get(struct srv_engines *all, const isol8_options *o, struct srv_engine **out,
                    isol8_error *err);
isol8_engine *srv_engine_of(struct srv_engine *e);
void srv_engines_put(struct srv_engines *all, struct srv_engine *e); /* NULL is fine */

/** Have an engine released by a thread that has the time. @engine is taken. */
void srv_engines_dispose(struct srv_engines *all, isol8_engine *engine);

#endif
