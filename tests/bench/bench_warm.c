/* SPDX-License-Identifier: Apache-2.0 */
/**
 * bench_warm.c - what an execution costs when its sandbox is ready: pool and session
 *
 *   bench_warm [RUNS]
 *
 * The baseline is the same interpreter started bare on this machine ("python3 -c", "bash -c"): the
 * image "host" shows the sandbox the machine's own /usr. Requests come every 250 ms, in turns with
 * the baseline, so that load on the machine meets both alike; then back to back, where the refill
 * bounds the rate; then 100 at once. What CPU time alone explains of the last is read from
 * /proc/stat: busy time of all processors, divided by their number.
 *
 * Prints one line a case for people and, last, a JSON object with all numbers in milliseconds.
 */
#include <poll.h>
#include <pthread.h>
#include <unistd.h>

#include <isol8/isol8.h>

#include "base/mem.h"
#include "tests/bench/bench.h"
#include "tests/bench/bench_bundle.h"

enum { RUNS_MAX = 1000, INTERVAL_MS = 250, AT_ONCE = 100, WAITING = 16 };

static isol8_host *host;
static size_t runs = 40;

struct series {
    double ms[RUNS_MAX];
    size_t n;
    double p50, p95, p99;
};

static void add(struct series *s, double ms)
{
    if (s->n < RUNS_MAX)
        s->ms[s->n++] = ms;
}

static void summarise(struct series *s, const char *name)
{
    s->p50 = bench_quantile(s->ms, s->n, 0.5);
    s->p95 = bench_quantile(s->ms, s->n, 0.95);
    s->p99 = bench_quantile(s->ms, s->n, 0.99);
    printf("  %-28s p50 %7.2f   p95 %7.2f   p99 %7.2f ms\n", name, s->p50, s->p95, s->p99);
}

static void sleep_ms(int ms)
{
    (void)poll(NULL, 0, ms);
}

/* ---- One execution -------------------------------------------------------------------------- */

static isol8_engine *make_engine(const char *mode, const char *network, unsigned clean,
                                 unsigned concurrent)
{
    isol8_engine *e = NULL;
    isol8_options o;
    isol8_error err;

    isol8_options_init(&o);
    o.image = "host";
    o.mode = mode;
    o.network = network;
    o.pool_clean = clean;
    o.pool_dirty = concurrent;
    o.max_concurrent = concurrent;
    if (isol8_create(&e, host, &o, &err) < 0)
        bench_die("isol8_create", &err);
    return e;
}

static void warm(isol8_engine *e, const char *runtime)
{
    isol8_start_options o;
    isol8_error err;

    isol8_start_options_init(&o);
    o.prewarm = true;
    o.runtimes = &runtime;
    o.n_runtimes = 1;
    if (isol8_start(e, &o, &err) < 0)
        bench_die("isol8_start", &err);
}

struct what {
    const char *name;
    const char *runtime;
    const char *code; /* or cmd */
    const char *cmd;
    const char *bare[4];
};

static const struct what whats[] = {
    { "python hello",
      "python",
      "print('hello')\n",
      NULL,
      { "/usr/bin/python3", "-c", "print('hello')", NULL } },
    { "bash true", "bash", NULL, "true", { "/usr/bin/bash", "-c", "true", NULL } },
};

/* Milliseconds from the call to the result. */
static double execute(isol8_engine *e, const struct what *w)
{
    isol8_result *res = NULL;
    isol8_request rq;
    isol8_error err;

    isol8_request_init(&rq);
    rq.runtime = w->runtime;
    rq.code = w->code;
    rq.code_size = w->code == NULL ? 0 : strlen(w->code);
    rq.cmd = w->cmd;
    uint64_t start = clock_now_ns();
    if (isol8_execute(e, &rq, &res, &err) < 0)
        bench_die(w->name, &err);
    double ms = (double)(clock_now_ns() - start) / 1e6;
    if (isol8_result_exit_code(res) != 0) {
        fprintf(stderr, "bench: %s: %s\n%s\n", w->name, isol8_result_detail(res),
                isol8_result_stderr(res, NULL));
        exit(1);
    }
    isol8_result_free(res);
    return ms;
}

/* ---- One every 250 ms ----------------------------------------------------------------------- */

struct numbers {
    struct series bare, warm, session, filtered;
};

static double bare_command(const struct what *w)
{
    return bench_command(w->bare);
}

