/* SPDX-License-Identifier: Apache-2.0 */
/* test_tree.c - what a layer's tree looks like after each step. */
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "oci/tree.h"
#include "tests/support/tmpdir.h"

static bool has(int fd, const char *name)
{
    struct stat st;

    return fstatat(fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

static void file(int fd, const char *name, const char *content, unsigned mode)
{
    isol8_error err;

    if (tree_put_file(fd, name, content, strlen(content), mode, &err) < 0)
        fail_msg("%s", err.msg);
}

static void test_exclude(void **state)
{
    static const char *const patterns[] = { "usr/share/doc", "*.a", "usr/lib/*/gconv" };
    struct tmpdir t;

    (void)state;
    tmpdir_open(&t);
    file(t.fd, "usr/share/doc/x/y", "", 0644);
    file(t.fd, "usr/share/docs", "", 0644);
    file(t.fd, "usr/lib/q/z.a", "", 0644);
    file(t.fd, "usr/lib/q/gconv/m", "", 0644);
    assert_int_equal(tree_exclude(t.fd, patterns, ARRAY_LEN(patterns), NULL), 0);
    assert_false(has(t.fd, "usr/share/doc"));
    assert_true(has(t.fd, "usr/share/docs"));
    assert_false(has(t.fd, "usr/lib/q/z.a"));
    assert_false(has(t.fd, "usr/lib/q/gconv"));
    assert_true(has(t.fd, "usr/lib/q"));
    tmpdir_close(&t);
}

static void test_normalise(void **state)
{
    struct tmpdir t;
    struct stat st;

    (void)state;
    tmpdir_open(&t);
    file(t.fd, "su", "", 04711);
    file(t.fd, "secret/key", "", 0600);
    assert_int_equal(fchmodat(t.fd, "secret", 02700, 0), 0);
    assert_int_equal(mkfifoat(t.fd, "fifo", 0666), 0);
    assert_int_equal(symlinkat("/etc/shadow", t.fd, "link"), 0);
    assert_int_equal(tree_normalise(t.fd, NULL), 0);
    assert_int_equal(fstatat(t.fd, "su", &st, 0), 0);
    assert_int_equal(st.st_mode & 07777, 0755);
    assert_int_equal(fstatat(t.fd, "secret/key", &st, 0), 0);
    assert_int_equal(st.st_mode & 07777, 0644);
    assert_int_equal(fstatat(t.fd, "secret", &st, 0), 0);
    assert_int_equal(st.st_mode & 07777, 0755);
    assert_false(has(t.fd, "fifo"));
    assert_true(has(t.fd, "link"));
    tmpdir_close(&t);
}

static void test_subtract(void **state)
{
    struct tmpdir base, t;

    (void)state;
    tmpdir_open(&base);
    tmpdir_open(&t);
    file(base.fd, "usr/same", "abc", 0644);
    file(t.fd, "usr/same", "abc", 0644);
    file(base.fd, "usr/bytes", "abc", 0644);
    file(t.fd, "usr/bytes", "abd", 0644);
    file(base.fd, "usr/mode", "abc", 0644);
    file(t.fd, "usr/mode", "abc", 0755);
    file(base.fd, "gone/same", "abc", 0644);
    file(t.fd, "gone/same", "abc", 0644);
    file(t.fd, "own/file", "abc", 0644);
    assert_int_equal(tree_put_link(base.fd, "l1", "a", NULL), 0);
    assert_int_equal(tree_put_link(t.fd, "l1", "a", NULL), 0);
    assert_int_equal(tree_put_link(base.fd, "l2", "a", NULL), 0);
    assert_int_equal(tree_put_link(t.fd, "l2", "b", NULL), 0);
    assert_int_equal(tree_subtract(t.fd, base.fd, NULL), 0);
    assert_false(has(t.fd, "usr/same"));
    assert_true(has(t.fd, "usr/bytes"));
    assert_true(has(t.fd, "usr/mode"));
    assert_false(has(t.fd, "gone"));
    assert_true(has(t.fd, "own/file"));
    assert_false(has(t.fd, "l1"));
    assert_true(has(t.fd, "l2"));
    tmpdir_close(&base);
    tmpdir_close(&t);
}

static void test_paths_stay_inside(void **state)
{
    struct tmpdir t;

    (void)state;
    tmpdir_open(&t);
    assert_int_equal(tree_put_file(t.fd, "../x", "", 0, 0644, NULL), ISOL8_E_INVAL);
    assert_int_equal(tree_put_file(t.fd, "/x", "", 0, 0644, NULL), ISOL8_E_INVAL);
    assert_int_equal(tree_put_link(t.fd, "out", "/tmp", NULL), 0);
    assert_int_equal(tree_put_file(t.fd, "out/isol8-x", "", 0, 0644, NULL), ISOL8_E_SYS);
    assert_int_equal(access("/tmp/isol8-x", F_OK), -1);
    tmpdir_close(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_exclude),
        cmocka_unit_test(test_normalise),
        cmocka_unit_test(test_subtract),
        cmocka_unit_test(test_paths_stay_inside),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
