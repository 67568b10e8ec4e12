/* SPDX-License-Identifier: Apache-2.0 */
/**
 * netns.c - network namespaces, entered only by short-lived threads
 *
 * Theory of operation. A thread's namespace is its own (setns(2)), so a library in somebody else's
 * process can enter one without disturbing that process, if the thread does nothing else and ends.
 * This is the only file that enters a namespace. The thread blocks all signals: no handler of the
 * embedding program may run in a foreign namespace.
 */
#include "netns/netns.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <string.h>

#include "base/fd.h"

struct visit {
    int netns_fd; /* -1: make a new one */
    int (*fn)(void *user, isol8_error *err);
    void *user;
    isol8_error *err;
    int result;
};

static int enter(const struct visit *v)
{
    if (v->netns_fd < 0) {
        if (unshare(CLONE_NEWNET) < 0)
            return err_sys(v->err, errno, "cannot create a network namespace");
    } else if (setns(v->netns_fd, CLONE_NEWNET) < 0) {
        return err_sys(v->err, errno, "cannot enter a network namespace");
    }
    return 0;
}

static void *visit_main(void *arg)
{
    struct visit *v = arg;

    v->result = enter(v);
    if (v->result == 0)
        v->result = v->fn(v->user, v->err);
    return NULL;
}

static int visit(struct visit *v)
{
    pthread_t thread;
    sigset_t all, old;

    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &old);
    int r = pthread_create(&thread, NULL, visit_main, v);
    (void)pthread_sigmask(SIG_SETMASK, &old, NULL);
    if (r != 0)
        return err_sys(v->err, r, "cannot create a thread");
    (void)pthread_join(thread, NULL);
    return v->result;
}

int netns_run(int netns_fd, int (*fn)(void *user, isol8_error *err), void *user, isol8_error *err)
{
    struct visit v = { .netns_fd = netns_fd, .fn = fn, .user = user, .err = err };

    return visit(&v);
}

static int open_own(void *user, isol8_error *err)
{
    int *fd = user;

    *fd = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
    return *fd < 0 ? err_sys(err, errno, "cannot open a network namespace") : 0;
}

int netns_new(isol8_error *err)
{
    int fd = -1;
    struct visit v = { .netns_fd = -1, .fn = open_own, .user = &fd, .err = err };
    int r = visit(&v);

    return r < 0 ? r : fd;
}
