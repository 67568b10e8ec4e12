/* SPDX-License-Identifier: Apache-2.0 */
/* policy.c - what code may be fetched. */
#include "executor/remote/policy.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/buf.h"
#include "base/hash.h"
#include "base/mem.h"

static const uint64_t code_size_max = UINT64_C(1) << 30;             /* as the configuration's */
static const int64_t timeout_ms_max = 7 * 24 * 3600 * INT64_C(1000); /* no execution has more */

#define SHOWN_MAX 300 /* bytes of an address in a message */

void isol8_remote_options_init(isol8_remote_options *o)
{
    *o = (isol8_remote_options){ .size = sizeof(*o),
                                 .max_code_size = 10485760,
                                 .fetch_timeout_ms = 30000,
                                 .enable_cache = true,
                                 .cache_ttl = 3600 };
}

/* ---- Made once ------------------------------------------------------------------------------- */

static int check_numbers(const isol8_remote_options *o, isol8_error *err)
{
    if (o->max_code_size < 1 || o->max_code_size > code_size_max)
        return err_set(err, ISOL8_E_INVAL,
                       "remoteCode.maxCodeSize: %" PRIu64 " is not between 1 and %" PRIu64 " bytes",
                       o->max_code_size, code_size_max);
    if (o->fetch_timeout_ms < 1)
        return err_set(err, ISOL8_E_INVAL, "remoteCode.fetchTimeoutMs: %" PRId64 " is less than 1",
                       o->fetch_timeout_ms);
    if (o->cache_ttl < 0)
        return err_set(err, ISOL8_E_INVAL, "remoteCode.cacheTtl: %" PRId64 " is less than 0",
                       o->cache_ttl);
    return 0;
}

static void print_list(struct buf *b, const char *name, const char *const *list, size_t n)
{
    (void)buf_addf(b, "%s %zu\n", name, n);
    for (size_t i = 0; i < n; i++)
        (void)buf_addf(b, "%zu %s\n", strlen(list[i]), list[i]);
}

static int print(struct remote_policy *p, const isol8_remote_options *o, isol8_error *err)
{
    auto_buf struct buf b = BUF_INIT(SIZE_MAX / 2);

    (void)buf_addf(&b, "%d %d %d %d %" PRId64 " %" PRIu64 " %" PRId64 " %d %d\n", p->is_enabled,
                   p->requires_hash, p->conceals_hosts, p->has_cache, p->cache_ttl_s, p->max_bytes,
                   p->timeout_ms, p->allows_http, p->allows_https);
    print_list(&b, "allowed", o->allowed_hosts, o->n_allowed_hosts);
    print_list(&b, "blocked", o->blocked_hosts, o->n_blocked_hosts);
    p->print = buf_take(&b);
    return p->print == NULL ? err_nomem(err) : 0;
}

static int fill(struct remote_policy *p, const isol8_remote_options *o,
                const struct proxy_settings *s, isol8_error *err)
{
    int r = check_numbers(o, err);

    if (r < 0)
        return r;
    p->is_enabled = o->enabled;
    p->requires_hash = o->require_hash;
    p->conceals_hosts = o->conceal_hosts;
    p->has_cache = o->enable_cache;
    p->cache_ttl_s = o->cache_ttl;
    p->max_bytes = o->max_code_size;
    p->timeout_ms = o->fetch_timeout_ms < timeout_ms_max ? o->fetch_timeout_ms : timeout_ms_max;
    p->allows_https = o->n_allowed_schemes == 0;
    for (size_t i = 0; i < o->n_allowed_schemes; i++) {
        p->allows_http = p->allows_http || strcasecmp(o->allowed_schemes[i], "http") == 0;
        p->allows_https = p->allows_https || strcasecmp(o->allowed_schemes[i], "https") == 0;
    }
    p->ports = calloc(s->n_ports + 1, sizeof(*p->ports));
    if (p->ports == NULL)
        return err_nomem(err);
    for (size_t i = 0; i < s->n_ports; i++)
        p->ports[p->n_ports++] = s->ports[i];
    r = proxy_rules_new(&p->hosts, "remoteCode.allowedHosts", o->allowed_hosts, o->n_allowed_hosts,
                        "remoteCode.blockedHosts", o->blocked_hosts, o->n_blocked_hosts, err);
    return r < 0 ? r : print(p, o, err);
}

int remote_policy_new(struct remote_policy **out, const isol8_remote_options *o,
                      const struct proxy_settings *settings, const struct log *log,
                      isol8_error *err)
{
    isol8_remote_options defaults;

    if (o == NULL) {
        isol8_remote_options_init(&defaults);
        o = &defaults;
    }
    if (o->size != sizeof(*o))
        return err_set(err, ISOL8_E_INVAL, "remote code options were not initialised");
    struct remote_policy *p = calloc(1, sizeof(*p));
    if (p == NULL)
        return err_nomem(err);
    p->refs = 1;
    p->log = log;
    int r = fill(p, o, settings, err);
    if (r < 0) {
        remote_policy_unref(p);
        return r;
    }
    *out = p;
    return 0;
}

struct remote_policy *remote_policy_ref(struct remote_policy *p)
{
    (void)__atomic_add_fetch(&p->refs, 1, __ATOMIC_RELAXED);
    return p;
}

void remote_policy_unref(struct remote_policy *p)
{
    if (p == NULL || __atomic_sub_fetch(&p->refs, 1, __ATOMIC_ACQ_REL) > 0)
        return;
    proxy_rules_free(p->hosts);
    free(p->ports);
    free(p->print);
    free(p);
}

