/* SPDX-License-Identifier: Apache-2.0 */
/* rootfs.h - a sandbox's root file system: image layers stacked by overlayfs in a private mount
 * namespace, from which the OCI runtime is then started. The host's mount table stays clean. */
#ifndef OCI_ROOTFS_H
#define OCI_ROOTFS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

enum {
    OCI_ROOTFS_OPTIONS_MAX = 4096, /* mount(2) takes one page of options */
    OCI_ROOTFS_LAYERS_MAX = 16,    /* of a writable root, whose layers are mounted one by one */
};

struct oci_rootfs {
    char target[256];                     /* where it is mounted: <bundle>/rootfs */
    char base[256];                       /* the layers' names are relative to this directory */
    char options[OCI_ROOTFS_OPTIONS_MAX]; /* overlay options of a read-only root */
    bool writable;
    /* The rest is for a writable root. */
    char scratch[256]; /* <bundle>/scratch, a mount point for the upper tmpfs */
    char tmpfs_options[96];
    const char *layers[OCI_ROOTFS_LAYERS_MAX]; /* top first */
    size_t n_layers;
    int idmap_ns; /* user namespace that maps file owner root to the sandbox user */
};

/**
 * oci_rootfs_plan() - Put together what is to be mounted
 * @base:        Directory that all layers lie below. A sandbox can read its mount's options, so
 * they name the layers relative to it
 * @layers:      Directories, top first, at least two (overlayfs refuses a single read-only one)
 * @upper_bytes: 0: read-only; else the root is writable and its changes may take this much memory
 * @idmap_ns:    Writable root: user namespace descriptor whose id 0 is the host id that owns the
 *               upper directory, so that the sandbox user owns every file; -1: root stays the owner
 * @owner:       Host uid and gid of the writable root's top directory
 */
int oci_rootfs_plan(struct oci_rootfs *out, const char *bundle_dir, const char *base,
                    const char *const *layers, size_t n_layers, uint64_t upper_bytes, int idmap_ns,
                    uint32_t owner_uid, uint32_t owner_gid, isol8_error *err);

/** Mount it. A proc_prepare_fn for the runtime's process: only system calls. @rootfs: the plan. */
int oci_rootfs_mount(void *rootfs, const char **what);

#endif
