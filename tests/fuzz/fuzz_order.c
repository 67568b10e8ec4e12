/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_order.c - bodies of executions: nothing gets above the operator's limits. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/text.h"
#include "server/order.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char config[] =
    "{\"network\":{\"whitelist\":[\"a\"],\"blacklist\":[\"b\"]},"
    "\"server\":{\"images\":[\"one\"],\"max\":{\"memory\":\"64m\",\"cpu\":2,\"pids\":100,"
    "\"timeoutMs\":60000}}}";

static struct srv_policy policy;

static void set_up(void)
{
    static struct conf *conf;
    isol8_error err;

    if (conf != NULL)
        return;
    if (conf_parse(&conf, config, sizeof(config) - 1, "fuzz", false, &err) < 0 ||
        srv_policy_init(&policy, conf, &err) < 0)
        abort();
}

/* Whatever was accepted. */
static void check(const struct srv_order *o)
{
    const isol8_options *p = &o->options;
    uint64_t memory = 0;

    if (strcmp(p->network, "host") == 0 || strcmp(p->seccomp, "strict") != 0 || p->persist ||
        !p->readonly_rootfs || p->cpu_limit <= 0 || p->cpu_limit > 2 ||
        (p->pids_limit != -2 && p->pids_limit != 64 &&
         (p->pids_limit < 1 || p->pids_limit > 100)) ||
        p->timeout_ms < 1 || p->timeout_ms > 60000 || o->request.timeout_ms > 60000)
        abort();
    if (!text_parse_size(p->memory_limit, &memory) || memory == 0 || memory > 512u << 20)
        abort();
    if (p->n_allow_within != 1 || p->n_deny < 1 || strcmp(p->deny[0], "b") != 0)
        abort();
    if (p->image != NULL && strcmp(p->image, "one") != 0)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct srv_order o;
    struct srv_fault f = { 0 };

    set_up();
    if (srv_order_parse(&o, &policy, (const char *)data, size, &f) == 0)
        check(&o);
    else if (f.http < 400 || f.text[0] == '\0')
        abort();
    srv_order_done(&o);
    return 0;
}
