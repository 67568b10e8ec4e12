/* SPDX-License-Identifier: Apache-2.0 */
/**
 * auth.h - who is calling: the master key, keys in the database, and how often somebody may guess
 *
 * The key and what a client sends are compared by their SHA-256 in constant time. Failed tries are
 * counted by address (IPv6: by /64): 30 at once, then one a second; further ones are answered with
 * 429 without a look at the key, so that guessing is no faster. A key of 32 characters or more
 * cannot be guessed: its holder gets in even from an address that is being limited.
 *
 * Keys of the database cannot be guessed either. Only what has their form is looked up there, and
 * what was valid a moment ago is not. The first look-up of a key takes one of the address's tries,
 * which comes back when the key is valid; from an address that has none left, keys that were not
 * valid lately share AUTH_DOUBTFUL_PER_S look-ups of all such addresses. So guesses cannot keep the
 * database busy, and the holder of a key gets in soon, then at once. A database that cannot be
 * reached is nobody's failed try.
 */
#ifndef SERVER_AUTH_H
#define SERVER_AUTH_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "base/err.h"
#include "server/fault.h"
#include "server/keys/keys.h"

enum {
    AUTH_TRIES = 30,       /* failed ones at once */
    AUTH_REFILL_MS = 1000, /* for one more */
    AUTH_ADDRESSES = 1024, /* remembered; the one that failed longest ago is forgotten */
    AUTH_STRONG_KEY = 32,  /* characters of a key that cannot be guessed */
    AUTH_KEY_MAX = 4096,
    AUTH_DOUBTFUL_PER_S = 50, /* look-ups for addresses that have no try left */
};

enum auth_result {
    AUTH_MASTER,
    AUTH_KEY,
    AUTH_REJECTED,
    AUTH_LIMITED,
    AUTH_UNAVAILABLE,
    AUTH_RESULTS
};

/* Who is calling. */
struct srv_who {
    bool is_master;
    char tenant[KEYS_TENANT_MAX +
                1]; /* of the key; the master's has a name that no other can have: "" */
};

/* A store of tries that fills up with time. */
struct auth_bucket {
    double left;
    uint64_t then_ns;
};

struct auth_tries {
    uint8_t address[16];
    struct auth_bucket bucket;
};

struct srv_auth {
    uint8_t digest[32];
    bool is_strong;
    struct srv_keys *keys; /* borrowed; NULL: the master key only */
    atomic_ullong counts[AUTH_RESULTS];
    pthread_mutex_t mutex;       /* guards the rest */
    struct auth_bucket doubtful; /* look-ups for addresses without tries */
    struct auth_tries tries[AUTH_ADDRESSES];
    size_t n_tries;
};

int srv_auth_init(struct srv_auth *a, const char *key, isol8_error *err);
void srv_auth_done(struct srv_auth *a);

/**
 * srv_auth_check() - Judge the Authorization header
 * @header: Its value, or NULL
 * @peer:   The client's address; NULL for a local socket
 *
 * Return: 0 with @who filled in, or -1 with the fault: 401, 403, 429, 503
 */
int srv_auth_check(struct srv_auth *a, const char *header, const struct sockaddr *peer,
                   struct srv_who *who, struct srv_fault *f);

/** The fault when the database of the keys does not answer. Return: -1 */
int srv_auth_unreachable(struct srv_fault *f);

#endif
