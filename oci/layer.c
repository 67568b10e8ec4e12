/* SPDX-License-Identifier: Apache-2.0 */
/**
 * layer.c - carry out one recipe
 *
 * All work happens in layers/.tmp-<random>/, which is removed at the end whatever happens:
 *   tree/   becomes the layer by one rename
 *   the rest: lists for mmdebstrap, its temporary files, unnamed downloads
 */
#include "oci/layer.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/mem.h"
#include "base/path.h"
#include "oci/debian.h"
#include "oci/tar.h"
#include "oci/tree.h"

#define TREE "tree"

struct work {
    const struct layer_args *a;
    char tmp[OCI_TMP_SIZE];
    int tmp_fd;
    int tree_fd;
    char tmp_path[PATH_MAX];
    char tree_path[PATH_MAX];
};

void layer_say(const struct layer_args *a, const char *fmt, ...)
{
    char text[256];
    struct oci_build_progress p = { .message = text };
    va_list ap;

    if (a->build->progress == NULL)
        return;
    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    a->build->progress(&p, a->build->user);
}

bool layer_needed(const struct recipe *r)
{
    return r->packages.n + r->n_npm + r->n_files + r->links.n + r->dirs.n + r->applets.n > 0 ||
           r->run_file != NULL;
}

/* ---- Steps ----------------------------------------------------------------------------------- */

static void debian_line(const char *line, void *user)
{
    const struct work *w = user;

    if (strncmp(line, "I: ", 3) == 0 &&
        (strstr(line, "running apt-get") != NULL || strstr(line, "downloading") != NULL ||
         strstr(line, "extracting") != NULL))
        layer_say(w->a, "Debian packages: %s", line + 3);
}

static int add_packages(struct work *w, isol8_error *err)
{
    const struct recipe *r = w->a->recipe;
    struct debian_args args = { .tmp_path = w->tmp_path,
                                .tmp_fd = w->tmp_fd,
                                .tree = TREE,
                                .packages = r->packages.items,
                                .n_packages = r->packages.n,
                                .list = r->package_list,
                                .line = debian_line,
                                .user = w,
                                .cancel_fd = w->a->build->cancel_fd };

    return r->packages.n > 0 ? debian_extract(&args, err) : 0;
}

static int open_tree(struct work *w, isol8_error *err)
{
    w->tree_fd = path_mkdir_open(w->tmp_fd, TREE, 0755, err);
    return w->tree_fd < 0 ? w->tree_fd : 0;
}

static bool is_kept(const struct recipe *r, const char *pattern)
{
    for (size_t i = 0; i < r->keep.n; i++) {
        if (strcmp(r->keep.items[i], pattern) == 0)
            return true;
    }
    return false;
}

static int exclude(struct work *w, isol8_error *err)
{
    const struct recipe *base = w->a->base, *own = w->a->recipe;
    auto_free const char **patterns = calloc(base->exclude.n + 1, sizeof(*patterns));
    size_t n = 0;

    if (patterns == NULL)
        return err_nomem(err);
    for (size_t i = 0; i < base->exclude.n; i++) {
        if (!is_kept(own, base->exclude.items[i]))
            patterns[n++] = base->exclude.items[i];
    }
    int r = tree_exclude(w->tree_fd, patterns, n, err);
    if (r == 0 && own != base)
        r = tree_exclude(w->tree_fd, own->exclude.items, own->exclude.n, err);
    return r;
}

