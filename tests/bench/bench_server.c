/* SPDX-License-Identifier: Apache-2.0 */
/**
 * bench_server.c - POST /execute over loopback beside the engine's own warm execution
 *
 * usage: bench_server ISOL8_SERVER [RUNS]
 *
 * A bash hello on the machine's own /usr, from a pool of 4. First the library alone, then the
 * server: one client that keeps its connection and pauses between requests, then 1, 4, 16, 64
 * without a pause. Prints medians and rates, and a JSON object last.
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <isol8/isol8.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/proc.h"

enum { RUNS_MAX = 10000, PORT = 38471, PAUSE_MS = 150, CLIENTS_MAX = 64 };

static const char body[] = "{\"request\":{\"runtime\":\"bash\",\"code\":\"echo hello\"}}";
static const char config[] =
    "{\"cgroupParent\":\"isol8-bench\",\"maxConcurrent\":64,\"poolSize\":{\"clean\":4,\"dirty\":64}"
    ","
    "\"server\":{\"image\":\"host\",\"images\":[\"host\"],\"prewarm\":[\"bash\"]}}";

static void die(const char *what)
{
    (void)fprintf(stderr, "bench_server: %s\n", what);
    exit(1);
}

static void pause_ms(long ms)
{
    struct timespec t = { ms / 1000, ms % 1000 * 1000000 };

    (void)nanosleep(&t, NULL);
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return x < y ? -1 : x > y;
}

static void sort(double *v, unsigned n)
{
    qsort(v, n, sizeof(*v), by_value);
}

static double ms_since(uint64_t start_ns)
{
    return (double)(clock_now_ns() - start_ns) / 1e6;
}

/* ---- The engine alone ------------------------------------------------------------------------ */

static void measure_engine(double *ms, unsigned n)
{
    static const char *const runtimes[] = { "bash" };
    isol8_host_options h;
    isol8_options o;
    isol8_start_options s;
    isol8_request rq;
    isol8_host *host = NULL;
    isol8_engine *engine = NULL;
    isol8_error err;

    isol8_host_options_init(&h);
    h.cgroup_parent = "isol8-bench";
    h.pool_linger_ms = 60000;
    isol8_options_init(&o);
    o.image = "host";
    o.pool_clean = 4;
    o.pool_dirty = 64;
    isol8_start_options_init(&s);
    s.prewarm = true;
    s.runtimes = runtimes;
    s.n_runtimes = 1;
    isol8_request_init(&rq);
    rq.runtime = "bash";
    rq.code = "echo hello";
    rq.code_size = strlen(rq.code);
    if (isol8_host_open(&host, &h, &err) < 0 || isol8_create(&engine, host, &o, &err) < 0 ||
        isol8_start(engine, &s, &err) < 0)
        die(err.msg);
    for (unsigned i = 0; i < n; i++) {
        isol8_result *res = NULL;
        uint64_t start_ns = clock_now_ns();
        if (isol8_execute(engine, &rq, &res, &err) < 0)
            die(err.msg);
        ms[i] = ms_since(start_ns);
        isol8_result_free(res);
        pause_ms(PAUSE_MS);
    }
    isol8_free(engine);
    isol8_host_free(host);
}

/* ---- A client -------------------------------------------------------------------------------- */

static int client_open(void)
{
    struct sockaddr_in a = { .sin_family = AF_INET,
                             .sin_port = htons(PORT),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd >= 0 && connect(fd, (struct sockaddr *)&a, sizeof(a)) < 0)
        return fd_close(fd);
    return fd;
}

/* One request and its whole answer. Return: true when it was 200. */
static bool client_ask(int fd)
{
    char text[4096];
    size_t len = 0, want = sizeof(text);
    int n = snprintf(text, sizeof(text),
                     "POST /execute HTTP/1.1\r\nHost: x\r\nAuthorization: bench\r\n"
                     "Content-Length: %zu\r\n\r\n%s",
                     sizeof(body) - 1, body);

    if (fd_write_all(fd, text, (size_t)n) < 0)
        return false;
    while (len < want && len < sizeof(text) - 1) {
        ssize_t got = read(fd, text + len, sizeof(text) - 1 - len);
        if (got <= 0)
            return false;
        len += (size_t)got;
        text[len] = '\0';
        const char *end = strstr(text, "\r\n\r\n");
        const char *length = strstr(text, "Content-Length: ");
        if (end != NULL && length != NULL)
            want = (size_t)(end + 4 - text) + strtoul(length + 16, NULL, 10);
    }
    return strncmp(text, "HTTP/1.1 200", 12) == 0;
}

struct worker {
    pthread_t thread;
    unsigned runs, failed;
};

