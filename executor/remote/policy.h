/* SPDX-License-Identifier: Apache-2.0 */
/**
 * policy.h - what code may be fetched: the checked form of isol8_remote_options
 *
 * Immutable once made, shared by an engine and the fetches it started, and counted: a fetch that
 * everybody gave up may outlive the engine for a moment.
 */
#ifndef EXECUTOR_REMOTE_POLICY_H
#define EXECUTOR_REMOTE_POLICY_H

#include "executor/remote/url.h"
#include "proxy/guard.h"
#include "proxy/proxy.h"

enum { REMOTE_REDIRECTS_MAX = 5 };

struct remote_policy {
    unsigned refs; /* atomic */
    bool is_enabled;
    bool requires_hash;
    bool has_cache;
    int64_t cache_ttl_s;
    bool conceals_hosts;
    const struct log *log; /* of what is concealed */
    uint64_t max_bytes;
    int64_t timeout_ms;
    bool allows_http, allows_https;
    struct proxy_rules *hosts;
    uint16_t *ports; /* the operator's, beside the schemes' own */
    size_t n_ports;
    char *print; /* its whole content as text: equal texts, equal policies */
};

/**
 * remote_policy_new() - Check and copy the options
 * @o:        NULL: disabled
 * @settings: The operator's, for the ports
 * @log:      Where reasons go that errors conceal; borrowed
 *
 * Return: 0, ISOL8_E_INVAL, ISOL8_E_LIMIT, ISOL8_E_NOMEM, ISOL8_E_UNSUPPORTED without libpcre2
 */
int remote_policy_new(struct remote_policy **out, const isol8_remote_options *o,
                      const struct proxy_settings *settings, const struct log *log,
                      isol8_error *err);
struct remote_policy *remote_policy_ref(struct remote_policy *p);
void remote_policy_unref(struct remote_policy *p); /* NULL is fine */

/** Whether both permit the same. */
bool remote_policy_equal(const struct remote_policy *a, const struct remote_policy *b);

/**
 * remote_policy_check() - Everything that can be said about an address without resolving it
 * @text:           As given, or where a redirect leads to
 * @allow_insecure: The request permits http
 * @before:         The address that redirected here; NULL: the request's own
 * @out:            The parsed address; the caller calls remote_url_done()
 *
 * Return: 0, ISOL8_E_INVAL (no address), ISOL8_E_POLICY
 */
int remote_policy_check(const struct remote_policy *p, const char *text, bool allow_insecure,
                        const struct remote_url *before, struct remote_url *out, isol8_error *err);

/** Whether the address guard lets all of them through; ISOL8_E_POLICY when not. */
int remote_policy_check_addresses(const struct proxy_guard *guard, const struct remote_url *u,
                                  const struct proxy_address *addresses, size_t n,
                                  isol8_error *err);

/** "Blocked code URL host: <host>". */
int remote_policy_blocked(const struct remote_url *u, isol8_error *err);

/**
 * remote_policy_conceal() - Say of a host no more than that its code cannot be had
 * @r: What finding or reaching the host gave, with @err; 0 and what is no word about the host
 *     (ISOL8_E_TIMEOUT, ISOL8_E_LIMIT, ...) passes
 *
 * Where clients are strangers, the difference between a name that leads to a private address and
 * one that leads nowhere maps the network that the server stands in. Return: a status
 */
int remote_policy_conceal(const struct remote_policy *p, const struct remote_url *u, int r,
                          isol8_error *err);

/** Copy a SHA-256 in hex of either case into lower case. False when it is none. */
bool remote_hash_parse(const char *text, char out[65]);

#endif
