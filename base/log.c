/* SPDX-License-Identifier: Apache-2.0 */
/* log.c - one line at a time to the sink its owner installed. */
#include "base/log.h"

#include <stdarg.h>
#include <stdio.h>

#define LOG_LINE_MAX 1024 /* longer lines are cut */

void log_line(const struct log *log, enum isol8_log_level level, const char *fmt, ...)
{
    char line[LOG_LINE_MAX];
    va_list ap;

    if (log->fn == NULL || level > log->level)
        return;
    va_start(ap, fmt);
    (void)vsnprintf(line, sizeof(line), fmt, ap);
    va_end(ap);
    log->fn(level, line, log->user);
}
