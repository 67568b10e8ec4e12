/* SPDX-License-Identifier: Apache-2.0 */
/* cache.c - keys that were valid a moment ago. */
#include "server/keys/cache.h"

#include <string.h>

/* The entry of a digest's place. The caller holds the mutex. */
static struct cache_entry *entry_of(struct keys_cache *c, const uint8_t digest[KEYS_DIGEST_SIZE])
{
    return &c->entries[(digest[0] << 8 | digest[1]) % CACHE_SIZE];
}

void keys_cache_init(struct keys_cache *c)
{
    *c = (struct keys_cache){ .generation = 0 };
    (void)pthread_mutex_init(&c->mutex, NULL);
}

void keys_cache_done(struct keys_cache *c)
{
    (void)pthread_mutex_destroy(&c->mutex);
}

enum cache_look keys_cache_look(struct keys_cache *c, const uint8_t digest[KEYS_DIGEST_SIZE],
                                const char *now, struct keys_found *found)
{
    enum cache_look look = CACHE_NEVER;

    (void)pthread_mutex_lock(&c->mutex);
    const struct cache_entry *e = entry_of(c, digest);
    if (e->is_used && memcmp(e->digest, digest, KEYS_DIGEST_SIZE) == 0) {
        uint64_t age_ns = clock_now_ns() - e->then_ns;
        bool is_fresh = e->generation == c->generation &&
                        age_ns < (uint64_t)CACHE_FRESH_MS * 1000000u &&
                        strcmp(e->key.expires, now) > 0;
        look = is_fresh ? CACHE_FRESH : CACHE_STALE;
        if (is_fresh)
            *found = e->key;
    }
    (void)pthread_mutex_unlock(&c->mutex);
    return look;
}

uint64_t keys_cache_generation(struct keys_cache *c)
{
    (void)pthread_mutex_lock(&c->mutex);
    uint64_t generation = c->generation;
    (void)pthread_mutex_unlock(&c->mutex);
    return generation;
}

void keys_cache_put(struct keys_cache *c, const uint8_t digest[KEYS_DIGEST_SIZE],
                    uint64_t generation, const struct keys_found *found)
{
    (void)pthread_mutex_lock(&c->mutex);
    struct cache_entry *e = entry_of(c, digest);
    if (found != NULL && generation == c->generation) {
        e->is_used = true;
        memcpy(e->digest, digest, KEYS_DIGEST_SIZE);
        e->key = *found;
        e->generation = generation;
        e->then_ns = clock_now_ns();
    } else if (found == NULL && memcmp(e->digest, digest, KEYS_DIGEST_SIZE) == 0) {
        e->is_used = false;
    }
    (void)pthread_mutex_unlock(&c->mutex);
}

void keys_cache_expire(struct keys_cache *c)
{
    (void)pthread_mutex_lock(&c->mutex);
    c->generation++;
    (void)pthread_mutex_unlock(&c->mutex);
}
