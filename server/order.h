/* SPDX-License-Identifier: Apache-2.0 */
/**
 * order.h - the JSON body of an execution, checked and merged with the operator's settings
 *
 * { "request": {...}, "options"?: {...}, "sessionId"?: "..." }. Nothing here knows of HTTP. Unknown
 * members are ignored, and null counts as absent; of the known ones each must have its type. What
 * only the operator decides (pool, audit, remote code, debug) is accepted and has no effect.
 */
#ifndef SERVER_ORDER_H
#define SERVER_ORDER_H

#include "base/json.h"
#include "server/policy.h"

#define ORDER_SESSION_ID_MAX 128 /* bytes */
#define ORDER_MEMBERS_MAX 4096   /* of env, secrets, metadata, lists */
#define ORDER_FILES_MAX 16384

struct srv_order {
    cJSON *json; /* what everything below borrows from */
    isol8_options options;
    isol8_request request;
    const char *session_id; /* NULL: none */
    struct conf_list allow, deny;
    void **owned;
    size_t n_owned;
};

/** @out is filled in also on failure: srv_order_done(). Return: 0, or -1 with the fault. */
int srv_order_parse(struct srv_order *out, const struct srv_policy *p, const char *text, size_t n,
                    struct srv_fault *f);

/** The same of an object that was parsed already; @json is taken, also on failure. */
int srv_order_take(struct srv_order *out, const struct srv_policy *p, cJSON *json,
                   struct srv_fault *f);
void srv_order_done(struct srv_order *o);

/** Parse a body that must be one JSON object, without NUL in its strings. */
int srv_json_object(cJSON **out, const char *text, size_t n, struct srv_fault *f);

/** Check a session's id: 1 to 128 of A-Z a-z 0-9 . _ : @ + = ~ - */
int srv_session_id_check(const char *id, const char *field, struct srv_fault *f);

/** Decode base64 (RFC 4648, padded). Return: 0; -1 when it is none or memory is out. */
int srv_base64_decode(const char *text, void **data, size_t *size);

#endif
