/* SPDX-License-Identifier: Apache-2.0 */
/**
 * mysql.c - keys in MySQL or MariaDB, by MariaDB's C client, loaded on first use
 *
 * The client blocks, with time limits of its own. It reads no option files, sends no file that the
 * server asks for, and over a connection whose other end is not known it answers no request for the
 * password itself.
 */
#include <mysql.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/dl.h"
#include "base/mem.h"
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
#define SQL_P(n) "?"

#define COLUMN_BYTES (4 * SQL_TEXT_MAX) /* characters of utf8mb4 */

static const char *const statements[KEYS_STATEMENTS] = {
    SQL_STATEMENTS,
    [KEYS_CREATE_TABLE] = "CREATE TABLE IF NOT EXISTS api_keys (id VARCHAR(36) PRIMARY KEY, "
                          "name TEXT NOT NULL, key_hash VARCHAR(64) NOT NULL UNIQUE, "
                          "key_prefix VARCHAR(20) NOT NULL, tenant_id VARCHAR(255) NOT NULL, "
                          "created_at VARCHAR(30) NOT NULL, expires_at VARCHAR(30) NOT NULL, "
                          "last_used_at VARCHAR(30), revoked BOOLEAN NOT NULL DEFAULT FALSE, "
                          "INDEX idx_api_keys_key_hash (key_hash)) "
                          "CHARACTER SET utf8mb4 COLLATE utf8mb4_bin",
};

/* ---- The library ----------------------------------------------------------------------------- */

static struct {
    __typeof__(&mysql_server_init) library_init;
    __typeof__(&mysql_init) init;
    __typeof__(&mysql_options) options;
    __typeof__(&mysql_ssl_set) ssl_set;
    __typeof__(&mysql_real_connect) connect;
    __typeof__(&mysql_get_ssl_cipher) cipher;
    __typeof__(&mysql_error) error;
    __typeof__(&mysql_close) close;
    __typeof__(&mysql_stmt_init) stmt_init;
    __typeof__(&mysql_stmt_prepare) prepare;
    __typeof__(&mysql_stmt_bind_param) bind_param;
    __typeof__(&mysql_stmt_execute) execute;
    __typeof__(&mysql_stmt_field_count) field_count;
    __typeof__(&mysql_stmt_bind_result) bind_result;
    __typeof__(&mysql_stmt_fetch) fetch;
    __typeof__(&mysql_stmt_free_result) free_result;
    __typeof__(&mysql_stmt_affected_rows) affected_rows;
    __typeof__(&mysql_stmt_error) stmt_error;
    __typeof__(&mysql_stmt_close) stmt_close;
} lib;
static isol8_error load_error;
static int load_status;
static pthread_once_t load_once = PTHREAD_ONCE_INIT;

static void load(void)
{
    static const struct dl_symbol symbols[] = {
        { "mysql_server_init", &lib.library_init },
        { "mysql_init", &lib.init },
        { "mysql_options", &lib.options },
        { "mysql_ssl_set", &lib.ssl_set },
        { "mysql_real_connect", &lib.connect },
        { "mysql_get_ssl_cipher", &lib.cipher },
        { "mysql_error", &lib.error },
        { "mysql_close", &lib.close },
        { "mysql_stmt_init", &lib.stmt_init },
        { "mysql_stmt_prepare", &lib.prepare },
        { "mysql_stmt_bind_param", &lib.bind_param },
        { "mysql_stmt_execute", &lib.execute },
        { "mysql_stmt_field_count", &lib.field_count },
        { "mysql_stmt_bind_result", &lib.bind_result },
        { "mysql_stmt_fetch", &lib.fetch },
        { "mysql_stmt_free_result", &lib.free_result },
        { "mysql_stmt_affected_rows", &lib.affected_rows },
        { "mysql_stmt_error", &lib.stmt_error },
        { "mysql_stmt_close", &lib.stmt_close },
        { NULL, NULL },
    };

    load_status = dl_load("libmariadb.so.3", symbols, &load_error);
    if (load_status == 0 && lib.library_init(0, NULL, NULL) != 0)
        load_status = err_set(&load_error, ISOL8_E_UNSUPPORTED, "libmariadb cannot be initialised");
}

