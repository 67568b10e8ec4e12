/* SPDX-License-Identifier: Apache-2.0 */
/**
 * proxy.c - the loop's thread, and sandboxes coming and going
 *
 * Theory of operation. One thread runs one loop that owns every connection, lookup and limit of
 * every sandbox; nothing in it is locked. Other threads only post a call and wait for it, so when
 * proxy_set_rules() returns nothing refers to the old rules, and when proxy_detach() returns
 * nothing of the sandbox is left but memory that the same turn of the loop frees. The thread is
 * born with all signals blocked: splice(2) into a closed socket raises SIGPIPE, which then stays
 * pending until the thread ends.
 */
#include "proxy/proxy.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "base/fd.h"
#include "base/mem.h"
#include "proxy/conn.h"
#include "proxy/dns.h"

/* ---- Settings ------------------------------------------------------------------------------ */

static int add_fixed(struct proxy *p, const struct proxy_fixed_host *h, isol8_error *err)
{
    struct proxy_host name, literal;
    struct proxy_address addresses[RESOLVE_ADDRESSES_MAX];

    if (!proxy_host_parse(h->name, strlen(h->name), &name) || name.is_address)
        return err_set(err, ISOL8_E_INVAL, "network.hosts: '%s' is not a host name", h->name);
    if (h->n_addresses == 0 || h->n_addresses > RESOLVE_ADDRESSES_MAX)
        return err_set(err, ISOL8_E_INVAL, "network.hosts: '%s' needs 1 to %d addresses", h->name,
                       RESOLVE_ADDRESSES_MAX);
    for (size_t i = 0; i < h->n_addresses; i++) {
        const char *a = h->addresses[i];
        if (!proxy_host_parse(a, strlen(a), &literal) || !literal.is_address)
            return err_set(err, ISOL8_E_INVAL, "network.hosts: '%s' of '%s' is not an address", a,
                           h->name);
        addresses[i] = literal.address;
    }
    if (!resolver_add_fixed(p->resolver, name.text, addresses, h->n_addresses))
        return err_set(err, ISOL8_E_LIMIT, "network.hosts: too many names, or no memory");
    return 0;
}

bool proxy_upstream_parse(const char *url, struct proxy_host *host, uint16_t *port)
{
    static const char scheme[] = "http://";
    size_t n = strlen(url);

    if (n > 0 && url[n - 1] == '/')
        n--;
    return n > strlen(scheme) && strncmp(url, scheme, strlen(scheme)) == 0 &&
           proxy_authority_parse(url + strlen(scheme), n - strlen(scheme), 80, host, port);
}

static int set_upstream(struct proxy *p, const char *url, isol8_error *err)
{
    if (url == NULL)
        return 0;
    if (!proxy_upstream_parse(url, &p->upstream_host, &p->upstream_port))
        return err_set(err, ISOL8_E_INVAL,
                       "network.upstreamProxy: not of the form http://host:port");
    p->has_upstream = true;
    return 0;
}

static int copy_settings(struct proxy *p, const struct proxy_settings *s, isol8_error *err)
{
    p->log = s->log;
    p->connections = s->connections != 0 ? s->connections : PROXY_CONNECTIONS_DEFAULT;
    p->bytes_per_second = s->bytes_per_second;
    p->bytes = s->bytes;
    p->ports = calloc(s->n_ports + 1, sizeof(*p->ports));
    if (p->ports == NULL)
        return err_nomem(err);
    for (size_t i = 0; i < s->n_ports; i++)
        p->ports[p->n_ports++] = s->ports[i];
    return set_upstream(p, s->upstream_proxy, err);
}

static void on_guard_timer(struct evl_timer *t)
{
    struct proxy *p = PROXY_CONTAINER(t, struct proxy, guard_timer);

    (void)proxy_guard_refresh(p->guard, NULL); /* the addresses known so far stay */
    (void)evl_timer_set(p->loop, t, PROXY_GUARD_REFRESH_MS);
}

