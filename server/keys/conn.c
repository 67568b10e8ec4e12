/* SPDX-License-Identifier: Apache-2.0 */
/* conn.c - connection strings. */
#include "server/keys/conn.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/text.h"

/* A piece of the connection string. */
struct span {
    const char *at; /* NULL: absent */
    size_t n;
};

struct url {
    struct span scheme, user, password, place, path,
        query; /* place: host and port, maybe several */
};

static int malformed(const struct url *u, isol8_error *err, const char *what)
{
    return err_set(err, ISOL8_E_INVAL, "the connection string %.*s://*** is not valid: %s",
                   (int)u->scheme.n, u->scheme.at, what);
}

/* ---- Taking apart ---------------------------------------------------------------------------- */

static bool is_scheme(struct span s, const char *name)
{
    return s.n == strlen(name) && memcmp(s.at, name, s.n) == 0;
}

/* "host", "host:port" or "[address]:port", all of which may be absent: only a number may be where
 * a piece of a password would end up. */
static bool is_place(const char *p, size_t n)
{
    const char *end = p + n;

    if (n > 0 && *p == '[') {
        p = memchr(p, ']', n);
        if (p == NULL)
            return false;
        p++;
    } else {
        p += strcspn(p, ":,/?");
        if (p > end)
            p = end;
    }
    if (p < end && *p == ':') {
        for (p++; p < end && isdigit((unsigned char)*p); p++)
            continue;
    }
    return p == end;
}

static bool are_places(struct span s)
{
    while (true) {
        const char *comma = memchr(s.at, ',', s.n);
        size_t n = comma == NULL ? s.n : (size_t)(comma - s.at);
        if (!is_place(s.at, n))
            return false;
        if (comma == NULL)
            return true;
        s = (struct span){ comma + 1, s.n - n - 1 };
    }
}

static int split(struct url *u, const char *text, const char *colon, isol8_error *err)
{
    const char *p = colon + 3, *at = strchr(p, '@');
    size_t authority = strcspn(p, "/?");

    u->scheme = (struct span){ text, (size_t)(colon - text) };
    for (const char *c = text; *c != '\0'; c++) {
        if ((unsigned char)*c <= ' ' || *c == 0x7f)
            return malformed(u, err, "spaces and control characters must be percent-encoded");
    }
    if (at != NULL && (at != strrchr(p, '@') || at > p + authority))
        return malformed(u, err, "'@', '/' and '?' of user and password must be percent-encoded");
    u->place = (struct span){ p, authority };
    if (at != NULL) {
        size_t n = (size_t)(at - p);
        const char *sep = memchr(p, ':', n);
        u->user = (struct span){ p, sep == NULL ? n : (size_t)(sep - p) };
        if (sep != NULL)
            u->password = (struct span){ sep + 1, (size_t)(at - sep - 1) };
        u->place = (struct span){ at + 1, authority - n - 1 };
    }
    if (!are_places(u->place))
        return malformed(u, err, "expected HOST or HOST:PORT before the name of the database");
    p += authority;
    if (*p == '/') {
        u->path = (struct span){ p + 1, strcspn(p + 1, "?") };
        p += 1 + u->path.n;
    }
    if (*p == '?')
        u->query = (struct span){ p + 1, strlen(p + 1) };
    return 0;
}

static int hex_of(char c)
{
    return isdigit((unsigned char)c)    ? c - '0'
           : isxdigit((unsigned char)c) ? tolower((unsigned char)c) - 'a' + 10
                                        : -1;
}

/* Percent-decoded copy. Return: 0; -1 when it is not valid or memory is out. */
static int decode(struct span s, char **out)
{
    char *to = calloc(1, s.n + 1); /* ended wherever this stops */

    *out = to;
    if (to == NULL)
        return -1;
    for (size_t i = 0; i < s.n; i++) {
        int c = (unsigned char)s.at[i];
        if (c == '%') {
            int high = s.n - i > 2 ? hex_of(s.at[i + 1]) : -1;
            int low = high < 0 ? -1 : hex_of(s.at[i + 2]);
            c = low < 0 ? 0 : high * 16 + low;
            i += 2;
        }
        if (c == 0) /* no text of ours may end early */
            return -1;
        *to++ = (char)c;
    }
    return 0;
}

/* The next "name=value" of a query, cut off its front. */
static bool next_param(struct span *query, struct span *name, struct span *value)
{
    if (query->at == NULL || query->n == 0)
        return false;
    const char *end = memchr(query->at, '&', query->n);
    size_t n = end == NULL ? query->n : (size_t)(end - query->at);
    const char *equals = memchr(query->at, '=', n);
    size_t name_n = equals == NULL ? n : (size_t)(equals - query->at);

    *name = (struct span){ query->at, name_n };
    *value = (struct span){ query->at + name_n + (equals != NULL), n - name_n - (equals != NULL) };
    n += end != NULL;
    *query = (struct span){ query->at + n, query->n - n };
    return true;
}

/* ---- For people ------------------------------------------------------------------------------ */

