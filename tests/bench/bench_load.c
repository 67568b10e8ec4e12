/* SPDX-License-Identifier: Apache-2.0 */
/**
 * bench_load.c - the server under load, for long, and with bad neighbours
 *
 * usage: bench_load ISOL8_SERVER [REQUESTS]    (5000 when absent)
 *
 * A bash hello on the machine's own /usr. What the server takes at rest and with 1,000 idle
 * connections; what is left after a tenth of the requests, after all of them, and after 500
 * sessions; and the 99th percentile of one client's executions alone, beside the idle connections,
 * and beside 200 more that read slowly what their programs print. Every request must be answered
 * with 200. Figures are printed, a JSON object last.
 */
#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "tests/bench/bench.h"
#include "tests/bench/bench_serve.h"

enum {
    REQUESTS_MAX = 1000000,
    CLIENTS = 4,
    IDLE = 1000,
    SLOW = 200,
    SESSIONS = 500,
    SAMPLES = 400,
    PAUSE_MS = 40,
    SETTLE_MS = 3000,      /* pool refilled, used sandboxes removed */
    SLOW_PIECE = 2048,     /* read by each slow client ... */
    SLOW_EVERY_MS = 100,   /* ... so often */
    SLOW_BUFFER = 16 << 10 /* of its socket: what it does not read stays with the server */
};

static const char config[] =
    "{\"cgroupParent\":\"isol8-bench\",\"maxConcurrent\":256,"
    "\"poolSize\":{\"clean\":4,\"dirty\":64},\"server\":{\"image\":\"host\",\"images\":[\"host\"],"
    "\"prewarm\":[\"bash\"],\"maxConnections\":2048}}";
static const char hello[] = "{\"request\":{\"runtime\":\"bash\",\"code\":\"echo hello\"}}";
static const char talker[] =
    "{\"request\":{\"runtime\":\"bash\",\"cmd\":\"yes | head -c 50000000\",\"timeoutMs\":600000},"
    "\"options\":{\"maxOutputSize\":60000000}}";

static void pause_ms(long ms)
{
    struct timespec t = { ms / 1000, ms % 1000 * 1000000 };

    (void)nanosleep(&t, NULL);
}

/* ---- What the server has ----------------------------------------------------------------------
 */

struct holdings {
    unsigned rss_kb, pss_kb, fds, threads, mounts, cgroups, files;
};

static unsigned count_entries(pid_t pid, const char *folder)
{
    char path[64];
    unsigned n = 0;

    (void)snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, folder);
    DIR *d = opendir(path);
    if (d == NULL)
        bench_die(path, NULL);
    for (const struct dirent *e = readdir(d); e != NULL; e = readdir(d))
        n += e->d_name[0] != '.';
    (void)closedir(d);
    return n;
}

static unsigned tree_entries, tree_folders;

static int on_entry(const char *path, const struct stat *st, int type, struct FTW *at)
{
    (void)path;
    (void)st;
    (void)at;
    tree_entries += type != FTW_NS;
    tree_folders += type == FTW_D;
    return 0;
}

/* Everything at and below @path; a tree may change meanwhile. */
static void walk(const char *path)
{
    tree_entries = tree_folders = 0;
    (void)nftw(path, on_entry, 16, FTW_PHYS | FTW_MOUNT);
}

static unsigned count_cgroups(void)
{
    unsigned n = 0;
    DIR *d = opendir("/sys/fs/cgroup");

    for (const struct dirent *e = d == NULL ? NULL : readdir(d); e != NULL; e = readdir(d)) {
        char path[320];
        (void)snprintf(path, sizeof(path), "/sys/fs/cgroup/%s/isol8-bench", e->d_name);
        if (e->d_name[0] == '.')
            continue;
        walk(path);
        n += tree_folders;
    }
    if (d != NULL)
        (void)closedir(d);
    return n;
}

static void read_memory(pid_t pid, struct holdings *h)
{
    char path[64], line[256];

    (void)snprintf(path, sizeof(path), "/proc/%d/smaps_rollup", (int)pid);
    FILE *f = fopen(path, "re");
    if (f == NULL)
        bench_die(path, NULL);
    while (fgets(line, sizeof(line), f) != NULL) {
        (void)sscanf(line, "Rss: %u", &h->rss_kb);
        (void)sscanf(line, "Pss: %u", &h->pss_kb);
    }
    (void)fclose(f);
}

static unsigned count_mounts(pid_t pid)
{
    char path[64];
    unsigned n = 0;
    int c;

    (void)snprintf(path, sizeof(path), "/proc/%d/mountinfo", (int)pid);
    FILE *f = fopen(path, "re");
    if (f == NULL)
        bench_die(path, NULL);
    while ((c = fgetc(f)) != EOF)
        n += c == '\n';
    (void)fclose(f);
    return n;
}

