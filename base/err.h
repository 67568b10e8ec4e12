/* SPDX-License-Identifier: Apache-2.0 */
/* err.h - fill in the caller's isol8_error; reporting an error can neither fail nor allocate. */
#ifndef BASE_ERR_H
#define BASE_ERR_H

#include <stdarg.h>

#include <isol8/isol8.h>

/**
 * err_set() - Record a failure and its message
 *
 * Control bytes in the finished message are escaped, so guest data may be quoted in it.
 * Return: @status, so that a failing function can end with "return err_set(...)".
 */
int err_set(isol8_error *err, int status, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/** Like err_set() with ISOL8_E_SYS and ": <text of errnum>" appended; EINTR-free errno first. */
int err_sys(isol8_error *err, int errnum, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/** ISOL8_E_NOMEM with its message. */
int err_nomem(isol8_error *err);

/** Put "context: " in front of the message already there. Return: @status. */
int err_wrap(isol8_error *err, int status, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

#endif
