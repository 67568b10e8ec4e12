/* SPDX-License-Identifier: Apache-2.0 */
/**
 * credentials.h - ~/.isol8/credentials.json, which `login` writes, and the choice of a key
 *
 * The file is replaced by a rename, mode 0600, so a link of that name is replaced and never written
 * through. It is read when it is a regular file of the caller's; others' access to it is taken
 * away.
 */
#ifndef CLIENT_CREDENTIALS_H
#define CLIENT_CREDENTIALS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

struct client_credentials {
    char *host, *token, *expires_at, *key_id; /* owned; NULL: none */
};

/** Return: 0, or why they cannot be used; client_credentials_done() in both cases. */
int client_credentials_read(struct client_credentials *c, const char *home, isol8_error *err);
int client_credentials_write(const struct client_credentials *c, const char *home,
                             isol8_error *err);

/** Return: 1, 0 when there were none, or ISOL8_E_SYS */
int client_credentials_remove(const char *home, isol8_error *err);
void client_credentials_done(struct client_credentials *c);

enum client_key { CLIENT_KEY_FOUND, CLIENT_KEY_NONE, CLIENT_KEY_EXPIRED };

/**
 * client_key_choose() - The key for a server: --key, then the environment, then the stored one
 * @flag, @variable: NULL or "" when absent
 * @now_ms:          Wall time
 * @out:             The key, borrowed from one of the arguments
 */
enum client_key client_key_choose(const char *flag, const char *variable,
                                  const struct client_credentials *stored, const char *host,
                                  int64_t now_ms, const char **out);

/** Whether it can stand in a header: printable ASCII, at most 4,096 bytes. */
bool client_key_is_valid(const char *key);

#endif
