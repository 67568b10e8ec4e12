/* SPDX-License-Identifier: Apache-2.0 */
/* tally.c - what the proxy decided and moved so far: reading it, and its words. */
#include "proxy/tally.h"

#include <assert.h>

#include "base/mem.h"

static const char *const protocol_names[] = {
    [ISOL8_PROXY_HTTP] = "http",
    [ISOL8_PROXY_CONNECT] = "connect",
    [ISOL8_PROXY_TCP] = "tcp",
    [ISOL8_PROXY_DNS] = "dns",
};
static_assert(ARRAY_LEN(protocol_names) == ISOL8_PROXY_PROTOCOLS, "a name for each protocol");

static const char *const outcome_names[] = {
    [ISOL8_PROXY_ALLOWED] = "allowed",         [ISOL8_PROXY_FAILED] = "failed",
    [ISOL8_PROXY_DENIED] = "denied",           [ISOL8_PROXY_NOT_ALLOWED] = "not_allowed",
    [ISOL8_PROXY_RULE_LIMIT] = "rule_limit",   [ISOL8_PROXY_PORT] = "port",
    [ISOL8_PROXY_ADDRESS] = "address",         [ISOL8_PROXY_OTHER_NAME] = "other_name",
    [ISOL8_PROXY_BAD_HELLO] = "bad_tls_hello", [ISOL8_PROXY_LIMIT] = "limit",
};
static_assert(ARRAY_LEN(outcome_names) == ISOL8_PROXY_OUTCOMES, "a name for each outcome");

const char *isol8_proxy_protocol_name(enum isol8_proxy_protocol protocol)
{
    return protocol < ISOL8_PROXY_PROTOCOLS ? protocol_names[protocol] : NULL;
}

const char *isol8_proxy_outcome_name(enum isol8_proxy_outcome outcome)
{
    return outcome < ISOL8_PROXY_OUTCOMES ? outcome_names[outcome] : NULL;
}

void tally_read(const struct proxy_tally *t, struct proxy_tally *out)
{
    for (size_t p = 0; p < ISOL8_PROXY_PROTOCOLS; p++) {
        for (size_t o = 0; o < ISOL8_PROXY_OUTCOMES; o++)
            out->decisions[p][o] = __atomic_load_n(&t->decisions[p][o], __ATOMIC_RELAXED);
    }
    out->bytes_in = __atomic_load_n(&t->bytes_in, __ATOMIC_RELAXED);
    out->bytes_out = __atomic_load_n(&t->bytes_out, __ATOMIC_RELAXED);
}
