/* SPDX-License-Identifier: Apache-2.0 */
/**
 * gateway.c - the namespace between filtered sandboxes and the proxy
 *
 * Theory of operation. If every rule below vanished, a packet would still have nowhere to go: the
 * gateway has no interface but the wires, no route but theirs, and forwarding is off (a new
 * namespace copies conf/all from the machine's, where container engines switch it on, so it is
 * switched off explicitly). The rules serve three ends: catch every TCP connection whatever its
 * destination, answer everything else at once instead of letting it time out, and keep one wire
 * from reaching another's addresses. Listeners are bound to their wire's interface, so a forged
 * source address gains nothing.
 */
#include "netns/gateway.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/mem.h"
#include "base/path.h"
#include "netns/netns.h"
#include "netns/nft.h"
#include "netns/rtnl.h"

enum { BACKLOG = 1024, WIRE_NAME_BYTES = 16 };

#define WIRES_BASE 0x0a580000u /* 10.88.0.0 */

/* clang-format off: one rule a line */
static const char ruleset[] =
    "table inet isol8 {\n"
    "  chain early {\n"
    "    type filter hook prerouting priority -300; policy drop\n"
    "    iifname \"lo\" accept\n"
    "    iifname \"v*\" meta nfproto ipv4 meta l4proto tcp accept\n"
    "    iifname \"v*\" meta nfproto ipv4 udp dport 53 accept\n"
    "    reject with icmpx type admin-prohibited\n"
    "  }\n"
    "  chain turn {\n"
    "    type nat hook prerouting priority -100\n"
    "    iifname \"v*\" ip daddr 198.18.0.1 tcp dport 8118 redirect to :8118\n"
    "    iifname \"v*\" tcp dport 53 redirect to :53\n"
    "    iifname \"v*\" meta l4proto tcp redirect to :8119\n"
    "    iifname \"v*\" udp dport 53 redirect to :53\n"
    "  }\n"
    "  chain arrive {\n"
    "    type filter hook input priority 0; policy drop\n"
    "    iifname \"lo\" accept\n"
    "    iifname \"v*\" tcp dport { 53, 8118, 8119 } accept\n"
    "    iifname \"v*\" udp dport 53 accept\n"
    "    ct state established,related accept\n"
    "  }\n"
    "  chain through {\n"
    "    type filter hook forward priority 0; policy drop\n"
    "  }\n"
    "}\n";
/* clang-format on */

struct netns_gateway {
    int fd;
    pthread_mutex_t wiring; /* held while a wire is made; see netns_wire_create() */
    pthread_mutex_t mutex;  /* guards the numbers */
    uint32_t next;          /* where the search for a free number begins */
    uint8_t used[NETNS_WIRES_MAX / 8];
};

/* ---- The gateway --------------------------------------------------------------------------------
 */

/* Settings of the calling thread's namespace. Absent IPv6 support is as good as none. */
static int quiet_namespace(const char *const *interfaces, isol8_error *err)
{
    char path[96];
    int r = 0;

    for (; r == 0 && *interfaces != NULL; interfaces++) {
        (void)snprintf(path, sizeof(path), "/proc/sys/net/ipv4/conf/%s/forwarding", *interfaces);
        r = path_write_value(AT_FDCWD, path, "0", err);
        (void)snprintf(path, sizeof(path), "/proc/sys/net/ipv6/conf/%s/disable_ipv6", *interfaces);
        if (r == 0 && access(path, F_OK) == 0)
            r = path_write_value(AT_FDCWD, path, "1", err);
    }
    return r;
}

static int furnish_gateway(void *user, isol8_error *err)
{
    static const char *const interfaces[] = { "all", "default", NULL };
    auto_rtnl struct rtnl *nl = NULL;

    (void)user;
    int r = quiet_namespace(interfaces, err);
    if (r == 0)
        r = rtnl_open(&nl, err);
    if (r == 0)
        r = rtnl_up(nl, "lo", err);
    if (r == 0)
        r = nft_load(ruleset, err);
    return r < 0 ? err_wrap(err, r, "cannot set up the gateway") : 0;
}

int netns_gateway_open(struct netns_gateway **out, isol8_error *err)
{
    struct netns_gateway *g = calloc(1, sizeof(*g));

    if (g == NULL)
        return err_nomem(err);
    (void)pthread_mutex_init(&g->wiring, NULL);
    (void)pthread_mutex_init(&g->mutex, NULL);
    g->fd = netns_new(err);
    int r = g->fd < 0 ? g->fd : netns_run(g->fd, furnish_gateway, NULL, err);
    if (r < 0) {
        netns_gateway_close(g);
        return r;
    }
    *out = g;
    return 0;
}

void netns_gateway_close(struct netns_gateway *g)
{
    if (g == NULL)
        return;
    (void)fd_close(g->fd);
    (void)pthread_mutex_destroy(&g->wiring);
    (void)pthread_mutex_destroy(&g->mutex);
    free(g);
}

int netns_gateway_fd(const struct netns_gateway *g)
{
    return g->fd;
}

/* ---- Numbers
 * ------------------------------------------------------------------------------------- */

/* The lowest free number at or after the last one given out: a number just released waits longest,
 * since the kernel removes its old link in the background. */
static int take_number(struct netns_gateway *g, uint32_t *out)
{
    bool found = false;

    (void)pthread_mutex_lock(&g->mutex);
    for (uint32_t i = 0; i < NETNS_WIRES_MAX && !found; i++) {
        uint32_t n = (g->next + i) % NETNS_WIRES_MAX;
        if ((g->used[n / 8] & 1u << n % 8) == 0) {
            g->used[n / 8] = (uint8_t)(g->used[n / 8] | 1u << n % 8);
            g->next = n + 1;
            *out = n;
            found = true;
        }
    }
    (void)pthread_mutex_unlock(&g->mutex);
    return found ? 0 : -1;
}