static void measure_paced(const struct what *w, struct numbers *n)
{
    isol8_engine *pool = make_engine("ephemeral", "none", 2, 4);
    isol8_engine *filtered = make_engine("ephemeral", "filtered", 2, 4);
    isol8_engine *session = make_engine("persistent", "none", 0, 4);

    warm(pool, w->runtime);
    warm(filtered, w->runtime);
    (void)execute(session, w);
    for (size_t i = 0; i < runs; i++) {
        add(&n->bare, bare_command(w));
        sleep_ms(INTERVAL_MS);
        add(&n->warm, execute(pool, w));
        sleep_ms(INTERVAL_MS);
        add(&n->session, execute(session, w));
        sleep_ms(INTERVAL_MS);
        add(&n->filtered, execute(filtered, w));
        sleep_ms(INTERVAL_MS);
    }
    isol8_free(pool);
    isol8_free(filtered);
    isol8_free(session);

    printf("%s, one every %d ms\n", w->name, INTERVAL_MS);
    summarise(&n->bare, "bare");
    summarise(&n->warm, "warm execute");
    summarise(&n->session, "session execute");
    summarise(&n->filtered, "warm execute, filtered");
    printf("  warm - bare: p50 %+.2f, p95 %+.2f, p99 %+.2f ms; session - bare: p50 %+.2f, p95 "
           "%+.2f, p99 %+.2f ms\n",
           n->warm.p50 - n->bare.p50, n->warm.p95 - n->bare.p95, n->warm.p99 - n->bare.p99,
           n->session.p50 - n->bare.p50, n->session.p95 - n->bare.p95,
           n->session.p99 - n->bare.p99);
}

/* ---- Back to back --------------------------------------------------------------------------- */

static double measure_back_to_back(const struct what *w, struct series *s)
{
    isol8_engine *e = make_engine("ephemeral", "none", 4, 8);

    warm(e, w->runtime);
    uint64_t start = clock_now_ns();
    for (size_t i = 0; i < runs * 2; i++)
        add(s, execute(e, w));
    double seconds = (double)(clock_now_ns() - start) / 1e9;
    isol8_free(e);
    printf("%s, back to back, one caller: %.1f a second\n", w->name, (double)s->n / seconds);
    summarise(s, "execute");
    return (double)s->n / seconds;
}

/* ---- 100 at once ---------------------------------------------------------------------------- */

struct caller {
    isol8_engine *e;
    const struct what *what;
    double ms;
};

static void *call(void *user)
{
    struct caller *c = user;

    c->ms = execute(c->e, c->what);
    return NULL;
}

/* Busy milliseconds of all processors since the machine started (proc(5)). */
static double busy_ms(void)
{
    unsigned long long v[8] = { 0 };
    FILE *f = fopen("/proc/stat", "re");

    if (f == NULL || fscanf(f, "cpu %llu %llu %llu %llu %llu %llu %llu %llu", &v[0], &v[1], &v[2],
                            &v[3], &v[4], &v[5], &v[6], &v[7]) != 8)
        bench_die("/proc/stat", NULL);
    (void)fclose(f);
    return (double)(v[0] + v[1] + v[2] + v[5] + v[6] + v[7]) * 1000.0 /
           (double)sysconf(_SC_CLK_TCK);
}

struct burst {
    struct series s;
    double wall_ms, cpu_ms;
};

static void measure_burst(const struct what *w, struct burst *b)
{
    isol8_engine *e = make_engine("ephemeral", "none", 8, AT_ONCE);
    struct caller callers[AT_ONCE];
    pthread_t threads[AT_ONCE];

    warm(e, w->runtime);
    double busy = busy_ms();
    uint64_t start = clock_now_ns();
    for (size_t i = 0; i < AT_ONCE; i++) {
        callers[i] = (struct caller){ .e = e, .what = w };
        if (pthread_create(&threads[i], NULL, call, &callers[i]) != 0)
            bench_die("thread", NULL);
    }
    for (size_t i = 0; i < AT_ONCE; i++) {
        (void)pthread_join(threads[i], NULL);
        add(&b->s, callers[i].ms);
    }
    b->wall_ms = (double)(clock_now_ns() - start) / 1e6;
    b->cpu_ms = (busy_ms() - busy) / (double)sysconf(_SC_NPROCESSORS_ONLN);
    isol8_free(e);
    printf("%s, %d at once, pool of 8: %.1f a second; CPU time alone explains %.0f ms\n", w->name,
           AT_ONCE, AT_ONCE * 1000.0 / b->wall_ms, b->cpu_ms);
    summarise(&b->s, "execute");
    printf("  p95 / (0.95 x CPU time): %.2f\n", b->s.p95 / (0.95 * b->cpu_ms));
}

