/* SPDX-License-Identifier: Apache-2.0 */
/* cmd_list_custom.c - `isol8 list-custom`: the images that `isol8 build` and `setup` made. */
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/text.h"
#include "cli/cli.h"

enum { LIST_JSON, LIST_CONFIG, LIST_DEBUG };

#define OUTPUT_MAX ((size_t)64 << 20)

const struct cli_opt cli_list_custom_opts[] = {
    [LIST_JSON] = { .name = "json", .help = "Print the images as JSON" },
    [LIST_CONFIG] = { .name = "config",
                      .arg = "<file>",
                      .help = "Use this configuration file and no other" },
    [LIST_DEBUG] = { .name = "debug", .help = "Print debug lines on stderr" },
    { .name = NULL },
};

struct list {
    struct buf page;
    cJSON *json; /* array */
    size_t n;
};

static void put_field(struct buf *out, const char *name, const char *value)
{
    (void)buf_addf(out, "     %-14s", name);
    cli_escape(out, value, strlen(value));
    (void)buf_adds(out, "\n");
}

static void put_page(struct buf *out, const isol8_image *image)
{
    const char *packages = image->dependencies;

    (void)buf_adds(out, "  📦 ");
    cli_escape(out, image->name, strlen(image->name));
    (void)buf_adds(out, "\n");
    put_field(out, "Runtime:", image->runtime);
    put_field(out, "Dependencies:", packages != NULL && packages[0] != '\0' ? packages : "(none)");
    if (image->setup != NULL) {
        (void)buf_addf(out, "     %-14s", "Setup:");
        cli_first_line(out, image->setup);
        (void)buf_adds(out, "\n");
    }
    (void)buf_adds(out, "\n");
}

static bool put_json(cJSON *out, const isol8_image *image)
{
    cJSON *o = cJSON_CreateObject(), *packages;
    const char *p = image->dependencies != NULL ? image->dependencies : "", *item;
    size_t n;

    if (o == NULL || !cJSON_AddItemToArray(out, o)) {
        cJSON_Delete(o);
        return false;
    }
    (void)cJSON_AddStringToObject(o, "name", image->name);
    (void)cJSON_AddStringToObject(o, "runtime", image->runtime);
    packages = cJSON_AddArrayToObject(o, "dependencies");
    while (text_next_item(&p, &item, &n)) {
        char *word = n > 0 ? strndup(item, n) : NULL;
        if (word != NULL)
            (void)cJSON_AddItemToArray(packages, cJSON_CreateString(word));
        free(word);
    }
    if (image->setup != NULL)
        (void)cJSON_AddStringToObject(o, "setup", image->setup);
    (void)cJSON_AddStringToObject(o, "digest", image->digest);
    return cJSON_AddStringToObject(o, "created", image->created) != NULL;
}

static int on_image(const isol8_image *image, void *user)
{
    struct list *l = user;

    if (image->is_base || image->runtime == NULL)
        return 0;
    l->n++;
    put_page(&l->page, image);
    return put_json(l->json, image) ? 0 : ISOL8_E_NOMEM;
}

static int put_list(struct list *l, bool is_json)
{
    auto_buf struct buf text = BUF_INIT(OUTPUT_MAX);

    if (is_json) {
        (void)json_pretty(l->json, &text);
        return cli_put(&text);
    }
    if (l->n == 0) {
        cli_say("No custom isol8 images found.");
        return 0;
    }
    (void)buf_adds(&text, "\n  ── Available Custom Images ──\n\n");
    (void)buf_add(&text, l->page.data, l->page.len);
    text.failed = text.failed || l->page.failed;
    return cli_put(&text);
}

int cmd_list_custom(struct cli *cli, const struct cli_args *args)
{
    auto_conf struct conf *conf = NULL;
    auto_host isol8_host *host = NULL;
    auto_json cJSON *json = cJSON_CreateArray();
    struct list l = { .page = BUF_INIT(OUTPUT_MAX), .json = json };
    isol8_error err = { .msg = "out of memory" };
    int code = cli_config(cli, false, &conf);

    if (code == 0)
        code = cli_host_open(cli, conf, &host);
    if (code != 0)
        return code;
    if (json == NULL || isol8_image_list(host, on_image, &l, &err) < 0)
        code = cli_fail("%s", err.msg);
    else
        code = put_list(&l, args->values[LIST_JSON].n > 0);
    buf_done(&l.page);
    return code;
}