/* ---- A connection ---------------------------------------------------------------------------- */

struct mysql_db {
    MYSQL *handle;
    MYSQL_STMT *prepared[KEYS_STATEMENTS]; /* when first used */
    char columns[KEYS_COLUMNS_MAX][COLUMN_BYTES];
    unsigned long lengths[KEYS_COLUMNS_MAX];
    my_bool nulls[KEYS_COLUMNS_MAX];
};

static void close_db(void *user)
{
    struct mysql_db *db = user;

    for (size_t i = 0; i < KEYS_STATEMENTS; i++) {
        if (db->prepared[i] != NULL)
            (void)lib.stmt_close(db->prepared[i]);
    }
    if (db->handle != NULL)
        lib.close(db->handle);
    free(db);
}

static int set_options(struct mysql_db *db, const struct keys_conn *conn)
{
    static const char plugins[] = "mysql_native_password,client_ed25519,caching_sha2_password";
    unsigned connect_s = KEYS_CONNECT_MS / 1000, query_s = KEYS_QUERY_MS / 1000, off = 0;
    unsigned tcp = MYSQL_PROTOCOL_TCP;
    my_bool yes = 1, verify = conn->tls == KEYS_TLS_VERIFY;
    int r = lib.options(db->handle, MYSQL_OPT_CONNECT_TIMEOUT, &connect_s) |
            lib.options(db->handle, MYSQL_OPT_READ_TIMEOUT, &query_s) |
            lib.options(db->handle, MYSQL_OPT_WRITE_TIMEOUT, &query_s) |
            lib.options(db->handle, MYSQL_OPT_LOCAL_INFILE, &off) |
            lib.options(db->handle, MYSQL_SET_CHARSET_NAME, "utf8mb4");

    /* "localhost" is a host like any other, and no other name for a socket. */
    if (conn->socket == NULL)
        r |= lib.options(db->handle, MYSQL_OPT_PROTOCOL, &tcp);
    if (conn->tls != KEYS_TLS_VERIFY && conn->socket == NULL)
        r |= lib.options(db->handle, MARIADB_OPT_RESTRICTED_AUTH, plugins);
    if (conn->tls != KEYS_TLS_OFF) {
        (void)lib.ssl_set(db->handle, conn->key, conn->certificate, conn->ca, NULL, NULL);
        r |= lib.options(db->handle, MYSQL_OPT_SSL_ENFORCE, &yes);
        r |= lib.options(db->handle, MYSQL_OPT_SSL_VERIFY_SERVER_CERT, &verify);
    }
    return r;
}

static int connect_db(struct mysql_db *db, const struct keys_conn *conn, isol8_error *err)
{
    db->handle = lib.init(NULL);
    if (db->handle == NULL)
        return err_nomem(err);
    if (set_options(db, conn) != 0)
        return err_set(err, ISOL8_E_UNSUPPORTED, "MySQL: %s", lib.error(db->handle));
    /* Found rows: a key that is revoked again was found, although nothing changed. */
    if (lib.connect(db->handle, conn->host, conn->user, conn->password, conn->database, conn->port,
                    conn->socket, CLIENT_FOUND_ROWS) == NULL)
        return err_set(err, ISOL8_E_SYS, "MySQL: %s", lib.error(db->handle));
    if (conn->tls != KEYS_TLS_OFF && lib.cipher(db->handle) == NULL)
        return err_set(err, ISOL8_E_POLICY, "MySQL: the connection is not encrypted");
    return 0;
}

