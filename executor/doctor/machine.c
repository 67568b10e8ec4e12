/* SPDX-License-Identifier: Apache-2.0 */
/* machine.c - rights, cgroups, directories and limits of this machine. */
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <linux/capability.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/text.h"
#include "executor/doctor/doctor.h"
#include "oci/cgroup.h"

/* ---- Rights -----------------------------------------------------------------------------------
 */

static uint64_t effective_capabilities(void)
{
    char line[256];
    unsigned long long caps = 0;
    FILE *f = fopen("/proc/self/status", "re");

    while (f != NULL && fgets(line, sizeof(line), f) != NULL) {
        if (sscanf(line, "CapEff: %16llx", &caps) == 1)
            break;
    }
    if (f != NULL)
        (void)fclose(f);
    return caps;
}

void doctor_check_privileges(struct doctor *d)
{
    static const struct {
        int bit;
        const char *name;
    } needed[] = {
        { CAP_SYS_ADMIN, "CAP_SYS_ADMIN" }, { CAP_SETUID, "CAP_SETUID" },
        { CAP_SETGID, "CAP_SETGID" },       { CAP_CHOWN, "CAP_CHOWN" },
        { CAP_KILL, "CAP_KILL" },           { CAP_DAC_OVERRIDE, "CAP_DAC_OVERRIDE" },
        { CAP_NET_ADMIN, "CAP_NET_ADMIN" }, { CAP_SYS_CHROOT, "CAP_SYS_CHROOT" },
    };
    uint64_t caps = effective_capabilities();
    char absent[200] = "";

    for (size_t i = 0; i < ARRAY_LEN(needed); i++) {
        if ((caps >> needed[i].bit & 1) == 0)
            doctor_append(absent, sizeof(absent), ", ", needed[i].name);
    }
    if (geteuid() != 0)
        doctor_fail(d, "privileges", "run it as root: sudo isol8 ...",
                    "the effective user id is %u, not 0", (unsigned)geteuid());
    else if (absent[0] != '\0')
        doctor_fail(d, "privileges",
                    "run it as root outside of a container, or in a privileged one",
                    "root without %s", absent);
    else
        doctor_ok(d, "privileges", "root with all capabilities needed");
}

/* ---- cgroups ----------------------------------------------------------------------------------
 */

static bool cgroup_exists(const struct cgroup_host *h, const char *path)
{
    struct cgroup cg = { .host = h };
    char dir[PATH_MAX];

    (void)snprintf(cg.path, sizeof(cg.path), "%s", path);
    return cgroup_dir(&cg, "memory", dir, sizeof(dir)) && access(dir, F_OK) == 0;
}

/* Make a sandbox's cgroups, set limits, and remove them again: that is what counts. */
static int try_cgroup(const struct cgroup_host *h, const char *parent, isol8_error *err)
{
    const struct cgroup_limits limits = { .memory_bytes = 64 << 20, .cpus = 1, .pids = 64 };
    bool had_parent = cgroup_exists(h, parent);
    struct cgroup cg;
    char id[32];

    (void)snprintf(id, sizeof(id), "doctor-%d", (int)getpid());
    int r = cgroup_create(&cg, h, parent, id, err);
    if (r == 0)
        r = cgroup_set_limits(&cg, &limits, err);
    cgroup_done(&cg);
    int removed = cgroup_remove(h, parent, id, r == 0 ? err : NULL);
    if (!had_parent)
        cgroup_remove_parent(h, parent); /* only if still empty; an engine makes it anew */
    return r < 0 ? r : removed;
}

void doctor_check_cgroup(struct doctor *d)
{
    struct cgroup_host *h = NULL;
    isol8_error err = { 0 };

    if (cgroup_host_open(&h, &err) < 0) {
        doctor_fail(d, "cgroup",
                    "boot with systemd.unified_cgroup_hierarchy=0 on the kernel command line", "%s",
                    err.msg);
        return;
    }
    const char *mode = cgroup_host_mode(h) == CGROUP_HYBRID ? "v1 with the v2 tree (hybrid)" : "v1";
    if (try_cgroup(h, d->cgroup_parent, &err) < 0)
        doctor_fail(d, "cgroup",
                    "run isol8 as root where the cgroup file systems are mounted writable",
                    "cgroup %s: %s", mode, err.msg);
    else
        doctor_ok(d, "cgroup", "%s; memory, cpu and pids can be limited below '%s'", mode,
                  d->cgroup_parent);
    cgroup_host_free(h);
}

static bool host_swaps(void)
{
    char line[256];
    unsigned lines = 0;
    FILE *f = fopen("/proc/swaps", "re");

    while (f != NULL && fgets(line, sizeof(line), f) != NULL)
        lines++;
    if (f != NULL)
        (void)fclose(f);
    return lines > 1; /* the first line is the heading */
}

