/* SPDX-License-Identifier: Apache-2.0 */
/**
 * resolver.c - names to addresses in the proxy's loop
 *
 * Theory of operation. c-ares does the protocol; its sockets are watched by our loop (it tells us
 * by a callback which ones) and its timeouts are one timer of ours. It asks for the name exactly as
 * given: no search domains, no aliases from the environment.
 *
 * A lookup is a query on the heap that outlives its asker: c-ares can only cancel everything at
 * once, so a cancelled query is orphaned (query->lookup is NULL) and freed when c-ares is through
 * with it. Answers are never delivered from inside resolver_start() or c-ares, but deferred to the
 * end of the turn, so that askers need not expect to be called from their own call.
 *
 *   WAITING --(a place in the quota is free)--> RUNNING --(c-ares answers)--> DONE --> freed
 *      \________________(cancelled, deadline)__________________________________/
 *
 * Each sandbox may have PROXY_LOOKUPS_MAX running, orphans included: they are real load. The rest
 * wait in line with the deadline running. Names that never answer hold up nobody else: there is no
 * thread behind a query, only a socket.
 */
#include "proxy/resolver.h"

#include <ares.h>
#include <netdb.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <sys/time.h>

#include "base/dl.h"
#include "base/mem.h"
#include "proxy/proxy_internal.h"

enum {
    TRY_MS = 2000, /* until a server is asked again */
    TRIES = 3,
};

static struct {
    int (*library_init)(int flags);
    int (*init_options)(ares_channel *out, struct ares_options *options, int mask);
    void (*destroy)(ares_channel channel);
    void (*getaddrinfo)(ares_channel channel, const char *node, const char *service,
                        const struct ares_addrinfo_hints *hints, ares_addrinfo_callback fn,
                        void *user);
    void (*freeaddrinfo)(struct ares_addrinfo *ai);
    void (*process_fd)(ares_channel channel, ares_socket_t r, ares_socket_t w);
    struct timeval *(*timeout)(ares_channel channel, struct timeval *max, struct timeval *out);
    const char *(*text)(int code);
} lib;
static pthread_once_t load_once = PTHREAD_ONCE_INIT;
static int load_status;
static isol8_error load_error;

static void load(void)
{
    static const struct dl_symbol symbols[] = {
        { "ares_library_init", &lib.library_init },
        { "ares_init_options", &lib.init_options },
        { "ares_destroy", &lib.destroy },
        { "ares_getaddrinfo", &lib.getaddrinfo },
        { "ares_freeaddrinfo", &lib.freeaddrinfo },
        { "ares_process_fd", &lib.process_fd },
        { "ares_timeout", &lib.timeout },
        { "ares_strerror", &lib.text },
        { NULL, NULL },
    };

    load_status = dl_load("libcares.so.2", symbols, &load_error);
    if (load_status == 0)
        (void)lib.library_init(ARES_LIB_INIT_ALL); /* does nothing on Linux but count */
}

enum query_state { WAITING, RUNNING, DONE };

struct resolve_query {
    struct resolver *resolver;
    struct resolver_quota *quota; /* NULL: not counted, or its sandbox is gone */
    struct lookup *lookup;        /* NULL: nobody wants the answer */
    enum query_state state;
    struct resolve_query *prev, *next; /* all queries */
    struct resolve_query *next_waiting;
    struct evl_timer deadline;
    struct evl_deferred deferred;
    struct resolve_result result;
    char name[]; /* normal form */
};

struct fixed_host {
    char *name;
    size_t n;
    struct proxy_address addresses[RESOLVE_ADDRESSES_MAX];
};

struct ares_watch {
    struct evl_io io;
    struct resolver *resolver;
    struct evl_deferred deferred;
    struct ares_watch *next;
};

struct resolver {
    struct evloop *loop;
    ares_channel channel;
    struct ares_watch *watches;
    struct evl_timer timer; /* c-ares's own timeouts */
    struct resolve_query *queries;
    struct fixed_host *fixed;
    size_t n_fixed;
    struct timespec conf_mtime; /* of resolv.conf when the channel was made */
    bool is_closing;            /* no loop behind us any more */
};

