/* SPDX-License-Identifier: Apache-2.0 */
/* say.c - messages for people on stderr, results on stdout. */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/fd.h"
#include "cli/cli.h"
#include "cli/spinner.h"

#define LINE_MAX_BYTES 2048 /* longer lines are cut */

static void put_line(const char *prefix, const char *fmt, va_list ap)
    __attribute__((format(printf, 2, 0)));

static void put_line(const char *prefix, const char *fmt, va_list ap)
{
    auto_buf struct buf line = BUF_INIT(8 * LINE_MAX_BYTES);
    char text[LINE_MAX_BYTES];

    (void)vsnprintf(text, sizeof(text), fmt, ap);
    (void)buf_adds(&line, prefix);
    cli_escape(&line, text, strlen(text));
    (void)buf_adds(&line, "\n");
    spinner_pause();
    (void)fd_write_all(STDERR_FILENO, buf_text(&line), line.len); /* nobody is left to be told */
    spinner_resume();
}

void cli_say(const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    put_line("", fmt, ap);
    va_end(ap);
}

void cli_warn(const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    put_line("[WARN] ", fmt, ap);
    va_end(ap);
}

int cli_fail(const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    put_line("[ERR] ", fmt, ap);
    va_end(ap);
    return CLI_EXIT_ERROR;
}

void cli_debug(const struct cli *cli, const char *area, const char *fmt, ...)
{
    char prefix[64];
    va_list ap;

    if (!cli->debug)
        return;
    (void)snprintf(prefix, sizeof(prefix), "[DEBUG] [%s] ", area);
    va_start(ap, fmt);
    put_line(prefix, fmt, ap);
    va_end(ap);
}

int cli_bad_value(const struct cli_opt *opt, const char *value, const char *expected)
{
    auto_buf struct buf text = BUF_INIT(1u << 16);

    (void)buf_adds(&text, "error: option '");
    cli_opt_form(opt, &text);
    (void)buf_adds(&text, "' argument ");
    if (value != NULL) {
        (void)buf_adds(&text, "'");
        cli_escape(&text, value, strlen(value));
        (void)buf_adds(&text, "' ");
    }
    (void)buf_addf(&text, "is invalid. %s\n", expected);
    (void)fd_write_all(STDERR_FILENO, buf_text(&text), text.len);
    return CLI_EXIT_ERROR;
}

int cli_missing_option(const struct cli_opt *opt)
{
    auto_buf struct buf form = BUF_INIT(1024);

    cli_opt_form(opt, &form);
    cli_say("error: required option '%s' not specified", buf_text(&form));
    return CLI_EXIT_ERROR;
}

int cli_missing_operand(const char *name)
{
    cli_say("error: missing required argument '%s'", name);
    return CLI_EXIT_ERROR;
}

void cli_local_date(int64_t wall_ms, char out[CLI_DATE_SIZE])
{
    time_t t = (time_t)(wall_ms / 1000);
    struct tm tm;

    out[0] = '\0';
    if (localtime_r(&t, &tm) != NULL)
        (void)strftime(out, CLI_DATE_SIZE, "%Y-%m-%d %H:%M:%S", &tm);
}

const char *cli_owned_state(const isol8_owned *o)
{
    if (o->is_kept)
        return "kept";
    return o->is_alive ? "running" : "stopped";
}

int cli_put(const struct buf *text)
{
    int r = text->failed ? -ENOMEM : fd_write_all(STDOUT_FILENO, buf_text(text), text->len);

    if (r == -EPIPE)
        return CLI_EXIT_EPIPE;
    if (r < 0)
        return cli_fail("Cannot write to stdout: %s", strerrordesc_np(-r));
    return 0;
}

void cli_first_line(struct buf *out, const char *text)
{
    size_t n = strcspn(text, "\r\n");

    cli_escape(out, text, n);
    if (text[n + strspn(text + n, "\r\n")] != '\0')
        (void)buf_adds(out, " ...");
}

void cli_hold_streams(void)
{
    for (int fd = 0; fd <= STDERR_FILENO; fd++) {
        if (fcntl(fd, F_GETFD) >= 0 || errno != EBADF)
            continue;
        int null = open("/dev/null", O_RDWR | O_NOCTTY); /* the lowest free number: this one */
        if (null < 0)
            _exit(CLI_EXIT_ERROR);
    }
}
