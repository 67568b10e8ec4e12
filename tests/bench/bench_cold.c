/* SPDX-License-Identifier: Apache-2.0 */
/**
 * bench_cold.c - what a cold "isol8 run" costs beside a bare "runc run" of the same bundle
 *
 *   bench_cold ISOL8 [RUNS]
 *
 * The baseline: runc started by hand on a bundle made by the product's own code (same mounts,
 * namespaces, seccomp profile, cgroup path, a user namespace given by path, the overlay already
 * mounted), with process.args replaced by the user's command. Both are timed as whole processes,
 * from spawn to exit, in turns, so that load on the machine meets both alike. Medians are compared.
 *
 * What the interpreter adds is measured where it runs: by a program inside a sandbox that starts
 * "python3 -c" many times and prints the median. The difference of two runc runs would not do,
 * since the first milliseconds of a container's process overlap with runc's own work.
 *
 * Prints one line a case for people and, last, a JSON object with all numbers in milliseconds.
 */
#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/path.h"
#include "base/text.h"
#include "executor/host.h"
#include "oci/rootfs.h"
#include "oci/seccomp/seccomp.h"
#include "oci/userns.h"
#include "tests/bench/bench.h"

enum { RUNS_MAX = 500, CASES = 2 };

struct bundle {
    char dir[128];
    char id[32];
    int userns_fd;
    struct oci_image image;
    struct oci_rootfs rootfs;
};

/* ---- The baseline's bundle
 * ------------------------------------------------------------------------ */

static void write_config(const struct bundle *b, struct isol8_host *h, const char *args)
{
    static const char init[] = "\"args\":[\"" OCI_INIT_PATH "\"]";
    struct buf json = BUF_INIT(1 << 20);
    char userns[48], cgroups[64], path[192], memory[256], cpu[256];
    isol8_error err;
    struct cgroup cg;

    if (cgroup_create(&cg, h->cgroups, "isol8-bench", b->id, &err) < 0)
        bench_die("cgroup", &err);
    (void)cgroup_dir(&cg, "memory", memory, sizeof(memory));
    (void)cgroup_dir(&cg, "cpu", cpu, sizeof(cpu));
    cgroup_done(&cg);
    struct oci_bind binds[] = { { memory, "/sys/fs/cgroup/memory", true },
                                { cpu, "/sys/fs/cgroup/cpu", true } };
    (void)snprintf(userns, sizeof(userns), "/proc/%d/fd/%d", getpid(), b->userns_fd);
    (void)snprintf(cgroups, sizeof(cgroups), "/isol8-bench/%s", b->id);
    struct oci_spec spec = {
        .cgroups_path = cgroups,
        .userns_path = userns,
        .userns_base = OCI_USERNS_FIRST + (OCI_USERNS_RANGES - 1) * OCI_USERNS_SIZE,
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

static void make_bundle(struct bundle *b, struct isol8_host *h, const char *image)
{
    const char *layers[OCI_LAYERS_MAX + 1], *what = "";
    isol8_error err;
    char root[160];

    (void)snprintf(b->dir, sizeof(b->dir), "/run/isol8-bench-%d", getpid());
    (void)snprintf(b->id, sizeof(b->id), "bench%d", getpid());
    (void)snprintf(root, sizeof(root), "%s/rootfs", b->dir);
    if (mkdir(b->dir, 0711) < 0 || mkdir(root, 0711) < 0)
        bench_die(b->dir, NULL);
    b->userns_fd = oci_userns_create(OCI_USERNS_FIRST + (OCI_USERNS_RANGES - 1) * OCI_USERNS_SIZE,
                                     &err);
    if (b->userns_fd < 0 || exec_skeleton(h, &layers[0], &err) < 0 ||
        oci_store_get(h->store, image, &b->image, &err) < 0)
        bench_die(image, &err);
    for (size_t i = 0; i < b->image.n_layers; i++)
        layers[i + 1] = b->image.layer_dirs[i];
    if (oci_rootfs_plan(&b->rootfs, b->dir, h->data_root, layers, b->image.n_layers + 1, 0, -1, 0,
                        0, &err) < 0)
        bench_die("rootfs", &err);
    /* Our own namespace from here on, as the runtime's is in the product. */
    if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL) < 0 ||
        oci_rootfs_mount(&b->rootfs, &what) < 0)
        bench_die("mount", NULL);
}

/* ---- Timing
 * ----------------------------------------------------------------------------------------- */