bool remote_policy_equal(const struct remote_policy *a, const struct remote_policy *b)
{
    return a == b || strcmp(a->print, b->print) == 0;
}

/* ---- One address ------------------------------------------------------------------------------
 */

int remote_policy_blocked(const struct remote_url *u, isol8_error *err)
{
    char host[PROXY_NAME_MAX + 3];

    remote_url_host(u, host, sizeof(host));
    return err_set(err, ISOL8_E_POLICY, "Blocked code URL host: %s", host);
}

int remote_policy_conceal(const struct remote_policy *p, const struct remote_url *u, int r,
                          isol8_error *err)
{
    char host[PROXY_NAME_MAX + 3];

    if (!p->conceals_hosts || (r != ISOL8_E_POLICY && r != ISOL8_E_NETWORK))
        return r;
    remote_url_host(u, host, sizeof(host));
    log_warn(p->log, "remote: no code from host='%s' why='%s'", host, err != NULL ? err->msg : "");
    return err_set(err, ISOL8_E_POLICY,
                   "Code URL host is blocked, unknown or cannot be reached: %s", host);
}

/* Only a list that does not have the name leaves the other spelling a chance. */
static bool is_denied(const struct proxy_decision *d)
{
    return !d->is_allowed && strcmp(d->reason, "not on the allow list") != 0;
}

/* IPv6 literals are known to the original's patterns in brackets, and to the proxy's without: a
 * pattern may be either, and to be refused in one form is enough. */
static bool host_is_allowed(const struct remote_policy *p, const struct remote_url *u)
{
    char host[PROXY_NAME_MAX + 3];
    struct proxy_decision plain = proxy_rules_match(p->hosts, u->host.text);

    if (!u->host.is_address || u->host.address.family != AF_INET6)
        return plain.is_allowed;
    remote_url_host(u, host, sizeof(host));
    struct proxy_decision bracketed = proxy_rules_match(p->hosts, host);
    return !is_denied(&plain) && !is_denied(&bracketed) &&
           (plain.is_allowed || bracketed.is_allowed);
}

static bool port_is_allowed(const struct remote_policy *p, const struct remote_url *u)
{
    if (u->port == (remote_url_is_https(u) ? 443 : 80))
        return true;
    for (size_t i = 0; i < p->n_ports; i++) {
        if (p->ports[i] == u->port)
            return true;
    }
    return false;
}

static int check_port(const struct remote_policy *p, const struct remote_url *u, isol8_error *err)
{
    if (port_is_allowed(p, u))
        return 0;
    return err_set(err, ISOL8_E_POLICY,
                   "Blocked code URL port: %u is neither 80 or 443 nor in network.ports", u->port);
}

static int check_parsed(const struct remote_policy *p, const struct remote_url *u,
                        bool allow_insecure, const struct remote_url *before, isol8_error *err)
{
    bool is_http = strcmp(u->scheme, "http") == 0;

    if (is_http && !allow_insecure)
        return err_set(err, ISOL8_E_POLICY,
                       "Insecure code URL blocked. Use allowInsecureCodeUrl=true to allow HTTP.");
    if (is_http ? !p->allows_http : !p->allows_https || !remote_url_is_https(u))
        return err_set(err, ISOL8_E_POLICY, "URL scheme not allowed: %s", u->scheme);
    if (is_http && before != NULL && remote_url_is_https(before))
        return err_set(err, ISOL8_E_POLICY,
                       "Insecure code URL blocked. A redirect led from https to http.");
    /* The port is refused of every host alike, or it would tell which ones are not blocked. */
    int r = p->conceals_hosts ? check_port(p, u, err) : 0;
    if (r == 0 && !host_is_allowed(p, u))
        r = remote_policy_conceal(p, u, remote_policy_blocked(u, err), err);
    return r < 0 ? r : check_port(p, u, err);
}

int remote_policy_check(const struct remote_policy *p, const char *text, bool allow_insecure,
                        const struct remote_url *before, struct remote_url *out, isol8_error *err)
{
    auto_remote_url struct remote_url u = { .text = NULL };
    char shown[SHOWN_MAX];

    if (!remote_url_parse(text, &u)) {
        remote_url_redact(text, shown, sizeof(shown));
        return err_set(err, ISOL8_E_INVAL, "Invalid code URL: %s", shown);
    }
    int r = check_parsed(p, &u, allow_insecure, before, err);
    if (r < 0)
        return r;
    *out = u;
    u.text = NULL;
    return 0;
}

int remote_policy_check_addresses(const struct proxy_guard *guard, const struct remote_url *u,
                                  const struct proxy_address *addresses, size_t n, isol8_error *err)
{
    for (size_t i = 0; i < n; i++) {
        if (proxy_guard_refuses(guard, &addresses[i]) != NULL)
            return remote_policy_blocked(u, err);
    }
    return 0;
}

bool remote_hash_parse(const char *text, char out[HASH_SHA256_HEX_SIZE])
{
    size_t n = strspn(text, "0123456789abcdefABCDEF");

    if (n != HASH_SHA256_HEX_SIZE - 1 || text[n] != '\0')
        return false;
    for (size_t i = 0; i <= n; i++)
        out[i] = text[i] >= 'A' && text[i] <= 'F' ? (char)(text[i] + ('a' - 'A')) : text[i];
    return true;
}
