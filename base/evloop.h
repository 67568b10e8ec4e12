/* SPDX-License-Identifier: Apache-2.0 */
/**
 * evloop.h - one thread's event loop: descriptors, timers, calls from other threads
 *
 * Level-triggered epoll. Watchers and timers are intrusive: they live in the caller's structures
 * and need no allocation. A loop belongs to the thread that runs it; only evl_post() and evl_stop()
 * may be called from elsewhere. A handler may remove any watcher or timer, itself included: events
 * of the same batch for it are dropped. Memory that holds a watcher must live until the end of the
 * batch in which it was removed: free it by evl_defer().
 */
#ifndef BASE_EVLOOP_H
#define BASE_EVLOOP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct evloop;

struct evl_io {
    void (*fn)(struct evl_io *io, uint32_t events); /* EPOLLIN, EPOLLOUT, EPOLLHUP, ... */
    int fd;
    uint32_t events; /* what is watched; 0 while not added */
    bool is_added;
};

struct evl_timer {
    void (*fn)(struct evl_timer *t);
    uint64_t due_ns;   /* monotonic */
    size_t heap_index; /* SIZE_MAX while not armed; set by evl_timer_init() */
};

struct evl_deferred {
    void (*fn)(struct evl_deferred *d);
    struct evl_deferred *next;
};

int evl_new(struct evloop **out, isol8_error *err);
void evl_free(struct evloop *l);

/** Run until evl_stop(). Return: 0 or a negative status when waiting itself fails. */
int evl_run(struct evloop *l, isol8_error *err);

/** Any thread: end evl_run() after the present batch. */
void evl_stop(struct evloop *l);

/** Any thread: have @fn called by the loop's thread, in the order posted. False: no memory. */
bool evl_post(struct evloop *l, void (*fn)(void *user), void *user);

/** Watch io->fd (borrowed) for @events, or change what is watched. 0 watches errors only. */
int evl_io_set(struct evloop *l, struct evl_io *io, uint32_t events, isol8_error *err);

/** Stop watching; absent is fine. Must come before the descriptor is closed. */
void evl_io_remove(struct evloop *l, struct evl_io *io);

void evl_timer_init(struct evl_timer *t, void (*fn)(struct evl_timer *t));

/** (Re)arm for @ms from now. False: no memory. */
bool evl_timer_set(struct evloop *l, struct evl_timer *t, uint64_t ms);
void evl_timer_cancel(struct evloop *l, struct evl_timer *t);

/** Call @d->fn after the present batch of events. */
void evl_defer(struct evloop *l, struct evl_deferred *d);

/** The time read once for the present batch, monotonic nanoseconds. */
uint64_t evl_now_ns(const struct evloop *l);

#endif
