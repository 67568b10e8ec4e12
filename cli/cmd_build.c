/* SPDX-License-Identifier: Apache-2.0 */
/* cmd_build.c - `isol8 build`: an image of one's own, with packages and a setup script. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/text.h"
#include "cli/progress.h"
#include "cli/xmem.h"

enum { BUILD_BASE, BUILD_INSTALL, BUILD_SETUP, BUILD_TAG, BUILD_FORCE, BUILD_CONFIG, BUILD_DEBUG };

#define SCRIPT_MAX (1u << 20) /* bytes of all setup scripts together; the library takes fewer */

const struct cli_opt cli_build_opts[] = {
    [BUILD_BASE] = { .name = "base",
                     .arg = "<runtime>",
                     .help = "Runtime to build upon: python, node, bun, deno, bash or agent "
                             "(required)" },
    [BUILD_INSTALL] = { .name = "install",
                        .arg = "<package>",
                        .is_repeatable = true,
                        .help = "Put this package into the image; several are separated by "
                                "commas; repeatable" },
    [BUILD_SETUP] = { .name = "setup",
                      .arg = "<command>",
                      .is_repeatable = true,
                      .help = "Shell command, or a file with them, to run before each execution "
                              "in the image; repeatable" },
    [BUILD_TAG] = { .name = "tag", .arg = "<name>", .help = "Name of the image (required)" },
    [BUILD_FORCE] = { .name = "force",
                      .help = "Build although the image is up to date, and its base as well" },
    [BUILD_CONFIG] = { .name = "config",
                       .arg = "<file>",
                       .help = "Use this configuration file and no other" },
    [BUILD_DEBUG] = { .name = "debug", .help = "Print debug lines on stderr" },
    { .name = NULL },
};

struct wanted {
    char **packages;
    size_t n_packages;
    struct buf script;
};

static void wanted_done(struct wanted *w)
{
    for (size_t i = 0; i < w->n_packages; i++)
        free(w->packages[i]);
    free(w->packages);
    buf_done(&w->script);
}
#define auto_wanted __attribute__((cleanup(wanted_done)))

/* ---- What is wanted -------------------------------------------------------------------------- */

static int check_required(const struct cli_args *args)
{
    const char *base = cli_arg(args, BUILD_BASE);

    if (base == NULL)
        return cli_missing_option(&cli_build_opts[BUILD_BASE]);
    if (cli_arg(args, BUILD_TAG) == NULL)
        return cli_missing_option(&cli_build_opts[BUILD_TAG]);
    for (size_t i = 0; isol8_runtime_name(i) != NULL; i++) {
        if (strcmp(isol8_runtime_name(i), base) == 0)
            return 0;
    }
    return cli_fail("Invalid runtime: %.80s. Expected one of: python, node, bun, deno, bash, agent",
                    base);
}

static void add_packages(struct wanted *w, const struct cli_values *given)
{
    const char *item;
    size_t n;

    for (size_t i = 0; i < given->n; i++) {
        for (const char *p = given->items[i]; text_next_item(&p, &item, &n);) {
            if (n == 0)
                continue;
            w->packages = xrealloc(w->packages, (w->n_packages + 1) * sizeof(*w->packages));
            w->packages[w->n_packages++] = xstrndup(item, n);
        }
    }
}

