/* SPDX-License-Identifier: Apache-2.0 */
/**
 * gate.h - at most so many executions at once in the whole server, and a queue with an end
 *
 * First come, first served. Who has to wait polls the ticket's descriptor beside its client's.
 */
#ifndef SERVER_GATE_H
#define SERVER_GATE_H

#include <pthread.h>
#include <stdbool.h>

#include <isol8/isol8.h>

struct srv_ticket {
    struct srv_ticket *next;
    int fd; /* eventfd, readable once the place is there; -1 while none was needed */
    bool is_queued, has_place;
};

#define SRV_TICKET_NONE                                                                            \
    {                                                                                              \
        .fd = -1                                                                                   \
    }

struct srv_gate {
    pthread_mutex_t mutex; /* guards what follows, and the tickets in the queue */
    struct srv_ticket *first, **last;
    unsigned max, taken;
    unsigned queue_max, queued;
};

void srv_gate_init(struct srv_gate *g, unsigned max, unsigned queue_max);
void srv_gate_done(struct srv_gate *g);

/** Take a place or queue @t, which must stay where it is until srv_gate_leave().
 * Return: 0 (t->has_place says which), ISOL8_E_BUSY when the queue is full, ISOL8_E_SYS */
int srv_gate_enter(struct srv_gate *g, struct srv_ticket *t);

/** True when the ticket has its place by now. */
bool srv_gate_has_place(struct srv_gate *g, const struct srv_ticket *t);

/** Give the place back, or leave the queue; harmless when neither. */
void srv_gate_leave(struct srv_gate *g, struct srv_ticket *t);

void srv_gate_counts(struct srv_gate *g, unsigned *taken, unsigned *queued);

#endif
