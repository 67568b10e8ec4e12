/* SPDX-License-Identifier: Apache-2.0 */
/**
 * userns.c - a user namespace whose creator is its own range of host ids
 *
 * Theory of operation. Whoever creates the namespace must have the range's base id as its effective
 * uid. Credentials belong to a thread: a thread of its own takes that id by raw system calls, which
 * unlike libc's wrappers touch no other thread, and clones a holder into the new namespace. The
 * holder shares this process's memory (CLONE_VM), so that nothing is copied however large the
 * embedding process is: fork() took 60 ms and stalled every thread in one of 1.5 GB. CLONE_VFORK
 * stops the creating thread until the holder has ended, so the two never run at the same time on
 * the same thread-local data. Meanwhile the caller maps the ids and opens the namespace by the
 * holder's pid.
 *
 * Changing a thread's uid makes the whole process undumpable (credentials(7), prctl(2)). That is
 * put right again afterwards; a lock sees to it that no two creators take each other's change for
 * the process's own setting.
 */
#include "oci/userns.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/path.h"
#include "base/proc.h"

enum { HOLDER_STACK_BYTES = 64 * 1024 };

struct creator {
    uint32_t uid;
    uint32_t gid;
    uint32_t count; /* of ids mapped */
    bool with_net;  /* also make a network namespace */
    int child_end;  /* its read ends when the parent is done, or dead */
    char *stack;    /* upper end */
};

/* What the creating side tells. */
struct told {
    int errnum;
    pid_t pid; /* of the holder */
};

static void tell(const struct creator *c, int errnum, pid_t pid)
{
    struct told t = { errnum, pid };

    (void)!write(c->child_end, &t, sizeof(t));
}

/* In the new namespace, until the caller is done. On a foreign stack in shared memory: system calls
 * and plain stores only. */
__attribute__((no_sanitize("address", "undefined"))) static int hold(void *user)
{
    const struct creator *c = user;
    char byte;

    /* Nothing of the parent's may stay open here: neither its end of this socket, nor that of
     * another thread's, which would wait for this process as this one waits for it. */
    if ((c->child_end > 0 && syscall(SYS_close_range, 0u, (unsigned)c->child_end - 1, 0u) < 0) ||
        syscall(SYS_close_range, (unsigned)c->child_end + 1, ~0u, 0u) < 0) {
        tell(c, errno, 0);
        return 0;
    }
    tell(c, 0, (pid_t)syscall(SYS_getpid));
    (void)!read(c->child_end, &byte, 1);
    return 0;
}

/* The thread that is the creator. It ends with its borrowed id. */
__attribute__((no_sanitize("address", "undefined"))) static void *create_and_wait(void *user)
{
    struct creator *c = user;
    int flags = PROC_CLONE_VM | CLONE_VFORK | CLONE_NEWUSER | (c->with_net ? CLONE_NEWNET : 0);
    int status;

    if (syscall(SYS_setresgid, c->gid, c->gid, c->gid) < 0 ||
        syscall(SYS_setresuid, c->uid, c->uid, c->uid) < 0) {
        tell(c, errno, 0);
        return NULL;
    }
    pid_t pid = clone(hold, c->stack, flags, c);
    if (pid < 0)
        tell(c, errno, 0);
    else
        (void)waitpid(pid, &status, __WALL);
    return NULL;
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

/* Every signal stays blocked in the thread, and so in the holder: no handler of the program's may
 * run there. */
static int start_creator(struct creator *c, pthread_t *thread, isol8_error *err)
{
    sigset_t all, before;

    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    int e = pthread_create(thread, NULL, create_and_wait, c);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    return e == 0 ? 0 : err_sys(err, e, "cannot start a thread");
}

static int take_namespace(struct creator *c, int mine, int *net_fd, isol8_error *err)
{
    struct told t;

    if (read(mine, &t, sizeof(t)) != (ssize_t)sizeof(t))
        return err_set(err, ISOL8_E_SYS, "cannot create a user namespace: its creator died");
    if (t.errnum != 0)
        return err_sys(err, t.errnum, "cannot create a user namespace (id %u)", c->uid);
    return map_and_open(t.pid, c, net_fd, err);
}

static int create_with_stack(struct creator *c, int *net_fd, isol8_error *err)
{
    pthread_t thread;
    int pair[2];

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
        return err_sys(err, errno, "cannot create a socket pair");
    auto_close int mine = pair[0];
    auto_close int theirs = pair[1];
    c->child_end = theirs;
    int r = start_creator(c, &thread, err);
    if (r < 0)
        return r;
    int ns = take_namespace(c, mine, net_fd, err);
    mine = fd_close(mine); /* the holder ends, then the thread */
    (void)pthread_join(thread, NULL);
    return ns;
}

static int create(struct creator *c, int *net_fd, isol8_error *err)
{
    static pthread_mutex_t one_at_a_time = PTHREAD_MUTEX_INITIALIZER;
    char *stack = mmap(NULL, HOLDER_STACK_BYTES, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);

    if (stack == MAP_FAILED)
        return err_nomem(err);
    c->stack = stack + HOLDER_STACK_BYTES;
    (void)pthread_mutex_lock(&one_at_a_time);
    bool was_dumpable = prctl(PR_GET_DUMPABLE) == 1;
    int ns = create_with_stack(c, net_fd, err);
    if (was_dumpable)
        (void)prctl(PR_SET_DUMPABLE, 1);
    (void)pthread_mutex_unlock(&one_at_a_time);
    (void)munmap(stack, HOLDER_STACK_BYTES);
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
