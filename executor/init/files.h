/* SPDX-License-Identifier: Apache-2.0 */
/* files.h - what init does with files, with the sandbox's rights: a path that a hostile program
 * bent somewhere leads nowhere new. Links, devices and FIFOs are refused, and nothing waits on one.
 */
#ifndef EXECUTOR_INIT_FILES_H
#define EXECUTOR_INIT_FILES_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "executor/init/proto.h"

/**
 * file_put() - Write a regular file and make its parent directories
 * @path:  Changed and restored on the way
 * @data:  The content, or NULL with @pipe to read it from (-1: none)
 * @stage: What failed
 *
 * Return: 0 or an errno
 */
int file_put(char *path, mode_t mode, const char *data, size_t n, int pipe, enum init_stage *stage);

/** Copy a regular file to @pipe. Return: 0 or an errno. */
int file_get(const char *path, int pipe, enum init_stage *stage);

/** True when the file system at @mount has no free block or inode. */
bool file_system_full(const char *mount);

#endif
