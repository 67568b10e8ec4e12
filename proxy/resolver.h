/* SPDX-License-Identifier: Apache-2.0 */
/* resolver.h - names to addresses in the proxy's loop, with a quota for each sandbox. */
#ifndef PROXY_RESOLVER_H
#define PROXY_RESOLVER_H

#include "base/evloop.h"
#include "proxy/host.h"

enum {
    RESOLVE_ADDRESSES_MAX = 16,  /* candidates kept of one name */
    RESOLVE_DEADLINE_MS = 10000, /* of a lookup, waiting for its turn included */
    RESOLVE_QUEUE_MAX = 512,     /* lookups of one sandbox that wait for their turn */
    RESOLVE_FIXED_MAX = 4096,    /* names in the operator's settings */
};

enum resolve_status {
    RESOLVE_OK,
    RESOLVE_NO_NAME,    /* the name does not exist */
    RESOLVE_NO_ADDRESS, /* it exists without an address */
    RESOLVE_FAILED,     /* no answer in time, a broken one, too many lookups */
};

struct resolve_result {
    enum resolve_status status;
    size_t n;
    struct proxy_address addresses[RESOLVE_ADDRESSES_MAX];
};

struct resolver;
struct resolve_query;

/* In the asker's structure; zeroed before its first use. */
struct lookup {
    void (*fn)(struct lookup *l, const struct resolve_result *r);
    struct resolve_query *query; /* NULL while nothing is under way */
};

/* Of one sandbox. */
struct resolver_quota {
    unsigned n_running;
    unsigned n_waiting;
    struct resolve_query *first; /* waiting */
    struct resolve_query *last;
};

int resolver_new(struct resolver **out, struct evloop *loop, isol8_error *err);
void resolver_free(struct resolver *r);

/** A fixed answer. False: no memory, or too many. */
bool resolver_add_fixed(struct resolver *r, const char *name, const struct proxy_address *addresses,
                        size_t n);

/** Look @name up; l->fn is called later in the loop, never from here. @quota NULL: none. False: no
 * memory. */
bool resolver_start(struct resolver *r, struct resolver_quota *quota, const char *name,
                    struct lookup *l);

/** l->fn will not be called any more; nothing under way is fine. */
void resolver_cancel(struct lookup *l);

/** The quota's sandbox goes away: every lookup of it is cancelled already. */
void resolver_quota_end(struct resolver *r, struct resolver_quota *quota);

#endif
