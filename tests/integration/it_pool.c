/* SPDX-License-Identifier: Apache-2.0 */
/* it_pool.c - sandboxes prepared ahead: fresh, by kind, refilled, and gone with their engine. */
#include "tests/integration/it.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static void prewarm(isol8_engine *e, const char *runtime)
{
    isol8_start_options o;
    isol8_error err = { 0 };

    isol8_start_options_init(&o);
    o.prewarm = true;
    o.runtimes = &runtime;
    o.n_runtimes = runtime == NULL ? 0 : 1;
    if (isol8_start(e, &o, &err) < 0)
        fail_msg("isol8_start: %s", err.msg);
}

static isol8_options clean(unsigned n)
{
    isol8_options o = it_options();

    o.pool_clean = n;
    o.pool_dirty = 8;
    return o;
}

/* ---- Start, stop, kinds --------------------------------------------------------------------- */

static void test_start_and_stop(void **state)
{
    isol8_options o = clean(3);
    auto_engine isol8_engine *e = it_engine(&o);
    isol8_error err = { 0 };

    (void)state;
    assert_int_equal(isol8_start(e, NULL, &err), 0); /* nothing to prepare */
    assert_int_equal(it_count_sandboxes(NULL), 0);
    prewarm(e, "bash");
    assert_int_equal(it_count_sandboxes(NULL), 3);
    prewarm(e, "bash"); /* repeated: nothing more */
    assert_int_equal(it_count_sandboxes(NULL), 3);
    assert_int_equal(isol8_stop(e, &err), 0);
    assert_int_equal(it_count_sandboxes(NULL), 0);
    assert_int_equal(isol8_stop(e, &err), 0);
    it_says(e, "echo again", "again\n"); /* it can be used after a stop */
}

static void test_all_runtimes(void **state)
{
    isol8_options o = clean(1);
    auto_engine isol8_engine *e = it_engine(&o);

    (void)state;
    /* With an image for all of them there are two kinds: the agent's /sandbox is larger. */
    prewarm(e, NULL);
    assert_int_equal(it_count_sandboxes(NULL), 2);
}

static void test_start_refuses(void **state)
{
    static const char *const runtimes[] = { "bash", "cobol" };
    auto_engine isol8_engine *e = it_engine(NULL);
    isol8_start_options o;
    isol8_error err = { 0 };

    (void)state;
    isol8_start_options_init(&o);
    o.prewarm = true;
    o.runtimes = runtimes;
    o.n_runtimes = 2;
    assert_int_equal(isol8_start(e, &o, &err), ISOL8_E_INVAL);
    assert_string_equal(err.msg, "Unknown runtime: \"cobol\". Available: python, node, bun, bash, "
                                 "deno, agent");
    assert_int_equal(it_count_sandboxes(NULL), 0);
}

static void test_secure_makes_none_ahead(void **state)
{
    isol8_options o = clean(3);

    (void)state;
    o.pool_strategy = "secure";
    auto_engine isol8_engine *e = it_engine(&o);
    prewarm(e, "bash");
    assert_int_equal(it_count_sandboxes(NULL), 0);
    it_says(e, "echo x", "x\n");
    assert_int_equal(isol8_stop(e, NULL), 0);
    assert_int_equal(it_count_sandboxes(NULL), 0);
}

static void test_bad_options(void **state)
{
    isol8_engine *e = NULL;
    isol8_error err = { 0 };

    (void)state;
    isol8_options o = it_options();
    o.pool_strategy = "slow";
    assert_int_equal(isol8_create(&e, it_host(), &o, &err), ISOL8_E_INVAL);
    assert_string_equal(err.msg, "poolStrategy: 'slow' is not one of fast, secure");
    o = it_options();
    o.mode = "eternal";
    assert_int_equal(isol8_create(&e, it_host(), &o, &err), ISOL8_E_INVAL);
    assert_string_equal(err.msg, "mode: 'eternal' is not one of ephemeral, persistent");
    o = it_options();
    o.pool_clean = 100000;
    assert_int_equal(isol8_create(&e, it_host(), &o, &err), ISOL8_E_INVAL);
    o = it_options();
    o.max_concurrent = 0;
    assert_int_equal(isol8_create(&e, it_host(), &o, &err), ISOL8_E_INVAL);
    assert_string_equal(err.msg, "Semaphore max must be >= 1");
}

