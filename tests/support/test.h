/* SPDX-License-Identifier: Apache-2.0 */
/* test.h - cmocka with the headers it forgets to include. */
#ifndef TESTS_SUPPORT_TEST_H
#define TESTS_SUPPORT_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* Status and message of a failure, compared in one line. */
#define assert_err(err, status_, text)                                                             \
    do {                                                                                           \
        assert_int_equal((err).status, (status_));                                                 \
        assert_string_equal((err).msg, (text));                                                    \
    } while (0)

#endif
