/* SPDX-License-Identifier: Apache-2.0 */
/**
 * reap.c - remove what dead owners left behind
 *
 * Theory of operation. A sandbox's record is flocked by its owner and, by inheritance, by the OCI
 * runtime the owner started. If the lock can be taken, both are gone and the sandbox may be removed
 * by its id. When only the owner died, the runtime is about to clean up by itself: init saw its
 * socket end and exits. exec_reap_dead(), at every start, leaves that alone; exec_reap_one(), for
 * "isol8 cleanup", kills what is in the cgroup and waits for the runtime. A kept sandbox needs no
 * rule of its own: its runtime lives and holds the lock, so it is left alone at every start, and it
 * is removed on demand, once its owner is gone.
 *
 * Before the record exists there is only a claimed range of ids and maybe an empty directory. Those
 * are removed under the exclusive lock of the state root, which creators hold shared meanwhile.
 */
#include "executor/reap.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/mem.h"
#include "base/path.h"
#include "base/proc.h"
#include "base/text.h"
#include "executor/record.h"
#include "executor/sandbox.h"

enum {
    RUNTIME_GRACE_MS = 10000, /* for a runtime to end by itself after its init was killed */
    LOCK_RETRY_MS = 5,
};

static bool is_id(const char *name)
{
    return strlen(name) == HOST_ID_SIZE - 1 && strspn(name, "0123456789abcdef") == HOST_ID_SIZE - 1;
}

/* A directory stream over a borrowed descriptor. */
static DIR *list_dir(int fd)
{
    int own = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = own < 0 ? NULL : fdopendir(own);

    if (dir == NULL)
        (void)fd_close(own);
    return dir;
}

int exec_reap_list(struct isol8_host *h, int (*each)(const char *id, void *user), void *user,
                   isol8_error *err)
{
    DIR *dir = list_dir(h->sandboxes_fd);
    const struct dirent *e;
    int r = 0;

    if (dir == NULL)
        return err_sys(err, errno, "cannot list '%s/sandboxes'", h->state_root);
    while (r == 0 && (e = readdir(dir)) != NULL) {
        if (is_id(e->d_name))
            r = each(e->d_name, user);
    }
    (void)closedir(dir);
    return r;
}

