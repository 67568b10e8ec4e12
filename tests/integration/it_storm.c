/* SPDX-License-Identifier: Apache-2.0 */
/**
 * it_storm.c - kills, cancels, stops and floods that come at the worst moment
 *
 * Thousands of processes that fork while they are killed, output that nobody takes, cancelling and
 * stopping from other threads, two engines at once, and files put where a program replaces their
 * place all the time. Each call ends in reasonable time, and nothing outside the sandbox is
 * touched.
 */
#include "tests/integration/it.h"

#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

enum { CALL_S_MAX = 20 };

/* cmocka's assertions work in the main thread only. */
#define COMPLAIN(w, ...)                                                                           \
    do {                                                                                           \
        if ((w)->complaint[0] == '\0')                                                             \
            (void)snprintf((w)->complaint, sizeof((w)->complaint), __VA_ARGS__);                   \
    } while (0)

/* ---- Forking while being killed -------------------------------------------------------------- */

static unsigned long count_processes(const char *id)
{
    char path[300], text[32] = "";

    (void)snprintf(path, sizeof(path), "/sys/fs/cgroup/pids/%s/%s/pids.current", it_cgroup_parent(),
                   id);
    FILE *f = fopen(path, "re");
    if (f != NULL) {
        (void)!fread(text, 1, sizeof(text) - 1, f);
        (void)fclose(f);
    }
    return strtoul(text, NULL, 10);
}

/* Until the bomb has filled its limit, or for as long as it may take. */
static unsigned long until_processes(unsigned long n)
{
    double end = it_seconds() + 30;
    char id[65] = "";

    while (it_seconds() < end) {
        if (it_count_sandboxes(id) == 1 && count_processes(id) >= n)
            return count_processes(id);
        (void)usleep(5000);
    }
    return it_count_sandboxes(id) == 1 ? count_processes(id) : 0;
}

static isol8_options roomy(void)
{
    isol8_options o = it_options();

    o.pids_limit = 10000;
    o.memory_limit = "4g";
    o.cpu_limit = 0;
    o.timeout_ms = 120000;
    o.pool_strategy = "secure";
    o.pool_dirty = 0;
    return o;
}

static void bomb(bool by_cancel)
{
    isol8_options o = roomy();
    isol8_request rq = it_cmd(NULL);
    isol8_run *run = NULL;
    isol8_result *res = NULL;
    isol8_error err = { 0 };
    char cmd[200];

    auto_engine isol8_engine *e = it_engine(&o);
    it_guest_cmd(cmd, sizeof(cmd), "forkbomb");
    rq.cmd = cmd;
    rq.files = it_guest_file();
    rq.n_files = 1;
    rq.timeout_ms = by_cancel ? 0 : 4000;
    if (isol8_run_start(e, &rq, ISOL8_RUN_CAPTURE, &run, &err) < 0)
        fail_msg("%s", err.msg);
    /* Driven by hand until the bomb is at its limit. */
    isol8_event ev;
    char id[65] = "";
    double end = it_seconds() + 30;
    while (by_cancel && it_seconds() < end &&
           (it_count_sandboxes(id) != 1 || count_processes(id) < 10000)) {
        struct pollfd p = { .fd = isol8_run_fd(run), .events = POLLIN };
        (void)poll(&p, 1, 5);
        assert_true(isol8_run_next(run, &ev, &err) >= 0);
    }
    if (by_cancel) {
        assert_true(count_processes(id) >= 10000);
        isol8_run_cancel(run);
    }
    double start = it_seconds();
    if (isol8_run_finish(run, &res, &err) < 0)
        fail_msg("%s", err.msg);
    it_expect(res, by_cancel ? ISOL8_VERDICT_CANCELLED : ISOL8_VERDICT_TIMEOUT, 137);
    isol8_result_free(res);
    assert_true(it_seconds() - start < CALL_S_MAX + (by_cancel ? 0 : 4));
    assert_int_equal(it_count_sandboxes(NULL), 0);
}

