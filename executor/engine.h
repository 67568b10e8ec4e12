/* SPDX-License-Identifier: Apache-2.0 */
/* engine.h - a set of checked options on a host, and the count of executions in flight. */
#ifndef EXECUTOR_ENGINE_H
#define EXECUTOR_ENGINE_H

#include <pthread.h>

#include "executor/host.h"
#include "executor/mask.h"
#include "executor/runtimes.h"
#include "proxy/rules.h"

enum {
    ENGINE_PIDS_DEFAULT = 64,
    ENGINE_PIDS_AGENT = 200,
    ENGINE_WORD_MAX = 131071, /* bytes of one argument or variable: MAX_ARG_STRLEN - 1, execve(2) */
};

struct isol8_engine {
    struct isol8_host *host;
    bool host_network;
    bool is_filtered;
    struct proxy_rules *rules; /* filtered: the compiled allow and deny lists */
    char **allow; /* filtered: as given, for the install step's own rules; NULL-ended */
    char **deny;
    size_t n_allow, n_deny;
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

    pthread_mutex_t mutex; /* guards the rest: a ticket lock, so that waiters are served in order */
    pthread_cond_t turn;
    unsigned max_concurrent;
    unsigned in_flight;
    uint64_t next_ticket;
    uint64_t serving;
};

/** Wait for a permit, first come first served. */
void exec_engine_enter(struct isol8_engine *e);
void exec_engine_leave(struct isol8_engine *e);

#endif
