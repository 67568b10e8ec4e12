/* SPDX-License-Identifier: Apache-2.0 */
/* relay.h - a tunnel between a connection's two sockets, without memory while nothing moves. */
#ifndef PROXY_RELAY_H
#define PROXY_RELAY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"

enum {
    RELAY_PIPE_BYTES = 256 * 1024, /* of a pipe used for splice(2), where the kernel grants it */
    RELAY_TURNS = 8,               /* reads of one direction in one event, for fairness */
    RELAY_SPLICE_AFTER = 4,        /* full reads in a row that make a transfer a large one */
};

struct conn;

struct relay_dir {
    struct buf stash; /* read and not yet written; no memory while empty */
    int pipe[2];      /* -1: none */
    uint32_t in_pipe;
    uint8_t full_reads;
    bool no_splice;
    bool is_eof;  /* the source has ended */
    bool is_shut; /* and the destination was told */
};

struct relay {
    struct relay_dir out; /* sandbox to world */
    struct relay_dir in;
    bool has_hello;  /* judging has begun: a deadline that nothing extends */
    bool is_judging; /* the first bytes may be a ClientHello: held back until judged */
};

void relay_init(struct relay *r);
void relay_done(struct conn *c);

/** Enter CONN_TUNNEL. What is in the stashes goes first. @judge: look at the ClientHello. */
void relay_start(struct conn *c, bool judge);
void relay_on_io(struct conn *c, bool is_down, uint32_t events);
void relay_resume(struct conn *c);

#endif
