/* SPDX-License-Identifier: Apache-2.0 */
/* engine.h - a set of checked options on a host, with its executions in turn, session and pool. */
#ifndef EXECUTOR_ENGINE_H
#define EXECUTOR_ENGINE_H

#include <pthread.h>

#include "executor/host.h"
#include "executor/mask.h"
#include "executor/runtimes.h"
#include "executor/turns.h"
#include "proxy/rules.h"

enum {
    RUNTIMES_MAX = 16,
    ENGINE_PIDS_DEFAULT = 64,
    ENGINE_PIDS_AGENT = 200,
    ENGINE_WORD_MAX = 131071, /* bytes of one argument or variable: MAX_ARG_STRLEN - 1, execve(2) */
};

struct exec_audit;
struct remote_policy;
struct pool_kind;
struct session;
struct sandbox_args;

struct isol8_engine {
    struct isol8_host *host;
    bool is_persistent; /* one sandbox for all executions */
    bool persist;       /* ephemeral sandboxes are kept */
    bool is_pooled;     /* sandboxes are prepared ahead */
    bool build_images;
    unsigned pool_clean, pool_dirty;
    struct exec_audit *audit;     /* NULL: none */
    struct remote_policy *remote; /* of code that is fetched; always there */
    bool host_network;
    bool is_filtered;
    struct proxy_rules *rules; /* filtered: the compiled allow and deny lists */
    char **allow; /* filtered: as given, for the install step's own rules; NULL-ended */
    char **deny;
    char **allow_within;
    size_t n_allow, n_deny, n_allow_within;
    bool log_network;
    double cpus;
    char *memory_text;     /* as given, for messages: "64m" */
    uint64_t memory_bytes; /* 0: no limit */
    int64_t pids_limit;    /* -2: the runtime's default */
    bool readonly_rootfs;
    uint64_t max_output;
    int64_t timeout_ms;
    char *image;            /* NULL: the runtime's */
    uint64_t sandbox_bytes; /* 0: the runtime's default */
    uint64_t tmp_bytes;
    const char *const *layers; /* instead of an image, for image builds; borrowed */
    size_t n_layers;
    char *seccomp_owned; /* text of a custom profile */
    const char *seccomp; /* NULL: unconfined */
    struct mask_set *secrets;
    isol8_pair *secret_env; /* copies */
    size_t n_secret_env;

    struct turns turns; /* a place for each execution in flight */

    pthread_mutex_t mutex;    /* guards the rest */
    struct session *session;  /* persistent mode: NULL before its first use */
    struct pool_kind **kinds; /* that this engine joined */
    size_t n_kinds;
};

/** Check the options and copy them into the engine, whose host is set. */
int exec_engine_set_options(struct isol8_engine *e, const isol8_options *o, isol8_error *err);

/** The pool's kind for sandboxes made by @args, joined on first use, and held for the caller, who
 * calls pool_release(). NULL: not pooled, or no memory for it. */
struct pool_kind *exec_engine_kind(struct isol8_engine *e, const struct sandbox_args *args);

/** False in a process that inherited the engine by fork(), with the error filled in. */
bool exec_engine_is_ours(const struct isol8_engine *e, isol8_error *err);

#endif
