/* SPDX-License-Identifier: Apache-2.0 */
/* client.c - the calls that need no program: health, login, sessions. */
#include "client/client.h"

#include <string.h>

#include "base/mem.h"
#include "client/call.h"
#include "client/credentials.h"
#include "client/event.h"

#define ANSWER_MAX (4u << 20)
#define MESSAGE_MAX 400

enum { CALL_MS = 30000 };

int client_open(struct client *c, const char *host, const char *key, isol8_error *err)
{
    *c = (struct client){ .key = key };
    if (!client_key_is_valid(key))
        return err_set(err, ISOL8_E_INVAL,
                       "Invalid API key: it must be printable ASCII, at most 4096 characters.");
    return client_address_init(&c->address, host, err);
}

void client_close(struct client *c)
{
    client_address_done(&c->address);
}

static void call_free_p(struct call **call)
{
    call_free(*call);
}
#define auto_call __attribute__((cleanup(call_free_p)))

/* Make a call and wait for its answer. */
static int ask(struct call **out, const struct client *c, const struct call_args *args,
               isol8_error *err)
{
    auto_call struct call *call = NULL;
    int r = call_start(&call, c, args, err);

    while (r == 0) {
        r = call_step(call, err);
        if (r == 0)
            call_wait(call, NULL, 0, -1);
    }
    if (r < 0)
        return r;
    *out = take_ptr(&call);
    return 0;
}

/* What the server says went wrong. */
static int refused(const struct call *call, isol8_error *err)
{
    auto_buf struct buf why = BUF_INIT(ANSWER_MAX);

    call_error(call, &why);
    return err_set(err, ISOL8_E_POLICY, "%.*s", MESSAGE_MAX, buf_text(&why));
}

int client_health(const struct client *c, isol8_error *err)
{
    const struct call_args args = { .method = "GET", .path = "/health", .timeout_ms = CALL_MS };
    auto_call struct call *call = NULL;

    int r = ask(&call, c, &args, err);
    if (r == 0 && !call_is_good(call))
        r = err_set(err, ISOL8_E_PROTOCOL, "Remote server health check failed: %ld",
                    call_status(call));
    return r;
}

int client_login(const struct client *c, const char *body, long *status, cJSON **out,
                 isol8_error *err)
{
    const struct call_args args = { .method = "POST",
                                    .path = "/auth/login",
                                    .body = body,
                                    .body_size = strlen(body),
                                    .timeout_ms = CALL_MS,
                                    .answer_max = ANSWER_MAX };
    auto_call struct call *call = NULL;
    auto_json cJSON *j = NULL;

    *status = 0;
    int r = ask(&call, c, &args, err);
    if (r < 0)
        return r;
    *status = call_status(call);
    if (!call_is_good(call))
        return refused(call, err);
    r = client_json(&j, buf_text(call_answer(call)), call_answer(call)->len, err);
    if (r < 0)
        return r;
    const char *token = json_string(j, "token");
    if (token == NULL || !client_key_is_valid(token) || json_string(j, "expiresAt") == NULL)
        return err_set(err, ISOL8_E_PROTOCOL, "the server's answer has no token");
    *out = take_ptr(&j);
    return 0;
}

int client_sessions(const struct client *c, cJSON **out, isol8_error *err)
{
    const struct call_args args = {
        .method = "GET", .path = "/sessions", .timeout_ms = CALL_MS, .answer_max = ANSWER_MAX
    };
    auto_call struct call *call = NULL;
    auto_json cJSON *j = NULL;
    const cJSON *item;

    int r = ask(&call, c, &args, err);
    if (r < 0)
        return r;
    if (!call_is_good(call))
        return refused(call, err);
    r = client_json(&j, buf_text(call_answer(call)), call_answer(call)->len, err);
    if (r < 0)
        return r;
    cJSON *list = cJSON_DetachItemFromObjectCaseSensitive(j, "sessions");
    if (!cJSON_IsArray(list)) {
        cJSON_Delete(list);
        return err_set(err, ISOL8_E_PROTOCOL, "the server's answer has no list of sessions");
    }
    *out = list;
    cJSON_ArrayForEach(item, list)
    {
        if (json_string(item, "id") == NULL)
            r = err_set(err, ISOL8_E_PROTOCOL, "the server's answer has a session without an id");
    }
    return r;
}

int client_session_delete(const struct client *c, const char *id, int timeout_ms, isol8_error *err)
{
    auto_buf struct buf path = BUF_INIT(65536);
    auto_call struct call *call = NULL;
    struct call_args args = { .method = "DELETE",
                              .timeout_ms = timeout_ms > 0 ? timeout_ms : CALL_MS,
                              .answer_max = ANSWER_MAX };

    (void)buf_adds(&path, "/session/");
    client_address_escape(&path, id);
    if (path.failed)
        return err_set(err, ISOL8_E_INVAL, "The id of the session is too long.");
    args.path = buf_text(&path);
    int r = ask(&call, c, &args, err);
    return r == 0 && !call_is_good(call) ? refused(call, err) : r;
}
