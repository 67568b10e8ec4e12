/* SPDX-License-Identifier: Apache-2.0 */
/* reap.h - remove what dead owners left behind; engine start and "isol8 cleanup" share this. */
#ifndef EXECUTOR_REAP_H
#define EXECUTOR_REAP_H

#include "executor/host.h"

/** Remove every sandbox whose owner is dead and that nobody is working on; never waits. Failures
 * are logged and left to the next call. */
void exec_reap_dead(struct isol8_host *h);

/** Remove one sandbox whose owner is dead, or with @force whoever owns it; waits for the runtime
 * to end, up to a limit, and then kills it. Return: 0, ISOL8_E_BUSY when its owner lives. */
int exec_reap_one(struct isol8_host *h, const char *id, bool force, isol8_error *err);

/** Call @each for every sandbox id in the state root until it returns non-zero. */
int exec_reap_list(struct isol8_host *h, int (*each)(const char *id, void *user), void *user,
                   isol8_error *err);

#endif
