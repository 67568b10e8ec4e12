/* SPDX-License-Identifier: Apache-2.0 */
/* clock.c - monotonic time for deadlines, wall time for people. */
#include "base/clock.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

uint64_t clock_now_ns(void)
{
    struct timespec ts;

    (void)clock_gettime(CLOCK_MONOTONIC, &ts); /* cannot fail for this clock */
    return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

int64_t clock_wall_ms(void)
{
    struct timespec ts;

    (void)clock_gettime(CLOCK_REALTIME, &ts);
    return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

void clock_iso(int64_t wall_ms, char out[CLOCK_ISO_SIZE])
{
    time_t s = (time_t)(wall_ms / 1000);
    struct tm tm;

    /* Not strftime(): it reads the machine's time zone first. */
    (void)gmtime_r(&s, &tm);
    (void)snprintf(out, CLOCK_ISO_SIZE, "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ", tm.tm_year + 1900,
                   tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec,
                   (int)(wall_ms % 1000));
}

/* Minutes of "Z", "+01:00" or "-0330", which must be all there is. */
static bool parse_offset(const char *text, int *minutes)
{
    char sign = text[0], end = '\0';
    int h = 0, m = 0;

    *minutes = 0;
    if (strcmp(text, "Z") == 0)
        return true;
    if ((sign != '+' && sign != '-') || !isdigit((unsigned char)text[1]) || strlen(text) > 6 ||
        (sscanf(text + 1, "%2d:%2d%c", &h, &m, &end) != 2 &&
         sscanf(text + 1, "%2d%2d%c", &h, &m, &end) != 2) ||
        h > 23 || m < 0 || m > 59)
        return false;
    *minutes = (sign == '-' ? -1 : 1) * (h * 60 + m);
    return true;
}

bool clock_iso_parse(const char *text, int64_t *wall_ms)
{
    struct tm tm = { 0 };
    const char *rest = strptime(text, "%Y-%m-%dT%H:%M:%S", &tm);
    int64_t ms = 0, unit = 100;
    int offset;

    if (rest == NULL)
        return false;
    if (*rest == '.') {
        for (rest++; isdigit((unsigned char)*rest); rest++, unit /= 10)
            ms += (*rest - '0') * unit;
    }
    if (!parse_offset(rest, &offset))
        return false;
    *wall_ms = ((int64_t)timegm(&tm) - (int64_t)offset * 60) * 1000 + ms;
    return true;
}
