/* SPDX-License-Identifier: Apache-2.0 */
/* tmpdir.h - a directory of its own for a test, removed at its end. */
#ifndef TESTS_SUPPORT_TMPDIR_H
#define TESTS_SUPPORT_TMPDIR_H

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/path.h"
#include "tests/support/test.h"

struct tmpdir {
    char path[64];
    int fd;
};

static inline void tmpdir_open(struct tmpdir *t)
{
    *t = (struct tmpdir){ .path = "/tmp/isol8-test-XXXXXX" };
    assert_non_null(mkdtemp(t->path));
    t->fd = open(t->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_true(t->fd >= 0);
}

static inline void tmpdir_close(struct tmpdir *t)
{
    assert_int_equal(path_remove_tree(AT_FDCWD, t->path, NULL), 0);
    assert_int_equal(close(t->fd), 0);
}

#endif
