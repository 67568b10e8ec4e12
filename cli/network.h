/* SPDX-License-Identifier: Apache-2.0 */
/* network.h - lists that flags replace. */
#ifndef CLI_NETWORK_H
#define CLI_NETWORK_H

#include "cli/opt.h"
#include "config/apply.h"

/** What a repeatable flag gave, or else the configured list. */
struct conf_list cli_flag_list(const struct cli_values *given, const cJSON *configured);

#endif
