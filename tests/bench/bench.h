/* SPDX-License-Identifier: Apache-2.0 */
/* bench.h - what the programs in this directory share: giving up, quantiles, timing a command. */
#ifndef TESTS_BENCH_BENCH_H
#define TESTS_BENCH_BENCH_H

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/proc.h"

/* It could not be measured: the only reason to fail. */
static inline _Noreturn void bench_die(const char *what, const isol8_error *err)
{
    fprintf(stderr, "bench: %s: %s\n", what, err == NULL ? strerror(errno) : err->msg);
    exit(1);
}

static inline int bench_by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return x < y ? -1 : x > y;
}

/* Sorts @v. */
static inline double bench_quantile(double *v, size_t n, double q)
{
    qsort(v, n, sizeof(*v), bench_by_value);
    return v[(size_t)((double)(n - 1) * q + 0.5)];
}

/* Milliseconds from spawn to exit, which must be with 0. */
static inline double bench_command(const char *const *argv)
{
    struct proc_args args = PROC_ARGS_INIT;
    isol8_error err;
    int pidfd;

    args.file = argv[0];
    args.argv = argv;
    uint64_t start = clock_now_ns();
    if (proc_spawn(&args, &pidfd, NULL, &err) < 0)
        bench_die(argv[0], &err);
    int code = proc_wait(pidfd, &err);
    double ms = (double)(clock_now_ns() - start) / 1e6;
    (void)fd_close(pidfd);
    if (code != 0) {
        fprintf(stderr, "bench: '%s' ended with %d\n", argv[0], code);
        exit(1);
    }
    return ms;
}

#endif
