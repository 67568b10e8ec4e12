/* SPDX-License-Identifier: Apache-2.0 */
/* it_threads.c - many threads on one engine: results unmixed, the limit of executions kept, in
 * order. */
#include "tests/integration/it.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

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

static void *work_counted(void *arg)
{
    struct worker *w = arg;
    isol8_request rq = it_cmd("true");
    isol8_run *run = NULL;
    isol8_error err = { 0 };

    if (isol8_run_start(w->engine, &rq, 0, &run, &err) < 0) {
        (void)snprintf(w->complaint, sizeof(w->complaint), "%s", err.msg);
        return NULL;
    }
    unsigned now = atomic_fetch_add(w->in_flight, 1) + 1;
    unsigned most = atomic_load(w->most);
    while (now > most && !atomic_compare_exchange_weak(w->most, &most, now))
        continue;
    atomic_fetch_sub(w->in_flight, 1);
    if (isol8_run_finish(run, NULL, &err) < 0)
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

static pthread_mutex_t order_mutex = PTHREAD_MUTEX_INITIALIZER;
static unsigned order[N_WAITERS];
static unsigned n_order;

struct waiter {
    isol8_engine *engine;
    unsigned number;
    atomic_int tid;
    int status;
};

static void *wait_in_line(void *arg)
{
    struct waiter *w = arg;
    isol8_request rq = it_cmd("true");
    isol8_run *run = NULL;

    atomic_store(&w->tid, (int)syscall(SYS_gettid));
    w->status = isol8_run_start(w->engine, &rq, 0, &run, NULL);
    (void)pthread_mutex_lock(&order_mutex);
    order[n_order++] = w->number;
    (void)pthread_mutex_unlock(&order_mutex);
    if (w->status == 0)
        w->status = isol8_run_finish(run, NULL, NULL);
    return NULL;
}

/* Until the thread sleeps in futex(2), which is where a waiter for a permit ends up. */
static void until_it_waits(const struct waiter *w)
{
    char path[64], line[256];

    while (atomic_load(&w->tid) == 0)
        (void)usleep(1000);
    (void)snprintf(path, sizeof(path), "/proc/self/task/%d/syscall", atomic_load(&w->tid));
    for (;;) {
        FILE *f = fopen(path, "re");
        long nr = -1;
        if (f != NULL && fgets(line, sizeof(line), f) != NULL && line[0] != 'r')
            nr = strtol(line, NULL, 10);
        if (f != NULL)
            (void)fclose(f);
        if (nr == SYS_futex)
            return;
        (void)usleep(1000);
    }
}

static void test_first_come_first_served(void **state)
{
    static struct waiter waiters[N_WAITERS];
    isol8_options o = it_options();
    isol8_request rq = it_cmd("echo ready; cat");
    pthread_t threads[N_WAITERS];
    struct it_watch w;

    (void)state;
    o.max_concurrent = 1;
    o.timeout_ms = 120000;
    rq.stdin_open = true;
    it_watch_start(&w, &o, &rq);
    it_watch_until(&w, "ready\n");
    for (unsigned i = 0; i < N_WAITERS; i++) {
        waiters[i] = (struct waiter){ .engine = w.engine, .number = i };
        assert_int_equal(pthread_create(&threads[i], NULL, wait_in_line, &waiters[i]), 0);
        until_it_waits(&waiters[i]);
    }
    assert_int_equal(n_order, 0); /* nobody got in while the first one runs */
    assert_int_equal(isol8_run_stdin(w.run, NULL, 0, NULL), 0);
    it_watch_to_end(&w);
    for (unsigned i = 0; i < N_WAITERS; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        assert_int_equal(waiters[i].status, 0);
    }
    auto_result isol8_result *res = it_watch_finish(&w);
    it_expect(res, ISOL8_VERDICT_OK, 0);
    for (unsigned i = 0; i < N_WAITERS; i++)
        assert_int_equal(order[i], i);
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
