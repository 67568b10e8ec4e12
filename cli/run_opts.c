/* SPDX-License-Identifier: Apache-2.0 */
/* run_opts.c - the flags of `isol8 run`, and what they and the configuration make of a run. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/text.h"
#include "cli/run.h"
#include "cli/xmem.h"
#include "config/apply.h"

#define TIMEOUT_MAX_MS 604800000u /* a week, as the engine */
#define PIDS_MAX 4194304u         /* the kernel's own ceiling */
#define CPU_MAX 4096

const struct cli_opt cli_run_opts[] = {
    [RUN_EVAL] = { .letter = 'e',
                   .name = "eval",
                   .arg = "<code>",
                   .help = "Run this code (python unless --runtime says otherwise)" },
    [RUN_CMD] = { .name = "cmd", .arg = "<command>", .help = "Run this bash command" },
    [RUN_RUNTIME] = { .letter = 'r',
                      .name = "runtime",
                      .arg = "<name>",
                      .help = "python, node, bun, deno, bash or agent; else by the file's "
                              "extension" },
    [RUN_NET] = { .name = "net",
                  .arg = "<mode>",
                  .help = "Network: none, host, or filtered (only what --allow and --deny permit)",
                  .fallback = "\"none\"" },
    [RUN_ALLOW] = { .name = "allow",
                    .arg = "<regex>",
                    .is_repeatable = true,
                    .help = "Filtered: allow hosts that match; replaces the configuration's list" },
    [RUN_DENY] = { .name = "deny",
                   .arg = "<regex>",
                   .is_repeatable = true,
                   .help = "Filtered: refuse hosts that match, whatever --allow says" },
    [RUN_LOG_NETWORK] = { .name = "log-network",
                          .help = "Filtered: print the proxy's decisions after the run" },
    [RUN_INSTALL] = { .name = "install",
                      .arg = "<package>",
                      .is_repeatable = true,
                      .help = "Install this package first; without --net the network is filtered "
                              "to the package hosts" },
    [RUN_SETUP] = { .name = "setup",
                    .arg = "<command>",
                    .is_repeatable = true,
                    .help = "Run this bash command, or the script in the file of that name, first; "
                            "repeatable" },
    [RUN_TIMEOUT] = { .name = "timeout",
                      .arg = "<ms>",
                      .help = "Kill the program after this time",
                      .fallback = "30000" },
    [RUN_MEMORY] = { .name = "memory",
                     .arg = "<size>",
                     .help = "Memory limit, such as 512m or 1.5g; 0: none",
                     .fallback = "\"512m\"" },
    [RUN_CPU] = { .name = "cpu",
                  .arg = "<cores>",
                  .help = "CPU limit in cores, such as 0.5; 0: none",
                  .fallback = "1" },
    [RUN_PIDS_LIMIT] = { .name = "pids-limit",
                         .arg = "<n>",
                         .help = "Limit of processes and threads (agent: 200); 0: none",
                         .fallback = "64" },
    [RUN_MAX_OUTPUT] = { .name = "max-output",
                         .arg = "<bytes>",
                         .help = "Output kept of each stream; what is above is dropped",
                         .fallback = "1048576" },
    [RUN_SANDBOX_SIZE] = { .name = "sandbox-size",
                           .arg = "<size>",
                           .help = "Size of /sandbox (agent: 2g)",
                           .fallback = "\"512m\"" },
    [RUN_TMP_SIZE] = { .name = "tmp-size",
                       .arg = "<size>",
                       .help = "Size of /tmp",
                       .fallback = "\"256m\"" },
    [RUN_WRITABLE] = { .name = "writable", .help = "Make the root file system writable" },
    [RUN_ENV] = { .name = "env",
                  .arg = "<KEY=VALUE>",
                  .is_repeatable = true,
                  .help = "Set a variable; KEY alone takes the caller's value; repeatable" },
    [RUN_SECRET] = { .name = "secret",
                     .arg = "<KEY=VALUE>",
                     .is_repeatable = true,
                     .help = "Set a variable whose value is masked in all output; KEY alone takes "
                             "the caller's value; repeatable" },
    [RUN_STDIN] = { .name = "stdin", .arg = "<data>", .help = "Give the program this input" },
    [RUN_WORKDIR] = { .name = "workdir",
                      .arg = "<path>",
                      .help = "Working directory inside the sandbox",
                      .fallback = "\"/sandbox\"" },
    [RUN_FILES] = { .name = "files",
                    .arg = "<dir>",
                    .help = "Copy this directory's files to /sandbox first" },
    [RUN_OUT] = { .name = "out", .arg = "<file>", .help = "Write stdout to this file, too" },
    [RUN_NO_STREAM] = { .name = "no-stream", .help = "Print the output when the program ended" },
    [RUN_JSON] = { .name = "json", .help = "Print the whole result as JSON on stdout" },
    [RUN_IMAGE] = { .name = "image",
                    .arg = "<name>",
                    .help = "Use this image; \"host\" is the machine's own /usr, read-only" },
    [RUN_PERSISTENT] = { .name = "persistent",
                         .help = "Run in a session, as long as this command lives" },
    [RUN_PERSIST] = { .name = "persist",
                      .help =
                          "Keep the sandbox after the run, for isol8 exec, until isol8 cleanup" },
    [RUN_AGENT_FLAGS] = { .name = "agent-flags",
                          .arg = "<flags>",
                          .help = "Further arguments of the agent, in one string" },
    [RUN_URL] = { .name = "url",
                  .arg = "<url>",
                  .help = "Fetch the code from this address; see remoteCode in the configuration" },
    [RUN_GITHUB] = { .name = "github",
                     .arg = "<owner/repo/ref/path>",
                     .help = "Fetch the code from this file on GitHub; ref is one part" },
    [RUN_GIST] = { .name = "gist",
                   .arg = "<[owner/]id/file>",
                   .help = "Fetch the code from this file of a gist" },
    [RUN_HASH] = { .name = "hash",
                   .arg = "<sha256>",
                   .help = "Run fetched code only when it has this SHA-256" },
    [RUN_INSECURE_URL] = { .name = "allow-insecure-code-url",
                           .help = "Permit http, if remoteCode.allowedSchemes has it, too" },
    [RUN_HOST] = { .name = "host",
                   .arg = "<url>",
                   .help = "Run on this isol8 server, for instance https://box.example:3000" },
    [RUN_KEY] = { .name = "key",
                  .arg = "<key>",
                  .help = "With --host: API key, which ps shows to others; better ISOL8_API_KEY, "
                          "or isol8 login" },
    [RUN_SESSION_ID] = { .name = "session-id",
                         .arg = "<id>",
                         .help = "With --host: run in this session, which stays; see isol8 "
                                 "session" },
    [RUN_CONFIG] = { .name = "config",
                     .arg = "<file>",
                     .help = "Use this configuration file and no other" },
    [RUN_DEBUG] = { .name = "debug", .help = "Print debug lines on stderr" },
    { .name = NULL },
};