/* ---- Fresh each time ------------------------------------------------------------------------ */

static void test_used_once(void **state)
{
    static const char look[] =
        "ls -A /sandbox /tmp /dev/shm; ipcs -q 2>/dev/null | grep -c 0x; "
        "touch /sandbox/left /tmp/left /dev/shm/left /sandbox/..left; sleep 600 & "
        "pgrep -c sleep; cat /proc/self/uid_map | tr -s ' ' | cut -d' ' -f3 >&2";
    isol8_options o = clean(2);
    auto_engine isol8_engine *e = it_engine(&o);
    char first_id[65] = "", ids[4][32];

    (void)state;
    prewarm(e, "bash");
    for (int i = 0; i < 4; i++) {
        auto_result isol8_result *res = it_on(e, look);
        it_expect_out(res, ISOL8_VERDICT_OK, 0, "/dev/shm:\n\n/sandbox:\n\n/tmp:\n0\n1\n");
        assert_string_not_equal(isol8_result_container_id(res), first_id);
        (void)snprintf(first_id, sizeof(first_id), "%s", isol8_result_container_id(res));
        (void)snprintf(ids[i], sizeof(ids[i]), "%s", isol8_result_stderr(res, NULL));
        for (int k = 0; k < i; k++) /* not even the host's user is the same as another's */
            assert_string_not_equal(ids[k], ids[i]);
    }
}

/* What is set when a sandbox is taken is what this request and this engine say. */
static void test_limits_of_the_taker(void **state)
{
    isol8_options o = clean(1);
    auto_engine isol8_engine *big = it_engine(&o);

    (void)state;
    prewarm(big, "bash");
    o.memory_limit = "64m";
    o.cpu_limit = 0.5;
    auto_engine isol8_engine *small = it_engine(&o);
    char waiting[65];
    assert_int_equal(it_count_sandboxes(waiting), 1);
    auto_result isol8_result *res = it_on(small, "cat /sys/fs/cgroup/memory/memory.limit_in_bytes "
                                                 "/sys/fs/cgroup/cpu/cpu.cfs_quota_us");
    it_expect_out(res, ISOL8_VERDICT_OK, 0, "67108864\n50000\n");
    /* The other engine's sandbox served: it is of the same kind, and one pool serves both. */
    assert_string_equal(isol8_result_container_id(res), waiting);
}

static void test_kinds_never_mix(void **state)
{
    isol8_options o = clean(1);
    auto_engine isol8_engine *plain = it_engine(&o);
    char waiting[65];

    (void)state;
    prewarm(plain, "bash");
    assert_int_equal(it_count_sandboxes(waiting), 1);
    for (int i = 0; i < 5; i++) {
        isol8_options other = clean(0);
        if (i == 0)
            other.tmp_size = "1m";
        if (i == 1)
            other.sandbox_size = "3m";
        if (i == 2)
            other.readonly_rootfs = false;
        if (i == 3)
            other.seccomp = "unconfined";
        if (i == 4)
            other.network = "filtered";
        auto_engine isol8_engine *e = it_engine(&other);
        auto_result isol8_result *res = it_on(e, "true");
        assert_string_not_equal(isol8_result_container_id(res), waiting);
    }
    auto_result isol8_result *res = it_on(plain, "true");
    assert_string_equal(isol8_result_container_id(res), waiting);
}

/* ---- Refill and removal --------------------------------------------------------------------- */

static void test_refill(void **state)
{
    isol8_options o = clean(2);
    auto_engine isol8_engine *e = it_engine(&o);

    (void)state;
    prewarm(e, "bash");
    for (int i = 0; i < 5; i++)
        it_says(e, "echo hi", "hi\n");
    it_until_sandboxes(2); /* the used ones are gone, and as many new ones wait */
}

