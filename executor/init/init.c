/* SPDX-License-Identifier: Apache-2.0 */
/**
 * init.c - pid 1 of every sandbox
 *
 * Theory of operation. A static program that runc starts as the container's process, as the sandbox
 * user, with no capability and already under the seccomp filter. It waits on its socket (proto.h)
 * and on SIGCHLD. EXEC makes a child inside a cgroup of its own, which takes the given descriptors
 * as stdio and executes the program. The child is born there by clone3(CLONE_INTO_CGROUP): moving a
 * process afterwards makes the kernel wait for an RCU grace period, some 10 ms. That is why the
 * seccomp profile allows clone3() and the child, as its last act, forbids it by a filter of its
 * own. PUT and GET with a pipe fork a child that copies, so that a slow peer never holds pid 1 up;
 * small PUTs are done in place. Everything here happens with the sandbox's rights: a path that a
 * hostile program bent somewhere leads nowhere new.
 *
 * Init never returns: when its socket ends, because the engine closed it or died, it exits and the
 * kernel kills every other process of the pid namespace. Only a kept sandbox's init goes on, as a
 * reaper that nobody can talk to any more. Channels are further sockets, one for each execution of
 * a session; the end of one ends nothing else.
 *
 * It is not dumpable, so other processes of the same user can read neither its memory nor its
 * descriptors; its children drop every socket before anything else.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "executor/init/confine.h"
#include "executor/init/files.h"
#include "executor/init/proto.h"
#include "executor/init/trampoline.h"

enum {
    WORDS_MAX = 16384, /* arguments and variables of one EXEC */
    PATH_BYTES = 4096,
    INLINE_TOTAL_MAX = 256 * 1024, /* of files that pid 1 writes itself, all together */
    FILES_SOFT = 1024,             /* open files of a program, unless it raises the limit itself */
    FILES_HARD = 65536,
};

struct job {
    pid_t pid;     /* 0: free */
    uint32_t type; /* INIT_EXEC, INIT_PUT or INIT_GET */
    uint32_t id;
    int sock;      /* whom to answer; -1: its channel is closed */
    int report_fd; /* EXEC: read end; holds a struct init_done when the start failed */
};

static struct job jobs[INIT_JOBS_MAX];
static int channels[INIT_CHANNELS_MAX]; /* 0: free; no descriptor of init's own is 0 */
static bool is_kept;
static char packet[INIT_PACKET_MAX];
static char *words[WORDS_MAX + 2]; /* argv, NULL, env, NULL */

/* ---- Answers --------------------------------------------------------------------------------- */

static void drop_channel(int sock)
{
    for (unsigned i = 0; i < INIT_JOBS_MAX; i++) {
        if (jobs[i].sock == sock)
            jobs[i].sock = -1;
    }
    for (unsigned i = 0; i < INIT_CHANNELS_MAX; i++) {
        if (channels[i] == sock)
            channels[i] = 0;
    }
    (void)close(sock);
}

static void answer(int sock, uint32_t type, uint32_t id, const void *body, size_t n)
{
    struct init_head head = { .type = type, .id = id };
    char out[sizeof(head) + sizeof(struct init_exited)];
    bool is_first = sock == INIT_SOCKET_FD;

    if (sock < 0)
        return;
    memcpy(out, &head, sizeof(head));
    memcpy(out + sizeof(head), body, n);
    /* The first socket may block: the engine reads it, or is gone, and then so are we. A channel
     * whose owner does not read must not hold up the others. */
    if (send(sock, out, sizeof(head) + n, MSG_NOSIGNAL | (is_first ? 0 : MSG_DONTWAIT)) >= 0)
        return;
    if (!is_first)
        drop_channel(sock);
    else if (!is_kept)
        _exit(1);
}

static void answer_done(int sock, uint32_t id, int errnum, enum init_stage stage)
{
    struct init_done done = { .errnum = errnum, .stage = errnum == 0 ? INIT_STAGE_NONE : stage };

    answer(sock, INIT_DONE, id, &done, sizeof(done));
}