/* Whether a parameter holds a password; one that cannot be read may be one. */
static bool is_secret(struct span name)
{
    auto_free char *plain = NULL;

    return decode(name, &plain) < 0 || strcasestr(plain, "pass") != NULL;
}

static void add(struct buf *b, struct span s)
{
    if (s.n > 0)
        (void)buf_add(b, s.at, s.n);
}

static char *show(const struct url *u)
{
    auto_buf struct buf b = BUF_INIT(2 * KEYS_CONN_MAX);
    struct span query = u->query, name, value;
    const char *sep = "?";

    add(&b, u->scheme);
    (void)buf_adds(&b, "://");
    add(&b, u->user);
    if (u->password.at != NULL)
        (void)buf_adds(&b, ":***");
    if (u->user.at != NULL)
        (void)buf_adds(&b, "@");
    add(&b, u->place);
    if (u->path.at != NULL)
        (void)buf_adds(&b, "/");
    add(&b, u->path);
    for (; next_param(&query, &name, &value); sep = "&") {
        (void)buf_adds(&b, sep);
        add(&b, name);
        (void)buf_adds(&b, "=");
        add(&b, is_secret(name) ? (struct span){ "***", 3 } : value);
    }
    return buf_take(&b);
}

/* ---- MySQL ----------------------------------------------------------------------------------- */

/* Words of the parameters that choose TLS; those of other clients are understood as well. */
static const struct {
    const char *name, *value;
    enum keys_tls tls;
} tls_words[] = {
    { "ssl", "false", KEYS_TLS_OFF },
    { "ssl", "true", KEYS_TLS_VERIFY },
    { "sslmode", "disable", KEYS_TLS_OFF },
    { "sslmode", "require", KEYS_TLS_ENCRYPT },
    { "sslmode", "verify-full", KEYS_TLS_VERIFY },
    { "ssl-mode", "DISABLED", KEYS_TLS_OFF },
    { "ssl-mode", "REQUIRED", KEYS_TLS_ENCRYPT },
    { "ssl-mode", "VERIFY_IDENTITY", KEYS_TLS_VERIFY },
};

static char **file_of(struct keys_conn *c, const char *name)
{
    return strcmp(name, "ssl-ca") == 0     ? &c->ca
           : strcmp(name, "ssl-cert") == 0 ? &c->certificate
           : strcmp(name, "ssl-key") == 0  ? &c->key
           : strcmp(name, "socket") == 0   ? &c->socket
                                           : NULL;
}

static int apply_param(struct keys_conn *c, const struct url *u, const char *name,
                       struct span value, bool *chose_tls, isol8_error *err)
{
    auto_free char *word = NULL;
    char **file = file_of(c, name);
    bool is_tls = false;

    if (decode(value, &word) < 0 || word[0] == '\0')
        return malformed(u, err, "a parameter has no value, or one that is not valid");
    if (file != NULL) {
        free(*file);
        *file = take_ptr(&word);
        return 0;
    }
    for (size_t i = 0; i < ARRAY_LEN(tls_words); i++) {
        if (strcmp(tls_words[i].name, name) != 0)
            continue;
        is_tls = true;
        if (strcmp(tls_words[i].value, word) == 0) {
            c->tls = tls_words[i].tls;
            *chose_tls = true;
            return 0;
        }
    }
    if (is_tls)
        return malformed(u, err,
                         "expected ssl=true, ssl=false, sslmode=disable, sslmode=require or "
                         "sslmode=verify-full");
    return malformed(u, err, "parameters are ssl, sslmode, ssl-ca, ssl-cert, ssl-key and socket");
}

static int apply_params(struct keys_conn *c, const struct url *u, isol8_error *err)
{
    struct span query = u->query, name, value;
    bool chose_tls = false;

    while (next_param(&query, &name, &value)) {
        auto_free char *word = NULL;
        if (decode(name, &word) < 0)
            return malformed(u, err, "a parameter's name is not valid");
        int r = apply_param(c, u, word, value, &chose_tls, err);
        if (r < 0)
            return r;
    }
    if (c->ca != NULL && !chose_tls) /* why else would it be there */
        c->tls = KEYS_TLS_VERIFY;
    if ((c->certificate == NULL) != (c->key == NULL))
        return malformed(u, err, "ssl-cert and ssl-key belong together");
    if (c->tls == KEYS_TLS_OFF && (c->ca != NULL || c->key != NULL))
        return malformed(u, err, "ssl-ca, ssl-cert and ssl-key need TLS: add ssl=true");
    return 0;
}

static int parse_mysql_place(struct keys_conn *c, const struct url *u, isol8_error *err)
{
    struct span host = u->place;
    const char *end = host.at + host.n, *p = end;
    uint64_t port = 0;

    if (memchr(host.at, ',', host.n) != NULL)
        return malformed(u, err, "expected one host");
    while (p > host.at && isdigit((unsigned char)p[-1]))
        p--;
    if (p > host.at && p[-1] == ':') {
        auto_free char *number = strndup(p, (size_t)(end - p));
        if (number == NULL)
            return err_nomem(err);
        if (!text_parse_u64(number, &port) || port < 1 || port > 65535)
            return malformed(u, err, "expected a port from 1 to 65535");
        host.n = (size_t)(p - 1 - host.at);
    }
    if (host.n >= 2 && host.at[0] == '[')
        host = (struct span){ host.at + 1, host.n - 2 };
    c->port = (uint16_t)port;
    if (host.n > 0 && decode(host, &c->host) < 0)
        return malformed(u, err, "the host is not valid");
    return 0;
}

