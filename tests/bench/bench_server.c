/* SPDX-License-Identifier: Apache-2.0 */
/**
 * bench_server.c - POST /execute over loopback beside the engine's own warm execution
 *
 * usage: bench_server ISOL8_SERVER [RUNS]
 *
 * A python hello in the runtime's image (isol8 setup python) and a bash hello on the machine's own
 * /usr, each from a pool of 4. First one caller that pauses between executions, the library and the
 * server (one connection, kept) in turns; then 1, 4, 16, 64 callers without a pause. Prints medians
 * and rates, and a JSON object last.
 */
#include <pthread.h>
#include <time.h>
#include <unistd.h>

#include <isol8/isol8.h>

#include "tests/bench/bench.h"
#include "tests/bench/bench_serve.h"

enum { RUNS_MAX = 10000, PAUSE_MS = 150, CALLERS_MAX = 64, ROUNDS = 4 };

static const unsigned callers[ROUNDS] = { 1, 4, 16, 64 };

struct hello {
    const char *runtime, *image, *code, *body, *config;
};

#define CONFIG_BEGIN                                                                               \
    "{\"cgroupParent\":\"isol8-bench\",\"maxConcurrent\":64,"                                      \
    "\"poolSize\":{\"clean\":4,\"dirty\":64},\"server\":{"

static const struct hello hellos[] = {
    { "python", NULL, "print('hello')",
      "{\"request\":{\"runtime\":\"python\",\"code\":\"print('hello')\"}}",
      CONFIG_BEGIN "\"prewarm\":[\"python\"]}}" },
    { "bash", "host", "echo hello", "{\"request\":{\"runtime\":\"bash\",\"code\":\"echo hello\"}}",
      CONFIG_BEGIN "\"image\":\"host\",\"images\":[\"host\"],\"prewarm\":[\"bash\"]}}" },
};

/* One way to have the hello executed: by the library, or by the server. */
struct caller {
    pthread_t thread;
    isol8_engine *engine; /* NULL: by the server */
    const struct hello *hello;
    int fd;
    unsigned runs;
};

static double ms_since(uint64_t start_ns)
{
    return (double)(clock_now_ns() - start_ns) / 1e6;
}

static void pause_ms(long ms)
{
    struct timespec t = { ms / 1000, ms % 1000 * 1000000 };

    (void)nanosleep(&t, NULL);
}

static void call_once(struct caller *c)
{
    isol8_result *res = NULL;
    isol8_request rq;
    isol8_error err;

    if (c->engine == NULL) {
        if (!serve_execute(c->fd, c->hello->body))
            bench_die("a request failed", NULL);
        return;
    }
    isol8_request_init(&rq);
    rq.runtime = c->hello->runtime;
    rq.code = c->hello->code;
    rq.code_size = strlen(rq.code);
    if (isol8_execute(c->engine, &rq, &res, &err) < 0)
        bench_die("isol8_execute", &err);
    isol8_result_free(res);
}

static void *work(void *user)
{
    struct caller *c = user;

    for (unsigned i = 0; i < c->runs; i++)
        call_once(c);
    return NULL;
}

static double rate(isol8_engine *engine, const struct hello *h, unsigned n, unsigned total)
{
    struct caller c[CALLERS_MAX];
    unsigned each = total < n ? 1 : total / n;
    uint64_t start_ns = clock_now_ns();

    for (unsigned i = 0; i < n; i++) {
        c[i] = (struct caller){ .engine = engine, .hello = h, .fd = -1, .runs = each };
        if (engine == NULL)
            c[i].fd = serve_open();
        if (pthread_create(&c[i].thread, NULL, work, &c[i]) != 0)
            bench_die("cannot start a thread", NULL);
    }
    for (unsigned i = 0; i < n; i++) {
        (void)pthread_join(c[i].thread, NULL);
        (void)fd_close(c[i].fd);
    }
    return each * n * 1000.0 / ms_since(start_ns);
}

