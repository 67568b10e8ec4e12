/* SPDX-License-Identifier: Apache-2.0 */
/* test_find.c - which file counts, and which is refused. */
#include "config/conf_internal.h"
#include "tests/support/test.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/path.h"

static char top[] = "/tmp/isol8-find-XXXXXX";
static char named[64], project[64], home_dir[64], home[96], system_file[64];

static const struct conf_places places = { .project = project,
                                           .home = home_dir,
                                           .system = system_file };

static void write_file(const char *path, mode_t mode)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    assert_true(fd >= 0);
    assert_int_equal(fd_write_all(fd, "{}", 2), 0);
    assert_int_equal(fchmod(fd, mode), 0);
    (void)fd_close(fd);
}

static int setup(void **state)
{
    (void)state;
    memset(top + strlen(top) - 6, 'X', 6);
    if (mkdtemp(top) == NULL)
        return -1;
    (void)snprintf(named, sizeof(named), "%s/named", top);
    (void)snprintf(project, sizeof(project), "%s/project", top);
    (void)snprintf(home_dir, sizeof(home_dir), "%s/home", top);
    (void)snprintf(home, sizeof(home), "%s/.isol8/config.json", home_dir);
    (void)snprintf(system_file, sizeof(system_file), "%s/system", top);
    return mkdir(home_dir, 0700);
}

static int teardown(void **state)
{
    (void)state;
    return path_remove_tree(AT_FDCWD, top, NULL);
}

static void make_home(void)
{
    char dir[80];

    (void)snprintf(dir, sizeof(dir), "%s/.isol8", home_dir);
    assert_int_equal(mkdir(dir, 0700), 0);
    write_file(home, 0600);
}

static void expect_path(const struct conf_places *where, const char *path, bool is_project)
{
    struct conf_file f = CONF_FILE_INIT;
    isol8_error err;

    assert_int_equal(conf_find(&f, where, &err), 0);
    if (path == NULL) {
        assert_int_equal(f.fd, -1);
    } else {
        assert_string_equal(f.path, path);
        assert_int_equal(f.is_project, is_project);
    }
    conf_file_done(&f);
}

static void expect_error(const struct conf_places *where, int status, const char *part)
{
    struct conf_file f = CONF_FILE_INIT;
    isol8_error err;

    assert_int_equal(conf_find(&f, where, &err), status);
    assert_non_null(strstr(err.msg, part));
}

static void test_order(void **state)
{
    struct conf_places p = places;

    (void)state;
    expect_path(&p, NULL, false);
    write_file(system_file, 0644);
    expect_path(&p, system_file, false);
    make_home();
    expect_path(&p, home, false);
    write_file(project, 0666);
    expect_path(&p, project, true);
    write_file(named, 0600);
    p.from_env = named;
    expect_path(&p, named, false);
    p.named = system_file;
    expect_path(&p, system_file, false);
    p.named = NULL;
    p.from_env = "";
    expect_path(&p, project, true);
}

static void test_named_must_exist(void **state)
{
    struct conf_places p = places;

    (void)state;
    write_file(system_file, 0644);
    p.from_env = named;
    expect_error(&p, ISOL8_E_SYS, "ISOL8_CONFIG: ");
    p.named = named;
    expect_error(&p, ISOL8_E_SYS, "No such file");
    p.named = top;
    expect_error(&p, ISOL8_E_INVAL, "not a regular file");
}

static void test_project_is_regular(void **state)
{
    (void)state;
    assert_int_equal(mkfifo(project, 0600), 0);
    expect_error(&places, ISOL8_E_INVAL, "not a regular file");
}

static void test_writable_by_all(void **state)
{
    struct conf_places p = places;

    (void)state;
    write_file(system_file, 0666);
    expect_error(&p, ISOL8_E_POLICY, "everybody may write");
    p.named = system_file;
    expect_error(&p, ISOL8_E_POLICY, "chmod o-w");
}

static void test_foreign_owner(void **state)
{
    struct conf_places p = places;

    (void)state;
    if (geteuid() != 0)
        fail_msg("a file cannot be given away: this test needs root");
    write_file(system_file, 0644);
    assert_int_equal(chown(system_file, 12345, 12345), 0);
    expect_error(&p, ISOL8_E_POLICY, "belongs to user 12345");
    p.named = system_file; /* who names it has decided */
    expect_path(&p, system_file, false);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_order, setup, teardown),
        cmocka_unit_test_setup_teardown(test_named_must_exist, setup, teardown),
        cmocka_unit_test_setup_teardown(test_project_is_regular, setup, teardown),
        cmocka_unit_test_setup_teardown(test_writable_by_all, setup, teardown),
        cmocka_unit_test_setup_teardown(test_foreign_owner, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
