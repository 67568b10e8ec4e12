/* SPDX-License-Identifier: Apache-2.0 */
/* cmd_cleanup.c - `isol8 cleanup`: remove sandboxes nobody owns any more, and on demand images
 * and fetched code. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/json.h"
#include "base/mem.h"
#include "cli/cli.h"
#include "cli/signals.h"
#include "cli/xmem.h"

enum {
    CLEANUP_FORCE,
    CLEANUP_IMAGES,
    CLEANUP_CACHE,
    CLEANUP_YES,
    CLEANUP_DRY_RUN,
    CLEANUP_JSON,
    CLEANUP_CONFIG,
    CLEANUP_DEBUG
};

#define ANSWER_MAX 64

const struct cli_opt cli_cleanup_opts[] = {
    [CLEANUP_FORCE] = { .name = "force",
                        .help = "Do not ask, and also remove what a running isol8 still uses" },
    [CLEANUP_IMAGES] = { .name = "images", .help = "Also remove the images" },
    [CLEANUP_CACHE] = { .name = "cache", .help = "Also remove the cache of fetched code" },
    [CLEANUP_YES] = { .letter = 'y', .name = "yes", .help = "Do not ask" },
    [CLEANUP_DRY_RUN] = { .name = "dry-run", .help = "Only list what would be removed" },
    [CLEANUP_JSON] = { .name = "json",
                       .help = "Print what was found and removed as JSON; never asks, and removes "
                               "only with --yes or --force" },
    [CLEANUP_CONFIG] = { .name = "config",
                         .arg = "<file>",
                         .help = "Use this configuration file and no other" },
    [CLEANUP_DEBUG] = { .name = "debug", .help = "Print debug lines on stderr" },
    { .name = NULL },
};

struct failure {
    isol8_owned item;
    char *why;
};

struct cleanup {
    bool images, cache, force;
    isol8_owned *found;
    size_t n_found;
    struct failure *failures;
    size_t n_failures;
    size_t n_cached; /* files of the cache that were found */
};

static void cleanup_done(struct cleanup *c)
{
    for (size_t i = 0; i < c->n_failures; i++)
        free(c->failures[i].why);
    free(c->failures);
    free(c->found);
}
#define auto_cleanup __attribute__((cleanup(cleanup_done)))

static void on_found(const isol8_owned *item, void *user)
{
    struct cleanup *c = user;

    c->found = xrealloc(c->found, (c->n_found + 1) * sizeof(*c->found));
    c->found[c->n_found++] = *item;
}

static void on_failed(const isol8_owned *item, const char *why, void *user)
{
    struct cleanup *c = user;

    c->failures = xrealloc(c->failures, (c->n_failures + 1) * sizeof(*c->failures));
    c->failures[c->n_failures++] = (struct failure){ .item = *item, .why = xstrdup(why) };
}

static int call_cleanup(struct cleanup *c, isol8_host *host, bool is_dry,
                        isol8_cleanup_report *report)
{
    isol8_cleanup_options opts;
    isol8_error err;

    isol8_cleanup_options_init(&opts);
    opts.images = c->images;
    opts.cache = c->cache;
    opts.force = c->force;
    opts.dry_run = is_dry;
    opts.found = is_dry ? on_found : NULL;
    opts.failed = on_failed;
    opts.user = c;
    if (isol8_cleanup(host, &opts, report, &err) < 0)
        return cli_fail("%s", err.msg);
    if (is_dry)
        c->n_cached = report->cached;
    return 0;
}

static size_t count_images(const struct cleanup *c)
{
    size_t n = 0;

    for (size_t i = 0; i < c->n_found; i++)
        n += c->found[i].is_image;
    return n;
}

static size_t count_in_use(const struct cleanup *c)
{
    size_t n = 0;

    for (size_t i = 0; i < c->n_found; i++)
        n += !c->found[i].is_image && c->found[i].is_alive;
    return n;
}

