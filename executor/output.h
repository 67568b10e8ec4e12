/* SPDX-License-Identifier: Apache-2.0 */
/**
 * output.h - one output stream of an execution: mask, then limit, then hand on
 *
 * Masking comes first: cutting first could print half a secret. Above the limit bytes are read,
 * counted and dropped, so that the program is never blocked by a full pipe.
 */
#ifndef EXECUTOR_OUTPUT_H
#define EXECUTOR_OUTPUT_H

#include <stdint.h>

#include "executor/mask.h"

struct output {
    struct mask_stream mask;
    uint64_t limit_bytes;
    uint64_t seen_bytes;   /* produced by the program */
    uint64_t passed_bytes; /* handed on, after masking */
    bool is_truncated;
    bool capture;
    struct buf captured; /* what was handed on, when capturing */
    struct buf chunk;    /* what the last call hands on */
};

void output_init(struct output *o, const struct mask_set *secrets, uint64_t limit_bytes,
                 bool capture);
void output_done(struct output *o);

/** Take @n bytes from the program; what is to be handed on is in o->chunk. False: no memory. */
bool output_feed(struct output *o, const char *data, size_t n, bool is_end);

/** After the end: the truncation marker in o->chunk, when there is one to print. */
bool output_marker(struct output *o);

#endif
