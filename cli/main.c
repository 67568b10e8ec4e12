/* SPDX-License-Identifier: Apache-2.0 */
/* main.c - the isol8 program: its commands, and the way to them. */
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/mem.h"
#include "cli/cli.h"
#include "cli/signals.h"

enum { GLOBAL_DEBUG, GLOBAL_CONFIG };

static const struct cli_opt global_opts[] = {
    [GLOBAL_DEBUG] = { .name = "debug", .help = "Print debug lines on stderr" },
    [GLOBAL_CONFIG] = { .name = "config",
                        .arg = "<file>",
                        .help = "Use this configuration file and no other" },
    { .name = NULL },
};

static const struct cli_operand setup_operands[] = {
    { .name = "runtime", .help = "Build only these runtimes' images" },
    { .name = NULL },
};

static const struct cli_operand run_operands[] = {
    { .name = "file", .help = "Program to run; without one, and without -e or --cmd, it is stdin" },
    { .name = NULL },
};

static const struct cli_operand help_operands[] = {
    { .name = "command", .help = "Command to explain" },
    { .name = NULL },
};

static const struct cli_operand policy_operands[] = {
    { "check", "The only question there is" },
    { "url", "https://host/..., or host:port; several are answered in turn" },
    { NULL, NULL },
};

static const struct cli_operand exec_operands[] = {
    { "id", "Of the sandbox, or its beginning (at least 4 digits); see isol8 ps" },
    { "command", "Program and its arguments, taken as they are" },
    { NULL, NULL },
};

static const struct cli_operand stop_operands[] = {
    { "id", "Of the session" },
    { NULL, NULL },
};

static const struct cli_command session_commands[] = {
    { .name = "list",
      .group = "session",
      .usage = "[options]",
      .summary = "List the sessions",
      .opts = cli_session_list_opts,
      .run = cmd_session_list },
    { .name = "stop",
      .group = "session",
      .usage = "[options] <id>",
      .summary = "End a session",
      .operands = stop_operands,
      .max_operands = 1,
      .opts = cli_session_stop_opts,
      .run = cmd_session_stop },
    { .name = "help",
      .group = "session",
      .usage = "[command]",
      .summary = "Show the help of a command",
      .operands = help_operands,
      .max_operands = 1,
      .run = cmd_session_help },
    { .name = NULL },
};

static const struct cli_command commands[] = {
    { .name = "setup",
      .usage = "[options] [runtime...]",
      .summary = "Build the runtimes' images",
      .operands = setup_operands,
      .max_operands = SIZE_MAX,
      .opts = cli_setup_opts,
      .run = cmd_setup },
    { .name = "build",
      .usage = "[options]",
      .summary = "Build an image with packages and a setup script of your own",
      .opts = cli_build_opts,
      .run = cmd_build },
    { .name = "list-custom",
      .usage = "",
      .summary = "List the images you have built",
      .opts = cli_list_custom_opts,
      .run = cmd_list_custom },
    { .name = "run",
      .usage = "[options] [file]",
      .summary = "Run a program in a fresh sandbox",
      .operands = run_operands,
      .max_operands = 1,
      .opts = cli_run_opts,
      .run = cmd_run },
    { .name = "serve",
      .usage = "[options]",
      .summary = "Run programs for HTTP clients",
      .opts = cli_serve_opts,
      .run = cmd_serve },
    { .name = "config",
      .usage = "[options]",
      .summary = "Show the resolved configuration",
      .opts = cli_config_opts,
      .run = cmd_config },
    { .name = "cleanup",
      .usage = "[options]",
      .summary = "Remove what isol8 left behind",
      .opts = cli_cleanup_opts,
      .run = cmd_cleanup },
    { .name = "ps",
      .usage = "[options]",
      .summary = "List the sandboxes",
      .opts = cli_ps_opts,
      .run = cmd_ps },
    { .name = "exec",
      .usage = "[options] <id> [--] <command...>",
      .summary = "Run a program in a sandbox that was kept",
      .operands = exec_operands,
      .max_operands = SIZE_MAX,
      .opts = cli_exec_opts,
      .takes_rest = true,
      .run = cmd_exec },
    { .name = "doctor",
      .usage = "[options]",
      .summary = "Check what this machine needs to run sandboxes",
      .opts = cli_doctor_opts,
      .run = cmd_doctor },
    { .name = "policy",
      .usage = "[options] check <url...>",
      .summary = "Say what the filtered network would do with an address",
      .operands = policy_operands,
      .max_operands = 65,
      .opts = cli_policy_opts,
      .run = cmd_policy },
    { .name = "login",
      .usage = "[options]",
      .summary = "Get a token from a server, for --host without a key",
      .opts = cli_login_opts,
      .run = cmd_login },
    { .name = "logout", .usage = "", .summary = "Forget the token", .run = cmd_logout },
    { .name = "session",
      .usage = "<command>",
      .summary = "Show and end the sessions of a server",
      .commands = session_commands,
      .run = cmd_session },
    { .name = "help",
      .usage = "[command]",
      .summary = "Show the help of a command",
      .operands = help_operands,
      .max_operands = 1,
      .run = cmd_help },
    { .name = NULL },
};

