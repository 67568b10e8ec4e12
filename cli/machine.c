/* SPDX-License-Identifier: Apache-2.0 */
/* machine.c - what the commands that build images check first. */
#include <string.h>

#include "cli/cli.h"

static void on_check(const isol8_check *check, void *user)
{
    (void)user;
    switch (check->state) {
    case ISOL8_CHECK_OK:
        cli_say("[OK] %s: %s", check->name, check->found);
        break;
    case ISOL8_CHECK_WARN:
        cli_warn("%s: %s", check->name, check->found);
        break;
    case ISOL8_CHECK_FAIL:
        (void)cli_fail("%s: %s", check->name, check->found);
        break;
    }
    if (check->state != ISOL8_CHECK_OK && check->repair[0] != '\0')
        cli_say("  %s", check->repair);
}

int cli_check_machine(const struct cli *cli, const struct conf *conf)
{
    isol8_host_options opts;

    cli_host_options(cli, conf, &opts);
    return isol8_doctor(&opts, on_check, NULL) != 0 ? CLI_EXIT_ERROR : 0;
}
