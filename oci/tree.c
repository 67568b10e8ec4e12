/* SPDX-License-Identifier: Apache-2.0 */
/* tree.c - work on a layer's directory tree while it is being built. */
#include "oci/tree.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <limits.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/mem.h"
#include "base/path.h"
#include "oci/tar.h"

struct node {
    int at;           /* directory that holds it */
    const char *name; /* in @at */
    const char *path; /* from the root of the tree */
    struct stat st;
};

/* What to do with a node: negative status, or one of these. */
enum { KEEP, REMOVE };

struct walk {
    int (*enter)(const struct node *n, void *user, isol8_error *err); /* before its content */
    int (*leave)(const struct node *n, void *user, isol8_error *err); /* directories; may be NULL */
    void *user;
    char path[TAR_NAME_MAX + 1];
};

/* ---- Walking --------------------------------------------------------------------------------- */

static int not_dots(const struct dirent *e)
{
    return strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0;
}

static int walk_dir(struct walk *w, int at, const char *name, size_t len, unsigned depth,
                    isol8_error *err);

static int remove_node(const struct node *n, isol8_error *err)
{
    int r = path_remove_tree(n->at, n->name, err);

    return r < 0 ? err_wrap(err, r, "%s", n->path) : 0;
}

static int walk_node(struct walk *w, int at, const char *name, size_t len, unsigned depth,
                     isol8_error *err)
{
    struct node node = { .at = at, .name = name, .path = w->path };
    size_t n = strlen(name);

    if (len + 1 + n > TAR_NAME_MAX || depth > TAR_DEPTH_MAX)
        return err_set(err, ISOL8_E_LIMIT, "path too long in '%.100s...'", w->path);
    if (len > 0)
        w->path[len++] = '/';
    memcpy(w->path + len, name, n + 1);
    if (fstatat(at, name, &node.st, AT_SYMLINK_NOFOLLOW) < 0)
        return err_sys(err, errno, "cannot read '%s'", w->path);

    int r = w->enter(&node, w->user, err);
    if (r == KEEP && S_ISDIR(node.st.st_mode)) {
        r = walk_dir(w, at, name, len + n, depth + 1, err);
        if (r == 0 && w->leave != NULL)
            r = w->leave(&node, w->user, err);
    }
    return r == REMOVE ? remove_node(&node, err) : r;
}

static int walk_dir(struct walk *w, int at, const char *name, size_t len, unsigned depth,
                    isol8_error *err)
{
    struct dirent **list = NULL;
    auto_close int dir = openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    int n = dir < 0 ? -1 : scandirat(dir, ".", &list, not_dots, NULL);
    int r = 0;

    if (n < 0)
        return err_sys(err, errno, "cannot read directory '%s'", w->path);
    for (int i = 0; i < n; i++) {
        if (r == 0)
            r = walk_node(w, dir, list[i]->d_name, len, depth, err);
        w->path[len] = '\0';
        free(list[i]);
    }
    free(list);
    return r;
}

static int walk_tree(int dir_fd, struct walk *w, isol8_error *err)
{
    w->path[0] = '\0';
    return walk_dir(w, dir_fd, ".", 0, 0, err);
}

/* ---- Excluding ------------------------------------------------------------------------------- */

struct patterns {
    const char *const *list;
    size_t n;
};

static int exclude_node(const struct node *n, void *user, isol8_error *err)
{
    const struct patterns *p = user;

    (void)err;
    for (size_t i = 0; i < p->n; i++) {
        if (fnmatch(p->list[i], n->path, 0) == 0)
            return REMOVE;
    }
    return KEEP;
}

int tree_exclude(int dir_fd, const char *const *patterns, size_t n, isol8_error *err)
{
    struct patterns p = { patterns, n };
    struct walk w = { .enter = exclude_node, .user = &p };

    return walk_tree(dir_fd, &w, err);
}

/* ---- Normalising ----------------------------------------------------------------------------- */

static int normalise_node(const struct node *n, void *user, isol8_error *err)
{
    mode_t mode = 0644;

    (void)user;
    if (fchownat(n->at, n->name, geteuid(), getegid(), AT_SYMLINK_NOFOLLOW) < 0)
        return err_sys(err, errno, "cannot own '%s'", n->path);
    if (S_ISLNK(n->st.st_mode))
        return KEEP;
    if (!S_ISREG(n->st.st_mode) && !S_ISDIR(n->st.st_mode))
        return REMOVE;
    if (S_ISDIR(n->st.st_mode) || (n->st.st_mode & 0100) != 0)
        mode = 0755;
    if ((n->st.st_mode & 07777) != mode && fchmodat(n->at, n->name, mode, 0) < 0)
        return err_sys(err, errno, "cannot set the mode of '%s'", n->path);
    return KEEP;
}

int tree_normalise(int dir_fd, isol8_error *err)
{
    struct walk w = { .enter = normalise_node };

    if (fchmod(dir_fd, 0755) < 0)
        return err_sys(err, errno, "cannot set the mode of a layer");
    return walk_tree(dir_fd, &w, err);
}

