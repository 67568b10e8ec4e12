/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_config.c - configuration files: what is accepted resolves to something accepted again. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "config/conf_internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The resolved form is a fixed point: loading it yields itself. */
static void reload(const struct conf *c)
{
    auto_free char *text = cJSON_PrintUnformatted(c->root);
    auto_free char *again = NULL;
    auto_conf struct conf *d = NULL;
    isol8_error err;

    if (text == NULL || conf_parse(&d, text, strlen(text), "again", false, &err) < 0)
        abort();
    again = cJSON_PrintUnformatted(d->root);
    if (again == NULL || strcmp(text, again) != 0)
        abort();
}

/* @data is not NUL-terminated: nothing may be read past @size. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *text = (const char *)data;
    auto_json cJSON *j = NULL;
    isol8_error err;

    for (int is_project = 0; is_project < 2; is_project++) {
        auto_conf struct conf *c = NULL;
        if (conf_parse(&c, text, size, "fuzz", is_project != 0, &err) == 0 && is_project == 0)
            reload(c);
    }
    if (json_parse(&j, text, size, "fuzz", &err) == 0)
        (void)conf_locate(text, size, "network.whitelist[2]", 1);
    return 0;
}