static void answer_not_started(int sock, uint32_t id, int errnum, enum init_stage stage)
{
    struct init_exited e = { .wait_status = 127 << 8, .errnum = errnum, .stage = stage };

    answer(sock, INIT_EXITED, id, &e, sizeof(e));
}

/* ---- Jobs ------------------------------------------------------------------------------------ */

static struct job *free_job(void)
{
    for (unsigned i = 0; i < INIT_JOBS_MAX; i++) {
        if (jobs[i].pid == 0)
            return &jobs[i];
    }
    return NULL;
}

static void close_all(const int *fds, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        (void)close(fds[i]);
}

/* In a child: keep @fd as descriptor 3 and nothing above. It must be done before the child becomes
 * readable for its own kind, and it takes every socket away, the first one included. */
static int keep_only(int fd)
{
    if (fd >= 0 && dup3(fd, INIT_SOCKET_FD, O_CLOEXEC) < 0)
        return -1;
    if (syscall(SYS_close_range, fd >= 0 ? INIT_SOCKET_FD + 1 : INIT_SOCKET_FD, ~0u, 0) < 0)
        return -1;
    return fd >= 0 ? INIT_SOCKET_FD : -1;
}

static void unblock_signals(void)
{
    sigset_t none;

    (void)sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
}

/* First to go when memory runs out: pid 1 must live to tell. Writing needs a dumpable process; a
 * failure only makes the choice of victim less sharp. */
static void die_first(void)
{
    (void)prctl(PR_SET_DUMPABLE, 1);
    int adj = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
    if (adj >= 0) {
        (void)!write(adj, "1000", 4);
        (void)close(adj);
    }
}

/* A copying child answers by its exit code: the stage in the high bits would not fit, so failures
 * of a copy are told apart by errno alone, which is below 134 on Linux. */
struct copy {
    uint32_t type; /* INIT_PUT or INIT_GET */
    char *path;
    mode_t mode;
    const char *data; /* PUT: the content, unless it comes by the pipe */
    size_t n;
    int pipe; /* or -1; closed */
};

static void start_copy(int sock, uint32_t id, const struct copy *c)
{
    struct job *job = free_job();
    pid_t pid = job == NULL ? -1 : fork();

    if (pid == 0) {
        enum init_stage stage;
        int pipe = keep_only(c->pipe);
        if (c->pipe >= 0 && pipe < 0)
            _exit(EBADF);
        die_first();
        (void)prctl(PR_SET_DUMPABLE, 0);
        unblock_signals();
        _exit(c->type == INIT_PUT ? file_put(c->path, c->mode, c->data, c->n, pipe, &stage)
                                  : file_get(c->path, pipe, &stage));
    }
    if (c->pipe >= 0)
        (void)close(c->pipe);
    if (pid < 0) {
        answer_done(sock, id, job == NULL ? EAGAIN : errno, INIT_STAGE_FORK);
        return;
    }
    *job = (struct job){ .pid = pid, .type = c->type, .id = id, .sock = sock, .report_fd = -1 };
}

struct start {
    const char *cwd;
    char **argv;
    char **envp;
    int in, out, err;
    int cgroup; /* directory, or -1 */
    bool is_strict;
};

#if defined(__x86_64__)
#define NATIVE_ARCH AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define NATIVE_ARCH AUDIT_ARCH_AARCH64
#else
#error "name this architecture's AUDIT_ARCH"
#endif

/* clone3() answers ENOSYS, on which the C libraries use clone(); EPERM would break threads. Filters
 * add up: what the profile refuses stays refused. */
int forbid_clone3(void)
{
    static struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, NATIVE_ARCH, 1, 0),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_clone3, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = { .len = sizeof(code) / sizeof(code[0]), .filter = code };

    return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program);
}

/* A child inside @cgroup. @moves: the child has to move itself there, because this kernel or the
 * operator's own seccomp profile does not let it be born there. */
