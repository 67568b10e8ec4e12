/* SPDX-License-Identifier: Apache-2.0 */
/* clock.h - monotonic time for deadlines, wall time for people. */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

/** Monotonic nanoseconds. */
uint64_t clock_now_ns(void);

/** Wall-clock milliseconds since the epoch. */
int64_t clock_wall_ms(void);

#define CLOCK_ISO_SIZE 25 /* "2026-01-02T03:04:05.678Z" and NUL */

/** ISO 8601 UTC with milliseconds. */
void clock_iso(int64_t wall_ms, char out[CLOCK_ISO_SIZE]);

/** Milliseconds of "2026-01-02T03:04:05.678Z"; the fraction may be absent, and an offset such as
 * +01:00 stand for the Z. Return: whether it is such a time */
bool clock_iso_parse(const char *text, int64_t *wall_ms);

#endif
