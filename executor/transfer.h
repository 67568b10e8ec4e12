/* SPDX-License-Identifier: Apache-2.0 */
/* transfer.h - one file into or out of a sandbox, by its init, waiting for the end. */
#ifndef EXECUTOR_TRANSFER_H
#define EXECUTOR_TRANSFER_H

#include <stdint.h>

#include "base/err.h"

/**
 * transfer_put() - Write a file in the sandbox
 * @channel: A channel to init that nobody else uses meanwhile
 * @path:    Absolute
 * @fd:      Content: a regular or memory file from its beginning, anything else to its end
 *
 * Return: 0, ISOL8_E_INVAL (not a regular file), ISOL8_E_LIMIT (cannot be written), ISOL8_E_STATE
 */
int transfer_put(int channel, const char *path, int fd, isol8_error *err);

/** Write the content of the sandbox's file to @fd, @bytes_max at most (a sparse file may claim to
 * be of any size): ISOL8_E_LIMIT above. */
int transfer_get(int channel, const char *path, int fd, uint64_t bytes_max, isol8_error *err);

#endif
