/* SPDX-License-Identifier: Apache-2.0 */
/**
 * flights.h - fetches under way, and who waits for them
 *
 * Theory of operation. Each fetch that differs from the others (address, policy, hash, permission
 * for http) is a flight: a thread that runs remote_fetch(). Who asks for what is already in flight
 * joins it; so fifty at once cost one request. A waiter has an eventfd, which is written to when
 * the result is there. A waiter that leaves ends the flight only when it was the last: then the
 * flight's own eventfd ends every wait in the thread at once. Threads that have ended are joined by
 * whoever comes next, the last ones by flights_free().
 */
#ifndef EXECUTOR_REMOTE_FLIGHTS_H
#define EXECUTOR_REMOTE_FLIGHTS_H

#include "base/log.h"
#include "executor/remote/fetch.h"

struct flights;
struct flight;

/* One who waits; in the asker's structure, where it must stay while it waits. */
struct flight_wait {
    int fd;                /* eventfd of the waiter; written to once, when the result is there */
    struct flight *flight; /* NULL: not waiting any more */
    struct flight_wait *next;
    bool is_done;
    struct remote_code *code; /* a reference of the waiter's own; NULL: failed */
    isol8_error error;
};

/** @settings, @ca_file, @data_root, @log: borrowed until flights_free(). */
int flights_new(struct flights **out, const struct proxy_settings *settings, const char *ca_file,
                const char *data_root, const struct log *log, isol8_error *err);

/** End what is still in flight; nobody may wait any more. NULL is fine. */
void flights_free(struct flights *f);

/** Fetch, or join who does. @wait: its fd filled in, the rest zero. @url: checked. */
int flights_join(struct flights *f, struct remote_policy *policy, const struct remote_url *url,
                 bool allow_insecure, const char *hash, struct flight_wait *wait, isol8_error *err);

/** Whether the result is there: wait->code, or wait->error. */
bool flights_is_done(struct flights *f, const struct flight_wait *wait);

/** Give up waiting. Harmless when it is over. A result that was not taken is dropped. */
void flights_leave(struct flights *f, struct flight_wait *wait);

/** How far it is. False: it is over. */
bool flights_progress(struct flights *f, const struct flight_wait *wait, uint64_t *done,
                      uint64_t *total);

/** What is kept of earlier fetches. */
const struct remote_cache *flights_cache(const struct flights *f);

#endif
