/* SPDX-License-Identifier: Apache-2.0 */
/* debian.h - Debian packages unpacked by mmdebstrap, without running their maintainer scripts. */
#ifndef OCI_DEBIAN_H
#define OCI_DEBIAN_H

#include <stddef.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/proc.h"

struct debian_args {
    const char *tmp_path; /* absolute: a directory of ours for lists and temporary files */
    int tmp_fd;           /* the same, open */
    const char *tree;     /* name below it: created, gets the packages' files */
    const char *const *packages;
    size_t n_packages;
    const char *list;  /* path below @tree: gets a description of the packages; NULL: none */
    proc_line_fn line; /* mmdebstrap's progress lines, may be NULL */
    void *user;
    int cancel_fd;
};

/**
 * debian_extract() - Unpack packages and what they depend on, with a merged /usr
 *
 * The archive is the host's own: its entries for Debian itself, its keys, its proxy settings.
 * Entries for other archives are left out. The description of a package is some fields of its
 * control file, a line " CHECKSUM  PATH" for each of its files, and an empty line.
 * Return: 0, ISOL8_E_UNSUPPORTED (not Debian, no mmdebstrap), ISOL8_E_NETWORK, ISOL8_E_CANCELLED,
 *         ISOL8_E_SYS
 */
int debian_extract(const struct debian_args *args, isol8_error *err);

/**
 * debian_settings() - Lines of the host's apt configuration, as "Acquire::Retries "3";"
 * @words: Which of those that begin with "Acquire::": the ones that hold one of these words
 */
int debian_settings(const char *const *words, size_t n, struct buf *out, int cancel_fd,
                    isol8_error *err);

#endif
