/* SPDX-License-Identifier: Apache-2.0 */
/* cmd_setup.c - `isol8 setup`: check the machine, build the images. */
#include <stdlib.h>
#include <string.h>

#include "base/fd.h"
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

static void on_check(const isol8_check *check, void *user)
{
    (void)user;
    switch (check->state) {
    case ISOL8_CHECK_OK:
        cli_say("[OK] %s: %s", check->name, check->found);
        break;
    case ISOL8_CHECK_WARN:
        cli_warn("%s: %s", check->name, check->found);
        break;
    case ISOL8_CHECK_FAIL:
        (void)cli_fail("%s: %s", check->name, check->found);
        break;
    }
    if (check->state != ISOL8_CHECK_OK && check->repair[0] != '\0')
        cli_say("  %s", check->repair);
}

static int check_machine(const struct cli *cli, const struct conf *conf)
{
    isol8_host_options opts;

    cli_host_options(cli, conf, &opts);
    return isol8_doctor(&opts, on_check, NULL) != 0 ? CLI_EXIT_ERROR : 0;
}

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
    free((void *)names);
    if (code == 0)
        say_sizes(&p);
    return code;
}

int cmd_setup(struct cli *cli, const struct cli_args *args)
{
    auto_conf struct conf *conf = NULL;
    auto_buf struct buf text = BUF_INIT(64);
    int code = check_names(args);

    if (code == 0)
        code = cli_config(cli, false, &conf);
    if (code != 0)
        return code;
    code = check_machine(cli, conf);
    if (code != 0)
        return code;
    code = build(cli, args, conf);
    if (code != 0)
        return code;
    if (cJSON_GetArraySize(conf_value(conf, "prebuiltImages")) > 0)
        cli_warn("prebuiltImages of the configuration are not built: this is not available in "
                 "this build yet.");

    (void)buf_adds(&text, "\n[DONE] Setup complete!\n");
    return cli_put(&text);
}
