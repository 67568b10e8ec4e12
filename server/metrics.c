/* SPDX-License-Identifier: Apache-2.0 */
/* metrics.c - what the server counts, and its text form. */
#include "server/metrics.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/path.h"

static const double steps[METRICS_STEPS - 1] = { 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05,
                                                 0.1,   0.25,   0.5,   1,    5,     30 };
static const char *const phase_names[] = { "queue", "stage", "run", "total" };

void srv_metrics_init(struct srv_metrics *m)
{
    *m = (struct srv_metrics){ 0 };
    (void)pthread_mutex_init(&m->mutex, NULL);
}

void srv_metrics_done(struct srv_metrics *m)
{
    (void)pthread_mutex_destroy(&m->mutex);
}

/* ---- Counting -------------------------------------------------------------------------------- */

static size_t runtime_index(const char *name)
{
    size_t i = 0;

    for (; i < METRICS_RUNTIMES - 1 && isol8_runtime_name(i) != NULL; i++) {
        if (name != NULL && strcmp(isol8_runtime_name(i), name) == 0)
            return i;
    }
    return METRICS_RUNTIMES - 1;
}

static void observe(struct metrics_histogram *h, double s)
{
    size_t i = 0;

    while (i < METRICS_STEPS - 1 && s > steps[i])
        i++;
    h->counts[i]++;
    h->sum_s += s;
}

void srv_metrics_execution(struct srv_metrics *m, const char *runtime, const isol8_result *res,
                           double queue_s, double total_s)
{
    isol8_usage usage = { 0 };
    size_t verdict = METRICS_VERDICTS - 1;

    if (res != NULL) {
        verdict = (size_t)isol8_result_verdict(res);
        isol8_result_usage(res, &usage);
    }
    double run_s = (double)usage.wall_us / 1e6;
    (void)pthread_mutex_lock(&m->mutex);
    m->executions[runtime_index(runtime)][verdict]++;
    observe(&m->phases[METRICS_QUEUE], queue_s);
    observe(&m->phases[METRICS_TOTAL], total_s);
    if (res != NULL) {
        double stage_s = total_s - queue_s - run_s;
        observe(&m->phases[METRICS_RUN], run_s);
        observe(&m->phases[METRICS_STAGE], stage_s < 0 ? 0 : stage_s);
    }
    (void)pthread_mutex_unlock(&m->mutex);
}

void srv_metrics_answer(struct srv_metrics *m, int status)
{
    if (status < 0 || status >= METRICS_CODES)
        return;
    (void)pthread_mutex_lock(&m->mutex);
    m->answers[status]++;
    (void)pthread_mutex_unlock(&m->mutex);
}

void srv_metrics_count(struct srv_metrics *m, uint64_t *counter)
{
    (void)pthread_mutex_lock(&m->mutex);
    (*counter)++;
    (void)pthread_mutex_unlock(&m->mutex);
}

/* ---- Text ------------------------------------------------------------------------------------ */

static void head(struct buf *out, const char *name, const char *type, const char *help)
{
    (void)buf_addf(out, "# HELP isol8_%s %s\n# TYPE isol8_%s %s\n", name, help, name, type);
}

static void gauge(struct buf *out, const char *name, const char *help, double value)
{
    head(out, name, "gauge", help);
    (void)buf_addf(out, "isol8_%s %.17g\n", name, value);
}

static void counter(struct buf *out, const char *name, const char *help, uint64_t value)
{
    head(out, name, "counter", help);
    (void)buf_addf(out, "isol8_%s %" PRIu64 "\n", name, value);
}

static void executions(const struct srv_metrics *m, struct buf *out)
{
    head(out, "executions_total", "counter", "Executions by runtime and verdict.");
    for (size_t r = 0; r < METRICS_RUNTIMES; r++) {
        const char *name = r < METRICS_RUNTIMES - 1 ? isol8_runtime_name(r) : "unknown";
        for (size_t v = 0; name != NULL && v < METRICS_VERDICTS; v++) {
            const char *verdict = v < METRICS_VERDICTS - 1
                                      ? isol8_verdict_name((enum isol8_verdict)v)
                                      : "error";
            if (m->executions[r][v] > 0)
                (void)buf_addf(
                    out, "isol8_executions_total{runtime=\"%s\",verdict=\"%s\"} %" PRIu64 "\n",
                    name, verdict, m->executions[r][v]);
        }
    }
}

static void histograms(const struct srv_metrics *m, struct buf *out)
{
    static const char name[] = "isol8_execution_seconds";

    head(out, "execution_seconds", "histogram", "Time of executions by phase.");
    for (size_t p = 0; p < METRICS_PHASES; p++) {
        const struct metrics_histogram *h = &m->phases[p];
        uint64_t n = 0;
        for (size_t i = 0; i < METRICS_STEPS; i++) {
            char le[16] = "+Inf";
            if (i < METRICS_STEPS - 1)
                (void)snprintf(le, sizeof(le), "%g", steps[i]);
            n += h->counts[i];
            (void)buf_addf(out, "%s_bucket{phase=\"%s\",le=\"%s\"} %" PRIu64 "\n", name,
                           phase_names[p], le, n);
        }
        (void)buf_addf(out, "%s_sum{phase=\"%s\"} %.9g\n%s_count{phase=\"%s\"} %" PRIu64 "\n", name,
                       phase_names[p], h->sum_s, name, phase_names[p], n);
    }
}

