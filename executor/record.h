/* SPDX-License-Identifier: Apache-2.0 */
/**
 * record.h - <state>/sandboxes/<id>/record: who owns a sandbox
 *
 * The owner holds an exclusive flock on the record as long as it lives, and so does the OCI runtime
 * it started, by inheritance: when the lock can be taken, nobody is at work on the sandbox any
 * more. The record is written under a temporary name, locked, and renamed, so it is never seen
 * unlocked or half-written. It is not synced: after a power cut there is nothing left to clean but
 * the directory itself, and an unreadable record counts as an owner that died.
 *
 * A kept sandbox (option persist) has a second file beside it, "kept". It is a file of its own
 * because the lock is on the record's inode, and the runtime holds it for as long as the sandbox
 * lives: a new record could not take that lock over. Nobody holds it once the runtime has ended, or
 * the machine was started anew, and then a kept sandbox is removed like any other.
 */
#ifndef EXECUTOR_RECORD_H
#define EXECUTOR_RECORD_H

#include "executor/host.h"

struct exec_record {
    int pid;
    uint64_t start_ticks; /* field 22 of /proc/<pid>/stat: tells a reused pid apart */
    int64_t created_ms;
    char image[OCI_NAME_MAX + 1];
    bool is_kept;
    bool is_strict; /* kept: programs in it may not use clone3(), see init/init.c */
};

/** Write the caller's record into the directory @at and keep it locked. Return: the lock's fd. */
int exec_record_write(int at, const char *image, isol8_error *err);

/**
 * exec_record_keep() - Note that the sandbox of the directory @at goes on without its owner
 * @is_strict: isol8's own system call filter is on
 *
 * Comes before init is told, so that a crash in between leaves a sandbox that ends by itself.
 * The owner then closes its lock: the runtime has it. Return: 0 or a negative status
 */
int exec_record_keep(int at, bool is_strict, isol8_error *err);

/** Read the record of sandbox @id, and whether it is kept. Return: 0 or a negative status. */
int exec_record_read(const struct isol8_host *h, const char *id, struct exec_record *out,
                     isol8_error *err);

/** True when the process that wrote @rec lives. */
bool exec_record_owner_alive(const struct exec_record *rec);

/** The same, for the caller of the library. */
void exec_record_describe(const struct isol8_host *h, const char *id, isol8_owned *out);

#endif
