/* SPDX-License-Identifier: Apache-2.0 */
/* listen.h - the sockets the server listens on, and what it tells its service manager. */
#ifndef SERVER_LISTEN_H
#define SERVER_LISTEN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

enum { LISTEN_MAX = 8, LISTEN_BACKLOG = 511 };

struct listeners {
    int fds[LISTEN_MAX];
    size_t n;
    char *socket_path; /* of a local socket that was made here; NULL: none */
    uint64_t inode;    /* of its file, so that another's is not removed */
    bool is_inherited; /* by socket activation */
};

/**
 * listen_open() - Sockets for an address
 * @address: NULL or "localhost" (both loopback addresses), an IP address, "*" (all), "unix:PATH"
 *
 * Sockets that the service manager passed (sd_listen_fds(3)) are used instead when there are any.
 * Return: 0, ISOL8_E_BUSY when the port is taken, ISOL8_E_INVAL, ISOL8_E_SYS
 */
int listen_open(struct listeners *l, const char *address, uint16_t port, isol8_error *err);

/** A TCP port that nobody has just now. */
int listen_free_port(uint16_t *port, isol8_error *err);

/** True for "unix:PATH", which has no port. */
bool listen_is_local(const char *address);

/** Close what was not taken, and remove the local socket. */
void listen_close(struct listeners *l);

/** "http://localhost:3000", "unix:/run/isol8.sock" */
void listen_describe(const char *address, uint16_t port, bool is_tls, char *out, size_t n);

/** Tell the service manager ("READY=1"); nothing happens without one (sd_notify(3)). */
void listen_notify(const char *state);

#endif
