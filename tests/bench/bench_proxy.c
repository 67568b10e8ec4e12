/* SPDX-License-Identifier: Apache-2.0 */
/**
 * bench_proxy.c - what the filtered network costs
 *
 *   bench_proxy ISOL8 [RUNS]
 *
 * The proxy runs in this process as it does in an engine's, with one sandbox's listener on
 * 127.0.0.1; its peers are processes of their own: two servers (bench_origin.c), and HAProxy,
 * tinyproxy and squid started with configurations of their own (bench_others.c). Every case is
 * measured in turns with its baseline, so that load on the machine meets both alike, by the same
 * client.
 *
 * Prints one line a case for people and, last, a JSON object with all numbers.
 */
#include <sys/resource.h>
#include <unistd.h>

#include "base/text.h"
#include "proxy/proxy.h"
#include "tests/bench/bench.h"
#include "tests/bench/bench_net.h"
#include "tests/bench/bench_wires.h"

enum {
    RUNS_MAX = 500,
    FIRST_BYTES = 2000,
    ROUNDS = 7, /* odd: the median is one of them */
    REQUESTS = 4000,
    IDLE_BEFORE = 100, /* what the first connections allocate is not theirs alone */
    IDLE = 1000,
    TUNNELS_MAX = 4096,
};

#define BULK_BYTES (1ull << 30)
#define ORIGIN_NAME "origin.test"

struct bench {
    struct origin origin;
    struct others others;
    struct proxy *proxy;
    struct proxy_client *client;
    struct proxy_rules *rules;
    uint16_t port;
};

static struct bench bench = { .origin.pidfds = { -1, -1 }, .others.pidfds = { -1, -1, -1 } };

static void stop_children(void)
{
    others_stop(&bench.others);
    origin_stop(&bench.origin);
}

static void open_proxy(struct bench *b)
{
    static const char *const loopback[] = { "127.0.0.1" }, *const open[] = { "127.0.0.0/8" };
    static const char *const allow[] = { "^127\\.0\\.0\\.1$", "(^|\\.)origin\\.test$" };
    static const struct proxy_fixed_host host = { ORIGIN_NAME, loopback, 1 };
    struct proxy_settings s = { .hosts = &host,
                                .n_hosts = 1,
                                .allow_addresses = open,
                                .n_allow_addresses = 1,
                                .connections = TUNNELS_MAX };
    struct proxy_listeners l = { .transparent_fd = -1, .dns_udp_fd = -1, .dns_tcp_fd = -1 };
    isol8_error err;

    l.explicit_fd = net_listen(&b->port);
    if (proxy_rules_new(&b->rules, "allow", allow, 2, "deny", NULL, 0, &err) < 0 ||
        proxy_open(&b->proxy, &s, &err) < 0 ||
        proxy_attach(b->proxy, &l, b->rules, &b->client, &err) < 0)
        bench_die("proxy", &err);
}

static void close_proxy(struct bench *b)
{
    proxy_detach(b->client, NULL, NULL);
    proxy_close(b->proxy);
    proxy_rules_free(b->rules);
}

/* ---- The cases ----------------------------------------------------------------------------- */

struct first_byte {
    double direct_p50, direct_p95, proxy_p50, proxy_p95; /* microseconds */
};

static void measure_first_byte(const struct bench *b, struct first_byte *out)
{
    static double direct[FIRST_BYTES], proxied[FIRST_BYTES];

    for (int i = -20; i < FIRST_BYTES; i++) { /* the first ones do not count */
        int at = i < 0 ? 0 : i;
        direct[at] = client_first_byte(0, ORIGIN_NAME, b->origin.http_port);
        proxied[at] = client_first_byte(b->port, ORIGIN_NAME, b->origin.http_port);
    }
    out->direct_p50 = bench_quantile(direct, FIRST_BYTES, 0.5);
    out->direct_p95 = bench_quantile(direct, FIRST_BYTES, 0.95);
    out->proxy_p50 = bench_quantile(proxied, FIRST_BYTES, 0.5);
    out->proxy_p95 = bench_quantile(proxied, FIRST_BYTES, 0.95);
    printf("first byte, direct                 p50 %6.1f us   p95 %6.1f us\n", out->direct_p50,
           out->direct_p95);
    printf("first byte, CONNECT                p50 %6.1f us   p95 %6.1f us\n", out->proxy_p50,
           out->proxy_p95);
    printf("added to the first byte: %.3f ms p50, %.3f ms p95 (goal: at most 0.3 p50)\n",
           (out->proxy_p50 - out->direct_p50) / 1e3, (out->proxy_p95 - out->direct_p95) / 1e3);
}

