/* SPDX-License-Identifier: Apache-2.0 */
/**
 * it_crash.c - the command is killed at every step, and somebody else finishes what it began
 *
 * `isol8 run` gets SIGKILL at each crash point (executor/failpoint.h), at random moments, and with
 * many others beside it. Afterwards either `isol8 cleanup --force`, or just the next `isol8 run`,
 * must leave no sandbox, id range, cgroup, mount or process.
 */
#include "tests/integration/it.h"

#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/integration/remains.h"

static char config_path[256];

/* ---- The command
 * ---------------------------------------------------------------------------------- */

static int write_config(void)
{
    FILE *f;

    (void)snprintf(config_path, sizeof(config_path), "%s/config.json", getenv("ISOL8_TEST_DIR"));
    f = fopen(config_path, "we");
    if (f == NULL)
        return -1;
    (void)fprintf(f, "{\"cgroupParent\": \"%s\"}\n", it_cgroup_parent());
    return fclose(f);
}

/* This program's own host is not needed: the command opens one itself. */
static int open_crash(void **state)
{
    return it_open(state) != 0 ? -1 : write_config();
}

/* Start "$ISOL8 @argv..."; @fail_at may be NULL. Output goes to /dev/null, stdin is @stdin_fd. */
static pid_t start(const char *const *argv, const char *fail_at, int stdin_fd)
{
    pid_t pid = fork();

    assert_true(pid >= 0);
    if (pid > 0)
        return pid;
    int null = open("/dev/null", O_RDWR);
    (void)dup2(stdin_fd >= 0 ? stdin_fd : null, 0);
    (void)dup2(null, 1);
    if (getenv("ISOL8_TEST_VERBOSE") == NULL)
        (void)dup2(null, 2);
    (void)setenv("ISOL8_CONFIG", config_path, 1);
    if (fail_at != NULL)
        (void)setenv("ISOL8_FAIL_AT", fail_at, 1);
    (void)execv(getenv("ISOL8"), (char *const *)argv);
    _exit(99);
}

static int wait_for(pid_t pid)
{
    int status;

    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

static const char *const run_true[] = { "isol8",    "run",   "--image", "host", "--net",
                                        "filtered", "--cmd", "true",    NULL };
static const char *const run_long[] = {
    "isol8",    "run",       "--image", "host",  "--net",
    "filtered", "--timeout", "60000",   "--cmd", "sleep 50 & sleep 50",
    NULL
};
static const char *const cleanup[] = { "isol8", "cleanup", "--force", NULL };

/* ---- At each step
 * -------------------------------------------------------------------------------------- */

static const char *const points[] = {
    "range",  "directory", "record",  "userns",  "cgroup",         "rootfs",
    "bundle", "socket",    "runtime", "network", "hello",          "limits",
    "exec",   "exited",    "closed",  "ended",   "cgroup-removed", "directory-removed",
};

static void test_then_cleanup(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(points); i++) {
        if (wait_for(start(run_true, points[i], -1)) != 137)
            fail_msg("it was not killed at '%s'", points[i]);
        assert_int_equal(wait_for(start(cleanup, NULL, -1)), 0);
        it_nothing_left(points[i]);
    }
}

static void test_then_next_run(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(points); i++) {
        if (wait_for(start(run_true, points[i], -1)) != 137)
            fail_msg("it was not killed at '%s'", points[i]);
        it_until_runtimes_ended();
        assert_int_equal(wait_for(start(run_true, NULL, -1)), 0);
        it_nothing_left(points[i]);
    }
}

/* Clean-up itself is killed on its way, and then finished by another one. */
static void test_killed_cleanup(void **state)
{
    static const char *const on_the_way[] = { "cgroup-removed", "directory-removed" };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(on_the_way); i++) {
        assert_int_equal(wait_for(start(run_true, "cgroup", -1)), 137);
        assert_int_equal(wait_for(start(cleanup, on_the_way[i], -1)), 137);
        assert_int_equal(wait_for(start(cleanup, NULL, -1)), 0);
        it_nothing_left(on_the_way[i]);
    }
}

