/* SPDX-License-Identifier: Apache-2.0 */
/**
 * evloop.c - one thread's event loop
 *
 * Theory of operation. A turn: compute the wait from the earliest timer, epoll_wait(), read the
 * clock once, deliver the descriptors' events, run due timers, run what other threads posted, run
 * what was deferred. Level-triggered, so a handler need not drain its descriptor.
 *
 * The first bug of every home-made loop is an event for something that an earlier event of the same
 * batch has removed. evl_io_remove() therefore walks the rest of the batch and clears the entries
 * of that watcher; deferred calls, which free memory, run after the batch.
 *
 * Timers are in a binary heap of pointers; each timer knows its place, so cancelling is O(log n).
 */
#include "base/evloop.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"

enum { BATCH_MAX = 256 };

struct post {
    void (*fn)(void *user);
    void *user;
    struct post *next;
};

struct evloop {
    int epoll_fd;
    int wake_fd;
    uint64_t now_ns;
    struct epoll_event batch[BATCH_MAX];
    int batch_n;  /* events in the present batch */
    int batch_at; /* the one being delivered */
    struct evl_timer **heap;
    size_t heap_n, heap_cap;
    struct evl_deferred *deferred;
    atomic_bool stop;
    pthread_mutex_t mutex; /* guards the posts */
    struct post *first, **last;
};

int evl_new(struct evloop **out, isol8_error *err)
{
    struct evloop *l = calloc(1, sizeof(*l));

    if (l == NULL)
        return err_nomem(err);
    l->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    l->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    l->last = &l->first;
    (void)pthread_mutex_init(&l->mutex, NULL);
    struct epoll_event ev = { .events = EPOLLIN, .data.ptr = NULL }; /* NULL: the wake-up */
    if (l->epoll_fd < 0 || l->wake_fd < 0 ||
        epoll_ctl(l->epoll_fd, EPOLL_CTL_ADD, l->wake_fd, &ev) < 0) {
        int r = err_sys(err, errno, "cannot create an event loop");
        evl_free(l);
        return r;
    }
    l->now_ns = clock_now_ns();
    *out = l;
    return 0;
}

void evl_free(struct evloop *l)
{
    if (l == NULL)
        return;
    while (l->first != NULL) {
        struct post *next = l->first->next;
        free(l->first);
        l->first = next;
    }
    (void)fd_close(l->epoll_fd);
    (void)fd_close(l->wake_fd);
    (void)pthread_mutex_destroy(&l->mutex);
    free(l->heap);
    free(l);
}

/* ---- Descriptors ---------------------------------------------------------------------------- */

int evl_io_set(struct evloop *l, struct evl_io *io, uint32_t events, isol8_error *err)
{
    struct epoll_event ev = { .events = events, .data.ptr = io };

    if (io->is_added && io->events == events)
        return 0;
    if (epoll_ctl(l->epoll_fd, io->is_added ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, io->fd, &ev) < 0)
        return err_sys(err, errno, "cannot watch a descriptor");
    io->is_added = true;
    io->events = events;
    return 0;
}

void evl_io_remove(struct evloop *l, struct evl_io *io)
{
    if (!io->is_added)
        return;
    (void)epoll_ctl(l->epoll_fd, EPOLL_CTL_DEL, io->fd, NULL);
    io->is_added = false;
    io->events = 0;
    for (int i = l->batch_at + 1; i < l->batch_n; i++) {
        if (l->batch[i].data.ptr == io)
            l->batch[i].events = 0;
    }
}

/* ---- Timers --------------------------------------------------------------------------------- */

static void heap_put(struct evloop *l, size_t i, struct evl_timer *t)
{
    l->heap[i] = t;
    t->heap_index = i;
}

static void heap_up(struct evloop *l, size_t i, struct evl_timer *t)
{
    while (i > 0 && l->heap[(i - 1) / 2]->due_ns > t->due_ns) {
        heap_put(l, i, l->heap[(i - 1) / 2]);
        i = (i - 1) / 2;
    }
    heap_put(l, i, t);
}

static void heap_down(struct evloop *l, size_t i, struct evl_timer *t)
{
    for (;;) {
        size_t child = 2 * i + 1;
        if (child >= l->heap_n)
            break;
        if (child + 1 < l->heap_n && l->heap[child + 1]->due_ns < l->heap[child]->due_ns)
            child++;
        if (l->heap[child]->due_ns >= t->due_ns)
            break;
        heap_put(l, i, l->heap[child]);
        i = child;
    }
    heap_put(l, i, t);
}

void evl_timer_init(struct evl_timer *t, void (*fn)(struct evl_timer *t))
{
    *t = (struct evl_timer){ .fn = fn, .heap_index = SIZE_MAX };
}

