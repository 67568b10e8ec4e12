/* SPDX-License-Identifier: Apache-2.0 */
/* tree.h - work on a layer's directory tree while it is being built. Nothing follows a link. */
#ifndef OCI_TREE_H
#define OCI_TREE_H

#include <stddef.h>

#include "base/err.h"

/**
 * tree_exclude() - Remove what matches one of the patterns
 * @patterns: fnmatch(3) patterns over paths relative to @dir_fd; "*" also matches "/"; what matches
 *            goes with everything below it
 */
int tree_exclude(int dir_fd, const char *const *patterns, size_t n, isol8_error *err);

/**
 * tree_normalise() - Make a tree fit for a layer
 *
 * Files are readable (and executable, when they were for the owner) by all, writable by the owner
 * only, without set-id bits; devices, fifos and sockets are removed. All is owned by the caller.
 */
int tree_normalise(int dir_fd, isol8_error *err);

/** Remove what @base_fd has with the same content, and directories that are empty then. */
int tree_subtract(int dir_fd, int base_fd, isol8_error *err);

/**
 * tree_parent() - Open the directory that is to hold @path, making missing ones (0755)
 * @base: Gets the last component of @path, inside @path
 *
 * Return: fd or status; ISOL8_E_INVAL for a path that is not clean
 */
int tree_parent(int dir_fd, const char *path, const char **base, isol8_error *err);

/** Write a file at @path, replacing what is there. */
int tree_put_file(int dir_fd, const char *path, const void *data, size_t n, unsigned mode,
                  isol8_error *err);

/** Make a symlink at @path, replacing a file or link that is there. */
int tree_put_link(int dir_fd, const char *path, const char *target, isol8_error *err);

#endif