static int build(struct proxy *p, const struct proxy_settings *s, isol8_error *err)
{
    int r = copy_settings(p, s, err);

    if (r == 0) {
        r = proxy_guard_new(&p->guard, s->allow_addresses, s->n_allow_addresses, err);
        if (r < 0)
            (void)err_wrap(err, r, "network.allowAddresses");
    }
    if (r == 0)
        r = evl_new(&p->loop, err);
    if (r == 0)
        r = resolver_new(&p->resolver, p->loop, err);
    for (size_t i = 0; r == 0 && i < s->n_hosts; i++)
        r = add_fixed(p, &s->hosts[i], err);
    evl_timer_init(&p->guard_timer, on_guard_timer);
    if (r == 0 && !evl_timer_set(p->loop, &p->guard_timer, PROXY_GUARD_REFRESH_MS))
        r = err_nomem(err);
    return r;
}

/* ---- The thread ---------------------------------------------------------------------------- */

static void *run(void *user)
{
    struct proxy *p = user;
    isol8_error err;

    (void)pthread_setname_np(pthread_self(), "isol8-proxy");
    if (evl_run(p->loop, &err) < 0)
        log_warn(&p->log, "proxy: the loop failed error='%s'", err.msg);
    return NULL;
}

static int start_thread(struct proxy *p, isol8_error *err)
{
    sigset_t all, before;

    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    int e = pthread_create(&p->thread, NULL, run, p);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    return e == 0 ? 0 : err_sys(err, e, "cannot start the proxy's thread");
}

static void free_proxy(struct proxy *p)
{
    resolver_free(p->resolver);
    evl_free(p->loop);
    proxy_guard_free(p->guard);
    for (size_t i = 0; i < p->n_pipes; i++) {
        (void)fd_close(p->pipes[i][0]);
        (void)fd_close(p->pipes[i][1]);
    }
    free(p->ports);
    free(p);
}

int proxy_open(struct proxy **out, const struct proxy_settings *settings, isol8_error *err)
{
    struct proxy *p = calloc(1, sizeof(*p));

    if (p == NULL)
        return err_nomem(err);
    int r = build(p, settings, err);
    if (r == 0)
        r = start_thread(p, err);
    if (r < 0) {
        free_proxy(p);
        return r;
    }
    *out = p;
    return 0;
}

void proxy_look(const struct proxy *p, struct proxy_tally *out)
{
    tally_read(&p->tally, out);
}

void proxy_close(struct proxy *p)
{
    if (p == NULL)
        return;
    evl_stop(p->loop);
    (void)pthread_join(p->thread, NULL);
    free_proxy(p);
}

/* ---- Calls into the loop ------------------------------------------------------------------- */

struct call {
    void (*fn)(struct call *call);
    struct proxy_client *client;
    const struct proxy_listeners *listeners;
    const struct proxy_rules *rules;
    struct netlog *log;
    struct proxy_counters counters;
    isol8_error *err;
    int status;
    pthread_mutex_t mutex; /* guards @is_done */
    pthread_cond_t cond;
    bool is_done;
};

static void answer_call(void *user)
{
    struct call *call = user;

    call->fn(call);
    (void)pthread_mutex_lock(&call->mutex);
    call->is_done = true;
    (void)pthread_cond_signal(&call->cond);
    (void)pthread_mutex_unlock(&call->mutex);
}

static void call_loop(struct proxy *p, struct call *call)
{
    (void)pthread_mutex_init(&call->mutex, NULL);
    (void)pthread_cond_init(&call->cond, NULL);
    /* Neither detaching nor new rules may fail; the few bytes of a post will be had some time. */
    while (!evl_post(p->loop, answer_call, call))
        (void)sched_yield();
    (void)pthread_mutex_lock(&call->mutex);
    while (!call->is_done)
        (void)pthread_cond_wait(&call->cond, &call->mutex);
    (void)pthread_mutex_unlock(&call->mutex);
    (void)pthread_cond_destroy(&call->cond);
    (void)pthread_mutex_destroy(&call->mutex);
}

