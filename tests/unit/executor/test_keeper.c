/* SPDX-License-Identifier: Apache-2.0 */
/* test_keeper.c - calls reach the thread, forgotten pipes are read to their end, all of it ends. */
#include "executor/keeper.h"

#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include "tests/support/test.h"

enum { THREADS = 8, ROUNDS = 200, CHUNK = 4096 };

static size_t count_fds(void)
{
    DIR *dir = opendir("/proc/self/fd");
    size_t n = 0;

    while (dir != NULL && readdir(dir) != NULL)
        n++;
    (void)closedir(dir);
    return n;
}

static void count(void *user)
{
    atomic_fetch_add((atomic_uint *)user, 1);
}

struct caller {
    struct keeper *k;
    atomic_uint *n;
    atomic_uint *refused;
};

/* More than a pipe holds goes through each of them: somebody reads. */
static void *use(void *user)
{
    struct caller *c = user;
    char chunk[CHUNK] = { 0 };

    for (int i = 0; i < ROUNDS; i++) {
        int ends[2];
        if (!keeper_call(c->k, count, c->n) || pipe2(ends, O_CLOEXEC) < 0) {
            atomic_fetch_add(c->refused, 1);
            continue;
        }
        keeper_drain(c->k, ends[0]);
        for (int j = 0; j < 20; j++) {
            if (write(ends[1], chunk, sizeof(chunk)) < 0)
                atomic_fetch_add(c->refused, 1);
        }
        if (i % 3 != 0)
            (void)close(ends[1]);
        else if (i == 0) /* one that goes on until the keeper is freed */
            (void)!dup(ends[1]);
        if (i % 3 == 0)
            (void)close(ends[1]);
    }
    return NULL;
}

static void test_many_threads(void **state)
{
    pthread_t threads[THREADS];
    atomic_uint n = 0, refused = 0;
    struct keeper *k = NULL;

    (void)state;
    size_t fds = count_fds();
    assert_int_equal(keeper_new(&k, NULL), 0);
    struct caller c = { k, &n, &refused };
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, use, &c), 0);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    for (int i = 0; i < 20000 && atomic_load(&n) < THREADS * ROUNDS; i++)
        (void)usleep(1000);
    keeper_free(k);
    assert_int_equal(atomic_load(&n), THREADS * ROUNDS);
    assert_int_equal(atomic_load(&refused), 0);
    assert_int_equal(count_fds(), fds + THREADS); /* the ends kept above */
}

/* Freed at once, with work posted and pipes handed over that the thread may not have seen yet. */
static void test_freed_at_once(void **state)
{
    size_t fds = count_fds();

    (void)state;
    keeper_free(NULL);
    for (int i = 0; i < 100; i++) {
        atomic_uint n = 0;
        struct keeper *k = NULL;
        int ends[2];
        assert_int_equal(keeper_new(&k, NULL), 0);
        assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
        keeper_drain(k, ends[0]);
        if (i % 2 == 0)
            (void)keeper_call(k, count, &n);
        keeper_free(k);
        (void)close(ends[1]);
    }
    keeper_drain(NULL, -1);
    assert_int_equal(count_fds(), fds);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_many_threads),
        cmocka_unit_test(test_freed_at_once),
    };

    (void)signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