static void test_bomb_by_cancel(void **state)
{
    (void)state;
    bomb(true);
}

static void test_bomb_by_timeout(void **state)
{
    (void)state;
    bomb(false);
}

static void *stop_it(void *user)
{
    (void)isol8_stop(user, NULL);
    return NULL;
}

/* The session's bomb is ended by stop(), from another thread. */
static void test_bomb_by_stop(void **state)
{
    isol8_options o = roomy();
    isol8_request rq = it_cmd(NULL);
    isol8_run *run = NULL;
    isol8_result *res = NULL;
    isol8_error err = { 0 };
    pthread_t thread;
    char cmd[200];

    (void)state;
    o.mode = "persistent";
    auto_engine isol8_engine *e = it_engine(&o);
    it_guest_cmd(cmd, sizeof(cmd), "forkbomb");
    it_says(e, "echo up", "up\n");
    rq.cmd = cmd;
    rq.files = it_guest_file();
    rq.n_files = 1;
    if (isol8_run_start(e, &rq, ISOL8_RUN_CAPTURE, &run, &err) < 0)
        fail_msg("%s", err.msg);
    for (int i = 0; i < 100; i++) {
        struct pollfd p = { .fd = isol8_run_fd(run), .events = POLLIN };
        isol8_event ev;
        (void)poll(&p, 1, 10);
        assert_true(isol8_run_next(run, &ev, &err) >= 0);
    }
    assert_true(until_processes(5000) >= 5000);
    double start = it_seconds();
    assert_int_equal(pthread_create(&thread, NULL, stop_it, e), 0);
    if (isol8_run_finish(run, &res, &err) < 0)
        fail_msg("%s", err.msg);
    assert_int_equal(pthread_join(thread, NULL), 0);
    it_expect(res, ISOL8_VERDICT_SIGNAL, 137);
    isol8_result_free(res);
    assert_true(it_seconds() - start < CALL_S_MAX);
    assert_int_equal(it_count_sandboxes(NULL), 0);
}

/* ---- Output that nobody wants ---------------------------------------------------------------- */

/* The caller takes what comes, and is given back control all the time, also when the flood is
 * beyond the limit and makes no events any more. */
static void flood(bool persistent, unsigned flags)
{
    isol8_options o = it_options();
    isol8_request rq = it_cmd("yes & yes >&2 & exec yes");
    isol8_run *run = NULL;
    isol8_result *res = NULL;
    isol8_error err = { 0 };
    double longest = 0;

    o.mode = persistent ? "persistent" : "ephemeral";
    o.max_output_size = 4096;
    auto_engine isol8_engine *e = it_engine(&o);
    if (isol8_run_start(e, &rq, flags, &run, &err) < 0)
        fail_msg("%s", err.msg);
    double start = it_seconds();
    while (it_seconds() - start < 0.8) {
        struct pollfd p = { .fd = isol8_run_fd(run), .events = POLLIN };
        isol8_event ev;
        (void)poll(&p, 1, 100);
        double before = it_seconds();
        assert_true(isol8_run_next(run, &ev, &err) >= 0);
        if (it_seconds() - before > longest)
            longest = it_seconds() - before;
    }
    isol8_run_cancel(run);
    start = it_seconds();
    if (isol8_run_finish(run, &res, &err) < 0)
        fail_msg("%s", err.msg);
    it_expect(res, ISOL8_VERDICT_CANCELLED, 137);
    isol8_result_free(res);
    assert_true(it_seconds() - start < CALL_S_MAX);
    if (longest > 1)
        fail_msg("isol8_run_next() took %.1f s", longest);
    assert_int_equal(isol8_stop(e, NULL), 0);
}

static void test_flood(void **state)
{
    (void)state;
    flood(false, ISOL8_RUN_CAPTURE);
    flood(false, 0);
    flood(true, ISOL8_RUN_CAPTURE);
    flood(true, 0);
}

