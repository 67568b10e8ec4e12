/* SPDX-License-Identifier: Apache-2.0 */
/* busy.h - a port that somebody else has: on a terminal, the user is asked which one instead. */
#ifndef SERVER_BUSY_H
#define SERVER_BUSY_H

#include "server/args.h"
#include "server/listen.h"

/**
 * busy_listen() - listen_open() for the command line's address and port
 * @args:      Its port becomes the one that is listened on
 * @signal_fd: Polls readable when the user wants to stop
 *
 * `isol8 serve` on a terminal asks when the port is taken. Everybody else gets the error: a script
 * that counts on a port is not helped by another one.
 * Return: 0, ISOL8_E_BUSY, ISOL8_E_CANCELLED when the user gave up, ISOL8_E_INVAL, ISOL8_E_SYS
 */
int busy_listen(struct listeners *l, struct args *args, int signal_fd, isol8_error *err);

#endif
