/* SPDX-License-Identifier: Apache-2.0 */
/* background.c - a few threads for what nobody waits for. */
#include "executor/background.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

enum { THREADS_MIN = 2, THREADS_MAX = 16 };

struct background {
    pthread_mutex_t mutex;
    pthread_cond_t work;
    struct background_job *first, **last;
    unsigned queued;
    pthread_t threads[THREADS_MAX];
    unsigned n_threads, max_threads;
    unsigned idle; /* threads that wait for work */
    bool is_ending;
};

int background_new(struct background **out, isol8_error *err)
{
    struct background *b = calloc(1, sizeof(*b));
    long cpus = sysconf(_SC_NPROCESSORS_ONLN);

    if (b == NULL)
        return err_nomem(err);
    (void)pthread_mutex_init(&b->mutex, NULL);
    (void)pthread_cond_init(&b->work, NULL);
    b->last = &b->first;
    b->max_threads = cpus < THREADS_MIN   ? THREADS_MIN
                     : cpus > THREADS_MAX ? THREADS_MAX
                                          : (unsigned)cpus;
    *out = b;
    return 0;
}

static struct background_job *take_first(struct background *b)
{
    struct background_job *job = b->first;

    b->first = job->next;
    b->queued--;
    if (b->first == NULL)
        b->last = &b->first;
    return job;
}

static void *work(void *user)
{
    struct background *b = user;

    (void)pthread_mutex_lock(&b->mutex);
    for (;;) {
        while (b->first == NULL && !b->is_ending) {
            b->idle++;
            (void)pthread_cond_wait(&b->work, &b->mutex);
            b->idle--;
        }
        if (b->first == NULL)
            break;
        struct background_job *job = take_first(b);
        (void)pthread_mutex_unlock(&b->mutex);
        job->fn(job);
        (void)pthread_mutex_lock(&b->mutex);
    }
    (void)pthread_mutex_unlock(&b->mutex);
    return NULL;
}

/* The library's threads leave every signal to the program's own. */
static bool start_thread(struct background *b)
{
    sigset_t all, before;

    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    int e = pthread_create(&b->threads[b->n_threads], NULL, work, b);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (e == 0)
        b->n_threads++;
    return e == 0;
}

void background_post(struct background *b, struct background_job *job)
{
    (void)pthread_mutex_lock(&b->mutex);
    job->next = NULL;
    *b->last = job;
    b->last = &job->next;
    b->queued++;
    /* An idle thread that was told of a job before counts until it has woken up. */
    bool ok = b->queued <= b->idle || b->n_threads == b->max_threads || start_thread(b) ||
              b->n_threads > 0;
    if (!ok)
        job = take_first(b); /* no thread was ever had, so the queue holds this one alone */
    (void)pthread_cond_signal(&b->work);
    (void)pthread_mutex_unlock(&b->mutex);
    if (!ok)
        job->fn(job);
}

void background_free(struct background *b)
{
    if (b == NULL)
        return;
    (void)pthread_mutex_lock(&b->mutex);
    b->is_ending = true;
    (void)pthread_cond_broadcast(&b->work);
    (void)pthread_mutex_unlock(&b->mutex);
    for (unsigned i = 0; i < b->n_threads; i++)
        (void)pthread_join(b->threads[i], NULL);
    (void)pthread_cond_destroy(&b->work);
    (void)pthread_mutex_destroy(&b->mutex);
    free(b);
}
