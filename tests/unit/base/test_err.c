/* SPDX-License-Identifier: Apache-2.0 */
/* test_err.c - messages: escaped, cut, wrapped; never a failure of their own. */
#include "base/err.h"

#include <errno.h>
#include <string.h>

#include "tests/support/test.h"

static void test_set(void **state)
{
    isol8_error err;

    (void)state;
    errno = EDOM;
    assert_int_equal(err_set(&err, ISOL8_E_INVAL, "%s is %d", "x", 3), ISOL8_E_INVAL);
    assert_int_equal(errno, EDOM);
    assert_err(err, ISOL8_E_INVAL, "x is 3");
    assert_int_equal(err.sys_errno, 0);
    assert_int_equal(err_sys(&err, ENOENT, "cannot open '%s'", "f"), ISOL8_E_SYS);
    assert_err(err, ISOL8_E_SYS, "cannot open 'f': No such file or directory");
    assert_int_equal(err.sys_errno, ENOENT);
    assert_int_equal(err_set(NULL, ISOL8_E_BUSY, "nobody listens"), ISOL8_E_BUSY);
    assert_int_equal(err_sys(NULL, ENOENT, "x"), ISOL8_E_SYS);
    assert_int_equal(err_nomem(NULL), ISOL8_E_NOMEM);
    assert_int_equal(err_wrap(NULL, ISOL8_E_IMAGE, "x"), ISOL8_E_IMAGE);
}

static void test_wrap(void **state)
{
    isol8_error err;

    (void)state;
    (void)err_sys(&err, EACCES, "cannot read");
    assert_int_equal(err_wrap(&err, err.status, "image '%s'", "a"), ISOL8_E_SYS);
    assert_string_equal(err.msg, "image 'a': cannot read: Permission denied");
    assert_int_equal(err.sys_errno, EACCES);
}

static void test_control_bytes(void **state)
{
    isol8_error err;

    (void)state;
    (void)err_set(&err, ISOL8_E_INVAL, "'%s'", "\033[31mred\n\x7f\xc3\xa4");
    assert_string_equal(err.msg, "'\\x1b[31mred\\x0a\\x7f\xc3\xa4'");
}

/* Whatever the length: one line, ended, inside the array. */
static void test_long_messages(void **state)
{
    char text[2000];
    isol8_error err;

    (void)state;
    for (size_t n = 400; n < sizeof(text); n += 7) {
        memset(text, n % 2 == 0 ? 'a' : '\n', n);
        text[n] = '\0';
        (void)err_sys(&err, ENOENT, "%s", text);
        assert_true(strnlen(err.msg, sizeof(err.msg)) < sizeof(err.msg));
        assert_null(strchr(err.msg, '\n'));
        (void)err_wrap(&err, ISOL8_E_SYS, "%s", text);
        assert_true(strnlen(err.msg, sizeof(err.msg)) < sizeof(err.msg));
        assert_null(strchr(err.msg, '\n'));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_set),
        cmocka_unit_test(test_wrap),
        cmocka_unit_test(test_control_bytes),
        cmocka_unit_test(test_long_messages),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
