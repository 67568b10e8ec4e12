/* SPDX-License-Identifier: Apache-2.0 */
/* resolve.c - a name's addresses for a fetch, in an event loop that lives for this one lookup. */
#include "executor/remote/resolve.h"

#include <stddef.h>
#include <string.h>
#include <sys/epoll.h>

#include "base/clock.h"
#include "base/evloop.h"

#define CONTAINER(ptr, type, member) ((type *)((char *)(ptr)-offsetof(type, member)))

struct question {
    struct evloop *loop;
    struct resolver *resolver;
    const char *name;
    struct lookup lookup;
    struct evl_io cancel;
    struct evl_timer timer;
    struct remote_addresses *out;
    int status; /* 0: answered, perhaps with nothing */
};

int64_t remote_patience_left(const struct remote_patience *p)
{
    uint64_t now = clock_now_ns();

    return now >= p->deadline_ns ? 0 : (int64_t)((p->deadline_ns - now) / 1000000);
}

int remote_patience_over(const struct remote_patience *p, isol8_error *err)
{
    return err_set(err, ISOL8_E_TIMEOUT, "Remote code fetch timed out after %lldms",
                   (long long)p->timeout_ms);
}

static void end(struct question *q, int status)
{
    q->status = status;
    resolver_cancel(&q->lookup);
    evl_stop(q->loop);
}

static void on_answer(struct lookup *l, const struct resolve_result *r)
{
    struct question *q = CONTAINER(l, struct question, lookup);

    if (r->status == RESOLVE_OK) {
        q->out->n = r->n;
        memcpy(q->out->all, r->addresses, sizeof(q->out->all));
    }
    end(q, 0);
}

static void on_cancel(struct evl_io *io, uint32_t events)
{
    (void)events;
    end(CONTAINER(io, struct question, cancel), ISOL8_E_CANCELLED);
}

static void on_deadline(struct evl_timer *t)
{
    end(CONTAINER(t, struct question, timer), ISOL8_E_TIMEOUT);
}

/* In the loop: an answer that is known at once is delivered at the end of its turn. */
static void ask(void *user)
{
    struct question *q = user;

    if (!resolver_start(q->resolver, NULL, q->name, &q->lookup))
        end(q, ISOL8_E_NOMEM);
}

static int run(struct question *q, const struct remote_patience *patience, isol8_error *err)
{
    int r = resolver_new(&q->resolver, q->loop, err);

    if (r == 0)
        r = evl_io_set(q->loop, &q->cancel, EPOLLIN, err);
    if (r < 0)
        return r;
    if (!evl_timer_set(q->loop, &q->timer, (uint64_t)remote_patience_left(patience)) ||
        !evl_post(q->loop, ask, q))
        return err_nomem(err);
    r = evl_run(q->loop, err);
    return r < 0 ? r : q->status;
}

static int look_up(const struct proxy_host *host, const struct remote_patience *patience,
                   struct remote_addresses *out, isol8_error *err)
{
    struct question q = { .name = host->text,
                          .lookup = { .fn = on_answer },
                          .cancel = { .fn = on_cancel, .fd = patience->cancel_fd },
                          .out = out };

    evl_timer_init(&q.timer, on_deadline);
    int r = evl_new(&q.loop, err);
    if (r < 0)
        return r;
    r = run(&q, patience, err);
    evl_timer_cancel(q.loop, &q.timer);
    evl_io_remove(q.loop, &q.cancel);
    resolver_free(q.resolver);
    evl_free(q.loop);
    if (r == ISOL8_E_TIMEOUT)
        return remote_patience_over(patience, err);
    if (r == ISOL8_E_CANCELLED)
        return err_set(err, r, "interrupted");
    return r == ISOL8_E_NOMEM ? err_nomem(err) : r;
}

static bool is_fixed(const struct proxy_settings *s, const struct proxy_host *host,
                     struct remote_addresses *out)
{
    for (size_t i = 0; i < s->n_hosts; i++) {
        const struct proxy_fixed_host *h = &s->hosts[i];
        struct proxy_host name, address;
        if (!proxy_host_parse(h->name, strlen(h->name), &name) ||
            strcmp(name.text, host->text) != 0)
            continue;
        for (size_t k = 0; k < h->n_addresses && out->n < RESOLVE_ADDRESSES_MAX; k++) {
            if (proxy_host_parse(h->addresses[k], strlen(h->addresses[k]), &address) &&
                address.is_address)
                out->all[out->n++] = address.address;
        }
        return true;
    }
    return false;
}

int remote_resolve(const struct proxy_settings *settings, const struct proxy_host *host,
                   const struct remote_patience *patience, struct remote_addresses *out,
                   isol8_error *err)
{
    int r = 0;

    out->n = 0;
    if (host->is_address)
        out->all[out->n++] = host->address;
    else if (!is_fixed(settings, host, out))
        r = look_up(host, patience, out, err);
    if (r == 0 && out->n == 0)
        r = err_set(err, ISOL8_E_NETWORK, "Failed to resolve code URL host: %s", host->text);
    return r;
}