static int parse_mysql(struct keys_conn *c, const struct url *u, isol8_error *err)
{
    if (u->user.at != NULL && decode(u->user, &c->user) < 0)
        return malformed(u, err, "the user is not valid");
    if (u->password.at != NULL && decode(u->password, &c->password) < 0)
        return malformed(u, err, "the password is not valid");
    if (u->path.n == 0 || memchr(u->path.at, '/', u->path.n) != NULL ||
        decode(u->path, &c->database) < 0)
        return malformed(u, err, "expected the name of the database behind the host");
    int r = parse_mysql_place(c, u, err);
    if (r == 0)
        r = apply_params(c, u, err);
    if (r == 0 && c->host == NULL && c->socket == NULL)
        return malformed(u, err, "expected a host, or socket=PATH");
    return r;
}

/* ---- SQLite ---------------------------------------------------------------------------------- */

static int parse_path(struct keys_conn *c, const char *path, const char *home, isol8_error *err)
{
    auto_buf struct buf b = BUF_INIT(2 * KEYS_CONN_MAX);

    if (strncmp(path, "file:", 5) == 0 || strcmp(path, ":memory:") == 0)
        return err_set(err, ISOL8_E_INVAL,
                       "SQLite's own names are not taken (%.16s): expected the path of a file",
                       path);
    if (strcmp(path, "~") == 0 || path[0] == '\0' || path[strlen(path) - 1] == '/')
        return err_set(err, ISOL8_E_INVAL, "'%.200s' does not name a file", path);
    if (strncmp(path, "~/", 2) == 0) {
        if (home == NULL || home[0] == '\0')
            return err_set(err, ISOL8_E_INVAL, "%.200s: HOME is not set", path);
        (void)buf_addf(&b, "%s%s", home, path + 1);
    } else if (path[0] != '/') {
        (void)buf_addf(&b, "./%s",
                       path); /* a name that begins with ':' means something to SQLite */
    } else {
        (void)buf_adds(&b, path);
    }
    c->db = KEYS_SQLITE;
    c->target = buf_take(&b);
    c->shown = mem_strdup(path);
    return c->target == NULL || c->shown == NULL ? err_nomem(err) : 0;
}

/* ---- The whole ------------------------------------------------------------------------------- */

static int unknown_kind(struct span scheme, isol8_error *err)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+";
    bool is_word = scheme.n > 0 && scheme.n <= 16 && strspn(scheme.at, letters) >= scheme.n;

    return err_set(err, ISOL8_E_INVAL,
                   "%.*s:// is no kind of database: expected a file, postgres://, postgresql://, "
                   "mysql:// or mariadb://",
                   is_word ? (int)scheme.n : 3, is_word ? scheme.at : "***");
}

int keys_conn_parse(struct keys_conn *out, const char *text, const char *home, isol8_error *err)
{
    const char *colon = strstr(text, "://");
    struct url u = { .scheme = { NULL, 0 } };

    *out = (struct keys_conn){ .db = KEYS_SQLITE };
    if (strlen(text) > KEYS_CONN_MAX)
        return err_set(err, ISOL8_E_INVAL, "the connection string is longer than %d bytes",
                       KEYS_CONN_MAX);
    if (colon == NULL)
        return parse_path(out, text, home, err);
    struct span scheme = { text, (size_t)(colon - text) };
    if (is_scheme(scheme, "sqlite"))
        return parse_path(out, colon + 3, home, err);
    bool is_postgres = is_scheme(scheme, "postgres") || is_scheme(scheme, "postgresql");
    if (!is_postgres && !is_scheme(scheme, "mysql") && !is_scheme(scheme, "mariadb"))
        return unknown_kind(scheme, err);
    int r = split(&u, text, colon, err);
    if (r < 0)
        return r;
    out->db = is_postgres ? KEYS_POSTGRES : KEYS_MYSQL;
    out->shown = show(&u);
    out->target = mem_strdup(text);
    if (out->shown == NULL || out->target == NULL)
        return err_nomem(err);
    return is_postgres ? 0 : parse_mysql(out, &u, err);
}

static void wipe(char *text)
{
    if (text != NULL)
        explicit_bzero(text, strlen(text));
    free(text);
}

void keys_conn_done(struct keys_conn *c)
{
    wipe(c->target);
    wipe(c->password);
    free(c->shown);
    free(c->user);
    free(c->host);
    free(c->database);
    free(c->socket);
    free(c->ca);
    free(c->certificate);
    free(c->key);
    *c = (struct keys_conn){ .db = KEYS_SQLITE };
}
