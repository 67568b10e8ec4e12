/* SPDX-License-Identifier: Apache-2.0 */
/* turns.c - a counting semaphore that serves in order of arrival. */
#include "executor/turns.h"

#include <stdint.h>
#include <unistd.h>

void turns_init(struct turns *t, unsigned max)
{
    *t = (struct turns){ .max = max };
    t->last = &t->first;
    (void)pthread_mutex_init(&t->mutex, NULL);
}

void turns_done(struct turns *t)
{
    (void)pthread_mutex_destroy(&t->mutex);
}

bool turns_take(struct turns *t, struct turn *turn)
{
    (void)pthread_mutex_lock(&t->mutex);
    turn->next = NULL;
    turn->has_place = t->first == NULL && t->taken < t->max;
    if (turn->has_place) {
        t->taken++;
    } else {
        *t->last = turn;
        t->last = &turn->next;
    }
    bool has_place = turn->has_place;
    (void)pthread_mutex_unlock(&t->mutex);
    return has_place;
}

static void unlink_turn(struct turns *t, struct turn *turn)
{
    for (struct turn **p = &t->first; *p != NULL; p = &(*p)->next) {
        if (*p == turn) {
            *p = turn->next;
            if (t->last == &turn->next)
                t->last = p;
            return;
        }
    }
}

void turns_leave(struct turns *t, struct turn *turn)
{
    uint64_t one = 1;

    (void)pthread_mutex_lock(&t->mutex);
    if (turn->has_place)
        t->taken--;
    else
        unlink_turn(t, turn);
    turn->has_place = false;
    while (t->first != NULL && t->taken < t->max) {
        struct turn *first = t->first;
        t->first = first->next;
        if (t->first == NULL)
            t->last = &t->first;
        t->taken++;
        first->has_place = true;
        (void)!write(first->fd, &one, sizeof(one)); /* under the lock: @first may go at once */
    }
    (void)pthread_mutex_unlock(&t->mutex);
}

bool turns_has_place(struct turns *t, struct turn *turn)
{
    (void)pthread_mutex_lock(&t->mutex);
    bool has_place = turn->has_place;
    (void)pthread_mutex_unlock(&t->mutex);
    return has_place;
}
