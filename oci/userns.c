/* SPDX-License-Identifier: Apache-2.0 */
/* userns.c - a user namespace whose creator is its own range of host ids. */
#include "oci/userns.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/path.h"
#include "base/proc.h"

struct creator {
    uint32_t uid;
    uint32_t gid;
    uint32_t count; /* of ids mapped */
    bool with_net;  /* also make a network namespace */
    int child_end;  /* its read ends when the parent is done, or dead */
};

/* In the child: become the range's base id, make the namespace, hold it until the parent is done.
 * Raw system calls: libc's wrappers would try to reach threads that do not exist here. */
static int create_and_hold(void *user)
{
    const struct creator *c = user;
    int errnum = 0;
    char byte;

    /* Nothing of the parent's may stay open here: neither its end of this socket, nor that of
     * another thread's, which would wait for this process as this one waits for it. */
    if ((c->child_end > 0 && syscall(SYS_close_range, 0u, (unsigned)c->child_end - 1, 0u) < 0) ||
        syscall(SYS_close_range, (unsigned)c->child_end + 1, ~0u, 0u) < 0)
        errnum = errno;
    else if (syscall(SYS_setresgid, c->gid, c->gid, c->gid) < 0 ||
             syscall(SYS_setresuid, c->uid, c->uid, c->uid) < 0 || unshare(CLONE_NEWUSER) < 0)
        errnum = errno;
    else if (c->with_net && unshare(CLONE_NEWNET) < 0) /* in the new namespace it may */
        errnum = errno;
    if (write(c->child_end, &errnum, sizeof(errnum)) == (ssize_t)sizeof(errnum) && errnum == 0)
        (void)!read(c->child_end, &byte, 1);
    return errnum;
}

static int map_and_open(pid_t pid, const struct creator *c, int *net_fd, isol8_error *err)
{
    char dir[32], uid_map[48], gid_map[48];

    (void)snprintf(dir, sizeof(dir), "/proc/%d", (int)pid);
    (void)snprintf(uid_map, sizeof(uid_map), "0 %u %u", c->uid, c->count);
    (void)snprintf(gid_map, sizeof(gid_map), "0 %u %u", c->gid, c->count);
    auto_close int proc = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (proc < 0)
        return err_sys(err, errno, "cannot open '%s'", dir);

    int r = path_write_value(proc, "uid_map", uid_map, err);
    if (r == 0)
        r = path_write_value(proc, "gid_map", gid_map, err);
    if (r < 0)
        return err_wrap(err, r, "map ids of a user namespace");
    int ns = openat(proc, "ns/user", O_RDONLY | O_CLOEXEC);
    if (ns < 0)
        return err_sys(err, errno, "cannot open a user namespace");
    if (c->with_net) {
        *net_fd = openat(proc, "ns/net", O_RDONLY | O_CLOEXEC);
        if (*net_fd < 0) {
            int e = errno;
            (void)fd_close(ns);
            return err_sys(err, e, "cannot open a network namespace");
        }
    }
    return ns;
}

static int create(struct creator *c, int *net_fd, isol8_error *err)
{
    auto_close int pidfd = -1;
    int pair[2], errnum = 0;
    pid_t pid;

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
        return err_sys(err, errno, "cannot create a socket pair");
    auto_close int mine = pair[0];
    auto_close int theirs = pair[1];
    c->child_end = theirs;
    int r = proc_fork(create_and_hold, c, &pidfd, &pid, err);
    if (r < 0)
        return r;
    theirs = fd_close(theirs);

    int ns;
    if (read(mine, &errnum, sizeof(errnum)) != (ssize_t)sizeof(errnum))
        ns = err_set(err, ISOL8_E_SYS, "cannot create a user namespace: its creator died");
    else if (errnum != 0)
        ns = err_sys(err, errnum, "cannot create a user namespace (id %u)", c->uid);
    else
        ns = map_and_open(pid, c, net_fd, err);
    mine = fd_close(mine);
    (void)proc_wait(pidfd, NULL);
    return ns;
}

int oci_userns_create(uint32_t base, isol8_error *err)
{
    struct creator c = { .uid = base, .gid = base, .count = OCI_USERNS_SIZE };

    return create(&c, NULL, err);
}

int oci_userns_create_with_net(uint32_t base, int *net_fd, isol8_error *err)
{
    struct creator c = { .uid = base, .gid = base, .count = OCI_USERNS_SIZE, .with_net = true };

    return create(&c, net_fd, err);
}

int oci_userns_create_single(uint32_t uid, uint32_t gid, isol8_error *err)
{
    struct creator c = { .uid = uid, .gid = gid, .count = 1 };

    return create(&c, NULL, err);
}
