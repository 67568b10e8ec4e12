/* SPDX-License-Identifier: Apache-2.0 */
/* confine.h - what every program in a sandbox gets before it is executed; see init.c. */
#ifndef EXECUTOR_INIT_CONFINE_H
#define EXECUTOR_INIT_CONFINE_H

/** Answer clone3() with ENOSYS from now on. Return: 0, or -1 with errno. */
int forbid_clone3(void);

/** No core files, fewer open files; exits when that fails. */
void lower_limits(void);

#endif