/* ---- For people ------------------------------------------------------------------------------ */

static int list_found(const struct cleanup *c)
{
    auto_buf struct buf text = BUF_INIT(SIZE_MAX / 2);
    size_t images = count_images(c), sandboxes = c->n_found - images;
    char date[CLI_DATE_SIZE];

    if (c->images)
        cli_say("Found %zu isol8 container(s) and %zu image(s)", sandboxes, images);
    else
        cli_say("Found %zu isol8 container(s)", sandboxes);
    if (c->cache)
        cli_say("Found %zu file(s) of fetched code", c->n_cached);
    for (size_t i = 0; i < c->n_found; i++) {
        const isol8_owned *o = &c->found[i];
        cli_local_date(o->created_ms, date);
        if (o->is_image)
            (void)buf_addf(&text, "  - image %.*s | %s\n", CLI_SHORT_ID, o->id,
                           o->image[0] == '\0' ? "<untagged>" : o->image);
        else
            (void)buf_addf(&text, "  %c %s %.*s | %s | created %s\n",
                           o->is_alive || o->is_kept ? '*' : '-', cli_owned_state(o), CLI_SHORT_ID,
                           o->id, o->image, date);
    }
    return cli_put(&text);
}

/* One line of the answer; the end of input is no. */
static bool confirm(const struct cleanup *c)
{
    auto_buf struct buf question = BUF_INIT(256);
    char answer[ANSWER_MAX];

    (void)buf_addf(&question, "Remove all these containers%s%s? [y/N] ",
                   c->images ? " and images" : "", c->cache ? " and the fetched code" : "");
    if (cli_put(&question) != 0 || fgets(answer, sizeof(answer), stdin) == NULL)
        return false;
    answer[strcspn(answer, " \t\r\n")] = '\0';
    return strcasecmp(answer, "y") == 0 || strcasecmp(answer, "yes") == 0;
}

static void say_removed(const char *what, size_t removed, size_t failed)
{
    if (failed > 0)
        cli_say("Removed %zu %s(s), %zu failed", removed, what, failed);
    else
        cli_say("Removed %zu %s(s)", removed, what);
}

static void say_report(const struct cleanup *c, const isol8_cleanup_report *report)
{
    say_removed("container", report->sandboxes, report->sandboxes_failed);
    if (c->images)
        say_removed("image", report->images, report->images_failed);
    if (c->cache)
        say_removed("cached file", report->cached, 0);
    for (size_t i = 0; i < c->n_failures; i++) {
        const struct failure *f = &c->failures[i];
        cli_say("  Failed to remove %s%.*s: %s", f->item.is_image ? "image " : "", CLI_SHORT_ID,
                f->item.id, f->why);
    }
}

static void say_in_use(size_t n)
{
    if (n > 0)
        cli_warn("%zu container(s) are in use by a running isol8 and are left alone; --force "
                 "removes them too",
                 n);
}

static int for_people(struct cleanup *c, isol8_host *host, const struct cli_args *args)
{
    isol8_cleanup_report report = { .sandboxes = 0 };
    size_t in_use = c->force ? 0 : count_in_use(c);
    int code;

    if (c->n_found == 0 && c->n_cached == 0) {
        cli_say("No isol8 containers%s%s found", c->images ? " or images" : "",
                c->cache ? " or fetched code" : "");
        return 0;
    }
    code = list_found(c);
    if (code != 0)
        return code;
    say_in_use(in_use);
    if (args->values[CLEANUP_DRY_RUN].n > 0 || (in_use == c->n_found && c->n_cached == 0))
        return 0;
    if (!c->force && args->values[CLEANUP_YES].n == 0 && !confirm(c)) {
        cli_say("Cleanup cancelled");
        return 0;
    }

    signals_hold();
    code = call_cleanup(c, host, false, &report);
    if (code != 0)
        return code;
    say_report(c, &report);
    return c->n_failures > 0 ? CLI_EXIT_ERROR : 0;
}

