/* SPDX-License-Identifier: Apache-2.0 */
/* cmd_session.c - `isol8 session list` and `session stop`: the sessions of a server. */
#include <string.h>

#include "base/clock.h"
#include "base/json.h"
#include "cli/remote.h"

#define OUTPUT_MAX (64u << 20)

enum { SESSION_HOST, SESSION_KEY, SESSION_JSON };

#define HOST_ROW                                                                                   \
    {                                                                                              \
        .name = "host", .arg = "<url>", .help = "The server's address"                             \
    }
#define KEY_ROW                                                                                    \
    {                                                                                              \
        .name = "key", .arg = "<key>",                                                             \
        .help = "API key, which ps shows to others; better ISOL8_API_KEY, or isol8 login"          \
    }

const struct cli_opt cli_session_list_opts[] = {
    [SESSION_HOST] = HOST_ROW,
    [SESSION_KEY] = KEY_ROW,
    [SESSION_JSON] = { .name = "json", .help = "Print JSON" },
    { .name = NULL },
};

const struct cli_opt cli_session_stop_opts[] = {
    [SESSION_HOST] = HOST_ROW,
    [SESSION_KEY] = KEY_ROW,
    { .name = NULL },
};

static int open_server(const struct cli *cli, const struct cli_args *args, struct remote *r)
{
    const char *host = cli_arg(args, SESSION_HOST);

    if (host == NULL || host[0] == '\0')
        return cli_missing_option(&args->command->opts[SESSION_HOST]);
    return remote_open(cli, r, host, cli_arg(args, SESSION_KEY));
}

/* ---- list ------------------------------------------------------------------------------------ */

static bool is_active(const cJSON *session)
{
    return cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(session, "isActive"));
}

static bool put_json(struct buf *text, const cJSON *sessions)
{
    auto_json cJSON *list = cJSON_CreateArray();
    const cJSON *s;

    cJSON_ArrayForEach(s, sessions)
    {
        const char *accessed = json_string(s, "lastAccessedAt");
        cJSON *item = cJSON_CreateObject();
        if (!cJSON_AddItemToArray(list, item) ||
            cJSON_AddStringToObject(item, "id", json_string(s, "id")) == NULL ||
            cJSON_AddBoolToObject(item, "isActive", is_active(s)) == NULL ||
            cJSON_AddStringToObject(item, "lastAccessedAt", accessed == NULL ? "" : accessed) ==
                NULL)
            return false;
    }
    return list != NULL && json_pretty(list, text);
}

static void put_row(struct buf *text, const cJSON *session)
{
    const char *id = json_string(session, "id");
    const char *accessed = json_string(session, "lastAccessedAt");
    char date[CLI_DATE_SIZE];
    int64_t ms;

    (void)buf_adds(text, "  ");
    cli_escape(text, id, strlen(id));
    (void)buf_addf(text, "  [%s]  last accessed: ", is_active(session) ? "running" : "idle");
    if (accessed != NULL && clock_iso_parse(accessed, &ms)) {
        cli_local_date(ms, date);
        accessed = date;
    }
    if (accessed != NULL)
        cli_escape(text, accessed, strlen(accessed));
    (void)buf_adds(text, "\n");
}

static void put_page(struct buf *text, const cJSON *sessions)
{
    const cJSON *s;
    int n = cJSON_GetArraySize(sessions);

    if (n == 0) {
        (void)buf_adds(text, "[INFO] No active sessions.\n");
        return;
    }
    (void)buf_addf(text, "\n  %d active session(s):\n\n", n);
    cJSON_ArrayForEach(s, sessions) put_row(text, s);
    (void)buf_adds(text, "\n");
}

int cmd_session_list(struct cli *cli, const struct cli_args *args)
{
    auto_remote struct remote r = { .client = { .key = NULL } };
    auto_buf struct buf text = BUF_INIT(OUTPUT_MAX);
    auto_json cJSON *sessions = NULL;
    isol8_error err;
    int code = open_server(cli, args, &r);

    if (code != 0)
        return code;
    if (client_sessions(&r.client, &sessions, &err) < 0)
        return cli_fail("Failed to list sessions: %s", err.msg);
    if (args->values[SESSION_JSON].n == 0)
        put_page(&text, sessions);
    else if (!put_json(&text, sessions))
        return cli_fail("out of memory");
    return cli_put(&text);
}

/* ---- stop ------------------------------------------------------------------------------------ */

int cmd_session_stop(struct cli *cli, const struct cli_args *args)
{
    auto_remote struct remote r = { .client = { .key = NULL } };
    auto_buf struct buf text = BUF_INIT(OUTPUT_MAX);
    isol8_error err;

    if (args->operands.n == 0 || args->operands.items[0][0] == '\0')
        return cli_missing_operand("id");
    const char *id = args->operands.items[0];
    int code = open_server(cli, args, &r);
    if (code != 0)
        return code;
    if (client_session_delete(&r.client, id, 0, &err) < 0)
        return cli_fail("Failed to delete session: %s", err.msg);
    (void)buf_adds(&text, "[OK] Session \"");
    cli_escape(&text, id, strlen(id));
    (void)buf_adds(&text, "\" destroyed.\n");
    return cli_put(&text);
}