/* A value that names an existing file stands for its text. */
static int add_script(struct buf *script, const char *value)
{
    auto_close int fd = open(value, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    size_t start;
    int r;

    if (script->len > 0)
        (void)buf_adds(script, "\n");
    if (fd < 0 && (errno == ENOENT || errno == ENOTDIR || errno == ENAMETOOLONG)) {
        (void)buf_adds(script, value);
        return 0;
    }
    if (fd < 0)
        return cli_fail("Cannot read setup script %s: %s", value, strerrordesc_np(errno));
    start = script->len;
    r = fd_read_all(fd, script);
    if (r < 0)
        return cli_fail("Cannot read setup script %s: %s", value, strerrordesc_np(-r));
    if (memchr(buf_text(script) + start, '\0', script->len - start) != NULL)
        return cli_fail("Setup script %s is no text: it has NUL bytes.", value);
    return 0;
}

static int collect(struct wanted *w, const struct cli_args *args)
{
    const struct cli_values *setup = &args->values[BUILD_SETUP];

    add_packages(w, &args->values[BUILD_INSTALL]);
    for (size_t i = 0; i < setup->n; i++) {
        int code = add_script(&w->script, setup->items[i]);
        if (code != 0)
            return code;
    }
    if (w->script.failed)
        return cli_fail("The setup script has more than %u bytes.", SCRIPT_MAX);
    if (strspn(buf_text(&w->script), " \t\r\n") == w->script.len)
        buf_clear(&w->script);
    if (w->n_packages == 0 && w->script.len == 0)
        return cli_fail("No packages or setup script specified. Use --install <package> or "
                        "--setup <command>.");
    return 0;
}

/* ---- Building -------------------------------------------------------------------------------- */

static int compare(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* As they are in the image: sorted, none twice. */
static void put_packages(struct buf *out, const struct wanted *w)
{
    qsort(w->packages, w->n_packages, sizeof(*w->packages), compare);
    for (size_t i = 0; i < w->n_packages; i++) {
        if (i > 0 && strcmp(w->packages[i - 1], w->packages[i]) == 0)
            continue;
        (void)buf_adds(out, i > 0 ? ", " : "");
        cli_escape(out, w->packages[i], strlen(w->packages[i]));
    }
}

static int put_summary(const struct wanted *w, const char *runtime, const char *tag)
{
    auto_buf struct buf text = BUF_INIT(4u << 20);

    (void)buf_adds(&text, "\n[DONE] Custom image build complete!\n");
    (void)buf_addf(&text, "       Runtime: %s\n", runtime);
    if (w->n_packages > 0) {
        (void)buf_adds(&text, "       Packages: ");
        put_packages(&text, w);
        (void)buf_adds(&text, "\n");
    }
    if (w->script.len > 0) {
        (void)buf_adds(&text, "       Setup: ");
        cli_first_line(&text, buf_text(&w->script));
        (void)buf_adds(&text, "\n");
    }
    (void)buf_addf(&text, "       Image: %s\n", tag);
    return cli_put(&text);
}

static int build(const struct cli *cli, const struct cli_args *args, const struct conf *conf,
                 const struct wanted *w)
{
    auto_host isol8_host *host = NULL;
    isol8_build_options opts;
    bool was_current;
    int code = cli_host_open(cli, conf, &host);

    if (code != 0)
        return code;
    isol8_build_options_init(&opts);
    opts.runtime = cli_arg(args, BUILD_BASE);
    opts.tag = cli_arg(args, BUILD_TAG);
    opts.packages = (const char *const *)w->packages;
    opts.n_packages = w->n_packages;
    opts.setup_script = w->script.len > 0 ? buf_text(&w->script) : NULL;
    opts.force = args->values[BUILD_FORCE].n > 0;
    code = progress_build(host, &opts, true, &was_current);
    if (code != 0)
        return code;
    cli_debug(cli, "ImageBuilder", "%s", was_current ? "Up to date" : "Built");
    cli_say("[OK] Built image: %s", opts.tag);
    return put_summary(w, opts.runtime, opts.tag);
}

int cmd_build(struct cli *cli, const struct cli_args *args)
{
    auto_conf struct conf *conf = NULL;
    auto_wanted struct wanted w = { .script = BUF_INIT(SCRIPT_MAX) };
    int code = check_required(args);

    if (code == 0)
        code = collect(&w, args);
    if (code == 0)
        code = cli_config(cli, false, &conf);
    if (code == 0)
        code = cli_check_machine(cli, conf);
    return code != 0 ? code : build(cli, args, conf, &w);
}
