/* SPDX-License-Identifier: Apache-2.0 */
/**
 * soak.c - thousands of executions in a row, and nothing grows
 *
 *   soak [RUNS]
 *
 * Executions of every kind in turn on one host: from the pool, made for themselves, in a session,
 * streaming, with a setup script, with files in and out, cut short by the time limit, cancelled,
 * and filtered. After a first tenth, which fills caches, the process and the machine are measured,
 * and again along the way and at the end: resident memory, descriptors, threads, mounts, cgroups,
 * and entries of the state and data roots. Fails when one of them grew; prints the numbers and the
 * rate, and last a JSON object.
 */
#include <dirent.h>
#include <ftw.h>
#include <poll.h>
#include <unistd.h>

#include <isol8/isol8.h>

#include "base/mem.h"
#include "tests/bench/bench.h"

enum {
    RUNS_DEFAULT = 10000,
    SESSION_RUNS = 500, /* then it is stopped, and the next one made */
    CHECKS = 10,
    /* Allowed to grow between the first and the last measurement. Freed memory comes back from the
     * allocator in pieces of its own size; what the sanitizers keep in quarantine is more. */
    RSS_KIB_MAX = 4096,
    RSS_KIB_MAX_SANITIZED = 256 * 1024,
};

#if defined(__SANITIZE_ADDRESS__)
static const long rss_kib_max = RSS_KIB_MAX_SANITIZED;
#else
static const long rss_kib_max = RSS_KIB_MAX;
#endif

static isol8_host *host;
static isol8_engine *pooled, *own, *session, *filtered;
static char cgroup_parent[64];

/* ---- Measuring ------------------------------------------------------------------------------- */

enum { RSS, FDS, THREADS, MOUNTS, CGROUPS, STATE, DATA, N_MEASURES };
static const char *const names[] = { "rss_kib", "descriptors", "threads",   "mounts",
                                     "cgroups", "state_files", "data_files" };

static long entries;

static int count_entry(const char *path, const struct stat *st, int kind, struct FTW *where)
{
    (void)path, (void)st, (void)kind, (void)where;
    entries++;
    return 0;
}

static long count_tree(const char *path)
{
    entries = 0;
    (void)nftw(path, count_entry, 16, FTW_PHYS | FTW_MOUNT);
    return entries;
}

static int count_group(const char *path, const struct stat *st, int kind, struct FTW *where)
{
    (void)st, (void)where;
    entries += kind == FTW_D && strstr(path, cgroup_parent) != NULL;
    return 0;
}

static long count_groups(void)
{
    entries = 0;
    (void)nftw("/sys/fs/cgroup", count_group, 16, FTW_PHYS);
    return entries;
}

static long count_dir(const char *path)
{
    DIR *dir = opendir(path);
    long n = 0;

    while (dir != NULL && readdir(dir) != NULL)
        n++;
    if (dir != NULL)
        (void)closedir(dir);
    return n;
}

static long count_lines(const char *path, const char *beginning, long *value)
{
    char line[4096];
    FILE *f = fopen(path, "re");
    long n = 0;

    while (f != NULL && fgets(line, sizeof(line), f) != NULL) {
        n++;
        if (beginning != NULL && strncmp(line, beginning, strlen(beginning)) == 0)
            *value = strtol(line + strlen(beginning), NULL, 10);
    }
    if (f != NULL)
        (void)fclose(f);
    return n;
}

/* With nothing under way and nothing prepared, so that the numbers are the same each time. */
static void measure(long out[N_MEASURES])
{
    (void)isol8_stop(pooled, NULL);
    (void)isol8_stop(filtered, NULL);
    (void)isol8_stop(own, NULL);
    (void)isol8_stop(session, NULL);
    out[RSS] = 0;
    (void)count_lines("/proc/self/status", "VmRSS:", &out[RSS]);
    out[FDS] = count_dir("/proc/self/fd");
    out[THREADS] = count_dir("/proc/self/task");
    out[MOUNTS] = count_lines("/proc/self/mountinfo", NULL, NULL);
    out[CGROUPS] = count_groups();
    out[STATE] = count_tree(getenv("ISOL8_STATE_ROOT"));
    out[DATA] = count_tree(getenv("ISOL8_DATA_ROOT"));
}

/* ---- One of each kind ------------------------------------------------------------------------ */

static isol8_request request(const char *cmd)
{
    isol8_request rq;

    isol8_request_init(&rq);
    rq.runtime = "bash";
    rq.cmd = cmd;
    return rq;
}

static void execute(isol8_engine *e, const isol8_request *rq, enum isol8_verdict want)
{
    isol8_result *res = NULL;
    isol8_error err;

    if (isol8_execute(e, rq, &res, &err) < 0)
        bench_die("isol8_execute", &err);
    if (isol8_result_verdict(res) != want) {
        fprintf(stderr, "soak: %s\n", isol8_result_detail(res));
        exit(1);
    }
    isol8_result_free(res);
}

static void plain(isol8_engine *e)
{
    isol8_request rq = request("echo hello");

    execute(e, &rq, ISOL8_VERDICT_OK);
}

static void with_everything(isol8_engine *e)
{
    isol8_request rq = request("cat f; echo more >>f");
    isol8_file file = { .path = "f", .data = "content", .size = 7 };
    const char *out = "f";

    rq.setup_script = "echo setting up";
    rq.files = &file;
    rq.n_files = 1;
    rq.output_paths = &out;
    rq.n_output_paths = 1;
    rq.stdin_data = "in";
    rq.stdin_size = 2;
    execute(e, &rq, ISOL8_VERDICT_OK);
}

static int take_event(const isol8_event *ev, void *user)
{
    *(size_t *)user += ev->size;
    return 0;
}