/* The same number of bare "runc run" at once, each on a bundle of its own: what the machine does
 * without us. */
static double measure_bare_burst(void)
{
    static struct bundle bundles[AT_ONCE];
    int pidfds[AT_ONCE];
    isol8_error err;

    bundle_private_mounts();
    for (unsigned i = 0; i < AT_ONCE; i++) {
        bundle_make(&bundles[i], host, "isol8:bash", i);
        bundle_configure(&bundles[i], host, "[\"bash\",\"-c\",\"true\"]");
    }
    uint64_t start = clock_now_ns();
    for (unsigned i = 0; i < AT_ONCE; i++) {
        struct proc_args args = PROC_ARGS_INIT;
        const char *argv[9];
        char root[160];
        bundle_command(&bundles[i], root, argv);
        args.file = "runc";
        args.argv = argv;
        if (proc_spawn(&args, &pidfds[i], NULL, &err) < 0)
            bench_die("runc", &err);
    }
    for (unsigned i = 0; i < AT_ONCE; i++) {
        if (proc_wait(pidfds[i], &err) != 0)
            bench_die("a bare runc run failed", NULL);
        (void)fd_close(pidfds[i]);
    }
    double ms = (double)(clock_now_ns() - start) / 1e6;
    for (unsigned i = 0; i < AT_ONCE; i++)
        bundle_remove(&bundles[i], host);
    printf("bare runc run: bash true, %d at once: %.1f a second\n", AT_ONCE, AT_ONCE * 1000.0 / ms);
    return AT_ONCE * 1000.0 / ms;
}

/* ---- Stop ----------------------------------------------------------------------------------- */

static double measure_stop(void)
{
    isol8_engine *e = make_engine("ephemeral", "none", WAITING, 4);
    isol8_error err;

    warm(e, "bash");
    uint64_t start = clock_now_ns();
    if (isol8_stop(e, &err) < 0)
        bench_die("isol8_stop", &err);
    double ms = (double)(clock_now_ns() - start) / 1e6;
    isol8_free(e);
    printf("stop of an engine with %d waiting sandboxes: %.0f ms\n", WAITING, ms);
    return ms;
}

static void print_series(const char *name, const struct series *s)
{
    printf("\"%s\":{\"p50\":%.3f,\"p95\":%.3f,\"p99\":%.3f},", name, s->p50, s->p95, s->p99);
}

int main(int argc, char **argv)
{
    static struct numbers paced[ARRAY_LEN(whats)];
    static struct series chain[ARRAY_LEN(whats)];
    static struct burst bursts[ARRAY_LEN(whats)];
    double rate[ARRAY_LEN(whats)];
    isol8_error err;

    if (argc > 1)
        runs = strtoul(argv[1], NULL, 10);
    if (runs < 1 || runs > RUNS_MAX / 2)
        runs = 40;
    if (isol8_host_open(&host, NULL, &err) < 0)
        bench_die("isol8_host_open", &err);
    for (size_t i = 0; i < ARRAY_LEN(whats); i++) {
        measure_paced(&whats[i], &paced[i]);
        rate[i] = measure_back_to_back(&whats[i], &chain[i]);
        measure_burst(&whats[i], &bursts[i]);
    }
    double stop_ms = measure_stop();
    double bare_rate = measure_bare_burst();
    isol8_host_free(host);

    printf("{");
    for (size_t i = 0; i < ARRAY_LEN(whats); i++) {
        printf("\"%s\":{", whats[i].name);
        print_series("bare", &paced[i].bare);
        print_series("warm", &paced[i].warm);
        print_series("session", &paced[i].session);
        print_series("filtered", &paced[i].filtered);
        print_series("backToBack", &chain[i]);
        print_series("atOnce", &bursts[i].s);
        printf("\"perSecond\":%.1f,\"atOncePerSecond\":%.1f,\"atOnceCpuMs\":%.0f},", rate[i],
               AT_ONCE * 1000.0 / bursts[i].wall_ms, bursts[i].cpu_ms);
    }
    printf("\"bareAtOncePerSecond\":%.1f,\"stopMs\":%.0f}\n", bare_rate, stop_ms);
    return 0;
}
