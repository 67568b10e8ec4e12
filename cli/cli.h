/* SPDX-License-Identifier: Apache-2.0 */
/**
 * cli.h - what the commands share: the process's settings, messages, the host
 *
 * stdout belongs to results (for `run`: to the program alone); everything we say goes to stderr.
 */
#ifndef CLI_CLI_H
#define CLI_CLI_H

#include <stdbool.h>
#include <stddef.h>

#include <isol8/isol8.h>

#include "base/buf.h"
#include "cli/opt.h"
#include "config/config.h"

#define CLI_EXIT_ERROR 1
#define CLI_EXIT_EPIPE 141 /* as a process killed by SIGPIPE (13) */

struct cli {
    const struct cli_program *program;
    const char *config_file; /* --config, or NULL */
    bool wants_warnings;     /* show the library's warnings wherever stderr leads */
    bool debug;              /* --debug, or "debug" in the configuration */
};

extern const struct cli_program cli_isol8;

int cmd_run(struct cli *cli, const struct cli_args *args);
int cmd_setup(struct cli *cli, const struct cli_args *args);
int cmd_build(struct cli *cli, const struct cli_args *args);
int cmd_list_custom(struct cli *cli, const struct cli_args *args);
int cmd_config(struct cli *cli, const struct cli_args *args);
int cmd_cleanup(struct cli *cli, const struct cli_args *args);
int cmd_doctor(struct cli *cli, const struct cli_args *args);
int cmd_policy(struct cli *cli, const struct cli_args *args);
int cmd_exec(struct cli *cli, const struct cli_args *args);
int cmd_ps(struct cli *cli, const struct cli_args *args);
int cmd_serve(struct cli *cli, const struct cli_args *args);
int cmd_login(struct cli *cli, const struct cli_args *args);
int cmd_logout(struct cli *cli, const struct cli_args *args);
int cmd_session(struct cli *cli, const struct cli_args *args);
int cmd_session_list(struct cli *cli, const struct cli_args *args);
int cmd_session_stop(struct cli *cli, const struct cli_args *args);
int cmd_session_help(struct cli *cli, const struct cli_args *args);
int cmd_help(struct cli *cli, const struct cli_args *args);

extern const struct cli_opt cli_run_opts[];
extern const struct cli_opt cli_setup_opts[];
extern const struct cli_opt cli_build_opts[];
extern const struct cli_opt cli_list_custom_opts[];
extern const struct cli_opt cli_config_opts[];
extern const struct cli_opt cli_cleanup_opts[];
extern const struct cli_opt cli_doctor_opts[];
extern const struct cli_opt cli_policy_opts[];
extern const struct cli_opt cli_exec_opts[];
extern const struct cli_opt cli_ps_opts[];
extern const struct cli_opt cli_serve_opts[];
extern const struct cli_opt cli_login_opts[];
extern const struct cli_opt cli_session_list_opts[];
extern const struct cli_opt cli_session_stop_opts[];

/* ---- Messages (cli/say.c) -------------------------------------------------------------------- */

/* Each is one line on stderr with its control bytes escaped; an animated line gives way. */
void cli_say(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void cli_warn(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/** "[ERR] ..." Return: CLI_EXIT_ERROR, so that a command can end with "return cli_fail(...)". */
int cli_fail(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/** "[DEBUG] [area] ...", with --debug only. */
void cli_debug(const struct cli *cli, const char *area, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/** "error: option '--timeout <ms>' argument '5s' is invalid. ..." @value NULL: it is not repeated
 * (it may be a secret). Return: CLI_EXIT_ERROR. */
int cli_bad_value(const struct cli_opt *opt, const char *value, const char *expected);

/** "error: required option '--base <runtime>' not specified" Return: CLI_EXIT_ERROR. */
int cli_missing_option(const struct cli_opt *opt);

/** "error: missing required argument 'id'" Return: CLI_EXIT_ERROR. */
int cli_missing_operand(const char *name);

#define CLI_SHORT_ID 12 /* characters of an id shown to people */
#define CLI_DATE_SIZE 32

/** "2026-01-02 03:04:05" in the user's time zone. */
void cli_local_date(int64_t wall_ms, char out[CLI_DATE_SIZE]);

/** "running", "kept" or "stopped". */
const char *cli_owned_state(const isol8_owned *o);

/** Write a result to stdout. Return: the exit code: 0, CLI_EXIT_ERROR or CLI_EXIT_EPIPE. */
int cli_put(const struct buf *text);

/** Append a script's first line, escaped, and " ..." when there are more. */
void cli_first_line(struct buf *out, const char *text);

/** Unless the streams are open: open them, so that nothing else takes their numbers. */
void cli_hold_streams(void);

/* ---- The host (cli/host.c) ------------------------------------------------------------------- */

/**
 * cli_config() - Load the configuration; says what is wrong
 * @is_quiet: Warnings are kept back unless stderr is a terminal (`run` adds nothing to stderr)
 *
 * Return: 0 or the exit code
 */
int cli_config(struct cli *cli, bool is_quiet, struct conf **out);

/** Host options from the configuration, which they borrow from. */
void cli_host_options(const struct cli *cli, const struct conf *conf, isol8_host_options *opts);

/** Open the host; says what is wrong. Return: 0 or the exit code. */
int cli_host_open(const struct cli *cli, const struct conf *conf, isol8_host **out);

/** Examine the machine as `doctor` does, one line for each check. Return: 0 or the exit code. */
int cli_check_machine(const struct cli *cli, const struct conf *conf);

static inline void cli_host_free_p(isol8_host **host)
{
    isol8_host_free(*host);
}
#define auto_host __attribute__((cleanup(cli_host_free_p)))

#endif
