/* SPDX-License-Identifier: Apache-2.0 */
/**
 * opt.h - the command line's grammar, driven by tables
 *
 * Long options are --name VALUE or --name=VALUE, short ones -e VALUE or -eVALUE. An option that
 * needs a value takes the next word whatever it looks like. Options may stand before or after the
 * operands, unless the command takes the rest of the line; "--" ends them. Abbreviations are not
 * accepted. The last one of a repeated option wins unless it is repeatable. Global options are
 * accepted everywhere.
 */
#ifndef CLI_OPT_H
#define CLI_OPT_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"

struct cli;
struct cli_args;

struct cli_opt {
    char letter;      /* short form, or 0 */
    const char *name; /* long form without its dashes; NULL ends a table */
    const char *arg;  /* for instance "<ms>"; NULL: takes no value */
    const char *bare; /* the value when none follows: none, or another option; NULL: one must */
    bool is_repeatable;
    const char *help;
    const char *fallback; /* shown as (default: ...), or NULL */
};

struct cli_operand {
    const char *name; /* NULL ends a table */
    const char *help;
};

struct cli_command {
    const char *name;  /* NULL ends a table */
    const char *usage; /* what follows the name: "[options] [file]" */
    const char *summary;
    const struct cli_operand *operands;
    size_t max_operands;
    const struct cli_opt *opts;
    const struct cli_command *commands; /* of a group: what its next word may be; else NULL */
    const char *group;                  /* of a command in a group: the group's name; else NULL */
    bool takes_rest; /* options end at the first operand: what follows belongs to another program */
    /** Return: the exit code of the process. */
    int (*run)(struct cli *cli, const struct cli_args *args);
};

/* The program as a whole: its global options and its commands. */
struct cli_program {
    const char *name;
    const char *summary;
    const struct cli_opt *globals;
    const struct cli_command *commands;
};

struct cli_values {
    const char **items; /* owned array, borrowed strings */
    size_t n;           /* 0: not given */
};

enum cli_outcome {
    CLI_PARSED,
    CLI_HELP,    /* help is wanted: of .command, or of the program when that is NULL */
    CLI_VERSION, /* -V */
    CLI_USAGE,   /* .message says what is wrong */
};

struct cli_args {
    const struct cli_program *program;
    const struct cli_command *command; /* NULL: none was given */
    struct cli_values *values;         /* by index in the command's table */
    struct cli_values *globals;        /* by index in the program's table */
    struct cli_values operands;
    struct buf message;
};

/**
 * cli_parse() - Take a command line apart
 * @args: Filled in; cli_args_done() releases it, whatever the outcome
 * @argv: Without the program's own name; borrowed as long as @args
 */
enum cli_outcome cli_parse(struct cli_args *args, const struct cli_program *program, size_t argc,
                           const char *const *argv);
void cli_args_done(struct cli_args *args);

/** The value of option @i of the command; NULL when absent. A flag's value is "". */
const char *cli_arg(const struct cli_args *args, size_t i);

/** Append "--timeout <ms>" or "-e, --eval <code>". */
void cli_opt_form(const struct cli_opt *opt, struct buf *out);

/** Append the help of @command, or of the program when it is NULL. */
void cli_help(const struct cli_program *program, const struct cli_command *command,
              struct buf *out);

/** The command of that name in a table, or NULL. */
const struct cli_command *cli_command_find(const struct cli_command *commands, const char *name);

/** Append @text with its control bytes escaped. */
void cli_escape(struct buf *out, const char *text, size_t n);

#endif
