/* SPDX-License-Identifier: Apache-2.0 */
/**
 * pool.c - sandboxes prepared ahead, and used ones awaiting their removal
 *
 * Theory of operation. A kind has a list of ready sandboxes, oldest first, and a number that are
 * being made by the host's background threads. Who finds none ready waits for one of those that are
 * really being made, if any is not spoken for; otherwise it makes its own, which cannot take
 * longer.
 *
 * When to refill: making a sandbox costs some 25 ms of CPU, which would compete with the execution
 * that has just taken one. So the one that took it refills when it ends, or after a while; only
 * when executions follow each other closely is the pool refilled at once. Refilling that fails
 * backs off, doubling its pause, and the reason is logged; who comes meanwhile makes its own
 * sandbox and reports its own failure.
 *
 * A sandbox made before the images changed is not used any more. Idle sandboxes go after a while,
 * and all of them when the kernel reports memory pressure (PSI).
 */
#include "executor/pool.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/mem.h"
#include "executor/background.h"
#include "executor/failpoint.h"
#include "executor/keeper.h"

enum {
    CREATE_MS = 120000,      /* a sandbox not up after this long is given up */
    BACKOFF_MS = 100,        /* after the first failure to refill */
    BACKOFF_MS_MAX = 30000,  /* doubled up to this */
    IDLE_MS = 5 * 60 * 1000, /* nobody asked for the kind: its sandboxes go */
};
#define HOT_NS UINT64_C(100000000) /* requests closer than this: refill at once */
#define MS_NS UINT64_C(1000000)

struct pool_kind {
    struct pool_kind *next;
    struct exec_pool *pool;
    struct sandbox_args args; /* its strings are the kind's own */
    unsigned users;           /* engines that joined */
    unsigned holders;         /* runs and calls that have a pointer to it */
    unsigned target;          /* ready ones wanted */
    struct sandbox *first, **last;
    unsigned ready;
    unsigned wanted; /* jobs posted: sandboxes being made, or about to */
    unsigned making; /* those that a thread is at work on */
    struct pool_ticket *tickets, **last_ticket;
    unsigned waiting; /* tickets */
    uint64_t used_ns; /* last time somebody asked */
    unsigned failures;
    uint64_t retry_ns;
};

struct exec_pool {
    struct isol8_host *host;
    pthread_mutex_t mutex; /* guards everything below, and all kinds */
    pthread_cond_t changed;
    struct pool_kind *kinds;
    struct removal *removals, **last_removal; /* under way, oldest first */
    uint64_t n_retired;                       /* so far; each removal's number */
    unsigned removing;
    uint64_t hits, waits, misses, failures;
    bool has_timer; /* the trimming timer is armed */
    struct evl_timer timer;
    struct evl_io pressure;
};

struct making {
    struct background_job job;
    struct pool_kind *kind;
};

struct removal {
    struct background_job job;
    struct exec_pool *pool;
    struct sandbox *sandbox;
    uint64_t number;
    struct removal *next, **link; /* among the pool's */
};

static void trim_later(struct exec_pool *p);

/* ---- Removal ------------------------------------------------------------------------------- */

static void remove_now(struct exec_pool *p, struct sandbox *sb)
{
    isol8_error err;

    if (sb->state != SANDBOX_CLOSING)
        exec_sandbox_close(sb);
    if (exec_sandbox_remove(sb, &err) < 0)
        log_warn(&p->host->log, "pool: cannot remove a sandbox id=%.12s: %s", sb->id, err.msg);
    exec_sandbox_free(sb);
}

static void carry_out_removal(struct background_job *job)
{
    struct removal *r = (struct removal *)job;
    struct exec_pool *p = r->pool;

    remove_now(p, r->sandbox);
    (void)pthread_mutex_lock(&p->mutex);
    p->removing--;
    *r->link = r->next;
    if (r->next != NULL)
        r->next->link = r->link;
    else
        p->last_removal = r->link;
    (void)pthread_cond_broadcast(&p->changed);
    (void)pthread_mutex_unlock(&p->mutex);
    free(r);
}

/* The caller holds the mutex. */
static void number_removal(struct exec_pool *p, struct removal *r, struct sandbox *sb)
{
    *r = (struct removal){ .job.fn = carry_out_removal, .pool = p, .sandbox = sb };
    r->number = ++p->n_retired;
    r->link = p->last_removal;
    *r->link = r;
    p->last_removal = &r->next;
    p->removing++;
}

