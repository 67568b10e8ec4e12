/* SPDX-License-Identifier: Apache-2.0 */
/* dns.h - the resolver of a sandbox: allowed names get addresses that stand for them. */
#ifndef PROXY_DNS_H
#define PROXY_DNS_H

#include "proxy/proxy_internal.h"

/** Both descriptors are taken, also on failure; -1 where there is none. */
int dns_open(struct proxy_client *c, int udp_fd, int tcp_fd, isol8_error *err);
void dns_close(struct proxy_client *c);

#endif
