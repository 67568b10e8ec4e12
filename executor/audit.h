/* SPDX-License-Identifier: Apache-2.0 */
/**
 * audit.h - one JSON line about every execution, whatever became of it
 *
 * Nothing here fails an execution: what cannot be written is a log line of level error. All
 * functions may be called from any thread, and NULL stands for an audit that is off.
 */
#ifndef EXECUTOR_AUDIT_H
#define EXECUTOR_AUDIT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/log.h"
#include "executor/mask.h"

struct isol8_result;
struct exec_audit;

/**
 * audit_open() - Check and copy the options
 * @out: NULL when the options are NULL or not enabled; nothing is made on disk then
 * @log: Borrowed until audit_close()
 *
 * Renames the log of an earlier day and removes files past their time. The directory is made by
 * the first record. Return: 0, ISOL8_E_INVAL, ISOL8_E_NOMEM, ISOL8_E_SYS
 */
int audit_open(struct exec_audit **out, const isol8_audit_options *o, const struct log *log,
               isol8_error *err);
void audit_close(struct exec_audit *a);

/** The records have the output, so it must be captured. */
bool audit_wants_output(const struct exec_audit *a);
bool audit_tracks_resources(const struct exec_audit *a);

struct audit_entry {
    const isol8_request *request; /* code, cmd, runtime, metadata */
    const char *code;             /* what was fetched instead; NULL: the request's */
    size_t code_size;
    const struct isol8_result *result; /* always there: ids, exit code, duration, usage, logs */
    const isol8_error *error;          /* isol8 itself failed (status is not 0); else NULL */
    int64_t started_wall_ms;
    bool has_network_logs;          /* option log_network was on */
    const struct mask_set *secrets; /* masked wherever text of the user or of the guest stands */
};

/** Write the record, then start the script. Blocks for a write to a file. */
void audit_write(struct exec_audit *a, const struct audit_entry *e);

#endif
