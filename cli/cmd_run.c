/* SPDX-License-Identifier: Apache-2.0 */
/* cmd_run.c - `isol8 run`: one program in one fresh sandbox. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/mem.h"
#include "cli/progress.h"
#include "cli/run.h"
#include "cli/signals.h"
#include "cli/spinner.h"

static void engine_free_p(isol8_engine **engine)
{
    isol8_free(*engine);
}
#define auto_engine __attribute__((cleanup(engine_free_p)))
#define auto_plan __attribute__((cleanup(run_plan_done)))

/* The id is only shown: a local session ends with this command. */
static void say_session(const struct run_plan *plan)
{
    if (strcmp(plan->options.mode, "persistent") == 0)
        cli_say("[Run] Session ID: cli-%lld", (long long)clock_wall_ms());
}

/* Everything that can be wrong with the command line, before anything is made. */
static int prepare(struct run_plan *plan, struct cli *cli, const struct cli_args *args,
                   const struct conf *conf)
{
    const char *dir = cli_arg(args, RUN_FILES);
    int code = run_options(plan, args, conf);

    if (code == 0)
        code = run_source(plan, cli, args);
    if (code == 0 && dir != NULL)
        code = run_files_read(&plan->files, dir);
    plan->request.files = plan->files.items;
    plan->request.n_files = plan->files.n;
    return code;
}

static bool is_known_runtime(const char *name)
{
    const char *known;

    for (size_t i = 0; (known = isol8_runtime_name(i)) != NULL; i++) {
        if (strcmp(known, name) == 0)
            return true;
    }
    return false;
}

static bool is_blank(const isol8_request *rq)
{
    const char *text = rq->cmd != NULL ? rq->cmd : rq->code;
    size_t n = rq->cmd != NULL ? strlen(rq->cmd) : rq->code_size;

    for (size_t i = 0; i < n; i++) {
        if (strchr(" \t\r\n\v\f", text[i]) == NULL || text[i] == '\0')
            return false;
    }
    return true;
}

/* Build the runtime's image when it is missing, unless the engine will refuse the run anyway. */
static int ensure_image(isol8_host *host, const struct run_plan *plan)
{
    struct progress p = { .n_images = 0 };
    const isol8_request *rq = &plan->request;

    if (plan->options.image != NULL || !is_known_runtime(rq->runtime))
        return 0;
    if (rq->code_url != NULL ? !plan->remote.options.enabled : is_blank(rq))
        return 0;
    if (strcmp(rq->runtime, "agent") == 0 && strcmp(plan->options.network, "none") == 0)
        return 0; /* the engine refuses it without network */
    if (isol8_image_present(host, rq->runtime))
        return 0;
    return progress_setup(host, &p, &rq->runtime, 1, false);
}

/* Open the file of --out before the run: better no run than one whose output is lost. */
int run_open_out(struct run_plan *plan)
{
    if (plan->out_file == NULL)
        return 0;
    plan->out_fd = open(plan->out_file, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOCTTY, 0666);
    if (plan->out_fd < 0)
        return cli_fail("Cannot write %s: %s", plan->out_file, strerrordesc_np(errno));
    return 0;
}

static void debug_plan(const struct cli *cli, const struct run_plan *plan)
{
    const isol8_options *o = &plan->options;

    cli_debug(cli, "Run", "Mode: %s, network: %s, timeout: %lldms", o->mode, o->network,
              (long long)o->timeout_ms);
    cli_debug(cli, "Run", "Memory: %s, CPU: %.15g, pids: %lld", o->memory_limit, o->cpu_limit,
              (long long)o->pids_limit);
    cli_debug(cli, "Run", "Stdin length: %zu, files: %zu, streaming: %s", plan->request.stdin_size,
              plan->files.n, plan->is_streaming ? "yes" : "no");
}

static int say_if_kept(const isol8_owned *item, void *user)
{
    (void)user;
    if (!item->is_kept || item->owner_pid != getpid())
        return 0;
    cli_say("[Run] Sandbox %.*s is kept.", CLI_SHORT_ID, item->id);
    cli_say("[Run] Look into it: isol8 exec -t %.*s bash", CLI_SHORT_ID, item->id);
    cli_say("[Run] Remove it:    isol8 cleanup");
    return 0;
}

/* Asked of the state root: whether it lived on after what happened in it is the engine's to know.
 */
static void say_kept(isol8_host *host, const struct run_plan *plan)
{
    isol8_error err;

    if (plan->options.persist && isol8_sandbox_list(host, say_if_kept, NULL, &err) < 0)
        cli_warn("%s", err.msg);
}

static int execute(const struct cli *cli, isol8_engine *engine, const struct run_plan *plan)
{
    isol8_run *run;
    isol8_error err;
    int r;

    signals_hold();
    if (signals_caught() != 0)
        return 128 + signals_caught();
    spinner_start(plan->request.code_url != NULL ? "Fetching code..." : "Starting execution...");
    r = isol8_run_start(engine, &plan->request, plan->is_streaming ? 0 : ISOL8_RUN_CAPTURE, &run,
                        &err);
    if (r < 0) {
        spinner_stop();
        return cli_fail("%s", err.msg);
    }
    cli_debug(cli, "Run", "Engine started");
    return run_pump(cli, plan, run);
}

int cmd_run(struct cli *cli, const struct cli_args *args)
{
    auto_conf struct conf *conf = NULL;
    auto_plan struct run_plan plan;
    auto_host isol8_host *host = NULL;
    auto_engine isol8_engine *engine = NULL;
    isol8_error err;
    int code;

    run_plan_init(&plan);
    code = run_source_check(args);
    if (code == 0)
        code = run_remote_check(args);
    if (code == 0)
        code = cli_config(cli, true, &conf);
    if (code == 0)
        code = prepare(&plan, cli, args, conf);
    if (code != 0)
        return code;
    debug_plan(cli, &plan);
    if (run_value(args, RUN_HOST) != NULL)
        return run_remote(cli, &plan, args, conf);

    code = cli_host_open(cli, conf, &host);
    if (code != 0)
        return code;
    if (isol8_create(&engine, host, &plan.options, &err) < 0)
        return cli_fail("%s", err.msg);
    code = run_open_out(&plan);
    if (code == 0)
        code = ensure_image(host, &plan);
    if (code != 0)
        return code;
    say_session(&plan);
    code = execute(cli, engine, &plan);
    say_kept(host, &plan);
    return code;
}
