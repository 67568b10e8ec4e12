/* SPDX-License-Identifier: Apache-2.0 */
/**
 * dns.c - the resolver of a sandbox: allowed names get addresses that stand for them
 *
 * An allowed name is looked up first, so that one that does not exist is said not to exist, and one
 * with nothing but forbidden addresses is refused here already. Its real addresses stay with us:
 * the sandbox gets one of 198.18.0.0/15, and the name behind a later connection to it is known
 * exactly. A name seen before is answered from the table. Other types than A have no records.
 */
#include "proxy/dns.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/fd.h"
#include "base/mem.h"
#include "proxy/dns_wire.h"
#include "proxy/rules.h"

enum {
    TTL_S = 60,
    UDP_BATCH = 32,      /* questions taken by one event */
    ANSWER_MAX = 512,    /* a question and one address fit */
    TCP_MS = 15000,      /* for one question, its lookup included */
    LOG_AGAIN_MS = 5000, /* A and AAAA of one refused name are one entry */
};

/* A question that came over TCP is answered on its connection, one at a time. */
struct dns_conn {
    struct proxy_client *client;
    struct dns_conn *prev, *next;
    struct evl_io io;
    struct evl_timer timer;
    struct evl_deferred deferred;
    struct buf in;
    struct dns_pending *pending;
};

struct dns_pending {
    struct proxy_client *client;
    struct dns_pending *prev, *next;
    struct lookup lookup;
    struct evl_deferred deferred;
    struct dns_conn *conn; /* NULL: UDP */
    struct sockaddr_storage from;
    socklen_t from_n;
    struct dns_question question;
    uint8_t query[]; /* as far as the question goes */
};

/* Where an answer goes. */
struct origin {
    struct dns_conn *conn;
    const struct sockaddr_storage *from;
    socklen_t from_n;
};

static void conn_close(struct dns_conn *d);

static struct evloop *loop_of(const struct proxy_client *c)
{
    return c->proxy->loop;
}

/* ---- Answers ------------------------------------------------------------------------------- */

static void send_tcp(struct dns_conn *d, const uint8_t *answer, size_t n)
{
    uint8_t out[2 + ANSWER_MAX] = { (uint8_t)(n >> 8), (uint8_t)n };

    memcpy(out + 2, answer, n);
    /* A client that lets so little pile up is not worth a buffer. */
    if (send(d->io.fd, out, n + 2, MSG_NOSIGNAL) != (ssize_t)n + 2)
        conn_close(d);
}

static void answer(struct proxy_client *c, const struct origin *to, const uint8_t *query,
                   const struct dns_question *q, unsigned rcode, const struct proxy_address *a)
{
    uint8_t out[ANSWER_MAX];
    size_t n = dns_write_answer(query, q, rcode, a, a != NULL ? 1 : 0, TTL_S, out, sizeof(out));

    if (n == 0)
        return;
    if (to->conn != NULL)
        send_tcp(to->conn, out, n);
    else /* lost when the socket is full, as any datagram may be */
        (void)sendto(c->dns_udp.fd, out, n, MSG_NOSIGNAL | MSG_DONTWAIT,
                     (const struct sockaddr *)to->from, to->from_n);
}

static void log_blocked(struct proxy_client *c, const char *name, enum isol8_proxy_outcome outcome,
                        const char *rule, const char *reason)
{
    uint64_t now = evl_now_ns(loop_of(c));
    struct netlog_entry e = {
        .wall_ms = clock_wall_ms(),
        .method = "DNS",
        .host = name,
        .port = 53,
        .rule = rule,
        .reason = reason,
    };

    tally_decision(&c->proxy->tally, ISOL8_PROXY_DNS, outcome);
    if (strcmp(c->dns_blocked, name) == 0 && now - c->dns_blocked_ns < LOG_AGAIN_MS * 1000000ull)
        return;
    memcpy(c->dns_blocked, name, strlen(name) + 1);
    c->dns_blocked_ns = now;
    (void)netlog_add(c->log, &e); /* what is dropped is counted */
}