/* ---- c-ares and the loop ------------------------------------------------------------------- */

static void set_timer(struct resolver *r)
{
    struct timeval tv, *t = lib.timeout(r->channel, NULL, &tv);

    if (t == NULL)
        evl_timer_cancel(r->loop, &r->timer);
    else
        (void)evl_timer_set(r->loop, &r->timer,
                            (uint64_t)t->tv_sec * 1000 + ((uint64_t)t->tv_usec + 999) / 1000);
}

static void on_timer(struct evl_timer *t)
{
    struct resolver *r = PROXY_CONTAINER(t, struct resolver, timer);

    lib.process_fd(r->channel, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
    set_timer(r);
}

static void on_socket(struct evl_io *io, uint32_t events)
{
    struct ares_watch *w = PROXY_CONTAINER(io, struct ares_watch, io);
    struct resolver *r = w->resolver; /* w may be gone after the call */
    bool is_in = (events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0;
    bool is_out = (events & (EPOLLOUT | EPOLLHUP | EPOLLERR)) != 0;

    lib.process_fd(r->channel, is_in ? io->fd : ARES_SOCKET_BAD, is_out ? io->fd : ARES_SOCKET_BAD);
    set_timer(r);
}

static void free_watch(struct evl_deferred *d)
{
    free(PROXY_CONTAINER(d, struct ares_watch, deferred));
}

static void drop_watch(struct resolver *r, struct ares_watch **at)
{
    struct ares_watch *w = *at;

    *at = w->next;
    evl_io_remove(r->loop, &w->io);
    if (r->is_closing)
        free(w);
    else {
        w->deferred.fn = free_watch;
        evl_defer(r->loop, &w->deferred);
    }
}

/* c-ares tells what to watch a socket for; nothing: it is about to close it. */
static void on_socket_state(void *user, ares_socket_t fd, int is_in, int is_out)
{
    struct resolver *r = user;
    struct ares_watch **at = &r->watches;

    while (*at != NULL && (*at)->io.fd != fd)
        at = &(*at)->next;
    if (!is_in && !is_out) {
        if (*at != NULL)
            drop_watch(r, at);
        return;
    }
    if (*at == NULL) {
        struct ares_watch *w = calloc(1, sizeof(*w));
        if (w == NULL)
            return; /* the query runs into its deadline */
        *w = (struct ares_watch){ .io = { .fn = on_socket, .fd = fd }, .resolver = r };
        *at = w;
    }
    (void)evl_io_set(r->loop, &(*at)->io, (is_in ? EPOLLIN : 0u) | (is_out ? EPOLLOUT : 0u), NULL);
}

static int open_channel(struct resolver *r, isol8_error *err)
{
    struct stat st;
    struct ares_options options = {
        .flags = ARES_FLAG_NOSEARCH | ARES_FLAG_NOALIASES,
        .timeout = TRY_MS,
        .tries = TRIES,
        .sock_state_cb = on_socket_state,
        .sock_state_cb_data = r,
    };

    r->conf_mtime = stat("/etc/resolv.conf", &st) == 0 ? st.st_mtim
                                                       : (struct timespec){ .tv_sec = 0 };
    int status = lib.init_options(&r->channel, &options,
                                  ARES_OPT_FLAGS | ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES |
                                      ARES_OPT_DOMAINS | ARES_OPT_SOCK_STATE_CB);
    if (status != ARES_SUCCESS)
        return err_set(err, ISOL8_E_NETWORK, "cannot set up the resolver: %s", lib.text(status));
    return 0;
}

/* The machine's resolv.conf may change during our life; c-ares reads it only once. */
static void refresh_channel(struct resolver *r)
{
    struct stat st;
    ares_channel old = r->channel;

    if (r->queries != NULL || stat("/etc/resolv.conf", &st) < 0 ||
        (st.st_mtim.tv_sec == r->conf_mtime.tv_sec && st.st_mtim.tv_nsec == r->conf_mtime.tv_nsec))
        return;
    if (open_channel(r, NULL) == 0)
        lib.destroy(old);
    else
        r->channel = old;
}

/* ---- Queries ------------------------------------------------------------------------------- */

static void run_next(struct resolver *r, struct resolver_quota *quota);

static void free_query(struct resolve_query *q)
{
    struct resolver *r = q->resolver;

    if (!r->is_closing)
        evl_timer_cancel(r->loop, &q->deadline);
    if (q->prev != NULL)
        q->prev->next = q->next;
    else
        r->queries = q->next;
    if (q->next != NULL)
        q->next->prev = q->prev;
    free(q);
}

static void deliver(struct resolve_query *q)
{
    struct lookup *l = take_ptr(&q->lookup);

    if (l != NULL) {
        l->query = NULL;
        l->fn(l, &q->result);
    }
}

static void deliver_deferred(struct evl_deferred *d)
{
    struct resolve_query *q = PROXY_CONTAINER(d, struct resolve_query, deferred);

    deliver(q);
    free_query(q);
}

/* The query is through: its answer goes out at the end of the turn. */
static void finish(struct resolve_query *q)
{
    struct resolver_quota *quota = take_ptr(&q->quota);
    struct resolver *r = q->resolver;

    if (quota != NULL && q->state == RUNNING)
        quota->n_running--;
    q->state = DONE;
    if (r->is_closing) {
        free_query(q);
        return;
    }
    q->deferred.fn = deliver_deferred;
    evl_defer(r->loop, &q->deferred);
    if (quota != NULL)
        run_next(r, quota);
}

static void add_address(struct resolve_result *out, const struct proxy_address *a)
{
    for (size_t i = 0; i < out->n; i++) {
        if (proxy_address_equal(&out->addresses[i], a))
            return;
    }
    if (out->n < RESOLVE_ADDRESSES_MAX)
        out->addresses[out->n++] = *a;
}

static void on_answer(void *user, int status, int timeouts, struct ares_addrinfo *ai)
{
    struct resolve_query *q = user;
    struct proxy_address a;

    (void)timeouts;
    q->result = (struct resolve_result){ .status = RESOLVE_FAILED };
    if (status == ARES_ENOTFOUND)
        q->result.status = RESOLVE_NO_NAME;
    else if (status == ARES_ENODATA)
        q->result.status = RESOLVE_NO_ADDRESS;
    if (status == ARES_SUCCESS && ai != NULL) {
        for (const struct ares_addrinfo_node *n = ai->nodes; n != NULL; n = n->ai_next) {
            if (proxy_address_from_sockaddr(n->ai_addr, &a))
                add_address(&q->result, &a);
        }
        q->result.status = q->result.n > 0 ? RESOLVE_OK : RESOLVE_NO_ADDRESS;
    }
    if (ai != NULL)
        lib.freeaddrinfo(ai);
    finish(q);
}

static void run(struct resolve_query *q)
{
    struct resolver *r = q->resolver;
    struct ares_addrinfo_hints hints = { .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM };

    q->state = RUNNING;
    if (q->quota != NULL)
        q->quota->n_running++;
    for (size_t i = 0; i < r->n_fixed; i++) {
        if (strcmp(r->fixed[i].name, q->name) == 0) {
            q->result.status = RESOLVE_OK;
            q->result.n = r->fixed[i].n;
            memcpy(q->result.addresses, r->fixed[i].addresses, sizeof(q->result.addresses));
            finish(q);
            return;
        }
    }
    lib.getaddrinfo(r->channel, q->name, NULL, &hints, on_answer, q);
    set_timer(r);
}

static void run_next(struct resolver *r, struct resolver_quota *quota)
{
    (void)r;
    while (quota->first != NULL && quota->n_running < PROXY_LOOKUPS_MAX) {
        struct resolve_query *q = quota->first;
        quota->first = q->next_waiting;
        if (quota->first == NULL)
            quota->last = NULL;
        quota->n_waiting--;
        run(q);
    }
}

static void leave_line(struct resolve_query *q)
{
    struct resolver_quota *quota = q->quota;
    struct resolve_query **at = &quota->first, *before = NULL;

    while (*at != q) {
        before = *at;
        at = &before->next_waiting;
    }
    *at = q->next_waiting;
    if (quota->last == q)
        quota->last = before;
    quota->n_waiting--;
}

static void on_deadline(struct evl_timer *t)
{
    struct resolve_query *q = PROXY_CONTAINER(t, struct resolve_query, deadline);

    q->result = (struct resolve_result){ .status = RESOLVE_FAILED };
    if (q->state == WAITING) {
        leave_line(q);
        finish(q);
    } else if (q->state == RUNNING) {
        deliver(q); /* c-ares still owns the query */
    }
}

static bool enter_line(struct resolve_query *q)
{
    struct resolver_quota *quota = q->quota;

    if (quota->n_waiting >= RESOLVE_QUEUE_MAX)
        return false;
    if (quota->last != NULL)
        quota->last->next_waiting = q;
    else
        quota->first = q;
    quota->last = q;
    quota->n_waiting++;
    return true;
}

bool resolver_start(struct resolver *r, struct resolver_quota *quota, const char *name,
                    struct lookup *l)
{
    size_t n = strlen(name);

    refresh_channel(r);
    struct resolve_query *q = calloc(1, sizeof(*q) + n + 1);
    if (q == NULL)
        return false;
    q->resolver = r;
    q->quota = quota;
    q->lookup = l;
    memcpy(q->name, name, n + 1);
    q->next = r->queries;
    if (q->next != NULL)
        q->next->prev = q;
    r->queries = q;
    l->query = q;
    evl_timer_init(&q->deadline, on_deadline);
    (void)evl_timer_set(r->loop, &q->deadline, RESOLVE_DEADLINE_MS);
    if (quota == NULL || quota->n_running < PROXY_LOOKUPS_MAX) {
        run(q);
    } else if (!enter_line(q)) {
        q->result.status = RESOLVE_FAILED;
        finish(q);
    }
    return true;
}

void resolver_cancel(struct lookup *l)
{
    struct resolve_query *q = take_ptr(&l->query);

    if (q == NULL)
        return;
    q->lookup = NULL;
    if (q->state == WAITING) {
        leave_line(q);
        free_query(q); /* nothing but the line and its timer knew of it */
    }
}

void resolver_quota_end(struct resolver *r, struct resolver_quota *quota)
{
    for (struct resolve_query *q = r->queries; q != NULL; q = q->next) {
        if (q->quota == quota)
            q->quota = NULL;
    }
}

/* ---- The resolver -------------------------------------------------------------------------- */

int resolver_new(struct resolver **out, struct evloop *loop, isol8_error *err)
{
    (void)pthread_once(&load_once, load);
    if (load_status < 0)
        return err_set(err, load_status, "%s", load_error.msg);

    struct resolver *r = calloc(1, sizeof(*r));
    if (r == NULL)
        return err_nomem(err);
    r->loop = loop;
    evl_timer_init(&r->timer, on_timer);
    int status = open_channel(r, err);
    if (status < 0) {
        free(r);
        return status;
    }
    *out = r;
    return 0;
}

void resolver_free(struct resolver *r)
{
    if (r == NULL)
        return;
    r->is_closing = true; /* the answers that ares_destroy() forces are freed at once */
    lib.destroy(r->channel);
    for (size_t i = 0; i < r->n_fixed; i++)
        free(r->fixed[i].name);
    free(r->fixed);
    free(r);
}

bool resolver_add_fixed(struct resolver *r, const char *name, const struct proxy_address *addresses,
                        size_t n)
{
    struct fixed_host *fixed = reallocarray(r->fixed, r->n_fixed + 1, sizeof(*fixed));

    if (fixed == NULL)
        return false;
    r->fixed = fixed;
    struct fixed_host *h = &fixed[r->n_fixed];
    *h = (struct fixed_host){ .name = strdup(name) };
    if (h->name == NULL || r->n_fixed >= RESOLVE_FIXED_MAX) {
        free(h->name);
        return false;
    }
    h->n = n < RESOLVE_ADDRESSES_MAX ? n : RESOLVE_ADDRESSES_MAX;
    memcpy(h->addresses, addresses, h->n * sizeof(*addresses));
    r->n_fixed++;
    return true;
}
