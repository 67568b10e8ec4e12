/* SPDX-License-Identifier: Apache-2.0 */
/**
 * cache.h - keys that were valid a moment ago
 *
 * Keeps the database off the way of a client that sends one request after the other. An entry is
 * good for CACHE_FRESH_MS and not beyond its key's own end; all of them stop being good when a key
 * is revoked. An entry that is not good any more still tells that its key was valid once: guesses
 * are never in here. Its place is given by the digest; two keys of one place take turns.
 */
#ifndef SERVER_KEYS_CACHE_H
#define SERVER_KEYS_CACHE_H

#include <pthread.h>

#include "server/keys/store.h"

enum {
    KEYS_DIGEST_SIZE = 32,
    CACHE_SIZE = 512,
    CACHE_FRESH_MS = 1000,
};

struct cache_entry {
    uint8_t digest[KEYS_DIGEST_SIZE];
    bool is_used;
    struct keys_found key;
    uint64_t generation, then_ns;
};

struct keys_cache {
    pthread_mutex_t mutex; /* guards the rest */
    uint64_t generation;
    struct cache_entry entries[CACHE_SIZE];
};

enum cache_look {
    CACHE_NEVER, /* this key was not valid lately */
    CACHE_STALE, /* it was, and must be looked up again */
    CACHE_FRESH, /* it is */
};

void keys_cache_init(struct keys_cache *c);
void keys_cache_done(struct keys_cache *c);

/** @found is filled in when fresh. @now: wall time, as in the database. */
enum cache_look keys_cache_look(struct keys_cache *c, const uint8_t digest[KEYS_DIGEST_SIZE],
                                const char *now, struct keys_found *found);

/** Before a look-up: what keys_cache_put() needs. */
uint64_t keys_cache_generation(struct keys_cache *c);

/** @found: what was looked up, NULL: not valid any more. Without effect when a key was revoked
 * since
 * @generation: it may have been this one. */
void keys_cache_put(struct keys_cache *c, const uint8_t digest[KEYS_DIGEST_SIZE],
                    uint64_t generation, const struct keys_found *found);

/** A key was revoked: every one must be looked up again. */
void keys_cache_expire(struct keys_cache *c);

#endif
