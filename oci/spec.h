/* SPDX-License-Identifier: Apache-2.0 */
/* spec.h - the config.json of a sandbox's bundle (OCI runtime specification 1.0.2). */
#ifndef OCI_SPEC_H
#define OCI_SPEC_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

#define OCI_SANDBOX_UID 100u
#define OCI_SANDBOX_GID 101u
#define OCI_INIT_PATH "/.isol8/init" /* where the skeleton layer holds pid 1 */

struct oci_bind {
    const char *source;      /* on the host */
    const char *destination; /* in the sandbox; always read-only, nosuid, nodev */
    bool noexec;
};

struct oci_spec {
    const char *cgroups_path; /* "/isol8/<id>" */
    const char *userns_path;  /* NULL: no user namespace */
    uint32_t userns_base;     /* host id of id 0 */
    bool host_network;
    const char *netns_path; /* an existing network namespace; NULL: a new one */
    bool readonly_rootfs;
    uint64_t sandbox_bytes;  /* size of the tmpfs /sandbox */
    uint64_t tmp_bytes;      /* size of the tmpfs /tmp */
    const char *seccomp;     /* linux.seccomp as JSON text, or NULL: unconfined */
    const char *search_path; /* PATH of init */
    const struct oci_bind *binds;
    size_t n_binds;
};

/** Append the JSON text to @out. Return: 0 or ISOL8_E_NOMEM. */
int oci_spec_write(const struct oci_spec *spec, struct buf *out, isol8_error *err);

#endif