static pid_t fork_into(int cgroup, bool *moves)
{
    struct clone_args args = {
        .flags = CLONE_INTO_CGROUP,
        .exit_signal = SIGCHLD,
        .cgroup = (uint64_t)cgroup,
    };

    *moves = false;
    if (cgroup >= 0) {
        long pid = syscall(SYS_clone3, &args, sizeof(args));
        if (pid >= 0)
            return (pid_t)pid;
        *moves = true;
    }
    return fork();
}

static bool move_into(int cgroup)
{
    int fd = openat(cgroup, "cgroup.procs", O_WRONLY | O_CLOEXEC);

    return fd >= 0 && write(fd, "0", 1) == 1;
}

static enum init_stage enter_program(const struct start *s, bool moves, int *report)
{
    if (moves && !move_into(s->cgroup))
        return INIT_STAGE_CGROUP;
    if (dup2(s->in, 0) < 0 || dup2(s->out, 1) < 0 || dup2(s->err, 2) < 0)
        return INIT_STAGE_STDIO;
    /* From the cgroup's directory the whole hierarchy can be reached: it goes as well. */
    int kept = keep_only(*report);
    if (kept < 0)
        return INIT_STAGE_STDIO;
    *report = kept;
    if (chdir(s->cwd) < 0)
        return INIT_STAGE_CWD;
    (void)setsid();

    /* Before others of its kind can write to its memory, which die_first() makes possible. */
    if (s->is_strict && forbid_clone3() < 0)
        return INIT_STAGE_FILTER;
    die_first();
    unblock_signals();
    environ = s->envp; /* so that the program's own PATH is searched */
    (void)execvp(s->argv[0], s->argv);
    return INIT_STAGE_EXEC;
}

static void start_program(int sock, uint32_t id, const struct start *s)
{
    struct job *job = free_job();
    int report[2];

    if (job == NULL || pipe2(report, O_CLOEXEC | O_NONBLOCK) < 0) {
        answer_not_started(sock, id, job == NULL ? EAGAIN : errno, INIT_STAGE_REQUEST);
        return;
    }
    bool moves;
    pid_t pid = fork_into(s->cgroup, &moves);
    if (pid == 0) {
        struct init_done failure = { 0 };
        /* What is still open is close-on-exec, the report pipe included. */
        failure.stage = enter_program(s, moves, &report[1]);
        failure.errnum = errno;
        (void)!write(report[1], &failure, sizeof(failure));
        _exit(127);
    }
    (void)close(report[1]);
    if (pid < 0) {
        int errnum = errno;
        (void)close(report[0]);
        answer_not_started(sock, id, errnum, INIT_STAGE_FORK);
        return;
    }
    *job = (struct job){
        .pid = pid, .type = INIT_EXEC, .id = id, .sock = sock, .report_fd = report[0]
    };
}

static void end_job(struct job *job, int status)
{
    job->pid = 0;
    if (job->type != INIT_EXEC) {
        int errnum = WIFEXITED(status) ? WEXITSTATUS(status) : EINTR;
        answer_done(job->sock, job->id, errnum, INIT_STAGE_COPY);
        return;
    }
    struct init_exited e = { .wait_status = status };
    struct init_done failure;
    if (read(job->report_fd, &failure, sizeof(failure)) == (ssize_t)sizeof(failure)) {
        e.errnum = failure.errnum;
        e.stage = failure.stage;
    }
    e.full = (file_system_full("/sandbox") ? INIT_FULL_SANDBOX : 0u) |
             (file_system_full("/tmp") ? INIT_FULL_TMP : 0u);
    (void)close(job->report_fd);
    answer(job->sock, INIT_EXITED, job->id, &e, sizeof(e));
}

static void reap(void)
{
    int status;
    pid_t pid;

    while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
        for (unsigned i = 0; i < INIT_JOBS_MAX; i++) {
            if (jobs[i].pid == pid) {
                end_job(&jobs[i], status);
                break;
            }
        }
    }
}

/* ---- Requests -------------------------------------------------------------------------------- */

