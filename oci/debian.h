/* SPDX-License-Identifier: Apache-2.0 */
/* debian.h - Debian packages unpacked by mmdebstrap, without running their maintainer scripts. */
#ifndef OCI_DEBIAN_H
#define OCI_DEBIAN_H

#include <stddef.h>

#include "base/err.h"
#include "base/proc.h"

struct debian_args {
    const char *tmp_path; /* absolute: a directory of ours for lists and temporary files */
    int tmp_fd;           /* the same, open */
    const char *tree;     /* name below it: created, gets the packages' files */
    const char *const *packages;
    size_t n_packages;
    proc_line_fn line; /* mmdebstrap's progress lines, may be NULL */
    void *user;
    int cancel_fd;
};

/**
 * debian_extract() - Unpack packages and what they depend on, with a merged /usr
 *
 * The archive is the host's own: its entries for Debian itself, its keys, its proxy settings.
 * Entries for other archives are left out.
 * Return: 0, ISOL8_E_UNSUPPORTED (not Debian, no mmdebstrap), ISOL8_E_NETWORK, ISOL8_E_CANCELLED,
 *         ISOL8_E_SYS
 */
int debian_extract(const struct debian_args *args, isol8_error *err);

#endif