const struct cli_program cli_isol8 = {
    .name = "isol8",
    .summary = "Run untrusted code in single-use sandboxes",
    .globals = global_opts,
    .commands = commands,
};

static int show_help(const struct cli_command *command)
{
    auto_buf struct buf text = BUF_INIT(1u << 16);

    cli_help(&cli_isol8, command, &text);
    return cli_put(&text);
}

/* The help of a command of @commands, or that of everything: asked for, or since there is no such
 * command. */
static int help_among(const struct cli_command *commands_there, const struct cli_command *all,
                      const struct cli_args *args)
{
    auto_buf struct buf text = BUF_INIT(1u << 16);
    const struct cli_command *command;

    if (args->operands.n == 0)
        return show_help(all);
    command = cli_command_find(commands_there, args->operands.items[0]);
    if (command != NULL)
        return show_help(command);
    cli_help(&cli_isol8, all, &text);
    (void)fd_write_all(STDERR_FILENO, buf_text(&text), text.len);
    return CLI_EXIT_ERROR;
}

int cmd_help(struct cli *cli, const struct cli_args *args)
{
    return help_among(cli->program->commands, NULL, args);
}

int cmd_session_help(struct cli *cli, const struct cli_args *args)
{
    return help_among(session_commands, cli_command_find(cli->program->commands, "session"), args);
}

int cmd_session(struct cli *cli, const struct cli_args *args)
{
    auto_buf struct buf text = BUF_INIT(1u << 16);

    cli_help(cli->program, args->command, &text);
    (void)fd_write_all(STDERR_FILENO, buf_text(&text), text.len);
    return CLI_EXIT_ERROR;
}

static int show_version(void)
{
    auto_buf struct buf text = BUF_INIT(256);

    (void)buf_addf(&text, "%s\n", isol8_version());
    return cli_put(&text);
}

/* The message may have a second line: "(Did you mean ...?)". */
static int usage_error(const struct buf *message)
{
    auto_buf struct buf text = BUF_INIT(1u << 14);

    (void)buf_addf(&text, "%s\n", buf_text(message));
    (void)fd_write_all(STDERR_FILENO, buf_text(&text), text.len);
    return CLI_EXIT_ERROR;
}

/* Many sandboxes need many descriptors; the library does not touch the limit, a program may. */
static void raise_descriptor_limit(void)
{
    struct rlimit rl;

    if (getrlimit(RLIMIT_NOFILE, &rl) == 0 && rl.rlim_cur < rl.rlim_max) {
        rl.rlim_cur = rl.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &rl); /* fine without */
    }
}

static void debug_head(const struct cli *cli, const char *command)
{
    struct utsname un;
    const char *arch = "unknown";

    if (!cli->debug)
        return;
    if (uname(&un) == 0)
        arch = strcmp(un.machine, "x86_64") == 0    ? "x64"
               : strcmp(un.machine, "aarch64") == 0 ? "arm64"
                                                    : un.machine;
    cli_debug(cli, "CLI", "Command: %s", command);
    cli_debug(cli, "CLI", "Version: %s", isol8_version());
    cli_debug(cli, "CLI", "Platform: linux %s", arch);
}

static int run_command(const struct cli_args *args)
{
    struct cli cli = { .program = &cli_isol8 };
    const struct cli_values *config = &args->globals[GLOBAL_CONFIG];
    isol8_error err;

    cli.debug = args->globals[GLOBAL_DEBUG].n > 0;
    if (config->n > 0)
        cli.config_file = config->items[config->n - 1];
    if (cli.config_file != NULL && cli.config_file[0] == '\0')
        return cli_fail("--config needs the name of a file.");
    raise_descriptor_limit();
    if (signals_install(&err) < 0)
        return cli_fail("%s", err.msg);
    debug_head(&cli, args->command->name);
    return args->command->run(&cli, args);
}

int main(int argc, char **argv)
{
    struct cli_args args;
    size_t n = argc > 0 ? (size_t)argc - 1 : 0;
    int code = CLI_EXIT_ERROR;

    cli_hold_streams();
    switch (cli_parse(&args, &cli_isol8, n, (const char *const *)argv + 1)) {
    case CLI_PARSED:
        code = run_command(&args);
        break;
    case CLI_HELP:
        code = show_help(args.command);
        break;
    case CLI_VERSION:
        code = show_version();
        break;
    case CLI_USAGE:
        code = usage_error(&args.message);
        break;
    }
    cli_args_done(&args);
    return code;
}
