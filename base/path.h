/* SPDX-License-Identifier: Apache-2.0 */
/* path.h - files and directories reached from directory descriptors, never by joining strings. */
#ifndef BASE_PATH_H
#define BASE_PATH_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/buf.h"
#include "base/err.h"

/** Make the directory @path with its parents (missing ones get @mode). Return: 0 or ISOL8_E_SYS. */
int path_mkdirs(const char *path, mode_t mode, isol8_error *err);

/** Make @name below @at when absent and open it (O_PATH is not used). Return: fd or status. */
int path_mkdir_open(int at, const char *name, mode_t mode, isol8_error *err);

/** Whole content of a file, at most @max bytes. Return: 0, ISOL8_E_SYS, ISOL8_E_LIMIT. */
int path_read(int at, const char *name, size_t max, struct buf *out, isol8_error *err);

/** Write one short value, as into a cgroup or /proc file. Return: 0 or ISOL8_E_SYS. */
int path_write_value(int at, const char *name, const char *value, isol8_error *err);

/**
 * path_replace() - Put @data into the file @name so that readers see the old or the new content
 *
 * Writes a temporary file beside it and renames. @fsync_it also makes it survive a power cut.
 */
int path_replace(int at, const char *name, const void *data, size_t n, mode_t mode, bool fsync_it,
                 isol8_error *err);

/**
 * path_remove_tree() - Remove @name below @at with everything in it
 *
 * Never follows a link and never crosses into another mount. Absent is success.
 */
int path_remove_tree(int at, const char *name, isol8_error *err);

/** Unpacked bytes (512-byte blocks in use) of the tree at @name below @at; links counted once. */
int path_tree_size(int at, const char *name, uint64_t *bytes, isol8_error *err);

/** Lock the open file or directory: exclusive or shared, waiting or not. Return: 0 or -errno. */
int path_lock(int fd, bool exclusive, bool wait);

/** Give a lock back. Return: 0 or -errno. */
int path_unlock(int fd);

#endif
