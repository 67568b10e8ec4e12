/* SPDX-License-Identifier: Apache-2.0 */
/* cmd_config.c - `isol8 config`: the resolved configuration, for people and as JSON. */
#include <string.h>

#include "base/json.h"
#include "base/mem.h"
#include "cli/cli.h"

enum { CONFIG_JSON, CONFIG_CONFIG, CONFIG_DEBUG };

#define OUTPUT_MAX (8u * CONF_FILE_MAX)
#define LABEL_WIDTH 16 /* of the label column, its blank included */

const struct cli_opt cli_config_opts[] = {
    [CONFIG_JSON] = { .name = "json", .help = "Print it as JSON" },
    [CONFIG_CONFIG] = { .name = "config",
                        .arg = "<file>",
                        .help = "Use this configuration file and no other" },
    [CONFIG_DEBUG] = { .name = "debug", .help = "Print debug lines on stderr" },
    { .name = NULL },
};

enum line_style {
    LINE_PLAIN,
    LINE_UNIT,    /* a number with .unit after it */
    LINE_IDLE,    /* milliseconds, and minutes beside them */
    LINE_POOL,    /* clean,dirty */
    LINE_IMAGES,  /* one line each */
    LINE_IF_SET,  /* plain, and left out when unset */
    LINE_IF_UNIT, /* with a unit, and left out when unset */
};

/* A row of the page: a heading (no path), or a label and the key whose value follows it. */
struct line {
    const char *label;
    const char *path;
    enum line_style style;
    const char *unit;
};

static const struct line lines[] = {
    { .label = "General" },
    { "Max concurrent", "maxConcurrent", LINE_PLAIN, NULL },
    { "Debug", "debug", LINE_PLAIN, NULL },
    { "OCI runtime", "runtime", LINE_IF_SET, NULL },
    { "Cgroup parent", "cgroupParent", LINE_IF_SET, NULL },
    { "State root", "stateRoot", LINE_IF_SET, NULL },
    { "Data root", "dataRoot", LINE_IF_SET, NULL },
    { .label = "Defaults" },
    { "Timeout", "defaults.timeoutMs", LINE_UNIT, "ms" },
    { "Memory limit", "defaults.memoryLimit", LINE_PLAIN, NULL },
    { "CPU limit", "defaults.cpuLimit", LINE_PLAIN, NULL },
    { "Network", "defaults.network", LINE_PLAIN, NULL },
    { "Sandbox size", "defaults.sandboxSize", LINE_PLAIN, NULL },
    { "Tmp size", "defaults.tmpSize", LINE_PLAIN, NULL },
    { "Read-only root", "defaults.readonlyRootFs", LINE_PLAIN, NULL },
    { .label = "Network Filter" },
    { "Whitelist", "network.whitelist", LINE_PLAIN, NULL },
    { "Blacklist", "network.blacklist", LINE_PLAIN, NULL },
    { "Hosts", "network.hosts", LINE_IF_SET, NULL },
    { "Open addresses", "network.allowAddresses", LINE_IF_SET, NULL },
    { "Ports", "network.ports", LINE_IF_SET, NULL },
    { "Upstream proxy", "network.upstreamProxy", LINE_IF_SET, NULL },
    { "CA file", "network.caFile", LINE_IF_SET, NULL },
    { "Connections", "network.limits.connections", LINE_IF_SET, NULL },
    { "Rate", "network.limits.bytesPerSecond", LINE_IF_UNIT, " bytes/s" },
    { "Volume", "network.limits.bytes", LINE_IF_UNIT, " bytes" },
    { .label = "Remote Code" },
    { "Enabled", "remoteCode.enabled", LINE_PLAIN, NULL },
    { "Schemes", "remoteCode.allowedSchemes", LINE_PLAIN, NULL },
    { "Allowed hosts", "remoteCode.allowedHosts", LINE_PLAIN, NULL },
    { "Blocked hosts", "remoteCode.blockedHosts", LINE_PLAIN, NULL },
    { "Max code size", "remoteCode.maxCodeSize", LINE_UNIT, " bytes" },
    { "Fetch timeout", "remoteCode.fetchTimeoutMs", LINE_UNIT, "ms" },
    { "Require hash", "remoteCode.requireHash", LINE_PLAIN, NULL },
    { .label = "Cleanup" },
    { "Auto-prune", "cleanup.autoPrune", LINE_PLAIN, NULL },
    { "Max idle time", "cleanup.maxContainerAgeMs", LINE_IDLE, NULL },
    { .label = "Pool Defaults (Serve)" },
    { "Pool strategy", "poolStrategy", LINE_PLAIN, NULL },
    { "Pool size", "poolSize", LINE_POOL, NULL },
    { .label = "Security" },
    { "Seccomp", "security.seccomp", LINE_PLAIN, NULL },
    { "Custom profile", "security.customProfilePath", LINE_IF_SET, NULL },
    { "User namespace", "security.userNamespace", LINE_IF_SET, NULL },
    { .label = "Audit" },
    { "Enabled", "audit.enabled", LINE_PLAIN, NULL },
    { "Destination", "audit.destination", LINE_PLAIN, NULL },
    { "Log directory", "audit.logDir", LINE_IF_SET, NULL },
    { "Post-log script", "audit.postLogScript", LINE_IF_SET, NULL },
    { "Retention", "audit.retentionDays", LINE_UNIT, " days" },
    { "Include code", "audit.includeCode", LINE_PLAIN, NULL },
    { "Include output", "audit.includeOutput", LINE_PLAIN, NULL },
    { .label = "Auth" },
    { "Enabled", "auth.enabled", LINE_PLAIN, NULL },
    { "Token life", "auth.defaultTtlMs", LINE_UNIT, "ms" },
    { .label = "Prebuilt Images" },
    { "Images", "prebuiltImages", LINE_IMAGES, NULL },
};