bool pool_retire(struct exec_pool *p, struct sandbox *sb, unsigned pending_max)
{
    struct removal *r = malloc(sizeof(*r));

    if (r == NULL)
        return false;
    (void)pthread_mutex_lock(&p->mutex);
    bool ok = p->removing < pending_max;
    if (ok)
        number_removal(p, r, sb);
    (void)pthread_mutex_unlock(&p->mutex);
    if (!ok) {
        free(r);
        return false;
    }
    /* Now, so that many end side by side. */
    if (sb->state != SANDBOX_CLOSING)
        exec_sandbox_close(sb);
    background_post(p->host->background, &r->job);
    failpoint("pool-retired");
    return true;
}

/* Remove a list of ready sandboxes that nobody can reach any more. */
static void retire_list(struct exec_pool *p, struct sandbox *list)
{
    while (list != NULL) {
        struct sandbox *next = list->next;
        if (!pool_retire(p, list, UINT32_MAX))
            remove_now(p, list);
        list = next;
    }
}

/* ---- Kinds --------------------------------------------------------------------------------- */

static bool same_text(const char *a, const char *b)
{
    return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

bool pool_is_kind(const struct pool_kind *k, const struct sandbox_args *a)
{
    const struct sandbox_args *b = &k->args;

    return a->layers == NULL && a->host_network == b->host_network &&
           a->is_filtered == b->is_filtered && a->readonly_rootfs == b->readonly_rootfs &&
           a->sandbox_bytes == b->sandbox_bytes && a->tmp_bytes == b->tmp_bytes &&
           strcmp(a->image, b->image) == 0 && same_text(a->seccomp, b->seccomp);
}

static struct pool_kind *kind_new(struct exec_pool *p, const struct sandbox_args *args)
{
    struct pool_kind *k = calloc(1, sizeof(*k));

    if (k == NULL)
        return NULL;
    k->pool = p;
    k->args = *args;
    k->args.rules = NULL;
    k->args.image = strdup(args->image);
    k->args.seccomp = mem_strdup(args->seccomp);
    k->last = &k->first;
    k->last_ticket = &k->tickets;
    if (k->args.image == NULL || (args->seccomp != NULL && k->args.seccomp == NULL)) {
        free((char *)k->args.image);
        free((char *)k->args.seccomp);
        free(k);
        return NULL;
    }
    k->next = p->kinds;
    p->kinds = k;
    return k;
}

struct pool_kind *pool_join(struct exec_pool *p, const struct sandbox_args *args, unsigned clean)
{
    (void)pthread_mutex_lock(&p->mutex);
    struct pool_kind *k = p->kinds;
    while (k != NULL && !pool_is_kind(k, args))
        k = k->next;
    if (k == NULL)
        k = kind_new(p, args);
    if (k != NULL) {
        k->users++;
        if (k->target < clean)
            k->target = clean;
    }
    (void)pthread_mutex_unlock(&p->mutex);
    return k;
}

/* The kind's ready sandboxes, taken out of it. The caller holds the mutex. */
static struct sandbox *take_all(struct pool_kind *k)
{
    struct sandbox *list = k->first;

    k->first = NULL;
    k->last = &k->first;
    k->ready = 0;
    return list;
}

/* Forget kinds that nobody uses and that hold nothing. The caller holds the mutex. */
static void forget_kinds(struct exec_pool *p)
{
    for (struct pool_kind **at = &p->kinds; *at != NULL;) {
        struct pool_kind *k = *at;
        if (k->users + k->holders > 0 || k->ready + k->wanted + k->waiting > 0) {
            at = &k->next;
            continue;
        }
        *at = k->next;
        free((char *)k->args.image);
        free((char *)k->args.seccomp);
        free(k);
    }
}

void pool_leave(struct pool_kind *k)
{
    struct exec_pool *p = k->pool;
    struct sandbox *list = NULL;

    (void)pthread_mutex_lock(&p->mutex);
    k->users--;
    if (k->users == 0) {
        if (p->host->pool_linger_ms == 0) {
            k->target = 0;
            list = take_all(k);
        }
        forget_kinds(p);
    }
    (void)pthread_mutex_unlock(&p->mutex);
    retire_list(p, list);
}

void pool_hold(struct pool_kind *k)
{
    (void)pthread_mutex_lock(&k->pool->mutex);
    k->holders++;
    (void)pthread_mutex_unlock(&k->pool->mutex);
}

void pool_release(struct pool_kind *k)
{
    struct exec_pool *p = k == NULL ? NULL : k->pool;

    if (p == NULL)
        return;
    (void)pthread_mutex_lock(&p->mutex);
    k->holders--;
    forget_kinds(p);
    (void)pthread_mutex_unlock(&p->mutex);
}

static unsigned being_made_for_nobody(const struct exec_pool *p)
{
    unsigned n = 0;

    for (const struct pool_kind *k = p->kinds; k != NULL; k = k->next)
        n += k->users == 0 ? k->wanted : 0;
    return n;
}

void pool_settle(struct exec_pool *p)
{
    (void)pthread_mutex_lock(&p->mutex);
    /* Others go on meanwhile, and may never all have finished at the same moment. */
    uint64_t last = p->n_retired;
    while ((p->removals != NULL && p->removals->number <= last) || being_made_for_nobody(p) > 0)
        (void)pthread_cond_wait(&p->changed, &p->mutex);
    (void)pthread_mutex_unlock(&p->mutex);
}

/* ---- Making -------------------------------------------------------------------------------- */

static int make_ready(struct isol8_host *h, const struct sandbox_args *args, struct sandbox **out,
                      isol8_error *err)
{
    struct oci_stamp stamp;

    oci_store_stamp(h->store, &stamp);
    int r = exec_sandbox_create(out, h, args, err);
    if (r < 0)
        return r;
    (*out)->stamp = stamp;
    r = exec_sandbox_wait_ready(*out, failpoint_ms(CREATE_MS), err);
    if (r == 0)
        r = exec_sandbox_prepare(*out, err);
    if (r < 0) {
        exec_sandbox_free(*out);
        *out = NULL;
    }
    return r;
}

/* The wait of the first ticket is over. The caller holds the mutex. */
static void serve_ticket(struct pool_kind *k, struct sandbox *sb)
{
    struct pool_ticket *t = k->tickets;
    uint64_t one = 1;

    k->tickets = t->next;
    if (k->tickets == NULL)
        k->last_ticket = &k->tickets;
    k->waiting--;
    t->sandbox = sb;
    t->is_over = true;
    (void)!write(t->fd, &one, sizeof(one));
}

/* Give the new sandbox to who waits, or keep it. Return: what nobody wants. */
static struct sandbox *place(struct pool_kind *k, struct sandbox *sb)
{
    if (sb == NULL) {
        while (k->waiting > k->making)
            serve_ticket(k, NULL);
        return NULL;
    }
    if (k->waiting > 0) {
        serve_ticket(k, sb);
        return NULL;
    }
    if (k->ready >= k->target)
        return sb;
    *k->last = sb;
    k->last = &sb->next;
    sb->next = NULL;
    k->ready++;
    return NULL;
}

static void note_failure(struct pool_kind *k, const isol8_error *err)
{
    uint64_t ms = (uint64_t)BACKOFF_MS << (k->failures < 10 ? k->failures : 10);

    k->failures++;
    k->pool->failures++;
    k->retry_ns = clock_now_ns() + (ms > BACKOFF_MS_MAX ? BACKOFF_MS_MAX : ms) * MS_NS;
    log_warn(&k->pool->host->log, "pool: cannot prepare a sandbox image=%s failures=%u: %s",
             k->args.image, k->failures, err->msg);
}

static void make(struct background_job *job)
{
    struct pool_kind *k = ((struct making *)job)->kind;
    struct exec_pool *p = k->pool;
    struct sandbox *sb = NULL;
    isol8_error err = { 0 };

    free(job);
    (void)pthread_mutex_lock(&p->mutex);
    bool still_wanted = k->users > 0 && k->ready + k->making < k->target;
    if (still_wanted)
        k->making++;
    (void)pthread_mutex_unlock(&p->mutex);
    int r = still_wanted ? make_ready(p->host, &k->args, &sb, &err) : 0;
    failpoint("pool-made");

    (void)pthread_mutex_lock(&p->mutex);
    if (still_wanted) {
        k->making--;
        if (r < 0)
            note_failure(k, &err);
        else
            k->failures = 0;
        sb = place(k, sb);
    }
    bool arm = k->ready > 0 && !p->has_timer;
    p->has_timer = p->has_timer || arm;
    (void)pthread_mutex_unlock(&p->mutex);
    if (arm)
        trim_later(p);
    if (sb != NULL)
        remove_now(p, sb);

    (void)pthread_mutex_lock(&p->mutex);
    k->wanted--;
    forget_kinds(p);
    (void)pthread_cond_broadcast(&p->changed);
    (void)pthread_mutex_unlock(&p->mutex);
}

/* The caller holds the mutex. Return: jobs to post, linked. */
static struct background_job *plan_refill(struct pool_kind *k)
{
    struct background_job *jobs = NULL;

    while (k->users > 0 && k->ready + k->wanted < k->target && clock_now_ns() >= k->retry_ns) {
        struct making *m = malloc(sizeof(*m));
        if (m == NULL)
            break;
        *m = (struct making){ .job = { .fn = make, .next = jobs }, .kind = k };
        jobs = &m->job;
        k->wanted++;
    }
    return jobs;
}

static void post_jobs(struct exec_pool *p, struct background_job *jobs)
{
    while (jobs != NULL) {
        struct background_job *next = jobs->next;
        background_post(p->host->background, jobs);
        jobs = next;
    }
}

void pool_refill(struct pool_kind *k)
{
    struct exec_pool *p = k->pool;

    (void)pthread_mutex_lock(&p->mutex);
    struct background_job *jobs = plan_refill(k);
    (void)pthread_mutex_unlock(&p->mutex);
    post_jobs(p, jobs);
}

void pool_wait_full(struct pool_kind *k)
{
    struct exec_pool *p = k->pool;

    (void)pthread_mutex_lock(&p->mutex);
    k->used_ns = clock_now_ns();
    k->retry_ns = 0;
    struct background_job *jobs = plan_refill(k);
    (void)pthread_mutex_unlock(&p->mutex);
    post_jobs(p, jobs);
    (void)pthread_mutex_lock(&p->mutex);
    while (k->wanted > 0)
        (void)pthread_cond_wait(&p->changed, &p->mutex);
    (void)pthread_mutex_unlock(&p->mutex);
}

/* ---- Taking -------------------------------------------------------------------------------- */

static bool is_alive(const struct sandbox *sb)
{
    struct pollfd end = { .fd = sb->runtime_pidfd, .events = POLLIN };

    return poll(&end, 1, 0) == 0;
}

/* The oldest sandbox that can be used; what cannot is put on @stale. The caller holds the mutex. */
static struct sandbox *take_one(struct pool_kind *k, const struct oci_stamp *now,
                                struct sandbox **stale)
{
    while (k->first != NULL) {
        struct sandbox *sb = k->first;
        k->first = sb->next;
        if (k->first == NULL)
            k->last = &k->first;
        k->ready--;
        if (memcmp(&sb->stamp, now, sizeof(*now)) == 0 && is_alive(sb))
            return sb;
        sb->next = *stale;
        *stale = sb;
    }
    return NULL;
}

enum pool_answer pool_acquire(struct pool_kind *k, struct pool_ticket *ticket, struct sandbox **out)
{
    struct exec_pool *p = k->pool;
    struct sandbox *stale = NULL;
    struct oci_stamp stamp;
    enum pool_answer answer = POOL_MISS;

    oci_store_stamp(p->host->store, &stamp);
    (void)pthread_mutex_lock(&p->mutex);
    uint64_t now = clock_now_ns();
    bool is_hot = now - k->used_ns < HOT_NS;
    k->used_ns = now;
    *out = take_one(k, &stamp, &stale);
    if (*out != NULL) {
        answer = POOL_HAVE;
    } else if (k->waiting < k->making) {
        answer = POOL_WAIT;
        ticket->next = NULL;
        ticket->sandbox = NULL;
        ticket->is_over = false;
        *k->last_ticket = ticket;
        k->last_ticket = &ticket->next;
        k->waiting++;
    }
    (*(answer == POOL_HAVE ? &p->hits : answer == POOL_WAIT ? &p->waits : &p->misses))++;
    struct background_job *jobs = is_hot ? plan_refill(k) : NULL;
    (void)pthread_mutex_unlock(&p->mutex);
    post_jobs(p, jobs);
    retire_list(p, stale);
    return answer;
}

static void unlink_ticket(struct pool_kind *k, struct pool_ticket *ticket)
{
    struct pool_ticket **at = &k->tickets;

    while (*at != ticket)
        at = &(*at)->next;
    *at = ticket->next;
    if (k->last_ticket == &ticket->next)
        k->last_ticket = at;
    k->waiting--;
    ticket->is_over = true;
}

struct sandbox *pool_redeem(struct pool_kind *k, struct pool_ticket *ticket)
{
    struct exec_pool *p = k->pool;

    (void)pthread_mutex_lock(&p->mutex);
    if (!ticket->is_over)
        unlink_ticket(k, ticket);
    struct sandbox *sb = ticket->sandbox;
    ticket->sandbox = NULL;
    (void)pthread_mutex_unlock(&p->mutex);
    return sb;
}

/* ---- Trimming ------------------------------------------------------------------------------ */

/* Take out what has waited too long, or everything. The caller does not hold the mutex. */
static bool trim(struct exec_pool *p, bool everything)
{
    struct sandbox *list = NULL;
    bool has_some = false;
    uint64_t now = clock_now_ns();

    (void)pthread_mutex_lock(&p->mutex);
    for (struct pool_kind *k = p->kinds; k != NULL; k = k->next) {
        uint64_t ms = k->users > 0 ? (uint64_t)IDLE_MS : (uint64_t)p->host->pool_linger_ms;
        if (everything || now - k->used_ns >= ms * MS_NS) {
            *k->last = list;
            list = take_all(k);
        }
        has_some = has_some || k->ready > 0;
    }
    forget_kinds(p);
    p->has_timer = has_some;
    (void)pthread_mutex_unlock(&p->mutex);
    if (list != NULL)
        log_debug(&p->host->log, "pool: idle sandboxes are removed");
    retire_list(p, list);
    return has_some;
}

static uint64_t trim_interval(const struct exec_pool *p)
{
    int64_t linger = p->host->pool_linger_ms;

    return linger > 0 && linger < IDLE_MS ? (uint64_t)linger : IDLE_MS;
}

static void on_timer(struct evl_timer *t)
{
    struct exec_pool *p = (struct exec_pool *)((char *)t - offsetof(struct exec_pool, timer));

    if (trim(p, false))
        (void)evl_timer_set(keeper_loop(p->host->keeper), &p->timer, trim_interval(p));
}

static void on_pressure(struct evl_io *io, uint32_t events)
{
    struct exec_pool *p = (struct exec_pool *)((char *)io - offsetof(struct exec_pool, pressure));

    if ((events & EPOLLPRI) != 0)
        (void)trim(p, true);
    else
        evl_io_remove(keeper_loop(p->host->keeper), io); /* the file is of no use */
}

/* Documentation/accounting/psi.rst: 150 ms of stalls within a second make one event. A kernel
 * without it has no such warning, and only age trims. */
static int open_pressure(void)
{
    static const char trigger[] = "some 150000 1000000";
    int fd = open("/proc/pressure/memory", O_RDWR | O_NONBLOCK | O_CLOEXEC);

    if (fd >= 0 && write(fd, trigger, sizeof(trigger)) < 0)
        fd = fd_close(fd);
    return fd;
}

static void arm(void *user)
{
    struct exec_pool *p = user;
    struct evloop *loop = keeper_loop(p->host->keeper);

    (void)evl_timer_set(loop, &p->timer, trim_interval(p));
    if (p->pressure.fd < 0) {
        p->pressure.fd = open_pressure();
        if (p->pressure.fd >= 0)
            (void)evl_io_set(loop, &p->pressure, EPOLLPRI, NULL);
    }
}

static void trim_later(struct exec_pool *p)
{
    (void)keeper_call(p->host->keeper, arm, p);
}

/* ---- For whoever watches ------------------------------------------------------------------- */

void isol8_pool_look(isol8_host *h, isol8_pool_state *out)
{
    struct exec_pool *p = h->pool;

    *out = (isol8_pool_state){ 0 };
    if (!exec_host_is_ours(h, NULL))
        return;
    (void)pthread_mutex_lock(&p->mutex);
    for (const struct pool_kind *k = p->kinds; k != NULL; k = k->next) {
        out->kinds++;
        out->ready += k->ready;
        out->making += k->wanted;
    }
    out->removing = p->removing;
    out->hits = p->hits;
    out->waits = p->waits;
    out->misses = p->misses;
    out->failures = p->failures;
    (void)pthread_mutex_unlock(&p->mutex);
}

/* ---- Life ---------------------------------------------------------------------------------- */

int pool_new(struct exec_pool **out, struct isol8_host *h, isol8_error *err)
{
    struct exec_pool *p = calloc(1, sizeof(*p));

    if (p == NULL)
        return err_nomem(err);
    p->host = h;
    p->last_removal = &p->removals;
    evl_timer_init(&p->timer, on_timer);
    p->pressure = (struct evl_io){ .fn = on_pressure, .fd = -1 };
    (void)pthread_mutex_init(&p->mutex, NULL);
    (void)pthread_cond_init(&p->changed, NULL);
    *out = p;
    return 0;
}

void pool_drain(struct exec_pool *p)
{
    if (p == NULL)
        return;
    (void)trim(p, true);
    pool_settle(p);
}

void pool_free(struct exec_pool *p)
{
    if (p == NULL)
        return;
    (void)fd_close(p->pressure.fd);
    (void)pthread_cond_destroy(&p->changed);
    (void)pthread_mutex_destroy(&p->mutex);
    free(p);
}
