/* SPDX-License-Identifier: Apache-2.0 */
/* spinner.c - one animated line on stderr. */
#include "cli/spinner.h"

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/fd.h"
#include "cli/opt.h"

#define TICK_MS 120
#define DELAY_TICKS 2 /* before the line appears */
#define TEXT_MAX 256
#define COLUMNS_DEFAULT 80

static struct {
    pthread_mutex_t lock; /* guards everything below it */
    pthread_t thread;
    bool is_running;
    int stop_fd; /* eventfd */
    bool is_shown;
    unsigned pauses; /* nested spinner_pause() calls */
    unsigned tick;
    char text[TEXT_MAX];
} spin = { .lock = PTHREAD_MUTEX_INITIALIZER, .stop_fd = -1 };

bool spinner_is_lively(void)
{
    const char *term = getenv("TERM");

    return getenv("CI") == NULL && term != NULL && strcmp(term, "dumb") != 0 &&
           isatty(STDERR_FILENO) == 1;
}

static size_t columns(void)
{
    struct winsize ws;

    if (ioctl(STDERR_FILENO, TIOCGWINSZ, &ws) < 0 || ws.ws_col == 0)
        return COLUMNS_DEFAULT;
    return ws.ws_col;
}

static void erase(void)
{
    if (spin.is_shown)
        (void)fd_write_all(STDERR_FILENO, "\r\033[K", 4);
    spin.is_shown = false;
}

static void draw(void)
{
    static const char frames[] = "-\\|/";
    auto_buf struct buf line = BUF_INIT(8 * TEXT_MAX);
    size_t width = columns() - 1;

    if (spin.pauses > 0 || spin.tick < DELAY_TICKS)
        return;
    (void)buf_addf(&line, "%c ", frames[spin.tick % 4]);
    cli_escape(&line, spin.text, strlen(spin.text));
    (void)fd_write_all(STDERR_FILENO, "\r\033[K", 4);
    (void)fd_write_all(STDERR_FILENO, buf_text(&line), line.len < width ? line.len : width);
    spin.is_shown = true;
}

static void *tick_thread(void *user)
{
    struct pollfd pfd = { .fd = spin.stop_fd, .events = POLLIN };

    (void)user;
    while (poll(&pfd, 1, TICK_MS) == 0) {
        (void)pthread_mutex_lock(&spin.lock);
        spin.tick++;
        draw();
        (void)pthread_mutex_unlock(&spin.lock);
    }
    return NULL;
}

/* The thread takes no signals: they must interrupt the main thread's writes. */
static bool start_thread(void)
{
    sigset_t all, old;
    int r;

    (void)sigfillset(&all);
    if (pthread_sigmask(SIG_SETMASK, &all, &old) != 0)
        return false;
    r = pthread_create(&spin.thread, NULL, tick_thread, NULL);
    (void)pthread_sigmask(SIG_SETMASK, &old, NULL);
    return r == 0;
}

void spinner_start(const char *text)
{
    if (spin.is_running || !spinner_is_lively())
        return;
    spin.stop_fd = eventfd(0, EFD_CLOEXEC);
    if (spin.stop_fd < 0)
        return;
    spin.tick = 0;
    spin.pauses = 0;
    spinner_text(text);
    spin.is_running = start_thread();
    if (!spin.is_running)
        spin.stop_fd = fd_close(spin.stop_fd);
}

void spinner_text(const char *text)
{
    (void)pthread_mutex_lock(&spin.lock);
    (void)snprintf(spin.text, sizeof(spin.text), "%s", text);
    (void)pthread_mutex_unlock(&spin.lock);
}

void spinner_stop(void)
{
    const unsigned long long one = 1;

    if (!spin.is_running)
        return;
    (void)fd_write_all(spin.stop_fd, &one, sizeof(one));
    (void)pthread_join(spin.thread, NULL);
    erase();
    spin.stop_fd = fd_close(spin.stop_fd);
    spin.is_running = false;
}

void spinner_pause(void)
{
    if (!spin.is_running)
        return;
    (void)pthread_mutex_lock(&spin.lock);
    spin.pauses++;
    erase();
    (void)pthread_mutex_unlock(&spin.lock);
}

void spinner_resume(void)
{
    if (!spin.is_running)
        return;
    (void)pthread_mutex_lock(&spin.lock);
    if (spin.pauses > 0)
        spin.pauses--;
    (void)pthread_mutex_unlock(&spin.lock);
}
