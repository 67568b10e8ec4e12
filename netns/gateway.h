/* SPDX-License-Identifier: Apache-2.0 */
/**
 * gateway.h - the namespace between filtered sandboxes and the proxy, and the wires into it
 *
 * The gateway has no uplink and forwards nothing. Each filtered sandbox is joined to it by a veth
 * pair: v<n> with 10.88.x.y+1/30 in the gateway, eth0 with 10.88.x.y+2/30 and a default route in
 * the sandbox. Every TCP connection that arrives is redirected to a listener bound to that wire,
 * DNS to another; the rest is rejected at once. Nothing appears in the machine's own namespace, and
 * nothing needs to be removed: links and rules go with their namespaces.
 */
#ifndef NETNS_GATEWAY_H
#define NETNS_GATEWAY_H

#include <netinet/in.h>
#include <stdint.h>

#include "base/err.h"

enum {
    NETNS_WIRES_MAX = 16384,       /* /30 networks in 10.88.0.0/16 */
    NETNS_EXPLICIT_PORT = 8118,    /* the proxy that clients are told about */
    NETNS_TRANSPARENT_PORT = 8119, /* where every other TCP connection lands */
};

struct netns_gateway; /* safe to use from several threads */

/** Make the namespace with its rules. ISOL8_E_UNSUPPORTED, ISOL8_E_NETWORK, ISOL8_E_SYS. */
int netns_gateway_open(struct netns_gateway **out, isol8_error *err);
void netns_gateway_close(struct netns_gateway *g);

/** The gateway's namespace; borrowed. For tests. */
int netns_gateway_fd(const struct netns_gateway *g);

struct netns_wire {
    uint32_t index;
    struct in_addr gateway_address;
    struct in_addr sandbox_address;
    int explicit_fd; /* listeners in the gateway namespace, returned: the caller takes them */
    int transparent_fd;
    int dns_udp_fd;
    int dns_tcp_fd;
};

/**
 * netns_wire_create() - Join the sandbox namespace @netns_fd to the gateway
 *
 * Brings up lo and eth0 in the sandbox and switches IPv6 off on both ends. The wire vanishes with
 * the sandbox's namespace; netns_wire_release() gives only its number back.
 */
int netns_wire_create(struct netns_gateway *g, int netns_fd, struct netns_wire *out,
                      isol8_error *err);
void netns_wire_release(struct netns_gateway *g, uint32_t index);

#endif
