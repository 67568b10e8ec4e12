/* SPDX-License-Identifier: Apache-2.0 */
/**
 * record.h - <state>/sandboxes/<id>/record: who owns a sandbox
 *
 * The owner holds an exclusive flock on the record as long as it lives, and so does the OCI runtime
 * it started, by inheritance: when the lock can be taken, nobody is at work on the sandbox any
 * more. The record is written under a temporary name, locked, and renamed, so it is never seen
 * unlocked or half-written. It is not synced: after a power cut there is nothing left to clean but
 * the directory itself, and an unreadable record counts as an owner that died.
 */
#ifndef EXECUTOR_RECORD_H
#define EXECUTOR_RECORD_H

#include "executor/host.h"

struct exec_record {
    int pid;
    uint64_t start_ticks; /* field 22 of /proc/<pid>/stat: tells a reused pid apart */
    int64_t created_ms;
    char image[OCI_NAME_MAX + 1];
};

/** Write the caller's record into the directory @at and keep it locked. Return: the lock's fd. */
int exec_record_write(int at, const char *image, isol8_error *err);

/** Read the record of sandbox @id. Return: 0 or a negative status. */
int exec_record_read(const struct isol8_host *h, const char *id, struct exec_record *out,
                     isol8_error *err);

/** True when the process that wrote @rec lives. */
bool exec_record_owner_alive(const struct exec_record *rec);

#endif
