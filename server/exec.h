/* SPDX-License-Identifier: Apache-2.0 */
/**
 * exec.h - one execution that a client asked for, from its order until nothing of it is left
 *
 * An execution passes the gate, takes an engine (its session's, or one shared by requests with the
 * same options) and drives a run to its end, on one thread. How it waits, and what becomes of the
 * output, is the business of its caller: a buffered answer (execute.c), or events (flow.h).
 */
#ifndef SERVER_EXEC_H
#define SERVER_EXEC_H

#include "server/order.h"
#include "server/srv.h"

enum exec_state { EXEC_QUEUED, EXEC_RUNNING, EXEC_OVER };

struct exec {
    struct srv *srv;
    struct srv_order order;
    struct srv_ticket ticket;
    struct srv_engine *engine;   /* without a session */
    struct srv_session *session; /* with one */
    struct srv_who who;
    isol8_run *run;
    enum exec_state state;
    bool is_cancelled, was_killed;
    bool was_good; /* there is a result */
    uint64_t came_ns, began_ns;
};

/**
 * exec_new() - Check an order and put it in the queue
 * @out:   Also filled in on failure: exec_free()
 * @order: Taken, also on failure
 *
 * Return: 0, or -1 with the fault
 */
int exec_new(struct exec **out, struct srv *s, const struct srv_who *who, cJSON *order,
             struct srv_fault *f);

/** End what is under way and give everything back. NULL is fine. */
void exec_free(struct exec *x);

/** It has its place: begin. Return: 0, or why isol8 failed. */
int exec_begin(struct exec *x, unsigned flags, isol8_error *err);

/** End it soon; it is driven to its end all the same. */
void exec_cancel(struct exec *x);

/** True when its time was up a moment ago: who has not looked at its run since must do so, even if
 * its client does not take what it says. Else a client that reads slowly would outlast limits. */
bool exec_is_late(const struct exec *x);

/** Act upon what srv_wait() says: the client has left, or the server waits no longer. */
void exec_on_wake(struct exec *x, enum srv_wake wake);

/** Drive the run to its end and take its result. Return: 0, or why isol8 failed. */
int exec_finish(struct exec *x, isol8_result **res, isol8_error *err);

/** Count what came of it (@res NULL: nothing), and give everything back but the memory. */
void exec_over(struct exec *x, const isol8_result *res);

#endif
