/* SPDX-License-Identifier: Apache-2.0 */
/* netns.h - network namespaces, entered only by short-lived threads. */
#ifndef NETNS_NETNS_H
#define NETNS_NETNS_H

#include "base/err.h"

/**
 * netns_run() - Call @fn inside a network namespace
 *
 * A thread joins the namespace, runs @fn, and ends; the caller's own namespace never changes, and
 * neither does that of any thread that lives on. Sockets that @fn makes stay in the namespace.
 * Return: what @fn returns, or ISOL8_E_SYS
 */
int netns_run(int netns_fd, int (*fn)(void *user, isol8_error *err), void *user, isol8_error *err);

/** A new, empty namespace that lives as long as its descriptor, or a socket in it. Return: fd. */
int netns_new(isol8_error *err);

#endif