/* The record of @id, open; -1 with errno when there is none. */
static int open_record(struct isol8_host *h, const char *id)
{
    char path[HOST_ID_SIZE + 8];

    (void)snprintf(path, sizeof(path), "%s/record", id);
    return openat(h->sandboxes_fd, path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
}

/* With the lock held, nobody else is at work: kill what is left inside and remove everything. */
static int remove_locked(struct isol8_host *h, const char *id, isol8_error *err)
{
    cgroup_kill_all(h->cgroups, h->cgroup_parent, id);
    return exec_sandbox_remove_id(h, id, err);
}

static int reap_if_dead(const char *id, void *user)
{
    struct isol8_host *h = user;
    isol8_error err;
    auto_close int fd = open_record(h, id);

    if (fd < 0 || path_lock(fd, true, false) < 0)
        return 0; /* not recorded yet, or somebody is at work */
    if (remove_locked(h, id, &err) < 0)
        log_warn(&h->log, "reap: cannot remove a dead sandbox id=%.12s: %s", id, err.msg);
    return 0;
}

/* Directories and ranges without a record; the caller holds the state root's lock exclusively. */
static void remove_unrecorded(struct isol8_host *h)
{
    DIR *dir = list_dir(h->sandboxes_fd);
    const struct dirent *e;

    while (dir != NULL && (e = readdir(dir)) != NULL) {
        if (!is_id(e->d_name))
            continue;
        int fd = open_record(h, e->d_name);
        if (fd < 0 && errno == ENOENT)
            (void)exec_sandbox_remove_id(h, e->d_name, NULL);
        (void)fd_close(fd);
    }
    if (dir != NULL)
        (void)closedir(dir);

    dir = list_dir(h->ids_fd);
    while (dir != NULL && (e = readdir(dir)) != NULL) {
        char target[HOST_ID_SIZE];
        ssize_t n = readlinkat(h->ids_fd, e->d_name, target, sizeof(target) - 1);
        if (n <= 0)
            continue;
        target[n] = '\0';
        if (faccessat(h->sandboxes_fd, target, F_OK, 0) < 0 && errno == ENOENT)
            (void)unlinkat(h->ids_fd, e->d_name, 0);
    }
    if (dir != NULL)
        (void)closedir(dir);
}

void exec_reap_dead(struct isol8_host *h)
{
    (void)exec_reap_list(h, reap_if_dead, h, NULL);
    if (path_lock(h->lock_fd, true, false) < 0)
        return; /* somebody is making a sandbox: the next start looks again */
    remove_unrecorded(h);
    (void)path_unlock(h->lock_fd);
    exec_sandbox_remove_idle_parent(h);
}

/* The runtime process of @id, found by the bundle it was given, as a pidfd; -1 when none. */
static int find_runtime(const struct isol8_host *h, const char *id)
{
    char bundle[300];

    DIR *dir = opendir("/proc");
    const struct dirent *e;
    int found = -1;

    /* Arguments as the kernel shows them: each ended by NUL. */
    int n = snprintf(bundle, sizeof(bundle), "--bundle%c%s/sandboxes/%s", '\0', h->state_root, id);
    while (dir != NULL && found < 0 && (e = readdir(dir)) != NULL) {
        auto_buf struct buf args = BUF_INIT(0);
        char path[300];
        uint64_t pid;
        if (!text_parse_u64(e->d_name, &pid) || pid == (uint64_t)getpid())
            continue;
        (void)snprintf(path, sizeof(path), "/proc/%s/cmdline", e->d_name);
        if (path_read(AT_FDCWD, path, 65536, &args, NULL) < 0 || args.len == 0)
            continue;
        if (memmem(args.data, args.len, bundle, (size_t)n) != NULL)
            found = (int)syscall(SYS_pidfd_open, (pid_t)pid, 0u);
    }
    if (dir != NULL)
        (void)closedir(dir);
    return found;
}

/* The owner is dead, or is to lose the sandbox: end what runs, then wait for the runtime. */
static void end_foreign(struct isol8_host *h, const char *id)
{
    cgroup_kill_all(h->cgroups, h->cgroup_parent, id);
    auto_close int runtime = find_runtime(h, id);
    struct pollfd p = { .fd = runtime, .events = POLLIN };
    if (runtime >= 0 && poll(&p, 1, RUNTIME_GRACE_MS) == 0)
        proc_kill(runtime);
    if (runtime >= 0)
        (void)poll(&p, 1, RUNTIME_GRACE_MS);
}

/* What the runtime started inherits the lock, and may outlive the runtime by a moment. */
static int lock_after_end(struct isol8_host *h, const char *id, int fd)
{
    int r = path_lock(fd, true, false);

    for (int ms = 0; r < 0 && ms < RUNTIME_GRACE_MS; ms += LOCK_RETRY_MS) {
        cgroup_kill_all(h->cgroups, h->cgroup_parent, id);
        (void)poll(NULL, 0, LOCK_RETRY_MS);
        r = path_lock(fd, true, false);
    }
    return r;
}

int exec_reap_one(struct isol8_host *h, const char *id, bool force, isol8_error *err)
{
    struct exec_record rec;
    auto_close int fd = open_record(h, id);

    if (fd < 0)
        return errno == ENOENT ? 0 : err_sys(err, errno, "cannot open the record of '%.12s'", id);
    if (path_lock(fd, true, false) == 0)
        return remove_locked(h, id, err);
    bool alive = exec_record_read(h, id, &rec, NULL) == 0 && exec_record_owner_alive(&rec);
    if (alive && !force)
        return err_set(err, ISOL8_E_BUSY, "in use by process %d", rec.pid);

    end_foreign(h, id);
    /* A living owner sees its sandbox end and removes it itself; what it leaves is ours. One that
     * it keeps it watches no more. */
    int r = alive && !rec.is_kept ? path_lock(fd, true, true) : lock_after_end(h, id, fd);
    if (r < 0)
        return err_set(err, ISOL8_E_BUSY, "still in use by process %d", rec.pid);
    return remove_locked(h, id, err);
}