/* Split @n bytes of NUL-ended strings: cwd, argc words, envc words. False when they do not fit. */
static bool split_words(char *p, size_t n, const struct init_exec *x, struct start *s)
{
    char *end = p + n;
    uint64_t total = (uint64_t)x->argc + x->envc;
    unsigned w = 0;

    if (n == 0 || end[-1] != '\0' || x->argc == 0 || total > WORDS_MAX)
        return false;
    s->cwd = p;
    p += strlen(p) + 1;
    s->argv = words;
    for (uint64_t i = 0; i < total; i++) {
        if (i == x->argc)
            words[w++] = NULL;
        if (p >= end)
            return false;
        words[w++] = p;
        p += strlen(p) + 1;
    }
    if (x->envc == 0)
        words[w++] = NULL;
    words[w] = NULL;
    s->envp = words + x->argc + 1;
    return true;
}

static char *map_strings(int fd, size_t n)
{
    struct stat st;

    if (fstat(fd, &st) < 0 || (uint64_t)st.st_size < n || n > INIT_STRINGS_MAX)
        return NULL;
    char *p = mmap(NULL, n, PROT_READ, MAP_PRIVATE, fd, 0);
    return p == MAP_FAILED ? NULL : p;
}

static bool do_exec(int sock, uint32_t id, char *body, size_t n, const int *fds, unsigned n_fds)
{
    struct init_exec x;
    struct start s = { .cgroup = -1 };
    unsigned used = 0;

    if (n < sizeof(x))
        return false;
    memcpy(&x, body, sizeof(x));
    unsigned want = 2 + ((x.flags & INIT_EXEC_STDIN) != 0) + ((x.flags & INIT_EXEC_CGROUP) != 0) +
                    ((x.flags & INIT_EXEC_MEMFD) != 0);
    if (n_fds != want)
        return false;
    s.in = (x.flags & INIT_EXEC_STDIN) != 0 ? fds[used++] : 0; /* init's own 0 is /dev/null */
    s.out = fds[used++];
    s.err = fds[used++];
    if ((x.flags & INIT_EXEC_CGROUP) != 0)
        s.cgroup = fds[used++];

    s.is_strict = (x.flags & INIT_EXEC_STRICT) != 0;
    bool in_memfd = (x.flags & INIT_EXEC_MEMFD) != 0;
    char *strings = in_memfd ? map_strings(fds[used], x.strings_size) : body + sizeof(x);
    bool ok = strings != NULL && (in_memfd || n - sizeof(x) == x.strings_size) &&
              split_words(strings, x.strings_size, &x, &s);
    if (ok)
        start_program(sock, id, &s);
    if (in_memfd && strings != NULL)
        (void)munmap(strings, x.strings_size);
    return ok;
}

/* A path that is NUL-ended within @n bytes and not longer than the kernel takes. */
static bool is_path(const char *p, size_t n)
{
    size_t len = strnlen(p, n);

    return len > 0 && len < n && len < PATH_BYTES;
}

/* Pid 1 writes what is small, which saves a fork. Files count as memory, and whoever writes when
 * the limit is reached may be killed: beyond a little, that must be a child. */
static bool is_small(size_t n)
{
    static size_t total;

    total += n;
    return n <= INIT_INLINE_FILE_MAX && total <= INLINE_TOTAL_MAX;
}

static bool do_put(int sock, uint32_t id, char *body, size_t n, const int *fds, unsigned n_fds)
{
    struct init_put put;
    enum init_stage stage;

    if (n < sizeof(put) + 2)
        return false;
    memcpy(&put, body, sizeof(put));
    char *path = body + sizeof(put);
    n -= sizeof(put);
    if (!is_path(path, n))
        return false;

    struct copy c = { .type = INIT_PUT, .path = path, .mode = put.mode & 0777, .pipe = -1 };
    if (put.inline_size == UINT32_MAX) {
        if (n_fds != 1)
            return false;
        c.pipe = dup(fds[0]);
        start_copy(sock, id, &c);
        return true;
    }
    size_t used = strlen(path) + 1;
    if (n - used != put.inline_size || n_fds != 0)
        return false;
    c.data = path + used;
    c.n = put.inline_size;
    if (is_small(c.n)) {
        int errnum = file_put(path, c.mode, c.data, c.n, -1, &stage);
        answer_done(sock, id, errnum, stage);
    } else {
        start_copy(sock, id, &c);
    }
    return true;
}