static void open_engine(const struct hello *h, isol8_host **host, isol8_engine **engine)
{
    isol8_host_options ho;
    isol8_options o;
    isol8_start_options s;
    isol8_error err;

    isol8_host_options_init(&ho);
    ho.cgroup_parent = "isol8-bench";
    ho.pool_linger_ms = 60000;
    isol8_options_init(&o);
    o.image = h->image;
    o.max_concurrent = CALLERS_MAX;
    o.pool_clean = 4;
    o.pool_dirty = 64;
    isol8_start_options_init(&s);
    s.prewarm = true;
    s.runtimes = &h->runtime;
    s.n_runtimes = 1;
    if (isol8_host_open(host, &ho, &err) < 0 || isol8_create(engine, *host, &o, &err) < 0 ||
        isol8_start(*engine, &s, &err) < 0)
        bench_die("engine", &err);
}

static double timed(struct caller *c)
{
    pause_ms(PAUSE_MS);
    uint64_t start_ns = clock_now_ns();
    call_once(c);
    return ms_since(start_ns);
}

static void measure(const struct hello *h, const char *program, unsigned n)
{
    static double engine_ms[RUNS_MAX], server_ms[RUNS_MAX];
    double engine_rate[ROUNDS], server_rate[ROUNDS];
    unsigned total = n * 10 > 128 ? n * 10 : 128;
    isol8_engine *engine;
    isol8_host *host;
    struct serve s;

    open_engine(h, &host, &engine);
    serve_start(&s, program, h->config);
    struct caller by_engine = { .engine = engine, .hello = h, .fd = -1 };
    struct caller by_server = { .hello = h, .fd = serve_open() };
    for (unsigned i = 0; i < n; i++) {
        engine_ms[i] = timed(&by_engine);
        server_ms[i] = timed(&by_server);
    }
    (void)fd_close(by_server.fd);
    for (size_t i = 0; i < ROUNDS; i++) {
        engine_rate[i] = rate(engine, h, callers[i], total);
        server_rate[i] = rate(NULL, h, callers[i], total);
    }
    serve_stop(&s);
    isol8_free(engine);
    isol8_host_free(host);
    double engine_p50 = bench_quantile(engine_ms, n, 0.5);
    double server_p50 = bench_quantile(server_ms, n, 0.5);
    double engine_p99 = bench_quantile(engine_ms, n, 0.99);
    double server_p99 = bench_quantile(server_ms, n, 0.99);
    (void)printf("%s hello, warm        p50      p99\n"
                 "  engine              %6.2f   %6.2f ms\n"
                 "  /execute, kept open %6.2f   %6.2f ms   p50 %+.2f (goal: at most +1)\n",
                 h->runtime, engine_p50, engine_p99, server_p50, server_p99,
                 server_p50 - engine_p50);
    for (size_t i = 0; i < ROUNDS; i++)
        (void)printf("  %2u at once: engine %6.1f, /execute %6.1f a second (%.2f)\n", callers[i],
                     engine_rate[i], server_rate[i], server_rate[i] / engine_rate[i]);
    (void)printf("{\"runtime\":\"%s\",\"ready_ms\":%.1f,\"engine_p50_ms\":%.3f,"
                 "\"server_p50_ms\":%.3f,\"added_ms\":%.3f,\"engine_rates\":[%.1f,%.1f,%.1f,%.1f],"
                 "\"server_rates\":[%.1f,%.1f,%.1f,%.1f]}\n",
                 h->runtime, s.ready_ms, engine_p50, server_p50, server_p50 - engine_p50,
                 engine_rate[0], engine_rate[1], engine_rate[2], engine_rate[3], server_rate[0],
                 server_rate[1], server_rate[2], server_rate[3]);
}

int main(int argc, char **argv)
{
    unsigned long n = argc > 2 ? strtoul(argv[2], NULL, 10) : 20;

    if (argc < 2 || n < 1 || n > RUNS_MAX) {
        fprintf(stderr, "usage: bench_server ISOL8_SERVER [RUNS]\n");
        return 2;
    }
    for (size_t i = 0; i < sizeof(hellos) / sizeof(hellos[0]); i++)
        measure(&hellos[i], argv[1], (unsigned)n);
    return 0;
}
