/* SPDX-License-Identifier: Apache-2.0 */
/**
 * it_crash_library.c - a process that uses the library is killed in every phase of it
 *
 * The test executes itself with a scenario: a pool that is filled, used and emptied, a session with
 * files, setup scripts, kept sandboxes, the filtered network. It gets SIGKILL at the crash points
 * (executor/failpoint.h), also the second and third time it passes them, and at random moments.
 * Afterwards either isol8_cleanup() with force, or just the next isol8_host_open(), must leave
 * nothing.
 */
#include "tests/integration/it.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/integration/remains.h"

enum { FAILED = 3 };

/* ---- What is killed: in a process of its own ------------------------------------------------- */

static isol8_host *own;

static isol8_engine *engine(isol8_options *o)
{
    isol8_engine *e = NULL;
    isol8_error err = { 0 };

    o->timeout_ms = 60000;
    if (isol8_create(&e, own, o, &err) < 0) {
        (void)fprintf(stderr, "%s\n", err.msg);
        _exit(FAILED);
    }
    return e;
}

static void run(isol8_engine *e, const isol8_request *rq)
{
    isol8_result *res = NULL;
    isol8_error err = { 0 };

    if (isol8_execute(e, rq, &res, &err) < 0 || isol8_result_exit_code(res) != 0) {
        (void)fprintf(stderr, "%s\n", res == NULL ? err.msg : isol8_result_detail(res));
        _exit(FAILED);
    }
    isol8_result_free(res);
}

static void run_cmd(isol8_engine *e, const char *cmd)
{
    isol8_request rq = it_cmd(cmd);

    run(e, &rq);
}

static void check(int r)
{
    if (r < 0)
        _exit(FAILED);
}

static void prewarm(isol8_engine *e)
{
    static const char *const runtimes[] = { "bash" };
    isol8_start_options o;

    isol8_start_options_init(&o);
    o.prewarm = true;
    o.runtimes = runtimes;
    o.n_runtimes = 1;
    check(isol8_start(e, &o, NULL));
}

static void in_pool(void)
{
    isol8_options o = it_options();

    o.pool_clean = 3;
    o.pool_dirty = 2;
    isol8_engine *e = engine(&o);
    prewarm(e);
    for (int i = 0; i < 4; i++)
        run_cmd(e, "sleep 300 & echo x");
    check(isol8_stop(e, NULL));
    isol8_free(e);
}

static void in_session(void)
{
    isol8_options o = it_options();
    void *data = NULL;
    size_t n;

    o.mode = "persistent";
    isol8_engine *e = engine(&o);
    check(isol8_put_file(e, "before", "x", 1, NULL));
    run_cmd(e, "cat before; sleep 300 & echo y");
    check(isol8_put_file(e, "between", "x", 1, NULL));
    run_cmd(e, "cat between >result");
    check(isol8_get_file(e, "result", &data, &n, NULL));
    free(data);
    check(isol8_stop(e, NULL));
    isol8_free(e);
}

static void with_steps(void)
{
    isol8_options o = it_options();
    isol8_file file = { .path = "f", .data = "x", .size = 1 };
    const char *out = "f";
    isol8_request rq = it_cmd("cat f; sleep 300 &");

    isol8_engine *e = engine(&o);
    rq.setup_script = "echo setting up; sleep 300 >/dev/null 2>&1 &";
    rq.files = &file;
    rq.n_files = 1;
    rq.output_paths = &out;
    rq.n_output_paths = 1;
    run(e, &rq);
    isol8_free(e);
}

static void kept(void)
{
    isol8_options o = it_options();

    o.persist = true;
    isol8_engine *e = engine(&o);
    run_cmd(e, "sleep 300 & echo kept");
    isol8_free(e);
}

static void filtered(void)
{
    isol8_options o = it_options();

    o.network = "filtered";
    o.pool_clean = 2;
    isol8_engine *e = engine(&o);
    prewarm(e);
    run_cmd(e, "echo x");
    run_cmd(e, "echo x");
    check(isol8_stop(e, NULL));
    isol8_free(e);
}

/* Ends that are not the program's own. */
static void cut_short(void)
{
    isol8_options o = it_options();
    isol8_request rq = it_cmd("sleep 300 & sleep 300");
    isol8_run *r = NULL;
    isol8_result *res = NULL;

    isol8_engine *e = engine(&o);
    rq.timeout_ms = 50;
    check(isol8_execute(e, &rq, &res, NULL));
    isol8_result_free(res);
    rq.timeout_ms = 0;
    check(isol8_run_start(e, &rq, 0, &r, NULL));
    isol8_run_cancel(r);
    check(isol8_run_finish(r, NULL, NULL));
    isol8_free(e);
}

static const struct scenario {
    const char *name;
    void (*play)(void);
    const char *points[24]; /* all of them are passed */
} scenarios[] = {
    { "pool",
      in_pool,
      { "range", "record:2", "cgroup:3", "bundle", "runtime:2", "hello:3", "pool-made",
        "pool-made:3", "limits", "limits:2", "exec:3", "exited", "closed:2", "pool-retired",
        "pool-retired:3", "ended", "cgroup-removed:2", "directory-removed:2",
        "directory-removed:5" } },
    { "session",
      in_session,
      { "record", "hello", "limits", "put-sent", "put-sent:2", "session-made", "exec", "exec:2",
        "exited", "exited:2", "get-sent", "closed", "session-closed", "ended", "cgroup-removed",
        "directory-removed" } },
    { "steps", with_steps, { "setup", "exec", "exited", "closed", "ended" } },
    { "kept", kept, { "exited", "kept" } },
    { "filtered",
      filtered,
      { "userns:2", "network", "network:2", "hello", "limits", "exec:2", "closed", "ended:2" } },
    { "cut-short", cut_short, { "exec", "ended", "ended:2", "cgroup-removed" } },
};

