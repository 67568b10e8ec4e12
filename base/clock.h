/* SPDX-License-Identifier: Apache-2.0 */
/* clock.h - monotonic time for deadlines, wall time for people. */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stdint.h>

/** Monotonic nanoseconds. */
uint64_t clock_now_ns(void);

/** Wall-clock milliseconds since the epoch. */
int64_t clock_wall_ms(void);

#define CLOCK_ISO_SIZE 25 /* "2026-01-02T03:04:05.678Z" and NUL */

/** ISO 8601 UTC with milliseconds. */
void clock_iso(int64_t wall_ms, char out[CLOCK_ISO_SIZE]);

#endif
