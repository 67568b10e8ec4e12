/* SPDX-License-Identifier: Apache-2.0 */
/* client.c - what is the same for all connections of one sandbox: judgement, shares, limits. */
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "proxy/conn.h"
#include "proxy/dns.h"

static bool port_is_open(const struct proxy *p, uint16_t port)
{
    for (size_t i = 0; i < p->n_ports; i++) {
        if (p->ports[i] == port)
            return true;
    }
    return p->n_ports == 0;
}

struct verdict client_judge(const struct proxy_client *c, const struct proxy_host *host,
                            uint16_t port)
{
    struct proxy_decision d = proxy_rules_match(c->rules, host->text);
    struct verdict v = { false, d.outcome, d.rule, d.reason };

    if (!d.is_allowed)
        return v;
    if (!port_is_open(c->proxy, port)) {
        v.outcome = ISOL8_PROXY_PORT;
        v.reason = "port is not open";
        return v;
    }
    const char *refused = host->is_address ? proxy_guard_refuses(c->proxy->guard, &host->address)
                                           : NULL;
    if (refused != NULL) {
        v.outcome = ISOL8_PROXY_ADDRESS;
        v.reason = refused;
        return v;
    }
    if (c->is_exhausted) {
        v.outcome = ISOL8_PROXY_LIMIT;
        v.reason = "byte limit reached";
        return v;
    }
    v.is_allowed = true;
    return v;
}

/* ---- Limits -------------------------------------------------------------------------------- */

static void fill_bucket(struct proxy_client *c)
{
    uint64_t now = evl_now_ns(c->proxy->loop);
    double rate = (double)c->proxy->bytes_per_second;
    double burst = rate / 4 > 4096 ? rate / 4 : 4096;

    if (now > c->tokens_ns)
        c->tokens += rate * (double)(now - c->tokens_ns) / 1e9;
    c->tokens_ns = now;
    if (c->tokens > burst)
        c->tokens = burst;
}

size_t client_allowance(struct proxy_client *c, size_t want)
{
    if (c->is_exhausted)
        return 0; /* the refill timer is about to end the connections */
    if (c->proxy->bytes_per_second == 0)
        return want;
    fill_bucket(c);
    /* What trickles in between two looks is saved up: handing it out at once would make a full
     * bucket's worth of calls for a few bytes each. */
    double least = (double)c->proxy->bytes_per_second * PROXY_REFILL_MS / 1000;
    if (least > (double)want)
        least = (double)want;
    if (c->tokens >= 1 && c->tokens >= least)
        return c->tokens < (double)want ? (size_t)c->tokens : want;
    if (!c->is_throttled)
        (void)evl_timer_set(c->proxy->loop, &c->refill, PROXY_REFILL_MS);
    c->is_throttled = true;
    return 0;
}

void client_count(struct proxy_client *c, uint64_t in, uint64_t out)
{
    uint64_t limit = c->proxy->bytes;

    c->counters.bytes_in += in;
    c->counters.bytes_out += out;
    tally_add(&c->proxy->tally.bytes_in, in);
    tally_add(&c->proxy->tally.bytes_out, out);
    if (c->proxy->bytes_per_second > 0)
        c->tokens -= (double)(in + out);
    if (limit > 0 && !c->is_exhausted && c->counters.bytes_in + c->counters.bytes_out > limit) {
        c->is_exhausted = true;
        (void)evl_timer_set(c->proxy->loop, &c->refill, 0); /* not from inside a connection */
    }
}

static void on_refill(struct evl_timer *t)
{
    struct proxy_client *c = PROXY_CONTAINER(t, struct proxy_client, refill);
    struct conn *next;

    c->is_throttled = false;
    for (struct conn *i = c->conns; i != NULL; i = next) {
        next = i->next;
        if (!c->is_exhausted) {
            conn_resume(i);
            continue;
        }
        i->record.error = "byte limit reached";
        conn_end(i, true);
    }
}

void client_init(struct proxy_client *c)
{
    c->tokens_ns = evl_now_ns(c->proxy->loop);
    c->tokens = (double)c->proxy->bytes_per_second / 4;
    evl_timer_init(&c->refill, on_refill);
}

void client_end(struct proxy_client *c)
{
    listener_close(&c->explicit_listener, c);
    listener_close(&c->transparent_listener, c);
    dns_close(c);
    while (c->conns != NULL)
        conn_end(c->conns, true);
    evl_timer_cancel(c->proxy->loop, &c->refill);
    resolver_quota_end(c->proxy->resolver, &c->quota);
}

/* ---- Pipes --------------------------------------------------------------------------------- */

bool proxy_pipe_take(struct proxy *p, int out[2])
{
    if (p->n_pipes > 0) {
        p->n_pipes--;
        memcpy(out, p->pipes[p->n_pipes], sizeof(p->pipes[0]));
        return true;
    }
    if (pipe2(out, O_CLOEXEC | O_NONBLOCK) < 0) {
        out[0] = out[1] = -1;
        return false;
    }
    (void)fcntl(out[0], F_SETPIPE_SZ, RELAY_PIPE_BYTES); /* smaller where that is refused */
    return true;
}

void proxy_pipe_give(struct proxy *p, int pipe[2])
{
    if (p->n_pipes < PROXY_PIPES_MAX) {
        memcpy(p->pipes[p->n_pipes++], pipe, sizeof(p->pipes[0]));
    } else {
        (void)fd_close(pipe[0]);
        (void)fd_close(pipe[1]);
    }
    pipe[0] = pipe[1] = -1;
}