void run_plan_init(struct run_plan *plan)
{
    *plan = (struct run_plan){ .code = BUF_INIT(RUN_CODE_MAX),
                               .setup = BUF_INIT(RUN_SETUP_MAX),
                               .out_fd = -1 };
    isol8_options_init(&plan->options);
    isol8_request_init(&plan->request);
    isol8_audit_options_init(&plan->audit);
}

void run_plan_done(struct run_plan *plan)
{
    cli_pairs_done(&plan->secrets);
    cli_pairs_done(&plan->env);
    conf_list_done(&plan->allow);
    conf_list_done(&plan->deny);
    conf_list_done(&plan->install);
    conf_remote_done(&plan->remote);
    free(plan->url);
    run_files_done(&plan->files);
    buf_done(&plan->code);
    buf_done(&plan->setup);
    plan->out_fd = fd_close(plan->out_fd);
}

const char *run_value(const struct cli_args *args, enum run_opt opt)
{
    const char *value = cli_arg(args, opt);

    return value != NULL && value[0] != '\0' ? value : NULL;
}

int run_bad_value(enum run_opt opt, const char *value, const char *expected)
{
    return cli_bad_value(&cli_run_opts[opt], value, expected);
}

/* ---- Numbers and sizes ----------------------------------------------------------------------- */