static struct holdings look(pid_t pid, const char *when)
{
    const char *state = getenv("ISOL8_STATE_ROOT");
    struct holdings h = { 0 };

    pause_ms(SETTLE_MS);
    read_memory(pid, &h);
    h.fds = count_entries(pid, "fd");
    h.threads = count_entries(pid, "task");
    h.mounts = count_mounts(pid);
    h.cgroups = count_cgroups();
    walk(state != NULL ? state : "/run/isol8");
    h.files = tree_entries;
    (void)printf("%-24s RSS %6.1f  PSS %6.1f MB, %4u descriptors, %4u threads, %2u mounts, "
                 "%3u cgroups, %3u files\n",
                 when, h.rss_kb / 1e3, h.pss_kb / 1e3, h.fds, h.threads, h.mounts, h.cgroups,
                 h.files);
    return h;
}

/* ---- Many requests ----------------------------------------------------------------------------
 */

static atomic_uint to_ask, failures;

static bool take_one(void)
{
    unsigned n = atomic_load(&to_ask);

    while (n > 0 && !atomic_compare_exchange_weak(&to_ask, &n, n - 1)) {
    }
    return n > 0;
}

static void *ask_many(void *user)
{
    int fd = serve_open();

    (void)user;
    while (take_one())
        atomic_fetch_add(&failures, !serve_execute(fd, hello));
    (void)fd_close(fd);
    return NULL;
}

static void *use_sessions(void *user)
{
    int fd = serve_open();
    char body[256], path[64];

    (void)user;
    while (take_one()) {
        (void)snprintf(path, sizeof(path), "/session/s%lx-%x", (unsigned long)pthread_self(),
                       atomic_load(&to_ask));
        (void)snprintf(body, sizeof(body),
                       "{\"request\":{\"runtime\":\"bash\",\"code\":\"echo x >>f\"},"
                       "\"sessionId\":\"%s\"}",
                       path + strlen("/session/"));
        bool ok = serve_execute(fd, body) && serve_send(fd, "DELETE", path, NULL) &&
                  serve_read(fd) == 200;
        atomic_fetch_add(&failures, !ok);
    }
    (void)fd_close(fd);
    return NULL;
}

/* Return: how many a second. */
static double spend(void *(*work)(void *), unsigned n)
{
    pthread_t threads[CLIENTS];
    uint64_t start_ns = clock_now_ns();

    atomic_store(&to_ask, n);
    for (size_t i = 0; i < CLIENTS; i++) {
        if (pthread_create(&threads[i], NULL, work, NULL) != 0)
            bench_die("cannot start a thread", NULL);
    }
    for (size_t i = 0; i < CLIENTS; i++)
        (void)pthread_join(threads[i], NULL);
    if (atomic_load(&failures) > 0)
        bench_die("requests failed", NULL);
    return n * 1e9 / (double)(clock_now_ns() - start_ns);
}

/* ---- Neighbours -------------------------------------------------------------------------------
 */

static int idle[IDLE], slow[SLOW];
static atomic_bool slow_is_over;
static atomic_ullong slow_bytes;

static void open_idle(void)
{
    for (size_t i = 0; i < IDLE; i++) {
        idle[i] = serve_open();
        /* One answer, so that it is a connection that is kept and not one without a head. */
        if (idle[i] < 0 || !serve_send(idle[i], "GET", "/health", NULL) ||
            serve_read(idle[i]) != 200)
            bench_die("an idle connection", NULL);
    }
}

/* Connections that were closed by the server would no longer be neighbours. */
static unsigned count_open(const int *fds, size_t n)
{
    unsigned open = 0;
    char byte;

    for (size_t i = 0; i < n; i++)
        open += recv(fds[i], &byte, 1, MSG_PEEK | MSG_DONTWAIT) != 0;
    return open;
}

static void *read_slowly(void *user)
{
    static char piece[SLOW_PIECE];

    (void)user;
    while (!atomic_load(&slow_is_over)) {
        for (size_t i = 0; i < SLOW; i++) {
            ssize_t n = recv(slow[i], piece, sizeof(piece), MSG_DONTWAIT);
            if (n > 0)
                atomic_fetch_add(&slow_bytes, (unsigned long long)n);
        }
        pause_ms(SLOW_EVERY_MS);
    }
    return NULL;
}

