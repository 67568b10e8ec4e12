/* SPDX-License-Identifier: Apache-2.0 */
/* remote.h - the way to a server: its address, and the key for it. */
#ifndef CLI_REMOTE_H
#define CLI_REMOTE_H

#include "cli/cli.h"
#include "client/client.h"
#include "client/credentials.h"

struct remote {
    struct client client;
    struct client_credentials stored;
};

/**
 * remote_open() - Check the address and find the key: @key, ISOL8_API_KEY, or what login stored
 *
 * Says what is wrong; warns when the key would go over a network unencrypted.
 * Return: 0 or the exit code; remote_close() in both cases
 */
int remote_open(const struct cli *cli, struct remote *r, const char *host, const char *key);
void remote_close(struct remote *r);
#define auto_remote __attribute__((cleanup(remote_close)))

/** HOME, where credentials are; says when there is none. NULL: there is none. */
const char *remote_home(void);

#endif
