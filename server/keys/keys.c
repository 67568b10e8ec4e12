/* SPDX-License-Identifier: Apache-2.0 */
/* keys.c - keys in a database: made, listed, revoked, and told from guesses. */
#include "server/keys/keys.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

#define MS_NS 1000000u
#define PURGE_MS_MAX 31557600000u /* a year: the configuration has room for more than a clock */

static const char key_start[] = "isol8_";

struct use {
    char hash[HASH_SHA256_HEX_SIZE];
    char when[CLOCK_ISO_SIZE];
};

struct srv_keys {
    struct log log;
    int64_t cleanup_ms;
    struct keys_store *store;
    struct keys_cache cache;
    pthread_mutex_t mutex; /* guards the rest */
    pthread_cond_t changed;
    struct use uses[KEYS_USES_MAX];
    size_t n_uses;
    uint64_t uses_ns; /* when the first of them came */
    bool is_over;
    pthread_t keeper;
    bool has_keeper;
};

static void now_text(char out[CLOCK_ISO_SIZE])
{
    clock_iso(clock_wall_ms(), out);
}

/* ---- Telling keys from guesses --------------------------------------------------------------- */

bool srv_keys_has_form(const char *token)
{
    size_t n = sizeof(key_start) - 1;

    return strlen(token) == KEYS_KEY_SIZE - 1 && strncmp(token, key_start, n) == 0 &&
           strspn(token + n, "0123456789abcdef") == KEYS_KEY_SIZE - 1 - n;
}

enum cache_look srv_keys_recall(struct srv_keys *k, const uint8_t digest[KEYS_DIGEST_SIZE],
                                struct keys_found *found)
{
    char now[CLOCK_ISO_SIZE];

    now_text(now);
    return keys_cache_look(&k->cache, digest, now, found);
}

static void note_use(struct srv_keys *k, const char *hash, const char *when)
{
    (void)pthread_mutex_lock(&k->mutex);
    if (k->n_uses < KEYS_USES_MAX) {
        struct use *u = &k->uses[k->n_uses++];
        memcpy(u->hash, hash, sizeof(u->hash));
        memcpy(u->when, when, sizeof(u->when));
        if (k->n_uses == 1) {
            k->uses_ns = clock_now_ns();
            (void)pthread_cond_signal(&k->changed);
        }
    }
    (void)pthread_mutex_unlock(&k->mutex);
}

int srv_keys_look_up(struct srv_keys *k, const uint8_t digest[KEYS_DIGEST_SIZE],
                     struct keys_found *found)
{
    uint64_t generation = keys_cache_generation(&k->cache);
    char hash[HASH_SHA256_HEX_SIZE], now[CLOCK_ISO_SIZE];

    hash_hex(digest, KEYS_DIGEST_SIZE, hash);
    now_text(now);
    int r = keys_store_find(k->store, hash, now, found, NULL);
    if (r >= 0)
        keys_cache_put(&k->cache, digest, generation, r > 0 ? found : NULL);
    if (r > 0)
        note_use(k, hash, now);
    return r;
}

/* ---- Keys of the operator -------------------------------------------------------------------- */

int srv_keys_make(struct srv_keys *k, const char *name, const char *tenant, double ttl_ms,
                  struct srv_keys_made *out, isol8_error *err)
{
    char login[sizeof("login-") + CLOCK_ISO_SIZE];
    int64_t now = clock_wall_ms();
    struct keys_new key = { .tenant = tenant };

    (void)snprintf(out->key, sizeof(out->key), "%s", key_start);
    int r = rand_hex(out->key + sizeof(key_start) - 1, 64, err);
    if (r == 0)
        r = rand_uuid(key.id, err);
    if (r == 0)
        r = hash_sha256(out->key, strlen(out->key), key.hash, err);
    if (r < 0)
        return r;
    clock_iso(now, key.created);
    clock_iso(now + (int64_t)ttl_ms, key.expires);
    (void)snprintf(key.prefix, sizeof(key.prefix), "%.10s...", out->key);
    (void)snprintf(login, sizeof(login), "login-%s", key.created);
    key.name = name == NULL ? login : name;
    r = keys_store_insert(k->store, &key, err);
    memcpy(out->id, key.id, sizeof(key.id));
    memcpy(out->prefix, key.prefix, sizeof(key.prefix));
    memcpy(out->expires, key.expires, sizeof(key.expires));
    return r;
}

int srv_keys_revoke(struct srv_keys *k, const char *id, isol8_error *err)
{
    int r = keys_store_revoke(k->store, id, err);

    keys_cache_expire(&k->cache); /* also on failure, which may have come after the change */
    return r;
}

