/* SPDX-License-Identifier: Apache-2.0 */
/* conn_tcp.c - connections as they come in: at the explicit proxy, or redirected to us. */
#include <arpa/inet.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "base/mem.h"
#include "proxy/http.h"

enum {
    PORT_HTTP = 80,
    SO_ORIGINAL_DST_ = 80, /* of <linux/netfilter_ipv4.h>, which clashes with <netinet/in.h> */
};

void explicit_take(struct proxy_client *client, int fd)
{
    struct conn *c = conn_new(client, fd);

    if (c != NULL && !http_open(c))
        conn_end(c, true);
}

/* Where the client meant to connect to. Without a redirection in between that is the socket's own
 * address. */
static bool original_destination(int fd, struct sockaddr_in *out)
{
    socklen_t n = sizeof(*out);

    if (getsockopt(fd, IPPROTO_IP, SO_ORIGINAL_DST_, out, &n) == 0)
        return true;
    n = sizeof(*out);
    return getsockname(fd, (struct sockaddr *)out, &n) == 0 && out->sin_family == AF_INET;
}

/* The name that the address stands for, else the address itself. */
static bool find_target(struct conn *c)
{
    struct sockaddr_in to;
    struct proxy_address a;

    if (!original_destination(c->down.fd, &to))
        return false;
    c->target_port = ntohs(to.sin_port);
    const char *name = names_find(c->client->names, to.sin_addr);
    if (name != NULL)
        return proxy_host_parse(name, strlen(name), &c->target);
    proxy_address_from_v4((const uint8_t *)&to.sin_addr, &a);
    proxy_host_from_address(&a, &c->target);
    return true;
}

static void on_connected(struct upstream *u)
{
    struct conn *c = u->user;
    enum upstream_status status = u->status;
    const char *reason = u->reason;

    conn_take_upstream(c, u);
    if (status == UPSTREAM_OK) {
        relay_start(c, true);
        return;
    }
    if (status == UPSTREAM_BLOCKED)
        conn_log_blocked(c, ISOL8_PROXY_ADDRESS, reason);
    else
        c->record.error = reason;
    conn_end(c, true);
}

void transparent_take(struct proxy_client *client, int fd)
{
    struct conn *c = conn_new(client, fd);

    if (c == NULL)
        return;
    c->is_transparent = true;
    if (!find_target(c)) {
        conn_end(c, true);
        return;
    }
    conn_record(c, "TCP", 3, &c->target, c->target_port, NULL, 0);
    if (!conn_judge(c)) {
        conn_end(c, true);
        return;
    }
    if (c->target_port != PORT_HTTP) {
        conn_connect(c, on_connected);
        return;
    }
    c->has_target = true;
    c->record.is_open = false; /* each request gets an entry of its own */
    if (!http_open(c))
        conn_end(c, true);
}

bool conn_name_agrees(struct conn *c, const struct proxy_host *name)
{
    const struct record *r = &c->record;

    if (strcmp(name->text, r->host.text) == 0)
        return true;
    /* Connected to an allowed literal: any name that is allowed by itself may be asked there. */
    if (r->host.is_address && client_judge(c->client, name, r->port).is_allowed)
        return true;
    conn_log_blocked(c, ISOL8_PROXY_OTHER_NAME,
                     "TLS server name differs from the name connected to");
    return false;
}