void evl_timer_cancel(struct evloop *l, struct evl_timer *t)
{
    size_t i = t->heap_index;

    if (i == SIZE_MAX)
        return;
    t->heap_index = SIZE_MAX;
    struct evl_timer *moved = l->heap[--l->heap_n];
    if (moved == t)
        return;
    if (i > 0 && l->heap[(i - 1) / 2]->due_ns > moved->due_ns)
        heap_up(l, i, moved);
    else
        heap_down(l, i, moved);
}

bool evl_timer_set(struct evloop *l, struct evl_timer *t, uint64_t ms)
{
    evl_timer_cancel(l, t);
    if (l->heap_n == l->heap_cap) {
        size_t cap = l->heap_cap == 0 ? 64 : l->heap_cap * 2;
        struct evl_timer **heap = reallocarray(l->heap, cap, sizeof(*heap));
        if (heap == NULL)
            return false;
        l->heap = heap;
        l->heap_cap = cap;
    }
    t->due_ns = clock_now_ns() + ms * 1000000u;
    heap_up(l, l->heap_n++, t);
    return true;
}

static void run_timers(struct evloop *l)
{
    while (l->heap_n > 0 && l->heap[0]->due_ns <= l->now_ns) {
        struct evl_timer *t = l->heap[0];
        evl_timer_cancel(l, t);
        t->fn(t);
    }
}

/* Milliseconds until the earliest timer, rounded up; -1 when there is none. */
static int wait_ms(const struct evloop *l)
{
    if (l->heap_n == 0)
        return -1;
    uint64_t now = clock_now_ns(), due = l->heap[0]->due_ns;
    if (due <= now)
        return 0;
    uint64_t ms = (due - now + 999999) / 1000000;
    return ms > 3600000 ? 3600000 : (int)ms;
}

/* ---- Other threads -------------------------------------------------------------------------- */

static void wake(struct evloop *l)
{
    uint64_t one = 1;

    (void)!write(l->wake_fd, &one, sizeof(one)); /* a full counter wakes as well */
}

bool evl_post(struct evloop *l, void (*fn)(void *user), void *user)
{
    struct post *p = malloc(sizeof(*p));

    if (p == NULL)
        return false;
    *p = (struct post){ .fn = fn, .user = user };
    (void)pthread_mutex_lock(&l->mutex);
    *l->last = p;
    l->last = &p->next;
    (void)pthread_mutex_unlock(&l->mutex);
    wake(l);
    return true;
}

void evl_stop(struct evloop *l)
{
    atomic_store(&l->stop, true);
    wake(l);
}

static void run_posts(struct evloop *l)
{
    (void)pthread_mutex_lock(&l->mutex);
    struct post *p = l->first;
    l->first = NULL;
    l->last = &l->first;
    (void)pthread_mutex_unlock(&l->mutex);
    while (p != NULL) {
        struct post *next = p->next;
        p->fn(p->user);
        free(p);
        p = next;
    }
}

void evl_defer(struct evloop *l, struct evl_deferred *d)
{
    d->next = l->deferred;
    l->deferred = d;
}

static void run_deferred(struct evloop *l)
{
    while (l->deferred != NULL) {
        struct evl_deferred *d = l->deferred;
        l->deferred = d->next;
        d->fn(d);
    }
}

/* ---- The loop ------------------------------------------------------------------------------- */

uint64_t evl_now_ns(const struct evloop *l)
{
    return l->now_ns;
}

static void deliver(struct evloop *l)
{
    uint64_t count;

    for (l->batch_at = 0; l->batch_at < l->batch_n; l->batch_at++) {
        const struct epoll_event *ev = &l->batch[l->batch_at];
        struct evl_io *io = ev->data.ptr;
        if (io == NULL) {
            (void)!read(l->wake_fd, &count, sizeof(count));
            continue;
        }
        if (ev->events == 0)
            continue;
        /* An earlier handler of this batch may have stopped watching for what this entry says. */
        uint32_t events = ev->events & (io->events | EPOLLERR | EPOLLHUP);
        if (events != 0)
            io->fn(io, events);
    }
    l->batch_n = 0;
}

int evl_run(struct evloop *l, isol8_error *err)
{
    while (!atomic_load(&l->stop)) {
        int n = epoll_wait(l->epoll_fd, l->batch, BATCH_MAX, wait_ms(l));
        if (n < 0 && errno != EINTR)
            return err_sys(err, errno, "cannot wait for events");
        l->now_ns = clock_now_ns();
        l->batch_n = n < 0 ? 0 : n;
        deliver(l);
        run_timers(l);
        run_posts(l);
        run_deferred(l);
    }
    atomic_store(&l->stop, false);
    return 0;
}
