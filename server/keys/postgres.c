/* SPDX-License-Identifier: Apache-2.0 */
/**
 * postgres.c - keys in PostgreSQL, by libpq, loaded on first use
 *
 * The connection string is libpq's own and goes to it as it is, so its parameters (sslmode and so
 * on), its environment (PGPASSWORD, PGPASSFILE) and its files work. Everything is done without
 * blocking, under a deadline of ours: libpq's own one counts for each address of the host anew, and
 * there is none for answers. Only the look-up of the host's name blocks.
 */
#include <errno.h>
#include <libpq-fe.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/dl.h"
#include "base/mem.h"
#include "base/text.h"
#include "server/keys/driver.h"
#include "server/keys/sql.h"

#define SQL_HASH "key_hash"
#define SQL_PREFIX "key_prefix"
#define SQL_TENANT "tenant_id"
#define SQL_CREATED "created_at"
#define SQL_EXPIRES "expires_at"
#define SQL_USED "last_used_at"
#define SQL_CUT(column) "substr(" column ", 1, " SQL_STR(SQL_TEXT_MAX) ")"
#define SQL_YES "TRUE"
#define SQL_NO "FALSE"
#define SQL_P(n) "$" #n

static const char *const statements[KEYS_STATEMENTS] = {
    SQL_STATEMENTS,
    [KEYS_CREATE_TABLE] = "CREATE TABLE IF NOT EXISTS api_keys (id TEXT PRIMARY KEY, "
                          "name TEXT NOT NULL, key_hash TEXT NOT NULL UNIQUE, "
                          "key_prefix TEXT NOT NULL, tenant_id TEXT NOT NULL, "
                          "created_at TEXT NOT NULL, expires_at TEXT NOT NULL, "
                          "last_used_at TEXT, revoked BOOLEAN NOT NULL DEFAULT FALSE)",
    [KEYS_CREATE_INDEX] = "CREATE INDEX IF NOT EXISTS idx_api_keys_key_hash ON api_keys (key_hash)",
};

/* ---- The library ----------------------------------------------------------------------------- */

static struct {
    __typeof__(&PQconnectStartParams) connect_start;
    __typeof__(&PQconnectPoll) connect_poll;
    __typeof__(&PQstatus) status;
    __typeof__(&PQsocket) socket;
    __typeof__(&PQfinish) finish;
    __typeof__(&PQerrorMessage) error_message;
    __typeof__(&PQsetnonblocking) set_nonblocking;
    __typeof__(&PQsetNoticeProcessor) set_notice_processor;
    __typeof__(&PQsendQueryParams) send_query;
    __typeof__(&PQflush) flush;
    __typeof__(&PQconsumeInput) consume_input;
    __typeof__(&PQisBusy) is_busy;
    __typeof__(&PQgetResult) get_result;
    __typeof__(&PQresultStatus) result_status;
    __typeof__(&PQresultErrorMessage) result_error;
    __typeof__(&PQntuples) n_rows;
    __typeof__(&PQnfields) n_fields;
    __typeof__(&PQgetisnull) is_null;
    __typeof__(&PQgetvalue) value;
    __typeof__(&PQgetlength) length;
    __typeof__(&PQcmdTuples) changed;
    __typeof__(&PQclear) clear;
} lib;
static isol8_error load_error;
static int load_status;
static pthread_once_t load_once = PTHREAD_ONCE_INIT;

static void load(void)
{
    static const struct dl_symbol symbols[] = {
        { "PQconnectStartParams", &lib.connect_start },
        { "PQconnectPoll", &lib.connect_poll },
        { "PQstatus", &lib.status },
        { "PQsocket", &lib.socket },
        { "PQfinish", &lib.finish },
        { "PQerrorMessage", &lib.error_message },
        { "PQsetnonblocking", &lib.set_nonblocking },
        { "PQsetNoticeProcessor", &lib.set_notice_processor },
        { "PQsendQueryParams", &lib.send_query },
        { "PQflush", &lib.flush },
        { "PQconsumeInput", &lib.consume_input },
        { "PQisBusy", &lib.is_busy },
        { "PQgetResult", &lib.get_result },
        { "PQresultStatus", &lib.result_status },
        { "PQresultErrorMessage", &lib.result_error },
        { "PQntuples", &lib.n_rows },
        { "PQnfields", &lib.n_fields },
        { "PQgetisnull", &lib.is_null },
        { "PQgetvalue", &lib.value },
        { "PQgetlength", &lib.length },
        { "PQcmdTuples", &lib.changed },
        { "PQclear", &lib.clear },
        { NULL, NULL },
    };

    load_status = dl_load("libpq.so.5", symbols, &load_error);
}

/* ---- Waiting --------------------------------------------------------------------------------- */

/* libpq's messages have newlines and tabs in them. */
static int fail(const char *message, isol8_error *err)
{
    char text[400];
    size_t n = 0;

    for (; *message != '\0' && n + 1 < sizeof(text); message++)
        text[n++] = (unsigned char)*message < ' ' ? ' ' : *message;
    while (n > 0 && text[n - 1] == ' ')
        n--;
    text[n] = '\0';
    return err_set(err, ISOL8_E_SYS, "PostgreSQL: %s", text);
}