/* An execution that lasts lets the pool be filled up before its own end. */
static void test_refill_meanwhile(void **state)
{
    isol8_options o = clean(1);
    isol8_request rq = it_cmd("echo ready; cat");
    struct it_watch w;

    (void)state;
    rq.stdin_open = true;
    auto_engine isol8_engine *keeps = it_engine(&o);
    prewarm(keeps, "bash");
    it_watch_start(&w, &o, &rq);
    it_watch_until(&w, "ready\n");
    double end = it_seconds() + 10;
    while (it_count_sandboxes(NULL) < 2 && it_seconds() < end) {
        isol8_event ev;
        (void)isol8_run_next(w.run, &ev, NULL);
        (void)usleep(2000);
    }
    assert_int_equal(it_count_sandboxes(NULL), 2);
    assert_int_equal(isol8_run_stdin(w.run, NULL, 0, NULL), 0);
    it_watch_to_end(&w);
    auto_result isol8_result *res = it_watch_finish(&w);
    it_expect(res, ISOL8_VERDICT_OK, 0);
}

static void test_no_dirty_ones(void **state)
{
    isol8_options o = it_options();

    (void)state;
    o.pool_clean = 0;
    o.pool_dirty = 0;
    auto_engine isol8_engine *e = it_engine(&o);
    for (int i = 0; i < 3; i++) {
        it_says(e, "echo hi", "hi\n");
        assert_int_equal(it_count_sandboxes(NULL), 0); /* the caller waited for the removal */
    }
}

/* A sandbox that died while it waited is not handed out. */
static void test_dead_while_waiting(void **state)
{
    isol8_options o = clean(1);
    auto_engine isol8_engine *e = it_engine(&o);
    char id[65], path[256];

    (void)state;
    prewarm(e, "bash");
    assert_int_equal(it_count_sandboxes(id), 1);
    (void)snprintf(path, sizeof(path), "/sys/fs/cgroup/pids/%s/%s/cgroup.procs", it_cgroup_parent(),
                   id);
    size_t n;
    auto_free char *text = it_read_file(path, &n);
    assert_int_equal(kill((pid_t)strtol(text, NULL, 10), SIGKILL), 0);
    (void)usleep(100000);
    auto_result isol8_result *res = it_on(e, "echo alive");
    it_expect_out(res, ISOL8_VERDICT_OK, 0, "alive\n");
    assert_string_not_equal(isol8_result_container_id(res), id);
}

/* Images changed: what was made before is not used any more. */
static void test_images_changed(void **state)
{
    isol8_options o = clean(1);
    auto_engine isol8_engine *e = it_engine(&o);
    char id[65], path[300];

    (void)state;
    prewarm(e, "bash");
    assert_int_equal(it_count_sandboxes(id), 1);
    (void)snprintf(path, sizeof(path), "%s/images/index.json", getenv("ISOL8_DATA_ROOT"));
    if (access(path, F_OK) < 0) {
        FILE *f = fopen(path, "we");
        assert_non_null(f);
        (void)fprintf(f, "{\"schemaVersion\":2,\"manifests\":[]}");
        assert_int_equal(fclose(f), 0);
    } else {
        assert_int_equal(utimensat(AT_FDCWD, path, NULL, 0), 0);
    }
    auto_result isol8_result *res = it_on(e, "true");
    assert_string_not_equal(isol8_result_container_id(res), id);
}

/* ---- A runtime that fails ------------------------------------------------------------------- */

static char broken[300];
static unsigned warnings;

static void on_log(enum isol8_log_level level, const char *line, void *user)
{
    (void)user;
    if (level == ISOL8_LOG_WARN && strstr(line, "pool: cannot prepare") != NULL)
        __atomic_add_fetch(&warnings, 1, __ATOMIC_RELAXED);
}

/* A host of its own whose runtime fails as long as the file @broken is there. */
static isol8_host *flaky_host(int64_t linger_ms)
{
    isol8_host_options opts;
    isol8_host *h = NULL;
    isol8_error err = { 0 };
    char script[300];

    (void)snprintf(broken, sizeof(broken), "%s/broken", getenv("ISOL8_TEST_DIR"));
    (void)snprintf(script, sizeof(script), "%s/flaky-runc", getenv("ISOL8_TEST_DIR"));
    FILE *f = fopen(script, "we");
    assert_non_null(f);
    (void)fprintf(f,
                  "#!/bin/sh\nif [ -e '%s' ]; then echo 'the moon is wrong' >&2; exit 1; fi\n"
                  "exec runc \"$@\"\n",
                  broken);
    assert_int_equal(fclose(f), 0);
    assert_int_equal(chmod(script, 0755), 0);
    isol8_host_options_init(&opts);
    opts.runtime = script;
    opts.cgroup_parent = it_cgroup_parent();
    opts.log = on_log;
    opts.pool_linger_ms = linger_ms;
    if (isol8_host_open(&h, &opts, &err) < 0)
        fail_msg("isol8_host_open: %s", err.msg);
    return h;
}

