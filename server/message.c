/* SPDX-License-Identifier: Apache-2.0 */
/* message.c - what a client says over WebSocket. */
#include "server/message.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "server/order.h"

#define SHOWN_MAX 64 /* bytes of a wrong word that are repeated */

static const cJSON *member(const cJSON *j, const char *name)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(j, name);

    return cJSON_IsNull(item) ? NULL : item;
}

static int flag(const cJSON *j, const char *name, bool *out, struct srv_fault *f)
{
    const cJSON *item = member(j, name);

    if (item != NULL && !cJSON_IsBool(item))
        return srv_fault_set(f, 400, name, "%s: expected boolean", name);
    *out = cJSON_IsTrue(item);
    return 0;
}

static int parse_stdin(struct message *m, struct srv_fault *f)
{
    const cJSON *data = member(m->json, "data"), *encoding = member(m->json, "encoding");

    if (flag(m->json, "end", &m->is_end, f) < 0)
        return -1;
    if (data == NULL && !m->is_end)
        return srv_fault_set(f, 400, "data", "data: is required, unless \"end\" is true");
    if (data != NULL && !cJSON_IsString(data))
        return srv_fault_set(f, 400, "data", "data: expected string");
    if (encoding != NULL && (!cJSON_IsString(encoding) || strcmp(encoding->valuestring, "base64")))
        return srv_fault_set(f, 400, "encoding", "encoding: expected \"base64\", or nothing");
    m->data = data == NULL ? "" : data->valuestring;
    m->size = strlen(m->data);
    if (encoding == NULL)
        return 0;
    if (srv_base64_decode(m->data, &m->decoded, &m->size) < 0)
        return srv_fault_set(f, 400, "data", "data: is not valid base64");
    m->data = m->decoded;
    return 0;
}

static int parse_signal(struct message *m, struct srv_fault *f)
{
    const cJSON *name = member(m->json, "signal");
    const char *word = cJSON_IsString(name) ? name->valuestring : "";

    if (strcmp(word, "SIGINT") == 0)
        m->signal = SIGINT;
    else if (strcmp(word, "SIGTERM") == 0)
        m->signal = SIGTERM;
    else
        return srv_fault_set(f, 400, "signal", "signal: expected \"SIGINT\" or \"SIGTERM\"");
    return 0;
}

/* As JavaScript would print it. */
static int unknown_type(const cJSON *type, struct srv_fault *f)
{
    auto_free char *other = type == NULL || cJSON_IsString(type) ? NULL
                                                                 : cJSON_PrintUnformatted(type);
    const char *shown = type == NULL           ? "undefined"
                        : cJSON_IsString(type) ? type->valuestring
                        : other == NULL        ? "?"
                                               : other;

    return srv_fault_set(f, 400, "type", "Unknown message type: %.*s", SHOWN_MAX, shown);
}

int message_parse(struct message *m, const char *text, size_t n, struct srv_fault *f)
{
    isol8_error err;

    *m = (struct message){ .data = "" };
    if (json_parse(&m->json, text, n, "message", &err) < 0) {
        (void)srv_fault_set(f, 400, NULL, "Invalid JSON message");
        return MESSAGE_NO_JSON;
    }
    if (json_has_escaped_nul(text, n))
        return srv_fault_set(f, 400, NULL, "strings must not hold a NUL character (\\u0000)");
    const cJSON *type = cJSON_GetObjectItemCaseSensitive(m->json, "type");
    const char *word = cJSON_IsString(type) ? type->valuestring : "";
    if (strcmp(word, "execute") == 0) {
        m->type = MESSAGE_EXECUTE;
        return flag(m->json, "openStdin", &m->opens_stdin, f);
    }
    if (strcmp(word, "stdin") == 0) {
        m->type = MESSAGE_STDIN;
        return parse_stdin(m, f);
    }
    if (strcmp(word, "signal") == 0) {
        m->type = MESSAGE_SIGNAL;
        return parse_signal(m, f);
    }
    return unknown_type(type, f);
}

void message_done(struct message *m)
{
    cJSON_Delete(m->json);
    free(m->decoded);
    *m = (struct message){ 0 };
}