static void open_slow(pthread_t *thread)
{
    int size = SLOW_BUFFER;

    for (size_t i = 0; i < SLOW; i++) {
        slow[i] = serve_open();
        if (slow[i] < 0 || setsockopt(slow[i], SOL_SOCKET, SO_RCVBUF, &size, sizeof(size)) < 0 ||
            !serve_send(slow[i], "POST", "/execute/stream", talker))
            bench_die("a slow reader", NULL);
    }
    if (pthread_create(thread, NULL, read_slowly, NULL) != 0)
        bench_die("cannot start a thread", NULL);
    /* Until each of their programs prints. */
    for (int i = 0; i < 1200 && atomic_load(&slow_bytes) < (unsigned long long)SLOW * 20000; i++)
        pause_ms(SLOW_EVERY_MS);
    pause_ms(SETTLE_MS);
}

static void close_all(const int *fds, size_t n)
{
    for (size_t i = 0; i < n; i++)
        (void)fd_close(fds[i]);
}

struct percentiles {
    double p50, p99;
};

static struct percentiles measure_fast(const char *when)
{
    static double ms[SAMPLES];
    int fd = serve_open();

    for (size_t i = 0; i < SAMPLES; i++) {
        pause_ms(PAUSE_MS);
        uint64_t start_ns = clock_now_ns();
        if (!serve_execute(fd, hello))
            bench_die("a request failed", NULL);
        ms[i] = (double)(clock_now_ns() - start_ns) / 1e6;
    }
    (void)fd_close(fd);
    struct percentiles p = { bench_quantile(ms, SAMPLES, 0.5), bench_quantile(ms, SAMPLES, 0.99) };
    (void)printf("%-24s p50 %6.2f  p99 %6.2f ms\n", when, p.p50, p.p99);
    return p;
}

int main(int argc, char **argv)
{
    unsigned long n = argc > 2 ? strtoul(argv[2], NULL, 10) : 5000;
    struct rlimit files = { 65536, 65536 };
    pthread_t reader;
    struct serve s;

    if (argc < 2 || n < 10 || n > REQUESTS_MAX) {
        fprintf(stderr, "usage: bench_load ISOL8_SERVER [REQUESTS]\n");
        return 2;
    }
    (void)setrlimit(RLIMIT_NOFILE, &files); /* else opening connections tells */
    serve_start(&s, argv[1], config);
    (void)printf("ready after %.1f ms\n", s.ready_ms);
    struct holdings rest = look(s.pid, "at rest");
    double rate = spend(ask_many, (unsigned)n / 10);
    struct holdings early = look(s.pid, "a tenth of the requests");
    rate = spend(ask_many, (unsigned)(n - n / 10));
    struct holdings late = look(s.pid, "all requests");
    double sessions = spend(use_sessions, SESSIONS);
    struct holdings dropped = look(s.pid, "500 sessions dropped");
    (void)printf("%.1f executions, %.1f sessions a second\n", rate, sessions);

    struct percentiles alone = measure_fast("alone");
    open_idle();
    struct holdings crowded = look(s.pid, "1,000 idle connections");
    struct percentiles beside_idle = measure_fast("beside 1,000 idle");
    open_slow(&reader);
    struct percentiles beside_slow = measure_fast("and 200 slow readers");
    struct holdings busy = look(s.pid, "1,000 idle, 200 slow");
    unsigned idle_left = count_open(idle, IDLE), slow_left = count_open(slow, SLOW);
    atomic_store(&slow_is_over, true);
    (void)pthread_join(reader, NULL);
    close_all(slow, SLOW);
    close_all(idle, IDLE);
    pause_ms(SETTLE_MS);
    struct percentiles again = measure_fast("alone again");
    struct holdings end = look(s.pid, "at the end");
    serve_stop(&s);
    double base = (alone.p99 + again.p99) / 2; /* before and after: other load on the machine */
    (void)printf("%u of 1,000 idle and %u of 200 slow ones were still there; p99 beside them is "
                 "%.2f of alone (goal: at most 2)\n",
                 idle_left, slow_left, beside_slow.p99 / base);
    (void)printf("{\"ready_ms\":%.1f,\"rest_rss_kb\":%u,\"rest_pss_kb\":%u,\"idle_pss_kb\":%u,"
                 "\"early_pss_kb\":%u,\"late_pss_kb\":%u,\"early_fds\":%u,\"late_fds\":%u,"
                 "\"early_threads\":%u,\"late_threads\":%u,\"dropped_fds\":%u,\"busy_threads\":%u,"
                 "\"end_pss_kb\":%u,\"p99_alone_ms\":%.2f,\"p99_idle_ms\":%.2f,"
                 "\"p99_slow_ms\":%.2f,\"p99_again_ms\":%.2f}\n",
                 s.ready_ms, rest.rss_kb, rest.pss_kb, crowded.pss_kb, early.pss_kb, late.pss_kb,
                 early.fds, late.fds, early.threads, late.threads, dropped.fds, busy.threads,
                 end.pss_kb, alone.p99, beside_idle.p99, beside_slow.p99, again.p99);
    return 0;
}