static int parse_timeout(struct run_plan *plan, const char *text)
{
    uint64_t ms;

    if (!text_parse_u64(text, &ms) || ms < 1 || ms > TIMEOUT_MAX_MS)
        return run_bad_value(RUN_TIMEOUT, text,
                             "Expected a whole number of milliseconds, 1 to 604800000 (a week).");
    plan->options.timeout_ms = (int64_t)ms;
    return 0;
}

static int parse_cpu(struct run_plan *plan, const char *text)
{
    if (!text_parse_decimal(text, &plan->options.cpu_limit) || plan->options.cpu_limit > CPU_MAX)
        return run_bad_value(RUN_CPU, text,
                             "Expected a number of cores, such as 0.5 or 2; 0: no limit.");
    return 0;
}

static int parse_pids(struct run_plan *plan, const char *text)
{
    uint64_t n = 0;
    bool is_unlimited = strcmp(text, "-1") == 0;

    if (!is_unlimited && (!text_parse_u64(text, &n) || n > PIDS_MAX))
        return run_bad_value(RUN_PIDS_LIMIT, text,
                             "Expected a whole number from 1 to 4194304; 0 or -1: no limit.");
    plan->options.pids_limit = is_unlimited ? -1 : (int64_t)n;
    return 0;
}

static int parse_max_output(struct run_plan *plan, const char *text)
{
    uint64_t n;

    if (!text_parse_u64(text, &n) || n > INT64_MAX)
        return run_bad_value(RUN_MAX_OUTPUT, text, "Expected a whole number of bytes.");
    plan->options.max_output_size = n;
    return 0;
}

/* Check a size flag; *out stays as it is when the flag is absent. */
static int parse_size(const struct cli_args *args, enum run_opt opt, const char **out)
{
    const char *text = cli_arg(args, opt);
    uint64_t bytes;

    if (text == NULL)
        return 0;
    if (!text_parse_size(text, &bytes) || bytes == 0)
        return run_bad_value(opt, text, "Expected a size, such as 512m or 1.5g.");
    *out = text;
    return 0;
}

static int parse_numbers(struct run_plan *plan, const struct cli_args *args)
{
    static const struct {
        enum run_opt opt;
        int (*parse)(struct run_plan *plan, const char *text);
    } numbers[] = {
        { RUN_TIMEOUT, parse_timeout },
        { RUN_CPU, parse_cpu },
        { RUN_PIDS_LIMIT, parse_pids },
        { RUN_MAX_OUTPUT, parse_max_output },
    };

    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        const char *text = cli_arg(args, numbers[i].opt);
        int code = text == NULL ? 0 : numbers[i].parse(plan, text);
        if (code != 0)
            return code;
    }
    return 0;
}

/* ---- Flags over configuration over defaults -------------------------------------------------- */

/* One run and no other: nothing is prepared for a next one, and nothing is left to the background.
 * The image is built by the command itself, which shows how far it is. */
static void choose_life(isol8_options *o, const struct cli_args *args)
{
    bool is_session = args->values[RUN_PERSISTENT].n > 0 || run_value(args, RUN_SESSION_ID) != NULL;

    o->mode = is_session ? "persistent" : "ephemeral";
    o->persist = args->values[RUN_PERSIST].n > 0;
    o->pool_clean = 0;
    o->pool_dirty = 0;
    o->build_images = false;
}

static int choose_network(isol8_options *o, const struct cli_args *args)
{
    const char *net = cli_arg(args, RUN_NET);

    if (net != NULL) {
        if (strcmp(net, "none") != 0 && strcmp(net, "host") != 0 && strcmp(net, "filtered") != 0)
            return run_bad_value(RUN_NET, net, "Allowed choices are none, host, filtered.");
        o->network = net;
    }
    return 0;
}

