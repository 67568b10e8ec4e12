/* SPDX-License-Identifier: Apache-2.0 */
/* bench_wires.h - the network part of filtered sandboxes: one alone, and many at once. */
#ifndef TESTS_BENCH_BENCH_WIRES_H
#define TESTS_BENCH_BENCH_WIRES_H

struct wires {
    double alone_ms;
    double at_once_ms; /* of all together, divided by their number */
};

void wires_measure(struct wires *out);

#endif