/* Nobody takes anything: the program is held up by its full pipes, and cancelled there. */
static void test_unread_flood(void **state)
{
    (void)state;
    for (int persistent = 0; persistent < 2; persistent++) {
        isol8_options o = it_options();
        isol8_request rq = it_cmd("yes & exec yes >&2");
        isol8_run *run = NULL;
        isol8_result *res = NULL;
        isol8_error err = { 0 };
        isol8_event ev;

        o.mode = persistent ? "persistent" : "ephemeral";
        auto_engine isol8_engine *e = it_engine(&o);
        if (isol8_run_start(e, &rq, 0, &run, &err) < 0)
            fail_msg("%s", err.msg);
        while (isol8_run_next(run, &ev, &err) == 0) { /* until the first output */
            struct pollfd p = { .fd = isol8_run_fd(run), .events = POLLIN };
            assert_int_equal(poll(&p, 1, 30000), 1);
        }
        (void)usleep(300000);
        isol8_run_cancel(run);
        double start = it_seconds();
        if (isol8_run_finish(run, &res, &err) < 0)
            fail_msg("%s", err.msg);
        it_expect(res, ISOL8_VERDICT_CANCELLED, 137);
        isol8_result_free(res);
        assert_true(it_seconds() - start < CALL_S_MAX);
    }
}

/* ---- Cancelling from everywhere -------------------------------------------------------------- */

enum { CANCELLERS = 16, RUNS = 8 };

struct canceller {
    isol8_run *runs[RUNS];
    pthread_barrier_t *start;
};

static void *cancel_all(void *user)
{
    struct canceller *c = user;

    (void)pthread_barrier_wait(c->start);
    for (int i = 0; i < 100; i++) {
        for (int j = 0; j < RUNS; j++)
            isol8_run_cancel(c->runs[j]);
    }
    return NULL;
}

static void cancel_from_everywhere(bool persistent)
{
    isol8_options o = it_options();
    isol8_request rq = it_cmd("sleep 100 & sleep 100");
    pthread_t threads[CANCELLERS];
    pthread_barrier_t start;
    struct canceller c = { .start = &start };
    isol8_error err = { 0 };

    o.mode = persistent ? "persistent" : "ephemeral";
    o.max_concurrent = RUNS / 2; /* the others are cancelled in the queue */
    auto_engine isol8_engine *e = it_engine(&o);
    assert_int_equal(pthread_barrier_init(&start, NULL, CANCELLERS), 0);
    for (int j = 0; j < RUNS; j++) {
        if (isol8_run_start(e, &rq, ISOL8_RUN_CAPTURE, &c.runs[j], &err) < 0)
            fail_msg("%s", err.msg);
    }
    for (int i = 0; i < CANCELLERS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, cancel_all, &c), 0);
    for (int j = 0; j < RUNS / 2; j++) { /* while they cancel */
        isol8_event ev;
        assert_true(isol8_run_next(c.runs[j], &ev, &err) >= 0);
    }
    for (int i = 0; i < CANCELLERS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    for (int j = 0; j < RUNS; j++) {
        auto_result isol8_result *res = NULL;
        if (isol8_run_finish(c.runs[j], &res, &err) < 0)
            fail_msg("%s", err.msg);
        assert_int_equal(isol8_result_verdict(res), ISOL8_VERDICT_CANCELLED);
    }
    (void)pthread_barrier_destroy(&start);
}

static void test_cancel_from_everywhere(void **state)
{
    (void)state;
    for (int i = 0; i < 5; i++) {
        cancel_from_everywhere(false);
        cancel_from_everywhere(true);
    }
}

/* ---- Stopping under way ---------------------------------------------------------------------- */

enum { WORKERS = 16 };

struct worker {
    isol8_engine *e;
    unsigned number;
    bool may_be_stopped; /* a session's executions end with it; the pool's do not */
    atomic_bool *is_over;
    atomic_uint *n_done;
    const char *secret;
    char complaint[500];
};