/* ---- Subtracting ----------------------------------------------------------------------------- */

static int same_bytes(int a, int b, bool *same)
{
    char x[16384], y[16384];

    for (;;) {
        ssize_t n = read(a, x, sizeof(x));
        if (n < 0)
            return -errno;
        for (ssize_t have = 0; have < n;) {
            ssize_t m = read(b, y, (size_t)(n - have));
            if (m < 0)
                return -errno;
            if (m == 0 || memcmp(x + have, y, (size_t)m) != 0)
                return 0;
            have += m;
        }
        if (n == 0) {
            *same = true; /* sizes were compared before */
            return 0;
        }
    }
}

static int same_file(const struct node *n, int base_fd, bool *same)
{
    auto_close int a = openat(n->at, n->name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    auto_close int b = openat(base_fd, n->path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);

    if (a < 0 || b < 0)
        return -errno;
    return same_bytes(a, b, same);
}

static int same_link(const struct node *n, int base_fd, bool *same)
{
    char x[PATH_MAX], y[PATH_MAX];
    ssize_t a = readlinkat(n->at, n->name, x, sizeof(x));
    ssize_t b = readlinkat(base_fd, n->path, y, sizeof(y));

    if (a < 0 || b < 0)
        return -errno;
    *same = a == b && memcmp(x, y, (size_t)a) == 0;
    return 0;
}

static int subtract_node(const struct node *n, void *user, isol8_error *err)
{
    const int *base_fd = user;
    struct stat st;
    bool same = false;
    int r = 0;

    if (S_ISDIR(n->st.st_mode))
        return KEEP;
    /* The base is a layer of ours: no link on the way leads out of it that matters, for the
     * content is only compared. */
    if (fstatat(*base_fd, n->path, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return errno == ENOENT || errno == ENOTDIR
                   ? KEEP
                   : err_sys(err, errno, "cannot compare '%s'", n->path);
    if (st.st_mode != n->st.st_mode || st.st_size != n->st.st_size)
        return KEEP;
    if (S_ISREG(st.st_mode))
        r = same_file(n, *base_fd, &same);
    else if (S_ISLNK(st.st_mode))
        r = same_link(n, *base_fd, &same);
    if (r < 0)
        return err_sys(err, -r, "cannot compare '%s'", n->path);
    return same ? REMOVE : KEEP;
}

static int drop_empty(const struct node *n, void *user, isol8_error *err)
{
    (void)user;
    if (unlinkat(n->at, n->name, AT_REMOVEDIR) < 0 && errno != ENOTEMPTY && errno != EEXIST)
        return err_sys(err, errno, "cannot remove directory '%s'", n->path);
    return KEEP;
}

int tree_subtract(int dir_fd, int base_fd, isol8_error *err)
{
    struct walk w = { .enter = subtract_node, .leave = drop_empty, .user = &base_fd };

    return walk_tree(dir_fd, &w, err);
}

/* ---- Adding ---------------------------------------------------------------------------------- */

int tree_parent(int dir_fd, const char *path, const char **base, isol8_error *err)
{
    char part[NAME_MAX + 1];

    if (!tar_name_ok(path))
        return err_set(err, ISOL8_E_INVAL, "unsafe path '%.100s' in a recipe", path);
    auto_close int at = fcntl(dir_fd, F_DUPFD_CLOEXEC, 0);
    if (at < 0)
        return err_sys(err, errno, "cannot open a layer");
    for (const char *slash; (slash = strchr(path, '/')) != NULL; path = slash + 1) {
        memcpy(part, path, (size_t)(slash - path));
        part[slash - path] = '\0';
        int next = path_mkdir_open(at, part, 0755, err);
        if (next < 0)
            return next;
        (void)fd_close(at);
        at = next;
    }
    *base = path;
    return take_fd(&at);
}

int tree_put_file(int dir_fd, const char *path, const void *data, size_t n, unsigned mode,
                  isol8_error *err)
{
    const char *base;
    auto_close int at = tree_parent(dir_fd, path, &base, err);

    if (at < 0)
        return at;
    if (unlinkat(at, base, 0) < 0 && errno != ENOENT)
        return err_sys(err, errno, "cannot replace '%s'", path);
    auto_close int fd = openat(at, base, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    if (fd < 0)
        return err_sys(err, errno, "cannot create '%s'", path);
    int r = fd_write_all(fd, data, n);
    if (r < 0)
        return err_sys(err, -r, "cannot write '%s'", path);
    if (fchmod(fd, mode) < 0)
        return err_sys(err, errno, "cannot set the mode of '%s'", path);
    return 0;
}

int tree_put_link(int dir_fd, const char *path, const char *target, isol8_error *err)
{
    const char *base;
    auto_close int at = tree_parent(dir_fd, path, &base, err);

    if (at < 0)
        return at;
    if (unlinkat(at, base, 0) < 0 && errno != ENOENT)
        return err_sys(err, errno, "cannot replace '%s'", path);
    if (symlinkat(target, at, base) < 0)
        return err_sys(err, errno, "cannot create link '%s'", path);
    return 0;
}
