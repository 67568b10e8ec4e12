/* SPDX-License-Identifier: Apache-2.0 */
/* test_doctor.c - what doctor says about runtimes, directories and limits that are not all well. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "executor/doctor/doctor.h"
#include "tests/support/test.h"

struct last {
    char name[32];
    enum isol8_check_state state;
    char found[DOCTOR_TEXT_MAX];
    char repair[DOCTOR_TEXT_MAX];
    unsigned n;
};

static char dir[64];

static void keep(const isol8_check *check, void *user)
{
    struct last *l = user;

    (void)snprintf(l->name, sizeof(l->name), "%s", check->name);
    (void)snprintf(l->found, sizeof(l->found), "%s", check->found);
    (void)snprintf(l->repair, sizeof(l->repair), "%s", check->repair);
    l->state = check->state;
    l->n++;
    /* Whatever is wrong comes with a way out, and nothing else does. */
    assert_int_equal(check->state == ISOL8_CHECK_OK, check->repair[0] == '\0');
}

static int make_dir(void **state)
{
    (void)state;
    (void)snprintf(dir, sizeof(dir), "/tmp/isol8-test-XXXXXX");
    return mkdtemp(dir) == NULL ? -1 : 0;
}

static int remove_dir(void **state)
{
    (void)state;
    char path[128];

    (void)snprintf(path, sizeof(path), "%s/runtime", dir);
    (void)unlink(path);
    return rmdir(dir);
}

/* What the check says about a program that answers --version with @answer. */
static struct last runtime_saying(const char *answer)
{
    struct last l = { .n = 0 };
    char path[128];

    (void)snprintf(path, sizeof(path), "%s/runtime", dir);
    FILE *f = fopen(path, "we");
    assert_non_null(f);
    (void)fprintf(f, "#!/bin/sh\n%s\n", answer);
    assert_int_equal(fclose(f), 0);
    assert_int_equal(chmod(path, 0755), 0);
    struct doctor d = { .runtime = path, .report = keep, .user = &l };
    doctor_check_runtime(&d);
    assert_int_equal(l.n, 1);
    assert_string_equal(l.name, "runc");
    assert_int_equal(d.n_failed, l.state == ISOL8_CHECK_FAIL);
    return l;
}

static void versions_are_ordered(void **state)
{
    (void)state;
    static const char *const rising[] = { "1.0.0-rc93", "1.0.3",      "1.1.0",      "1.1.5+ds1",
                                          "1.1.12",     "1.2.0-rc.2", "1.2.0-rc.3", "1.2.0",
                                          "1.2.8",      "1.3.3",      "1.4.0-rc.3", "1.4.0" };

    for (size_t i = 1; i < sizeof(rising) / sizeof(rising[0]); i++)
        assert_true(runc_version_number(rising[i - 1]) < runc_version_number(rising[i]));
    assert_int_equal(runc_version_number("unknown"), 0);
    assert_int_equal(runc_version_number(""), 0);
}

static unsigned holes_of(const char *version)
{
    unsigned mask = 0;

    for (size_t i = 0; i < RUNC_HOLES; i++)
        mask |= (unsigned)!runc_version_fixes(runc_version_number(version), i) << i;
    return mask;
}

static void holes_close_by_branch(void **state)
{
    (void)state;
    assert_int_equal(holes_of("1.1.11"), 31);
    assert_int_equal(holes_of("1.1.12"), 30);
    assert_int_equal(holes_of("1.1.14"), 28);
    assert_int_equal(holes_of("1.1.15"), 28);
    assert_int_equal(holes_of("1.2.0-rc.2"), 30);
    assert_int_equal(holes_of("1.2.0-rc.3"), 28);
    assert_int_equal(holes_of("1.2.7"), 28);
    assert_int_equal(holes_of("1.2.8"), 0);
    assert_int_equal(holes_of("1.3.2"), 28);
    assert_int_equal(holes_of("1.3.3"), 0);
    assert_int_equal(holes_of("1.4.0-rc.2"), 28);
    assert_int_equal(holes_of("1.4.0-rc.3"), 0);
    assert_int_equal(holes_of("2.0.0"), 0);
}

static void judges_a_runtime_by_its_answer(void **state)
{
    (void)state;
    struct last l = runtime_saying("echo runc version 1.3.3; echo commit: x; echo spec: 1.2.1");
    assert_int_equal(l.state, ISOL8_CHECK_OK);

    l = runtime_saying("echo runc version 1.1.14");
    assert_int_equal(l.state, ISOL8_CHECK_WARN);
    assert_non_null(strstr(l.found, "CVE-2025-31133"));
    assert_null(strstr(l.found, "CVE-2024-45310"));
    assert_non_null(strstr(l.found, "no Debian package"));

    l = runtime_saying("echo runc version 1.1.5");
    assert_int_equal(l.state, ISOL8_CHECK_FAIL);
    assert_non_null(strstr(l.found, "sandboxed code could use it: CVE-2024-21626"));

    l = runtime_saying("echo runc version 1.0.3");
    assert_int_equal(l.state, ISOL8_CHECK_FAIL);
    assert_non_null(strstr(l.found, "too old"));

    l = runtime_saying("echo crun version 1.8.1");
    assert_int_equal(l.state, ISOL8_CHECK_WARN);

    l = runtime_saying("exit 3");
    assert_int_equal(l.state, ISOL8_CHECK_FAIL);
    assert_non_null(strstr(l.found, "exit code 3"));
}

static void a_missing_runtime_fails(void **state)
{
    (void)state;
    struct last l = { .n = 0 };
    struct doctor d = { .runtime = "isol8-no-such-program", .report = keep, .user = &l };

    doctor_check_runtime(&d);
    assert_int_equal(l.state, ISOL8_CHECK_FAIL);
    assert_string_equal(l.found, "there is no program 'isol8-no-such-program'");
    assert_string_equal(l.repair, "apt-get update && apt-get install runc");
}

static void roots_must_be_reachable(void **state)
{
    (void)state;
    struct last l = { .n = 0 };
    char root[128];

    /* mkdtemp() makes it searchable by its owner alone. */
    (void)snprintf(root, sizeof(root), "%s/a/b", dir);
    struct doctor d = { .state_root = root, .data_root = "data", .report = keep, .user = &l };
    doctor_check_state_root(&d);
    assert_int_equal(l.state, ISOL8_CHECK_FAIL);
    assert_non_null(strstr(l.repair, "chmod o+x"));
    assert_int_equal(chmod(dir, 0711), 0);
    doctor_check_state_root(&d);
    assert_int_equal(l.state, ISOL8_CHECK_OK);
    doctor_check_data_root(&d);
    assert_int_equal(l.state, ISOL8_CHECK_FAIL);
    assert_string_equal(l.found, "'data' is no absolute path");
    assert_int_equal(d.n_failed, 2);
}

static void user_namespaces_off_is_said(void **state)
{
    (void)state;
    struct last l = { .n = 0 };
    struct doctor d = { .user_namespace = false, .report = keep, .user = &l };

    doctor_check_user_namespaces(&d);
    assert_int_equal(l.state, ISOL8_CHECK_WARN);
    assert_non_null(strstr(l.found, "switched off by configuration"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(versions_are_ordered),
        cmocka_unit_test(holes_close_by_branch),
        cmocka_unit_test_setup_teardown(judges_a_runtime_by_its_answer, make_dir, remove_dir),
        cmocka_unit_test(a_missing_runtime_fails),
        cmocka_unit_test_setup_teardown(roots_must_be_reachable, make_dir, remove_dir),
        cmocka_unit_test(user_namespaces_off_is_said),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
