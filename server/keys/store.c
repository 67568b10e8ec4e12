/* SPDX-License-Identifier: Apache-2.0 */
/**
 * store.c - the table of keys, in whichever database it is
 *
 * Theory of operation. A slot holds one connection, or none yet, and belongs to one call at a time.
 * A call on a connection that turns out to be dead is made once more on a new one, so that a
 * database that was restarted meanwhile is not noticed. When that fails too, the store is down:
 * until a moment that moves further away with each failure, calls fail with the reason of the last
 * one; then a single call tries.
 */
#include "server/keys/store.h"

#include <ctype.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/text.h"
#include "server/keys/driver.h"
#include "server/keys/sql.h"

#define MS_NS 1000000u
#define RETRY_MS 1000 /* a connection that took longer to fail was no dead one */
#define TEXT_BYTES (4 * SQL_TEXT_MAX + 1) /* of a column in a list: characters of UTF-8 */

_Static_assert(SQL_LIST_MAX == KEYS_LIST_MAX + 1, "one more tells that there are more");

struct slot {
    void *db; /* NULL: no connection */
    bool is_taken;
};

struct keys_store {
    struct keys_conn conn;
    const struct keys_driver *driver;
    struct log log;
    pthread_mutex_t mutex; /* guards the rest; a connection is used by who took its slot */
    pthread_cond_t changed;
    struct slot slots[KEYS_CONNECTIONS_MAX];
    bool is_down;
    bool is_tried; /* a call is finding out whether it still is */
    unsigned backoff_ms;
    uint64_t retry_ns;
    isol8_error why;
};

/* ---- Connections ----------------------------------------------------------------------------- */

static struct timespec timespec_of(uint64_t ns)
{
    return (struct timespec){ .tv_sec = (time_t)(ns / 1000000000u),
                              .tv_nsec = (long)(ns % 1000000000u) };
}

/* A free slot, rather one with a connection. The caller holds the mutex. */
static struct slot *free_slot(struct keys_store *s)
{
    struct slot *found = NULL;

    for (unsigned i = 0; i < s->driver->connections; i++) {
        struct slot *slot = &s->slots[i];
        if (!slot->is_taken && (found == NULL || (found->db == NULL && slot->db != NULL)))
            found = slot;
    }
    return found;
}

static int take(struct keys_store *s, struct slot **out, isol8_error *err)
{
    uint64_t end_ns = clock_now_ns() + (uint64_t)KEYS_WAIT_MS * MS_NS;
    struct timespec until = timespec_of(end_ns);
    int r = 0;

    (void)pthread_mutex_lock(&s->mutex);
    while (true) {
        uint64_t now = clock_now_ns();
        if (s->is_down && (s->is_tried || now < s->retry_ns)) {
            *err = s->why;
            r = err->status;
            break;
        }
        *out = free_slot(s);
        if (*out != NULL)
            break;
        if (now >= end_ns) {
            r = err_set(err, ISOL8_E_TIMEOUT, "all its connections were busy for %d ms",
                        KEYS_WAIT_MS);
            break;
        }
        (void)pthread_cond_clockwait(&s->changed, &s->mutex, CLOCK_MONOTONIC, &until);
    }
    if (r == 0) {
        (*out)->is_taken = true;
        s->is_tried = s->is_down;
    }
    (void)pthread_mutex_unlock(&s->mutex);
    return r;
}

static void note_failure(struct keys_store *s, const isol8_error *why)
{
    if (!s->is_down)
        log_warn(&s->log, "The key database cannot be reached: %s", why->msg);
    s->backoff_ms = s->is_down ? 2 * s->backoff_ms : KEYS_BACKOFF_MIN_MS;
    if (s->backoff_ms > KEYS_BACKOFF_MAX_MS)
        s->backoff_ms = KEYS_BACKOFF_MAX_MS;
    s->is_down = true;
    s->retry_ns = clock_now_ns() + (uint64_t)s->backoff_ms * MS_NS;
    s->why = *why;
}

static void give_back(struct keys_store *s, struct slot *slot, int status, const isol8_error *why)
{
    (void)pthread_mutex_lock(&s->mutex);
    bool was_down = s->is_down;
    if (status < 0)
        note_failure(s, why);
    else
        s->is_down = false;
    s->is_tried = false;
    slot->is_taken = false;
    (void)pthread_cond_broadcast(&s->changed);
    (void)pthread_mutex_unlock(&s->mutex);
    if (was_down && status == 0)
        log_line(&s->log, ISOL8_LOG_INFO, "The key database is back");
}

