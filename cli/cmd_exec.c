/* SPDX-License-Identifier: Apache-2.0 */
/**
 * cmd_exec.c - `isol8 exec`: a program in a kept sandbox
 *
 * Signals. isol8_exec() waits for the runtime, which hands the signals it gets on to the program
 * and stays in our process group. So what the terminal sends reaches the program by itself, and we
 * only have to stay alive for the exit code. What somebody sends to this process alone is passed on
 * by a thread; the runtime is then this process's only child.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/mem.h"
#include "base/path.h"
#include "base/text.h"
#include "cli/cli.h"
#include "cli/pairs.h"
#include "cli/signals.h"

#define CHILD_RETRY_MS 10 /* until the runtime is there to get the signal */

enum { EXEC_TTY, EXEC_WORKDIR, EXEC_ENV, EXEC_CONFIG, EXEC_DEBUG };

const struct cli_opt cli_exec_opts[] = {
    [EXEC_TTY] = { .letter = 't', .name = "tty", .help = "Give the program a terminal" },
    [EXEC_WORKDIR] = { .letter = 'w',
                       .name = "workdir",
                       .arg = "<path>",
                       .help = "Working directory inside the sandbox",
                       .fallback = "\"/sandbox\"" },
    [EXEC_ENV] = { .letter = 'e',
                   .name = "env",
                   .arg = "<KEY=VALUE>",
                   .is_repeatable = true,
                   .help = "Set a variable; KEY alone takes the caller's value; repeatable" },
    [EXEC_CONFIG] = { .name = "config",
                      .arg = "<file>",
                      .help = "Use this configuration file and no other" },
    [EXEC_DEBUG] = { .name = "debug", .help = "Print debug lines on stderr" },
    { .name = NULL },
};

/* ---- Signals --------------------------------------------------------------------------------- */

struct forwarder {
    pthread_t thread;
    int stop_fd;
    int pid; /* of this process, whose main thread is the runtime's parent */
};

/* Send @number to the runtime; 0 only looks for it. Return: false when there is none, or not yet.
 */
static bool signal_children(const struct forwarder *f, int number)
{
    auto_buf struct buf text = BUF_INIT(0);
    char path[64], *save = NULL;
    bool is_sent = false;

    (void)snprintf(path, sizeof(path), "/proc/self/task/%d/children", f->pid);
    if (path_read(AT_FDCWD, path, 4096, &text, NULL) < 0 || text.len == 0)
        return false;
    for (char *p = strtok_r(text.data, " ", &save); p != NULL; p = strtok_r(NULL, " ", &save)) {
        uint64_t pid;
        if (text_parse_u64(p, &pid) && pid > 1 && kill((pid_t)pid, number) == 0)
            is_sent = true;
    }
    return is_sent;
}

static void *forward(void *arg)
{
    const struct forwarder *f = arg;
    struct pollfd p[2] = { { .fd = f->stop_fd, .events = POLLIN },
                           { .fd = signals_fd(), .events = POLLIN } };

    while (signals_caught() == 0 && p[0].revents == 0)
        (void)poll(p, 2, -1);
    if (signals_from_terminal() && signal_children(f, 0))
        return NULL; /* it went to the runtime as well */
    while (p[0].revents == 0 && !signal_children(f, signals_caught()))
        (void)poll(p, 1, CHILD_RETRY_MS);
    return NULL;
}

static int forwarder_start(struct forwarder *f)
{
    f->pid = getpid();
    f->stop_fd = eventfd(0, EFD_CLOEXEC);
    if (f->stop_fd < 0)
        return cli_fail("eventfd: %s", strerrordesc_np(errno));
    int r = pthread_create(&f->thread, NULL, forward, f);
    if (r != 0) {
        f->stop_fd = fd_close(f->stop_fd);
        return cli_fail("Cannot start a thread: %s", strerrordesc_np(r));
    }
    return 0;
}

static void forwarder_stop(struct forwarder *f)
{
    const unsigned long long one = 1;

    (void)!write(f->stop_fd, &one, sizeof(one));
    (void)pthread_join(f->thread, NULL);
    f->stop_fd = fd_close(f->stop_fd);
}

/* ---- The command ----------------------------------------------------------------------------- */

/* ID [--] COMMAND...: NULL-terminated, to be freed. */
static int take_command(const struct cli_args *args, const char ***argv)
{
    const struct cli_values *words = &args->operands;
    size_t first = words->n > 1 && strcmp(words->items[1], "--") == 0 ? 2 : 1;

    if (words->n == 0)
        return cli_missing_operand("id");
    if (words->n <= first)
        return cli_missing_operand("command");
    if (first == 1 && words->items[1][0] == '-') {
        cli_say("error: options of 'exec' stand before the sandbox's id");
        return CLI_EXIT_ERROR;
    }
    size_t n = words->n - first;
    const char **list = calloc(n + 1, sizeof(*list));
    if (list == NULL)
        return cli_fail("out of memory");
    memcpy(list, words->items + first, n * sizeof(*list));
    *argv = list;
    return 0;
}

static int execute(isol8_host *host, const isol8_exec_options *opts)
{
    struct forwarder f;
    isol8_error err;
    int program_code = 0;

    signals_hold();
    int code = forwarder_start(&f);
    if (code != 0)
        return code;
    int r = isol8_exec(host, opts, &program_code, &err);
    forwarder_stop(&f);
    if (r == 0)
        return program_code;
    return signals_caught() != 0 ? 128 + signals_caught() : cli_fail("%s", err.msg);
}

int cmd_exec(struct cli *cli, const struct cli_args *args)
{
    auto_conf struct conf *conf = NULL;
    auto_host isol8_host *host = NULL;
    auto_pairs struct cli_pairs env = { .n = 0 };
    auto_free const char **argv = NULL;
    isol8_exec_options opts;
    int code = take_command(args, &argv);

    if (code == 0)
        code = cli_pairs_add(&env, &args->values[EXEC_ENV], &cli_exec_opts[EXEC_ENV], false);
    if (code == 0)
        code = cli_config(cli, true, &conf);
    if (code == 0)
        code = cli_host_open(cli, conf, &host);
    if (code != 0)
        return code;
    isol8_exec_options_init(&opts);
    opts.id = args->operands.items[0];
    opts.argv = argv;
    opts.env = env.items;
    opts.n_env = env.n;
    opts.workdir = cli_arg(args, EXEC_WORKDIR);
    opts.terminal = args->values[EXEC_TTY].n > 0;
    return execute(host, &opts);
}
