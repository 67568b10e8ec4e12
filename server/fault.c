/* SPDX-License-Identifier: Apache-2.0 */
/* fault.c - why a request is refused. */
#include "server/fault.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/err.h"

int srv_fault_set(struct srv_fault *f, int http, const char *field, const char *fmt, ...)
{
    char text[sizeof(f->text)];
    isol8_error err;
    va_list ap;

    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    (void)err_set(&err, ISOL8_E_INVAL, "%s", text); /* escapes what a client may have put in */
    f->http = http;
    (void)snprintf(f->text, sizeof(f->text), "%s", err.msg);
    (void)err_set(&err, ISOL8_E_INVAL, "%s", field == NULL ? "" : field);
    (void)snprintf(f->field, sizeof(f->field), "%s", err.msg);
    return -1;
}

static int http_of(const isol8_error *err)
{
    static const char conflict[] = "Cannot switch runtime";

    if (strncmp(err->msg, conflict, sizeof(conflict) - 1) == 0)
        return 409;
    switch (err->status) {
    case ISOL8_E_INVAL:
        return 400;
    case ISOL8_E_POLICY:
        return 403;
    case ISOL8_E_STATE:
    case ISOL8_E_BUSY:
        return 409;
    case ISOL8_E_LIMIT:
        return 413;
    case ISOL8_E_UNSUPPORTED:
        return 501;
    default:
        return 500;
    }
}

int srv_fault_of_error(struct srv_fault *f, const isol8_error *err)
{
    return srv_fault_set(f, http_of(err), NULL, "%s", err->msg);
}
