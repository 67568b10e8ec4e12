/* SPDX-License-Identifier: Apache-2.0 */
/* seccomp.h - the system call filter of a sandbox, as the JSON of `linux.seccomp`. */
#ifndef OCI_SECCOMP_SECCOMP_H
#define OCI_SECCOMP_SECCOMP_H

#include "base/err.h"

/* Ceilings of a custom profile: the usual container default has 14 KiB and some 25 entries. */
#define OCI_SECCOMP_FILE_MAX (1024 * 1024)
#define OCI_SECCOMP_ENTRIES_MAX 4096
#define OCI_SECCOMP_NAMES_MAX 16384 /* names in all entries */
#define OCI_SECCOMP_NAME_LEN_MAX 63

/** The built-in allow-list profile for the machine this was built for. Static; never NULL. */
const char *oci_seccomp_strict(void);

/**
 * oci_seccomp_load() - Read a custom profile in Docker's or OCI's format
 * @path:     The profile's file
 * @json_out: `linux.seccomp` as the runtime accepts it, returned; the caller frees it
 *
 * Docker's conditions (`includes`, `excludes`, `archMap`, `minKernel`) are evaluated for a sandbox:
 * no capability, this machine's architecture and kernel. `flags` are left out (older runtimes
 * refuse them and none of them makes a filter stricter), unknown members are ignored.
 * SCMP_ACT_NOTIFY is refused, since nobody would answer.
 *
 * Return: 0, ISOL8_E_SYS, ISOL8_E_INVAL, ISOL8_E_LIMIT, ISOL8_E_NOMEM; the message is "Failed to
 * load custom seccomp profile at PATH: REASON", where the reason names the key, as in
 * "syscalls[3].args[0].op: ..."
 */
int oci_seccomp_load(const char *path, char **json_out, isol8_error *err);

/** The same for a profile in memory; the message has no prefix, @name stands for the file. */
int oci_seccomp_convert(const char *text, size_t n, const char *name, char **json_out,
                        isol8_error *err);

#endif
