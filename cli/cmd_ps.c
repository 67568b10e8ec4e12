/* SPDX-License-Identifier: Apache-2.0 */
/* cmd_ps.c - `isol8 ps`: the sandboxes of this machine. */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/mem.h"
#include "cli/cli.h"
#include "cli/xmem.h"

enum { PS_JSON, PS_CONFIG, PS_DEBUG };

const struct cli_opt cli_ps_opts[] = {
    [PS_JSON] = { .name = "json", .help = "Print an array of sandboxes as JSON" },
    [PS_CONFIG] = { .name = "config",
                    .arg = "<file>",
                    .help = "Use this configuration file and no other" },
    [PS_DEBUG] = { .name = "debug", .help = "Print debug lines on stderr" },
    { .name = NULL },
};

struct list {
    isol8_owned *items;
    size_t n;
};

static void list_done(struct list *l)
{
    free(l->items);
}
#define auto_list __attribute__((cleanup(list_done)))

static int take(const isol8_owned *item, void *user)
{
    struct list *l = user;

    l->items = xrealloc(l->items, (l->n + 1) * sizeof(*l->items));
    l->items[l->n++] = *item;
    return 0;
}

static int oldest_first(const void *a, const void *b)
{
    const isol8_owned *x = a, *y = b;

    if (x->created_ms != y->created_ms)
        return x->created_ms < y->created_ms ? -1 : 1;
    return strcmp(x->id, y->id);
}

static void add_table(const struct list *l, struct buf *out)
{
    size_t width = strlen("IMAGE");
    char date[CLI_DATE_SIZE];

    for (size_t i = 0; i < l->n; i++) {
        if (strlen(l->items[i].image) > width)
            width = strlen(l->items[i].image);
    }
    (void)buf_addf(out, "%-12s  %-*s  %-19s  %-7s  %s\n", "ID", (int)width, "IMAGE", "CREATED",
                   "STATE", "OWNER");
    for (size_t i = 0; i < l->n; i++) {
        const isol8_owned *o = &l->items[i];
        cli_local_date(o->created_ms, date);
        (void)buf_addf(out, "%.*s  %-*s  %-19s  %-7s  ", CLI_SHORT_ID, o->id, (int)width, o->image,
                       date, cli_owned_state(o));
        if (o->is_alive)
            (void)buf_addf(out, "%d\n", o->owner_pid);
        else
            (void)buf_adds(out, "-\n");
    }
}

static void add_json(const struct list *l, struct buf *out)
{
    auto_json cJSON *root = cJSON_CreateArray();
    char date[CLOCK_ISO_SIZE];

    for (size_t i = 0; i < l->n; i++) {
        const isol8_owned *o = &l->items[i];
        cJSON *item = cJSON_CreateObject();
        clock_iso(o->created_ms, date);
        (void)cJSON_AddStringToObject(item, "id", o->id);
        (void)cJSON_AddStringToObject(item, "image", o->image);
        (void)cJSON_AddStringToObject(item, "created", date);
        (void)cJSON_AddStringToObject(item, "state", cli_owned_state(o));
        if (o->is_alive)
            (void)cJSON_AddNumberToObject(item, "ownerPid", o->owner_pid);
        else
            (void)cJSON_AddNullToObject(item, "ownerPid");
        if (!cJSON_AddItemToArray(root, item))
            cJSON_Delete(item);
    }
    if (!json_pretty(root, out))
        out->failed = true;
}

int cmd_ps(struct cli *cli, const struct cli_args *args)
{
    auto_conf struct conf *conf = NULL;
    auto_host isol8_host *host = NULL;
    auto_list struct list list = { .n = 0 };
    auto_buf struct buf out = BUF_INIT(1u << 26);
    isol8_error err;
    int code = cli_config(cli, false, &conf);

    if (code == 0)
        code = cli_host_open(cli, conf, &host);
    if (code != 0)
        return code;
    if (isol8_sandbox_list(host, take, &list, &err) < 0)
        return cli_fail("%s", err.msg);
    if (list.n > 0)
        qsort(list.items, list.n, sizeof(*list.items), oldest_first);
    if (args->values[PS_JSON].n > 0)
        add_json(&list, &out);
    else
        add_table(&list, &out);
    return cli_put(&out);
}
