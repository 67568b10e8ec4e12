/* SPDX-License-Identifier: Apache-2.0 */
/* args.h - the command line of isol8-server. */
#ifndef SERVER_ARGS_H
#define SERVER_ARGS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

#define ARGS_DEFAULT_PORT 3000
#define ARGS_AUTH_DB "~/.isol8/auth.db" /* where keys are unless somebody says otherwise */

struct args {
    const char *port_text, *port_source; /* as given, and where: "--port" */
    uint16_t port;
    char *key;           /* owned */
    char *auth_db;       /* owned; NULL: the configuration's */
    const char *address; /* NULL: the configuration's */
    const char *config;
    const char *tls_certificate, *tls_key;
    bool is_debug;
    bool is_serve; /* started by `isol8 serve`, whose words it uses */
    bool wants_help, wants_version;
};

/** Options, then the environment. Return: 0, or ISOL8_E_INVAL with a message for the user. */
int args_parse(struct args *a, int argc, char **argv, isol8_error *err);
void args_done(struct args *a);

extern const char args_help[];

#endif
