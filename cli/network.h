/* SPDX-License-Identifier: Apache-2.0 */
/* network.h - the configuration's "network" section as the library wants it. */
#ifndef CLI_NETWORK_H
#define CLI_NETWORK_H

#include <isol8/isol8.h>

#include "cli/opt.h"
#include "config/config.h"

/* A list of strings that borrows its items. */
struct cli_list {
    const char **items;
    size_t n;
};

/** The array of strings at a path of the configuration (a single string counts as one). */
struct cli_list cli_conf_list(const cJSON *value);
/** What a repeatable flag gave, or else the configured list. */
struct cli_list cli_flag_list(const struct cli_values *given, const cJSON *configured);
void cli_list_done(struct cli_list *list);

/* The operator's settings; borrow from the configuration. */
struct cli_network {
    isol8_network_settings settings;
    isol8_fixed_host *hosts;
    struct cli_list *host_addresses;
    struct cli_list allow_addresses;
    uint16_t *ports;
};

void cli_network_init(struct cli_network *net, const struct conf *conf);
void cli_network_done(struct cli_network *net);

#endif
