/* SPDX-License-Identifier: Apache-2.0 */
/* result.h - what came of one execution. */
#ifndef EXECUTOR_RESULT_H
#define EXECUTOR_RESULT_H

#include <sys/types.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/json.h"
#include "base/rand.h"
#include "executor/host.h"
#include "proxy/netlog.h"

struct isol8_result {
    char *out, *err; /* captured text, or NULL */
    size_t out_size, err_size;
    int exit_code;
    enum isol8_verdict verdict;
    char detail[160];
    int64_t duration_ms;
    bool is_truncated;
    char execution_id[RAND_UUID_SIZE];
    char container_id[HOST_ID_SIZE];
    const char *runtime;                  /* static */
    char code_hash[HASH_SHA256_HEX_SIZE]; /* of the code or command; "": not known, or not yet */
    char *source;                         /* owned; what code_hash is to be computed of, or NULL */
    size_t source_size;
    char timestamp[CLOCK_ISO_SIZE];
    isol8_usage usage;
    bool has_userns;
    isol8_file *files; /* owned, paths and data too */
    size_t n_files;
    bool asked_for_files;
    char **network_logs; /* one JSON object each, owned */
    size_t n_network_logs;
    char **security_events; /* one JSON object each, owned */
    size_t n_security_events;
    uint64_t network_bytes_in, network_bytes_out;
};

/* All that decides a verdict, gathered by the run. */
struct verdict_facts {
    bool timed_out;
    bool cancelled;
    bool truncated;
    bool setup_failed;     /* the code was not reached; what ended it was told as an event */
    bool not_started;      /* the program could not be executed */
    bool died_unexplained; /* the sandbox ended without telling */
    int wait_status;       /* of the main command, as by waitpid(2) */
    uint64_t oom_kills;
    uint64_t pids_refused;
    uint32_t full; /* INIT_FULL_* */
    int64_t timeout_ms;
    const char *memory_text;
    uint64_t pids_limit;
    uint64_t max_output;
    uint64_t sandbox_bytes;
    uint64_t tmp_bytes;
};

/** Fill in exit code, verdict and detail. `timeout`, `cancelled` and `output` win in that order;
 * `memory`, `pids` and `disk` need a command that failed and a counter that moved. */
void exec_result_judge(struct isol8_result *res, const struct verdict_facts *f);

/**
 * exec_result_note_source() - Have the SHA-256 of code or command ready for who asks
 *
 * Few ask, and the command would load libcrypto for it in every run; so short code is copied, and
 * hashed by isol8_result_code_hash().
 */
void exec_result_note_source(struct isol8_result *res, const char *source, size_t n);

/** Keep the proxy's blocks as security events, and @with_logs all its decisions, as JSON texts.
 * Return: 0, or -1 when memory is out. */
int exec_result_take_log(struct isol8_result *res, const struct netlog *log, bool with_logs);

/** Add the object "resourceUsage". False when memory is out. */
bool exec_result_add_usage(cJSON *j, const struct isol8_result *res);

#endif
