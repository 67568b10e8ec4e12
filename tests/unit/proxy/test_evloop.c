/* SPDX-License-Identifier: Apache-2.0 */
#include "base/evloop.h"

#include <pthread.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/clock.h"
#include "tests/support/test.h"

enum { N_TIMERS = 100 };

struct pipe_io {
    struct evl_io io;
    struct evloop *loop;
    struct pipe_io *victim; /* removed by the handler */
    int fd[2];
    int calls;
};

struct timed {
    struct evl_timer timer;
    struct evloop *loop;
    int id;
};

static int order[N_TIMERS], n_order;

static struct evloop *new_loop(void)
{
    struct evloop *l = NULL;

    assert_int_equal(evl_new(&l, NULL), 0);
    return l;
}

static void stop_user(void *user)
{
    evl_stop(user);
}

static void open_pipe(struct pipe_io *p, struct evloop *l, void (*fn)(struct evl_io *, uint32_t))
{
    *p = (struct pipe_io){ .loop = l };
    assert_int_equal(pipe(p->fd), 0);
    p->io = (struct evl_io){ .fn = fn, .fd = p->fd[0] };
    assert_int_equal(evl_io_set(l, &p->io, EPOLLIN, NULL), 0);
    assert_int_equal(write(p->fd[1], "x", 1), 1);
}

static void close_pipe(struct pipe_io *p)
{
    evl_io_remove(p->loop, &p->io);
    (void)close(p->fd[0]);
    (void)close(p->fd[1]);
}

static void on_kill_other(struct evl_io *io, uint32_t events)
{
    struct pipe_io *p = (struct pipe_io *)io;

    assert_int_equal(events, EPOLLIN);
    p->calls++;
    evl_io_remove(p->loop, &p->victim->io);
    evl_io_remove(p->loop, &p->io);
    assert_true(evl_post(p->loop, stop_user, p->loop));
}

/* Both are ready in one batch; whichever comes first removes the other. */
static void test_removed_in_batch(void **state)
{
    struct evloop *l = new_loop();
    struct pipe_io a, b;

    (void)state;
    open_pipe(&a, l, on_kill_other);
    open_pipe(&b, l, on_kill_other);
    a.victim = &b;
    b.victim = &a;
    assert_int_equal(evl_run(l, NULL), 0);
    assert_int_equal(a.calls + b.calls, 1);
    close_pipe(&a);
    close_pipe(&b);
    evl_free(l);
}

static void on_unwatch_other(struct evl_io *io, uint32_t events)
{
    struct pipe_io *p = (struct pipe_io *)io;

    (void)events;
    p->calls++;
    assert_int_equal(evl_io_set(p->loop, &p->victim->io, 0, NULL), 0);
    assert_int_equal(evl_io_set(p->loop, &p->io, 0, NULL), 0);
    assert_true(evl_post(p->loop, stop_user, p->loop));
}

/* The same, but only the interest is withdrawn. */
static void test_unwatched_in_batch(void **state)
{
    struct evloop *l = new_loop();
    struct pipe_io a, b;

    (void)state;
    open_pipe(&a, l, on_unwatch_other);
    open_pipe(&b, l, on_unwatch_other);
    a.victim = &b;
    b.victim = &a;
    assert_int_equal(evl_run(l, NULL), 0);
    assert_int_equal(a.calls + b.calls, 1);
    close_pipe(&a);
    close_pipe(&b);
    evl_free(l);
}

static void on_timed(struct evl_timer *t)
{
    struct timed *x = (struct timed *)t;

    order[n_order++] = x->id;
    if (x->id == -1)
        evl_stop(x->loop);
}

static void test_timer_order(void **state)
{
    static struct timed t[N_TIMERS];
    struct evloop *l = new_loop();
    struct timed last = { .loop = l, .id = -1 };
    uint64_t start = clock_now_ns();

    (void)state;
    n_order = 0;
    for (int i = 0; i < N_TIMERS; i++) {
        int ms = i * 37 % N_TIMERS / 4; /* 0..24, shuffled */
        t[i] = (struct timed){ .loop = l, .id = ms };
        evl_timer_init(&t[i].timer, on_timed);
        assert_true(evl_timer_set(l, &t[i].timer, (uint64_t)ms));
    }
    for (int i = 0; i < N_TIMERS; i += 3) {
        evl_timer_cancel(l, &t[i].timer);
        evl_timer_cancel(l, &t[i].timer); /* absent is fine */
    }
    evl_timer_init(&last.timer, on_timed);
    assert_true(evl_timer_set(l, &last.timer, 1));
    assert_true(evl_timer_set(l, &last.timer, 30)); /* moved */
    assert_int_equal(evl_run(l, NULL), 0);
    assert_true(clock_now_ns() - start >= 30000000u);
    assert_int_equal(n_order, N_TIMERS - (N_TIMERS + 2) / 3 + 1);
    for (int i = 1; i + 1 < n_order; i++)
        assert_true(order[i - 1] <= order[i]);
    evl_free(l);
}

