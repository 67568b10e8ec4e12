/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_recipe.c - a recipe and its lock, separated by a NUL byte. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "oci/recipe.h"
#include "oci/tar.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    const char *text = (const char *)data;
    const char *nul = n > 0 ? memchr(text, '\0', n) : NULL;
    size_t len = nul != NULL ? (size_t)(nul - text) : n;
    const char *lock = nul != NULL ? nul + 1 : "";
    struct recipe r;

    if (recipe_parse(&r, "none", "amd64", text, len, lock, n - len - (nul != NULL), NULL) < 0)
        return 0;
    for (size_t i = 0; i < r.n_npm; i++) {
        if (!recipe_integrity_ok(r.npm[i].integrity))
            abort();
    }
    for (size_t i = 0; i < r.links.n; i++) {
        if (!tar_name_ok(r.links.items[i].key))
            abort();
    }
    recipe_done(&r);
    return 0;
}