static int make_table(struct keys_store *s, void *db, isol8_error *err)
{
    isol8_error why = { .msg = "" };
    struct keys_answer none = { .row = NULL };

    /* Another server may be making it in this moment: what counts is that it is there afterwards.
     */
    int made = s->driver->run(db, KEYS_CREATE_TABLE, NULL, &none, &why);
    if (made == 0 && s->driver->sql[KEYS_CREATE_INDEX] != NULL)
        made = s->driver->run(db, KEYS_CREATE_INDEX, NULL, &none, &why);
    int r = s->driver->run(db, KEYS_PROBE, NULL, &none, err);
    if (r < 0 && made < 0)
        *err = why;
    return r;
}

/* A table is made at the start only: one that vanishes later is a failure, not an empty one. */
static int connect_slot(struct keys_store *s, struct slot *slot, bool is_first, isol8_error *err)
{
    isol8_error warn = { .msg = "" };
    struct keys_answer none = { .row = NULL };
    void *db = NULL;

    int r = s->driver->open(&s->conn, is_first, &db, &warn, err);
    if (warn.msg[0] != '\0')
        log_warn(&s->log, "%s", warn.msg);
    if (r < 0)
        return r;
    r = s->driver->run(db, KEYS_PROBE, NULL, &none, err);
    if (r < 0 && is_first)
        r = make_table(s, db, err);
    if (r < 0) {
        s->driver->close(db);
        return r;
    }
    slot->db = db;
    return 0;
}

static int run_on(struct keys_store *s, struct slot *slot, enum keys_statement st,
                  const char *const *params, struct keys_answer *a, isol8_error *err)
{
    int r = slot->db == NULL ? connect_slot(s, slot, false, err) : 0;

    if (r == 0)
        r = s->driver->run(slot->db, st, params, a, err);
    if (r < 0 && slot->db != NULL)
        s->driver->close(take_ptr(&slot->db));
    return r;
}

static int run(struct keys_store *s, enum keys_statement st, const char *const *params,
               struct keys_answer *a, isol8_error *err)
{
    struct slot *slot;
    isol8_error why;

    int r = take(s, &slot, &why);
    if (r == 0) {
        uint64_t start_ns = clock_now_ns();
        bool was_open = slot->db != NULL;
        r = run_on(s, slot, st, params, a, &why);
        if (r < 0 && was_open && a->rows == 0 &&
            clock_now_ns() - start_ns < (uint64_t)RETRY_MS * MS_NS)
            r = run_on(s, slot, st, params, a, &why);
        give_back(s, slot, r, &why);
    }
    if (r < 0 && err != NULL)
        *err = why;
    return r;
}

/* ---- Foreign bytes --------------------------------------------------------------------------- */

bool keys_word_is_valid(const char *word, size_t n)
{
    if (n == 0 || n > KEYS_TENANT_MAX || !text_utf8_valid(word, n))
        return false;
    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)word[i];
        bool is_c1 = c == 0xc2 && i + 1 < n && (unsigned char)word[i + 1] < 0xa0;
        if (c < 0x20 || c == 0x7f || is_c1)
            return false;
    }
    return true;
}

/* "2026-01-02T03:04:05.678Z": then the order of texts is that of times. */
static bool is_time(const struct keys_column *c)
{
    static const char form[] = "dddd-dd-ddTdd:dd:dd.dddZ";

    if (c->text == NULL || c->n != sizeof(form) - 1)
        return false;
    for (size_t i = 0; i < c->n; i++) {
        if (form[i] == 'd' ? !isdigit((unsigned char)c->text[i]) : c->text[i] != form[i])
            return false;
    }
    return true;
}

/* 0 of SQLite and MySQL, f of PostgreSQL; anything else is not clearly a "no". */
static bool is_no(const struct keys_column *c)
{
    return c->text != NULL && c->n == 1 && (c->text[0] == '0' || c->text[0] == 'f');
}

/* ---- Statements ------------------------------------------------------------------------------ */

int keys_store_insert(struct keys_store *s, const struct keys_new *k, isol8_error *err)
{
    const char *params[KEYS_PARAMS_MAX] = { k->id,     k->name,    k->hash,   k->prefix,
                                            k->tenant, k->created, k->expires };
    struct keys_answer a = { .row = NULL };

    return run(s, KEYS_INSERT, params, &a, err);
}

struct finding {
    struct keys_found *found;
    const char *now;
    int is_valid;
};

static void find_row(const struct keys_column *columns, void *user)
{
    const struct keys_column *tenant = &columns[1], *expires = &columns[2];
    struct finding *f = user;

    f->is_valid = 0;
    if (tenant->text == NULL || !keys_word_is_valid(tenant->text, tenant->n) || !is_time(expires) ||
        !is_no(&columns[3]))
        return;
    memcpy(f->found->tenant, tenant->text, tenant->n);
    f->found->tenant[tenant->n] = '\0';
    memcpy(f->found->expires, expires->text, expires->n);
    f->found->expires[expires->n] = '\0';
    f->is_valid = strcmp(f->found->expires, f->now) > 0;
}

