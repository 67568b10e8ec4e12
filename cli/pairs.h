/* SPDX-License-Identifier: Apache-2.0 */
/* pairs.h - repeatable options of the form KEY=VALUE. */
#ifndef CLI_PAIRS_H
#define CLI_PAIRS_H

#include <stdbool.h>

#include <isol8/isol8.h>

#include "cli/opt.h"

struct cli_pairs {
    isol8_pair *items; /* keys owned, values borrowed */
    size_t n;
};

void cli_pairs_done(struct cli_pairs *pairs);
#define auto_pairs __attribute__((cleanup(cli_pairs_done)))

/**
 * cli_pairs_add() - Take the values given for option @opt apart; says what is wrong
 * @is_secret: Nothing of a value is repeated in a message
 *
 * KEY alone takes the value of the caller's own variable. Return: 0 or the exit code
 */
int cli_pairs_add(struct cli_pairs *pairs, const struct cli_values *given,
                  const struct cli_opt *opt, bool is_secret);

#endif