static int wait_for(PGconn *db, short events, uint64_t end_ns, isol8_error *err)
{
    struct pollfd fd = { .fd = lib.socket(db), .events = events };

    while (true) {
        uint64_t now = clock_now_ns();
        int n = now >= end_ns ? 0 : poll(&fd, 1, (int)((end_ns - now) / 1000000u) + 1);
        if (n > 0)
            return 0;
        if (n == 0)
            return err_set(err, ISOL8_E_TIMEOUT, "PostgreSQL did not answer in time");
        if (errno != EINTR)
            return err_sys(err, errno, "cannot wait for PostgreSQL");
    }
}

static uint64_t end_in(unsigned ms)
{
    return clock_now_ns() + (uint64_t)ms * 1000000u;
}

/* ---- A connection ---------------------------------------------------------------------------- */

/* Remarks of the database, which libpq would print. */
static void on_notice(void *user, const char *message)
{
    (void)user;
    (void)message;
}

static void close_db(void *db)
{
    lib.finish(db);
}

static int connect_db(PGconn *db, isol8_error *err)
{
    uint64_t end_ns = end_in(KEYS_CONNECT_MS);
    PostgresPollingStatusType next = PGRES_POLLING_WRITING;
    int r = 0;

    if (lib.status(db) == CONNECTION_BAD)
        return fail(lib.error_message(db), err);
    while (r == 0 && next != PGRES_POLLING_OK) {
        r = wait_for(db, next == PGRES_POLLING_READING ? POLLIN : POLLOUT, end_ns, err);
        if (r == 0)
            next = lib.connect_poll(db);
        if (r == 0 && next == PGRES_POLLING_FAILED)
            r = fail(lib.error_message(db), err);
    }
    if (r == 0 && lib.set_nonblocking(db, 1) != 0)
        r = fail(lib.error_message(db), err);
    return r;
}

static int open_db(const struct keys_conn *conn, bool is_first, void **out, isol8_error *warn,
                   isol8_error *err)
{
    static const char *const names[] = { "dbname", "fallback_application_name", "client_encoding",
                                         NULL };
    const char *const values[] = { conn->target, "isol8-server", "UTF8", NULL };

    (void)is_first;
    (void)warn;
    (void)pthread_once(&load_once, load);
    if (load_status < 0) {
        *err = load_error;
        return load_status;
    }
    PGconn *db = lib.connect_start(names, values, 1);
    if (db == NULL)
        return err_nomem(err);
    (void)lib.set_notice_processor(db, on_notice, NULL);
    int r = connect_db(db, err);
    if (r < 0) {
        close_db(db);
        return r;
    }
    *out = db;
    return 0;
}

static void give_rows(const PGresult *result, struct keys_answer *a)
{
    int n_fields = lib.n_fields(result);

    for (int row = 0; row < lib.n_rows(result); row++) {
        struct keys_column columns[KEYS_COLUMNS_MAX] = { { NULL, 0 } };
        for (int i = 0; i < n_fields && i < KEYS_COLUMNS_MAX; i++) {
            if (lib.is_null(result, row, i))
                continue;
            columns[i].text = lib.value(result, row, i);
            columns[i].n = (size_t)lib.length(result, row, i);
        }
        keys_give_row(a, columns);
    }
}

static int take_result(PGresult *result, struct keys_answer *a, isol8_error *err)
{
    ExecStatusType status = lib.result_status(result);
    int r = 0;

    if (status == PGRES_TUPLES_OK)
        give_rows(result, a);
    else if (status != PGRES_COMMAND_OK)
        r = fail(lib.result_error(result), err);
    if (!text_parse_u64(lib.changed(result), &a->changed))
        a->changed = 0;
    lib.clear(result);
    return r;
}

/* Everything that was said is on its way, and the whole answer is there. */
static int exchange(PGconn *db, uint64_t end_ns, isol8_error *err)
{
    int left, r = 0;

    while (r == 0 && (left = lib.flush(db)) > 0)
        r = wait_for(db, POLLIN | POLLOUT, end_ns, err);
    if (r == 0 && left < 0)
        r = fail(lib.error_message(db), err);
    while (r == 0 && lib.is_busy(db)) {
        r = wait_for(db, POLLIN, end_ns, err);
        if (r == 0 && !lib.consume_input(db))
            r = fail(lib.error_message(db), err);
    }
    return r;
}

static int run_db(void *user, enum keys_statement s, const char *const *params,
                  struct keys_answer *a, isol8_error *err)
{
    uint64_t end_ns = end_in(KEYS_QUERY_MS);
    PGconn *db = user;
    PGresult *result;

    if (!lib.send_query(db, statements[s], (int)keys_params_of(s), NULL, params, NULL, NULL, 0))
        return fail(lib.error_message(db), err);
    int r = exchange(db, end_ns, err);
    while (r == 0 && (result = lib.get_result(db)) != NULL) {
        int taken = take_result(result, a, err);
        r = exchange(db, end_ns, err);
        r = taken < 0 ? taken : r;
    }
    return r;
}

const struct keys_driver keys_postgres = {
    .connections = 4, .sql = statements, .open = open_db, .run = run_db, .close = close_db
};