struct download {
    double direct, haproxy, haproxy_splice, ours, ratio; /* GB/s */
};

static void measure_download(const struct bench *b, struct download *out)
{
    double direct[ROUNDS], copy[ROUNDS], splice[ROUNDS], ours[ROUNDS];

    for (int i = 0; i < ROUNDS; i++) {
        direct[i] = client_download(client_connect(b->origin.bulk_port), BULK_BYTES);
        copy[i] = client_download(client_connect(b->others.haproxy), BULK_BYTES);
        ours[i] = client_download(client_tunnel(b->port, ORIGIN_NAME, b->origin.bulk_port),
                                  BULK_BYTES);
        splice[i] = client_download(client_connect(b->others.haproxy_splice), BULK_BYTES);
    }
    out->direct = bench_quantile(direct, ROUNDS, 0.5);
    out->haproxy = bench_quantile(copy, ROUNDS, 0.5);
    out->haproxy_splice = bench_quantile(splice, ROUNDS, 0.5);
    out->ours = bench_quantile(ours, ROUNDS, 0.5);
    double best = out->haproxy > out->haproxy_splice ? out->haproxy : out->haproxy_splice;
    out->ratio = out->ours / best;
    printf("download: direct %.2f GB/s, haproxy %.2f, haproxy with splice %.2f, tunnel %.2f\n",
           out->direct, out->haproxy, out->haproxy_splice, out->ours);
    printf("download, tunnel / the better haproxy: %.3f (goal: at least 0.9); / direct: %.3f\n",
           out->ratio, out->ours / out->direct);
}

struct requests {
    double direct, tinyproxy, squid, ours; /* a second */
};

static void measure_requests(const struct bench *b, bool keep_alive, struct requests *out)
{
    double direct[ROUNDS], tiny[ROUNDS], squid[ROUNDS], ours[ROUNDS];
    uint16_t port = b->origin.http_port;

    for (int i = 0; i < ROUNDS; i++) {
        direct[i] = client_requests(0, port, REQUESTS, keep_alive);
        tiny[i] = client_requests(b->others.tinyproxy, port, REQUESTS, keep_alive);
        ours[i] = client_requests(b->port, port, REQUESTS, keep_alive);
        squid[i] = client_requests(b->others.squid, port, REQUESTS, keep_alive);
    }
    out->direct = bench_quantile(direct, ROUNDS, 0.5);
    out->tinyproxy = bench_quantile(tiny, ROUNDS, 0.5);
    out->squid = bench_quantile(squid, ROUNDS, 0.5);
    out->ours = bench_quantile(ours, ROUNDS, 0.5);
    printf("requests/s, %s: direct %.0f, tinyproxy %.0f, squid %.0f, isol8 %.0f\n",
           keep_alive ? "keep-alive" : "one a connection", out->direct, out->tinyproxy, out->squid,
           out->ours);
    printf("requests, isol8 / tinyproxy: %.2f, isol8 / squid: %.2f (goal: at least 1)\n",
           out->ours / out->tinyproxy, out->ours / out->squid);
}

static double resident_bytes(void)
{
    unsigned long all, resident;
    FILE *f = fopen("/proc/self/statm", "re");

    if (f == NULL || fscanf(f, "%lu %lu", &all, &resident) != 2)
        bench_die("/proc/self/statm", NULL);
    (void)fclose(f);
    return (double)resident * (double)sysconf(_SC_PAGESIZE);
}

/* Each has carried a request and its answer before it falls idle. */
static double measure_idle(const struct bench *b)
{
    static int fds[IDLE_BEFORE + IDLE];
    double before = 0;

    for (int i = 0; i < IDLE_BEFORE + IDLE; i++) {
        if (i == IDLE_BEFORE)
            before = resident_bytes();
        fds[i] = client_tunnel(b->port, ORIGIN_NAME, b->origin.http_port);
        client_exchange(fds[i]);
    }
    double bytes = (resident_bytes() - before) / IDLE;
    for (int i = 0; i < IDLE_BEFORE + IDLE; i++)
        (void)close(fds[i]);
    printf("memory of an idle tunnel: %.0f bytes of ours (goal: below 2048)\n", bytes);
    return bytes;
}

struct cold {
    double none, filtered; /* milliseconds */
};

