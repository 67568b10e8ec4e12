/* SPDX-License-Identifier: Apache-2.0 */
/**
 * rules.h - the allow and deny lists: PCRE2 patterns searched anywhere in a normalised host name
 *
 * Order: any deny pattern that matches blocks; an empty allow list allows; any allow pattern that
 * matches allows; else blocked. Patterns are compiled once with JIT, caseless, and matched with
 * step, memory and time limits; a match that hits one blocks at once, in either list. POSIX bracket
 * classes and (?:...), \d, \w, lookahead are all understood. libpcre2-8 is loaded on first use.
 *
 * A pattern that is empty matches every name. One with bytes outside ASCII is refused: names are in
 * their A-label form (xn--...), so that it could never match, and a deny list would not deny.
 */
#ifndef PROXY_RULES_H
#define PROXY_RULES_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

enum {
    PROXY_RULES_MAX = 4096,          /* patterns in one list */
    PROXY_PATTERN_MAX = 4096,        /* bytes of one pattern */
    PROXY_RULES_CODE_MAX = 64 << 20, /* bytes of compiled patterns in all lists */
    PROXY_MATCH_STEPS = 5000,    /* PCRE2's match limit, counted anew from each byte of a name */
    PROXY_MATCH_HEAP_KIB = 1024, /* memory of one match */
    PROXY_MATCH_CPU_MS = 50,     /* of one decision, all patterns together */
};

struct proxy_rules; /* immutable once made; may be shared by threads */

/** An invalid pattern is an error that names list and index: "network.whitelist[2]: '(' at offset
 * 3: missing closing parenthesis". @allow_name, @deny_name: what the lists are called in messages.
 * Return: 0, ISOL8_E_INVAL, ISOL8_E_LIMIT, ISOL8_E_NOMEM, ISOL8_E_UNSUPPORTED without libpcre2
 * (needed as soon as there is a pattern)
 */
int proxy_rules_new(struct proxy_rules **out, const char *allow_name, const char *const *allow,
                    size_t n_allow, const char *deny_name, const char *const *deny, size_t n_deny,
                    isol8_error *err);
void proxy_rules_free(struct proxy_rules *r);

/**
 * proxy_rules_bound() - Also require that one of @patterns matches, whatever the allow list says
 *
 * For a list that the allow list's author must not be able to widen. None: nothing is required. To
 * be called once, before the rules are shared. Return: as proxy_rules_new()
 */
int proxy_rules_bound(struct proxy_rules *r, const char *name, const char *const *patterns,
                      size_t n, isol8_error *err);

static inline void proxy_rules_free_p(struct proxy_rules **r)
{
    proxy_rules_free(*r);
}
#define auto_proxy_rules __attribute__((cleanup(proxy_rules_free_p)))

struct proxy_decision {
    bool is_allowed;
    enum isol8_proxy_outcome outcome;
    const char *rule;   /* the pattern that decided, or NULL; lives as long as the rules */
    const char *reason; /* literal: "allowed by rule", "no allow list", "denied by rule",
                           "not on the allow list", "outside the operator's allow list",
                           "rule hit its step limit",
                           "rules hit their time limit", "out of memory" */
};

/** Judge a normalised host (proxy_host.text). Thread-safe. */
struct proxy_decision proxy_rules_match(const struct proxy_rules *r, const char *host);

/**
 * proxy_rules_is_unanchored() - Whether a pattern could match inside a longer name: worth a warning
 *
 * False when every alternative begins with ^, a dot (\., [.]) or a group of the two such as
 * (^|\.), and ends with $. Only a look at the text: ^.*example\.com$ passes.
 */
bool proxy_rules_is_unanchored(const char *pattern);

#endif
