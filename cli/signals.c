/* SPDX-License-Identifier: Apache-2.0 */
/* signals.c - Ctrl-C, termination and hang-up as an event. */
#include "cli/signals.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/err.h"
#include "base/mem.h"

static atomic_int held;   /* signals are noted */
static atomic_int caught; /* the first one */
static atomic_int count;
static atomic_int by_kernel; /* it was not sent by a process */
static int event_fd = -1;    /* set once, before the handlers are installed */

static void on_signal(int number, siginfo_t *info, void *context)
{
    const unsigned long long one = 1;
    int saved = errno, none = 0;

    (void)context;
    if (atomic_load(&held) == 0)
        _exit(128 + number);
    if (atomic_load(&caught) == 0)
        atomic_store(&by_kernel, info->si_code > 0); /* kill() and its relatives: 0 or less */
    (void)atomic_compare_exchange_strong(&caught, &none, number);
    (void)atomic_fetch_add(&count, 1);
    (void)!write(event_fd, &one, sizeof(one)); /* an eventfd far below its end takes it */
    errno = saved;
}

static int install(int number, isol8_error *err)
{
    struct sigaction sa = { .sa_sigaction = on_signal, .sa_flags = SA_SIGINFO }, old;

    if (sigaction(number, NULL, &old) < 0)
        return err_sys(err, errno, "sigaction");
    if (number == SIGHUP && old.sa_handler == SIG_IGN) /* nohup */
        return 0;
    /* no SA_RESTART: a write to a full pipe must return */
    if (sigaction(number, &sa, NULL) < 0)
        return err_sys(err, errno, "sigaction");
    return 0;
}

int signals_install(isol8_error *err)
{
    static const int numbers[] = { SIGINT, SIGTERM, SIGHUP };
    struct sigaction ignore = { .sa_handler = SIG_IGN };

    event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (event_fd < 0)
        return err_sys(err, errno, "eventfd");
    if (sigaction(SIGPIPE, &ignore, NULL) < 0)
        return err_sys(err, errno, "sigaction");
    for (size_t i = 0; i < ARRAY_LEN(numbers); i++) {
        int r = install(numbers[i], err);
        if (r < 0)
            return r;
    }
    return 0;
}

void signals_hold(void)
{
    atomic_store(&held, 1);
}

int signals_fd(void)
{
    return event_fd;
}

void signals_again(void)
{
    unsigned long long n;

    (void)!read(event_fd, &n, sizeof(n)); /* does not block; nothing there is fine */
}

int signals_count(void)
{
    return atomic_load(&count);
}

int signals_caught(void)
{
    return atomic_load(&caught);
}

bool signals_from_terminal(void)
{
    return atomic_load(&by_kernel) != 0;
}
