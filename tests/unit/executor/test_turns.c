/* SPDX-License-Identifier: Apache-2.0 */
/* test_turns.c - places are given in order, never too many, and to nobody twice. */
#include "executor/turns.h"

#include <poll.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "tests/support/test.h"

enum { MAX = 3, THREADS = 16, ROUNDS = 400 };

static struct turn new_turn(void)
{
    struct turn t = { .fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK) };

    assert_true(t.fd >= 0);
    return t;
}

static bool is_readable(const struct turn *t)
{
    struct pollfd p = { .fd = t->fd, .events = POLLIN };

    return poll(&p, 1, 0) == 1;
}

static void test_order(void **state)
{
    struct turns t;
    struct turn turn[6];

    (void)state;
    turns_init(&t, 2);
    for (int i = 0; i < 6; i++) {
        turn[i] = new_turn();
        assert_int_equal(turns_take(&t, &turn[i]), i < 2);
    }
    turns_leave(&t, &turn[3]); /* out of the middle of the queue */
    turns_leave(&t, &turn[3]); /* twice is harmless */
    turns_leave(&t, &turn[1]);
    assert_true(turns_has_place(&t, &turn[2]) && is_readable(&turn[2]));
    assert_false(turns_has_place(&t, &turn[4]) || is_readable(&turn[4]));
    turns_leave(&t, &turn[5]); /* the last of the queue */
    turns_leave(&t, &turn[0]);
    assert_true(turns_has_place(&t, &turn[4]));
    turns_leave(&t, &turn[2]);
    turns_leave(&t, &turn[4]);
    assert_int_equal(t.taken, 0);
    assert_true(turns_take(&t, &turn[5])); /* the queue's end is where it should be */
    assert_true(turns_take(&t, &turn[0]));
    assert_false(turns_take(&t, &turn[1]));
    turns_leave(&t, &turn[5]);
    assert_true(turns_has_place(&t, &turn[1]));
    for (int i = 0; i < 6; i++)
        (void)close(turn[i].fd);
    turns_done(&t);
}

struct crowd {
    struct turns turns;
    atomic_uint inside, most, served;
    unsigned guarded[MAX]; /* by who has a place; for the thread sanitizer */
    pthread_mutex_t mutex;
};

static void enter(struct crowd *c)
{
    unsigned now = atomic_fetch_add(&c->inside, 1) + 1, most = atomic_load(&c->most);

    while (now > most && !atomic_compare_exchange_weak(&c->most, &most, now))
        continue;
    atomic_fetch_add(&c->served, 1);
    (void)pthread_mutex_lock(&c->mutex);
    c->guarded[now % MAX]++;
    (void)pthread_mutex_unlock(&c->mutex);
    atomic_fetch_sub(&c->inside, 1);
}

/* Takes, waits, is served, leaves; now and then it does not wait. */
static void *visit(void *user)
{
    struct crowd *c = user;
    struct turn t = { .fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK) };

    for (unsigned i = 0; i < ROUNDS; i++) {
        struct pollfd p = { .fd = t.fd, .events = POLLIN };
        uint64_t count;
        bool has_place = turns_take(&c->turns, &t);
        if (!has_place && i % 5 != 0) {
            has_place = poll(&p, 1, 20000) == 1 && turns_has_place(&c->turns, &t);
        }
        if (has_place)
            enter(c);
        turns_leave(&c->turns, &t);
        (void)!read(t.fd, &count, sizeof(count)); /* given just before it left */
    }
    (void)close(t.fd);
    return NULL;
}

static void test_crowd(void **state)
{
    static struct crowd c;
    pthread_t threads[THREADS];

    (void)state;
    turns_init(&c.turns, MAX);
    assert_int_equal(pthread_mutex_init(&c.mutex, NULL), 0);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, visit, &c), 0);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    assert_int_equal(c.turns.taken, 0);
    assert_null(c.turns.first);
    assert_true(atomic_load(&c.most) <= MAX);
    assert_true(atomic_load(&c.served) >= THREADS * ROUNDS * 4 / 5);
    turns_done(&c.turns);
    (void)pthread_mutex_destroy(&c.mutex);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_order),
        cmocka_unit_test(test_crowd),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
