/* SPDX-License-Identifier: Apache-2.0 */
/* err.c - fill in the caller's isol8_error. */
#include "base/err.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* Messages end up on terminals and in logs: a guest's escape sequences must not. */
static void escape_control(char *msg, size_t cap)
{
    char out[sizeof(((isol8_error *)0)->msg)];
    size_t n = 0;

    for (const char *p = msg; *p != '\0' && n + 5 < cap; p++) {
        unsigned char c = (unsigned char)*p;
        if (c < 0x20 || c == 0x7f)
            n += (size_t)snprintf(out + n, cap - n, "\\x%02x", c);
        else
            out[n++] = (char)c;
    }
    out[n] = '\0';
    memcpy(msg, out, n + 1);
}

__attribute__((format(printf, 4, 0))) static void
put_message(isol8_error *err, int status, int errnum, const char *fmt, va_list ap)
{
    int n = vsnprintf(err->msg, sizeof(err->msg), fmt, ap);

    if (errnum != 0 && n >= 0 && (size_t)n < sizeof(err->msg)) {
        char text[128];
        const char *s = strerror_r(errnum, text, sizeof(text)); /* GNU form: never fails */
        (void)snprintf(err->msg + n, sizeof(err->msg) - (size_t)n, ": %s", s);
    }
    escape_control(err->msg, sizeof(err->msg));
    err->status = status;
    err->sys_errno = errnum;
}

int err_set(isol8_error *err, int status, const char *fmt, ...)
{
    int saved = errno;

    if (err != NULL) {
        va_list ap;
        va_start(ap, fmt);
        put_message(err, status, 0, fmt, ap);
        va_end(ap);
    }
    errno = saved;
    return status;
}

int err_sys(isol8_error *err, int errnum, const char *fmt, ...)
{
    int saved = errno;

    if (err != NULL) {
        va_list ap;
        va_start(ap, fmt);
        put_message(err, ISOL8_E_SYS, errnum, fmt, ap);
        va_end(ap);
    }
    errno = saved;
    return ISOL8_E_SYS;
}

int err_nomem(isol8_error *err)
{
    return err_set(err, ISOL8_E_NOMEM, "out of memory");
}

int err_wrap(isol8_error *err, int status, const char *fmt, ...)
{
    int saved = errno;

    if (err != NULL) {
        char tail[sizeof(err->msg)];
        va_list ap;

        memcpy(tail, err->msg, sizeof(tail));
        va_start(ap, fmt);
        int n = vsnprintf(err->msg, sizeof(err->msg), fmt, ap);
        va_end(ap);
        if (n >= 0 && (size_t)n < sizeof(err->msg))
            (void)snprintf(err->msg + n, sizeof(err->msg) - (size_t)n, ": %s", tail);
        escape_control(err->msg, sizeof(err->msg));
        err->status = status;
    }
    errno = saved;
    return status;
}