int keys_store_find(struct keys_store *s, const char *hash, const char *now,
                    struct keys_found *found, isol8_error *err)
{
    struct finding f = { .found = found, .now = now };
    struct keys_answer a = { .row = find_row, .user = &f };

    int r = run(s, KEYS_FIND, &hash, &a, err);
    return r < 0 ? r : f.is_valid;
}

int keys_store_used(struct keys_store *s, const char *hash, const char *when, isol8_error *err)
{
    const char *params[] = { when, hash };
    struct keys_answer a = { .row = NULL };

    return run(s, KEYS_USED, params, &a, err);
}

struct listing {
    void (*each)(const struct keys_listed *key, void *user);
    void *user;
    const char *tenant;
    unsigned n; /* rows so far */
};

static void list_row(const struct keys_column *columns, void *user)
{
    struct listing *l = user;
    char texts[KEYS_COLUMNS_MAX - 1][TEXT_BYTES];

    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        const struct keys_column *c = &columns[i];
        size_t n = c->text == NULL ? 0 : c->n < TEXT_BYTES ? c->n : TEXT_BYTES - 1;
        if (n > 0)
            memcpy(texts[i], c->text, n);
        texts[i][n] = '\0';
    }
    /* A database may compare without regard to case. */
    if (++l->n > KEYS_LIST_MAX || (l->tenant != NULL && strcmp(l->tenant, texts[3]) != 0))
        return;
    struct keys_listed key = { .id = texts[0],
                               .name = texts[1],
                               .prefix = texts[2],
                               .tenant = texts[3],
                               .created = texts[4],
                               .expires = texts[5],
                               .last_used = columns[6].text == NULL ? NULL : texts[6],
                               .is_revoked = !is_no(&columns[7]) };
    l->each(&key, l->user);
}

int keys_store_list(struct keys_store *s, const char *tenant,
                    void (*each)(const struct keys_listed *key, void *user), void *user,
                    bool *is_cut, isol8_error *err)
{
    struct listing l = { .each = each, .user = user, .tenant = tenant };
    struct keys_answer a = { .row = list_row, .user = &l };

    int r = run(s, tenant == NULL ? KEYS_LIST : KEYS_LIST_OF, &tenant, &a, err);
    *is_cut = l.n > KEYS_LIST_MAX;
    return r;
}

int keys_store_revoke(struct keys_store *s, const char *id, isol8_error *err)
{
    struct keys_answer a = { .row = NULL };

    int r = run(s, KEYS_REVOKE, &id, &a, err);
    return r < 0 ? r : a.changed > 0;
}

int keys_store_purge(struct keys_store *s, const char *now, uint64_t *n, isol8_error *err)
{
    struct keys_answer a = { .row = NULL };

    int r = run(s, KEYS_PURGE, &now, &a, err);
    *n = a.changed;
    return r;
}

unsigned keys_params_of(enum keys_statement st)
{
    static const unsigned char counts[KEYS_STATEMENTS] = {
        [KEYS_INSERT] = 7,  [KEYS_FIND] = 1,   [KEYS_USED] = 2,
        [KEYS_LIST_OF] = 1, [KEYS_REVOKE] = 1, [KEYS_PURGE] = 1,
    };

    return counts[st];
}

/* ---- Life ------------------------------------------------------------------------------------ */

int keys_store_open(struct keys_store **out, const char *connection, const struct log *log,
                    isol8_error *err)
{
    static const struct keys_driver *const drivers[] = {
        [KEYS_SQLITE] = &keys_sqlite, [KEYS_POSTGRES] = &keys_postgres, [KEYS_MYSQL] = &keys_mysql
    };
    struct keys_store *s = calloc(1, sizeof(*s));

    if (s == NULL)
        return err_nomem(err);
    s->log = *log;
    (void)pthread_mutex_init(&s->mutex, NULL);
    (void)pthread_cond_init(&s->changed, NULL);
    int r = keys_conn_parse(&s->conn, connection, getenv("HOME"), err);
    if (r == 0) {
        s->driver = drivers[s->conn.db];
        r = connect_slot(s, &s->slots[0], true, err);
        if (r < 0)
            (void)err_wrap(err, r, "cannot open the key database %s", s->conn.shown);
    }
    if (r < 0) {
        keys_store_close(s);
        return r;
    }
    *out = s;
    return 0;
}

void keys_store_close(struct keys_store *s)
{
    if (s == NULL)
        return;
    for (size_t i = 0; i < KEYS_CONNECTIONS_MAX; i++) {
        if (s->slots[i].db != NULL)
            s->driver->close(s->slots[i].db);
    }
    keys_conn_done(&s->conn);
    (void)pthread_cond_destroy(&s->changed);
    (void)pthread_mutex_destroy(&s->mutex);
    free(s);
}

const char *keys_store_shown(const struct keys_store *s)
{
    return s->conn.shown;
}
