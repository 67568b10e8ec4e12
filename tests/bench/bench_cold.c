/* SPDX-License-Identifier: Apache-2.0 */
/**
 * bench_cold.c - what a cold "isol8 run" costs beside a bare "runc run" of the same bundle
 *
 *   bench_cold ISOL8 [RUNS]
 *
 * The baseline: runc started by hand on a bundle made by the product's own code (same mounts,
 * namespaces, seccomp profile, cgroup path, a user namespace given by path, the overlay already
 * mounted), with process.args replaced by the user's command. Both are timed as whole processes,
 * from spawn to exit, in turns, so that load on the machine meets both alike. Medians are compared.
 *
 * What the interpreter adds is measured where it runs: by a program inside a sandbox that starts
 * "python3 -c" many times and prints the median. The difference of two runc runs would not do,
 * since the first milliseconds of a container's process overlap with runc's own work.
 *
 * Prints one line a case for people and, last, a JSON object with all numbers in milliseconds.
 */
#include "base/mem.h"
#include "base/text.h"
#include "tests/bench/bench.h"
#include "tests/bench/bench_bundle.h"

enum { RUNS_MAX = 500, CASES = 2 };

/* ---- Timing
 * ----------------------------------------------------------------------------------------- */

struct series {
    const char *name;
    double ms[RUNS_MAX];
    double p50, p95;
};

static void summarise(struct series *s, size_t n)
{
    s->p50 = bench_quantile(s->ms, n, 0.5);
    s->p95 = bench_quantile(s->ms, n, 0.95);
    printf("%-34s p50 %6.2f ms   p95 %6.2f ms\n", s->name, s->p50, s->p95);
}

static double time_runc(const struct bundle *b, struct isol8_host *h, const char *args)
{
    const char *argv[9];
    char root[160];

    bundle_configure(b, h, args);
    bundle_command(b, root, argv);
    return bench_command(argv);
}

static void take_number(const char *line, void *user)
{
    (void)text_parse_u64(line, user);
}

/* Bare "python3 -c" as the first program of a fresh sandbox, in ms. */
static double time_python_inside(const char *isol8)
{
    static const char program[] =
        "s=${EPOCHREALTIME/./}; python3 -c \"print('hello')\" >/dev/null; "
        "echo $((${EPOCHREALTIME/./} - s))";
    const char *argv[] = { isol8, "run", "--runtime", "python", "--cmd", program, NULL };
    struct proc_args args = PROC_ARGS_INIT;
    isol8_error err;
    uint64_t us = 0;

    args.file = isol8;
    args.argv = argv;
    if (proc_run(&args, take_number, &us, NULL, -1, &err) != 0 || us == 0)
        bench_die("python3 in a sandbox", &err);
    return (double)us / 1000;
}

int main(int argc, char **argv)
{
    static struct series runc = { .name = "runc run: bash -c true" };
    static struct series cold = { .name = "isol8 run --cmd true" };
    static struct series inside = { .name = "python3 -c print, inside" };
    static struct series cold_python = { .name = "isol8 run -e print (python)" };
    struct bundle b;
    struct isol8_host *h = NULL;
    isol8_error err;
    uint64_t n = 20;

    if (argc < 2 || (argc > 2 && (!text_parse_u64(argv[2], &n) || n < 3 || n > RUNS_MAX))) {
        fprintf(stderr, "usage: bench_cold ISOL8 [RUNS, 3 to %d]\n", RUNS_MAX);
        return 1;
    }
    if (isol8_host_open(&h, NULL, &err) < 0)
        bench_die("host", &err);
    bundle_private_mounts();
    bundle_make(&b, h, "isol8:python", 0);
    const char *cmd[] = { argv[1], "run", "--runtime", "python", "--cmd", "true", NULL };
    const char *hello[] = { argv[1], "run", "-e", "print('hello')", NULL };
    for (size_t i = 0; i < n + 2; i++) { /* the first two warm caches and do not count */
        size_t at = i < 2 ? 0 : i - 2;
        runc.ms[at] = time_runc(&b, h, "[\"bash\",\"-c\",\"true\"]");
        cold.ms[at] = bench_command(cmd);
        cold_python.ms[at] = bench_command(hello);
        inside.ms[at] = time_python_inside(argv[1]);
    }
    summarise(&runc, n);
    summarise(&cold, n);
    summarise(&cold_python, n);
    summarise(&inside, n);

    double ratio = cold.p50 / runc.p50;
    double python_ratio = cold_python.p50 / (1.15 * runc.p50 + inside.p50);
    printf("cold / bare runc: %.3f (goal: at most 1.15)\n", ratio);
    printf("python hello / (1.15 bare runc + python inside): %.3f (goal: at most 1)\n",
           python_ratio);
    printf("{\"bench\":\"cold\",\"runs\":%zu,\"runc_ms\":%.3f,\"isol8_ms\":%.3f,\"ratio\":%.4f,"
           "\"isol8_python_ms\":%.3f,\"python_inside_ms\":%.3f,\"python_ratio\":%.4f}\n",
           (size_t)n, runc.p50, cold.p50, ratio, cold_python.p50, inside.p50, python_ratio);

    bundle_remove(&b, h);
    isol8_host_free(h);
    return 0;
}