static int play(const char *name, const char *cgroup_parent)
{
    isol8_host_options o;

    isol8_host_options_init(&o);
    o.cgroup_parent = cgroup_parent;
    check(isol8_host_open(&own, &o, NULL));
    for (size_t i = 0; i < ARRAY_LEN(scenarios); i++) {
        if (strcmp(scenarios[i].name, name) == 0)
            scenarios[i].play();
    }
    isol8_host_free(own);
    return 0;
}

/* ---- Killing it ------------------------------------------------------------------------------ */

static pid_t start(const struct scenario *s, const char *fail_at)
{
    pid_t pid = fork();

    assert_true(pid >= 0);
    if (pid > 0)
        return pid;
    int null = open("/dev/null", O_RDWR);
    if (getenv("ISOL8_TEST_VERBOSE") == NULL)
        (void)dup2(null, 2);
    (void)dup2(null, 1);
    if (fail_at != NULL)
        (void)setenv("ISOL8_FAIL_AT", fail_at, 1);
    (void)execl("/proc/self/exe", "it_crash_library", "--play", s->name, it_cgroup_parent(), NULL);
    _exit(99);
}

static int wait_for(pid_t pid)
{
    int status;

    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

static void clean_up(void)
{
    isol8_cleanup_options o;
    isol8_cleanup_report report;
    isol8_error err = { 0 };

    isol8_cleanup_options_init(&o);
    o.force = true;
    if (isol8_cleanup(it_host(), &o, &report, &err) < 0)
        fail_msg("isol8_cleanup: %s", err.msg);
    assert_int_equal(report.sandboxes_failed, 0);
}

static void open_another(void)
{
    isol8_host_options o;
    isol8_host *h = NULL;
    isol8_error err = { 0 };

    it_until_runtimes_ended();
    isol8_host_options_init(&o);
    o.cgroup_parent = it_cgroup_parent();
    if (isol8_host_open(&h, &o, &err) < 0)
        fail_msg("isol8_host_open: %s", err.msg);
    isol8_host_free(h);
}

static void test_unhurt(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(scenarios); i++) {
        int code = wait_for(start(&scenarios[i], NULL));
        if (code != 0)
            fail_msg("%s: exit code %d", scenarios[i].name, code);
        if (scenarios[i].play == kept)
            clean_up();
        it_nothing_left(scenarios[i].name);
    }
}

static void kill_at_points(void (*repair)(void))
{
    for (size_t i = 0; i < ARRAY_LEN(scenarios); i++) {
        const struct scenario *s = &scenarios[i];
        for (size_t j = 0; s->points[j] != NULL; j++) {
            char where[100];
            (void)snprintf(where, sizeof(where), "%s at %s", s->name, s->points[j]);
            int code = wait_for(start(s, s->points[j]));
            if (code != 137)
                fail_msg("%s: exit code %d", where, code);
            repair();
            it_nothing_left(where);
        }
    }
}

static void test_then_cleanup(void **state)
{
    (void)state;
    kill_at_points(clean_up);
}

static void test_then_next_host(void **state)
{
    (void)state;
    kill_at_points(open_another);
}

static void test_random_moments(void **state)
{
    enum { ROUNDS = 42 };

    (void)state;
    srand(20240301); /* the same moments every time, as far as the machine allows */
    for (int i = 0; i < ROUNDS; i++) {
        const struct scenario *s = &scenarios[(size_t)i % ARRAY_LEN(scenarios)];
        pid_t pid = start(s, NULL);
        (void)usleep((useconds_t)(rand() % 250000));
        assert_int_equal(kill(pid, SIGKILL), 0);
        (void)wait_for(pid); /* it may have been through */
        if (i % 2 == 0 || s->play == kept)
            clean_up();
        else
            open_another();
        it_nothing_left(s->name);
    }
}

/* All of them at the same time, some killed, some not; one cleaner. */
static void test_all_at_once(void **state)
{
    pid_t pids[2 * ARRAY_LEN(scenarios)];

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(pids); i++) {
        const struct scenario *s = &scenarios[i / 2];
        pids[i] = start(s, i % 2 == 0 ? s->points[i % 3 == 0 ? 0 : 1] : NULL);
    }
    int codes[ARRAY_LEN(pids)];
    for (size_t i = 0; i < ARRAY_LEN(pids); i++)
        codes[i] = wait_for(pids[i]);
    clean_up();
    for (size_t i = 0; i < ARRAY_LEN(pids); i++)
        assert_int_equal(codes[i], i % 2 == 0 ? 137 : 0);
    it_nothing_left("all at once");
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_unhurt),         cmocka_unit_test(test_then_cleanup),
        cmocka_unit_test(test_then_next_host), cmocka_unit_test(test_random_moments),
        cmocka_unit_test(test_all_at_once),
    };

    if (argc == 4 && strcmp(argv[1], "--play") == 0)
        return play(argv[2], argv[3]);
    return cmocka_run_group_tests(tests, it_open, it_close);
}
