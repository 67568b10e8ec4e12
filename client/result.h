/* SPDX-License-Identifier: Apache-2.0 */
/* result.h - the answer of POST /execute: the result of an execution. */
#ifndef CLIENT_RESULT_H
#define CLIENT_RESULT_H

#include <stdbool.h>
#include <stddef.h>

#include "base/json.h"

struct client_result {
    const char *out, *err; /* any bytes */
    size_t out_size, err_size;
    int exit_code;
    bool is_truncated, is_timeout;
    const char *detail; /* of an end that the exit code does not explain; NULL: none */
    const cJSON *network_logs;
    cJSON *json; /* owned; the rest borrows from it */
};

/** Return: 0, ISOL8_E_PROTOCOL, ISOL8_E_NOMEM; client_result_done() in every case. */
int client_result_parse(struct client_result *r, const char *text, size_t n, isol8_error *err);
void client_result_done(struct client_result *r);

#endif
