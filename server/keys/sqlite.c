/* SPDX-License-Identifier: Apache-2.0 */
/**
 * sqlite.c - keys in a file, by SQLite, loaded on first use
 *
 * The file is the original's: its table and column names, write-ahead log, foreign keys. It is
 * checked and made by us before SQLite opens it, readable by its owner only; SQLite gives the files
 * beside it ("-wal", "-shm") the same mode. One connection: SQLite writes one at a time anyway.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/dl.h"
#include "base/fd.h"
#include "base/mem.h"
#include "base/path.h"
#include "server/keys/driver.h"
#include "server/keys/sql.h"

#define SQL_HASH "keyHash"
#define SQL_PREFIX "keyPrefix"
#define SQL_TENANT "tenantId"
#define SQL_CREATED "createdAt"
#define SQL_EXPIRES "expiresAt"
#define SQL_USED "lastUsedAt"
/* Bytes: of characters it sees none behind a NUL. */
#define SQL_CUT(column) "substr(CAST(" column " AS BLOB), 1, " SQL_STR(SQL_TEXT_MAX) ")"
#define SQL_YES "1"
#define SQL_NO "0"
#define SQL_P(n) "?"

static const char *const statements[KEYS_STATEMENTS] = {
    SQL_STATEMENTS,
    [KEYS_CREATE_TABLE] = "CREATE TABLE IF NOT EXISTS api_keys (id TEXT PRIMARY KEY, "
                          "name TEXT NOT NULL, keyHash TEXT NOT NULL UNIQUE, "
                          "keyPrefix TEXT NOT NULL, tenantId TEXT NOT NULL, "
                          "createdAt TEXT NOT NULL, expiresAt TEXT NOT NULL, lastUsedAt TEXT, "
                          "revoked INTEGER NOT NULL DEFAULT 0)",
    [KEYS_CREATE_INDEX] = "CREATE INDEX IF NOT EXISTS idx_api_keys_keyHash ON api_keys (keyHash)",
};

/* ---- The library ----------------------------------------------------------------------------- */

static struct {
    __typeof__(&sqlite3_open_v2) open;
    __typeof__(&sqlite3_close_v2) close;
    __typeof__(&sqlite3_errmsg) errmsg;
    __typeof__(&sqlite3_exec) exec;
    __typeof__(&sqlite3_busy_timeout) busy_timeout;
    __typeof__(&sqlite3_prepare_v2) prepare;
    __typeof__(&sqlite3_finalize) finalize;
    __typeof__(&sqlite3_bind_text) bind_text;
    __typeof__(&sqlite3_step) step;
    __typeof__(&sqlite3_reset) reset;
    __typeof__(&sqlite3_column_count) column_count;
    __typeof__(&sqlite3_column_text) column_text;
    __typeof__(&sqlite3_column_bytes) column_bytes;
    __typeof__(&sqlite3_changes) changes;
} lib;
static isol8_error load_error;
static int load_status;
static pthread_once_t load_once = PTHREAD_ONCE_INIT;

static void load(void)
{
    static const struct dl_symbol symbols[] = {
        { "sqlite3_open_v2", &lib.open },
        { "sqlite3_close_v2", &lib.close },
        { "sqlite3_errmsg", &lib.errmsg },
        { "sqlite3_exec", &lib.exec },
        { "sqlite3_busy_timeout", &lib.busy_timeout },
        { "sqlite3_prepare_v2", &lib.prepare },
        { "sqlite3_finalize", &lib.finalize },
        { "sqlite3_bind_text", &lib.bind_text },
        { "sqlite3_step", &lib.step },
        { "sqlite3_reset", &lib.reset },
        { "sqlite3_column_count", &lib.column_count },
        { "sqlite3_column_text", &lib.column_text },
        { "sqlite3_column_bytes", &lib.column_bytes },
        { "sqlite3_changes", &lib.changes },
        { NULL, NULL },
    };

    load_status = dl_load("libsqlite3.so.0", symbols, &load_error);
}

/* ---- The file -------------------------------------------------------------------------------- */

struct sqlite_db {
    sqlite3 *handle;
    sqlite3_stmt *prepared[KEYS_STATEMENTS]; /* when first used */
    char *path;
    dev_t dev; /* of the file that is open */
    ino_t ino;
};

static int make_parent(const char *path, isol8_error *err)
{
    auto_free char *folder = strdup(path);

    if (folder == NULL)
        return err_nomem(err);
    char *slash = strrchr(folder, '/'); /* there is one: "./name" */
    if (slash == folder)
        return 0;
    *slash = '\0';
    return path_mkdirs(folder, 0700, err);
}

/*
 * Make sure that @path is a file of ours, or of root, that nobody else can read. A link could lead
 * to a file that somebody else chose. Return: 0, with @st; what is absent stays so unless @flags
 * has O_CREAT, and is then no failure when @may_lack.
 */
