/* SPDX-License-Identifier: Apache-2.0 */
/**
 * keys.h - keys in a database: made, listed, revoked, and told from guesses
 *
 * A key is "isol8_" and 64 lower-case hex digits, from 32 random bytes. The database has its
 * SHA-256 only: whoever reads the table has no key, and who has a key finds its row by an index.
 * How long the database takes to compare hashes tells a guesser nothing: he chooses the key, not
 * the hash.
 *
 * A thread removes what is revoked or expired, and writes when keys were used: at most once a
 * second for each, behind the requests' backs. What cannot be written then is let go.
 */
#ifndef SERVER_KEYS_KEYS_H
#define SERVER_KEYS_KEYS_H

#include "server/keys/cache.h"
#include "server/keys/store.h"

#define KEYS_TTL_MAX 3155760000000.0 /* milliseconds: a hundred years */

enum {
    KEYS_KEY_SIZE = 71,   /* "isol8_", 64 digits and NUL */
    KEYS_USES_MAX = 1024, /* waiting to be written; further ones are let go */
    KEYS_USES_MS = 1000,  /* how long they wait */
};

struct srv_keys;

struct srv_keys_args {
    const char *connection; /* conn.h */
    int64_t cleanup_ms;     /* between removals of what is over */
    struct log log;         /* ISOL8_LOG_INFO: for the server's own log */
};

/** Return: 0, or why not, naming the connection without its passwords */
int srv_keys_open(struct srv_keys **out, const struct srv_keys_args *args, isol8_error *err);
void srv_keys_close(struct srv_keys *k); /* NULL is fine; nobody may be in a call */

/** The connection without its passwords. */
const char *srv_keys_shown(const struct srv_keys *k);
const struct log *srv_keys_log(const struct srv_keys *k);

/** Whether @token could be a key at all: nothing else reaches the database. */
bool srv_keys_has_form(const char *token);

/** What is known of a key without asking the database; @found is filled in when fresh. */
enum cache_look srv_keys_recall(struct srv_keys *k, const uint8_t digest[KEYS_DIGEST_SIZE],
                                struct keys_found *found);

/** Ask the database. Return: 1 with @found, 0 when there is no such key or it is over, or why the
 * database cannot tell */
int srv_keys_look_up(struct srv_keys *k, const uint8_t digest[KEYS_DIGEST_SIZE],
                     struct keys_found *found);

/* A key that was just made; wiped by whoever has it. */
struct srv_keys_made {
    char key[KEYS_KEY_SIZE];
    char id[RAND_UUID_SIZE];
    char prefix[KEYS_PREFIX_SIZE];
    char expires[CLOCK_ISO_SIZE];
};

/** @name NULL: "login-" and the time. @name and @tenant must be valid words, @ttl_ms in its range.
 */
int srv_keys_make(struct srv_keys *k, const char *name, const char *tenant, double ttl_ms,
                  struct srv_keys_made *out, isol8_error *err);

/** Return: 1 once it opens nothing any more, 0 when there is no such key, or why not */
int srv_keys_revoke(struct srv_keys *k, const char *id, isol8_error *err);

/** See keys_store_list(). */
int srv_keys_list(struct srv_keys *k, const char *tenant,
                  void (*each)(const struct keys_listed *key, void *user), void *user, bool *is_cut,
                  isol8_error *err);

#endif
