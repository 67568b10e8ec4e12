/* SPDX-License-Identifier: Apache-2.0 */
/**
 * conn.h - connection strings: which database, its parts, and a form without passwords
 *
 * A path is SQLite, as is sqlite://PATH; a leading ~/ is the home directory. postgres:// and
 * postgresql:// are libpq's own URIs and go to it as they are, mysql:// and mariadb:// are taken
 * apart here. Anything else with "://" is refused: it must never become the name of a file.
 *
 * No message quotes more of an address than its scheme: who forgets to encode a '/' or '@' of the
 * password has it in places where no password is looked for.
 */
#ifndef SERVER_KEYS_CONN_H
#define SERVER_KEYS_CONN_H

#include <stdint.h>

#include "base/err.h"

#define KEYS_CONN_MAX 4096 /* bytes of a connection string */

enum keys_db { KEYS_SQLITE, KEYS_POSTGRES, KEYS_MYSQL };

/* What a MySQL connection must be before a password goes over it. */
enum keys_tls {
    KEYS_TLS_OFF,
    KEYS_TLS_ENCRYPT, /* whoever is at the other end */
    KEYS_TLS_VERIFY,  /* with a certificate for its name */
};

struct keys_conn {
    enum keys_db db;
    char *target; /* the file, or PostgreSQL's URI */
    char *shown;  /* for people: passwords are *** */
    /* MySQL's parts; absent ones are NULL */
    char *user, *password, *host, *database, *socket;
    char *ca, *certificate, *key;
    uint16_t port; /* 0: the usual one */
    enum keys_tls tls;
};

/**
 * keys_conn_parse() - Take a connection string apart
 * @out:  Filled in; keys_conn_done() also on failure
 * @home: For a leading "~/"; NULL: there is none
 *
 * Return: 0, ISOL8_E_INVAL with a message that holds no password, ISOL8_E_NOMEM
 */
int keys_conn_parse(struct keys_conn *out, const char *text, const char *home, isol8_error *err);
void keys_conn_done(struct keys_conn *c);

#endif