static int check_file(const char *path, int flags, bool may_lack, struct stat *st,
                      isol8_error *warn, isol8_error *err)
{
    auto_close int fd = open(path, O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC | flags, 0600);

    if (fd < 0 && errno == ENOENT && may_lack)
        return 0;
    if (fd < 0 && errno == ELOOP)
        return err_set(err, ISOL8_E_POLICY, "'%.200s' is a symbolic link", path);
    if (fd < 0)
        return err_sys(err, errno, "cannot open '%.200s'", path);
    if (fstat(fd, st) < 0)
        return err_sys(err, errno, "cannot look at '%.200s'", path);
    if (!S_ISREG(st->st_mode))
        return err_set(err, ISOL8_E_POLICY, "'%.200s' is not a regular file", path);
    if (st->st_uid != geteuid() && st->st_uid != 0)
        return err_set(err, ISOL8_E_POLICY, "'%.200s' belongs to user %u: expected %u or root",
                       path, st->st_uid, geteuid());
    if ((st->st_mode & 077) != 0 && fchmod(fd, 0600) < 0)
        (void)err_sys(warn, errno,
                      "others may read or write the key database '%.200s', and its mode cannot be "
                      "changed",
                      path);
    return 0;
}

static int check_files(struct sqlite_db *db, bool is_first, isol8_error *warn, isol8_error *err)
{
    static const char *const beside[] = { "-wal", "-shm", "-journal" };
    struct stat st;

    int r = is_first ? make_parent(db->path, err) : 0;
    if (r == 0)
        r = check_file(db->path, is_first ? O_CREAT : 0, false, &st, warn, err);
    if (r < 0)
        return r;
    db->dev = st.st_dev;
    db->ino = st.st_ino;
    for (size_t i = 0; r == 0 && i < ARRAY_LEN(beside); i++) {
        auto_free char *name = NULL;
        if (asprintf(&name, "%s%s", db->path, beside[i]) < 0)
            return err_nomem(err);
        r = check_file(name, 0, true, &st, warn, err);
    }
    return r;
}

/* Whether the name still leads to the file that is open: SQLite would go on with one that is gone.
 */
static bool is_there(const struct sqlite_db *db)
{
    struct stat st;

    return lstat(db->path, &st) == 0 && st.st_dev == db->dev && st.st_ino == db->ino;
}

/* ---- A connection ---------------------------------------------------------------------------- */

static int fail(struct sqlite_db *db, isol8_error *err)
{
    return err_set(err, ISOL8_E_SYS, "SQLite: %s", lib.errmsg(db->handle));
}

static void close_db(void *user)
{
    struct sqlite_db *db = user;

    for (size_t i = 0; i < KEYS_STATEMENTS; i++)
        (void)lib.finalize(db->prepared[i]);
    (void)lib.close(db->handle);
    free(db->path);
    free(db);
}

static int open_db(const struct keys_conn *conn, bool is_first, void **out, isol8_error *warn,
                   isol8_error *err)
{
    (void)pthread_once(&load_once, load);
    if (load_status < 0) {
        *err = load_error;
        return load_status;
    }
    struct sqlite_db *db = calloc(1, sizeof(*db));
    if (db == NULL)
        return err_nomem(err);
    db->path = strdup(conn->target);
    int r = db->path == NULL ? err_nomem(err) : check_files(db, is_first, warn, err);
    if (r == 0 && lib.open(db->path, &db->handle, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX,
                           NULL) != SQLITE_OK)
        r = fail(db, err);
    /* The schema of a file that somebody brought must not run what he put into it. */
    if (r == 0 && (lib.busy_timeout(db->handle, KEYS_QUERY_MS) != SQLITE_OK ||
                   lib.exec(db->handle,
                            "PRAGMA trusted_schema = OFF; PRAGMA journal_mode = WAL; "
                            "PRAGMA foreign_keys = ON",
                            NULL, NULL, NULL) != SQLITE_OK))
        r = fail(db, err);
    if (r < 0) {
        close_db(db);
        return r;
    }
    *out = db;
    return 0;
}

static void give_row(sqlite3_stmt *st, struct keys_answer *a)
{
    struct keys_column columns[KEYS_COLUMNS_MAX] = { { NULL, 0 } };

    for (int i = 0; i < lib.column_count(st) && i < KEYS_COLUMNS_MAX; i++) {
        columns[i].text = (const char *)lib.column_text(st, i); /* numbers and bytes too */
        columns[i].n = (size_t)lib.column_bytes(st, i);
    }
    keys_give_row(a, columns);
}

static int run_db(void *user, enum keys_statement s, const char *const *params,
                  struct keys_answer *a, isol8_error *err)
{
    struct sqlite_db *db = user;
    int code = SQLITE_ROW;

    if (!is_there(db))
        return err_set(err, ISOL8_E_SYS, "'%.200s' is gone, or another file", db->path);
    if (db->prepared[s] == NULL &&
        lib.prepare(db->handle, statements[s], -1, &db->prepared[s], NULL) != SQLITE_OK)
        return fail(db, err);
    sqlite3_stmt *st = db->prepared[s];
    for (unsigned i = 0; i < keys_params_of(s); i++) {
        if (lib.bind_text(st, (int)i + 1, params[i], -1, SQLITE_STATIC) != SQLITE_OK)
            return fail(db, err);
    }
    while (code == SQLITE_ROW) {
        code = lib.step(st);
        if (code == SQLITE_ROW)
            give_row(st, a);
    }
    int r = code == SQLITE_DONE ? 0 : fail(db, err);
    a->changed = (uint64_t)lib.changes(db->handle);
    (void)lib.reset(st);
    return r;
}

const struct keys_driver keys_sqlite = {
    .connections = 1, .sql = statements, .open = open_db, .run = run_db, .close = close_db
};
