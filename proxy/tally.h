/* SPDX-License-Identifier: Apache-2.0 */
/**
 * tally.h - what the proxy decided and moved so far, of all sandboxes together
 *
 * The proxy's thread alone writes, by plain stores that no reader can tear; any thread reads.
 */
#ifndef PROXY_TALLY_H
#define PROXY_TALLY_H

#include <isol8/isol8.h>

struct proxy_tally {
    uint64_t decisions[ISOL8_PROXY_PROTOCOLS][ISOL8_PROXY_OUTCOMES];
    uint64_t bytes_in; /* towards the sandboxes */
    uint64_t bytes_out;
};

static inline void tally_add(uint64_t *counter, uint64_t n)
{
    __atomic_store_n(counter, *counter + n, __ATOMIC_RELAXED);
}

static inline void tally_decision(struct proxy_tally *t, enum isol8_proxy_protocol protocol,
                                  enum isol8_proxy_outcome outcome)
{
    tally_add(&t->decisions[protocol][outcome], 1);
}

/** Each counter by itself is right; together they are of about the same moment. */
void tally_read(const struct proxy_tally *t, struct proxy_tally *out);

#endif