int srv_keys_list(struct srv_keys *k, const char *tenant,
                  void (*each)(const struct keys_listed *key, void *user), void *user, bool *is_cut,
                  isol8_error *err)
{
    return keys_store_list(k->store, tenant, each, user, is_cut, err);
}

/* ---- The keeper ------------------------------------------------------------------------------ */

/* Write what has come until now. The caller holds the mutex, which is free meanwhile. */
static void write_uses(struct srv_keys *k)
{
    size_t n = k->n_uses;
    struct use *uses = malloc(n * sizeof(*uses));

    if (uses != NULL)
        memcpy(uses, k->uses, n * sizeof(*uses));
    k->n_uses = 0;
    (void)pthread_mutex_unlock(&k->mutex);
    for (size_t i = 0; uses != NULL && i < n; i++) {
        if (keys_store_used(k->store, uses[i].hash, uses[i].when, NULL) < 0)
            break; /* the database is gone: no use in trying the others */
    }
    free(uses);
    (void)pthread_mutex_lock(&k->mutex);
}

static void purge(struct srv_keys *k)
{
    char now[CLOCK_ISO_SIZE];
    uint64_t n = 0;

    now_text(now);
    if (keys_store_purge(k->store, now, &n, NULL) == 0)
        log_debug(&k->log, "removed %" PRIu64 " keys that were revoked or had expired", n);
}

static uint64_t next_purge_ns(const struct srv_keys *k)
{
    uint64_t ms = (uint64_t)k->cleanup_ms;

    return clock_now_ns() + (ms < PURGE_MS_MAX ? ms : PURGE_MS_MAX) * MS_NS;
}

static void *run_keeper(void *user)
{
    struct srv_keys *k = user;
    uint64_t purge_ns = next_purge_ns(k);

    (void)pthread_mutex_lock(&k->mutex);
    while (!k->is_over) {
        uint64_t uses_ns = k->n_uses == 0 ? UINT64_MAX
                                          : k->uses_ns + (uint64_t)KEYS_USES_MS * MS_NS;
        uint64_t next = uses_ns < purge_ns ? uses_ns : purge_ns, now = clock_now_ns();
        struct timespec until = { .tv_sec = (time_t)(next / 1000000000u),
                                  .tv_nsec = (long)(next % 1000000000u) };
        if (now < next) {
            (void)pthread_cond_clockwait(&k->changed, &k->mutex, CLOCK_MONOTONIC, &until);
        } else if (now >= uses_ns) {
            write_uses(k);
        } else {
            (void)pthread_mutex_unlock(&k->mutex);
            purge(k);
            (void)pthread_mutex_lock(&k->mutex);
            purge_ns = next_purge_ns(k);
        }
    }
    if (k->n_uses > 0)
        write_uses(k);
    (void)pthread_mutex_unlock(&k->mutex);
    return NULL;
}

/* ---- Life ------------------------------------------------------------------------------------ */

int srv_keys_open(struct srv_keys **out, const struct srv_keys_args *args, isol8_error *err)
{
    struct srv_keys *k = calloc(1, sizeof(*k));

    if (k == NULL)
        return err_nomem(err);
    k->log = args->log;
    k->cleanup_ms = args->cleanup_ms;
    keys_cache_init(&k->cache);
    (void)pthread_mutex_init(&k->mutex, NULL);
    (void)pthread_cond_init(&k->changed, NULL);
    int r = keys_store_open(&k->store, args->connection, &k->log, err);
    if (r == 0) {
        k->has_keeper = pthread_create(&k->keeper, NULL, run_keeper, k) == 0;
        r = k->has_keeper ? 0 : err_set(err, ISOL8_E_SYS, "cannot start a thread");
    }
    if (r < 0) {
        srv_keys_close(k);
        return r;
    }
    *out = k;
    return 0;
}

void srv_keys_close(struct srv_keys *k)
{
    if (k == NULL)
        return;
    (void)pthread_mutex_lock(&k->mutex);
    k->is_over = true;
    (void)pthread_cond_signal(&k->changed);
    (void)pthread_mutex_unlock(&k->mutex);
    if (k->has_keeper)
        (void)pthread_join(k->keeper, NULL);
    keys_store_close(k->store);
    keys_cache_done(&k->cache);
    (void)pthread_cond_destroy(&k->changed);
    (void)pthread_mutex_destroy(&k->mutex);
    free(k);
}

const char *srv_keys_shown(const struct srv_keys *k)
{
    return keys_store_shown(k->store);
}

const struct log *srv_keys_log(const struct srv_keys *k)
{
    return &k->log;
}