static void on_cancel_all(struct evl_timer *t)
{
    struct timed *x = (struct timed *)t;

    n_order++;
    evl_timer_cancel(x->loop, &x[1].timer); /* due in the same turn */
    (void)evl_post(x->loop, stop_user, x->loop);
}

static void test_timer_cancelled_by_timer(void **state)
{
    struct evloop *l = new_loop();
    struct timed t[2] = { { .loop = l }, { .loop = l } };

    (void)state;
    n_order = 0;
    evl_timer_init(&t[0].timer, on_cancel_all);
    evl_timer_init(&t[1].timer, on_timed);
    assert_true(evl_timer_set(l, &t[0].timer, 0));
    assert_true(evl_timer_set(l, &t[1].timer, 0));
    assert_int_equal(evl_run(l, NULL), 0);
    assert_int_equal(n_order, 1);
    evl_free(l);
}

struct mailbox {
    struct evloop *loop;
    int next;
};

static void on_post(void *user)
{
    struct mailbox *m = user;

    if (++m->next == 1000)
        evl_stop(m->loop);
}

static void *post_many(void *user)
{
    struct mailbox *m = user;

    for (int i = 0; i < 500; i++)
        assert_true(evl_post(m->loop, on_post, m));
    return NULL;
}

static void test_posts_from_threads(void **state)
{
    struct mailbox m = { .loop = new_loop() };
    pthread_t a, b;

    (void)state;
    assert_int_equal(pthread_create(&a, NULL, post_many, &m), 0);
    assert_int_equal(pthread_create(&b, NULL, post_many, &m), 0);
    assert_int_equal(evl_run(m.loop, NULL), 0);
    assert_int_equal(m.next, 1000);
    (void)pthread_join(a, NULL);
    (void)pthread_join(b, NULL);
    assert_true(evl_post(m.loop, on_post, &m)); /* never run: freed with the loop */
    evl_free(m.loop);
}

struct doomed {
    struct evl_deferred deferred;
    struct pipe_io *p;
    int *freed;
};

static void free_later(struct evl_deferred *d)
{
    struct doomed *x = (struct doomed *)d;
    struct evloop *l = x->p->loop;

    (*x->freed)++;
    free(x->p);
    free(x);
    evl_stop(l);
}

static int n_freed;

static void on_free_self(struct evl_io *io, uint32_t events)
{
    struct pipe_io *p = (struct pipe_io *)io;
    struct doomed *x = calloc(1, sizeof(*x));

    (void)events;
    assert_non_null(x);
    close_pipe(p);
    *x = (struct doomed){ .deferred = { .fn = free_later }, .p = p, .freed = &n_freed };
    evl_defer(p->loop, &x->deferred);
}

/* A handler may bring about the end of its own memory. */
static void test_deferred_free(void **state)
{
    struct evloop *l = new_loop();
    struct pipe_io *p = malloc(sizeof(*p));

    (void)state;
    assert_non_null(p);
    open_pipe(p, l, on_free_self);
    assert_int_equal(evl_run(l, NULL), 0);
    assert_int_equal(n_freed, 1);
    evl_free(l);
    evl_free(NULL);
}

static void test_bad_descriptor(void **state)
{
    struct evloop *l = new_loop();
    struct evl_io io = { .fd = -1 };
    isol8_error err;

    (void)state;
    assert_int_equal(evl_io_set(l, &io, EPOLLIN, &err), ISOL8_E_SYS);
    assert_false(io.is_added);
    evl_io_remove(l, &io); /* absent is fine */
    evl_free(l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_removed_in_batch),   cmocka_unit_test(test_unwatched_in_batch),
        cmocka_unit_test(test_timer_order),        cmocka_unit_test(test_timer_cancelled_by_timer),
        cmocka_unit_test(test_posts_from_threads), cmocka_unit_test(test_deferred_free),
        cmocka_unit_test(test_bad_descriptor),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
