/* SPDX-License-Identifier: Apache-2.0 */
/* metrics.h - what the server counts, and its text form (Prometheus, version 0.0.4). */
#ifndef SERVER_METRICS_H
#define SERVER_METRICS_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include <isol8/isol8.h>

#include "base/buf.h"
#include "server/auth.h"

enum {
    METRICS_RUNTIMES = 8,                           /* the known ones, and one for the rest */
    METRICS_VERDICTS = ISOL8_VERDICT_CANCELLED + 2, /* and one for failures of isol8 */
    METRICS_STEPS = 13,
    METRICS_CODES = 600,
};

enum metrics_phase {
    METRICS_QUEUE, /* waiting for a turn */
    METRICS_STAGE, /* everything of the execution that is not the program */
    METRICS_RUN,   /* the program */
    METRICS_TOTAL, /* from the whole request until the whole answer was made */
    METRICS_PHASES,
};

struct metrics_histogram {
    uint64_t counts[METRICS_STEPS]; /* not cumulative; the last one is +Inf */
    double sum_s;
};

struct srv_metrics {
    pthread_mutex_t mutex; /* guards the rest */
    uint64_t executions[METRICS_RUNTIMES][METRICS_VERDICTS];
    struct metrics_histogram phases[METRICS_PHASES];
    uint64_t answers[METRICS_CODES]; /* by status */
    uint64_t clients_gone, queue_full;
};

/* What is looked up when it is asked for. */
struct metrics_gauges {
    unsigned connections, executing, queued, sessions;
    bool is_ready;
    isol8_pool_state pool;
    isol8_proxy_state proxy;
};

void srv_metrics_init(struct srv_metrics *m);
void srv_metrics_done(struct srv_metrics *m);

/** @res NULL: isol8 could not do it. */
void srv_metrics_execution(struct srv_metrics *m, const char *runtime, const isol8_result *res,
                           double queue_s, double total_s);
void srv_metrics_answer(struct srv_metrics *m, int status);
void srv_metrics_count(struct srv_metrics *m, uint64_t *counter); /* one of the struct's own */
void srv_metrics_text(struct srv_metrics *m, const struct metrics_gauges *g, struct buf *out);
void srv_metrics_auth(struct srv_auth *a, struct buf *out);

#endif
