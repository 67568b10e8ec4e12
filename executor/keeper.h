/* SPDX-License-Identifier: Apache-2.0 */
/**
 * keeper.h - one thread that keeps an eye on what belongs to no call: timers, forgotten pipes
 *
 * Started when it is first needed. It never blocks on anything but its event loop.
 */
#ifndef EXECUTOR_KEEPER_H
#define EXECUTOR_KEEPER_H

#include "base/evloop.h"

enum { KEEPER_DRAINS_MAX = 1024 }; /* pipes at once */

struct keeper;

int keeper_new(struct keeper **out, isol8_error *err);

/** End the thread; descriptors still being drained are closed. NULL is fine. */
void keeper_free(struct keeper *k);

/** Have @fn called on the keeper's thread, with its loop at hand. False: there is none. */
bool keeper_call(struct keeper *k, void (*fn)(void *user), void *user);

struct evloop *keeper_loop(struct keeper *k);

/** Read @fd (taken) to its end and drop what comes: a program of a session that goes on in the
 * background may still write to it, and must neither block nor die of that. Of more than
 * KEEPER_DRAINS_MAX it is closed instead: who collects such pipes must not use up descriptors. */
void keeper_drain(struct keeper *k, int fd);

#endif