static void streaming(isol8_engine *e)
{
    isol8_request rq = request("head -c 100000 /dev/zero; echo x >&2");
    size_t n = 0;
    isol8_error err;

    if (isol8_execute_stream(e, &rq, take_event, &n, NULL, &err) < 0)
        bench_die("isol8_execute_stream", &err);
}

static void late(isol8_engine *e)
{
    isol8_request rq = request("sleep 100 & sleep 100");

    rq.timeout_ms = 20;
    execute(e, &rq, ISOL8_VERDICT_TIMEOUT);
}

static void cancelled(isol8_engine *e)
{
    isol8_request rq = request("sleep 100 & sleep 100");
    isol8_run *run = NULL;
    isol8_error err;

    if (isol8_run_start(e, &rq, 0, &run, &err) < 0)
        bench_die("isol8_run_start", &err);
    isol8_run_cancel(run);
    if (isol8_run_finish(run, NULL, &err) < 0)
        bench_die("isol8_run_finish", &err);
}

static void files(isol8_engine *e)
{
    void *data = NULL;
    size_t n = 0;
    isol8_error err;

    if (isol8_put_file(e, "kept", "some bytes", 10, &err) < 0)
        bench_die("isol8_put_file", &err);
    plain(e);
    if (isol8_get_file(e, "kept", &data, &n, &err) < 0)
        bench_die("isol8_get_file", &err);
    free(data);
}

/* Most are what is done most; each kind comes once in twenty. */
static void one(size_t i)
{
    if (i % SESSION_RUNS == 0 && isol8_stop(session, NULL) < 0)
        bench_die("isol8_stop", NULL);
    switch (i % 20) {
    case 1:
        with_everything(pooled);
        break;
    case 3:
        streaming(pooled);
        break;
    case 5:
        late(pooled);
        break;
    case 7:
        cancelled(pooled);
        break;
    case 9:
        plain(own);
        break;
    case 11:
        with_everything(session);
        break;
    case 13:
        late(session);
        break;
    case 15:
        files(session);
        break;
    case 17:
        plain(filtered);
        break;
    case 19:
        streaming(session);
        break;
    default:
        plain(i % 4 == 0 ? session : pooled);
        break;
    }
}

/* ---- All of them ----------------------------------------------------------------------------- */

static isol8_engine *make_engine(const char *mode, const char *network, const char *strategy)
{
    isol8_engine *e = NULL;
    isol8_options o;
    isol8_error err;

    isol8_options_init(&o);
    o.image = "host";
    o.mode = mode;
    o.network = network;
    o.pool_strategy = strategy;
    o.pool_clean = 2;
    if (isol8_create(&e, host, &o, &err) < 0)
        bench_die("isol8_create", &err);
    return e;
}

static void open_all(void)
{
    isol8_host_options o;
    isol8_error err;

    if (getenv("ISOL8_STATE_ROOT") == NULL || getenv("ISOL8_DATA_ROOT") == NULL) {
        fprintf(stderr, "soak: run it by tests/support/no-leaks.sh, which gives it its roots\n");
        exit(2);
    }
    (void)snprintf(cgroup_parent, sizeof(cgroup_parent), "isol8-soak-%d", (int)getpid());
    isol8_host_options_init(&o);
    o.cgroup_parent = cgroup_parent;
    if (isol8_host_open(&host, &o, &err) < 0)
        bench_die("isol8_host_open", &err);
    pooled = make_engine("ephemeral", "none", "fast");
    own = make_engine("ephemeral", "none", "secure");
    session = make_engine("persistent", "none", "fast");
    filtered = make_engine("ephemeral", "filtered", "fast");
}

static void close_all(void)
{
    isol8_free(pooled);
    isol8_free(own);
    isol8_free(session);
    isol8_free(filtered);
    isol8_host_free(host);
}

static void print(size_t runs, const long m[N_MEASURES])
{
    printf("  %6zu", runs);
    for (int i = 0; i < N_MEASURES; i++)
        printf("  %s %ld", names[i], m[i]);
    printf("\n");
    (void)fflush(stdout);
}

/* Threads are started when they are needed, up to a fixed number, which the warm-up may not. */
static bool compare(const long first[N_MEASURES], const long last[N_MEASURES])
{
    bool ok = true;

    for (int i = 0; i < N_MEASURES; i++) {
        long allowed = i == RSS ? rss_kib_max : i == THREADS ? 2 : 0;
        if (last[i] - first[i] > allowed) {
            fprintf(stderr, "soak: %s grew from %ld to %ld\n", names[i], first[i], last[i]);
            ok = false;
        }
    }
    return ok;
}

int main(int argc, char **argv)
{
    size_t runs = argc > 1 ? strtoul(argv[1], NULL, 10) : RUNS_DEFAULT;
    long first[N_MEASURES], now[N_MEASURES];
    bool ok = true;

    open_all();
    uint64_t start = clock_now_ns();
    for (size_t i = 1; i <= runs; i++) {
        one(i);
        if (i % (runs / CHECKS + (runs < CHECKS)) != 0)
            continue;
        measure(now);
        print(i, now);
        if (i == runs / CHECKS)
            memcpy(first, now, sizeof(first));
        else
            ok = compare(first, now) && ok;
    }
    double seconds = (double)(clock_now_ns() - start) / 1e9;
    close_all();
    printf("{\"soak\":{\"runs\":%zu,\"per_second\":%.1f", runs, (double)runs / seconds);
    for (int i = 0; i < N_MEASURES; i++)
        printf(",\"%s\":[%ld,%ld]", names[i], first[i], now[i]);
    printf("}}\n");
    return ok ? 0 : 1;
}
