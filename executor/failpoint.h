/* SPDX-License-Identifier: Apache-2.0 */
/**
 * failpoint.h - places where the crash tests kill the process
 *
 * Compiled in by ISOL8_FAILPOINTS only. A process whose ISOL8_FAIL_AT names the point ("hello",
 * or "hello:3" for the third time) is killed by SIGKILL there, which proves that another process
 * can finish what it began. ISOL8_WAIT_MS shortens the long waits for a sandbox that does not do
 * its part, so that tests see their ends.
 */
#ifndef EXECUTOR_FAILPOINT_H
#define EXECUTOR_FAILPOINT_H

#ifdef ISOL8_FAILPOINTS
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static inline void failpoint(const char *name)
{
    static atomic_ulong times; /* each name belongs to one source file */
    const char *at = getenv("ISOL8_FAIL_AT");
    size_t n = strlen(name);

    if (at == NULL || strncmp(at, name, n) != 0 || (at[n] != '\0' && at[n] != ':'))
        return;
    if (at[n] == '\0' || atomic_fetch_add(&times, 1) + 1 == strtoul(at + n + 1, NULL, 10))
        (void)kill(getpid(), SIGKILL);
}

static inline int failpoint_ms(int ms)
{
    const char *text = getenv("ISOL8_WAIT_MS");
    int shorter = text == NULL ? ms : (int)strtoul(text, NULL, 10);

    return shorter < ms ? shorter : ms;
}
#else
static inline void failpoint(const char *name)
{
    (void)name;
}

static inline int failpoint_ms(int ms)
{
    return ms;
}
#endif

#endif
