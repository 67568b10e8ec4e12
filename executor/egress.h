/* SPDX-License-Identifier: Apache-2.0 */
/**
 * egress.h - the filtered network of a host object: one gateway namespace, one proxy
 *
 * Both are made when the first filtered sandbox needs them. A sandbox is joined by an exec_link:
 * its wire into the gateway, and its place in the proxy.
 */
#ifndef EXECUTOR_EGRESS_H
#define EXECUTOR_EGRESS_H

#include "base/log.h"
#include "netns/gateway.h"
#include "proxy/proxy.h"

/* Where every filtered sandbox finds its proxy and its name server: the gateway turns this address,
 * which no name is ever given, to the sandbox's own listeners (RFC 2544 range). */
#define EGRESS_ADDRESS "198.18.0.1"
#define EGRESS_PROXY_URL "http://" EGRESS_ADDRESS ":8118"

struct exec_egress;

/** Keep the operator's settings (copied); nothing is started yet. */
int exec_egress_new(struct exec_egress **out, const isol8_network_settings *settings,
                    isol8_error *err);
void exec_egress_free(struct exec_egress *e);

/** The operator's settings; borrowed. */
const struct proxy_settings *exec_egress_settings(const struct exec_egress *e);

/** The file with certificates that sandboxes trust in addition, or NULL. */
const char *exec_egress_ca_file(const struct exec_egress *e);

struct exec_link {
    struct exec_egress *egress; /* NULL: not joined */
    uint32_t wire;
    struct proxy_client *client;
    struct netlog *log; /* after exec_link_close() */
    struct proxy_counters counters;
};

int exec_link_create(struct exec_link *out, struct exec_egress *e, int netns_fd,
                     const struct proxy_rules *rules, isol8_error *err);

/** Hand over what was logged since the last time, and the counters, while it stays joined. Not
 * joined: nothing. The caller frees the log. */
void exec_link_take_log(struct exec_link *l, struct netlog **log, struct proxy_counters *counters);

/** Leave the proxy for good, but not the gateway: a sandbox goes on at the other end of the wire,
 * and nobody listens any more. */
void exec_link_abandon(struct exec_link *l);

/** Rules that allow nothing, for a sandbox that waits for its owner. NULL when memory is out. */
const struct proxy_rules *exec_egress_closed_rules(struct exec_egress *e, isol8_error *err);

/** Leave the proxy and the gateway; the log and the counters stay with the link. Not joined: fine.
 */
void exec_link_close(struct exec_link *l);

#endif
