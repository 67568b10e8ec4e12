/* SPDX-License-Identifier: Apache-2.0 */
/**
 * bench_bundle.h - the baseline: runc by hand, on a bundle made by the product's own code
 *
 * Same mounts, namespaces, seccomp profile and cgroup path, a user namespace given by path, the
 * overlay already mounted; only process.args is the user's command instead of init.
 */
#ifndef TESTS_BENCH_BENCH_BUNDLE_H
#define TESTS_BENCH_BENCH_BUNDLE_H

#include "executor/host.h"
#include "oci/rootfs.h"

struct bundle {
    unsigned number;
    char dir[128];
    char id[32];
    int userns_fd;
    struct oci_image image;
    struct oci_rootfs rootfs;
};

/** Enter a mount namespace of this process's own; once, before the first bundle. */
void bundle_private_mounts(void);

/** Make bundle @number with @image, or give up. */
void bundle_make(struct bundle *b, struct isol8_host *h, const char *image, unsigned number);

/** Write config.json with @args, a JSON array of words; before each run, for runc removes the
 * cgroups that the last one made. */
void bundle_configure(const struct bundle *b, struct isol8_host *h, const char *args);

/** Arguments of "runc run"; @root is written to. */
void bundle_command(const struct bundle *b, char root[160], const char *argv[9]);

void bundle_remove(struct bundle *b, struct isol8_host *h);

#endif
