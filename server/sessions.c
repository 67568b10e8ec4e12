/* SPDX-License-Identifier: Apache-2.0 */
/**
 * sessions.c - named engines whose sandbox lives on between requests
 *
 * Theory of operation. The list and each session's counts are under one mutex. The list holds one
 * reference, every request at work another; the last one to go has the engine released. Ending
 * takes the session off the list and marks it before its sandbox goes, so that whoever has just
 * started something in it sees the mark afterwards and cancels (execute.c). An id is free again
 * from then on: a new session of that name shares nothing with the old one.
 */
#include "server/sessions.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/mem.h"

#define LOOK_MS_MAX 60000
#define LOOK_MS_MIN 100

struct srv_session {
    struct srv_session *next;
    char *tenant, *id; /* never change */
    isol8_engine *engine;
    unsigned refs;
    unsigned busy;   /* executions */
    bool is_settled; /* something succeeded in it */
    bool is_over;
    uint64_t used_ns;
    int64_t used_wall_ms;
};

struct srv_sessions {
    struct srv_sessions_args args;
    pthread_mutex_t mutex; /* guards the rest, and all sessions */
    pthread_cond_t changed;
    struct srv_session *first, **last;
    unsigned n;
    bool is_over;
    pthread_t pruner;
    bool has_pruner;
};

static void touch(struct srv_session *s)
{
    s->used_ns = clock_now_ns();
    s->used_wall_ms = clock_wall_ms();
}

/* ---- The list; the caller holds the mutex ---------------------------------------------------- */

static struct srv_session **locate(struct srv_sessions *all, const struct srv_who *who,
                                   const char *id)
{
    struct srv_session **other = NULL;

    for (struct srv_session **at = &all->first; *at != NULL; at = &(*at)->next) {
        if (strcmp((*at)->id, id) != 0)
            continue;
        if (strcmp((*at)->tenant, who->tenant) == 0)
            return at;
        if (who->is_master && other == NULL)
            other = at;
    }
    return other;
}

static void unlink_at(struct srv_sessions *all, struct srv_session **at)
{
    struct srv_session *s = *at;

    *at = s->next;
    if (all->last == &s->next)
        all->last = at;
    __atomic_store_n(&s->is_over, true, __ATOMIC_SEQ_CST); /* others look without the mutex */
    all->n--;
}

static void unlink_session(struct srv_sessions *all, struct srv_session *s)
{
    struct srv_session **at = &all->first;

    while (*at != s)
        at = &(*at)->next;
    unlink_at(all, at);
}

/* ---- Release --------------------------------------------------------------------------------- */

static void session_free(struct srv_sessions *all, struct srv_session *s)
{
    srv_engines_dispose(all->args.engines, s->engine);
    free(s->tenant);
    free(s->id);
    free(s);
}

static void drop(struct srv_sessions *all, struct srv_session *s)
{
    (void)pthread_mutex_lock(&all->mutex);
    bool is_last = --s->refs == 0;
    (void)pthread_mutex_unlock(&all->mutex);
    if (is_last)
        session_free(all, s);
}

/* After it was taken off the list: end its sandbox, and give the list's reference up. */
static int end(struct srv_sessions *all, struct srv_session *s, isol8_error *err)
{
    int r = isol8_stop(s->engine, err);

    drop(all, s);
    return r < 0 ? r : 0;
}

/* ---- Use ------------------------------------------------------------------------------------- */

/* Made under the lock, which makes simultaneous first calls one session; its sandbox is made later,
 * by the first execution. */
static int make(struct srv_sessions *all, const struct srv_who *who, const char *id,
                const isol8_options *o, struct srv_session **out, isol8_error *err)
{
    if (all->is_over || all->n >= all->args.max)
        return err_set(err, ISOL8_E_BUSY, "Too many sessions: the limit of %u is reached",
                       all->args.max);
    struct srv_session *s = calloc(1, sizeof(*s));
    if (s == NULL)
        return err_nomem(err);
    s->tenant = strdup(who->tenant);
    s->id = strdup(id);
    int r = s->tenant == NULL || s->id == NULL ? err_nomem(err)
                                               : isol8_create(&s->engine, all->args.host, o, err);
    if (r < 0) {
        free(s->tenant);
        free(s->id);
        free(s);
        return r;
    }
    s->refs = 1;
    touch(s);
    *all->last = s;
    all->last = &s->next;
    all->n++;
    *out = s;
    return 0;
}

int srv_sessions_use(struct srv_sessions *all, const struct srv_who *who, const char *id,
                     const isol8_options *o, struct srv_session **out, isol8_error *err)
{
    int r = 0;

    (void)pthread_mutex_lock(&all->mutex);
    struct srv_session **at = locate(all, who, id);
    struct srv_session *s = at == NULL ? NULL : *at;
    if (s == NULL)
        r = make(all, who, id, o, &s, err);
    if (r == 0 && s != NULL) {
        s->refs++;
        s->busy++;
        touch(s);
        *out = s;
    }
    (void)pthread_mutex_unlock(&all->mutex);
    return r;
}

struct srv_session *srv_sessions_find(struct srv_sessions *all, const struct srv_who *who,
                                      const char *id)
{
    (void)pthread_mutex_lock(&all->mutex);
    struct srv_session **at = locate(all, who, id);
    struct srv_session *s = at == NULL ? NULL : *at;
    if (s != NULL) {
        s->refs++;
        touch(s);
    }
    (void)pthread_mutex_unlock(&all->mutex);
    return s;
}

isol8_engine *srv_session_engine(struct srv_session *s)
{
    return s->engine;
}

bool srv_session_is_over(struct srv_session *s)
{
    return __atomic_load_n(&s->is_over, __ATOMIC_SEQ_CST);
}