struct series {
    const char *name;
    double ms[RUNS_MAX];
    double p50, p95;
};

static void summarise(struct series *s, size_t n)
{
    s->p50 = bench_quantile(s->ms, n, 0.5);
    s->p95 = bench_quantile(s->ms, n, 0.95);
    printf("%-34s p50 %6.2f ms   p95 %6.2f ms\n", s->name, s->p50, s->p95);
}

static double time_runc(const struct bundle *b, struct isol8_host *h, const char *args)
{
    char root[160];

    (void)snprintf(root, sizeof(root), "%s/runc", b->dir);
    write_config(b, h, args); /* runc removed the cgroups that the last one made */
    const char *argv[] = { "runc", "--root", root, "run", "--bundle", b->dir, b->id, NULL };
    return bench_command(argv);
}

static void take_number(const char *line, void *user)
{
    (void)text_parse_u64(line, user);
}

/* Bare "python3 -c" as the first program of a fresh sandbox, in ms. */
static double time_python_inside(const char *isol8)
{
    static const char program[] =
        "s=${EPOCHREALTIME/./}; python3 -c \"print('hello')\" >/dev/null; "
        "echo $((${EPOCHREALTIME/./} - s))";
    const char *argv[] = { isol8, "run", "--runtime", "python", "--cmd", program, NULL };
    struct proc_args args = PROC_ARGS_INIT;
    isol8_error err;
    uint64_t us = 0;

    args.file = isol8;
    args.argv = argv;
    if (proc_run(&args, take_number, &us, NULL, -1, &err) != 0 || us == 0)
        bench_die("python3 in a sandbox", &err);
    return (double)us / 1000;
}

int main(int argc, char **argv)
{
    static struct series runc = { .name = "runc run: bash -c true" };
    static struct series cold = { .name = "isol8 run --cmd true" };
    static struct series inside = { .name = "python3 -c print, inside" };
    static struct series cold_python = { .name = "isol8 run -e print (python)" };
    struct bundle b = { .userns_fd = -1 };
    struct isol8_host *h = NULL;
    isol8_error err;
    uint64_t n = 20;

    if (argc < 2 || (argc > 2 && (!text_parse_u64(argv[2], &n) || n < 3 || n > RUNS_MAX))) {
        fprintf(stderr, "usage: bench_cold ISOL8 [RUNS, 3 to %d]\n", RUNS_MAX);
        return 1;
    }
    if (isol8_host_open(&h, NULL, &err) < 0)
        bench_die("host", &err);
    make_bundle(&b, h, "isol8:python");
    const char *cmd[] = { argv[1], "run", "--runtime", "python", "--cmd", "true", NULL };
    const char *hello[] = { argv[1], "run", "-e", "print('hello')", NULL };
    for (size_t i = 0; i < n + 2; i++) { /* the first two warm caches and do not count */
        size_t at = i < 2 ? 0 : i - 2;
        runc.ms[at] = time_runc(&b, h, "[\"bash\",\"-c\",\"true\"]");
        cold.ms[at] = bench_command(cmd);
        cold_python.ms[at] = bench_command(hello);
        inside.ms[at] = time_python_inside(argv[1]);
    }
    summarise(&runc, n);
    summarise(&cold, n);
    summarise(&cold_python, n);
    summarise(&inside, n);

    double ratio = cold.p50 / runc.p50;
    double python_ratio = cold_python.p50 / (1.15 * runc.p50 + inside.p50);
    printf("cold / bare runc: %.3f (goal: at most 1.15)\n", ratio);
    printf("python hello / (1.15 bare runc + python inside): %.3f (goal: at most 1)\n",
           python_ratio);
    printf("{\"bench\":\"cold\",\"runs\":%zu,\"runc_ms\":%.3f,\"isol8_ms\":%.3f,\"ratio\":%.4f,"
           "\"isol8_python_ms\":%.3f,\"python_inside_ms\":%.3f,\"python_ratio\":%.4f}\n",
           (size_t)n, runc.p50, cold.p50, ratio, cold_python.p50, inside.p50, python_ratio);

    (void)umount2(b.rootfs.target, MNT_DETACH);
    (void)path_remove_tree(AT_FDCWD, b.dir, NULL);
    (void)cgroup_remove(h->cgroups, "isol8-bench", b.id, NULL);
    cgroup_remove_parent(h->cgroups, "isol8-bench");
    oci_image_done(&b.image);
    isol8_host_free(h);
    return 0;
}
