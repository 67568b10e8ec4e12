/* SPDX-License-Identifier: Apache-2.0 */
/* flights.c - fetches under way, and who waits for them. */
#include "executor/remote/flights.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/mem.h"

struct flight {
    struct flights *home;
    struct flight *next;
    struct remote_policy *policy; /* a reference */
    struct remote_url url;        /* its text owned */
    bool allow_insecure;
    char hash[HASH_SHA256_HEX_SIZE];
    int cancel_fd; /* eventfd: nobody waits any more */
    struct remote_progress progress;
    struct flight_wait *waits;
    bool is_given_up; /* nobody may join */
    pthread_t thread;
};

struct flights {
    const struct proxy_settings *settings;
    const char *ca_file;
    struct remote_cache cache;
    pthread_mutex_t mutex; /* guards the lists, their flights' waits and the waits themselves */
    pthread_cond_t landed;
    struct flight *in_flight;
    struct flight *ended; /* their threads are to be joined */
};

int flights_new(struct flights **out, const struct proxy_settings *settings, const char *ca_file,
                const char *data_root, const struct log *log, isol8_error *err)
{
    struct flights *f = calloc(1, sizeof(*f));

    if (f == NULL)
        return err_nomem(err);
    f->settings = settings;
    f->ca_file = ca_file;
    f->cache = (struct remote_cache){ .data_root = data_root, .log = log };
    (void)pthread_mutex_init(&f->mutex, NULL);
    (void)pthread_cond_init(&f->landed, NULL);
    *out = f;
    return 0;
}

static void free_flight(struct flight *fl)
{
    remote_policy_unref(fl->policy);
    remote_url_done(&fl->url);
    (void)fd_close(fl->cancel_fd);
    free(fl);
}

/* Outside the lock: an ended thread may still be on its last steps. */
static void join_ended(struct flight *list)
{
    while (list != NULL) {
        struct flight *next = list->next;
        (void)pthread_join(list->thread, NULL);
        free_flight(list);
        list = next;
    }
}

void flights_free(struct flights *f)
{
    if (f == NULL)
        return;
    (void)pthread_mutex_lock(&f->mutex);
    while (f->in_flight != NULL) /* given up: nobody waits */
        (void)pthread_cond_wait(&f->landed, &f->mutex);
    struct flight *ended = take_ptr(&f->ended);
    (void)pthread_mutex_unlock(&f->mutex);
    join_ended(ended);
    (void)pthread_cond_destroy(&f->landed);
    (void)pthread_mutex_destroy(&f->mutex);
    free(f);
}

/* ---- In the flight's thread -------------------------------------------------------------------
 */

static void tell(struct flight_wait *w, struct remote_code *code, const isol8_error *error)
{
    uint64_t one = 1;

    w->is_done = true;
    w->flight = NULL;
    if (code != NULL) {
        (void)__atomic_add_fetch(&code->refs, 1, __ATOMIC_RELAXED);
        w->code = code;
    } else {
        w->error = *error;
    }
    (void)!write(w->fd, &one, sizeof(one));
}

static void land(struct flight *fl, struct remote_code *code, const isol8_error *error)
{
    struct flights *f = fl->home;
    struct flight **at = &f->in_flight;

    (void)pthread_mutex_lock(&f->mutex);
    while (*at != fl)
        at = &(*at)->next;
    *at = fl->next;
    fl->next = f->ended;
    f->ended = fl;
    while (fl->waits != NULL) {
        struct flight_wait *w = fl->waits;
        fl->waits = w->next;
        tell(w, code, error);
    }
    (void)pthread_cond_broadcast(&f->landed);
    (void)pthread_mutex_unlock(&f->mutex);
    remote_code_unref(code);
}

static void *fly(void *user)
{
    struct flight *fl = user;
    struct flights *f = fl->home;
    int64_t ms = fl->policy->timeout_ms;
    struct remote_fetch fetch = {
        .settings = f->settings,
        .ca_file = f->ca_file,
        .cache = f->cache,
        .policy = fl->policy,
        .url = &fl->url,
        .allow_insecure = fl->allow_insecure,
        .hash = fl->hash,
        .patience = { .cancel_fd = fl->cancel_fd,
                      .deadline_ns = clock_now_ns() + (uint64_t)ms * 1000000,
                      .timeout_ms = ms },
        .progress = &fl->progress,
    };
    struct remote_code *code = NULL;
    isol8_error err = { 0 };

    int r = remote_fetch(&fetch, &code, &err);
    if (r < 0)
        err.status = r;
    land(fl, code, &err);
    return NULL;
}

