/* SPDX-License-Identifier: Apache-2.0 */
/* cmd_policy.c - isol8 policy check: what the filtered network would do with an address. */
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "cli/cli.h"
#include "cli/network.h"

enum { POLICY_ALLOW, POLICY_DENY, POLICY_JSON };

const struct cli_opt cli_policy_opts[] = {
    [POLICY_ALLOW] = { .name = "allow",
                       .arg = "<regex>",
                       .is_repeatable = true,
                       .help = "Allow hosts that match; replaces the configuration's list" },
    [POLICY_DENY] = { .name = "deny",
                      .arg = "<regex>",
                      .is_repeatable = true,
                      .help = "Refuse hosts that match; replaces the configuration's list" },
    [POLICY_JSON] = { .name = "json", .help = "Print an array of answers as JSON" },
    { .name = NULL },
};

static cJSON *to_json(const char *url, const isol8_policy_answer *a)
{
    cJSON *j = cJSON_CreateObject();

    (void)cJSON_AddStringToObject(j, "url", url);
    (void)cJSON_AddStringToObject(j, "host", a->host);
    (void)cJSON_AddNumberToObject(j, "port", a->port);
    (void)cJSON_AddStringToObject(j, "action", a->is_allowed ? "ALLOW" : "BLOCK");
    (void)cJSON_AddStringToObject(j, "rule", a->rule);
    (void)cJSON_AddStringToObject(j, "reason", a->reason);
    (void)cJSON_AddStringToObject(j, "address", a->address);
    return j;
}

static void to_text(struct buf *out, const char *url, const isol8_policy_answer *a)
{
    (void)buf_addf(out, "%s  ", a->is_allowed ? "ALLOW" : "BLOCK");
    cli_escape(out, url, strlen(url));
    (void)buf_addf(out, "  %s", a->reason);
    if (a->rule[0] != '\0') {
        (void)buf_adds(out, " (rule ");
        cli_escape(out, a->rule, strlen(a->rule));
        (void)buf_adds(out, ")");
    }
    if (a->address[0] != '\0')
        (void)buf_addf(out, ", address %s", a->address);
    (void)buf_adds(out, "\n");
}

static int check_all(isol8_engine *engine, const struct cli_args *args, bool is_json)
{
    auto_buf struct buf out = BUF_INIT(1u << 24);
    auto_json cJSON *list = cJSON_CreateArray();

    for (size_t i = 1; i < args->operands.n; i++) {
        isol8_policy_answer a;
        isol8_error err;
        if (isol8_policy_check(engine, args->operands.items[i], &a, &err) < 0)
            return cli_fail("%s", err.msg);
        if (is_json)
            (void)cJSON_AddItemToArray(list, to_json(args->operands.items[i], &a));
        else
            to_text(&out, args->operands.items[i], &a);
    }
    if (is_json && !json_pretty(list, &out))
        return cli_fail("out of memory");
    return cli_put(&out);
}

int cmd_policy(struct cli *cli, const struct cli_args *args)
{
    auto_conf struct conf *conf = NULL;
    auto_host isol8_host *host = NULL;
    isol8_engine *engine = NULL;
    isol8_options opts;
    isol8_error err;

    if (args->operands.n < 2 || strcmp(args->operands.items[0], "check") != 0)
        return cli_fail("usage: isol8 policy check [options] URL...");
    cli->wants_warnings = true;
    int code = cli_config(cli, false, &conf);
    if (code == 0)
        code = cli_host_open(cli, conf, &host);
    if (code != 0)
        return code;

    struct conf_list allow = cli_flag_list(&args->values[POLICY_ALLOW],
                                           conf_value(conf, "network.whitelist"));
    struct conf_list deny = cli_flag_list(&args->values[POLICY_DENY],
                                          conf_value(conf, "network.blacklist"));
    isol8_options_init(&opts);
    opts.network = "filtered";
    opts.allow = allow.items;
    opts.n_allow = allow.n;
    opts.deny = deny.items;
    opts.n_deny = deny.n;
    if (isol8_create(&engine, host, &opts, &err) < 0)
        code = cli_fail("%s", err.msg);
    else
        code = check_all(engine, args, args->values[POLICY_JSON].n > 0);
    isol8_free(engine);
    conf_list_done(&allow);
    conf_list_done(&deny);
    return code;
}
