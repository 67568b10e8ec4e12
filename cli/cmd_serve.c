/* SPDX-License-Identifier: Apache-2.0 */
/**
 * cmd_serve.c - isol8 serve: becomes isol8-server
 *
 * The server is a program of its own because of the libraries it links (docs/ARCHITECTURE.md). It
 * keeps this process's id, as service managers expect.
 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"

enum {
    SERVE_PORT,
    SERVE_KEY,
    SERVE_KEY_FILE,
    SERVE_ADDRESS,
    SERVE_CERT,
    SERVE_TLS_KEY,
    SERVE_AUTH_DB,
    SERVE_UPDATE,
    SERVE_OPTS
};

#define ARGS_MAX 24

const struct cli_opt cli_serve_opts[] = {
    [SERVE_PORT] = { .letter = 'p',
                     .name = "port",
                     .arg = "<port>",
                     .help = "Port to listen on; else ISOL8_PORT, then PORT",
                     .fallback = "3000" },
    [SERVE_KEY] = { .letter = 'k',
                    .name = "key",
                    .arg = "<key>",
                    .help = "Master API key; else ISOL8_API_KEY" },
    [SERVE_KEY_FILE] = { .name = "key-file",
                         .arg = "<file>",
                         .help = "Read the master API key from the first line of this file" },
    [SERVE_ADDRESS] = { .name = "host-address",
                        .arg = "<address>",
                        .help = "Listen here: an IP address, localhost, * (all), or unix:/PATH",
                        .fallback = "localhost" },
    [SERVE_CERT] = { .name = "tls-cert",
                     .arg = "<file>",
                     .help = "Certificate chain in PEM: speak TLS" },
    [SERVE_TLS_KEY] = { .name = "tls-key", .arg = "<file>", .help = "Its private key in PEM" },
    [SERVE_AUTH_DB] = { .name = "auth-db",
                        .arg = "[conn]",
                        .bare = "~/.isol8/auth.db",
                        .help = "Keys in a database: a file, postgres:// or mysql://; else "
                                "ISOL8_AUTH_DB" },
    [SERVE_UPDATE] = { .name = "update",
                       .help = "Of the original, which downloads its server: nothing to do here" },
    { .name = NULL },
};

/* Beside this program, where the build puts it, or where a package may. */
static const char *const places[] = { "isol8-server", "../server/isol8-server",
                                      "../libexec/isol8/isol8-server" };

static int run_server(char *const argv[])
{
    char self[PATH_MAX], path[PATH_MAX + 64];
    ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);

    if (n < 0)
        return cli_fail("Cannot read /proc/self/exe: %s", strerrordesc_np(errno));
    self[n] = '\0';
    *strrchr(self, '/') = '\0';
    for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
        (void)snprintf(path, sizeof(path), "%s/%s", self, places[i]);
        (void)execv(path, argv);
        if (errno != ENOENT)
            return cli_fail("Cannot start %s: %s", path, strerrordesc_np(errno));
    }
    return cli_fail("isol8-server was not found beside %s/isol8: it belongs to the same "
                    "installation.",
                    self);
}

int cmd_serve(struct cli *cli, const struct cli_args *args)
{
    static const char *const passed[SERVE_OPTS] = { [SERVE_PORT] = "--port",
                                                    [SERVE_KEY_FILE] = "--key-file",
                                                    [SERVE_ADDRESS] = "--host-address",
                                                    [SERVE_CERT] = "--tls-cert",
                                                    [SERVE_TLS_KEY] = "--tls-key" };
    const char *argv[ARGS_MAX] = { "isol8-server", "--as-serve" };
    const char *key = cli_arg(args, SERVE_KEY);
    const char *from_env = getenv("ISOL8_API_KEY");
    const char *auth_db = cli_arg(args, SERVE_AUTH_DB);
    size_t n = 2;

    if (args->values[SERVE_UPDATE].n > 0)
        cli_say("--update: isol8-server belongs to this installation; nothing to download.");
    if (key == NULL && cli_arg(args, SERVE_KEY_FILE) == NULL)
        key = from_env;
    if ((key == NULL || key[0] == '\0') && cli_arg(args, SERVE_KEY_FILE) == NULL)
        return cli_fail("API key required. Use --key or ISOL8_API_KEY env var.");
    if (auth_db != NULL && auth_db[0] == '\0')
        return cli_fail("--auth-db: '' does not name a database.");
    /* By the environment, which nobody else can read, unlike the arguments of a process. */
    if ((key != NULL && setenv("ISOL8_API_KEY", key, 1) < 0) ||
        (auth_db != NULL && setenv("ISOL8_AUTH_DB", auth_db, 1) < 0))
        return cli_fail("out of memory");
    for (size_t i = 0; i < SERVE_OPTS; i++) {
        if (passed[i] == NULL || cli_arg(args, i) == NULL)
            continue;
        argv[n++] = passed[i];
        argv[n++] = cli_arg(args, i);
    }
    if (cli->config_file != NULL) {
        argv[n++] = "--config";
        argv[n++] = cli->config_file;
    }
    if (cli->debug)
        argv[n++] = "--debug";
    return run_server((char *const *)argv);
}
