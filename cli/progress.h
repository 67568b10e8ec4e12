/* SPDX-License-Identifier: Apache-2.0 */
/* progress.h - an image build as people see it: one moving line, or plain ones. */
#ifndef CLI_PROGRESS_H
#define CLI_PROGRESS_H

#include "cli/cli.h"

#define PROGRESS_IMAGES_MAX 16 /* sizes remembered for the summary */
#define PROGRESS_LINE_SIZE 256

struct progress_image {
    char runtime[32];
    uint64_t bytes;
};

struct progress {
    char last[PROGRESS_LINE_SIZE]; /* the last plain line, so that none is repeated */
    bool has_failed;               /* an "[ERR]" line was printed */
    uint64_t base_bytes;
    struct progress_image images[PROGRESS_IMAGES_MAX];
    size_t n_images;
};

/**
 * progress_setup() - Build images under a progress display
 * @runtimes: Names, or none for all
 *
 * Signals are held from here on. Says what went wrong. Return: 0 or the exit code.
 */
int progress_setup(isol8_host *host, struct progress *p, const char *const *runtimes, size_t n,
                   bool force);

/**
 * progress_build() - Build a custom image under a progress display
 * @opts:        As for isol8_build(); cancelling and progress are set here
 * @says_base:   Say when the base image is ready
 * @was_current: Returned
 *
 * Signals are held from here on. Says what went wrong. Return: 0 or the exit code.
 */
int progress_build(isol8_host *host, isol8_build_options *opts, bool says_base, bool *was_current);

/** "@what [#####-----]  50% of 81.2 MB", or "@what: 3.1 MB" when @total is 0. */
void progress_line(const char *what, uint64_t done, uint64_t total, char out[PROGRESS_LINE_SIZE]);

/** Append "81.2 MB". */
void progress_size(uint64_t bytes, char *out, size_t cap);

#endif
