/* SPDX-License-Identifier: Apache-2.0 */
/**
 * audit_file.h - <log dir>/executions.log: appended to, rotated and thrown away
 *
 * Any number of processes may use one directory at once.
 */
#ifndef EXECUTOR_AUDIT_FILE_H
#define EXECUTOR_AUDIT_FILE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

#define AUDIT_FILE_NAME "executions.log"

/**
 * audit_dir_open() - Open the directory of the log
 * @base: Directory that a relative @path starts from; no symbolic link in such a path is followed
 * @make: Create what is missing, with mode 0700
 *
 * Return: its fd; -ENOENT when it is absent and not to be made; another -errno
 */
int audit_dir_open(int base, const char *path, bool make);

/**
 * audit_file_append() - Append one line, which ends with its newline
 * @rotated: Set when an older day's file was renamed
 *
 * Readers see the whole line or nothing of it, also when the disk is full.
 * Return: 0, ISOL8_E_SYS, ISOL8_E_POLICY when the file is not an ordinary one of our own
 */
int audit_file_append(int dir, const char *line, size_t n, bool *rotated, isol8_error *err);

/** Rename the present file when an earlier day (UTC) wrote to it last. Absent is fine. */
int audit_file_rotate(int dir, isol8_error *err);

/** Remove *.log and *.jsonl files not written to for @days, except the present one, and count
 * them. Return: 0, or why some could not be removed. */
int audit_file_clean(int dir, double days, size_t *removed, isol8_error *err);

#endif
