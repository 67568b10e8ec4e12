/* SPDX-License-Identifier: Apache-2.0 */
/* gate.c - at most so many executions at once, and a queue with an end. */
#include "server/gate.h"

#include <stdint.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/fd.h"

void srv_gate_init(struct srv_gate *g, unsigned max, unsigned queue_max)
{
    *g = (struct srv_gate){ .max = max, .queue_max = queue_max };
    g->last = &g->first;
    (void)pthread_mutex_init(&g->mutex, NULL);
}

void srv_gate_done(struct srv_gate *g)
{
    (void)pthread_mutex_destroy(&g->mutex);
}

/* The caller holds the mutex. */
static int queue(struct srv_gate *g, struct srv_ticket *t)
{
    if (g->queued >= g->queue_max)
        return ISOL8_E_BUSY;
    t->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (t->fd < 0)
        return ISOL8_E_SYS;
    t->next = NULL;
    *g->last = t;
    g->last = &t->next;
    t->is_queued = true;
    g->queued++;
    return 0;
}

int srv_gate_enter(struct srv_gate *g, struct srv_ticket *t)
{
    int r = 0;

    *t = (struct srv_ticket)SRV_TICKET_NONE;
    (void)pthread_mutex_lock(&g->mutex);
    if (g->taken < g->max && g->queued == 0) {
        g->taken++;
        t->has_place = true;
    } else {
        r = queue(g, t);
    }
    (void)pthread_mutex_unlock(&g->mutex);
    return r;
}

bool srv_gate_has_place(struct srv_gate *g, const struct srv_ticket *t)
{
    (void)pthread_mutex_lock(&g->mutex);
    bool has = t->has_place;
    (void)pthread_mutex_unlock(&g->mutex);
    return has;
}

/* The caller holds the mutex. */
static void serve_next(struct srv_gate *g)
{
    struct srv_ticket *t = g->first;
    uint64_t one = 1;

    if (t == NULL || g->taken >= g->max)
        return;
    g->first = t->next;
    if (g->first == NULL)
        g->last = &g->first;
    g->queued--;
    g->taken++;
    t->is_queued = false;
    t->has_place = true;
    (void)!write(t->fd, &one, sizeof(one)); /* a counter of 1 has room */
}

static void unlink_ticket(struct srv_gate *g, struct srv_ticket *t)
{
    struct srv_ticket **at = &g->first;

    while (*at != t)
        at = &(*at)->next;
    *at = t->next;
    if (g->last == &t->next)
        g->last = at;
    g->queued--;
    t->is_queued = false;
}

void srv_gate_leave(struct srv_gate *g, struct srv_ticket *t)
{
    (void)pthread_mutex_lock(&g->mutex);
    if (t->is_queued)
        unlink_ticket(g, t);
    if (t->has_place) {
        t->has_place = false;
        g->taken--;
        serve_next(g);
    }
    (void)pthread_mutex_unlock(&g->mutex);
    t->fd = fd_close(t->fd);
}

void srv_gate_counts(struct srv_gate *g, unsigned *taken, unsigned *queued)
{
    (void)pthread_mutex_lock(&g->mutex);
    *taken = g->taken;
    *queued = g->queued;
    (void)pthread_mutex_unlock(&g->mutex);
}