static void put_number(struct buf *out, double d)
{
    (void)buf_addf(out, "%.15g", d);
}

static void put_value(struct buf *out, const cJSON *v)
{
    const cJSON *item;

    if (cJSON_IsBool(v)) {
        (void)buf_adds(out, cJSON_IsTrue(v) ? "yes" : "no");
    } else if (cJSON_IsNumber(v)) {
        put_number(out, v->valuedouble);
    } else if (cJSON_IsString(v)) {
        cli_escape(out, v->valuestring, strlen(v->valuestring));
    } else if (v == NULL || v->child == NULL) {
        (void)buf_adds(out, "(none)");
    } else {
        cJSON_ArrayForEach(item, v)
        {
            if (item != v->child)
                (void)buf_adds(out, ", ");
            if (cJSON_IsObject(v)) {
                cli_escape(out, item->string, strlen(item->string));
                (void)buf_adds(out, " ");
            }
            put_value(out, item);
        }
    }
}

static void put_pool(struct buf *out, const cJSON *v)
{
    if (cJSON_IsNumber(v)) {
        put_number(out, v->valuedouble);
        return;
    }
    put_number(out, cJSON_GetNumberValue(cJSON_GetObjectItemCaseSensitive(v, "clean")));
    (void)buf_adds(out, ",");
    put_number(out, cJSON_GetNumberValue(cJSON_GetObjectItemCaseSensitive(v, "dirty")));
}

static void put_images(struct buf *out, const cJSON *v)
{
    const cJSON *item;

    if (v->child == NULL)
        (void)buf_adds(out, "(none)");
    cJSON_ArrayForEach(item, v)
    {
        if (item != v->child)
            (void)buf_addf(out, "\n  %*s", LABEL_WIDTH + 1, "");
        put_value(out, cJSON_GetObjectItemCaseSensitive(item, "tag"));
        (void)buf_adds(out, " (");
        put_value(out, cJSON_GetObjectItemCaseSensitive(item, "runtime"));
        (void)buf_adds(out, ": ");
        put_value(out, cJSON_GetObjectItemCaseSensitive(item, "installPackages"));
        (void)buf_adds(out, ")");
    }
}

static void put_line(struct buf *out, const struct line *line, const cJSON *v)
{
    int pad = LABEL_WIDTH - (int)strlen(line->label);

    (void)buf_addf(out, "  %s:%*s", line->label, pad > 1 ? pad : 1, "");
    switch (line->style) {
    case LINE_PLAIN:
    case LINE_IF_SET:
        put_value(out, v);
        break;
    case LINE_UNIT:
    case LINE_IF_UNIT:
        put_value(out, v);
        (void)buf_adds(out, line->unit);
        break;
    case LINE_IDLE:
        put_value(out, v);
        (void)buf_addf(out, "ms (%.0fmin)", cJSON_GetNumberValue(v) / 60000);
        break;
    case LINE_POOL:
        put_pool(out, v);
        break;
    case LINE_IMAGES:
        put_images(out, v);
        break;
    }
    (void)buf_adds(out, "\n");
}

static void put_page(struct buf *out, const struct conf *conf)
{
    (void)buf_adds(out, "\nIsol8 Configuration\n\n  Source: ");
    if (conf->source == NULL)
        (void)buf_adds(out, "defaults (no config file found)");
    else
        cli_escape(out, conf->source, strlen(conf->source));
    (void)buf_adds(out, "\n");
    for (size_t i = 0; i < ARRAY_LEN(lines); i++) {
        const struct line *line = &lines[i];
        if (line->path == NULL) {
            (void)buf_addf(out, "\n  ── %s ──\n", line->label);
            continue;
        }
        const cJSON *v = conf_value(conf, line->path);
        if (v != NULL || (line->style != LINE_IF_SET && line->style != LINE_IF_UNIT))
            put_line(out, line, v);
    }
    (void)buf_adds(out, "\n");
}

int cmd_config(struct cli *cli, const struct cli_args *args)
{
    auto_conf struct conf *conf = NULL;
    auto_buf struct buf text = BUF_INIT(OUTPUT_MAX);
    int code = cli_config(cli, false, &conf);

    if (code != 0)
        return code;
    if (args->values[CONFIG_JSON].n > 0)
        (void)json_pretty(conf->root, &text);
    else
        put_page(&text, conf);
    return cli_put(&text);
}