void doctor_check_swap(struct doctor *d)
{
    struct cgroup_host *h = NULL;
    char dir[PATH_MAX] = "";

    if (!host_swaps()) {
        doctor_ok(d, "swap", "none is in use");
        return;
    }
    if (cgroup_host_open(&h, NULL) == 0) {
        const struct cgroup root = { .host = h, .path = "." };
        if (cgroup_dir(&root, "memory", dir, sizeof(dir) - 32))
            doctor_append(dir, sizeof(dir), "/", "memory.memsw.limit_in_bytes");
        cgroup_host_free(h);
    }
    if (dir[0] != '\0' && access(dir, F_OK) == 0)
        doctor_ok(d, "swap", "in use, and counted against memory limits");
    else
        doctor_fail(d, "swap", "swapoff -a; or boot with swapaccount=1 on the kernel command line",
                    "in use, but cannot be limited: memory limits would not hold");
}

/* ---- Directories -------------------------------------------------------------------------------
 */

/* The first directory above @path that other users may not search, which sandboxes must: their
 * roots are reached by other ids than root's. */
static bool closed_parent(const char *path, char *out, size_t cap)
{
    struct stat st;

    for (const char *slash = strchr(path + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
        (void)snprintf(out, cap, "%.*s", (int)(slash - path), path);
        if (stat(out, &st) == 0 && (st.st_mode & S_IXOTH) == 0)
            return true;
    }
    return false;
}

/* Reports what is wrong with a root; true when nothing is. @part: its existing part, filled in. */
static bool check_root(struct doctor *d, const char *name, const char *root, const char *variable,
                       char *part, size_t cap)
{
    char repair[PATH_MAX], closed[PATH_MAX];

    doctor_existing_part(root, part, cap);
    (void)snprintf(repair, sizeof(repair), "set %s to a writable directory", variable);
    if (root[0] != '/') {
        doctor_fail(d, name, repair, "'%s' is no absolute path", root);
        return false;
    }
    if (access(part, W_OK | X_OK) < 0) {
        doctor_fail(d, name, repair, "'%s' cannot be written: %s", part, strerrordesc_np(errno));
        return false;
    }
    if (closed_parent(root, closed, sizeof(closed))) {
        (void)snprintf(repair, sizeof(repair), "chmod o+x '%s'; or set %s", closed, variable);
        doctor_fail(d, name, repair, "'%s' lies below '%s', which sandboxes may not search", root,
                    closed);
        return false;
    }
    return true;
}

void doctor_check_state_root(struct doctor *d)
{
    char part[512];

    if (check_root(d, "state-root", d->state_root, "ISOL8_STATE_ROOT", part, sizeof(part)))
        doctor_ok(d, "state-root", "%s%s", d->state_root,
                  strcmp(part, d->state_root) == 0 ? "" : " will be made on first use");
}

#define DISK_WANTED (3ull << 30) /* all images, and the copy that exists while one is built */

void doctor_check_data_root(struct doctor *d)
{
    struct statvfs fs;
    char part[512], free_text[32], repair[640];

    if (!check_root(d, "disk", d->data_root, "ISOL8_DATA_ROOT", part, sizeof(part)))
        return;
    if (statvfs(part, &fs) < 0) {
        doctor_fail(d, "disk", "set ISOL8_DATA_ROOT to another directory", "'%s': %s", part,
                    strerrordesc_np(errno));
        return;
    }
    uint64_t bytes = (uint64_t)fs.f_bavail * fs.f_frsize;
    (void)snprintf(free_text, sizeof(free_text), "%.1f GiB", (double)bytes / (1ull << 30));
    if (bytes < DISK_WANTED) {
        (void)snprintf(
            repair, sizeof(repair),
            "free space below %s, or set ISOL8_DATA_ROOT; isol8 cleanup --images removes "
            "built images",
            part);
        doctor_warn(d, "disk", repair, "%s: only %s free; all images together need about 3 GiB",
                    d->data_root, free_text);
    } else {
        doctor_ok(d, "disk", "%s: %s free", d->data_root, free_text);
    }
}

/* ---- Limits of this process --------------------------------------------------------------------
 */

#define DESCRIPTORS_WANTED 4096 /* some 20 per execution, and a server runs many at once */

void doctor_check_descriptors(struct doctor *d)
{
    struct rlimit rl;

    if (getrlimit(RLIMIT_NOFILE, &rl) < 0)
        rl.rlim_max = 0;
    if (rl.rlim_max < DESCRIPTORS_WANTED)
        doctor_warn(d, "descriptors", "ulimit -Hn 65536 (LimitNOFILE=65536 in a systemd unit)",
                    "at most %llu open files: enough for few executions at once",
                    (unsigned long long)rl.rlim_max);
    else
        doctor_ok(d, "descriptors", "up to %llu open files", (unsigned long long)rl.rlim_max);
}