/* All of them dead at once, then one cleaner. */
static void test_many_corpses(void **state)
{
    pid_t pids[ARRAY_LEN(points)];

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(points); i++)
        pids[i] = start(run_true, points[i], -1);
    for (size_t i = 0; i < ARRAY_LEN(points); i++)
        (void)wait_for(pids[i]);
    assert_int_equal(wait_for(start(cleanup, NULL, -1)), 0);
    it_nothing_left("many at once");
}

/* ---- At any moment
 * ---------------------------------------------------------------------------------------- */

static void test_random_moments(void **state)
{
    enum { ROUNDS = 30 };

    (void)state;
    srand(20240229); /* the same moments every time, as far as the machine allows */
    for (int i = 0; i < ROUNDS; i++) {
        pid_t pid = start(run_long, NULL, -1);
        (void)usleep((useconds_t)(rand() % 150000));
        assert_int_equal(kill(pid, SIGKILL), 0);
        assert_int_equal(wait_for(pid), 137);
        if (i % 2 == 0) {
            assert_int_equal(wait_for(start(cleanup, NULL, -1)), 0);
        } else {
            it_until_runtimes_ended();
            assert_int_equal(wait_for(start(run_true, NULL, -1)), 0);
        }
        it_nothing_left("a random moment");
    }
}

/* A living neighbour is left alone by the next start, and ended by clean-up only with --force. */
static void test_living_sandbox(void **state)
{
    static const char *const gentle[] = { "isol8", "cleanup", NULL };
    static const char *const run_cat[] = { "isol8", "run",      "--image", "host",
                                           "--cmd", "sleep 50", NULL };

    (void)state;
    pid_t pid = start(run_cat, NULL, -1);
    while (it_count_entries("runc") == 0)
        (void)usleep(1000);
    assert_int_equal(wait_for(start(run_true, NULL, -1)), 0);
    (void)wait_for(start(gentle, NULL, -1));
    assert_int_equal(it_count_entries("sandboxes"), 1);
    assert_int_equal(kill(pid, 0), 0);
    (void)wait_for(start(cleanup, NULL, -1));
    assert_int_equal(wait_for(pid), 137); /* its program was killed under it */
    it_nothing_left("cleanup --force of a living sandbox");
}

/* ---- Many at once
 * ------------------------------------------------------------------------------------------- */

static void test_fifty_at_once(void **state)
{
    enum { N = 50 };
    pid_t pids[N];

    (void)state;
    for (int i = 0; i < N; i++)
        pids[i] = start(run_true, NULL, -1);
    for (int i = 0; i < N; i++)
        assert_int_equal(wait_for(pids[i]), 0);
    it_nothing_left("fifty at once");
}

/* Some of many are killed, while others start, end and reap. */
static void test_deaths_among_many(void **state)
{
    enum { N = 24 };
    pid_t pids[N];

    (void)state;
    for (int i = 0; i < N; i++)
        pids[i] = i % 3 == 0 ? start(run_true, points[(size_t)i % ARRAY_LEN(points)], -1)
                             : start(run_true, NULL, -1);
    for (int i = 0; i < N; i++)
        assert_int_equal(wait_for(pids[i]), i % 3 == 0 ? 137 : 0);
    assert_int_equal(wait_for(start(cleanup, NULL, -1)), 0);
    it_nothing_left("deaths among many");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_then_cleanup),   cmocka_unit_test(test_then_next_run),
        cmocka_unit_test(test_killed_cleanup), cmocka_unit_test(test_many_corpses),
        cmocka_unit_test(test_random_moments), cmocka_unit_test(test_living_sandbox),
        cmocka_unit_test(test_fifty_at_once),  cmocka_unit_test(test_deaths_among_many),
    };

    return cmocka_run_group_tests(tests, open_crash, it_close);
}
