/* SPDX-License-Identifier: Apache-2.0 */
/**
 * bench_wires.c - the network part of filtered sandboxes: one alone, and many at once
 *
 * What is timed is exec_link_create(): the wire between two namespaces, the listeners, the place in
 * the proxy. The namespaces exist before; the gateway and the proxy, which are made once a process,
 * too. "At once" means that each has a thread and all threads begin together.
 */
#include "tests/bench/bench_wires.h"

#include <pthread.h>

#include "executor/egress.h"
#include "netns/netns.h"
#include "tests/bench/bench.h"

enum { MANY = 100, ALONE = 30, ROUNDS = 5 };

struct sandbox {
    pthread_t thread;
    struct exec_egress *egress;
    const struct proxy_rules *rules;
    int netns_fd;
    struct exec_link link;
    isol8_error err;
    int status;
};

static pthread_barrier_t begin;

static void open_sandbox(struct sandbox *s, struct exec_egress *e, const struct proxy_rules *rules)
{
    isol8_error err;

    *s = (struct sandbox){ .egress = e, .rules = rules };
    s->netns_fd = netns_new(&err);
    if (s->netns_fd < 0)
        bench_die("namespace", &err);
}

static void join_gateway(struct sandbox *s)
{
    s->status = exec_link_create(&s->link, s->egress, s->netns_fd, s->rules, &s->err);
}

static void close_sandbox(struct sandbox *s)
{
    if (s->status < 0)
        bench_die("wire", &s->err);
    exec_link_close(&s->link);
    netlog_free(s->link.log);
    s->netns_fd = fd_close(s->netns_fd);
}

static double alone_ms(struct exec_egress *e, const struct proxy_rules *rules)
{
    struct sandbox s;

    open_sandbox(&s, e, rules);
    uint64_t start = clock_now_ns();
    join_gateway(&s);
    double ms = (double)(clock_now_ns() - start) / 1e6;
    close_sandbox(&s);
    return ms;
}

static void *join_with_others(void *user)
{
    (void)pthread_barrier_wait(&begin);
    join_gateway(user);
    return NULL;
}

static double at_once_ms(struct exec_egress *e, const struct proxy_rules *rules)
{
    static struct sandbox all[MANY];

    (void)pthread_barrier_init(&begin, NULL, MANY + 1);
    for (int i = 0; i < MANY; i++) {
        open_sandbox(&all[i], e, rules);
        if (pthread_create(&all[i].thread, NULL, join_with_others, &all[i]) != 0)
            bench_die("thread", NULL);
    }
    uint64_t start = clock_now_ns();
    (void)pthread_barrier_wait(&begin);
    for (int i = 0; i < MANY; i++)
        (void)pthread_join(all[i].thread, NULL);
    double ms = (double)(clock_now_ns() - start) / 1e6;
    for (int i = 0; i < MANY; i++)
        close_sandbox(&all[i]);
    (void)pthread_barrier_destroy(&begin);
    return ms / MANY;
}

void wires_measure(struct wires *out)
{
    static const char *const allow[] = { "^example\\.com$" };
    const isol8_network_settings settings = { 0 };
    double alone[ALONE], many[ROUNDS];
    struct exec_egress *e = NULL;
    struct proxy_rules *rules = NULL;
    isol8_error err;

    if (proxy_rules_new(&rules, "allow", allow, 1, "deny", NULL, 0, &err) < 0 ||
        exec_egress_new(&e, &settings, &err) < 0)
        bench_die("egress", &err);
    (void)alone_ms(e, rules); /* makes the gateway and the proxy */
    for (int i = 0; i < ROUNDS; i++) {
        for (int k = 0; k < ALONE / ROUNDS; k++)
            alone[i * (ALONE / ROUNDS) + k] = alone_ms(e, rules);
        many[i] = at_once_ms(e, rules);
    }
    out->alone_ms = bench_quantile(alone, ALONE, 0.5);
    out->at_once_ms = bench_quantile(many, ROUNDS, 0.5);
    printf("network of a sandbox: alone %.2f ms, one of %d at once %.2f ms, ratio %.2f "
           "(goal: at most 3)\n",
           out->alone_ms, MANY, out->at_once_ms, out->at_once_ms / out->alone_ms);
    exec_egress_free(e);
    proxy_rules_free(rules);
}