static bool do_get(int sock, uint32_t id, char *body, size_t n, const int *fds, unsigned n_fds)
{
    if (!is_path(body, n) || n_fds != 1)
        return false;
    start_copy(sock, id, &(struct copy){ .type = INIT_GET, .path = body, .pipe = dup(fds[0]) });
    return true;
}

static bool do_remove(int sock, uint32_t id, const char *body, size_t n)
{
    if (!is_path(body, n))
        return false;
    answer_done(sock, id, unlink(body) < 0 ? errno : 0, INIT_STAGE_OPEN);
    return true;
}

static bool do_signal(int sock, uint32_t id, const char *body, size_t n)
{
    struct init_signal s;

    if (n != sizeof(s))
        return false;
    memcpy(&s, body, sizeof(s));
    for (unsigned i = 0; i < INIT_JOBS_MAX; i++) {
        if (jobs[i].pid != 0 && jobs[i].type == INIT_EXEC && jobs[i].id == id &&
            jobs[i].sock == sock)
            (void)kill(-jobs[i].pid, s.sig);
    }
    return true;
}

/* What closes or keeps the sandbox as a whole, or opens a channel: for the first socket only. */
static bool do_sandbox(uint32_t type, const int *fds, unsigned n_fds)
{
    if (type == INIT_CLOSE)
        _exit(0);
    if (type == INIT_KEEP)
        is_kept = true;
    for (unsigned i = 0; type == INIT_CHANNEL && n_fds == 1 && i < INIT_CHANNELS_MAX; i++) {
        if (channels[i] == 0) {
            int own = fcntl(fds[0], F_DUPFD_CLOEXEC, INIT_SOCKET_FD + 1);
            channels[i] = own < 0 ? 0 : own;
            break;
        }
    }
    return true;
}

static void handle(int sock, const struct init_head *head, char *body, size_t n, const int *fds,
                   unsigned n_fds)
{
    bool ok = false;

    switch (head->type) {
    case INIT_EXEC:
        ok = do_exec(sock, head->id, body, n, fds, n_fds);
        if (!ok)
            answer_not_started(sock, head->id, EINVAL, INIT_STAGE_REQUEST);
        return;
    case INIT_PUT:
        ok = do_put(sock, head->id, body, n, fds, n_fds);
        break;
    case INIT_GET:
        ok = do_get(sock, head->id, body, n, fds, n_fds);
        break;
    case INIT_REMOVE:
        ok = do_remove(sock, head->id, body, n);
        break;
    case INIT_SIGNAL:
        ok = do_signal(sock, head->id, body, n);
        break;
    case INIT_CHANNEL:
    case INIT_KEEP:
    case INIT_CLOSE:
        ok = sock == INIT_SOCKET_FD && do_sandbox(head->type, fds, n_fds);
        break;
    default:
        break;
    }
    if (!ok)
        answer_done(sock, head->id, EINVAL, INIT_STAGE_REQUEST);
}

/* The other end of @sock is gone. */
static void lost(int sock)
{
    if (sock != INIT_SOCKET_FD)
        drop_channel(sock);
    else if (!is_kept)
        _exit(0);
}

/* One packet with its descriptors. Return: false when the socket has ended. */
static bool receive(int sock)
{
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(sizeof(int) * INIT_FDS_MAX)];
    } control;
    struct iovec iov = { .iov_base = packet, .iov_len = sizeof(packet) };
    struct msghdr msg = { .msg_iov = &iov,
                          .msg_iovlen = 1,
                          .msg_control = control.bytes,
                          .msg_controllen = sizeof(control.bytes) };
    int fds[INIT_FDS_MAX];
    unsigned n_fds = 0;

    ssize_t n = recvmsg(sock, &msg, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
    if (n < 0 && (errno == EINTR || errno == EAGAIN))
        return true;
    if (n <= 0) {
        lost(sock);
        return false;
    }
    for (struct cmsghdr *c = CMSG_FIRSTHDR(&msg); c != NULL; c = CMSG_NXTHDR(&msg, c)) {
        if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS) {
            n_fds = (unsigned)((c->cmsg_len - CMSG_LEN(0)) / sizeof(int));
            memcpy(fds, CMSG_DATA(c), n_fds * sizeof(int));
        }
    }
    if ((size_t)n >= sizeof(struct init_head) && (msg.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) == 0) {
        struct init_head head;
        memcpy(&head, packet, sizeof(head));
        handle(sock, &head, packet + sizeof(head), (size_t)n - sizeof(head), fds, n_fds);
    }
    close_all(fds, n_fds);
    return true;
}

