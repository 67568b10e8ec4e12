/* SPDX-License-Identifier: Apache-2.0 */
/* kernel.c - what the kernel can do, found out by asking it. */
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/openat2.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/mem.h"
#include "base/proc.h"
#include "executor/doctor/doctor.h"
#include "oci/userns.h"

/* ---- System calls -----------------------------------------------------------------------------
 */

/* Each is asked for something that fails with another error than ENOSYS where it exists. */
static bool missing(long nr, long a, long b, long c, long d, long e)
{
    return syscall(nr, a, b, c, d, e) < 0 && errno == ENOSYS;
}

void doctor_check_kernel(struct doctor *d)
{
    char absent[160] = "";
    struct utsname u;

    if (uname(&u) < 0)
        (void)snprintf(u.release, sizeof(u.release), "(unknown)");
    if (missing(SYS_pidfd_open, -1, 0, 0, 0, 0))
        doctor_append(absent, sizeof(absent), ", ", "pidfd_open");
    if (missing(SYS_pidfd_send_signal, -1, 0, 0, 0, 0))
        doctor_append(absent, sizeof(absent), ", ", "pidfd_send_signal");
    if (missing(SYS_openat2, -1, 0, 0, 0, 0))
        doctor_append(absent, sizeof(absent), ", ", "openat2");
    if (missing(SYS_close_range, 1, 0, 0, 0, 0)) /* first above last: EINVAL */
        doctor_append(absent, sizeof(absent), ", ", "close_range");
    if (missing(SYS_memfd_create, 0, -1, 0, 0, 0))
        doctor_append(absent, sizeof(absent), ", ", "memfd_create");
    if (absent[0] != '\0')
        doctor_fail(d, "kernel", "install Linux 5.12 or newer and reboot", "Linux %s lacks: %s",
                    u.release, absent);
    else if (missing(SYS_mount_setattr, -1, 0, 0, 0, 0))
        doctor_warn(d, "kernel", "install Linux 5.12 or newer and reboot",
                    "Linux %s lacks mount_setattr: a writable root belongs to nobody", u.release);
    else
        doctor_ok(d, "kernel", "Linux %s with openat2, pidfd, close_range, mount_setattr",
                  u.release);
}

/* ---- seccomp ----------------------------------------------------------------------------------
 */

void doctor_check_seccomp(struct doctor *d)
{
    uint32_t action = SECCOMP_RET_ERRNO;

    if (syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action) == 0)
        doctor_ok(d, "seccomp", "system calls can be filtered");
    else
        doctor_fail(d, "seccomp", "install a kernel with CONFIG_SECCOMP_FILTER=y and reboot",
                    "system calls cannot be filtered: %s", strerrordesc_np(errno));
}

/* ---- User namespaces --------------------------------------------------------------------------
 */

/* The namespace is made by an unprivileged id, so the switches for those apply. */
static const char *userns_repair(void)
{
    if (doctor_read_number("/proc/sys/user/max_user_namespaces", 1) == 0)
        return "sysctl -w user.max_user_namespaces=15000";
    if (doctor_read_number("/proc/sys/kernel/unprivileged_userns_clone", 1) == 0)
        return "sysctl -w kernel.unprivileged_userns_clone=1";
    if (doctor_read_number("/proc/sys/kernel/apparmor_restrict_unprivileged_userns", 0) == 1)
        return "sysctl -w kernel.apparmor_restrict_unprivileged_userns=0";
    if (access("/proc/self/ns/user", F_OK) < 0)
        return "install a kernel with CONFIG_USER_NS=y and reboot";
    return "run isol8 as root outside of containers that forbid user namespaces";
}

void doctor_check_user_namespaces(struct doctor *d)
{
    isol8_error err = { 0 };

    if (!d->user_namespace) {
        doctor_warn(d, "user-namespaces", "remove security.userNamespace from the configuration",
                    "switched off by configuration: sandboxes share the host's user limits");
        return;
    }
    auto_close int ns = oci_userns_create(OCI_USERNS_FIRST, &err);
    if (ns < 0)
        doctor_fail(d, "user-namespaces", userns_repair(), "%s", err.msg);
    else
        doctor_ok(d, "user-namespaces", "one was made for a host id of its own");
}

/* A line "name:first:count" of /etc/subuid; true when it reaches into the sandboxes' ids. */
static bool takes_our_ids(const char *line)
{
    unsigned long long first, count;
    const unsigned long long ours = OCI_USERNS_FIRST;
    const unsigned long long end = ours + (unsigned long long)OCI_USERNS_SIZE * OCI_USERNS_RANGES;
    const char *colon = strchr(line, ':');

    if (colon == NULL || sscanf(colon, ":%18llu:%18llu", &first, &count) != 2)
        return false;
    return first < end && first + count > ours;
}