/* ---- For programs ---------------------------------------------------------------------------- */

static cJSON *owned_json(const isol8_owned *o)
{
    cJSON *item = cJSON_CreateObject();
    char date[CLOCK_ISO_SIZE];

    clock_iso(o->created_ms, date);
    (void)cJSON_AddStringToObject(item, "kind", o->is_image ? "image" : "container");
    (void)cJSON_AddStringToObject(item, "id", o->id);
    (void)cJSON_AddStringToObject(item, "image", o->image);
    if (o->created_ms > 0)
        (void)cJSON_AddStringToObject(item, "created", date);
    if (!o->is_image)
        (void)cJSON_AddBoolToObject(item, "inUse", o->is_alive);
    if (o->is_kept)
        (void)cJSON_AddBoolToObject(item, "kept", true);
    return item;
}

static void add_numbers(cJSON *root, const struct cleanup *c, bool is_dry,
                        const isol8_cleanup_report *report)
{
    (void)cJSON_AddBoolToObject(root, "dryRun", is_dry);
    (void)cJSON_AddNumberToObject(root, "removed", is_dry ? 0 : (double)report->sandboxes);
    (void)cJSON_AddNumberToObject(root, "removedImages", is_dry ? 0 : (double)report->images);
    if (c->cache) {
        (void)cJSON_AddNumberToObject(root, "foundCached", (double)c->n_cached);
        (void)cJSON_AddNumberToObject(root, "removedCached", is_dry ? 0 : (double)report->cached);
    }
    (void)cJSON_AddNumberToObject(root, "leftInUse", (double)report->sandboxes_in_use);
}

static int for_programs(struct cleanup *c, isol8_host *host, const struct cli_args *args)
{
    auto_buf struct buf text = BUF_INIT(SIZE_MAX / 2);
    auto_json cJSON *root = cJSON_CreateObject();
    isol8_cleanup_report report = { .sandboxes_in_use = c->force ? 0 : count_in_use(c) };
    bool is_dry = args->values[CLEANUP_DRY_RUN].n > 0 ||
                  (!c->force && args->values[CLEANUP_YES].n == 0);
    cJSON *found = cJSON_AddArrayToObject(root, "found");
    int code;

    if (!is_dry) {
        signals_hold();
        code = call_cleanup(c, host, false, &report);
        if (code != 0)
            return code;
    }
    for (size_t i = 0; i < c->n_found; i++)
        (void)cJSON_AddItemToArray(found, owned_json(&c->found[i]));
    add_numbers(root, c, is_dry, &report);
    cJSON *failed = cJSON_AddArrayToObject(root, "failed");
    for (size_t i = 0; i < c->n_failures; i++) {
        cJSON *item = owned_json(&c->failures[i].item);
        (void)cJSON_AddStringToObject(item, "reason", c->failures[i].why);
        (void)cJSON_AddItemToArray(failed, item);
    }
    (void)json_pretty(root, &text);
    code = cli_put(&text);
    return code == 0 && c->n_failures > 0 ? CLI_EXIT_ERROR : code;
}

int cmd_cleanup(struct cli *cli, const struct cli_args *args)
{
    auto_conf struct conf *conf = NULL;
    auto_host isol8_host *host = NULL;
    auto_cleanup struct cleanup c = { .images = args->values[CLEANUP_IMAGES].n > 0,
                                      .cache = args->values[CLEANUP_CACHE].n > 0,
                                      .force = args->values[CLEANUP_FORCE].n > 0 };
    isol8_cleanup_report report;
    int code = cli_config(cli, false, &conf);

    if (code == 0)
        code = cli_host_open(cli, conf, &host);
    if (code == 0)
        code = call_cleanup(&c, host, true, &report);
    if (code != 0)
        return code;
    if (args->values[CLEANUP_JSON].n > 0)
        return for_programs(&c, host, args);
    return for_people(&c, host, args);
}
