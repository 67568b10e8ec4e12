/* SPDX-License-Identifier: Apache-2.0 */
/* pairs.c - repeatable options of the form KEY=VALUE. */
#include "cli/pairs.h"

#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/xmem.h"

void cli_pairs_done(struct cli_pairs *pairs)
{
    for (size_t i = 0; i < pairs->n; i++)
        free((void *)pairs->items[i].key);
    free(pairs->items);
}

static bool is_name(const char *s, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        char c = s[i];
        bool is_letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
        if (!is_letter && (i == 0 || c < '0' || c > '9'))
            return false;
    }
    return n > 0;
}

static int add_pair(struct cli_pairs *pairs, const struct cli_opt *opt, bool is_secret,
                    const char *text)
{
    const char *equals = strchr(text, '=');
    size_t n = equals == NULL ? strlen(text) : (size_t)(equals - text);
    const char *value;
    char *key;

    if (!is_name(text, n))
        return cli_bad_value(opt, NULL,
                             "Expected KEY=VALUE, or KEY alone to take the caller's value; a KEY "
                             "is letters, digits and _.");
    key = xstrndup(text, n);
    value = equals == NULL ? getenv(key) : equals + 1;
    if (value == NULL) {
        free(key);
        /* It may be a secret given without its name, so it is not repeated here. */
        return cli_bad_value(opt, is_secret ? NULL : text,
                             "There is no such variable in the environment; use KEY=VALUE to give "
                             "the value here.");
    }
    pairs->items[pairs->n++] = (isol8_pair){ .key = key, .value = value };
    return 0;
}

int cli_pairs_add(struct cli_pairs *pairs, const struct cli_values *given,
                  const struct cli_opt *opt, bool is_secret)
{
    pairs->items = xcalloc(given->n + 1, sizeof(*pairs->items));
    for (size_t i = 0; i < given->n; i++) {
        int code = add_pair(pairs, opt, is_secret, given->items[i]);
        if (code != 0)
            return code;
    }
    return 0;
}
