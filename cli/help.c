/* SPDX-License-Identifier: Apache-2.0 */
/* help.c - help texts from the option tables. */
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "cli/opt.h"

#define HELP_COLUMNS 80
#define HELP_INDENT 2
#define HELP_GAP 2
#define TERM_MAX 64 /* bytes of an entry's name */

static const struct cli_opt help_row = { .letter = 'h', .name = "help", .help = "Show this help" };
static const struct cli_opt version_row = { .letter = 'V',
                                            .name = "version",
                                            .help = "Print the version" };

void cli_escape(struct buf *out, const char *text, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)text[i];
        unsigned char next = i + 1 < n ? (unsigned char)text[i + 1] : 0;
        if (c < 0x20 || c == 0x7f)
            (void)buf_addf(out, "\\x%02x", c);
        else if (c == 0xc2 && next >= 0x80 && next < 0xa0) /* U+0080 to U+009F: terminals obey */
            (void)buf_addf(out, "\\x%02x", text[++i] & 0xff);
        else
            (void)buf_add(out, text + i, 1);
    }
}

void cli_opt_form(const struct cli_opt *opt, struct buf *out)
{
    if (opt->letter != 0)
        (void)buf_addf(out, "-%c, ", opt->letter);
    (void)buf_addf(out, "--%s", opt->name);
    if (opt->arg != NULL)
        (void)buf_addf(out, " %s", opt->arg);
}

/* A name and what it means; the texts of one help page are aligned. */
struct entry {
    char term[TERM_MAX];
    char text[512];
};

struct page {
    struct buf *out;
    size_t width; /* of the name column */
};

static void entry_of_opt(const struct cli_opt *opt, struct entry *e)
{
    auto_buf struct buf term = BUF_INIT(TERM_MAX);

    cli_opt_form(opt, &term);
    (void)snprintf(e->term, sizeof(e->term), "%s", buf_text(&term));
    if (opt->fallback != NULL)
        (void)snprintf(e->text, sizeof(e->text), "%s (default: %s)", opt->help, opt->fallback);
    else
        (void)snprintf(e->text, sizeof(e->text), "%s", opt->help);
}

static void entry_of_command(const struct cli_command *c, struct entry *e)
{
    (void)snprintf(e->term, sizeof(e->term), "%s%s%s", c->name, c->usage[0] == '\0' ? "" : " ",
                   c->usage);
    (void)snprintf(e->text, sizeof(e->text), "%s", c->summary);
}

/* Bytes of @text that go on a line of @width: up to a space, or all of it. */
static size_t line_length(const char *text, size_t width)
{
    size_t n = strlen(text);

    if (n <= width)
        return n;
    for (n = width; n > 0 && text[n] != ' '; n--)
        ;
    return n > 0 ? n : width;
}

static void put_wrapped(struct buf *out, const char *text, size_t column)
{
    size_t width = HELP_COLUMNS - column;

    for (;;) {
        size_t n = line_length(text, width);
        (void)buf_add(out, text, n);
        (void)buf_adds(out, "\n");
        text += n;
        text += strspn(text, " ");
        if (*text == '\0')
            return;
        (void)buf_addf(out, "%*s", (int)column, "");
    }
}

static void put_entry(const struct page *page, const struct entry *e)
{
    size_t column = HELP_INDENT + page->width + HELP_GAP;

    (void)buf_addf(page->out, "%*s%-*s", HELP_INDENT, "", (int)(page->width + HELP_GAP), e->term);
    put_wrapped(page->out, e->text, column);
}

static void widen(struct page *page, const struct entry *e)
{
    size_t n = strlen(e->term);

    if (n > page->width)
        page->width = n;
}

/* Either measure the option entries (@put false) or print them. */
static void each_opt(struct page *page, const struct cli_opt *opts, bool put)
{
    struct entry e;

    for (const struct cli_opt *o = opts; o != NULL && o->name != NULL; o++) {
        entry_of_opt(o, &e);
        if (put)
            put_entry(page, &e);
        else
            widen(page, &e);
    }
    entry_of_opt(&help_row, &e);
    if (put)
        put_entry(page, &e);
    else
        widen(page, &e);
}

static void each_operand(struct page *page, const struct cli_operand *operands, bool put)
{
    struct entry e;

    for (const struct cli_operand *o = operands; o != NULL && o->name != NULL; o++) {
        (void)snprintf(e.term, sizeof(e.term), "%s", o->name);
        (void)snprintf(e.text, sizeof(e.text), "%s", o->help);
        if (put)
            put_entry(page, &e);
        else
            widen(page, &e);
    }
}

static void each_command(struct page *page, const struct cli_command *commands, bool put)
{
    struct entry e;

    for (const struct cli_command *c = commands; c->name != NULL; c++) {
        entry_of_command(c, &e);
        if (put)
            put_entry(page, &e);
        else
            widen(page, &e);
    }
}

static void command_help(struct page *page, const char *program, const struct cli_command *c)
{
    (void)buf_addf(page->out, "Usage: %s %s%s%s%s%s\n\n", program, c->group == NULL ? "" : c->group,
                   c->group == NULL ? "" : " ", c->name, c->usage[0] == '\0' ? "" : " ", c->usage);
    put_wrapped(page->out, c->summary, 0);
    each_operand(page, c->operands, false);
    each_opt(page, c->opts, false);
    if (c->commands != NULL)
        each_command(page, c->commands, false);
    if (c->operands != NULL) {
        (void)buf_adds(page->out, "\nArguments:\n");
        each_operand(page, c->operands, true);
    }
    (void)buf_adds(page->out, "\nOptions:\n");
    each_opt(page, c->opts, true);
    if (c->commands == NULL)
        return;
    (void)buf_adds(page->out, "\nCommands:\n");
    each_command(page, c->commands, true);
}

static void program_help(struct page *page, const struct cli_program *p)
{
    struct entry e;

    (void)buf_addf(page->out, "Usage: %s [options] [command]\n\n", p->name);
    put_wrapped(page->out, p->summary, 0);
    entry_of_opt(&version_row, &e);
    widen(page, &e);
    each_opt(page, p->globals, false);
    each_command(page, p->commands, false);
    (void)buf_adds(page->out, "\nOptions:\n");
    put_entry(page, &e);
    each_opt(page, p->globals, true);
    (void)buf_adds(page->out, "\nCommands:\n");
    each_command(page, p->commands, true);
}

void cli_help(const struct cli_program *program, const struct cli_command *command, struct buf *out)
{
    struct page page = { .out = out };

    if (command != NULL)
        command_help(&page, program->name, command);
    else
        program_help(&page, program);
}
