/* SPDX-License-Identifier: Apache-2.0 */
/* opt.c - takes a command line apart. */
#include "cli/opt.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/text.h"
#include "cli/xmem.h"

#define MESSAGE_MAX 4096   /* of a usage error */
#define CANDIDATES_MAX 128 /* words considered for "Did you mean" */

/* Where the parser stands. */
struct parse {
    struct cli_args *args;
    const char *const *argv;
    size_t argc, i;
    bool ended;      /* "--" was seen */
    bool wants_help; /* beats usage errors that come later */
    bool wants_version;
};

static size_t table_size(const struct cli_opt *opts)
{
    size_t n = 0;

    while (opts != NULL && opts[n].name != NULL)
        n++;
    return n;
}

static void values_add(struct cli_values *v, const char *item, bool is_repeatable)
{
    if (!is_repeatable)
        v->n = 0;
    v->items = xrealloc(v->items, (v->n + 1) * sizeof(*v->items));
    v->items[v->n++] = item;
}

static enum cli_outcome usage(struct parse *p, const char *what, const char *word, size_t n)
{
    struct buf *m = &p->args->message;

    if (m->len > 0) /* the first mistake is the one to tell */
        return CLI_USAGE;
    (void)buf_addf(m, "error: %s '", what);
    cli_escape(m, word, n);
    (void)buf_adds(m, "'");
    return CLI_USAGE;
}

static void did_you_mean(struct parse *p, const char *dashes, const char *word,
                         const char *const *candidates)
{
    const char *near = text_nearest(word, candidates);

    if (near != NULL)
        (void)buf_addf(&p->args->message, "\n(Did you mean %s%s?)", dashes, near);
}

static enum cli_outcome unknown_option(struct parse *p, const char *word, size_t n)
{
    const struct cli_command *c = p->args->command;
    const struct cli_opt *tables[] = { c == NULL ? NULL : c->opts, p->args->program->globals };
    const char *candidates[CANDIDATES_MAX];
    size_t found = 0;
    bool is_first = p->args->message.len == 0;
    enum cli_outcome r = usage(p, "unknown option", word, n);

    if (!is_first || n < 4 || word[0] != '-' || word[1] != '-')
        return r;
    for (size_t t = 0; t < ARRAY_LEN(tables); t++) {
        for (const struct cli_opt *o = tables[t]; o != NULL && o->name != NULL; o++) {
            if (found + 2 < CANDIDATES_MAX)
                candidates[found++] = o->name;
        }
    }
    candidates[found++] = "help";
    candidates[found] = NULL;

    auto_free char *name = xstrndup(word + 2, n - 2);
    did_you_mean(p, "--", name, candidates);
    return r;
}

/* What the next word may be: the program's commands, or those of the group it began with. */
static const struct cli_command *commands_of(const struct parse *p)
{
    return p->args->command == NULL ? p->args->program->commands : p->args->command->commands;
}

static enum cli_outcome unknown_command(struct parse *p, const char *word)
{
    const char *candidates[CANDIDATES_MAX];
    size_t n = 0;
    enum cli_outcome r = usage(p, "unknown command", word, strlen(word));

    for (const struct cli_command *c = commands_of(p); c->name != NULL; c++) {
        if (n + 1 < CANDIDATES_MAX)
            candidates[n++] = c->name;
    }
    candidates[n] = NULL;
    did_you_mean(p, "", word, candidates);
    return r;
}

static enum cli_outcome missing_value(struct parse *p, const struct cli_opt *opt)
{
    struct buf *m = &p->args->message;

    if (m->len > 0)
        return CLI_USAGE;
    (void)buf_adds(m, "error: option '");
    cli_opt_form(opt, m);
    (void)buf_adds(m, "' argument missing");
    return CLI_USAGE;
}

/* The row for a long name of @n bytes, or for @letter when @name is NULL. */
static const struct cli_opt *find_in(const struct cli_opt *opts, const char *name, size_t n,
                                     char letter)
{
    for (const struct cli_opt *o = opts; o != NULL && o->name != NULL; o++) {
        if (name == NULL ? o->letter == letter
                         : strncmp(o->name, name, n) == 0 && o->name[n] == '\0')
            return o;
    }
    return NULL;
}

static const struct cli_opt *find_opt(const struct parse *p, const char *name, size_t n,
                                      char letter)
{
    const struct cli_command *c = p->args->command;
    const struct cli_opt *o = find_in(c == NULL ? NULL : c->opts, name, n, letter);

    return o != NULL ? o : find_in(p->args->program->globals, name, n, letter);
}

/* Remember a value. A global option counts as such also where a command's table repeats it. */
static void store(struct parse *p, const struct cli_opt *opt, const char *value)
{
    const struct cli_program *program = p->args->program;
    const struct cli_opt *global = find_in(program->globals, opt->name, strlen(opt->name), 0);

    if (global != NULL)
        values_add(&p->args->globals[global - program->globals], value, opt->is_repeatable);
    else
        values_add(&p->args->values[opt - p->args->command->opts], value, opt->is_repeatable);
}

static enum cli_outcome take_value(struct parse *p, const struct cli_opt *opt)
{
    if (opt->bare != NULL && (p->i == p->argc || p->argv[p->i][0] == '-')) {
        store(p, opt, opt->bare);
        return CLI_PARSED;
    }
    if (p->i == p->argc)
        return missing_value(p, opt);
    store(p, opt, p->argv[p->i++]);
    return CLI_PARSED;
}

