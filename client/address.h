/* SPDX-License-Identifier: Apache-2.0 */
/* address.h - the address of a server, as --host gives it. */
#ifndef CLIENT_ADDRESS_H
#define CLIENT_ADDRESS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/err.h"

#define CLIENT_ADDRESS_MAX 2048 /* bytes */

struct client_address {
    char *url;        /* "https://box.example:3000/isol8", without a slash at the end */
    char *authority;  /* "box.example:3000" */
    const char *path; /* in url: "/isol8", or "" */
    bool is_tls;
    bool is_local; /* this machine's loopback: nobody is on the way */
};

/** Return: 0, ISOL8_E_INVAL, ISOL8_E_NOMEM; client_address_done() in every case. */
int client_address_init(struct client_address *a, const char *host, isol8_error *err);
void client_address_done(struct client_address *a);

/** Whether both name the same server: one slash at the end does not count. */
bool client_address_same(const char *a, const char *b);

/** Append @text as one part of a path: all but unreserved characters percent-encoded (RFC 3986). */
void client_address_escape(struct buf *out, const char *text);

#endif
