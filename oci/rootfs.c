/* SPDX-License-Identifier: Apache-2.0 */
/**
 * rootfs.c - a sandbox's root file system, stacked by overlayfs
 *
 * A read-only root is one mount(2). A writable root needs its files to belong to the sandbox user,
 * or nothing could be written; overlayfs itself cannot be id-mapped, but its layers can: each is
 * cloned as a mount of its own whose owner root appears as the sandbox user (mount_setattr(2),
 * Linux 5.19 for overlay layers), and changes go to an upper directory on a tmpfs of bounded size.
 */
#include "oci/rootfs.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/mount.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* sys/mount.h and linux/mount.h cannot be included together with every libc. */
int mount(const char *source, const char *target, const char *type, unsigned long flags,
          const void *data);

/* @path without "@base/" in front; as it is when it lies elsewhere. */
static const char *relative_name(const char *base, const char *path)
{
    size_t n = strlen(base);

    return strncmp(path, base, n) == 0 && path[n] == '/' ? path + n + 1 : path;
}

static int plan_options(struct oci_rootfs *out, const char *const *layers, size_t n,
                        isol8_error *err)
{
    size_t used = (size_t)snprintf(out->options, sizeof(out->options), "lowerdir=");

    for (size_t i = 0; i < n; i++) {
        const char *name = relative_name(out->base, layers[i]);
        if (strpbrk(name, ":,\\") != NULL)
            return err_set(err, ISOL8_E_INVAL,
                           "image directory '%s' must not contain ':', ',' or '\\'", layers[i]);
        int w = snprintf(out->options + used, sizeof(out->options) - used, "%s%s",
                         i == 0 ? "" : ":", name);
        used += (size_t)w;
        if (used >= sizeof(out->options))
            return err_set(err, ISOL8_E_LIMIT, "the image has too many layers (%zu)", n);
    }
    return 0;
}

int oci_rootfs_plan(struct oci_rootfs *out, const char *bundle_dir, const char *base,
                    const char *const *layers, size_t n_layers, uint64_t upper_bytes, int idmap_ns,
                    uint32_t owner_uid, uint32_t owner_gid, isol8_error *err)
{
    *out = (struct oci_rootfs){ .writable = upper_bytes > 0,
                                .idmap_ns = idmap_ns,
                                .n_layers = n_layers };
    if ((size_t)snprintf(out->target, sizeof(out->target), "%s/rootfs", bundle_dir) >=
        sizeof(out->target))
        return err_set(err, ISOL8_E_LIMIT, "state directory '%s' is too long", bundle_dir);
    if ((size_t)snprintf(out->base, sizeof(out->base), "%s", base) >= sizeof(out->base))
        return err_set(err, ISOL8_E_LIMIT, "data directory '%s' is too long", base);
    if (!out->writable)
        return plan_options(out, layers, n_layers, err);

    if (n_layers > OCI_ROOTFS_LAYERS_MAX)
        return err_set(err, ISOL8_E_LIMIT, "a writable root takes at most %d layers, not %zu",
                       OCI_ROOTFS_LAYERS_MAX, n_layers);
    memcpy(out->layers, layers, n_layers * sizeof(layers[0]));
    (void)snprintf(out->scratch, sizeof(out->scratch), "%s/scratch", bundle_dir);
    (void)snprintf(out->tmpfs_options, sizeof(out->tmpfs_options),
                   "size=%" PRIu64 ",mode=0755,uid=%u,gid=%u", upper_bytes, owner_uid, owner_gid);
    return 0;
}

static int fail(const char **what, const char *step)
{
    *what = step;
    return -errno;
}

/* Clone @layer as a mount at @at (a directory name below the current one), ids mapped. */
static int mount_layer(const struct oci_rootfs *r, const char *layer, const char *at,
                       const char **what)
{
    struct mount_attr attr = { .attr_set = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID |
                                           MOUNT_ATTR_NODEV };
    int fd = (int)syscall(SYS_open_tree, AT_FDCWD, layer, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);

    if (fd < 0)
        return fail(what, "clone an image layer");
    if (r->idmap_ns >= 0) {
        attr.attr_set |= MOUNT_ATTR_IDMAP;
        attr.userns_fd = (uint64_t)r->idmap_ns;
    }
    int e = 0;
    if (syscall(SYS_mount_setattr, fd, "", AT_EMPTY_PATH, &attr, sizeof(attr)) < 0)
        e = fail(what, "map the owner of an image layer");
    else if (mkdir(at, 0700) < 0)
        e = fail(what, "create a mount point");
    else if (syscall(SYS_move_mount, fd, "", AT_FDCWD, at, MOVE_MOUNT_F_EMPTY_PATH) < 0)
        e = fail(what, "attach an image layer");
    (void)close(fd);
    return e;
}

static int mount_writable(struct oci_rootfs *r, const char **what)
{
    char name[4] = "l00";
    size_t used = 0;

    if (mount("tmpfs", r->scratch, "tmpfs", MS_NOSUID | MS_NODEV, r->tmpfs_options) < 0)
        return fail(what, "mount the writable layer");
    /* Relative names keep the option string short; the runtime is started from elsewhere again. */
    int cwd = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (cwd < 0 || chdir(r->scratch) < 0)
        return fail(what, "enter the writable layer");
    memcpy(r->options, "lowerdir=", 9);
    used = 9;
    for (size_t i = 0; i < r->n_layers; i++) {
        name[1] = (char)('0' + i / 10);
        name[2] = (char)('0' + i % 10);
        int e = mount_layer(r, r->layers[i], name, what);
        if (e < 0)
            return e;
        if (i > 0)
            r->options[used++] = ':';
        memcpy(r->options + used, name, 3);
        used += 3;
    }
    static const char tail[] = ",upperdir=upper,workdir=work";
    memcpy(r->options + used, tail, sizeof(tail));

    struct stat st;
    if (stat(".", &st) < 0 || mkdir("upper", 0755) < 0 || mkdir("work", 0755) < 0 ||
        chown("upper", st.st_uid, st.st_gid) < 0)
        return fail(what, "create the writable layer");
    if (mount("overlay", r->target, "overlay", MS_NOSUID | MS_NODEV, r->options) < 0)
        return fail(what, "mount the root file system");
    if (fchdir(cwd) < 0)
        return fail(what, "leave the writable layer");
    (void)close(cwd);
    return 0;
}

int oci_rootfs_mount(void *rootfs, const char **what)
{
    struct oci_rootfs *r = rootfs;

    if (r->writable)
        return mount_writable(r, what);
    int cwd = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (cwd < 0 || chdir(r->base) < 0)
        return fail(what, "enter the image directory");
    if (mount("overlay", r->target, "overlay", MS_RDONLY | MS_NOSUID | MS_NODEV, r->options) < 0)
        return fail(what, "mount the root file system");
    if (fchdir(cwd) < 0)
        return fail(what, "leave the image directory");
    (void)close(cwd);
    return 0;
}
