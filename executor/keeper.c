/* SPDX-License-Identifier: Apache-2.0 */
/* keeper.c - one thread that keeps an eye on what belongs to no call. */
#include "executor/keeper.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/mem.h"

enum { DRAIN_BYTES = 65536 };

struct drain {
    struct evl_io io;
    struct evl_deferred deferred;
    struct keeper *keeper;
    struct drain *next, **link;
};

struct keeper {
    pthread_mutex_t mutex; /* guards the start of the thread, and the list */
    bool has_thread;
    pthread_t thread;
    struct evloop *loop;
    unsigned n_drains;
    struct drain *drains; /* also those that the thread has not yet taken up */
};

int keeper_new(struct keeper **out, isol8_error *err)
{
    struct keeper *k = calloc(1, sizeof(*k));

    if (k == NULL)
        return err_nomem(err);
    int r = evl_new(&k->loop, err);
    if (r < 0) {
        free(k);
        return r;
    }
    (void)pthread_mutex_init(&k->mutex, NULL);
    *out = k;
    return 0;
}

static void *run(void *user)
{
    struct keeper *k = user;

    (void)pthread_setname_np(pthread_self(), "isol8-keeper");
    (void)evl_run(k->loop, NULL);
    return NULL;
}

static bool start(struct keeper *k)
{
    sigset_t all, before;

    (void)pthread_mutex_lock(&k->mutex);
    if (!k->has_thread) {
        (void)sigfillset(&all);
        (void)pthread_sigmask(SIG_SETMASK, &all, &before);
        k->has_thread = pthread_create(&k->thread, NULL, run, k) == 0;
        (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    }
    bool ok = k->has_thread;
    (void)pthread_mutex_unlock(&k->mutex);
    return ok;
}

bool keeper_call(struct keeper *k, void (*fn)(void *user), void *user)
{
    return start(k) && evl_post(k->loop, fn, user);
}

struct evloop *keeper_loop(struct keeper *k)
{
    return k->loop;
}

static void free_drain(struct evl_deferred *d)
{
    free((char *)d - offsetof(struct drain, deferred));
}

/* False when there are too many. */
static bool link_drain(struct drain *d)
{
    struct keeper *k = d->keeper;

    (void)pthread_mutex_lock(&k->mutex);
    if (k->n_drains == KEEPER_DRAINS_MAX) {
        (void)pthread_mutex_unlock(&k->mutex);
        return false;
    }
    k->n_drains++;
    d->next = k->drains;
    d->link = &k->drains;
    if (d->next != NULL)
        d->next->link = &d->next;
    k->drains = d;
    (void)pthread_mutex_unlock(&k->mutex);
    return true;
}

static void unlink_drain(struct drain *d)
{
    (void)pthread_mutex_lock(&d->keeper->mutex);
    d->keeper->n_drains--;
    *d->link = d->next;
    if (d->next != NULL)
        d->next->link = d->link;
    (void)pthread_mutex_unlock(&d->keeper->mutex);
}

static void end_drain(struct drain *d)
{
    evl_io_remove(d->keeper->loop, &d->io);
    d->io.fd = fd_close(d->io.fd);
    unlink_drain(d);
    d->deferred.fn = free_drain;
    evl_defer(d->keeper->loop, &d->deferred);
}

static void on_readable(struct evl_io *io, uint32_t events)
{
    struct drain *d = (struct drain *)((char *)io - offsetof(struct drain, io));
    char chunk[DRAIN_BYTES];

    (void)events;
    ssize_t n = read(io->fd, chunk, sizeof(chunk));
    if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
        end_drain(d);
}

static void begin_drain(void *user)
{
    struct drain *d = user;

    if (evl_io_set(d->keeper->loop, &d->io, EPOLLIN, NULL) < 0)
        end_drain(d);
}

void keeper_drain(struct keeper *k, int fd)
{
    struct drain *d = fd < 0 ? NULL : calloc(1, sizeof(*d));

    if (d == NULL) {
        (void)fd_close(fd);
        return;
    }
    d->keeper = k;
    d->io = (struct evl_io){ .fn = on_readable, .fd = fd };
    bool is_linked = link_drain(d);
    if (!is_linked || !keeper_call(k, begin_drain, d)) {
        if (is_linked)
            unlink_drain(d);
        (void)fd_close(fd);
        free(d);
    }
}

void keeper_free(struct keeper *k)
{
    if (k == NULL)
        return;
    if (k->has_thread) {
        evl_stop(k->loop);
        (void)pthread_join(k->thread, NULL);
    }
    while (k->drains != NULL) {
        struct drain *d = k->drains;
        k->drains = d->next;
        (void)fd_close(d->io.fd);
        free(d);
    }
    evl_free(k->loop);
    (void)pthread_mutex_destroy(&k->mutex);
    free(k);
}
