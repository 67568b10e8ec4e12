/* SPDX-License-Identifier: Apache-2.0 */
/* progress.c - an image build as people see it. */
#include "cli/progress.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "cli/signals.h"
#include "cli/spinner.h"

#define BAR_WIDTH 20

void progress_size(uint64_t bytes, char *out, size_t cap)
{
    (void)snprintf(out, cap, "%.1f MB", (double)bytes / 1e6);
}

/* " [#####---------------]  25 % of 81.2 MB" */
static void put_bar(uint64_t done, uint64_t total, char *out, size_t cap)
{
    char bar[BAR_WIDTH + 1], size[32];
    double part = (double)(done < total ? done : total) / (double)total;
    size_t filled = (size_t)(part * BAR_WIDTH);

    memset(bar, '-', BAR_WIDTH);
    memset(bar, '#', filled);
    bar[BAR_WIDTH] = '\0';
    progress_size(total, size, sizeof(size));
    (void)snprintf(out, cap, " [%s] %3.0f%% of %s", bar, part * 100, size);
}

void progress_line(const char *what, uint64_t done, uint64_t total, char out[PROGRESS_LINE_SIZE])
{
    char tail[96];

    if (total > 0)
        put_bar(done, total, tail, sizeof(tail));
    else
        (void)snprintf(tail, sizeof(tail), ": %.1f MB", (double)done / 1e6);
    (void)snprintf(out, PROGRESS_LINE_SIZE, "%s%s", what, tail);
}

static void building(char last[PROGRESS_LINE_SIZE], const isol8_setup_progress *now)
{
    char line[PROGRESS_LINE_SIZE], bar[96] = "";

    if (spinner_is_lively()) {
        if (now->total > 0)
            put_bar(now->done, now->total, bar, sizeof(bar));
        (void)snprintf(line, sizeof(line), "Building %s: %s%s", now->runtime, now->message, bar);
        spinner_text(line);
        return;
    }
    (void)snprintf(line, sizeof(line), "- Building %s: %s", now->runtime, now->message);
    if (strcmp(line, last) == 0)
        return;
    memcpy(last, line, sizeof(line));
    cli_say("%s", line);
}

static void built(struct progress *p, const isol8_setup_progress *now)
{
    struct progress_image *image;

    if (now->message != NULL && strcmp(now->message, "Up to date") == 0)
        cli_say("[OK] %s: Up to date", now->runtime);
    else
        cli_say("[OK] %s", now->runtime);
    p->base_bytes = now->base_bytes;
    if (p->n_images == PROGRESS_IMAGES_MAX)
        return;
    image = &p->images[p->n_images++];
    (void)snprintf(image->runtime, sizeof(image->runtime), "%s", now->runtime);
    image->bytes = now->image_bytes;
}

static void on_progress(const isol8_setup_progress *now, void *user)
{
    struct progress *p = user;

    switch (now->state) {
    case ISOL8_SETUP_BUILDING:
        building(p->last, now);
        break;
    case ISOL8_SETUP_DONE:
        built(p, now);
        break;
    case ISOL8_SETUP_ERROR:
        p->has_failed = true;
        (void)cli_fail("%s: %s", now->runtime, now->message);
        break;
    }
}

int progress_setup(isol8_host *host, struct progress *p, const char *const *runtimes, size_t n,
                   bool force)
{
    isol8_setup_options opts;
    isol8_error err;
    int r;

    isol8_setup_options_init(&opts);
    opts.runtimes = runtimes;
    opts.n_runtimes = n;
    opts.force = force;
    opts.cancel_fd = signals_fd();
    opts.progress = on_progress;
    opts.user = p;
    signals_hold();
    spinner_start("Building isol8 images...");
    r = isol8_setup(host, &opts, &err);
    spinner_stop();
    if (signals_caught() != 0)
        return 128 + signals_caught();
    if (r >= 0)
        return 0;
    return p->has_failed ? CLI_EXIT_ERROR : cli_fail("%s", err.msg);
}

/* ---- Custom images --------------------------------------------------------------------------- */

struct custom {
    bool says_base;
    bool has_base; /* what comes now is about the custom image */
    char last[PROGRESS_LINE_SIZE];
};

static void on_custom(const isol8_setup_progress *now, void *user)
{
    struct custom *c = user;
    char text[PROGRESS_LINE_SIZE];

    if (now->state == ISOL8_SETUP_BUILDING)
        building(c->last, now);
    if (now->state != ISOL8_SETUP_DONE || c->has_base)
        return; /* the caller of isol8_build() has the rest */
    c->has_base = true;
    if (c->says_base) {
        cli_say("[OK] Base image ready: %s", now->runtime);
        (void)snprintf(text, sizeof(text), "Building custom %s image...", now->runtime);
        spinner_text(text);
    }
}

int progress_build(isol8_host *host, isol8_build_options *opts, bool says_base, bool *was_current)
{
    struct custom c = { .says_base = says_base };
    char text[PROGRESS_LINE_SIZE];
    isol8_error err;
    int r;

    opts->cancel_fd = signals_fd();
    opts->progress = on_custom;
    opts->user = &c;
    signals_hold();
    (void)snprintf(text, sizeof(text),
                   says_base ? "Ensuring base image for %s..." : "Building %s...",
                   says_base ? opts->runtime : opts->tag);
    spinner_start(text);
    r = isol8_build(host, opts, &err);
    spinner_stop();
    if (signals_caught() != 0)
        return 128 + signals_caught();
    if (r < 0)
        return cli_fail("%s", err.msg);
    *was_current = r > 0;
    return 0;
}
