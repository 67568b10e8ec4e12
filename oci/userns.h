/* SPDX-License-Identifier: Apache-2.0 */
/* userns.h - a user namespace whose creator is its own range of host ids. */
#ifndef OCI_USERNS_H
#define OCI_USERNS_H

#include <stdint.h>

#include "base/err.h"

/* Host ids for sandboxes: above what systemd-nspawn picks for containers (up to 0x6fffffff) and
 * below the sign bit that breaks old tools; see "Users, Groups, UIDs and GIDs on systemd Systems".
 */
#define OCI_USERNS_FIRST 0x70000000u
#define OCI_USERNS_SIZE 65536u
#define OCI_USERNS_RANGES 4094u

/**
 * oci_userns_create() - Make a user namespace that maps ids 0..65535 to @base..
 *
 * It is created by a process whose effective uid is @base: the kernel charges per-user limits
 * (inotify instances, descriptors in flight, ...) up the chain of namespace creators, so with root
 * as creator one sandbox could use up root's.
 *
 * Return: the namespace's descriptor, or ISOL8_E_SYS
 */
int oci_userns_create(uint32_t base, isol8_error *err);

/**
 * oci_userns_create_with_net() - The same, and an empty network namespace that belongs to it
 *
 * The runtime joins the user namespace first and may then join only namespaces owned by it.
 * @net_fd: Returned
 */
int oci_userns_create_with_net(uint32_t base, int *net_fd, isol8_error *err);

/** A user namespace that maps just id 0, to @uid and @gid: the id mapping of an image layer. */
int oci_userns_create_single(uint32_t uid, uint32_t gid, isol8_error *err);

#endif
