/* SPDX-License-Identifier: Apache-2.0 */
/**
 * flow.h - an execution as a sequence of events, each a JSON text
 *
 * What `/execute/stream` and `/execute/ws` send: {"type", "data", "phase"?}. The last one is the
 * program's exit, or an error without a phase when isol8 failed. Text is cut between characters
 * only.
 */
#ifndef SERVER_FLOW_H
#define SERVER_FLOW_H

#include "server/exec.h"

#define FLOW_EVENT_MAX (1u << 22) /* bytes of one event: 64 KiB of text, all of it escaped */

struct flow {
    struct exec *x;
    void (*emit)(void *user, const char *json, size_t n);
    void *user;
    char held[2][4]; /* the beginning of a character that a read has cut; stdout, stderr */
    size_t n_held[2];
};

/**
 * flow_step() - Do what can be done without waiting, up to one event
 *
 * Return: true when there was nothing to do: wait for flow_fd()
 */
bool flow_step(struct flow *fl);

/** Readable when there is something to do; before the execution is over. */
int flow_fd(const struct flow *fl);

/** The execution was cancelled: end it now. Blocks until nothing of it is left. */
void flow_end(struct flow *fl);

/** Say {"type":"error"} without a phase. */
void flow_error(struct flow *fl, const char *text);

#endif
