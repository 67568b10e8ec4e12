/* SPDX-License-Identifier: Apache-2.0 */
/**
 * runtime.h - driving an OCI runtime that has runc's command line
 *
 * A small table of operations, so that crun, youki, runsc or Kata's command line can take runc's
 * place when the operator names one.
 */
#ifndef OCI_RUNTIME_H
#define OCI_RUNTIME_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "base/proc.h"

struct oci_runtime {
    const char *program; /* name or path */
    const char *root;    /* --root: where it keeps its own state */
};

/**
 * oci_runtime_check() - Make sure that the program is there and recent enough
 * @cache_dir: Directory for a note that this very file was found good, so that the program is asked
 *             for its version only after it changed
 *
 * runc must be 1.1.0 or later; a program that does not call itself runc is taken as it is.
 * Return: 0, ISOL8_E_RUNTIME with what to do
 */
int oci_runtime_check(const struct oci_runtime *rt, int cache_dir, isol8_error *err);

struct oci_runtime_start {
    const char *id;
    const char *bundle_dir;
    int init_socket;         /* becomes descriptor 3 of the container's process */
    int keep_fd;             /* stays open in the runtime process alone: the sandbox's lock */
    int messages_fd;         /* a memfd for what the runtime says; also init's first stderr */
    proc_prepare_fn prepare; /* mounts the rootfs in the runtime's own mount namespace */
    void *user;
};

/**
 * oci_runtime_run() - Start "runc run" in the foreground, in a mount namespace of its own
 *
 * When the container's process ends the runtime removes the container by itself and exits.
 * Return: 0 with its pidfd, or ISOL8_E_SYS
 */
int oci_runtime_run(const struct oci_runtime *rt, const struct oci_runtime_start *args, int *pidfd,
                    isol8_error *err);

struct oci_runtime_exec {
    const char *id;
    const char *user;        /* "UID:GID", inside */
    const char *const *argv; /* NULL-terminated; reaches the process through JSON: UTF-8 only */
    int stdio[3];            /* copied to and from pipes by the runtime: none gets inside */
    int pass_fds[2];         /* become 3 and 4 of the process */
    int messages_fd;         /* a memfd for what the runtime says */
    bool terminal;           /* a terminal of its own instead of pipes; stdio[0] must be one */
};

/**
 * oci_runtime_exec() - Start "runc exec" in the foreground: one more process in a running container
 *
 * The runtime hands the signals it gets on to the process, and ends with its exit code. It stays in
 * the caller's process group, so a terminal's signals reach it, and gets SIGTERM when the calling
 * thread ends. Return: 0 with its pidfd, or ISOL8_E_SYS
 */
int oci_runtime_exec(const struct oci_runtime *rt, const struct oci_runtime_exec *args, int *pidfd,
                     isol8_error *err);

/** "runc delete --force": kill and remove whatever is left of @id. Absent is fine. */
int oci_runtime_delete(const struct oci_runtime *rt, const char *id, isol8_error *err);

/** Remove what the runtime has noted of @id, without it: for when it cannot be started. No process
 * of the container may be left. Absent is fine. */
int oci_runtime_forget(const struct oci_runtime *rt, const char *id, isol8_error *err);

/** What the runtime said, as the cause of a failed start: its last message, without decoration. */
void oci_runtime_message(int messages_fd, char *out, size_t cap);

#endif