/* The name is fine: its address for A, an empty answer for the rest. */
static void answer_name(struct proxy_client *c, const struct origin *to, const uint8_t *query,
                        const struct dns_question *q)
{
    struct proxy_address a = { .family = AF_INET };

    tally_decision(&c->proxy->tally, ISOL8_PROXY_DNS, ISOL8_PROXY_ALLOWED);
    if (!names_give(c->names, q->name.text, &a.v4))
        answer(c, to, query, q, DNS_RCODE_SERVFAIL, NULL);
    else
        answer(c, to, query, q, DNS_RCODE_OK, q->type == DNS_TYPE_A ? &a : NULL);
}

/* ---- Lookups ------------------------------------------------------------------------------- */

static void free_pending(struct evl_deferred *d)
{
    free(PROXY_CONTAINER(d, struct dns_pending, deferred));
}

static void drop_pending(struct dns_pending *p)
{
    struct proxy_client *c = p->client;

    resolver_cancel(&p->lookup);
    if (p->prev != NULL)
        p->prev->next = p->next;
    else
        c->dns_pending = p->next;
    if (p->next != NULL)
        p->next->prev = p->prev;
    c->n_dns_pending--;
    if (p->conn != NULL)
        p->conn->pending = NULL;
    p->deferred.fn = free_pending;
    evl_defer(loop_of(c), &p->deferred);
}

/* NULL when one of the addresses may be connected to, else why not. */
static const char *all_refused(const struct proxy_client *c, const struct resolve_result *r)
{
    const char *refused = NULL;

    for (size_t i = 0; i < r->n; i++) {
        refused = proxy_guard_refuses(c->proxy->guard, &r->addresses[i]);
        if (refused == NULL)
            return NULL;
    }
    return refused;
}

static void conn_run(struct dns_conn *d);

static void on_resolved(struct lookup *l, const struct resolve_result *r)
{
    struct dns_pending *p = PROXY_CONTAINER(l, struct dns_pending, lookup);
    struct proxy_client *c = p->client;
    struct dns_conn *conn = p->conn;
    struct origin to = { conn, &p->from, p->from_n };
    const char *refused = all_refused(c, r);

    drop_pending(p); /* its memory lasts until the end of the turn */
    if (r->status == RESOLVE_OK && refused != NULL) {
        log_blocked(c, p->question.name.text, ISOL8_PROXY_ADDRESS, NULL, refused);
        answer(c, &to, p->query, &p->question, DNS_RCODE_NXDOMAIN, NULL);
    } else if (r->status == RESOLVE_OK) {
        answer_name(c, &to, p->query, &p->question);
    } else {
        tally_decision(&c->proxy->tally, ISOL8_PROXY_DNS, ISOL8_PROXY_FAILED);
        unsigned rcode = r->status == RESOLVE_NO_NAME      ? DNS_RCODE_NXDOMAIN
                         : r->status == RESOLVE_NO_ADDRESS ? DNS_RCODE_OK
                                                           : DNS_RCODE_SERVFAIL;
        answer(c, &to, p->query, &p->question, rcode, NULL);
    }
    if (conn != NULL)
        conn_run(conn);
}

static bool start_lookup(struct proxy_client *c, const struct origin *to, const uint8_t *query,
                         const struct dns_question *q)
{
    if (c->n_dns_pending >= PROXY_DNS_PENDING_MAX)
        return false;
    struct dns_pending *p = calloc(1, sizeof(*p) + q->question_end);
    if (p == NULL)
        return false;
    p->client = c;
    p->lookup.fn = on_resolved;
    p->question = *q;
    memcpy(p->query, query, q->question_end);
    if (to->from != NULL)
        p->from = *to->from;
    p->from_n = to->from_n;
    if (!resolver_start(c->proxy->resolver, &c->quota, q->name.text, &p->lookup)) {
        free(p);
        return false;
    }
    p->conn = to->conn;
    if (p->conn != NULL)
        p->conn->pending = p;
    p->next = c->dns_pending;
    if (p->next != NULL)
        p->next->prev = p;
    c->dns_pending = p;
    c->n_dns_pending++;
    return true;
}

