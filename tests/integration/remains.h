/* SPDX-License-Identifier: Apache-2.0 */
/* remains.h - what a killed process of ours may have left on the machine. */
#ifndef TESTS_INTEGRATION_REMAINS_H
#define TESTS_INTEGRATION_REMAINS_H

#include <stddef.h>

/** Entries of a directory of the state root: "sandboxes", "ids", "runc". */
size_t it_count_entries(const char *name);

/** Fail the test when a sandbox, id range, cgroup, process or mount is there. */
void it_nothing_left(const char *after);

/** The runtime of a killed owner ends by itself, soon: wait for all of them. */
void it_until_runtimes_ended(void);

#endif
