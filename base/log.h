/* SPDX-License-Identifier: Apache-2.0 */
/**
 * log.h - one line at a time to the sink its owner installed; silent by default
 *
 * A line is "module: what happened key=value". Secrets, code and output are never logged.
 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include <isol8/isol8.h>

struct log {
    isol8_log_fn fn; /* NULL: silent */
    enum isol8_log_level level;
    void *user;
};

void log_line(const struct log *log, enum isol8_log_level level, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

#define log_debug(log, ...)                                                                        \
    do {                                                                                           \
        if ((log)->fn != NULL && (log)->level >= ISOL8_LOG_DEBUG)                                  \
            log_line((log), ISOL8_LOG_DEBUG, __VA_ARGS__);                                         \
    } while (0)

#define log_warn(log, ...) log_line((log), ISOL8_LOG_WARN, __VA_ARGS__)

#endif