void netns_wire_release(struct netns_gateway *g, uint32_t index)
{
    (void)pthread_mutex_lock(&g->mutex);
    g->used[index / 8] = (uint8_t)(g->used[index / 8] & ~(1u << index % 8));
    (void)pthread_mutex_unlock(&g->mutex);
}

/* ---- A wire
 * -------------------------------------------------------------------------------------- */

struct joining {
    struct netns_wire *wire;
    int netns_fd; /* the sandbox's */
    char name[WIRE_NAME_BYTES];
};

static int open_listener(const char *interface, int type, uint16_t port, isol8_error *err)
{
    struct sockaddr_in any = { .sin_family = AF_INET, .sin_port = htons(port) };
    int on = 1;
    auto_close int fd = socket(AF_INET, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (fd < 0)
        return err_sys(err, errno, "cannot create a listener");
    if (setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, interface, (socklen_t)strlen(interface) + 1) <
            0 ||
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0 ||
        bind(fd, (struct sockaddr *)&any, sizeof(any)) < 0 ||
        (type == SOCK_STREAM && listen(fd, BACKLOG) < 0))
        return err_sys(err, errno, "cannot listen on port %u of '%s'", port, interface);
    return take_fd(&fd);
}

static int open_listeners(struct joining *j, isol8_error *err)
{
    struct netns_wire *w = j->wire;
    struct {
        int *fd;
        int type;
        uint16_t port;
    } wanted[] = {
        { &w->explicit_fd, SOCK_STREAM, NETNS_EXPLICIT_PORT },
        { &w->transparent_fd, SOCK_STREAM, NETNS_TRANSPARENT_PORT },
        { &w->dns_udp_fd, SOCK_DGRAM, 53 },
        { &w->dns_tcp_fd, SOCK_STREAM, 53 },
    };

    for (size_t i = 0; i < ARRAY_LEN(wanted); i++) {
        *wanted[i].fd = open_listener(j->name, wanted[i].type, wanted[i].port, err);
        if (*wanted[i].fd < 0)
            return *wanted[i].fd;
    }
    return 0;
}

static int furnish_gateway_end(void *user, isol8_error *err)
{
    struct joining *j = user;
    const char *interfaces[] = { j->name, NULL };
    auto_rtnl struct rtnl *nl = NULL;

    int r = rtnl_open(&nl, err);
    if (r == 0)
        r = rtnl_veth(nl, j->name, "eth0", j->netns_fd, err);
    if (r == 0)
        r = quiet_namespace(interfaces, err);
    if (r == 0)
        r = rtnl_address(nl, j->name, j->wire->gateway_address, 30, err);
    if (r == 0)
        r = rtnl_up(nl, j->name, err);
    if (r == 0)
        r = open_listeners(j, err);
    return r;
}

static int furnish_sandbox_end(void *user, isol8_error *err)
{
    static const char *const interfaces[] = { "eth0", NULL };
    struct joining *j = user;
    auto_rtnl struct rtnl *nl = NULL;

    int r = rtnl_open(&nl, err);
    if (r == 0)
        r = quiet_namespace(interfaces, err);
    if (r == 0)
        r = rtnl_up(nl, "lo", err);
    if (r == 0)
        r = rtnl_address(nl, "eth0", j->wire->sandbox_address, 30, err);
    if (r == 0)
        r = rtnl_up(nl, "eth0", err);
    if (r == 0)
        r = rtnl_default_route(nl, j->wire->gateway_address, err);
    return r;
}

static void close_listeners(struct netns_wire *w)
{
    w->explicit_fd = fd_close(w->explicit_fd);
    w->transparent_fd = fd_close(w->transparent_fd);
    w->dns_udp_fd = fd_close(w->dns_udp_fd);
    w->dns_tcp_fd = fd_close(w->dns_tcp_fd);
}

int netns_wire_create(struct netns_gateway *g, int netns_fd, struct netns_wire *out,
                      isol8_error *err)
{
    struct joining j = { .wire = out, .netns_fd = netns_fd };

    *out = (struct netns_wire){
        .explicit_fd = -1, .transparent_fd = -1, .dns_udp_fd = -1, .dns_tcp_fd = -1
    };
    if (take_number(g, &out->index) < 0)
        return err_set(err, ISOL8_E_LIMIT, "all %d wires of the gateway are in use",
                       NETNS_WIRES_MAX);
    out->gateway_address.s_addr = htonl(WIRES_BASE + out->index * 4 + 1);
    out->sandbox_address.s_addr = htonl(WIRES_BASE + out->index * 4 + 2);
    (void)snprintf(j.name, sizeof(j.name), "v%u", out->index);

    /* One at a time: the kernel has one lock for all of it, and whoever finds it taken while
     * writing a file of /proc/sys/net spins. 100 at once take less than half the time like this. */
    (void)pthread_mutex_lock(&g->wiring);
    int r = netns_run(g->fd, furnish_gateway_end, &j, err);
    if (r == 0)
        r = netns_run(netns_fd, furnish_sandbox_end, &j, err);
    (void)pthread_mutex_unlock(&g->wiring);
    if (r < 0) {
        close_listeners(out);
        netns_wire_release(g, out->index);
        return err_wrap(err, r, "cannot join a sandbox to the gateway");
    }
    return 0;
}