/* Matches no host: with packages to install and nothing allowed, the package hosts are open while
 * they are installed, and nothing is afterwards. */
static const char *const nothing[] = { "(?!)" };

static void choose_filter(struct run_plan *plan, const struct cli_args *args,
                          const struct conf *conf)
{
    isol8_options *o = &plan->options;
    bool installs = args->values[RUN_INSTALL].n > 0;

    plan->allow = cli_flag_list(&args->values[RUN_ALLOW], conf_value(conf, "network.whitelist"));
    plan->deny = cli_flag_list(&args->values[RUN_DENY], conf_value(conf, "network.blacklist"));
    plan->install = cli_flag_list(&args->values[RUN_INSTALL], NULL);
    if (installs && cli_arg(args, RUN_NET) == NULL)
        o->network = "filtered";
    o->allow = plan->allow.items;
    o->n_allow = plan->allow.n;
    o->deny = plan->deny.items;
    o->n_deny = plan->deny.n;
    if (installs && o->n_allow == 0) {
        o->allow = nothing;
        o->n_allow = 1;
    }
    plan->log_network = args->values[RUN_LOG_NETWORK].n > 0;
    o->log_network = plan->log_network;
    plan->request.install = plan->install.items;
    plan->request.n_install = plan->install.n;
}

static int fill_request(struct run_plan *plan, const struct cli_args *args)
{
    isol8_request *rq = &plan->request;
    const char *data = run_value(args, RUN_STDIN);
    int code;

    code = cli_pairs_add(&plan->secrets, &args->values[RUN_SECRET], &cli_run_opts[RUN_SECRET],
                         true);
    if (code == 0)
        code = cli_pairs_add(&plan->env, &args->values[RUN_ENV], &cli_run_opts[RUN_ENV], false);
    rq->env = plan->env.items;
    rq->n_env = plan->env.n;
    if (code == 0)
        code = run_setup_script(&plan->setup, &args->values[RUN_SETUP]);
    rq->setup_script = plan->setup.len > 0 ? buf_text(&plan->setup) : NULL;
    rq->agent_flags = run_value(args, RUN_AGENT_FLAGS);
    rq->workdir = run_value(args, RUN_WORKDIR);
    rq->stdin_data = data;
    rq->stdin_size = data == NULL ? 0 : strlen(data);
    return code;
}

int run_options(struct run_plan *plan, const struct cli_args *args, const struct conf *conf)
{
    isol8_options *o = &plan->options;
    int code;

    conf_engine_options(conf, o);
    conf_audit_options(conf, &plan->audit);
    o->audit = &plan->audit;
    if (conf_remote_init(&plan->remote, conf) < 0)
        xnomem();
    o->remote_code = &plan->remote.options;
    choose_life(o, args);
    code = choose_network(o, args);
    if (code == 0) {
        choose_filter(plan, args, conf);
        code = parse_numbers(plan, args);
    }
    if (code == 0)
        code = parse_size(args, RUN_SANDBOX_SIZE, &o->sandbox_size);
    if (code == 0)
        code = parse_size(args, RUN_TMP_SIZE, &o->tmp_size);
    if (code == 0)
        code = fill_request(plan, args);
    if (args->values[RUN_MEMORY].n > 0) /* the engine has the words for a bad one */
        o->memory_limit = cli_arg(args, RUN_MEMORY);
    if (args->values[RUN_WRITABLE].n > 0)
        o->readonly_rootfs = false;
    o->image = run_value(args, RUN_IMAGE);
    o->secrets = plan->secrets.items;
    o->n_secrets = plan->secrets.n;
    plan->out_file = run_value(args, RUN_OUT);
    plan->is_json = args->values[RUN_JSON].n > 0;
    plan->is_streaming = !plan->is_json && args->values[RUN_NO_STREAM].n == 0;
    return code;
}
