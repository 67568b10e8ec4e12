/* SPDX-License-Identifier: Apache-2.0 */
/* layer_npm.c - a recipe's npm packages: download, check, unpack. None of their scripts is run. */
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/mem.h"
#include "base/path.h"
#include "oci/layer.h"
#include "oci/npm.h"
#include "oci/tar.h"

enum { BATCH = 64 }; /* packages, and so descriptors, at a time */

struct batch {
    const struct layer_args *a;
    const struct npm_registry *registry;
    const struct recipe_npm *npm;
    size_t n;
    int fds[BATCH];
    char what[160]; /* for the progress line */
};

/* ---- Where an entry goes --------------------------------------------------------------------- */

struct place {
    const struct recipe *recipe;
    const struct recipe_npm *npm;
};

static bool excluded(const struct recipe_list *l, const char *name)
{
    for (size_t i = 0; i < l->n; i++) {
        if (fnmatch(l->items[i], name, FNM_LEADING_DIR) == 0)
            return true;
    }
    return false;
}

static bool join(char out[TAR_NAME_MAX + 1], const char *dir, const char *name)
{
    return snprintf(out, TAR_NAME_MAX + 1, "%s%s%s", dir, *name != '\0' ? "/" : "", name) <=
           TAR_NAME_MAX;
}

static bool map_taken(const struct recipe_pairs *take, const char *name, char out[TAR_NAME_MAX + 1])
{
    for (size_t i = 0; i < take->n; i++) {
        const struct recipe_pair *t = &take->items[i];
        size_t n = strlen(t->key);
        if (n == 0)
            return join(out, t->value, name);
        if (strncmp(name, t->key, n) == 0 && (name[n] == '\0' || name[n] == '/'))
            return join(out, t->value, name[n] == '/' ? name + n + 1 : "");
    }
    return false;
}

/* A tarball has one top directory, whatever its name is. What would not fit a name's ceiling is an
 * error, so it is not left out silently: the name handed back is refused by the unpacker. */
static bool map_entry(const char *name, char out[TAR_NAME_MAX + 1], void *user)
{
    const struct place *p = user;
    char dir[TAR_NAME_MAX + 1];

    name = strchr(name, '/');
    if (name == NULL)
        return false;
    name++;
    if (p->npm->lock_path == NULL)
        return !excluded(&p->npm->exclude, name) && map_taken(&p->npm->take, name, out);
    if (excluded(&p->recipe->lock_exclude, name))
        return false;
    if (!join(dir, p->recipe->lock_to, p->npm->lock_path) || !join(out, dir, name))
        out[0] = '\0';
    return true;
}

/* ---- One batch ------------------------------------------------------------------------------- */

static void show_bytes(uint64_t done, uint64_t total, void *user)
{
    const struct batch *b = user;
    struct oci_build_progress p = { .message = b->what, .done = done, .total = total };

    b->a->build->progress(&p, b->a->build->user);
}

/* Unnamed files: nothing to remove, whatever happens. */
static int open_files(struct batch *b, int tmp_fd, isol8_error *err)
{
    for (size_t i = 0; i < b->n; i++) {
        b->fds[i] = openat(tmp_fd, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
        if (b->fds[i] < 0)
            return err_sys(err, errno, "cannot create a file for a download");
    }
    return 0;
}

static int download(struct batch *b, isol8_error *err)
{
    struct npm_package packages[BATCH];
    struct http_args http = { .cancel_fd = b->a->build->cancel_fd, .user = b };

    if (b->a->build->progress != NULL)
        http.progress = show_bytes;
    for (size_t i = 0; i < b->n; i++) {
        packages[i] = (struct npm_package){ .name = b->npm[i].package,
                                            .version = b->npm[i].version,
                                            .integrity = b->npm[i].integrity,
                                            .out_fd = b->fds[i] };
    }
    return npm_fetch(b->registry, packages, b->n, http, err);
}

static int unpack(struct batch *b, int tree_fd, isol8_error *err)
{
    for (size_t i = 0; i < b->n; i++) {
        struct place place = { b->a->recipe, &b->npm[i] };
        struct tar_unpack_args args = { .in_fd = b->fds[i],
                                        .dir_fd = tree_fd,
                                        .cancel_fd = b->a->build->cancel_fd,
                                        .map = map_entry,
                                        .user = &place };
        if (lseek(b->fds[i], 0, SEEK_SET) < 0)
            return err_sys(err, errno, "cannot read a download");
        int r = tar_unpack(&args, err);
        if (r < 0)
            return err_wrap(err, r, "%s@%s", b->npm[i].package, b->npm[i].version);
    }
    return 0;
}

static int add_batch(struct batch *b, int tmp_fd, int tree_fd, isol8_error *err)
{
    for (size_t i = 0; i < BATCH; i++)
        b->fds[i] = -1;
    int r = open_files(b, tmp_fd, err);
    if (r == 0)
        r = download(b, err);
    if (r == 0)
        r = unpack(b, tree_fd, err);
    for (size_t i = 0; i < BATCH; i++)
        (void)fd_close(b->fds[i]);
    return r;
}

int layer_add_npm(const struct layer_args *a, int tmp_fd, int tree_fd, isol8_error *err)
{
    struct npm_registry registry = { .url = NULL };
    const struct recipe *rec = a->recipe;
    int r = npm_registry_load(&registry, err);

    for (size_t i = 0; r == 0 && i < rec->n_npm;) {
        struct batch b = { .a = a, .registry = &registry, .npm = &rec->npm[i] };
        b.n = rec->n_npm - i < BATCH ? rec->n_npm - i : BATCH;
        if (rec->n_npm > 2)
            (void)snprintf(b.what, sizeof(b.what), "downloading packages %zu-%zu of %zu", i + 1,
                           i + b.n, rec->n_npm);
        else
            (void)snprintf(b.what, sizeof(b.what), "downloading %s %s", b.npm->package,
                           b.npm->version);
        layer_say(a, "%s", b.what);
        r = add_batch(&b, tmp_fd, tree_fd, err);
        i += b.n;
    }
    npm_registry_done(&registry);
    return r;
}
