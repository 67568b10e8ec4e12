/* SPDX-License-Identifier: Apache-2.0 */
/**
 * order.h - what a server is asked to do: options and a request as JSON
 *
 * Members and their order are those of the original's client, so that its server understands them,
 * too; what it does not know (readonlyRootFs, env) is sent only when it was asked for. A file that
 * is text is sent as a string, any other as {"type":"Buffer","data":[...]}: both servers take the
 * first form, the second is what the original sends, and what isol8-server decodes.
 */
#ifndef CLIENT_ORDER_H
#define CLIENT_ORDER_H

#include <isol8/isol8.h>

#include "base/buf.h"
#include "base/err.h"

#define CLIENT_ORDER_MAX (256u << 20) /* bytes of JSON */

struct client_order {
    const isol8_options *options;
    const isol8_request *request;
    const char *session_id; /* NULL: none */
    /* Of the limits that a server knows defaults for, only what the user chose is sent. */
    bool has_pids_limit, has_max_output, has_sandbox_size, has_tmp_size;
};

/**
 * client_order_text() - Append the order as one JSON object
 * @is_message: With "type":"execute" in front, as over a WebSocket
 *
 * Return: 0, ISOL8_E_INVAL (a file's name cannot be sent), ISOL8_E_LIMIT, ISOL8_E_NOMEM
 */
int client_order_text(const struct client_order *o, bool is_message, struct buf *out,
                      isol8_error *err);

#endif
