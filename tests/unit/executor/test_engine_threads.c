/* SPDX-License-Identifier: Apache-2.0 */
/**
 * test_engine_threads.c - engines used by many threads at once, as far as no sandbox is needed
 *
 * The OCI runtime does not exist, so that each sandbox fails before anything is made on the machine
 * and no process is started: what is left is turns, pool, session, background and keeper, which can
 * be looked at by the thread sanitizer here. (It cannot look at children that share memory.)
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <isol8/isol8.h>

#include "base/mem.h"
#include "tests/support/test.h"
#include "tests/support/tmpdir.h"

enum { THREADS = 8, ROUNDS = 400 };

static struct tmpdir root;
static isol8_host *host;

static int open_host(void **state)
{
    char state_root[256], data_root[256];
    isol8_host_options o;
    isol8_error err = { 0 };

    (void)state;
    tmpdir_open(&root);
    (void)snprintf(state_root, sizeof(state_root), "%s/state", root.path);
    (void)snprintf(data_root, sizeof(data_root), "%s/data", root.path);
    isol8_host_options_init(&o);
    o.state_root = state_root;
    o.data_root = data_root;
    o.runtime = "/nonexistent/runc";
    o.cgroup_parent = "isol8-unit";
    if (isol8_host_open(&host, &o, &err) < 0) {
        (void)fprintf(stderr, "%s\n", err.msg);
        return err.status == ISOL8_E_UNSUPPORTED ? 0 : -1;
    }
    return 0;
}

static int close_host(void **state)
{
    (void)state;
    isol8_host_free(host);
    tmpdir_close(&root);
    return 0;
}

static isol8_engine *engine(const char *mode)
{
    isol8_options o;
    isol8_engine *e = NULL;

    isol8_options_init(&o);
    o.image = "host";
    o.mode = mode;
    o.max_concurrent = 3;
    o.pool_clean = 4;
    assert_int_equal(isol8_create(&e, host, &o, NULL), 0);
    return e;
}

struct user {
    isol8_engine *e;
    unsigned number;
    atomic_uint *wrong;
};

static void prewarm(isol8_engine *e)
{
    static const char *const runtimes[] = { "bash", "python" };
    isol8_start_options o;

    isol8_start_options_init(&o);
    o.prewarm = true;
    o.runtimes = runtimes;
    o.n_runtimes = 2;
    (void)isol8_start(e, &o, NULL);
}

static void execute(const struct user *u, unsigned round)
{
    isol8_request rq;
    isol8_run *r = NULL;
    isol8_error err = { 0 };

    isol8_request_init(&rq);
    rq.runtime = "bash";
    rq.cmd = "true";
    int s = isol8_run_start(u->e, &rq, ISOL8_RUN_CAPTURE, &r, &err);
    if (s == 0) {
        if (round % 3 == 0)
            isol8_run_cancel(r);
        s = isol8_run_finish(r, NULL, &err);
    }
    /* No runtime, or cancelled in the queue, or the session was stopped. */
    if (s != ISOL8_E_RUNTIME && s != 0 && s != ISOL8_E_STATE)
        atomic_fetch_add(u->wrong, 1);
}

static void *use(void *arg)
{
    const struct user *u = arg;

    for (unsigned i = 0; i < ROUNDS; i++) {
        char id[65];
        switch ((u->number + i) % 8) {
        case 0:
            prewarm(u->e);
            break;
        case 1:
            (void)isol8_stop(u->e, NULL);
            break;
        case 2:
            (void)isol8_put_file(u->e, "f", "content", 7, NULL);
            break;
        case 3:
            (void)isol8_container_id(u->e, id);
            break;
        default:
            execute(u, i);
            break;
        }
    }
    return NULL;
}

static void hammer(isol8_engine *const *engines, size_t n)
{
    pthread_t threads[THREADS];
    struct user users[THREADS];
    atomic_uint wrong = 0;

    for (unsigned i = 0; i < THREADS; i++) {
        users[i] = (struct user){ .e = engines[i % n], .number = i, .wrong = &wrong };
        assert_int_equal(pthread_create(&threads[i], NULL, use, &users[i]), 0);
    }
    for (unsigned i = 0; i < THREADS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    assert_int_equal(atomic_load(&wrong), 0);
}

static void play(const char *first, const char *second)
{
    if (host == NULL)
        skip();
    isol8_engine *engines[] = { engine(first), engine(second) };

    hammer(engines, ARRAY_LEN(engines));
    isol8_free(engines[0]);
    isol8_free(engines[1]);
}

static void test_pool(void **state)
{
    (void)state;
    play("ephemeral", "ephemeral");
}

static void test_session(void **state)
{
    (void)state;
    play("persistent", "persistent");
}

static void test_both(void **state)
{
    (void)state;
    play("ephemeral", "persistent");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pool),
        cmocka_unit_test(test_session),
        cmocka_unit_test(test_both),
    };

    return cmocka_run_group_tests(tests, open_host, close_host);
}
