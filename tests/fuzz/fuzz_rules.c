/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_rules.c - a pattern, and behind a newline the host names it is matched with. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "proxy/host.h"
#include "proxy/rules.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

/* The same pattern in both lists: nothing is ever allowed. */
static void match(const struct proxy_rules *both, const struct proxy_rules *allow, const char *s,
                  size_t n)
{
    struct proxy_host h;

    if (!proxy_host_parse(s, n, &h))
        return;
    struct proxy_decision d = proxy_rules_match(both, h.text);
    if (d.is_allowed || d.reason == NULL)
        abort();
    struct proxy_decision a = proxy_rules_match(allow, h.text);
    if (a.is_allowed && (a.rule == NULL || strcmp(d.reason, "denied by rule") != 0))
        abort();
}

static void match_lines(const struct proxy_rules *both, const struct proxy_rules *allow,
                        const char *s, size_t n)
{
    for (unsigned lines = 0; n > 0 && lines < 4; lines++) {
        const char *end = memchr(s, '\n', n);
        size_t len = end != NULL ? (size_t)(end - s) : n;
        match(both, allow, s, len);
        len += end != NULL;
        s += len;
        n -= len;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    const char *text = (const char *)data;
    const char *end = n > 0 ? memchr(text, '\n', n) : NULL;
    size_t pattern_n = end != NULL ? (size_t)(end - text) : n;
    auto_free char *pattern = n > 0 ? calloc(1, pattern_n + 1) : NULL;
    auto_proxy_rules struct proxy_rules *both = NULL;
    auto_proxy_rules struct proxy_rules *allow = NULL;
    const char *const list[] = { pattern };
    isol8_error err;

    if (pattern == NULL)
        return 0;
    memcpy(pattern, text, pattern_n);
    (void)proxy_rules_is_unanchored(pattern);
    if (proxy_rules_new(&both, "allow", list, 1, "deny", list, 1, &err) < 0)
        return 0;
    if (proxy_rules_new(&allow, "allow", list, 1, "deny", NULL, 0, &err) < 0)
        abort();
    if (end != NULL)
        match_lines(both, allow, end + 1, n - pattern_n - 1);
    return 0;
}