static int open_db(const struct keys_conn *conn, bool is_first, void **out, isol8_error *warn,
                   isol8_error *err)
{
    (void)is_first;
    (void)warn;
    (void)pthread_once(&load_once, load);
    if (load_status < 0) {
        *err = load_error;
        return load_status;
    }
    struct mysql_db *db = calloc(1, sizeof(*db));
    if (db == NULL)
        return err_nomem(err);
    int r = connect_db(db, conn, err);
    if (r < 0) {
        close_db(db);
        return r;
    }
    *out = db;
    return 0;
}

static int prepare(struct mysql_db *db, enum keys_statement s, isol8_error *err)
{
    MYSQL_STMT *st = lib.stmt_init(db->handle);

    if (st == NULL)
        return err_nomem(err);
    if (lib.prepare(st, statements[s], strlen(statements[s])) != 0) {
        int r = err_set(err, ISOL8_E_SYS, "MySQL: %s", lib.stmt_error(st));
        (void)lib.stmt_close(st);
        return r;
    }
    db->prepared[s] = st;
    return 0;
}

static int bind_columns(struct mysql_db *db, MYSQL_STMT *st)
{
    MYSQL_BIND binds[KEYS_COLUMNS_MAX];

    memset(binds, 0, sizeof(binds));
    for (size_t i = 0; i < KEYS_COLUMNS_MAX; i++) {
        binds[i].buffer_type = MYSQL_TYPE_STRING;
        binds[i].buffer = db->columns[i];
        binds[i].buffer_length = COLUMN_BYTES;
        binds[i].length = &db->lengths[i];
        binds[i].is_null = &db->nulls[i];
    }
    return lib.bind_result(st, binds);
}

static void give_row(const struct mysql_db *db, unsigned n, struct keys_answer *a)
{
    struct keys_column columns[KEYS_COLUMNS_MAX] = { { NULL, 0 } };

    for (unsigned i = 0; i < n; i++) {
        if (db->nulls[i])
            continue;
        columns[i].text = db->columns[i];
        columns[i].n = db->lengths[i] < COLUMN_BYTES ? db->lengths[i] : COLUMN_BYTES;
    }
    keys_give_row(a, columns);
}

static int fetch_all(struct mysql_db *db, MYSQL_STMT *st, struct keys_answer *a, isol8_error *err)
{
    unsigned n = lib.field_count(st);
    int r = 0;

    if (n == 0)
        return 0;
    if (n > KEYS_COLUMNS_MAX || bind_columns(db, st) != 0)
        return err_set(err, ISOL8_E_PROTOCOL, "MySQL: %s", lib.stmt_error(st));
    while ((r = lib.fetch(st)) == 0 || r == MYSQL_DATA_TRUNCATED)
        give_row(db, n, a);
    if (r != MYSQL_NO_DATA)
        return err_set(err, ISOL8_E_SYS, "MySQL: %s", lib.stmt_error(st));
    return 0;
}

static int run_db(void *user, enum keys_statement s, const char *const *params,
                  struct keys_answer *a, isol8_error *err)
{
    MYSQL_BIND binds[KEYS_PARAMS_MAX];
    struct mysql_db *db = user;
    unsigned n = keys_params_of(s);

    int r = db->prepared[s] == NULL ? prepare(db, s, err) : 0;
    if (r < 0)
        return r;
    MYSQL_STMT *st = db->prepared[s];
    memset(binds, 0, sizeof(binds));
    for (unsigned i = 0; i < n; i++) {
        binds[i].buffer_type = MYSQL_TYPE_STRING;
        binds[i].buffer = (void *)params[i];
        binds[i].buffer_length = strlen(params[i]);
    }
    if ((n > 0 && lib.bind_param(st, binds) != 0) || lib.execute(st) != 0)
        return err_set(err, ISOL8_E_SYS, "MySQL: %s", lib.stmt_error(st));
    a->changed = lib.affected_rows(st);
    r = fetch_all(db, st, a, err);
    (void)lib.free_result(st);
    return r;
}

const struct keys_driver keys_mysql = {
    .connections = 4, .sql = statements, .open = open_db, .run = run_db, .close = close_db
};