void doctor_check_host_ids(struct doctor *d)
{
    static const char *const files[] = { "/etc/subuid", "/etc/subgid" };
    char line[256];

    for (size_t i = 0; i < ARRAY_LEN(files); i++) {
        FILE *f = fopen(files[i], "re");
        bool clash = false;
        while (f != NULL && !clash && fgets(line, sizeof(line), f) != NULL)
            clash = takes_our_ids(line);
        if (f != NULL)
            (void)fclose(f);
        if (clash) {
            line[strcspn(line, "\n")] = '\0';
            doctor_warn(d, "host-ids",
                        "give that user another range in /etc/subuid and /etc/subgid",
                        "%s gives ids of the sandboxes away: '%s'", files[i], line);
            return;
        }
    }
    doctor_ok(d, "host-ids", "%u to %u are free for sandboxes", OCI_USERNS_FIRST,
              OCI_USERNS_FIRST + OCI_USERNS_SIZE * OCI_USERNS_RANGES - 1);
}

/* ---- overlayfs --------------------------------------------------------------------------------
 */

struct overlay_try {
    char scratch[256]; /* an existing directory, covered by a tmpfs in the child's namespace */
    char options[768];
};

enum { STEP_NAMESPACE = 1, STEP_TMPFS, STEP_OVERLAY };

/* In a child, whose mounts end with it. Exit code: 0, or the step that failed plus its errno. */
static int try_overlay(void *user)
{
    const struct overlay_try *o = user;

    if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
        return STEP_NAMESPACE;
    if (mount("tmpfs", o->scratch, "tmpfs", 0, "size=64k,mode=700") < 0 || chdir(o->scratch) < 0 ||
        mkdir("one", 0755) < 0 || mkdir("two", 0755) < 0 || mkdir("root", 0755) < 0)
        return STEP_TMPFS;
    if (mount("overlay", "root", "overlay", MS_RDONLY, o->options) < 0)
        return STEP_OVERLAY;
    return 0;
}

static bool has_filesystem(const char *name)
{
    char line[64];
    bool found = false;
    FILE *f = fopen("/proc/filesystems", "re");

    while (f != NULL && !found && fgets(line, sizeof(line), f) != NULL) {
        char *tab = strchr(line, '\t');
        line[strcspn(line, "\n")] = '\0';
        found = tab != NULL && strcmp(tab + 1, name) == 0;
    }
    if (f != NULL)
        (void)fclose(f);
    return found;
}

void doctor_check_overlayfs(struct doctor *d)
{
    struct overlay_try o;
    char data[512];
    isol8_error err = { 0 };
    auto_close int pidfd = -1;

    doctor_existing_part(d->state_root, o.scratch, sizeof(o.scratch));
    doctor_existing_part(d->data_root, data, sizeof(data));
    if (strcmp(o.scratch, "/") == 0) /* cannot be covered; any directory will do */
        (void)snprintf(o.scratch, sizeof(o.scratch), "/tmp");
    /* A layer from the data root: not every file system can be one. Unless it lies below the
     * directory that is covered, or its name would need quoting. */
    size_t n = strlen(o.scratch);
    bool hidden = strncmp(data, o.scratch, n) == 0 && (data[n] == '/' || data[n] == '\0');
    (void)snprintf(o.options, sizeof(o.options), "lowerdir=one:%s",
                   hidden || strpbrk(data, ":,\\") != NULL ? "two" : data);

    int r = proc_fork(try_overlay, &o, &pidfd, NULL, &err);
    int step = r < 0 ? r : proc_wait(pidfd, &err);
    if (step < 0)
        doctor_fail(d, "overlayfs", "free memory or processes, then try again", "%s", err.msg);
    else if (step == 0)
        doctor_ok(d, "overlayfs", "mounted over layers in %s", data);
    else if (step != STEP_OVERLAY)
        doctor_fail(d, "overlayfs", "run isol8 as root",
                    "a private mount namespace with a tmpfs cannot be made");
    else if (!has_filesystem("overlay"))
        doctor_fail(d, "overlayfs", "modprobe overlay",
                    "the kernel has no overlayfs, or its module is not loaded");
    else
        doctor_fail(d, "overlayfs", "set ISOL8_DATA_ROOT to a directory on ext4, xfs or btrfs",
                    "an overlay over layers in %s cannot be mounted", data);
}