/* --help and --version are no rows: they end the matter. Return: true when @name was one. */
static bool is_special(struct parse *p, const char *name, size_t n, char letter)
{
    if (letter == 'h' || (n == 4 && strncmp(name, "help", 4) == 0))
        p->wants_help = true;
    else if (letter == 'V' || (n == 7 && strncmp(name, "version", 7) == 0))
        p->wants_version = true;
    else
        return false;
    return true;
}

static enum cli_outcome parse_long(struct parse *p, const char *word)
{
    const char *name = word + 2, *equals = strchr(name, '=');
    size_t n = equals == NULL ? strlen(name) : (size_t)(equals - name);
    const struct cli_opt *opt = find_opt(p, name, n, 0);

    if (equals == NULL && is_special(p, name, n, 0))
        return CLI_PARSED;
    if (opt == NULL || (equals != NULL && opt->arg == NULL))
        return unknown_option(p, word, n + 2);
    if (opt->arg == NULL) {
        store(p, opt, "");
        return CLI_PARSED;
    }
    if (equals == NULL)
        return take_value(p, opt);
    store(p, opt, equals + 1);
    return CLI_PARSED;
}

/* "-e VALUE", "-eVALUE", or several letters without values in one word. */
static enum cli_outcome parse_short(struct parse *p, const char *word)
{
    for (const char *s = word + 1; *s != '\0'; s++) {
        const struct cli_opt *opt = find_opt(p, NULL, 0, *s);

        if (is_special(p, "", 0, *s))
            continue;
        if (opt == NULL)
            return unknown_option(p, word, strlen(word));
        if (opt->arg != NULL && s[1] != '\0') {
            store(p, opt, s + 1);
            return CLI_PARSED;
        }
        if (opt->arg != NULL)
            return take_value(p, opt);
        store(p, opt, "");
    }
    return CLI_PARSED;
}

static enum cli_outcome start_command(struct parse *p, const char *word)
{
    const struct cli_command *c = cli_command_find(commands_of(p), word);

    if (c == NULL)
        return unknown_command(p, word);
    free(p->args->values); /* of the group, which has none */
    p->args->command = c;
    p->args->values = xcalloc(table_size(c->opts) + 1, sizeof(*p->args->values));
    return CLI_PARSED;
}

static enum cli_outcome parse_word(struct parse *p)
{
    const char *word = p->argv[p->i++];

    if (!p->ended && strcmp(word, "--") == 0) {
        p->ended = true;
        return CLI_PARSED;
    }
    if (!p->ended && word[0] == '-' && word[1] == '-')
        return parse_long(p, word);
    if (!p->ended && word[0] == '-' && word[1] != '\0')
        return parse_short(p, word);
    if (p->args->command == NULL || p->args->command->commands != NULL)
        return start_command(p, word);
    values_add(&p->args->operands, word, true);
    p->ended = p->ended || p->args->command->takes_rest;
    return CLI_PARSED;
}

static enum cli_outcome check_operands(struct parse *p)
{
    const struct cli_command *c = p->args->command;
    size_t n = p->args->operands.n;

    if (n <= c->max_operands)
        return CLI_PARSED;
    (void)buf_addf(&p->args->message,
                   "error: too many arguments for '%s'. Expected %zu argument%s but got %zu.",
                   c->name, c->max_operands, c->max_operands == 1 ? "" : "s", n);
    return CLI_USAGE;
}

enum cli_outcome cli_parse(struct cli_args *args, const struct cli_program *program, size_t argc,
                           const char *const *argv)
{
    struct parse p = { .args = args, .argv = argv, .argc = argc };
    enum cli_outcome r = CLI_PARSED, first = CLI_PARSED;

    *args = (struct cli_args){ .program = program, .message = BUF_INIT(MESSAGE_MAX) };
    args->globals = xcalloc(table_size(program->globals) + 1, sizeof(*args->globals));
    while (p.i < argc) {
        r = parse_word(&p);
        if (r == CLI_USAGE && args->command == NULL)
            return p.wants_help ? CLI_HELP : r;
        if (first == CLI_PARSED)
            first = r;
        if (p.wants_help)
            return CLI_HELP;
        if (p.wants_version)
            return CLI_VERSION;
    }
    if (first != CLI_PARSED)
        return first;
    if (args->command == NULL)
        return CLI_HELP;

    return check_operands(&p);
}

void cli_args_done(struct cli_args *args)
{
    size_t n_values = args->command == NULL ? 0 : table_size(args->command->opts);

    for (size_t i = 0; i < n_values; i++)
        free((void *)args->values[i].items);
    for (size_t i = 0; i < table_size(args->program->globals); i++)
        free((void *)args->globals[i].items);
    free((void *)args->operands.items);
    free(args->values);
    free(args->globals);
    buf_done(&args->message);
}

const char *cli_arg(const struct cli_args *args, size_t i)
{
    const struct cli_values *v = &args->values[i];

    return v->n == 0 ? NULL : v->items[v->n - 1];
}

const struct cli_command *cli_command_find(const struct cli_command *commands, const char *name)
{
    for (const struct cli_command *c = commands; c->name != NULL; c++) {
        if (strcmp(c->name, name) == 0)
            return c;
    }
    return NULL;
}
