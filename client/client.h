/* SPDX-License-Identifier: Apache-2.0 */
/**
 * client.h - a server, and the calls that need no program: health, login, sessions
 *
 * Each call makes a connection of its own, blocks until the answer is there, and gives up after
 * half a minute. No redirect is followed: it would carry the key to another place. Certificates are
 * checked; CURL_CA_BUNDLE or SSL_CERT_FILE names others than the machine's, and proxies are those
 * of the environment, as with curl. Texts of the server that end up in messages are escaped.
 */
#ifndef CLIENT_CLIENT_H
#define CLIENT_CLIENT_H

#include "base/json.h"
#include "client/address.h"

struct client {
    struct client_address address;
    const char *key; /* borrowed */
};

/** Check address and key. Return: 0, ISOL8_E_INVAL, ISOL8_E_NOMEM; client_close() in every case. */
int client_open(struct client *c, const char *host, const char *key, isol8_error *err);
void client_close(struct client *c);

/** Ask whether the server is there. Return: 0, ISOL8_E_NETWORK, ISOL8_E_PROTOCOL, ... */
int client_health(const struct client *c, isol8_error *err);

/**
 * client_login() - Get a token for the key
 * @body:   {"name":...,"ttlMs":...}
 * @status: Of the answer; 0: there was none
 * @out:    The answer, an object with the string members token and expiresAt
 *
 * Return: 0; with a status, the message is the server's error alone
 */
int client_login(const struct client *c, const char *body, long *status, cJSON **out,
                 isol8_error *err);

/** The server's sessions as an array of objects, each with a string member id. */
int client_sessions(const struct client *c, cJSON **out, isol8_error *err);

/** End a session. @timeout_ms: how long to wait for the answer */
int client_session_delete(const struct client *c, const char *id, int timeout_ms, isol8_error *err);

#endif
