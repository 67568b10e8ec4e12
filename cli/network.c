/* SPDX-License-Identifier: Apache-2.0 */
/* network.c - lists that flags replace. */
#include "cli/network.h"

#include "cli/xmem.h"

struct conf_list cli_flag_list(const struct cli_values *given, const cJSON *configured)
{
    struct conf_list list = { 0 };

    if (given->n == 0) {
        if (conf_list_init(&list, configured) < 0)
            xnomem();
        return list;
    }
    list.items = xcalloc(given->n + 1, sizeof(*list.items));
    for (; list.n < given->n; list.n++)
        list.items[list.n] = given->items[list.n];
    return list;
}
