/* SPDX-License-Identifier: Apache-2.0 */
/**
 * driver.h - one connection to one kind of database, as store.c drives it
 *
 * A driver knows its library and its spelling of the statements (sql.h), and nothing else. Values
 * go to the database as parameters, in text form; what comes back is text as well, and is foreign:
 * of any type and encoding, up to SQL_TEXT_MAX characters. One thread at a time uses a connection.
 */
#ifndef SERVER_KEYS_DRIVER_H
#define SERVER_KEYS_DRIVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "server/keys/conn.h"

enum {
    KEYS_CONNECT_MS = 3000, /* to make a connection */
    KEYS_QUERY_MS = 3000,   /* for an answer; SQLite: for its lock */
    KEYS_COLUMNS_MAX = 8,
    KEYS_PARAMS_MAX = 7,
};

enum keys_statement {
    KEYS_PROBE, /* fails unless the table is as it should be */
    KEYS_CREATE_TABLE,
    KEYS_CREATE_INDEX, /* NULL: part of the table */
    KEYS_INSERT,       /* id, name, hash, prefix, tenant, created, expires */
    KEYS_FIND,         /* hash -> id, tenant, expires, revoked */
    KEYS_USED,         /* when, hash */
    KEYS_LIST,         /* -> id, name, prefix, tenant, created, expires, last used, revoked */
    KEYS_LIST_OF,      /* tenant -> the same */
    KEYS_REVOKE,       /* id */
    KEYS_PURGE,        /* now */
    KEYS_STATEMENTS
};

struct keys_column {
    const char *text; /* not terminated; NULL: SQL's NULL */
    size_t n;
};

struct keys_answer {
    void (*row)(const struct keys_column *columns, void *user); /* NULL: rows are passed over */
    void *user;
    uint64_t rows;    /* that have come */
    uint64_t changed; /* by the statement */
};

/** Hand a row on. */
static inline void keys_give_row(struct keys_answer *a, const struct keys_column *columns)
{
    a->rows++;
    if (a->row != NULL)
        a->row(columns, a->user);
}

struct keys_driver {
    unsigned connections;   /* at most, at once */
    const char *const *sql; /* by enum keys_statement */
    /** @is_first: what is missing may be made; @warn: something to tell the operator, or "".
     * Return: 0 with @db, or why not */
    int (*open)(const struct keys_conn *conn, bool is_first, void **db, isol8_error *warn,
                isol8_error *err);
    /** @params: as many as @s has. Return: 0, or why not */
    int (*run)(void *db, enum keys_statement s, const char *const *params, struct keys_answer *a,
               isol8_error *err);
    void (*close)(void *db);
};

extern const struct keys_driver keys_sqlite, keys_postgres, keys_mysql;

/** How many parameters a statement has. */
unsigned keys_params_of(enum keys_statement s);

#endif
