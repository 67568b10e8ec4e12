/* SPDX-License-Identifier: Apache-2.0 */
/* cmd_login.c - `isol8 login` and `isol8 logout`: a token instead of a key. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/text.h"
#include "cli/remote.h"

#define SHOWN_PLACE "~/.isol8/credentials.json"

enum { LOGIN_HOST, LOGIN_KEY, LOGIN_NAME, LOGIN_TTL };

const struct cli_opt cli_login_opts[] = {
    [LOGIN_HOST] = { .name = "host", .arg = "<url>", .help = "The server's address" },
    [LOGIN_KEY] = { .name = "key", .arg = "<key>", .help = "The server's master API key" },
    [LOGIN_NAME] = { .name = "name",
                     .arg = "<name>",
                     .help = "Name of the token in the server's list",
                     .fallback = "cli-login-<time>" },
    [LOGIN_TTL] = { .name = "ttl",
                    .arg = "<ms>",
                    .help = "Life of the token; without it the server decides" },
    { .name = NULL },
};

static int make_body(const struct cli_args *args, struct buf *body)
{
    const char *ttl = cli_arg(args, LOGIN_TTL), *name = cli_arg(args, LOGIN_NAME);
    char now[CLOCK_ISO_SIZE], made[CLOCK_ISO_SIZE + 16];
    uint64_t ms = 0;

    if (ttl != NULL && (!text_parse_u64(ttl, &ms) || ms < 1 || ms > (1ull << 53)))
        return cli_bad_value(&cli_login_opts[LOGIN_TTL], ttl,
                             "Expected a whole number of milliseconds, 1 or more.");
    clock_iso(clock_wall_ms(), now);
    (void)snprintf(made, sizeof(made), "cli-login-%s", now);
    name = name != NULL && name[0] != '\0' ? name : made;
    (void)buf_adds(body, "{\"name\":");
    (void)json_put_text(body, name, strlen(name));
    if (ttl != NULL)
        (void)buf_addf(body, ",\"ttlMs\":%llu", (unsigned long long)ms);
    return buf_adds(body, "}") ? 0 : cli_fail("--name is too long.");
}

static int failed(long status, const isol8_error *err)
{
    bool is_answer = status < 200 || status > 299;

    if (status == 0 || !is_answer)
        return cli_fail("Login failed: %s", err->msg);
    (void)cli_fail("Authentication failed: %s", err->msg);
    if (status == 400) {
        cli_warn("The server may keep no keys: tokens need DB-backed auth.");
        cli_warn("Start it with --auth-db, or use its key with --key or ISOL8_API_KEY.");
    }
    return CLI_EXIT_ERROR;
}

static int put_page(const char *host, const char *expires)
{
    auto_buf struct buf text = BUF_INIT(1u << 16);
    char date[CLI_DATE_SIZE] = "";
    int64_t ms;

    if (clock_iso_parse(expires, &ms))
        cli_local_date(ms, date);
    (void)buf_adds(&text, "  Host:    ");
    cli_escape(&text, host, strlen(host));
    (void)buf_addf(&text, "\n  Expires: %s\n  Stored:  " SHOWN_PLACE "\n", date);
    return cli_put(&text);
}

int cmd_login(struct cli *cli, const struct cli_args *args)
{
    const char *host = cli_arg(args, LOGIN_HOST), *key = cli_arg(args, LOGIN_KEY);
    auto_remote struct remote r = { .client = { .key = NULL } };
    auto_buf struct buf body = BUF_INIT(65536);
    auto_json cJSON *answer = NULL;
    isol8_error err;
    long status = 0;

    if (host == NULL || host[0] == '\0')
        return cli_missing_option(&cli_login_opts[LOGIN_HOST]);
    if (key == NULL || key[0] == '\0')
        return cli_missing_option(&cli_login_opts[LOGIN_KEY]);
    const char *home = remote_home();
    if (home == NULL)
        return CLI_EXIT_ERROR;
    int code = make_body(args, &body);
    if (code == 0)
        code = remote_open(cli, &r, host, key);
    if (code != 0)
        return code;
    if (client_login(&r.client, buf_text(&body), &status, &answer, &err) < 0)
        return failed(status, &err);

    const struct client_credentials c = { .host = r.client.address.url,
                                          .token = (char *)json_string(answer, "token"),
                                          .expires_at = (char *)json_string(answer, "expiresAt"),
                                          .key_id = (char *)json_string(answer, "keyId") };
    if (client_credentials_write(&c, home, &err) < 0)
        return cli_fail("Login failed: %s", err.msg);
    cli_say("Authenticated successfully");
    return put_page(c.host, c.expires_at);
}

int cmd_logout(struct cli *cli, const struct cli_args *args)
{
    auto_buf struct buf text = BUF_INIT(1024);
    const char *home = remote_home();
    isol8_error err;

    (void)cli;
    (void)args;
    if (home == NULL)
        return CLI_EXIT_ERROR;
    int r = client_credentials_remove(home, &err);
    if (r < 0)
        return cli_fail("%s", err.msg);
    (void)buf_adds(&text, r > 0 ? "[OK] Credentials removed from " SHOWN_PLACE "\n"
                                : "[INFO] No stored credentials found.\n");
    return cli_put(&text);
}
