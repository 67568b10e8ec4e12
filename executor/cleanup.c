/* SPDX-License-Identifier: Apache-2.0 */
/* cleanup.c - list and remove what isol8 owns: sandboxes, and on demand images and fetched code. */
#include <stdio.h>
#include <string.h>

#include "executor/reap.h"
#include "executor/record.h"
#include "executor/remote/flights.h"

void isol8_cleanup_options_init(isol8_cleanup_options *opts)
{
    *opts = (isol8_cleanup_options){ .size = sizeof(*opts) };
}

struct cleaning {
    struct isol8_host *host;
    const isol8_cleanup_options *opts;
    isol8_cleanup_report *report;
};

static void tell_found(const struct cleaning *c, const isol8_owned *item)
{
    if (c->opts->found != NULL)
        c->opts->found(item, c->opts->user);
}

static void tell_failed(const struct cleaning *c, const isol8_owned *item, const isol8_error *err)
{
    if (c->opts->failed != NULL)
        c->opts->failed(item, err->msg, c->opts->user);
}

static int clean_sandbox(const char *id, void *user)
{
    struct cleaning *c = user;
    isol8_owned item;
    isol8_error err = { 0 };

    exec_record_describe(c->host, id, &item);
    tell_found(c, &item);

    if (item.is_alive && !c->opts->force) {
        c->report->sandboxes_in_use++;
        return 0;
    }
    int r = c->opts->dry_run ? 0 : exec_reap_one(c->host, id, c->opts->force, &err);
    if (r == 0) {
        c->report->sandboxes++;
    } else {
        c->report->sandboxes_failed++;
        tell_failed(c, &item, &err);
    }
    return 0;
}

static int clean_image(const char *name, const char *digest, void *user)
{
    struct cleaning *c = user;
    isol8_owned item = { .is_image = true };
    isol8_error err = { 0 };
    const char *hex = strchr(digest, ':');

    (void)snprintf(item.id, sizeof(item.id), "%s", hex == NULL ? digest : hex + 1);
    (void)snprintf(item.image, sizeof(item.image), "%s", name);
    tell_found(c, &item);
    int r = c->opts->dry_run ? 0 : oci_store_remove(c->host->store, name, &err);
    if (r == 0) {
        c->report->images++;
    } else {
        c->report->images_failed++;
        tell_failed(c, &item, &err);
    }
    return 0;
}

int isol8_cleanup(isol8_host *h, const isol8_cleanup_options *opts, isol8_cleanup_report *report,
                  isol8_error *err)
{
    struct cleaning c = { .host = h, .opts = opts, .report = report };

    if (opts->size != sizeof(*opts))
        return err_set(err, ISOL8_E_INVAL, "cleanup options were not initialised");
    *report = (isol8_cleanup_report){ 0 };
    int r = exec_reap_list(h, clean_sandbox, &c, err);
    if (r == 0 && !opts->dry_run)
        exec_reap_dead(h); /* ranges and directories that never got a record */
    if (r == 0 && opts->images)
        r = oci_store_list(h->store, clean_image, &c, err);
    if (r == 0 && opts->images && !opts->dry_run)
        r = oci_store_gc(h->store, err);
    if (r == 0 && opts->cache)
        report->cached = remote_cache_clear(flights_cache(h->flights), opts->dry_run);
    return r;
}
