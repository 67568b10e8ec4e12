/* SPDX-License-Identifier: Apache-2.0 */
/**
 * background.h - a few threads for what nobody waits for: sandboxes being made and removed
 *
 * Jobs are taken up in the order posted. Threads are started when there is work and none is idle,
 * up to the number of processors, and live as long as the host.
 */
#ifndef EXECUTOR_BACKGROUND_H
#define EXECUTOR_BACKGROUND_H

#include <stdbool.h>

#include "base/err.h"

struct background;

struct background_job {
    void (*fn)(struct background_job *job); /* owns the job's memory */
    struct background_job *next;
};

int background_new(struct background **out, isol8_error *err);

/** Finish every job, then end the threads. NULL is fine. */
void background_free(struct background *b);

/** Have @job carried out. When no thread can be started it is carried out here and now. */
void background_post(struct background *b, struct background_job *job);

#endif
