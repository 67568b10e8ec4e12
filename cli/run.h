/* SPDX-License-Identifier: Apache-2.0 */
/* run.h - what the parts of `isol8 run` share: the plan made of the command line, and the pump. */
#ifndef CLI_RUN_H
#define CLI_RUN_H

#include <stdbool.h>
#include <stdint.h>

#include "cli/cli.h"
#include "cli/network.h"
#include "cli/pairs.h"

#define RUN_CODE_MAX (64u << 20)         /* bytes of code */
#define RUN_SETUP_MAX (16u << 20)        /* bytes of a setup script */
#define RUN_FILES_MAX 65536u             /* files taken by --files */
#define RUN_FILES_DEPTH_MAX 64u          /* directories below each other */
#define RUN_FILES_BYTES_MAX (1ull << 30) /* bytes taken by --files */
#define RUN_PENDING_MAX (8u << 20)       /* output kept while its reader is slow */

/* Indices of cli_run_opts. */
enum run_opt {
    RUN_EVAL,
    RUN_CMD,
    RUN_RUNTIME,
    RUN_NET,
    RUN_ALLOW,
    RUN_DENY,
    RUN_LOG_NETWORK,
    RUN_INSTALL,
    RUN_SETUP,
    RUN_TIMEOUT,
    RUN_MEMORY,
    RUN_CPU,
    RUN_PIDS_LIMIT,
    RUN_MAX_OUTPUT,
    RUN_SANDBOX_SIZE,
    RUN_TMP_SIZE,
    RUN_WRITABLE,
    RUN_ENV,
    RUN_SECRET,
    RUN_STDIN,
    RUN_WORKDIR,
    RUN_FILES,
    RUN_OUT,
    RUN_NO_STREAM,
    RUN_JSON,
    RUN_IMAGE,
    RUN_PERSISTENT,
    RUN_PERSIST,
    RUN_AGENT_FLAGS,
    RUN_URL,
    RUN_GITHUB,
    RUN_GIST,
    RUN_HASH,
    RUN_INSECURE_URL,
    RUN_HOST,
    RUN_KEY,
    RUN_SESSION_ID,
    RUN_CONFIG,
    RUN_DEBUG,
    RUN_OPTS /* how many there are */
};

struct run_files {
    isol8_file *items; /* paths and data owned */
    size_t n;
    uint64_t bytes;
};

/* Everything one run needs; options and request borrow from the rest. */
struct run_plan {
    isol8_options options;
    isol8_request request;
    struct cli_pairs secrets, env;
    struct conf_list allow, deny, install;
    struct conf_remote remote;
    char *url;            /* what --github or --gist stands for */
    const char *url_hint; /* what to say when there is nothing at that address; or NULL */
    bool log_network;
    struct run_files files;
    struct buf code, setup;
    isol8_audit_options audit;
    const char *out_file; /* --out, or NULL */
    int out_fd;           /* the same, open; -1: none */
    bool is_streaming;
    bool is_json;
};

void run_plan_init(struct run_plan *plan);
void run_plan_done(struct run_plan *plan);

/* Each says what is wrong. Return: 0 or the exit code. */

/** Flags and configuration into options and request. */
int run_options(struct run_plan *plan, const struct cli_args *args, const struct conf *conf);

/** Check the combination of sources; reads nothing. */
int run_source_check(const struct cli_args *args);

/** Find and read the code, or where it is to be fetched; settles the runtime. */
int run_source(struct run_plan *plan, const struct cli *cli, const struct cli_args *args);

/**
 * run_setup_script() - One script of what --setup gave
 *
 * A value that names a file stands for its text; all are joined by newlines.
 */
int run_setup_script(struct buf *script, const struct cli_values *given);

/** Read the directory of --files. */
int run_files_read(struct run_files *files, const char *dir);
void run_files_done(struct run_files *files);

/** The value, or NULL when it is absent or empty. */
const char *run_value(const struct cli_args *args, enum run_opt opt);

/** "error: option '--timeout <ms>' argument '5s' is invalid. ..." Return: CLI_EXIT_ERROR. */
int run_bad_value(enum run_opt opt, const char *value, const char *expected);

/** Check what belongs to --host; reads nothing. */
int run_remote_check(const struct cli_args *args);

/** Run the plan on the server of --host. Return: the exit code. */
int run_remote(const struct cli *cli, struct run_plan *plan, const struct cli_args *args,
               const struct conf *conf);

/** Open the file of --out. */
int run_open_out(struct run_plan *plan);

/** Drive a started run to its end and print what it says. Return: the exit code. */
int run_pump(const struct cli *cli, const struct run_plan *plan, isol8_run *run);

#endif
