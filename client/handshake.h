/* SPDX-License-Identifier: Apache-2.0 */
/* handshake.h - the opening handshake of a WebSocket (RFC 6455, section 4), as text. */
#ifndef CLIENT_HANDSHAKE_H
#define CLIENT_HANDSHAKE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/err.h"
#include "client/address.h"

#define HANDSHAKE_KEY_SIZE 25     /* base64 of 16 bytes, and NUL */
#define HANDSHAKE_ACCEPT_SIZE 29  /* base64 of 20 bytes, and NUL */
#define HANDSHAKE_HEAD_MAX 16384u /* bytes of an answer's head */
#define HANDSHAKE_REASON_SIZE 64

/* What an answer's head says. */
struct handshake_answer {
    int status;
    char reason[HANDSHAKE_REASON_SIZE];
    size_t head_size;  /* bytes, the empty line included */
    size_t body_size;  /* as announced; 0: unknown */
    bool is_websocket; /* status 101, and everything that goes with it is right */
};

int handshake_key(char key[HANDSHAKE_KEY_SIZE], isol8_error *err);
int handshake_accept(const char *key, char accept[HANDSHAKE_ACCEPT_SIZE], isol8_error *err);

/** Append the request for @path below the address; @authorization is the key itself. */
bool handshake_request(const struct client_address *a, const char *path, const char *authorization,
                       const char *key, struct buf *out);

/**
 * handshake_parse() - Look at what came of the answer so far
 * @accept: What handshake_accept() made of our key
 *
 * Return: 1 when the head is complete, 0 when more must come, ISOL8_E_PROTOCOL
 */
int handshake_parse(struct handshake_answer *answer, const char *text, size_t n, const char *accept,
                    isol8_error *err);

#endif