/* ---- Questions ----------------------------------------------------------------------------- */

static bool ends_with(const char *name, const char *end)
{
    size_t n = strlen(name), m = strlen(end);

    return n >= m && strcmp(name + n - m, end) == 0 && (n == m || name[n - m - 1] == '.');
}

/* What needs neither rules nor the world. True: answered. */
static bool answer_locally(struct proxy_client *c, const struct origin *to, const uint8_t *query,
                           const struct dns_question *q)
{
    struct proxy_address loopback = { .family = AF_INET, .v4.s_addr = htonl(INADDR_LOOPBACK) };

    if (q->rcode != DNS_RCODE_OK) {
        answer(c, to, query, q, q->rcode, NULL);
    } else if (ends_with(q->name.text, "localhost")) { /* RFC 6761, 6.3 */
        answer(c, to, query, q, DNS_RCODE_OK, q->type == DNS_TYPE_A ? &loopback : NULL);
    } else if (q->name.is_address || ends_with(q->name.text, "in-addr.arpa") ||
               ends_with(q->name.text, "ip6.arpa")) {
        answer(c, to, query, q, DNS_RCODE_NXDOMAIN, NULL);
    } else {
        return false;
    }
    return true;
}

static void handle(struct proxy_client *c, const struct origin *to, const uint8_t *query, size_t n)
{
    struct dns_question q;

    if (!dns_parse_query(query, n, &q) || answer_locally(c, to, query, &q))
        return;
    struct proxy_decision d = proxy_rules_match(c->rules, q.name.text);
    if (!d.is_allowed) {
        log_blocked(c, q.name.text, d.outcome, d.rule, d.reason);
        answer(c, to, query, &q, DNS_RCODE_NXDOMAIN, NULL);
    } else if (c->proxy->has_upstream || names_has(c->names, q.name.text)) {
        answer_name(c, to, query, &q);
    } else if (!start_lookup(c, to, query, &q)) {
        answer(c, to, query, &q, DNS_RCODE_SERVFAIL, NULL);
    }
}

/* Whether one more question may be looked at in this second. */
static bool within_rate(struct proxy_client *c)
{
    uint64_t second = evl_now_ns(loop_of(c)) / 1000000000u;

    if (second != c->dns_second) {
        c->dns_second = second;
        c->dns_in_second = 0;
    }
    return ++c->dns_in_second <= PROXY_DNS_PER_SECOND_MAX;
}

static void on_udp(struct evl_io *io, uint32_t events)
{
    struct proxy_client *c = PROXY_CONTAINER(io, struct proxy_client, dns_udp);
    uint8_t query[DNS_MESSAGE_MAX];
    struct sockaddr_storage from;

    (void)events;
    for (int i = 0; i < UDP_BATCH; i++) {
        struct origin to = { NULL, &from, sizeof(from) };
        ssize_t n = recvfrom(io->fd, query, sizeof(query), MSG_DONTWAIT | MSG_TRUNC,
                             (struct sockaddr *)&from, &to.from_n);
        if (n < 0)
            return; /* nothing more, or an ICMP error of an earlier answer */
        if ((size_t)n <= sizeof(query) && within_rate(c))
            handle(c, &to, query, (size_t)n);
    }
}

/* ---- TCP ----------------------------------------------------------------------------------- */

static void free_conn(struct evl_deferred *d)
{
    free(PROXY_CONTAINER(d, struct dns_conn, deferred));
}