void srv_sessions_put(struct srv_sessions *all, struct srv_session *s, bool is_execution,
                      bool was_good)
{
    if (s == NULL)
        return;
    (void)pthread_mutex_lock(&all->mutex);
    if (is_execution)
        s->busy--;
    s->is_settled = s->is_settled || was_good;
    touch(s);
    bool forget = !s->is_settled && s->busy == 0 && !s->is_over;
    if (forget)
        unlink_session(all, s);
    (void)pthread_mutex_unlock(&all->mutex);
    if (forget)
        (void)end(all, s, NULL);
    drop(all, s);
}

int srv_sessions_end(struct srv_sessions *all, const struct srv_who *who, const char *id,
                     isol8_error *err)
{
    (void)pthread_mutex_lock(&all->mutex);
    struct srv_session **at = locate(all, who, id);
    struct srv_session *s = at == NULL ? NULL : *at;
    if (s != NULL)
        unlink_at(all, at);
    (void)pthread_mutex_unlock(&all->mutex);
    return s == NULL ? 0 : end(all, s, err);
}

void srv_sessions_end_all(struct srv_sessions *all, struct srv_sessions_report *report,
                          void (*failed)(const char *id, const char *why, void *user), void *user)
{
    *report = (struct srv_sessions_report){ 0 };
    for (;;) {
        isol8_error err;
        (void)pthread_mutex_lock(&all->mutex);
        struct srv_session *s = all->first;
        if (s != NULL) {
            s->refs++; /* its id is wanted below */
            unlink_at(all, &all->first);
        }
        (void)pthread_mutex_unlock(&all->mutex);
        if (s == NULL)
            return;
        if (end(all, s, &err) == 0) {
            report->removed++;
        } else {
            report->failed++;
            if (failed != NULL)
                failed(s->id, err.msg, user);
        }
        drop(all, s);
    }
}

void srv_sessions_list(struct srv_sessions *all, const struct srv_who *who,
                       void (*each)(const char *id, bool is_active, int64_t last_wall_ms,
                                    void *user),
                       void *user)
{
    (void)pthread_mutex_lock(&all->mutex);
    for (const struct srv_session *s = all->first; s != NULL; s = s->next) {
        if (who->is_master || strcmp(s->tenant, who->tenant) == 0)
            each(s->id, s->busy > 0, s->used_wall_ms, user);
    }
    (void)pthread_mutex_unlock(&all->mutex);
}

unsigned srv_sessions_count(struct srv_sessions *all)
{
    (void)pthread_mutex_lock(&all->mutex);
    unsigned n = all->n;
    (void)pthread_mutex_unlock(&all->mutex);
    return n;
}

/* ---- Pruning --------------------------------------------------------------------------------- */

/* One that was idle for too long, off the list. The caller holds the mutex. */
static struct srv_session *take_idle(struct srv_sessions *all)
{
    uint64_t now = clock_now_ns(), idle_ns = (uint64_t)all->args.idle_ms * 1000000u;

    for (struct srv_session **at = &all->first; *at != NULL; at = &(*at)->next) {
        struct srv_session *s = *at;
        if (s->busy == 0 && s->refs == 1 && now - s->used_ns > idle_ns) {
            unlink_at(all, at);
            return s;
        }
    }
    return NULL;
}

static void *run_pruner(void *user)
{
    struct srv_sessions *all = user;
    int64_t ms = all->args.idle_ms / 2;
    struct timespec until;

    ms = ms < LOOK_MS_MIN ? LOOK_MS_MIN : ms > LOOK_MS_MAX ? LOOK_MS_MAX : ms;
    (void)pthread_mutex_lock(&all->mutex);
    while (!all->is_over) {
        struct srv_session *s = take_idle(all);
        if (s == NULL) {
            (void)clock_gettime(CLOCK_REALTIME, &until);
            until.tv_nsec += (ms % 1000) * 1000000;
            until.tv_sec += ms / 1000 + until.tv_nsec / 1000000000;
            until.tv_nsec %= 1000000000;
            (void)pthread_cond_timedwait(&all->changed, &all->mutex, &until);
            continue;
        }
        (void)pthread_mutex_unlock(&all->mutex);
        (void)end(all, s, NULL);
        (void)pthread_mutex_lock(&all->mutex);
    }
    (void)pthread_mutex_unlock(&all->mutex);
    return NULL;
}

/* ---- Life ------------------------------------------------------------------------------------ */

int srv_sessions_new(struct srv_sessions **out, const struct srv_sessions_args *args,
                     isol8_error *err)
{
    struct srv_sessions *all = calloc(1, sizeof(*all));

    if (all == NULL)
        return err_nomem(err);
    all->args = *args;
    all->last = &all->first;
    (void)pthread_mutex_init(&all->mutex, NULL);
    (void)pthread_cond_init(&all->changed, NULL);
    int r = args->prunes ? pthread_create(&all->pruner, NULL, run_pruner, all) : 0;
    all->has_pruner = args->prunes && r == 0;
    if (r != 0) {
        srv_sessions_free(all);
        return err_sys(err, r, "cannot start a thread");
    }
    *out = all;
    return 0;
}

void srv_sessions_free(struct srv_sessions *all)
{
    struct srv_sessions_report report;

    if (all == NULL)
        return;
    (void)pthread_mutex_lock(&all->mutex);
    all->is_over = true;
    (void)pthread_cond_signal(&all->changed);
    (void)pthread_mutex_unlock(&all->mutex);
    if (all->has_pruner)
        (void)pthread_join(all->pruner, NULL);
    srv_sessions_end_all(all, &report, NULL, NULL);
    (void)pthread_cond_destroy(&all->changed);
    (void)pthread_mutex_destroy(&all->mutex);
    free(all);
}