static void check_result(struct worker *w, int r, const isol8_result *res, const isol8_error *err,
                         const char *want)
{
    bool stopped = r == 0 ? isol8_result_verdict(res) == ISOL8_VERDICT_SIGNAL : r == ISOL8_E_STATE;

    atomic_fetch_add(w->n_done, 1);
    if (r == 0 && isol8_result_verdict(res) == ISOL8_VERDICT_OK &&
        strcmp(isol8_result_stdout(res, NULL), want) == 0)
        return;
    if (!w->may_be_stopped || !stopped)
        COMPLAIN(w, "%u: %d %.200s %.100s", w->number, r,
                 r < 0 ? err->msg : isol8_result_detail(res),
                 r < 0 ? "" : isol8_result_stdout(res, NULL));
}

static void *work(void *user)
{
    struct worker *w = user;

    for (unsigned i = 0; !atomic_load(w->is_over); i++) {
        char cmd[160], want[80];
        isol8_request rq = it_cmd(cmd);
        isol8_result *res = NULL;
        isol8_error err = { 0 };
        (void)snprintf(cmd, sizeof(cmd), "echo %u-%u $S %s", w->number, i,
                       i % 4 == 0 ? "; sleep 0.02" : "");
        (void)snprintf(want, sizeof(want), "%u-%u%s\n", w->number, i,
                       w->secret == NULL ? "" : " ***");
        if (i % 3 == 0)
            rq.setup_script = "true";
        int r = isol8_execute(w->e, &rq, &res, &err);
        check_result(w, r, res, &err, want);
        isol8_result_free(res);
    }
    return NULL;
}

static void begin_work(struct worker *w, pthread_t *threads, struct worker common)
{
    for (unsigned i = 0; i < WORKERS; i++) {
        w[i] = common;
        w[i].number = i;
        assert_int_equal(pthread_create(&threads[i], NULL, work, &w[i]), 0);
    }
}