static void measure_cold(const char *isol8, size_t n, struct cold *out)
{
    static double none[RUNS_MAX], filtered[RUNS_MAX];
    const char *plain[] = { isol8,  "run",   "--net", "none", "--runtime",
                            "bash", "--cmd", "true",  NULL };
    const char *net[] = { isol8,       "run",  "--net", "filtered", "--allow", "^x$",
                          "--runtime", "bash", "--cmd", "true",     NULL };

    for (size_t i = 0; i < n + 2; i++) { /* the first two warm caches and do not count */
        size_t at = i < 2 ? 0 : i - 2;
        if (i % 2 == 0) /* by turns first: what one leaves to the kernel slows the next */
            none[at] = bench_command(plain);
        filtered[at] = bench_command(net);
        if (i % 2 != 0)
            none[at] = bench_command(plain);
    }
    out->none = bench_quantile(none, n, 0.5);
    out->filtered = bench_quantile(filtered, n, 0.5);
    printf("cold start: --net none %.2f ms, --net filtered %.2f ms\n", out->none, out->filtered);
    printf("added to a cold start: %.2f ms (goal: at most 5)\n", out->filtered - out->none);
}

/* -------------------------------------------------------------------------------------------- */

static void raise_limit(void)
{
    struct rlimit r;

    if (getrlimit(RLIMIT_NOFILE, &r) < 0)
        bench_die("getrlimit", NULL);
    r.rlim_cur = r.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &r) < 0)
        bench_die("setrlimit", NULL);
}

static void print_requests(const char *name, const struct requests *r)
{
    printf(",\"%s\":{\"direct_rps\":%.0f,\"tinyproxy_rps\":%.0f,\"squid_rps\":%.0f,"
           "\"isol8_rps\":%.0f,\"ratio_tinyproxy\":%.4f,\"ratio_squid\":%.4f}",
           name, r->direct, r->tinyproxy, r->squid, r->ours, r->ours / r->tinyproxy,
           r->ours / r->squid);
}

int main(int argc, char **argv)
{
    struct first_byte first;
    struct download download;
    struct requests kept, single;
    struct wires wires;
    struct cold cold;
    uint64_t n = 20;

    if (argc < 2 || (argc > 2 && (!text_parse_u64(argv[2], &n) || n < 3 || n > RUNS_MAX))) {
        fprintf(stderr, "usage: bench_proxy ISOL8 [RUNS, 3 to %d]\n", RUNS_MAX);
        return 1;
    }
    (void)setvbuf(stdout, NULL, _IOLBF, 0);
    raise_limit();
    (void)atexit(stop_children);
    origin_start(&bench.origin, BULK_BYTES);
    others_start(&bench.others, &bench.origin);
    open_proxy(&bench);

    measure_first_byte(&bench, &first);
    double idle_bytes = measure_idle(&bench);
    measure_requests(&bench, true, &kept);
    measure_requests(&bench, false, &single);
    measure_download(&bench, &download);
    close_proxy(&bench);
    stop_children();
    wires_measure(&wires);
    measure_cold(argv[1], n, &cold);

    printf("{\"bench\":\"proxy\",\"first_byte\":{\"direct_p50_us\":%.1f,\"direct_p95_us\":%.1f,"
           "\"connect_p50_us\":%.1f,\"connect_p95_us\":%.1f,\"added_p50_ms\":%.4f}",
           first.direct_p50, first.direct_p95, first.proxy_p50, first.proxy_p95,
           (first.proxy_p50 - first.direct_p50) / 1e3);
    printf(",\"download\":{\"direct_gbs\":%.3f,\"haproxy_gbs\":%.3f,\"haproxy_splice_gbs\":%.3f,"
           "\"isol8_gbs\":%.3f,\"ratio_haproxy\":%.4f}",
           download.direct, download.haproxy, download.haproxy_splice, download.ours,
           download.ratio);
    print_requests("requests_keep_alive", &kept);
    print_requests("requests_single", &single);
    printf(",\"wires\":{\"alone_ms\":%.3f,\"at_once_ms\":%.3f,\"ratio\":%.4f}", wires.alone_ms,
           wires.at_once_ms, wires.at_once_ms / wires.alone_ms);
    printf(",\"idle_tunnel_bytes\":%.0f", idle_bytes);
    printf(",\"cold\":{\"none_ms\":%.3f,\"filtered_ms\":%.3f,\"added_ms\":%.3f}}\n", cold.none,
           cold.filtered, cold.filtered - cold.none);
    return 0;
}
