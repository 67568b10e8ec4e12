/* SPDX-License-Identifier: Apache-2.0 */
/* test_background.c - every job is carried out, side by side where it can be, before the end. */
#include "executor/background.h"

#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "base/mem.h"
#include "tests/support/test.h"

enum { POSTERS = 8, JOBS = 2000 };

struct counted {
    struct background_job job;
    atomic_uint *n;
    struct background *posts_more; /* NULL: it does not */
};

static void count(struct background_job *job);

static void post(struct background *b, atomic_uint *n, bool posts_more)
{
    struct counted *c = malloc(sizeof(*c));

    if (c == NULL)
        abort();
    *c = (struct counted){ .job.fn = count, .n = n, .posts_more = posts_more ? b : NULL };
    background_post(b, &c->job);
}

static void count(struct background_job *job)
{
    struct counted *c = (struct counted *)job;

    atomic_fetch_add(c->n, 1);
    if (c->posts_more != NULL)
        post(c->posts_more, c->n, false);
    free(c);
}

struct poster {
    struct background *b;
    atomic_uint *n;
};

static void *post_many(void *user)
{
    struct poster *p = user;

    for (int i = 0; i < JOBS; i++)
        post(p->b, p->n, i % 2 == 0);
    return NULL;
}

/* The end waits for all that was posted. */
static void test_all_are_done(void **state)
{
    pthread_t threads[POSTERS];
    atomic_uint n = 0;
    struct background *b = NULL;

    (void)state;
    assert_int_equal(background_new(&b, NULL), 0);
    struct poster p = { b, &n };
    for (int i = 0; i < POSTERS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, post_many, &p), 0);
    for (int i = 0; i < POSTERS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    background_free(b);
    assert_int_equal(atomic_load(&n), POSTERS * JOBS * 3 / 2);
}

/* ---- Two that wait for each other ------------------------------------------------------------ */

struct meeting {
    struct background_job job;
    sem_t mine, *other, *over;
};

static void meet(struct background_job *job)
{
    struct meeting *m = (struct meeting *)job;

    (void)sem_post(m->other);
    while (sem_wait(&m->mine) < 0)
        continue;
    (void)sem_post(m->over);
}

/* Posted one right after the other, when a thread is idle already: one must not be kept waiting for
 * the other, which may take long. */
static void test_side_by_side(void **state)
{
    sem_t over;

    (void)state;
    assert_int_equal(sem_init(&over, 0, 0), 0);
    for (int round = 0; round < 100; round++) {
        struct meeting two[2] = { 0 };
        struct timespec end;
        struct background *b = NULL;
        atomic_uint n = 0;
        assert_int_equal(background_new(&b, NULL), 0);
        post(b, &n, false); /* for it, the first thread is started, and is idle afterwards */
        while (atomic_load(&n) == 0)
            (void)sched_yield();
        (void)usleep(1000);
        for (int i = 0; i < 2; i++) {
            two[i] = (struct meeting){ .job.fn = meet, .other = &two[1 - i].mine, .over = &over };
            assert_int_equal(sem_init(&two[i].mine, 0, 0), 0);
        }
        background_post(b, &two[0].job);
        background_post(b, &two[1].job);
        assert_int_equal(clock_gettime(CLOCK_REALTIME, &end), 0);
        end.tv_sec += 20;
        for (int i = 0; i < 2; i++) {
            if (sem_timedwait(&over, &end) < 0)
                fail_msg("round %d: one job waits behind the other", round);
        }
        background_free(b);
        for (int i = 0; i < 2; i++)
            (void)sem_destroy(&two[i].mine);
    }
    (void)sem_destroy(&over);
}

static void test_nothing_to_do(void **state)
{
    struct background *b = NULL;

    (void)state;
    background_free(NULL);
    assert_int_equal(background_new(&b, NULL), 0);
    background_free(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_are_done),
        cmocka_unit_test(test_side_by_side),
        cmocka_unit_test(test_nothing_to_do),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
