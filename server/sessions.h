/* SPDX-License-Identifier: Apache-2.0 */
/**
 * sessions.h - named engines whose sandbox lives on between requests
 *
 * A session belongs to the tenant whose key made it: an id means nothing outside its tenant. The
 * master key reaches every session; its own come first.
 */
#ifndef SERVER_SESSIONS_H
#define SERVER_SESSIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "server/auth.h"
#include "server/engines.h"

struct srv_sessions;
struct srv_session;

struct srv_sessions_args {
    isol8_host *host;
    struct srv_engines *engines; /* who releases the sessions' engines */
    unsigned max;
    bool prunes;
    int64_t idle_ms; /* after which an unused session is removed */
};

int srv_sessions_new(struct srv_sessions **out, const struct srv_sessions_args *args,
                     isol8_error *err);
void srv_sessions_free(struct srv_sessions *all); /* ends all of them; NULL is fine */

/**
 * srv_sessions_use() - The session, for an execution; made when there is none
 *
 * Return: 0 with it held until srv_sessions_put(), ISOL8_E_BUSY when there are too many, or why the
 * options are refused
 */
int srv_sessions_use(struct srv_sessions *all, const struct srv_who *who, const char *id,
                     const isol8_options *o, struct srv_session **out, isol8_error *err);

/** The session if there is one, for its files; held until srv_sessions_put(). */
struct srv_session *srv_sessions_find(struct srv_sessions *all, const struct srv_who *who,
                                      const char *id);

isol8_engine *srv_session_engine(struct srv_session *s);

/** True when it was ended meanwhile: nothing may be started in it. */
bool srv_session_is_over(struct srv_session *s);

/** @was_good: isol8 did what was asked. One whose first execution was not is forgotten. */
void srv_sessions_put(struct srv_sessions *all, struct srv_session *s, bool is_execution,
                      bool was_good);

/** End a session: its executions are cut off. Return: 0 (also when there is none), or why its
 * sandbox could not be removed */
int srv_sessions_end(struct srv_sessions *all, const struct srv_who *who, const char *id,
                     isol8_error *err);

struct srv_sessions_report {
    unsigned removed, failed;
};

/** End all of them. @failed may be NULL: called with id and reason. */
void srv_sessions_end_all(struct srv_sessions *all, struct srv_sessions_report *report,
                          void (*failed)(const char *id, const char *why, void *user), void *user);

/** Call @each for what @who may see, in the order they were made, under a lock. */
void srv_sessions_list(struct srv_sessions *all, const struct srv_who *who,
                       void (*each)(const char *id, bool is_active, int64_t last_wall_ms,
                                    void *user),
                       void *user);

unsigned srv_sessions_count(struct srv_sessions *all);

#endif