static void *work(void *user)
{
    struct worker *w = user;
    int fd = client_open();

    for (unsigned i = 0; i < w->runs; i++)
        w->failed += !client_ask(fd);
    (void)fd_close(fd);
    return NULL;
}

static double rate(unsigned clients, unsigned total)
{
    struct worker w[CLIENTS_MAX] = { 0 };
    unsigned failed = 0, each = total < clients ? 1 : total / clients;
    uint64_t start_ns = clock_now_ns();

    for (unsigned i = 0; i < clients; i++) {
        w[i].runs = each;
        if (pthread_create(&w[i].thread, NULL, work, &w[i]) != 0)
            die("cannot start a thread");
    }
    for (unsigned i = 0; i < clients; i++) {
        (void)pthread_join(w[i].thread, NULL);
        failed += w[i].failed;
    }
    if (failed > 0)
        die("requests failed");
    return each * clients * 1000.0 / ms_since(start_ns);
}

/* ---- The server ------------------------------------------------------------------------------ */

static int server_start(const char *path, double *ready_ms)
{
    char file[] = "/tmp/isol8-bench-XXXXXX", port[16];
    int conf = mkstemp(file), pidfd = -1, fd = -1;
    isol8_error err;
    uint64_t start_ns = clock_now_ns();

    (void)snprintf(port, sizeof(port), "%d", PORT);
    if (conf < 0 || fd_write_all(conf, config, sizeof(config) - 1) < 0)
        die("cannot write the configuration");
    (void)close(conf);
    const char *argv[] = { path, "--port", port, "--key", "bench", "--config", file, NULL };
    struct proc_args args = PROC_ARGS_INIT;
    args.file = path;
    args.argv = argv;
    args.stdio[2] = STDERR_FILENO;
    if (proc_spawn(&args, &pidfd, NULL, &err) < 0)
        die(err.msg);
    /* It listens before it prepares, and answers afterwards. */
    while (fd < 0 && ms_since(start_ns) < 30000) {
        pause_ms(1);
        fd = client_open();
    }
    if (fd < 0 || !client_ask(fd))
        die("the server does not answer");
    *ready_ms = ms_since(start_ns);
    (void)fd_close(fd);
    (void)unlink(file);
    return pidfd;
}

static void measure_latency(double *ms, unsigned n)
{
    int fd = client_open();

    for (unsigned i = 0; i < n; i++) {
        pause_ms(PAUSE_MS);
        uint64_t start_ns = clock_now_ns();
        if (!client_ask(fd))
            die("a request failed");
        ms[i] = ms_since(start_ns);
    }
    (void)fd_close(fd);
}

int main(int argc, char **argv)
{
    static const unsigned clients[] = { 1, 4, 16, 64 };
    static double engine[RUNS_MAX], server[RUNS_MAX];
    unsigned long n = argc > 2 ? strtoul(argv[2], NULL, 10) : 20;
    double rates[4], ready_ms = 0;

    if (argc < 2 || n < 1 || n > RUNS_MAX)
        die("usage: bench_server ISOL8_SERVER [RUNS]");
    measure_engine(engine, (unsigned)n);
    int pidfd = server_start(argv[1], &ready_ms);
    measure_latency(server, (unsigned)n);
    for (size_t i = 0; i < 4; i++)
        rates[i] = rate(clients[i], (unsigned)n * 5 > 64 ? (unsigned)n * 5 : 64);
    (void)pidfd_send_signal(pidfd, SIGTERM, NULL, 0);
    if (proc_wait(pidfd, NULL) != 0)
        die("the server did not stop");
    sort(engine, (unsigned)n);
    sort(server, (unsigned)n);
    (void)printf("start to first answer          %8.2f ms\n"
                 "engine, warm        p50 %8.2f  p99 %8.2f ms\n"
                 "/execute keep-alive p50 %8.2f  p99 %8.2f ms\n",
                 ready_ms, engine[n / 2], engine[n * 99 / 100], server[n / 2],
                 server[n * 99 / 100]);
    for (size_t i = 0; i < 4; i++)
        (void)printf("%2u clients                     %8.1f executions/s\n", clients[i], rates[i]);
    (void)printf("{\"engine_p50_ms\":%.3f,\"server_p50_ms\":%.3f,\"added_ms\":%.3f,"
                 "\"rate_1\":%.1f,\"rate_4\":%.1f,\"rate_16\":%.1f,\"rate_64\":%.1f}\n",
                 engine[n / 2], server[n / 2], server[n / 2] - engine[n / 2], rates[0], rates[1],
                 rates[2], rates[3]);
    return 0;
}
