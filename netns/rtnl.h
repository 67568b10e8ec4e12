/* SPDX-License-Identifier: Apache-2.0 */
/* rtnl.h - links, addresses and routes of the calling thread's namespace, by rtnetlink. */
#ifndef NETNS_RTNL_H
#define NETNS_RTNL_H

#include <netinet/in.h>

#include "base/err.h"

struct rtnl; /* an open rtnetlink socket, bound to the namespace it was opened in */

int rtnl_open(struct rtnl **out, isol8_error *err);
void rtnl_close(struct rtnl *r);

static inline void rtnl_close_p(struct rtnl **r)
{
    rtnl_close(*r);
}
#define auto_rtnl __attribute__((cleanup(rtnl_close_p)))

/** A veth pair with @name here and @peer_name in the namespace @peer_netns, made in its final
 * places by one request: moving a link afterwards is slow under load. */
int rtnl_veth(struct rtnl *r, const char *name, const char *peer_name, int peer_netns,
              isol8_error *err);

int rtnl_up(struct rtnl *r, const char *name, isol8_error *err);
int rtnl_address(struct rtnl *r, const char *name, struct in_addr address, uint8_t prefix,
                 isol8_error *err);
int rtnl_default_route(struct rtnl *r, struct in_addr gateway, isol8_error *err);

#endif
