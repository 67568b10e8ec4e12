/* SPDX-License-Identifier: Apache-2.0 */
/* it_threads.c - many threads on one engine: results unmixed, the limit of executions kept, in
 * order. */
#include "tests/integration/it.h"

#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

enum { N_THREADS = 16, N_ROUNDS = 3 };

struct worker {
    isol8_engine *engine;
    unsigned number;
    char complaint[600]; /* cmocka's assertions work in the main thread only */
    atomic_uint *in_flight, *most;
};

static void run_round(struct worker *w, unsigned round)
{
    char text[64], cmd[128] = "", want[128];
    isol8_file file = { .path = "f", .data = text };
    const char *out_path = "f";
    isol8_request rq = it_cmd(cmd);
    isol8_result *res = NULL;
    isol8_error err = { 0 };

    file.size = (size_t)snprintf(text, sizeof(text), "file-%u-%u", w->number, round);
    (void)snprintf(cmd, sizeof(cmd), "cat f; echo -n ' cmd-%u-%u'; exit %u", w->number, round,
                   w->number);
    (void)snprintf(want, sizeof(want), "%s cmd-%u-%u", text, w->number, round);
    rq.files = &file;
    rq.n_files = 1;
    rq.output_paths = &out_path;
    rq.n_output_paths = 1;
    if (isol8_execute(w->engine, &rq, &res, &err) < 0) {
        (void)snprintf(w->complaint, sizeof(w->complaint), "%s", err.msg);
        return;
    }
    if (strcmp(isol8_result_stdout(res, NULL), want) != 0 ||
        isol8_result_exit_code(res) != (int)w->number || isol8_result_file_count(res) != 1 ||
        isol8_result_file(res, 0)->size != file.size ||
        memcmp(isol8_result_file(res, 0)->data, text, file.size) != 0)
        (void)snprintf(w->complaint, sizeof(w->complaint), "expected '%s', got '%.200s' (%s)", want,
                       isol8_result_stdout(res, NULL), isol8_result_detail(res));
    isol8_result_free(res);
}

static void *work(void *arg)
{
    for (unsigned i = 0; i < N_ROUNDS; i++)
        run_round(arg, i);
    return NULL;
}