static void free_client(struct evl_deferred *d)
{
    struct proxy_client *c = PROXY_CONTAINER(d, struct proxy_client, deferred);

    names_free(c->names);
    free(c);
}

static void attach(struct call *call)
{
    struct proxy_client *c = call->client;
    const struct proxy_listeners *l = call->listeners;

    client_init(c);
    int r = listener_open(&c->explicit_listener, c, l->explicit_fd, explicit_take, call->err);
    int s = listener_open(&c->transparent_listener, c, l->transparent_fd, transparent_take,
                          r == 0 ? call->err : NULL);
    int t = dns_open(c, l->dns_udp_fd, l->dns_tcp_fd, r == 0 && s == 0 ? call->err : NULL);
    call->status = r < 0 ? r : s < 0 ? s : t;
    if (call->status < 0) {
        client_end(c);
        call->log = take_ptr(&c->log);
        c->deferred.fn = free_client;
        evl_defer(c->proxy->loop, &c->deferred);
    }
}

static void close_listeners(const struct proxy_listeners *l)
{
    (void)fd_close(l->explicit_fd);
    (void)fd_close(l->transparent_fd);
    (void)fd_close(l->dns_udp_fd);
    (void)fd_close(l->dns_tcp_fd);
}

int proxy_attach(struct proxy *p, const struct proxy_listeners *l, const struct proxy_rules *rules,
                 struct proxy_client **out, isol8_error *err)
{
    struct proxy_client *c = calloc(1, sizeof(*c));
    int r = c == NULL ? err_nomem(err) : netlog_new(&c->log, err);

    if (r == 0) {
        c->names = names_new();
        if (c->names == NULL)
            r = err_nomem(err);
    }
    if (r < 0) {
        close_listeners(l);
        if (c != NULL)
            netlog_free(c->log);
        free(c);
        return r;
    }
    c->proxy = p;
    c->rules = rules;
    struct call call = { .fn = attach, .client = c, .listeners = l, .err = err };
    call_loop(p, &call);
    netlog_free(call.log);
    if (call.status == 0)
        *out = c;
    return call.status;
}

static void set_rules(struct call *call)
{
    struct proxy_client *c = call->client;
    struct conn *next;

    c->rules = call->rules;
    for (struct conn *i = c->conns; i != NULL; i = next) {
        next = i->next;
        conn_rejudge(i);
    }
}

void proxy_set_rules(struct proxy_client *c, const struct proxy_rules *rules)
{
    struct call call = { .fn = set_rules, .client = c, .rules = rules };

    call_loop(c->proxy, &call);
}

static void take_log(struct call *call)
{
    struct proxy_client *c = call->client;
    struct netlog *fresh = NULL;

    call->counters = c->counters;
    if (netlog_new(&fresh, NULL) < 0)
        return; /* what was logged stays for the next one who asks */
    call->log = c->log;
    c->log = fresh;
}

void proxy_take_log(struct proxy_client *c, struct netlog **log, struct proxy_counters *counters)
{
    struct call call = { .fn = take_log, .client = c };

    call_loop(c->proxy, &call);
    *log = call.log;
    *counters = call.counters;
}

static void detach(struct call *call)
{
    struct proxy_client *c = call->client;

    client_end(c);
    call->log = take_ptr(&c->log);
    call->counters = c->counters;
    c->deferred.fn = free_client;
    evl_defer(c->proxy->loop, &c->deferred);
}

void proxy_detach(struct proxy_client *c, struct netlog **log, struct proxy_counters *counters)
{
    struct call call = { .fn = detach, .client = c };

    if (c == NULL)
        return;
    call_loop(c->proxy, &call);
    if (counters != NULL)
        *counters = call.counters;
    if (log != NULL)
        *log = call.log;
    else
        netlog_free(call.log);
}
