/* SPDX-License-Identifier: Apache-2.0 */
/**
 * turns.h - a counting semaphore that serves in order of arrival, and is waited for by descriptor
 *
 * Who finds all places taken queues a struct turn with an eventfd of its own, which polls readable
 * once a place was given to it. So a run can wait together with everything else it waits for, and
 * be cancelled meanwhile.
 */
#ifndef EXECUTOR_TURNS_H
#define EXECUTOR_TURNS_H

#include <pthread.h>
#include <stdbool.h>

struct turn {
    struct turn *next;
    int fd; /* eventfd of the waiter; written to once, when the place is given */
    bool has_place;
};

struct turns {
    pthread_mutex_t mutex;
    struct turn *first, **last;
    unsigned max;
    unsigned taken; /* places; those given to turns in the queue's past included */
};

void turns_init(struct turns *t, unsigned max);
void turns_done(struct turns *t);

/** Take a place, or queue @turn (fd filled in; it must stay where it is). Return: true when the
 * place is there at once. */
bool turns_take(struct turns *t, struct turn *turn);

/** Give a place back, or leave the queue without one. Harmless for a turn that has neither. */
void turns_leave(struct turns *t, struct turn *turn);

/** True when the queued @turn has its place by now. */
bool turns_has_place(struct turns *t, struct turn *turn);

#endif
