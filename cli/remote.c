/* SPDX-License-Identifier: Apache-2.0 */
/* remote.c - the way to a server: its address, and the key for it. */
#include "cli/remote.h"

#include <stdlib.h>

#include "base/clock.h"

const char *remote_home(void)
{
    const char *home = getenv("HOME");

    if (home != NULL && home[0] == '/')
        return home;
    (void)cli_fail("HOME is not set to a directory: credentials are stored in ~/.isol8.");
    return NULL;
}

static int find_key(const struct cli *cli, struct remote *r, const char *host, const char *flag,
                    const char **key)
{
    const char *variable = getenv("ISOL8_API_KEY"), *home = getenv("HOME");
    isol8_error err;

    if (home != NULL && client_credentials_read(&r->stored, home, &err) < 0)
        cli_debug(cli, "Auth", "No stored credentials: %s", err.msg);
    switch (client_key_choose(flag, variable, &r->stored, host, clock_wall_ms(), key)) {
    case CLIENT_KEY_FOUND:
        return 0;
    case CLIENT_KEY_EXPIRED:
        cli_warn("Stored credentials have expired. Run `isol8 login` to re-authenticate.");
        break;
    case CLIENT_KEY_NONE:
        break;
    }
    return cli_fail("API key required. Use --key, ISOL8_API_KEY env var, or `isol8 login`.");
}

int remote_open(const struct cli *cli, struct remote *r, const char *host, const char *key)
{
    isol8_error err;

    *r = (struct remote){ .stored = { .host = NULL } };
    int code = find_key(cli, r, host, key, &key);
    if (code != 0)
        return code;
    if (client_open(&r->client, host, key, &err) < 0)
        return cli_fail("%s", err.msg);
    if (!r->client.address.is_tls && !r->client.address.is_local)
        cli_warn("The API key goes to %s unencrypted: use https.", r->client.address.authority);
    return 0;
}

void remote_close(struct remote *r)
{
    client_close(&r->client);
    client_credentials_done(&r->stored);
}
