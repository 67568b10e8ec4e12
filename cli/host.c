/* SPDX-License-Identifier: Apache-2.0 */
/* host.c - from the configuration to an open host. */
#include <unistd.h>

#include "cli/cli.h"
#include "cli/spinner.h"
#include "config/apply.h"

static void log_sink(enum isol8_log_level level, const char *line, void *user)
{
    (void)user;
    if (level == ISOL8_LOG_ERROR)
        cli_say("[ERROR] %s", line);
    else if (level == ISOL8_LOG_WARN)
        cli_warn("%s", line);
    else if (level == ISOL8_LOG_INFO)
        cli_say("%s", line);
    else
        cli_say("[DEBUG] [Engine] %s", line);
}

int cli_config(struct cli *cli, bool is_quiet, struct conf **out)
{
    struct conf_places places;
    isol8_error err;
    int r;

    conf_places_init(&places);
    places.named = cli->config_file;
    r = conf_load(out, &places, &err);
    if (r < 0)
        return cli_fail("%s", err.msg);
    if (conf_bool(*out, "debug"))
        cli->debug = true;
    if (!is_quiet || cli->debug || isatty(STDERR_FILENO) == 1) {
        for (size_t i = 0; i < (*out)->n_warnings; i++)
            cli_warn("%s", (*out)->warnings[i]);
    }
    cli_debug(cli, "Config", "Loaded from %s",
              (*out)->source == NULL ? "defaults" : (*out)->source);
    return 0;
}

void cli_host_options(const struct cli *cli, const struct conf *conf, isol8_host_options *opts)
{
    conf_host_options(conf, opts);
    /* Where a program's stderr may be read by another program, nothing is added to it but what went
     * wrong. */
    opts->log = log_sink;
    opts->log_level = ISOL8_LOG_ERROR;
    if (cli->wants_warnings || isatty(STDERR_FILENO) == 1)
        opts->log_level = ISOL8_LOG_WARN;
    if (cli->debug)
        opts->log_level = ISOL8_LOG_DEBUG;
}

int cli_host_open(const struct cli *cli, const struct conf *conf, isol8_host **out)
{
    isol8_host_options opts;
    struct conf_network net;
    isol8_error err;

    cli_host_options(cli, conf, &opts);
    int r = conf_network_init(&net, conf);
    if (r < 0)
        (void)err_nomem(&err);
    opts.network = net.settings;
    if (r == 0)
        r = isol8_host_open(out, &opts, &err);
    conf_network_done(&net);
    return r < 0 ? cli_fail("%s", err.msg) : 0;
}