/* What Debian's packages brought, without what nobody needs and what the base has already. */
static int trim(struct work *w, isol8_error *err)
{
    const struct layer_args *a = w->a;

    int r = exclude(w, err);
    if (r == 0)
        r = tree_normalise(w->tree_fd, err);
    if (r < 0 || a->below == NULL)
        return r;
    auto_close int base = open(a->below->layer_dirs[0],
                               O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (base < 0)
        return err_sys(err, errno, "cannot open the base layer");
    return tree_subtract(w->tree_fd, base, err);
}

static int add_files(struct work *w, isol8_error *err)
{
    const struct recipe *rec = w->a->recipe;
    int r = 0;

    for (size_t i = 0; r == 0 && i < rec->n_files; i++) {
        const struct recipe_copy *c = &rec->files[i];
        const struct recipe_file *f = recipe_file_find(w->a->runtime, c->file);
        if (f == NULL)
            return err_set(err, ISOL8_E_INVAL, "recipe names a missing file '%.80s'", c->file);
        r = tree_put_file(w->tree_fd, c->to, f->data, (size_t)(f->end - f->data), c->mode, err);
    }
    if (r == 0 && rec->ca_bundle != NULL)
        r = tree_put_file(w->tree_fd, rec->ca_bundle, w->a->ca_bundle, w->a->ca_len, 0644, err);
    for (size_t i = 0; r == 0 && i < rec->links.n; i++)
        r = tree_put_link(w->tree_fd, rec->links.items[i].key, rec->links.items[i].value, err);
    return r;
}

static int add_dirs(struct work *w, isol8_error *err)
{
    const struct recipe *rec = w->a->recipe;

    for (size_t i = 0; i < rec->dirs.n; i++) {
        const char *base;
        auto_close int at = tree_parent(w->tree_fd, rec->dirs.items[i], &base, err);
        auto_close int fd = at < 0 ? at : path_mkdir_open(at, base, 0755, err);
        if (fd < 0)
            return fd;
    }
    return 0;
}

static bool exists(int fd, const char *dir, const char *name)
{
    char path[64];
    struct stat st;

    (void)snprintf(path, sizeof(path), "%s/%s", dir, name);
    return fstatat(fd, path, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

static int add_applets(struct work *w, isol8_error *err)
{
    const struct recipe *rec = w->a->recipe;
    char path[64];
    int r = 0;

    for (size_t i = 0; r == 0 && i < rec->applets.n; i++) {
        const char *name = rec->applets.items[i];
        if (strlen(name) > 40 || exists(w->tree_fd, "usr/bin", name) ||
            exists(w->tree_fd, "usr/sbin", name))
            continue;
        (void)snprintf(path, sizeof(path), "usr/bin/%s", name);
        r = tree_put_link(w->tree_fd, path, "busybox", err);
    }
    return r;
}

static int populate(struct work *w, isol8_error *err)
{
    int r = add_packages(w, err);
    if (r == 0)
        r = open_tree(w, err);
    if (r == 0 && w->a->recipe->packages.n > 0)
        r = trim(w, err);
    if (r == 0 && w->a->recipe->n_npm > 0)
        r = layer_add_npm(w->a, w->tmp_fd, w->tree_fd, err);
    if (r == 0)
        r = add_files(w, err);
    if (r == 0 && w->a->recipe->apt_sources != NULL)
        r = layer_add_apt(w->a, w->tree_fd, err);
    if (r == 0)
        r = add_dirs(w, err);
    if (r == 0)
        r = add_applets(w, err);
    if (r == 0)
        r = tree_normalise(w->tree_fd, err); /* what the steps made under the caller's umask */
    if (r == 0 && w->a->recipe->run_file != NULL)
        r = layer_run(w->a, w->tree_path, w->tree_fd, err);
    return r;
}

/* ---- Into the store -------------------------------------------------------------------------- */

int layer_pack(struct oci_store *s, int dir_fd, const char *name, int tree_fd, int cancel_fd,
               struct layer *out, isol8_error *err)
{
    struct tar_packed packed;
    char tmp[OCI_TMP_SIZE];

    auto_close int fd = oci_store_blob_begin(s, tmp, err);
    if (fd < 0)
        return fd;
    int r = tar_pack(tree_fd, fd, cancel_fd, &packed, err);
    if (r < 0) {
        (void)unlinkat(s->blobs_fd, tmp, 0); /* the first failure is the one to report */
        return r;
    }
    r = oci_store_blob_commit(s, fd, tmp, packed.digest, err);
    if (r < 0)
        return r;
    (void)snprintf(out->blob.media_type, sizeof(out->blob.media_type), "%s", packed.media_type);
    (void)snprintf(out->blob.digest, sizeof(out->blob.digest), "sha256:%s", packed.digest);
    (void)snprintf(out->diff_id, sizeof(out->diff_id), "sha256:%s", packed.diff_id);
    out->blob.size = packed.size;
    return oci_store_layer_commit(s, dir_fd, name, packed.diff_id, err);
}

int layer_build(const struct layer_args *args, struct layer *out, isol8_error *err)
{
    auto_free struct work *w = calloc(1, sizeof(*w));
    isol8_error ignored;

    if (w == NULL)
        return err_nomem(err);
    w->a = args;
    w->tree_fd = -1;
    w->tmp_fd = oci_store_tmp_dir(args->store, w->tmp, err);
    if (w->tmp_fd < 0)
        return w->tmp_fd;
    int r = 0;
    if (snprintf(w->tmp_path, sizeof(w->tmp_path), "%s/layers/%s", args->store->root, w->tmp) >=
            PATH_MAX - 16 ||
        snprintf(w->tree_path, sizeof(w->tree_path), "%s/" TREE, w->tmp_path) >= PATH_MAX)
        r = err_set(err, ISOL8_E_LIMIT, "path of the image store is too long");
    if (r == 0)
        r = populate(w, err);
    if (r == 0) {
        layer_say(args, "packing");
        r = layer_pack(args->store, w->tmp_fd, TREE, w->tree_fd, args->build->cancel_fd, out, err);
    }
    (void)fd_close(w->tree_fd);
    (void)fd_close(w->tmp_fd);
    /* What cannot be removed now is removed by the next build or collection. */
    (void)path_remove_tree(args->store->layers_fd, w->tmp, r < 0 ? &ignored : err);
    return r;
}