static void test_back_off(void **state)
{
    isol8_host *h = flaky_host(0);
    isol8_options o = clean(2);
    isol8_engine *e = NULL;
    isol8_error err = { 0 };
    isol8_request rq = it_cmd("echo ok");

    (void)state;
    assert_int_equal(isol8_create(&e, h, &o, &err), 0);
    it_says(e, "echo ok", "ok\n");
    assert_int_equal(isol8_stop(e, NULL), 0);
    int fd = open(broken, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
    assert_true(fd >= 0);
    (void)close(fd);
    warnings = 0;
    prewarm(e, "bash");
    assert_int_not_equal(warnings, 0);
    for (int i = 0; i < 20; i++) {
        isol8_result *res = NULL;
        assert_int_equal(isol8_execute(e, &rq, &res, &err), ISOL8_E_RUNTIME);
        assert_non_null(strstr(err.msg, "the moon is wrong"));
    }
    assert_in_range(warnings, 1, 12); /* it was not tried again and again */
    assert_int_equal(unlink(broken), 0);
    it_says(e, "echo ok", "ok\n");
    isol8_free(e);
    assert_int_equal(it_count_sandboxes(NULL), 0);
    isol8_host_free(h);
}

static void test_linger(void **state)
{
    isol8_host *h = flaky_host(700);
    isol8_options o = clean(1);
    isol8_engine *e = NULL;
    char id[65];

    (void)state;
    assert_int_equal(isol8_create(&e, h, &o, NULL), 0);
    prewarm(e, "bash");
    isol8_free(e);
    assert_int_equal(it_count_sandboxes(id), 1); /* waits for the next engine */
    assert_int_equal(isol8_create(&e, h, &o, NULL), 0);
    isol8_pool_state pool;
    isol8_pool_look(h, &pool);
    assert_int_equal(pool.kinds, 1);
    assert_int_equal(pool.ready, 1);
    isol8_result *res = it_on(e, "true");
    assert_string_equal(isol8_result_container_id(res), id);
    isol8_pool_look(h, &pool);
    assert_int_equal(pool.hits, 1);
    assert_int_equal(pool.misses, 0);
    isol8_result_free(res);
    isol8_free(e);
    it_until_sandboxes(0); /* but not for ever */
    assert_int_equal(isol8_create(&e, h, &o, NULL), 0);
    prewarm(e, "bash");
    isol8_free(e);
    isol8_host_free(h); /* the host takes along what lingers */
    assert_int_equal(it_count_sandboxes(NULL), 0);
}

/* ---- Fork ----------------------------------------------------------------------------------- */

static int child_checks(isol8_engine *e)
{
    isol8_request rq = it_cmd("true");
    isol8_result *res = NULL;
    isol8_error err = { 0 };
    isol8_engine *other = NULL;
    isol8_host *h = NULL;
    isol8_host_options opts;

    if (isol8_execute(e, &rq, &res, &err) != ISOL8_E_STATE || strstr(err.msg, "fork()") == NULL)
        return 1;
    if (isol8_create(&other, it_host(), NULL, &err) != ISOL8_E_STATE)
        return 2;
    if (isol8_start(e, NULL, &err) != ISOL8_E_STATE || isol8_stop(e, &err) != ISOL8_E_STATE)
        return 3;
    isol8_free(e);
    isol8_host_free(it_host());
    /* A host of its own works. */
    isol8_host_options_init(&opts);
    opts.cgroup_parent = it_cgroup_parent();
    if (isol8_host_open(&h, &opts, &err) < 0)
        return 4;
    isol8_options o = it_options();
    if (isol8_create(&other, h, &o, &err) < 0 || isol8_execute(other, &rq, &res, &err) < 0)
        return 5;
    isol8_result_free(res);
    isol8_free(other);
    isol8_host_free(h);
    return 0;
}

static void test_after_fork(void **state)
{
    isol8_options o = clean(1);
    auto_engine isol8_engine *e = it_engine(&o);
    char id[65];
    int status;

    (void)state;
    prewarm(e, "bash");
    assert_int_equal(it_count_sandboxes(id), 1);
    pid_t pid = fork();
    if (pid == 0)
        _exit(child_checks(e));
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    auto_result isol8_result *res = it_on(e, "echo parent");
    it_expect_out(res, ISOL8_VERDICT_OK, 0, "parent\n");
    assert_string_equal(isol8_result_container_id(res), id);
}

/* ---- Many ----------------------------------------------------------------------------------- */

enum { MANY = 64 };

struct caller {
    isol8_engine *e;
    unsigned number;
    char complaint[600];
};

static void *call(void *user)
{
    struct caller *c = user;
    char cmd[64], want[32];

    (void)snprintf(cmd, sizeof(cmd), "echo %u; echo x >f", c->number);
    (void)snprintf(want, sizeof(want), "%u\n", c->number);
    for (int i = 0; i < 3; i++) {
        isol8_request rq = it_cmd(cmd);
        isol8_result *res = NULL;
        isol8_error err = { 0 };
        if (isol8_execute(c->e, &rq, &res, &err) < 0)
            (void)snprintf(c->complaint, sizeof(c->complaint), "%s", err.msg);
        else if (strcmp(isol8_result_stdout(res, NULL), want) != 0)
            (void)snprintf(c->complaint, sizeof(c->complaint), "expected %s, got '%s' (%s)", want,
                           isol8_result_stdout(res, NULL), isol8_result_detail(res));
        isol8_result_free(res);
    }
    return NULL;
}

static void test_many_threads(void **state)
{
    static struct caller callers[MANY];
    pthread_t threads[MANY];
    isol8_options o = clean(4);

    (void)state;
    o.max_concurrent = 24;
    auto_engine isol8_engine *e = it_engine(&o);
    prewarm(e, "bash");
    for (unsigned i = 0; i < MANY; i++) {
        callers[i] = (struct caller){ .e = e, .number = i };
        assert_int_equal(pthread_create(&threads[i], NULL, call, &callers[i]), 0);
    }
    for (unsigned i = 0; i < MANY; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    for (unsigned i = 0; i < MANY; i++)
        assert_string_equal(callers[i].complaint, "");
}

/* Runs that wait for the pool or for their turn are cancelled like any other. */
static void test_cancel_while_waiting(void **state)
{
    enum { N = 30 };
    isol8_options o = clean(2);
    isol8_request rq = it_cmd("sleep 100");
    isol8_run *runs[N];

    (void)state;
    o.max_concurrent = N;
    auto_engine isol8_engine *e = it_engine(&o);
    for (int i = 0; i < N; i++)
        assert_int_equal(isol8_run_start(e, &rq, 0, &runs[i], NULL), 0);
    for (int i = 0; i < N; i++)
        isol8_run_cancel(runs[i]);
    for (int i = 0; i < N; i++) {
        auto_result isol8_result *res = NULL;
        assert_int_equal(isol8_run_finish(runs[i], &res, NULL), 0);
        it_expect(res, ISOL8_VERDICT_CANCELLED, 137);
    }
    assert_int_equal(isol8_stop(e, NULL), 0);
    assert_int_equal(it_count_sandboxes(NULL), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_start_and_stop),
        cmocka_unit_test(test_all_runtimes),
        cmocka_unit_test(test_start_refuses),
        cmocka_unit_test(test_secure_makes_none_ahead),
        cmocka_unit_test(test_bad_options),
        cmocka_unit_test(test_used_once),
        cmocka_unit_test(test_limits_of_the_taker),
        cmocka_unit_test(test_kinds_never_mix),
        cmocka_unit_test(test_refill),
        cmocka_unit_test(test_refill_meanwhile),
        cmocka_unit_test(test_no_dirty_ones),
        cmocka_unit_test(test_dead_while_waiting),
        cmocka_unit_test(test_images_changed),
        cmocka_unit_test(test_back_off),
        cmocka_unit_test(test_linger),
        cmocka_unit_test(test_after_fork),
        cmocka_unit_test(test_many_threads),
        cmocka_unit_test(test_cancel_while_waiting),
    };

    return cmocka_run_group_tests(tests, it_open, it_close);
}