static void end_work(struct worker *w, const pthread_t *threads)
{
    for (unsigned i = 0; i < WORKERS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    for (unsigned i = 0; i < WORKERS; i++)
        assert_string_equal(w[i].complaint, "");
}

static void stop_under_way(const char *mode, bool may_be_stopped)
{
    static struct worker workers[WORKERS];
    pthread_t threads[WORKERS];
    atomic_bool is_over = false;
    atomic_uint n_done = 0;
    isol8_options o = it_options();
    isol8_error err = { 0 };

    o.mode = mode;
    o.max_concurrent = WORKERS;
    o.pool_clean = 2;
    o.pool_dirty = 8;
    o.timeout_ms = 60000;
    auto_engine isol8_engine *e = it_engine(&o);
    begin_work(
        workers, threads,
        (struct worker){
            .e = e, .may_be_stopped = may_be_stopped, .is_over = &is_over, .n_done = &n_done });
    for (unsigned i = 0; i < 25; i++) {
        (void)usleep(i * 7919 % 100000);
        double start = it_seconds();
        if (isol8_stop(e, &err) < 0)
            fail_msg("%s", err.msg);
        if (it_seconds() - start > CALL_S_MAX)
            fail_msg("isol8_stop() took %.1f s", it_seconds() - start);
    }
    atomic_store(&is_over, true);
    end_work(workers, threads);
    assert_true(atomic_load(&n_done) >= WORKERS);
    assert_int_equal(isol8_stop(e, &err), 0);
    assert_int_equal(it_count_sandboxes(NULL), 0);
}

static void test_stop_under_way_in_pool(void **state)
{
    (void)state;
    stop_under_way("ephemeral", false);
}

static void test_stop_under_way_in_session(void **state)
{
    (void)state;
    stop_under_way("persistent", true);
}

/* ---- Two engines ----------------------------------------------------------------------------- */

/* Options, secrets and sandboxes stay apart; one is stopped again and again meanwhile. */
static void test_two_engines(void **state)
{
    static const isol8_pair secret = { "S", "hushhush" };
    static struct worker first[WORKERS], second[WORKERS];
    pthread_t threads[2][WORKERS];
    atomic_bool is_over = false;
    atomic_uint n_done = 0;
    isol8_options a = it_options(), b = it_options();

    (void)state;
    a.secrets = &secret;
    a.n_secrets = 1;
    a.memory_limit = "64m";
    a.pool_clean = 4;
    b.sandbox_size = "16m";
    b.readonly_rootfs = false;
    b.pool_clean = 1;
    auto_engine isol8_engine *ea = it_engine(&a);
    auto_engine isol8_engine *eb = it_engine(&b);
    begin_work(
        first, threads[0],
        (struct worker){ .e = ea, .secret = secret.value, .is_over = &is_over, .n_done = &n_done });
    begin_work(second, threads[1],
               (struct worker){ .e = eb, .is_over = &is_over, .n_done = &n_done });
    for (unsigned i = 0; i < 16; i++) {
        (void)usleep(200000);
        double start = it_seconds();
        assert_int_equal(isol8_stop(eb, NULL), 0);
        if (it_seconds() - start > 5)
            fail_msg("isol8_stop() took %.1f s", it_seconds() - start);
    }
    atomic_store(&is_over, true);
    end_work(first, threads[0]);
    end_work(second, threads[1]);
}

/* ---- Files in a place that moves ------------------------------------------------------------- */

enum { MOVERS = 8 };

struct mover {
    isol8_engine *e;
    unsigned number;
    const char *path;
    unsigned ok, refused;
    atomic_bool *is_over;
    char complaint[500];
};

static void note_transfer(struct mover *m, int r, const isol8_error *err, double seconds)
{
    if (r == 0)
        m->ok++;
    else
        m->refused++;
    /* A copying child may also be out of luck with memory or jobs; nothing worse. */
    if (r != 0 && r != ISOL8_E_INVAL && r != ISOL8_E_LIMIT)
        COMPLAIN(m, "%d %.300s", r, err->msg);
    if (seconds > CALL_S_MAX)
        COMPLAIN(m, "took %.1f s", seconds);
}

static void *move(void *user)
{
    struct mover *m = user;

    while (!atomic_load(m->is_over)) {
        isol8_error err = { 0 };
        void *data = NULL;
        size_t n = 0;
        double start = it_seconds();
        int r = m->number % 2 == 0 ? isol8_put_file(m->e, m->path, "written", 7, &err)
                                   : isol8_get_file(m->e, m->path, &data, &n, &err);
        note_transfer(m, r, &err, it_seconds() - start);
        if (n > 0 && memmem(data, n, "host-only", 9) != NULL)
            COMPLAIN(m, "read a file of the host");
        free(data);
    }
    return NULL;
}

static void test_moving_place(void **state)
{
    static struct mover movers[MOVERS];
    char host_file[256], cmd[600], bend[400];
    pthread_t threads[MOVERS];
    atomic_bool is_over = false;
    isol8_options o = it_options();
    isol8_request rq = it_cmd(cmd);
    isol8_run *run = NULL;
    size_t n;

    (void)state;
    (void)snprintf(host_file, sizeof(host_file), "%s/untouched", getenv("ISOL8_TEST_DIR"));
    FILE *f = fopen(host_file, "we");
    assert_true(f != NULL && fputs("host-only", f) >= 0 && fclose(f) == 0);
    o.mode = "persistent";
    o.cpu_limit = 0;
    o.timeout_ms = 60000;
    auto_engine isol8_engine *e = it_engine(&o);
    (void)snprintf(bend, sizeof(bend), "bend /sandbox/bent/x %s", host_file);
    it_guest_cmd(cmd, sizeof(cmd), bend);
    rq.files = it_guest_file();
    rq.n_files = 1;
    assert_int_equal(isol8_run_start(e, &rq, 0, &run, NULL), 0);
    for (bool bends = false; !bends;) {
        struct pollfd p = { .fd = isol8_run_fd(run), .events = POLLIN };
        isol8_event ev = { 0 };
        int r = isol8_run_next(run, &ev, NULL);
        assert_true(r >= 0 && !isol8_run_done(run));
        bends = r == 1 && ev.type == ISOL8_EVENT_STDOUT;
        if (r == 0)
            assert_int_equal(poll(&p, 1, 30000), 1);
    }
    for (unsigned i = 0; i < MOVERS; i++) {
        movers[i] = (struct mover){ .e = e, .number = i, .path = "bent/x", .is_over = &is_over };
        assert_int_equal(pthread_create(&threads[i], NULL, move, &movers[i]), 0);
    }
    (void)sleep(3);
    atomic_store(&is_over, true);
    unsigned ok = 0, refused = 0;
    for (unsigned i = 0; i < MOVERS; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        assert_string_equal(movers[i].complaint, "");
        ok += movers[i].ok;
        refused += movers[i].refused;
    }
    assert_true(ok + refused > MOVERS && refused > 0);
    isol8_run_cancel(run);
    assert_int_equal(isol8_run_finish(run, NULL, NULL), 0);
    auto_free char *content = it_read_file(host_file, &n);
    assert_string_equal(content, "host-only");
}

/* Whoever stops the copying child gains the length of one wait. */
static void test_stopped_copier(void **state)
{
    isol8_options o = it_options();
    isol8_request rq = it_cmd(NULL);
    isol8_run *run = NULL;
    isol8_error err = { 0 };
    isol8_event ev;
    auto_free char *data = it_noise(2 << 20, 3);
    char cmd[200];

    (void)state;
    o.mode = "persistent";
    o.cpu_limit = 0;
    auto_engine isol8_engine *e = it_engine(&o);
    it_says(e, "echo up", "up\n");
    it_guest_cmd(cmd, sizeof(cmd), "stop-others");
    rq.cmd = cmd;
    rq.files = it_guest_file();
    rq.n_files = 1;
    rq.timeout_ms = 60000;
    assert_int_equal(isol8_run_start(e, &rq, 0, &run, NULL), 0);
    while (isol8_run_next(run, &ev, &err) == 0) {
        struct pollfd p = { .fd = isol8_run_fd(run), .events = POLLIN };
        assert_int_equal(poll(&p, 1, 30000), 1);
    }
    assert_int_equal(setenv("ISOL8_WAIT_MS", "500", 1), 0);
    int r = 0;
    for (int i = 0; i < 50 && r == 0; i++) { /* a copier may be quicker than who stops it */
        double start = it_seconds();
        r = isol8_put_file(e, "big", data, 2 << 20, &err);
        /* Half a second, and one more millisecond for each 256 bytes. */
        assert_true(it_seconds() - start < CALL_S_MAX);
    }
    assert_int_equal(unsetenv("ISOL8_WAIT_MS"), 0);
    if (r != ISOL8_E_TIMEOUT)
        fail_msg("%d %s", r, err.msg);
    isol8_run_cancel(run);
    assert_int_equal(isol8_run_finish(run, NULL, NULL), 0);
    it_says(e, "echo on", "on\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bomb_by_cancel),
        cmocka_unit_test(test_bomb_by_timeout),
        cmocka_unit_test(test_bomb_by_stop),
        cmocka_unit_test(test_flood),
        cmocka_unit_test(test_unread_flood),
        cmocka_unit_test(test_cancel_from_everywhere),
        cmocka_unit_test(test_stop_under_way_in_pool),
        cmocka_unit_test(test_stop_under_way_in_session),
        cmocka_unit_test(test_two_engines),
        cmocka_unit_test(test_moving_place),
        cmocka_unit_test(test_stopped_copier),
    };

    return cmocka_run_group_tests(tests, it_open, it_close);
}