static void conn_close(struct dns_conn *d)
{
    struct proxy_client *c = d->client;

    if (d->io.fd < 0)
        return;
    if (d->pending != NULL)
        drop_pending(d->pending);
    evl_io_remove(loop_of(c), &d->io);
    evl_timer_cancel(loop_of(c), &d->timer);
    d->io.fd = fd_close(d->io.fd);
    buf_done(&d->in);
    if (d->prev != NULL)
        d->prev->next = d->next;
    else
        c->dns_conns = d->next;
    if (d->next != NULL)
        d->next->prev = d->prev;
    c->n_conns--;
    d->deferred.fn = free_conn;
    evl_defer(loop_of(c), &d->deferred);
}

/* Handle the questions that are complete; wait while one is being looked up. */
static void conn_run(struct dns_conn *d)
{
    struct origin to = { .conn = d };

    while (d->io.fd >= 0 && d->pending == NULL && d->in.len >= 2) {
        size_t n = (size_t)(unsigned char)d->in.data[0] << 8 | (unsigned char)d->in.data[1];
        if (n > DNS_MESSAGE_MAX || !within_rate(d->client)) {
            conn_close(d);
            return;
        }
        if (d->in.len < n + 2)
            break;
        (void)evl_timer_set(loop_of(d->client), &d->timer, TCP_MS); /* its old place is free */
        handle(d->client, &to, (const uint8_t *)d->in.data + 2, n);
        if (d->io.fd >= 0)
            buf_consume(&d->in, n + 2);
    }
    if (d->io.fd < 0)
        return;
    if (d->pending != NULL)
        evl_io_remove(loop_of(d->client), &d->io);
    else if (evl_io_set(loop_of(d->client), &d->io, EPOLLIN, NULL) < 0)
        conn_close(d);
}

static void on_tcp(struct evl_io *io, uint32_t events)
{
    struct dns_conn *d = PROXY_CONTAINER(io, struct dns_conn, io);
    char bytes[DNS_MESSAGE_MAX];
    size_t room = DNS_MESSAGE_MAX + 2 - d->in.len;
    ssize_t n = recv(io->fd, bytes, room < sizeof(bytes) ? room : sizeof(bytes), 0);

    (void)events;
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n <= 0 || !buf_add(&d->in, bytes, (size_t)n))
        conn_close(d);
    else
        conn_run(d);
}

static void on_tcp_timer(struct evl_timer *t)
{
    conn_close(PROXY_CONTAINER(t, struct dns_conn, timer));
}

static void take_tcp(struct proxy_client *c, int fd)
{
    struct dns_conn *d = calloc(1, sizeof(*d));

    if (d == NULL) {
        fd_reset(fd);
        return;
    }
    d->client = c;
    d->io = (struct evl_io){ .fn = on_tcp, .fd = fd };
    buf_init(&d->in, DNS_MESSAGE_MAX + 2);
    evl_timer_init(&d->timer, on_tcp_timer);
    d->next = c->dns_conns;
    if (d->next != NULL)
        d->next->prev = d;
    c->dns_conns = d;
    c->n_conns++;
    if (!evl_timer_set(loop_of(c), &d->timer, TCP_MS) ||
        evl_io_set(loop_of(c), &d->io, EPOLLIN, NULL) < 0)
        conn_close(d);
}

/* ---- The responder ------------------------------------------------------------------------- */

int dns_open(struct proxy_client *c, int udp_fd, int tcp_fd, isol8_error *err)
{
    c->dns_udp = (struct evl_io){ .fn = on_udp, .fd = udp_fd };
    int r = listener_open(&c->dns_listener, c, tcp_fd, take_tcp, err);
    if (r == 0 && udp_fd >= 0)
        r = evl_io_set(c->proxy->loop, &c->dns_udp, EPOLLIN, err);
    return r;
}

void dns_close(struct proxy_client *c)
{
    listener_close(&c->dns_listener, c);
    evl_io_remove(c->proxy->loop, &c->dns_udp);
    c->dns_udp.fd = fd_close(c->dns_udp.fd);
    while (c->dns_conns != NULL)
        conn_close(c->dns_conns);
    while (c->dns_pending != NULL)
        drop_pending(c->dns_pending);
}
