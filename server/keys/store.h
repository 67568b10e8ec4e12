/* SPDX-License-Identifier: Apache-2.0 */
/**
 * store.h - the table of keys, in whichever database it is
 *
 * Any thread may call. A few connections are kept and made anew when they break. While the database
 * cannot be reached, calls fail at once and one of them now and then tries again; the first failure
 * and the recovery are logged. No call blocks for longer than some seconds.
 *
 * What is read was written by others. A row that is not as it should be is no key: revoked, if it
 * is not clearly otherwise; expired, without a proper time; of nobody, without a proper tenant.
 */
#ifndef SERVER_KEYS_STORE_H
#define SERVER_KEYS_STORE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/rand.h"

enum {
    KEYS_NAME_MAX = 255,       /* bytes of a name */
    KEYS_TENANT_MAX = 255,     /* and of a tenant */
    KEYS_PREFIX_SIZE = 14,     /* "isol8_4f3c..." and NUL */
    KEYS_LIST_MAX = 10000,     /* keys of a list */
    KEYS_CONNECTIONS_MAX = 4,  /* to one database */
    KEYS_WAIT_MS = 3000,       /* for one of them */
    KEYS_BACKOFF_MIN_MS = 100, /* between tries to reach it again; doubles each time */
    KEYS_BACKOFF_MAX_MS = 2000,
};

struct keys_store;

/* A key to be stored; all of it checked. */
struct keys_new {
    char id[RAND_UUID_SIZE];
    const char *name, *tenant;
    char hash[HASH_SHA256_HEX_SIZE];
    char prefix[KEYS_PREFIX_SIZE];
    char created[CLOCK_ISO_SIZE], expires[CLOCK_ISO_SIZE];
};

/* A valid key that was found. */
struct keys_found {
    char tenant[KEYS_TENANT_MAX + 1];
    char expires[CLOCK_ISO_SIZE];
};

/* A row of a list, as it is: texts of any length and bytes. */
struct keys_listed {
    const char *id, *name, *prefix, *tenant, *created, *expires;
    const char *last_used; /* NULL: never */
    bool is_revoked;
};

/** Open the database and make what is missing. @log is copied. Return: 0, or why not, naming the
 * connection without its passwords */
int keys_store_open(struct keys_store **out, const char *connection, const struct log *log,
                    isol8_error *err);
void keys_store_close(struct keys_store *s); /* NULL is fine; nobody may be in a call */

/** The connection without its passwords. */
const char *keys_store_shown(const struct keys_store *s);

int keys_store_insert(struct keys_store *s, const struct keys_new *key, isol8_error *err);

/** Return: 1 with @found when the key of this hash is valid at @now, 0 when not, or why the
 * database cannot tell */
int keys_store_find(struct keys_store *s, const char *hash, const char *now,
                    struct keys_found *found, isol8_error *err);

int keys_store_used(struct keys_store *s, const char *hash, const char *when, isol8_error *err);

/** Call @each for the keys of @tenant, or all (NULL), newest first. @is_cut: there are more than
 * KEYS_LIST_MAX. */
int keys_store_list(struct keys_store *s, const char *tenant,
                    void (*each)(const struct keys_listed *key, void *user), void *user,
                    bool *is_cut, isol8_error *err);

/** Return: 1, 0 when there is no such key, or why not */
int keys_store_revoke(struct keys_store *s, const char *id, isol8_error *err);

/** Delete what is revoked or has expired at @now; @n gets how many. */
int keys_store_purge(struct keys_store *s, const char *now, uint64_t *n, isol8_error *err);

/** Whether it can be a tenant's name or a key's: UTF-8 without control characters, 1 to 255 bytes.
 */
bool keys_word_is_valid(const char *word, size_t n);

#endif