/* ---- For who asks -----------------------------------------------------------------------------
 */

static bool is_same(const struct flight *fl, const struct remote_policy *policy,
                    const struct remote_url *url, bool allow_insecure, const char *hash)
{
    return !fl->is_given_up && fl->allow_insecure == allow_insecure &&
           strcmp(fl->url.text, url->text) == 0 && strcmp(fl->hash, hash) == 0 &&
           remote_policy_equal(fl->policy, policy);
}

static int new_flight(struct flight **out, struct flights *f, struct remote_policy *policy,
                      const struct remote_url *url, bool allow_insecure, const char *hash,
                      isol8_error *err)
{
    struct flight *fl = calloc(1, sizeof(*fl));

    if (fl == NULL)
        return err_nomem(err);
    fl->home = f;
    fl->policy = remote_policy_ref(policy);
    fl->url = *url;
    fl->url.text = strdup(url->text);
    fl->allow_insecure = allow_insecure;
    memcpy(fl->hash, hash, strlen(hash) + 1);
    fl->cancel_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (fl->url.text == NULL || fl->cancel_fd < 0) {
        int e = errno;
        free_flight(fl);
        return err_sys(err, e, "cannot begin a fetch");
    }
    *out = fl;
    return 0;
}

/* The library's threads leave every signal to the program's own. */
static int take_off(struct flight *fl, isol8_error *err)
{
    sigset_t all, before;

    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    int e = pthread_create(&fl->thread, NULL, fly, fl);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    return e == 0 ? 0 : err_sys(err, e, "cannot start a thread for a fetch");
}

static void board(struct flight *fl, struct flight_wait *wait)
{
    wait->flight = fl;
    wait->next = fl->waits;
    fl->waits = wait;
}

int flights_join(struct flights *f, struct remote_policy *policy, const struct remote_url *url,
                 bool allow_insecure, const char *hash, struct flight_wait *wait, isol8_error *err)
{
    int r = 0;

    (void)pthread_mutex_lock(&f->mutex);
    struct flight *ended = take_ptr(&f->ended);
    struct flight *fl = f->in_flight;
    while (fl != NULL && !is_same(fl, policy, url, allow_insecure, hash))
        fl = fl->next;
    if (fl == NULL) {
        r = new_flight(&fl, f, policy, url, allow_insecure, hash, err);
        if (r == 0) {
            r = take_off(fl, err); /* it cannot land before the lock is given back */
            if (r < 0)
                free_flight(fl);
        }
        if (r == 0) {
            fl->next = f->in_flight;
            f->in_flight = fl;
        }
    }
    if (r == 0)
        board(fl, wait);
    (void)pthread_mutex_unlock(&f->mutex);
    join_ended(ended);
    return r;
}

bool flights_is_done(struct flights *f, const struct flight_wait *wait)
{
    (void)pthread_mutex_lock(&f->mutex);
    bool is_done = wait->is_done;
    (void)pthread_mutex_unlock(&f->mutex);
    return is_done;
}

void flights_leave(struct flights *f, struct flight_wait *wait)
{
    uint64_t one = 1;

    (void)pthread_mutex_lock(&f->mutex);
    struct flight *fl = take_ptr(&wait->flight);
    if (fl != NULL) {
        struct flight_wait **at = &fl->waits;
        while (*at != wait)
            at = &(*at)->next;
        *at = wait->next;
        fl->is_given_up = fl->waits == NULL;
        if (fl->is_given_up)
            (void)!write(fl->cancel_fd, &one, sizeof(one));
    }
    (void)pthread_mutex_unlock(&f->mutex);
    remote_code_unref(take_ptr(&wait->code));
}

bool flights_progress(struct flights *f, const struct flight_wait *wait, uint64_t *done,
                      uint64_t *total)
{
    (void)pthread_mutex_lock(&f->mutex);
    const struct flight *fl = wait->flight;
    if (fl != NULL) {
        *done = __atomic_load_n(&fl->progress.done, __ATOMIC_RELAXED);
        *total = __atomic_load_n(&fl->progress.total, __ATOMIC_RELAXED);
    }
    (void)pthread_mutex_unlock(&f->mutex);
    return fl != NULL;
}

const struct remote_cache *flights_cache(const struct flights *f)
{
    return &f->cache;
}
