/* SPDX-License-Identifier: Apache-2.0 */
/**
 * policy.c - say what the filtered network would do with an address, without running anything
 *
 * The same rules, host parser and address guard as the proxy's, in the same order: rules, port,
 * addresses. A name is resolved as the proxy would: the operator's fixed hosts first.
 */
#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "executor/egress.h"
#include "executor/engine.h"
#include "proxy/guard.h"

/* Host and port of "https://host:port/path", or of "host:port". */
static bool split_url(const char *url, struct proxy_host *host, uint16_t *port)
{
    const char *scheme = strstr(url, "://");
    const char *p = scheme == NULL ? url : scheme + 3;
    bool is_plain = scheme != NULL && strncasecmp(url, "http://", 7) == 0;

    return proxy_authority_parse(p, strcspn(p, "/?#"), is_plain ? 80 : 443, host, port);
}

static void refuse(isol8_policy_answer *out, const char *reason)
{
    out->is_allowed = false;
    (void)snprintf(out->reason, sizeof(out->reason), "%s", reason);
}

static bool port_is_open(const struct proxy_settings *s, uint16_t port)
{
    for (size_t i = 0; i < s->n_ports; i++) {
        if (s->ports[i] == port)
            return true;
    }
    return s->n_ports == 0;
}

/* One good address is enough: the proxy connects to that one. */
static void judge_address(const struct proxy_guard *guard, const struct proxy_address *a,
                          isol8_policy_answer *out, bool *has_good)
{
    char text[INET6_ADDRSTRLEN];
    const char *why = proxy_guard_refuses(guard, a);

    proxy_address_text(a, text, sizeof(text));
    if (why == NULL) {
        *has_good = true;
        (void)snprintf(out->address, sizeof(out->address), "%s", text);
    } else if (!*has_good) {
        char reason[sizeof(out->reason)];
        (void)snprintf(reason, sizeof(reason), "%s is refused: %s", text, why);
        refuse(out, reason);
    }
}

static const struct proxy_fixed_host *find_fixed(const struct proxy_settings *s,
                                                 const struct proxy_host *host)
{
    for (size_t i = 0; i < s->n_hosts; i++) {
        struct proxy_host name;
        if (proxy_host_parse(s->hosts[i].name, strlen(s->hosts[i].name), &name) &&
            strcmp(name.text, host->text) == 0)
            return &s->hosts[i];
    }
    return NULL;
}

static bool judge_fixed(const struct proxy_guard *guard, const struct proxy_fixed_host *fixed,
                        isol8_policy_answer *out)
{
    bool has_good = false;

    for (size_t i = 0; i < fixed->n_addresses; i++) {
        struct proxy_host a;
        if (proxy_host_parse(fixed->addresses[i], strlen(fixed->addresses[i]), &a) && a.is_address)
            judge_address(guard, &a.address, out, &has_good);
    }
    return has_good;
}

static bool judge_resolved(const struct proxy_guard *guard, const struct proxy_host *host,
                           isol8_policy_answer *out)
{
    struct addrinfo hints = { .ai_socktype = SOCK_STREAM }, *list = NULL;
    bool has_good = false;
    int r = getaddrinfo(host->text, NULL, &hints, &list);

    if (r != 0) {
        char reason[sizeof(out->reason)];
        (void)snprintf(reason, sizeof(reason), "the name cannot be resolved: %s", gai_strerror(r));
        refuse(out, reason);
        return false;
    }
    for (const struct addrinfo *ai = list; ai != NULL; ai = ai->ai_next) {
        struct proxy_address a = { .family = (sa_family_t)ai->ai_family };
        if (ai->ai_family == AF_INET)
            a.v4 = ((const struct sockaddr_in *)(const void *)ai->ai_addr)->sin_addr;
        else if (ai->ai_family == AF_INET6)
            a.v6 = ((const struct sockaddr_in6 *)(const void *)ai->ai_addr)->sin6_addr;
        else
            continue;
        judge_address(guard, &a, out, &has_good);
    }
    freeaddrinfo(list);
    return has_good;
}

static int judge_target(const struct proxy_settings *s, const struct proxy_host *host,
                        isol8_policy_answer *out, isol8_error *err)
{
    struct proxy_guard *guard = NULL;
    const struct proxy_fixed_host *fixed = find_fixed(s, host);
    bool has_good = false;

    int r = proxy_guard_new(&guard, s->allow_addresses, s->n_allow_addresses, err);
    if (r < 0)
        return r;
    if (host->is_address)
        judge_address(guard, &host->address, out, &has_good);
    else if (fixed != NULL)
        has_good = judge_fixed(guard, fixed, out);
    else if (s->upstream_proxy != NULL) /* it resolves */
        has_good = true;
    else
        has_good = judge_resolved(guard, host, out);
    proxy_guard_free(guard);
    out->is_allowed = has_good;
    return 0;
}

int isol8_policy_check(isol8_engine *e, const char *url, isol8_policy_answer *out, isol8_error *err)
{
    const struct proxy_settings *s = exec_egress_settings(e->host->egress);
    struct proxy_rules *none = NULL;
    struct proxy_host host;
    int r = 0;

    *out = (isol8_policy_answer){ 0 };
    if (!split_url(url, &host, &out->port))
        return err_set(err, ISOL8_E_INVAL,
                       "'%.120s' is not an address: expected https://host/ or "
                       "host:port",
                       url);
    if (e->rules == NULL) /* no lists: every name is allowed */
        r = proxy_rules_new(&none, "", NULL, 0, "", NULL, 0, err);
    if (r < 0)
        return r;
    struct proxy_decision d = proxy_rules_match(e->rules != NULL ? e->rules : none, host.text);
    out->is_allowed = d.is_allowed;
    (void)snprintf(out->host, sizeof(out->host), "%s", host.text);
    (void)snprintf(out->rule, sizeof(out->rule), "%s", d.rule == NULL ? "" : d.rule);
    (void)snprintf(out->reason, sizeof(out->reason), "%s", d.reason);
    if (d.is_allowed && !port_is_open(s, out->port))
        refuse(out, "port is not open");
    else if (d.is_allowed)
        r = judge_target(s, &host, out, err);
    proxy_rules_free(none);
    return r;
}
