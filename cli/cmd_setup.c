/* SPDX-License-Identifier: Apache-2.0 */
/* cmd_setup.c - `isol8 setup`: check the machine, build the images, and those of one's own that the
 * configuration lists. */
#include <stdlib.h>
#include <string.h>

#include "base/fd.h"
#include "base/json.h"
#include "cli/progress.h"
#include "cli/xmem.h"

enum { SETUP_FORCE, SETUP_RUNTIME, SETUP_CONFIG, SETUP_DEBUG };

const struct cli_opt cli_setup_opts[] = {
    [SETUP_FORCE] = { .name = "force", .help = "Rebuild images that are up to date" },
    [SETUP_RUNTIME] = { .letter = 'r',
                        .name = "runtime",
                        .arg = "<name>",
                        .is_repeatable = true,
                        .help = "Build only this runtime's image; repeatable" },
    [SETUP_CONFIG] = { .name = "config",
                       .arg = "<file>",
                       .help = "Use this configuration file and no other" },
    [SETUP_DEBUG] = { .name = "debug", .help = "Print debug lines on stderr" },
    { .name = NULL },
};

/* The names given as operands and by --runtime, in one list. */
static const char **wanted(const struct cli_args *args, size_t *n)
{
    const struct cli_values *lists[] = { &args->operands, &args->values[SETUP_RUNTIME] };
    const char **names = xcalloc(lists[0]->n + lists[1]->n + 1, sizeof(*names));

    *n = 0;
    for (size_t l = 0; l < 2; l++) {
        for (size_t i = 0; i < lists[l]->n; i++)
            names[(*n)++] = lists[l]->items[i];
    }
    return names;
}

/* Before anything is examined or built: a typing error must not cost a minute. */
static int check_names(const struct cli_args *args)
{
    size_t n;
    const char **names = wanted(args, &n);
    int code = 0;

    for (size_t i = 0; code == 0 && i < n; i++) {
        size_t r = 0;
        while (isol8_runtime_name(r) != NULL && strcmp(isol8_runtime_name(r), names[i]) != 0)
            r++;
        if (isol8_runtime_name(r) == NULL)
            code = cli_fail("Unknown runtime: \"%.40s\". Available: python, node, bun, bash, deno, "
                            "agent",
                            names[i]);
    }
    free((void *)names);
    return code;
}

static void say_sizes(const struct progress *p)
{
    char size[32];

    if (p->base_bytes == 0)
        return;
    progress_size(p->base_bytes, size, sizeof(size));
    cli_say("Unpacked sizes: %s for the base that all images share, and on top of it:", size);
    for (size_t i = 0; i < p->n_images; i++) {
        progress_size(p->images[i].bytes, size, sizeof(size));
        cli_say("  %-8s %10s", p->images[i].runtime, size);
    }
}

/* ---- Images that the configuration lists ----------------------------------------------------- */

static bool is_wanted(const char *runtime, const char *const *names, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (strcmp(names[i], runtime) == 0)
            return true;
    }
    return n == 0;
}

static void say_built(const isol8_build_options *opts)
{
    auto_buf struct buf text = BUF_INIT(1u << 20);

    for (size_t i = 0; i < opts->n_packages; i++)
        (void)buf_addf(&text, "%s%s", i > 0 ? ", " : "", opts->packages[i]);
    if (opts->n_packages == 0)
        (void)buf_adds(&text, "setup script");
    cli_say("[OK] %s (%s: %s)", opts->tag, opts->runtime, buf_text(&text));
}

static int build_listed(isol8_host *host, const cJSON *entry)
{
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(entry, "installPackages"), *item;
    const char **packages = xcalloc((size_t)cJSON_GetArraySize(list) + 1, sizeof(*packages));
    isol8_build_options opts;
    bool was_current;

    isol8_build_options_init(&opts);
    cJSON_ArrayForEach(item, list) packages[opts.n_packages++] = cJSON_GetStringValue(item);
    opts.tag = json_string(entry, "tag");
    opts.runtime = json_string(entry, "runtime");
    opts.packages = packages;
    opts.setup_script = json_string(entry, "setupScript");
    if (opts.setup_script != NULL && opts.setup_script[0] == '\0')
        opts.setup_script = NULL;
    /* Without force: a base that was rebuilt makes the image outdated by itself. */
    int code = progress_build(host, &opts, false, &was_current);
    if (code == 0 && was_current)
        cli_say("[OK] %s (already exists)", opts.tag);
    else if (code == 0)
        say_built(&opts);
    free((void *)packages);
    return code;
}

static int build_prebuilt(isol8_host *host, const struct conf *conf, const char *const *names,
                          size_t n)
{
    const cJSON *list = conf_value(conf, "prebuiltImages"), *entry;
    int code = 0;

    if (cJSON_GetArraySize(list) == 0)
        return 0;
    cli_say("Checking prebuilt images from config...");
    cJSON_ArrayForEach(entry, list)
    {
        if (code == 0 && is_wanted(json_string(entry, "runtime"), names, n))
            code = build_listed(host, entry);
    }
    return code;
}

/* ---- The command ----------------------------------------------------------------------------- */

static int build(const struct cli *cli, const struct cli_args *args, const struct conf *conf)
{
    auto_host isol8_host *host = NULL;
    struct progress p = { .n_images = 0 };
    size_t n;
    int code = cli_host_open(cli, conf, &host);

    if (code != 0)
        return code;
    const char **names = wanted(args, &n);
    code = progress_setup(host, &p, names, n, args->values[SETUP_FORCE].n > 0);
    if (code == 0)
        say_sizes(&p);
    if (code == 0)
        code = build_prebuilt(host, conf, names, n);
    free((void *)names);
    return code;
}

int cmd_setup(struct cli *cli, const struct cli_args *args)
{
    auto_conf struct conf *conf = NULL;
    auto_buf struct buf text = BUF_INIT(64);
    int code = check_names(args);

    if (code == 0)
        code = cli_config(cli, false, &conf);
    if (code == 0)
        code = cli_check_machine(cli, conf);
    if (code == 0)
        code = build(cli, args, conf);
    if (code != 0)
        return code;
    (void)buf_adds(&text, "\n[DONE] Setup complete!\n");
    return cli_put(&text);
}