static void test_unmixed(void **state)
{
    static struct worker workers[N_THREADS];
    auto_engine isol8_engine *e = it_engine(NULL);
    pthread_t threads[N_THREADS];

    (void)state;
    for (unsigned i = 0; i < N_THREADS; i++) {
        workers[i] = (struct worker){ .engine = e, .number = i };
        assert_int_equal(pthread_create(&threads[i], NULL, work, &workers[i]), 0);
    }
    for (unsigned i = 0; i < N_THREADS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    for (unsigned i = 0; i < N_THREADS; i++)
        assert_string_equal(workers[i].complaint, "");
}

/* ---- At most max_concurrent at once
 * ---------------------------------------------------------------- */

/* The program says when it is in, and when it is about to leave. */
static int count_events(const isol8_event *ev, void *user)
{
    struct worker *w = user;

    if (ev->type == ISOL8_EVENT_STDOUT && memmem(ev->data, ev->size, "in", 2) != NULL) {
        unsigned now = atomic_fetch_add(w->in_flight, 1) + 1;
        unsigned most = atomic_load(w->most);
        while (now > most && !atomic_compare_exchange_weak(w->most, &most, now))
            continue;
    }
    if (ev->type == ISOL8_EVENT_STDOUT && memmem(ev->data, ev->size, "out", 3) != NULL)
        atomic_fetch_sub(w->in_flight, 1);
    return 0;
}

static void *work_counted(void *arg)
{
    struct worker *w = arg;
    isol8_request rq = it_cmd("echo in; sleep 0.05; echo out");
    isol8_error err = { 0 };

    if (isol8_execute_stream(w->engine, &rq, count_events, w, NULL, &err) < 0)
        (void)snprintf(w->complaint, sizeof(w->complaint), "%s", err.msg);
    return NULL;
}

static void test_max_concurrent(void **state)
{
    static struct worker workers[N_THREADS];
    atomic_uint in_flight = 0, most = 0;
    isol8_options o = it_options();
    pthread_t threads[N_THREADS];

    (void)state;
    o.max_concurrent = 3;
    auto_engine isol8_engine *e = it_engine(&o);
    for (unsigned i = 0; i < N_THREADS; i++) {
        workers[i] = (struct worker){ .engine = e, .in_flight = &in_flight, .most = &most };
        assert_int_equal(pthread_create(&threads[i], NULL, work_counted, &workers[i]), 0);
    }
    for (unsigned i = 0; i < N_THREADS; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        assert_string_equal(workers[i].complaint, "");
    }
    assert_in_range(atomic_load(&most), 1, 3);
}

/* ---- First come, first served
 * ------------------------------------------------------------------------ */

enum { N_WAITERS = 6 };

/* Drive all of them until @n have ended; @order gets their numbers as they end. */
static void drive_all(isol8_run **runs, unsigned *order, unsigned n)
{
    bool ended[N_WAITERS] = { false };
    unsigned n_ended = 0;

    while (n_ended < n) {
        struct pollfd p[N_WAITERS];
        for (unsigned i = 0; i < N_WAITERS; i++) {
            isol8_event ev;
            while (isol8_run_next(runs[i], &ev, NULL) != 0)
                continue;
            if (!ended[i] && isol8_run_done(runs[i])) {
                ended[i] = true;
                order[n_ended++] = i;
            }
            p[i] = (struct pollfd){ .fd = ended[i] ? -1 : isol8_run_fd(runs[i]), .events = POLLIN };
        }
        if (n_ended < n)
            assert_true(poll(p, N_WAITERS, 30000) > 0);
    }
}

static void test_first_come_first_served(void **state)
{
    isol8_options o = it_options();
    isol8_request first = it_cmd("echo ready; cat"), rq = it_cmd("true");
    isol8_run *runs[N_WAITERS];
    unsigned order[N_WAITERS];
    struct it_watch w;

    (void)state;
    o.max_concurrent = 1;
    o.timeout_ms = 120000;
    first.stdin_open = true;
    it_watch_start(&w, &o, &first);
    it_watch_until(&w, "ready\n");
    for (unsigned i = 0; i < N_WAITERS; i++)
        assert_int_equal(isol8_run_start(w.engine, &rq, 0, &runs[i], NULL), 0);
    isol8_run_cancel(runs[2]);
    drive_all(runs, order, 1); /* who is cancelled in the queue need not wait for a place */
    assert_int_equal(order[0], 2);

    assert_int_equal(isol8_run_stdin(w.run, NULL, 0, NULL), 0);
    it_watch_to_end(&w);
    drive_all(runs, order, N_WAITERS);
    for (unsigned i = 0; i < N_WAITERS; i++) {
        static const unsigned want[] = { 2, 0, 1, 3, 4, 5 };
        auto_result isol8_result *res = NULL;
        assert_int_equal(order[i], want[i]);
        assert_int_equal(isol8_run_finish(runs[want[i]], &res, NULL), 0);
        it_expect(res, i == 0 ? ISOL8_VERDICT_CANCELLED : ISOL8_VERDICT_OK, i == 0 ? 137 : 0);
    }
    auto_result isol8_result *res = it_watch_finish(&w);
    it_expect(res, ISOL8_VERDICT_OK, 0);
}

/* A run that fails to start gives its permit back. */
static void test_permit_after_failure(void **state)
{
    isol8_options o = it_options();
    isol8_request rq = it_cmd("true");
    isol8_error err;

    (void)state;
    o.max_concurrent = 1;
    o.image = "isol8:nowhere";
    auto_engine isol8_engine *e = it_engine(&o);
    for (int i = 0; i < 3; i++) {
        isol8_result *res = NULL;
        assert_int_equal(isol8_execute(e, &rq, &res, &err), ISOL8_E_IMAGE);
        assert_null(res);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_unmixed),
        cmocka_unit_test(test_max_concurrent),
        cmocka_unit_test(test_first_come_first_served),
        cmocka_unit_test(test_permit_after_failure),
    };

    return cmocka_run_group_tests(tests, it_open, it_close);
}
