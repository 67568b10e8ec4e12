/* SPDX-License-Identifier: Apache-2.0 */
/* cmd_doctor.c - `isol8 doctor`: what this machine needs to run sandboxes, and how to get it. */
#include "base/json.h"
#include "cli/cli.h"

enum { DOCTOR_JSON, DOCTOR_CONFIG, DOCTOR_DEBUG };

#define REPORT_MAX (1u << 20)

const struct cli_opt cli_doctor_opts[] = {
    [DOCTOR_JSON] = { .name = "json", .help = "Print the checks as JSON" },
    [DOCTOR_CONFIG] = { .name = "config",
                        .arg = "<file>",
                        .help = "Use this configuration file and no other" },
    [DOCTOR_DEBUG] = { .name = "debug", .help = "Print debug lines on stderr" },
    { .name = NULL },
};

static const char *const state_words[] = {
    [ISOL8_CHECK_OK] = "ok", [ISOL8_CHECK_WARN] = "warn", [ISOL8_CHECK_FAIL] = "fail"
};
static const char *const state_marks[] = {
    [ISOL8_CHECK_OK] = "OK", [ISOL8_CHECK_WARN] = "WARN", [ISOL8_CHECK_FAIL] = "ERR"
};

static void add_line(const isol8_check *check, void *user)
{
    struct buf *text = user;

    (void)buf_addf(text, "[%s] %s: %s\n", state_marks[check->state], check->name, check->found);
    if (check->repair[0] != '\0')
        (void)buf_addf(text, "  %s\n", check->repair);
}

static void add_object(const isol8_check *check, void *user)
{
    cJSON *item = cJSON_CreateObject();

    (void)cJSON_AddStringToObject(item, "name", check->name);
    (void)cJSON_AddStringToObject(item, "state", state_words[check->state]);
    (void)cJSON_AddStringToObject(item, "found", check->found);
    (void)cJSON_AddStringToObject(item, "repair", check->repair);
    if (!cJSON_AddItemToArray(user, item))
        cJSON_Delete(item);
}

static int report_json(const isol8_host_options *opts, struct buf *text)
{
    auto_json cJSON *root = cJSON_CreateObject();
    cJSON *checks = cJSON_CreateArray();
    int failed = isol8_doctor(opts, add_object, checks);

    (void)cJSON_AddBoolToObject(root, "ok", failed == 0);
    if (root == NULL || !cJSON_AddItemToObject(root, "checks", checks)) {
        cJSON_Delete(checks);
        text->failed = true;
        return failed;
    }
    (void)json_pretty(root, text);
    return failed;
}

int cmd_doctor(struct cli *cli, const struct cli_args *args)
{
    auto_conf struct conf *conf = NULL;
    auto_buf struct buf text = BUF_INIT(REPORT_MAX);
    isol8_host_options opts;
    int failed, code = cli_config(cli, false, &conf);

    if (code != 0)
        return code;
    cli_host_options(cli, conf, &opts);
    if (args->values[DOCTOR_JSON].n > 0)
        failed = report_json(&opts, &text);
    else
        failed = isol8_doctor(&opts, add_line, &text);
    code = cli_put(&text);
    if (code != 0)
        return code;
    return failed != 0 ? CLI_EXIT_ERROR : 0;
}
