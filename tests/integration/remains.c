/* SPDX-License-Identifier: Apache-2.0 */
/* remains.c - what a killed process of ours may have left on the machine. */
#include "tests/integration/remains.h"

#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/integration/it.h"

static const char *state_root(void)
{
    const char *root = getenv("ISOL8_STATE_ROOT");

    assert_non_null(root);
    return root;
}

size_t it_count_entries(const char *name)
{
    char path[300];
    struct dirent *e;
    size_t n = 0;

    (void)snprintf(path, sizeof(path), "%s/%s", state_root(), name);
    DIR *dir = opendir(path);
    while (dir != NULL && (e = readdir(dir)) != NULL)
        n += e->d_name[0] != '.';
    if (dir != NULL)
        (void)closedir(dir);
    return n;
}

static size_t n_cgroups;
static char a_cgroup[512];

static int count_cgroup(const char *path, const struct stat *st, int kind, struct FTW *where)
{
    (void)st, (void)where;
    if (kind == FTW_D && strstr(path, it_cgroup_parent()) != NULL) {
        n_cgroups++;
        (void)snprintf(a_cgroup, sizeof(a_cgroup), "%s", path);
    }
    return 0;
}

/* A process with the state root among its arguments: the runtime, or what it made of itself. */
static pid_t find_process(void)
{
    DIR *dir = opendir("/proc");
    struct dirent *e;
    pid_t found = 0;

    assert_non_null(dir);
    while (found == 0 && (e = readdir(dir)) != NULL) {
        char path[300], args[4096];
        if (strspn(e->d_name, "0123456789") != strlen(e->d_name))
            continue;
        (void)snprintf(path, sizeof(path), "/proc/%s/cmdline", e->d_name);
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        ssize_t n = fd < 0 ? -1 : read(fd, args, sizeof(args));
        if (fd >= 0)
            (void)close(fd);
        if (n > 0 && memmem(args, (size_t)n, state_root(), strlen(state_root())) != NULL)
            found = (pid_t)strtol(e->d_name, NULL, 10);
    }
    (void)closedir(dir);
    return found;
}

void it_nothing_left(const char *after)
{
    size_t n;

    if (it_count_entries("sandboxes") + it_count_entries("ids") + it_count_entries("runc") > 0)
        fail_msg("%s: left %zu sandboxes, %zu id ranges, %zu of the runtime", after,
                 it_count_entries("sandboxes"), it_count_entries("ids"), it_count_entries("runc"));
    n_cgroups = 0;
    (void)nftw("/sys/fs/cgroup", count_cgroup, 32, FTW_PHYS);
    if (n_cgroups > 0)
        fail_msg("%s: left %zu cgroups, such as %s", after, n_cgroups, a_cgroup);
    pid_t pid = find_process();
    if (pid != 0)
        fail_msg("%s: left process %d", after, (int)pid);
    auto_free char *mounts = it_read_file("/proc/self/mountinfo", &n);
    if (strstr(mounts, state_root()) != NULL)
        fail_msg("%s: left a mount", after);
}

/* The runtime of a killed owner ends by itself, soon, and with the last of its processes goes the
 * lock on the record. (/proc cannot tell: a process that is exiting has no arguments any more, but
 * still its files.) */
void it_until_runtimes_ended(void)
{
    char path[300];
    const struct dirent *e;

    (void)snprintf(path, sizeof(path), "%s/sandboxes", state_root());
    DIR *dir = opendir(path);
    (void)alarm(60); /* a runtime that does not end fails the test, by a signal */
    while (dir != NULL && (e = readdir(dir)) != NULL) {
        (void)snprintf(path, sizeof(path), "%s/sandboxes/%s/record", state_root(), e->d_name);
        int fd = e->d_name[0] == '.' ? -1 : open(path, O_RDWR | O_CLOEXEC);
        if (fd < 0)
            continue;
        assert_int_equal(flock(fd, LOCK_EX), 0);
        (void)close(fd);
    }
    (void)alarm(0);
    if (dir != NULL)
        (void)closedir(dir);
}
