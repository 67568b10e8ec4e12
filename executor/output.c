/* SPDX-License-Identifier: Apache-2.0 */
/* output.c - one output stream of an execution: mask, then limit, then hand on. */
#include "executor/output.h"

#include <inttypes.h>

enum {
    CHUNK_MAX = 64 << 20, /* one read and what was held back before it, masked */
    MARKER_ROOM = 128,
};

void output_init(struct output *o, const struct mask_set *secrets, uint64_t limit_bytes,
                 bool capture)
{
    uint64_t room = limit_bytes > SIZE_MAX / 2 ? SIZE_MAX / 2 : limit_bytes;

    *o = (struct output){ .limit_bytes = limit_bytes, .capture = capture };
    mask_stream_init(&o->mask, secrets);
    buf_init(&o->captured, (size_t)room + MARKER_ROOM);
    buf_init(&o->chunk, CHUNK_MAX);
}

void output_done(struct output *o)
{
    mask_stream_done(&o->mask);
    buf_done(&o->captured);
    buf_done(&o->chunk);
}

static bool hand_on(struct output *o)
{
    if (o->chunk.len > 0 && o->capture)
        return buf_add(&o->captured, o->chunk.data, o->chunk.len);
    return true;
}

bool output_feed(struct output *o, const char *data, size_t n, bool is_end)
{
    o->seen_bytes += n;
    buf_clear(&o->chunk);
    if (o->is_truncated)
        return true;
    if (!mask_stream_feed(&o->mask, data, n, is_end, &o->chunk))
        return false;
    if (o->chunk.len > o->limit_bytes - o->passed_bytes) {
        o->chunk.len = (size_t)(o->limit_bytes - o->passed_bytes);
        o->chunk.data[o->chunk.len] = '\0';
        o->is_truncated = true;
    }
    o->passed_bytes += o->chunk.len;
    return hand_on(o);
}

bool output_marker(struct output *o)
{
    buf_clear(&o->chunk);
    if (!o->is_truncated)
        return true;
    (void)buf_addf(&o->chunk,
                   "\n\n--- OUTPUT TRUNCATED (%" PRIu64 " bytes, limit: %" PRIu64 ") ---",
                   o->seen_bytes, o->limit_bytes);
    return !o->chunk.failed && hand_on(o);
}