static void answers(const struct srv_metrics *m, struct buf *out)
{
    head(out, "http_responses_total", "counter", "Answers by status.");
    for (size_t i = 0; i < METRICS_CODES; i++) {
        if (m->answers[i] > 0)
            (void)buf_addf(out, "isol8_http_responses_total{code=\"%zu\"} %" PRIu64 "\n", i,
                           m->answers[i]);
    }
}

/* proc_pid_statm(5): pages; the second number is what is resident. */
static double resident_bytes(void)
{
    auto_buf struct buf text = BUF_INIT(256);
    unsigned long size = 0, resident = 0;

    if (path_read(AT_FDCWD, "/proc/self/statm", 255, &text, NULL) < 0 ||
        sscanf(buf_text(&text), "%lu %lu", &size, &resident) != 2)
        return 0;
    return (double)resident * (double)sysconf(_SC_PAGESIZE);
}

static void pool(const isol8_pool_state *p, struct buf *out)
{
    gauge(out, "pool_ready", "Prepared sandboxes that wait.", p->ready);
    gauge(out, "pool_making", "Sandboxes being prepared.", p->making);
    gauge(out, "pool_removing", "Used sandboxes on their way out.", p->removing);
    gauge(out, "pool_kinds", "Kinds of prepared sandboxes.", p->kinds);
    counter(out, "pool_hits_total", "Executions that found a prepared sandbox.", p->hits);
    counter(out, "pool_waits_total", "Executions that waited for one being prepared.", p->waits);
    counter(out, "pool_misses_total", "Executions that made their own sandbox.", p->misses);
    counter(out, "pool_failures_total", "Preparations that failed.", p->failures);
}

static void proxy(const isol8_proxy_state *s, struct buf *out)
{
    head(out, "proxy_decisions_total", "counter",
         "What filtered sandboxes asked the proxy for, and what became of it.");
    for (size_t p = 0; p < ISOL8_PROXY_PROTOCOLS; p++) {
        for (size_t o = 0; o < ISOL8_PROXY_OUTCOMES; o++)
            (void)buf_addf(
                out, "isol8_proxy_decisions_total{protocol=\"%s\",outcome=\"%s\"} %" PRIu64 "\n",
                isol8_proxy_protocol_name((enum isol8_proxy_protocol)p),
                isol8_proxy_outcome_name((enum isol8_proxy_outcome)o), s->decisions[p][o]);
    }
    head(out, "proxy_bytes_total", "counter", "Bytes that the proxy moved; in: to sandboxes.");
    (void)buf_addf(out,
                   "isol8_proxy_bytes_total{direction=\"in\"} %" PRIu64 "\n"
                   "isol8_proxy_bytes_total{direction=\"out\"} %" PRIu64 "\n",
                   s->bytes_in, s->bytes_out);
}

static void build(struct buf *out)
{
    head(out, "build_info", "gauge", "Always 1; the version is the label.");
    (void)buf_addf(out, "isol8_build_info{version=\"%s\"} 1\n", isol8_version());
}

void srv_metrics_text(struct srv_metrics *m, const struct metrics_gauges *g, struct buf *out)
{
    build(out);
    gauge(out, "ready", "1 when the server takes requests.", g->is_ready);
    gauge(out, "connections", "Open connections.", g->connections);
    gauge(out, "executing", "Executions in flight.", g->executing);
    gauge(out, "queued", "Executions that wait for their turn.", g->queued);
    gauge(out, "sessions", "Sessions.", g->sessions);
    gauge(out, "resident_memory_bytes", "Memory of the server itself.", resident_bytes());
    pool(&g->pool, out);
    proxy(&g->proxy, out);
    (void)pthread_mutex_lock(&m->mutex);
    executions(m, out);
    histograms(m, out);
    answers(m, out);
    counter(out, "clients_gone_total", "Clients that left while their program ran.",
            m->clients_gone);
    counter(out, "queue_full_total", "Executions refused because the queue was full.",
            m->queue_full);
    (void)pthread_mutex_unlock(&m->mutex);
}

void srv_metrics_auth(struct srv_auth *a, struct buf *out)
{
    static const char *const names[AUTH_RESULTS] = { "master", "key", "rejected", "limited",
                                                     "unavailable" };

    head(out, "auth_total", "counter", "Requests by what was made of their key.");
    for (size_t i = 0; i < AUTH_RESULTS; i++)
        (void)buf_addf(out, "isol8_auth_total{result=\"%s\"} %llu\n", names[i],
                       atomic_load(&a->counts[i]));
}