/* ---- Start ----------------------------------------------------------------------------------- */

static void detach_stdio(void)
{
    int null = open("/dev/null", O_RDWR);

    if (null < 0 || dup2(null, 0) < 0 || dup2(null, 1) < 0 || dup2(null, 2) < 0)
        _exit(1);
    /* Nothing but the socket stays, whatever the runtime forgot to close. */
    if (syscall(SYS_close_range, INIT_SOCKET_FD + 1, ~0u, 0) < 0)
        _exit(1);
    if (fcntl(INIT_SOCKET_FD, F_SETFD, FD_CLOEXEC) < 0)
        _exit(1);
}

/* Lowering needs no privilege, raising one that nobody here has: what is set holds for good. */
void lower_limits(void)
{
    struct rlimit files, core = { 0, 0 };

    if (setrlimit(RLIMIT_CORE, &core) < 0 || getrlimit(RLIMIT_NOFILE, &files) < 0)
        _exit(1);
    if (files.rlim_max > FILES_HARD)
        files.rlim_max = FILES_HARD;
    files.rlim_cur = files.rlim_max < FILES_SOFT ? files.rlim_max : FILES_SOFT;
    if (setrlimit(RLIMIT_NOFILE, &files) < 0)
        _exit(1);
}

static int block_and_watch_children(void)
{
    sigset_t all, child;

    (void)sigfillset(&all);
    (void)sigprocmask(SIG_SETMASK, &all, NULL);
    (void)sigemptyset(&child);
    (void)sigaddset(&child, SIGCHLD);
    return signalfd(-1, &child, SFD_CLOEXEC | SFD_NONBLOCK);
}

static void reap_children(int children)
{
    struct signalfd_siginfo info;

    while (read(children, &info, sizeof(info)) > 0)
        continue; /* one signal may stand for many children */
    reap();
}

/* Forget nothing that may be waiting: the list is made anew for each wait. */
static unsigned fill_waits(struct pollfd *p, int children, bool has_first)
{
    unsigned n = 2;

    p[0] = (struct pollfd){ .fd = children, .events = POLLIN };
    p[1] = (struct pollfd){ .fd = has_first ? INIT_SOCKET_FD : -1, .events = POLLIN };
    for (unsigned i = 0; i < INIT_CHANNELS_MAX; i++) {
        if (channels[i] != 0)
            p[n++] = (struct pollfd){ .fd = channels[i], .events = POLLIN };
    }
    return n;
}

int main(int argc, char **argv)
{
    struct init_hello hello = { .version = INIT_PROTO_VERSION };
    static struct pollfd p[2 + INIT_CHANNELS_MAX];
    bool has_first = true;

    if (argc > 1 && strcmp(argv[1], TRAMPOLINE_WORD) == 0)
        trampoline();
    detach_stdio();
    int children = block_and_watch_children();
    if (children < 0 || prctl(PR_SET_DUMPABLE, 0) < 0)
        _exit(1);
    lower_limits();
    (void)umask(022);
    answer(INIT_SOCKET_FD, INIT_HELLO, 0, &hello, sizeof(hello));

    for (;;) {
        unsigned n = fill_waits(p, children, has_first);
        if (poll(p, n, -1) < 0)
            continue;
        if (p[0].revents != 0)
            reap_children(children);
        if (p[1].revents != 0)
            has_first = receive(INIT_SOCKET_FD);
        for (unsigned i = 2; i < n; i++) {
            if (p[i].revents != 0)
                (void)receive(p[i].fd);
        }
    }
}
