/* SPDX-License-Identifier: Apache-2.0 */
/* bench_bundle.c - the baseline: runc by hand, on a bundle made by the product's own code. */
#include "tests/bench/bench_bundle.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/path.h"
#include "oci/seccomp/seccomp.h"
#include "oci/spec.h"
#include "oci/userns.h"
#include "tests/bench/bench.h"

#define BENCH_PARENT "isol8-bench"

static uint32_t ids_base(const struct bundle *b)
{
    return OCI_USERNS_FIRST + (OCI_USERNS_RANGES - 1 - b->number) * OCI_USERNS_SIZE;
}

void bundle_private_mounts(void)
{
    /* As the runtime's is in the product. */
    if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL) < 0)
        bench_die("mount namespace", NULL);
}

void bundle_make(struct bundle *b, struct isol8_host *h, const char *image, unsigned number)
{
    const char *layers[OCI_LAYERS_MAX + 1], *what = "";
    isol8_error err;
    char root[160];

    *b = (struct bundle){ .number = number };
    (void)snprintf(b->dir, sizeof(b->dir), "/run/isol8-bench-%d-%u", getpid(), number);
    (void)snprintf(b->id, sizeof(b->id), "bench%d-%u", getpid(), number);
    (void)snprintf(root, sizeof(root), "%s/rootfs", b->dir);
    if (mkdir(b->dir, 0711) < 0 || mkdir(root, 0711) < 0)
        bench_die(b->dir, NULL);
    b->userns_fd = oci_userns_create(ids_base(b), &err);
    if (b->userns_fd < 0 || exec_skeleton(h, &layers[0], &err) < 0 ||
        oci_store_get(h->store, image, &b->image, &err) < 0)
        bench_die(image, &err);
    for (size_t i = 0; i < b->image.n_layers; i++)
        layers[i + 1] = b->image.layer_dirs[i];
    if (oci_rootfs_plan(&b->rootfs, b->dir, h->data_root, layers, b->image.n_layers + 1, 0, -1, 0,
                        0, &err) < 0)
        bench_die("rootfs", &err);
    if (oci_rootfs_mount(&b->rootfs, &what) < 0)
        bench_die("mount", NULL);
}

void bundle_configure(const struct bundle *b, struct isol8_host *h, const char *args)
{
    static const char init[] = "\"args\":[\"" OCI_INIT_PATH "\"]";
    struct buf json = BUF_INIT(1 << 20);
    char userns[48], cgroups[64], path[192], memory[256], cpu[256];
    isol8_error err;
    struct cgroup cg;

    if (cgroup_create(&cg, h->cgroups, BENCH_PARENT, b->id, &err) < 0)
        bench_die("cgroup", &err);
    (void)cgroup_dir(&cg, "memory", memory, sizeof(memory));
    (void)cgroup_dir(&cg, "cpu", cpu, sizeof(cpu));
    cgroup_done(&cg);
    struct oci_bind binds[] = { { memory, "/sys/fs/cgroup/memory", true },
                                { cpu, "/sys/fs/cgroup/cpu", true } };
    (void)snprintf(userns, sizeof(userns), "/proc/%d/fd/%d", getpid(), b->userns_fd);
    (void)snprintf(cgroups, sizeof(cgroups), "/" BENCH_PARENT "/%s", b->id);
    struct oci_spec spec = {
        .cgroups_path = cgroups,
        .userns_path = userns,
        .userns_base = ids_base(b),
        .readonly_rootfs = true,
        .sandbox_bytes = 512u << 20,
        .tmp_bytes = 256u << 20,
        .seccomp = oci_seccomp_strict(),
        .search_path = "/usr/local/bin:/usr/bin:/bin",
        .binds = binds,
        .n_binds = ARRAY_LEN(binds),
    };
    if (oci_spec_write(&spec, &json, &err) < 0)
        bench_die("config.json", &err);
    char *at = strstr(json.data, init);
    (void)snprintf(path, sizeof(path), "%s/config.json", b->dir);
    FILE *f = fopen(path, "we");
    if (at == NULL || f == NULL)
        bench_die("config.json", NULL);
    fprintf(f, "%.*s\"args\":%s%s", (int)(at - json.data), json.data, args, at + strlen(init));
    (void)fclose(f);
    buf_done(&json);
}

void bundle_command(const struct bundle *b, char root[160], const char *argv[9])
{
    const char *words[] = { "runc", "--root", root, "run", "--bundle", b->dir, b->id, NULL };

    (void)snprintf(root, 160, "%s/runc", b->dir);
    memcpy(argv, words, sizeof(words));
}

void bundle_remove(struct bundle *b, struct isol8_host *h)
{
    (void)umount2(b->rootfs.target, MNT_DETACH);
    (void)path_remove_tree(AT_FDCWD, b->dir, NULL);
    (void)cgroup_remove(h->cgroups, BENCH_PARENT, b->id, NULL);
    cgroup_remove_parent(h->cgroups, BENCH_PARENT);
    oci_image_done(&b->image);
    (void)fd_close(b->userns_fd);
}
