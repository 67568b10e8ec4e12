/* SPDX-License-Identifier: Apache-2.0 */
/**
 * sandbox.c - make and remove one isolated place
 *
 * Theory of operation. The id is 64 random hex digits; its first digits choose the range of 65,536
 * host ids that the sandbox gets, claimed by the link <state>/ids/<range> -> id. Order of creation:
 *
 *   range      the link; another id is drawn when the range is taken
 *   directory  <state>/sandboxes/<id>
 *   record     who owns it; from here on reaping works by the record's lock
 *   userns     made by the range's base id (oci/userns.c)
 *   cgroup     the directories that must exist before the runtime starts
 *   bundle     rootfs mount point, config.json, init's socket
 *   runtime    "runc run" in a mount namespace of its own, where the overlay is mounted
 *   hello      init's first packet, which the kernel signs with its pid
 *
 * Up to the end of "record" a shared lock on the state root keeps reaping out, because a directory
 * without record cannot be told from a dead one; it is held until "hello", so that the parent
 * cgroup is not removed while the runtime makes its own below it.
 *
 * Mounts need no removal: they live in the runtime's and the container's namespaces only.
 */
#include "executor/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/mem.h"
#include "base/path.h"
#include "base/rand.h"
#include "executor/failpoint.h"
#include "executor/initlink.h"
#include "executor/record.h"
#include "executor/trust.h"
#include "netns/netns.h"
#include "oci/spec.h"
#include "oci/userns.h"

enum {
    RANGE_TRIES_MAX = 4096, /* ids drawn before "all ranges are taken" */
    BINDS_MAX = 16,
    CONFIG_JSON_MAX = 1 << 20,
    END_MS = 10000, /* for a runtime to end once its init should have */
};

/* ---- Steps of creation ------------------------------------------------------------------------
 */

static uint32_t range_of(const char *id)
{
    uint32_t v = 0;

    for (int i = 0; i < 6; i++)
        v = v * 16 + (uint32_t)(id[i] <= '9' ? id[i] - '0' : id[i] - 'a' + 10);
    return v % OCI_USERNS_RANGES;
}

uint32_t exec_sandbox_ids_base(const char *id)
{
    return OCI_USERNS_FIRST + range_of(id) * OCI_USERNS_SIZE;
}

static int step_range(struct sandbox *sb, const struct sandbox_args *args, isol8_error *err)
{
    char name[16];

    (void)args;
    for (int i = 0; i < RANGE_TRIES_MAX; i++) {
        int r = rand_hex(sb->id, HOST_ID_SIZE - 1, err);
        if (r < 0)
            return r;
        (void)snprintf(name, sizeof(name), "%u", range_of(sb->id));
        if (symlinkat(sb->id, sb->host->ids_fd, name) == 0) {
            sb->ids_base = exec_sandbox_ids_base(sb->id);
            return 0;
        }
        if (errno != EEXIST)
            return err_sys(err, errno, "cannot claim a range of user ids");
    }
    return err_set(err, ISOL8_E_LIMIT, "all %u ranges of user ids are in use", OCI_USERNS_RANGES);
}

static int step_directory(struct sandbox *sb, const struct sandbox_args *args, isol8_error *err)
{
    (void)args;
    (void)snprintf(sb->dir, sizeof(sb->dir), "%s/sandboxes/%s", sb->host->state_root, sb->id);
    sb->dir_fd = path_mkdir_open(sb->host->sandboxes_fd, sb->id, 0711, err);
    return sb->dir_fd < 0 ? sb->dir_fd : 0;
}

static int step_record(struct sandbox *sb, const struct sandbox_args *args, isol8_error *err)
{
    sb->lock_fd = exec_record_write(sb->dir_fd, args->image, err);
    return sb->lock_fd < 0 ? sb->lock_fd : 0;
}

static int step_userns(struct sandbox *sb, const struct sandbox_args *args, isol8_error *err)
{
    if (!sb->host->user_namespace) {
        sb->netns_fd = args->is_filtered ? netns_new(err) : -1;
        return args->is_filtered && sb->netns_fd < 0 ? sb->netns_fd : 0;
    }
    sb->userns_fd = args->is_filtered ? oci_userns_create_with_net(sb->ids_base, &sb->netns_fd, err)
                                      : oci_userns_create(sb->ids_base, err);
    return sb->userns_fd < 0 ? sb->userns_fd : 0;
}

static int step_cgroup(struct sandbox *sb, const struct sandbox_args *args, isol8_error *err)
{
    (void)args;
    return cgroup_create(&sb->cgroup, sb->host->cgroups, sb->host->cgroup_parent, sb->id, err);
}

static int plan_rootfs(struct sandbox *sb, const struct sandbox_args *args,
                       const char *const *layers, size_t n, isol8_error *err)
{
    uint32_t owner = sb->userns_fd >= 0 ? sb->ids_base : 0;
    int idmap = -1;

    if (args->readonly_rootfs)
        return oci_rootfs_plan(&sb->rootfs, sb->dir, sb->host->data_root, layers, n, 0, -1, 0, 0,
                               err);
    /* Root's files are to appear as the sandbox user's: a namespace that maps 0 to that id. */
    idmap = oci_userns_create_single(owner + OCI_SANDBOX_UID, owner + OCI_SANDBOX_GID, err);
    if (idmap < 0)
        return idmap;
    if (mkdirat(sb->dir_fd, "scratch", 0711) < 0) {
        (void)fd_close(idmap);
        return err_sys(err, errno, "cannot create a mount point");
    }
    sb->rootfs_idmap_fd = idmap;
    return oci_rootfs_plan(&sb->rootfs, sb->dir, sb->host->data_root, layers, n,
                           args->sandbox_bytes, idmap, owner + OCI_SANDBOX_UID,
                           owner + OCI_SANDBOX_GID, err);
}

static int step_rootfs(struct sandbox *sb, const struct sandbox_args *args, isol8_error *err)
{
    const char *layers[OCI_LAYERS_MAX + 1];
    size_t n = 1;
    int r = exec_skeleton(sb->host, &layers[0], err);

    if (r == 0 && args->layers != NULL) {
        for (size_t i = 0; i < args->n_layers && n < ARRAY_LEN(layers); i++)
            layers[n++] = args->layers[i];
    } else if (r == 0 && strcmp(args->image, "host") == 0) {
        r = exec_host_layer(sb->host, &layers[n++], err);
    } else if (r == 0) {
        r = oci_store_get(sb->host->store, args->image, &sb->image, err);
        for (size_t i = 0; r == 0 && i < sb->image.n_layers; i++)
            layers[n++] = sb->image.layer_dirs[i];
    }
    if (r < 0)
        return r;
    if (mkdirat(sb->dir_fd, "rootfs", 0711) < 0)
        return err_sys(err, errno, "cannot create a mount point");
    return plan_rootfs(sb, args, layers, n, err);
}

/* Read-only views: the sandbox's own limits for runtimes that size their heap by them, the host's
 * name servers when it shares the host's network, and for the image "host" the machine's /usr. */
static size_t collect_binds(struct sandbox *sb, const struct sandbox_args *args,
                            struct oci_bind *binds, char dirs[2][CGROUP_PATH_MAX + 128])
{
    static const char *const controllers[] = { "memory", "cpu" };
    static const char *const targets[] = { "/sys/fs/cgroup/memory", "/sys/fs/cgroup/cpu" };
    size_t n = 0;

    for (int i = 0; i < 2; i++) {
        if (cgroup_dir(&sb->cgroup, controllers[i], dirs[i], sizeof(dirs[i])))
            binds[n++] = (struct oci_bind){ dirs[i], targets[i], true };
    }
    if (args->host_network)
        binds[n++] = (struct oci_bind){ "/etc/resolv.conf", "/etc/resolv.conf", true };
    if (args->layers == NULL && strcmp(args->image, "host") == 0) {
        for (const struct exec_host_bind *b = exec_host_binds; b->path != NULL; b++) {
            struct stat st;
            if (stat(b->path, &st) == 0 && S_ISDIR(st.st_mode) == b->is_dir && n < BINDS_MAX)
                binds[n++] = (struct oci_bind){ b->path, b->path, false };
        }
    }
    return n;
}

/* The operator's own certificates, mounted over the image's bundle: the images set every runtime's
 * variables to that one file. */
static int add_trust(struct sandbox *sb, const struct sandbox_args *args, char path[256],
                     struct oci_bind *binds, size_t *n, isol8_error *err)
{
    const char *ca_file = exec_egress_ca_file(sb->host->egress);

    if (ca_file == NULL || args->layers != NULL || (!args->is_filtered && !args->host_network))
        return 0;
    int r = trust_write_bundle(sb->dir_fd, (const char *const *)sb->image.layer_dirs,
                               sb->image.n_layers, ca_file, err);
    (void)snprintf(path, 256, "%s/%s", sb->dir, TRUST_FILE_NAME);
    if (r == 0 && *n < BINDS_MAX)
        binds[(*n)++] = (struct oci_bind){ path, TRUST_BUNDLE_PATH, true };
    return r;
}

static int step_bundle(struct sandbox *sb, const struct sandbox_args *args, isol8_error *err)
{
    auto_buf struct buf json = BUF_INIT(CONFIG_JSON_MAX);
    struct oci_bind binds[BINDS_MAX];
    char dirs[2][CGROUP_PATH_MAX + 128], cgroups_path[CGROUP_PATH_MAX + 1], userns[48], netns[48],
        trust[256];

    (void)snprintf(cgroups_path, sizeof(cgroups_path), "/%s", sb->cgroup.path);
    (void)snprintf(userns, sizeof(userns), "/proc/%d/fd/%d", getpid(), sb->userns_fd);
    (void)snprintf(netns, sizeof(netns), "/proc/%d/fd/%d", getpid(), sb->netns_fd);
    struct oci_spec spec = {
        .cgroups_path = cgroups_path,
        .userns_path = sb->userns_fd >= 0 ? userns : NULL,
        .userns_base = sb->ids_base,
        .host_network = args->host_network,
        .netns_path = sb->netns_fd >= 0 ? netns : NULL,
        .readonly_rootfs = args->readonly_rootfs,
        .sandbox_bytes = args->sandbox_bytes,
        .tmp_bytes = args->tmp_bytes,
        .seccomp = args->seccomp,
        .search_path = "/usr/local/bin:/usr/bin:/bin",
        .binds = binds,
        .n_binds = collect_binds(sb, args, binds, dirs),
    };
    int r = add_trust(sb, args, trust, binds, &spec.n_binds, err);
    if (r == 0)
        r = oci_spec_write(&spec, &json, err);
    if (r < 0)
        return r;

    auto_close int fd = openat(sb->dir_fd, "config.json", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC,
                               0600);
    if (fd < 0)
        return err_sys(err, errno, "cannot create config.json");
    r = fd_write_all(fd, json.data, json.len);
    return r < 0 ? err_sys(err, -r, "cannot write config.json") : 0;
}

static int step_socket(struct sandbox *sb, const struct sandbox_args *args, isol8_error *err)
{
    int pair[2], on = 1;

    (void)args;
    sb->messages_fd = fd_memfd("isol8-runtime-messages", "", 0);
    if (sb->messages_fd < 0)
        return err_sys(err, -sb->messages_fd, "cannot create a memory file");
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
        return err_sys(err, errno, "cannot create a socket pair");
    sb->socket_fd = pair[0];
    sb->init_socket_fd = pair[1];
    if (setsockopt(sb->socket_fd, SOL_SOCKET, SO_PASSCRED, &on, sizeof(on)) < 0)
        return err_sys(err, errno, "cannot ask for credentials");
    return 0;
}

static int step_runtime(struct sandbox *sb, const struct sandbox_args *args, isol8_error *err)
{
    struct oci_runtime_start start = {
        .id = sb->id,
        .bundle_dir = sb->dir,
        .init_socket = sb->init_socket_fd,
        .keep_fd = sb->lock_fd,
        .messages_fd = sb->messages_fd,
        .prepare = oci_rootfs_mount,
        .user = &sb->rootfs,
    };

    (void)args;
    int r = oci_runtime_run(&sb->host->runtime, &start, &sb->runtime_pidfd, err);
    sb->init_socket_fd = fd_close(sb->init_socket_fd);
    return r;
}

/* While the runtime is starting: it needs the namespace, but nobody needs the wire before the
 * program runs. */
static int step_network(struct sandbox *sb, const struct sandbox_args *args, isol8_error *err)
{
    if (!args->is_filtered)
        return 0;
    const struct proxy_rules *rules = args->rules != NULL
                                          ? args->rules
                                          : exec_egress_closed_rules(sb->host->egress, err);
    if (rules == NULL)
        return ISOL8_E_NOMEM;
    return exec_link_create(&sb->link, sb->host->egress, sb->netns_fd, rules, err);
}

static const struct {
    const char *name; /* also the crash point reached once the step is done */
    int (*run)(struct sandbox *sb, const struct sandbox_args *args, isol8_error *err);
} steps[] = {
    { "range", step_range },     { "directory", step_directory }, { "record", step_record },
    { "userns", step_userns },   { "cgroup", step_cgroup },       { "rootfs", step_rootfs },
    { "bundle", step_bundle },   { "socket", step_socket },       { "runtime", step_runtime },
    { "network", step_network },
};

/* ---- Life -------------------------------------------------------------------------------------
 */

static void drop_creation_lock(struct sandbox *sb)
{
    if (sb->has_creation_lock)
        sb->creation_lock_fd = fd_close(sb->creation_lock_fd);
    sb->has_creation_lock = false;
}

/* Locks belong to an open file: each sandbox needs one of its own. */
static int take_creation_lock(struct sandbox *sb, isol8_error *err)
{
    char path[160];

    (void)snprintf(path, sizeof(path), "%s/lock", sb->host->state_root);
    sb->creation_lock_fd = open(path, O_RDWR | O_CLOEXEC);
    if (sb->creation_lock_fd < 0)
        return err_sys(err, errno, "cannot open '%s'", path);
    int r = path_lock(sb->creation_lock_fd, false, true);
    if (r < 0)
        return err_sys(err, -r, "cannot lock '%s'", path);
    sb->has_creation_lock = true;
    return 0;
}

static struct sandbox *sandbox_new(struct isol8_host *h)
{
    struct sandbox *sb = calloc(1, sizeof(*sb));

    if (sb == NULL)
        return NULL;
    sb->host = h;
    sb->dir_fd = sb->lock_fd = sb->userns_fd = sb->socket_fd = sb->init_socket_fd = -1;
    sb->messages_fd = sb->runtime_pidfd = sb->init_pidfd = sb->creation_lock_fd = -1;
    sb->rootfs_idmap_fd = sb->netns_fd = -1;
    sb->cgroup = (struct cgroup)CGROUP_NONE;
    sb->prepared = (struct cgroup_exec)CGROUP_EXEC_NONE;
    return sb;
}

int exec_sandbox_create(struct sandbox **out, struct isol8_host *h, const struct sandbox_args *args,
                        isol8_error *err)
{
    struct sandbox *sb = sandbox_new(h);

    if (sb == NULL)
        return err_nomem(err);
    int r = oci_runtime_check(&h->runtime, h->state_fd, err);
    if (r == 0)
        r = take_creation_lock(sb, err);
    for (size_t i = 0; r == 0 && i < ARRAY_LEN(steps); i++) {
        r = steps[i].run(sb, args, err);
        if (r == 0)
            failpoint(steps[i].name);
    }
    if (r < 0) {
        exec_sandbox_free(sb);
        return r;
    }
    log_debug(&h->log, "sandbox: created id=%.12s image=%s ids=%u", sb->id, args->image,
              sb->ids_base);
    *out = sb;
    return 0;
}

/* Receive one packet with the sender's credentials; descriptors that come with it are closed.
 * Return: payload bytes, 0 at the end of the stream, or a negative errno. */
static ssize_t receive_signed(int fd, void *data, size_t n, struct ucred *cred)
{
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(sizeof(struct ucred)) + CMSG_SPACE(sizeof(int) * 8)];
    } control;
    struct iovec iov = { .iov_base = data, .iov_len = n };
    struct msghdr msg = { .msg_iov = &iov,
                          .msg_iovlen = 1,
                          .msg_control = control.bytes,
                          .msg_controllen = sizeof(control.bytes) };
    ssize_t got = recvmsg(fd, &msg, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
    bool is_signed = false;

    if (got < 0)
        return -errno;
    initlink_drop_fds(&msg);
    for (struct cmsghdr *c = CMSG_FIRSTHDR(&msg); c != NULL; c = CMSG_NXTHDR(&msg, c)) {
        if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_CREDENTIALS) {
            memcpy(cred, CMSG_DATA(c), sizeof(*cred));
            is_signed = true;
        }
    }
    /* Every packet is signed, an empty one as well; the end is not. */
    return is_signed == (got > 0) ? got : -EPROTO;
}

/* Whether a process is inside the sandbox: its cgroup tells. A number that the sender has left
 * behind may belong to anybody by now, who must not be killed in its place. */
static int check_inside(const struct sandbox *sb, pid_t pid, isol8_error *err)
{
    auto_buf struct buf text = BUF_INIT(0);
    char path[32];

    (void)snprintf(path, sizeof(path), "/proc/%d/cgroup", (int)pid);
    int r = path_read(AT_FDCWD, path, CONFIG_JSON_MAX, &text, err);
    if (r == 0 && strstr(buf_text(&text), sb->cgroup.path) == NULL)
        r = err_set(err, ISOL8_E_PROTOCOL, "the sandbox's init was not in the sandbox");
    return r;
}

int exec_sandbox_hello(struct sandbox *sb, isol8_error *err)
{
    struct {
        struct init_head head;
        struct init_hello hello;
        char more;
    } msg;
    const ssize_t want = sizeof(msg.head) + sizeof(msg.hello);
    struct ucred cred;
    ssize_t n = receive_signed(sb->socket_fd, &msg, sizeof(msg), &cred);

    if (n == 0)
        return exec_sandbox_start_error(sb, err);
    if (n != want || msg.head.type != INIT_HELLO || msg.hello.version != INIT_PROTO_VERSION)
        return err_set(err, ISOL8_E_PROTOCOL, "the sandbox's init did not introduce itself");

    sb->init_pidfd = (int)syscall(SYS_pidfd_open, cred.pid, 0u);
    if (sb->init_pidfd < 0)
        return err_sys(err, errno, "cannot hold the sandbox's init");
    int r = check_inside(sb, cred.pid, err);
    if (r < 0) {
        sb->init_pidfd = fd_close(sb->init_pidfd);
        return r;
    }
    drop_creation_lock(sb);
    sb->state = SANDBOX_READY;
    failpoint("hello");
    return 0;
}

int exec_sandbox_wait_ready(struct sandbox *sb, int timeout_ms, isol8_error *err)
{
    struct pollfd p[] = { { .fd = sb->socket_fd, .events = POLLIN },
                          { .fd = sb->runtime_pidfd, .events = POLLIN } };
    uint64_t end_ns = clock_now_ns() + (uint64_t)timeout_ms * 1000000;
    int r;

    do {
        int64_t left = (int64_t)(end_ns - clock_now_ns()) / 1000000;
        r = poll(p, ARRAY_LEN(p), left < 0 ? 0 : (int)left);
    } while (r < 0 && errno == EINTR);
    if (r == 0)
        return err_set(err, ISOL8_E_TIMEOUT, "the sandbox did not start within %d s",
                       timeout_ms / 1000);
    if (p[0].revents == 0)
        return exec_sandbox_start_error(sb, err);
    return exec_sandbox_hello(sb, err);
}

uint32_t exec_sandbox_user(const struct sandbox *sb)
{
    return (sb->userns_fd >= 0 ? sb->ids_base : 0) + OCI_SANDBOX_UID;
}

int exec_sandbox_prepare(struct sandbox *sb, isol8_error *err)
{
    return cgroup_exec_create(&sb->cgroup, 1, exec_sandbox_user(sb), &sb->prepared, err);
}

int exec_sandbox_exec_cgroup(struct sandbox *sb, struct cgroup_exec *out, unsigned *number,
                             isol8_error *err)
{
    *number = ++sb->executions;
    if (*number == 1 && sb->prepared.dir_fd >= 0) {
        *out = sb->prepared;
        sb->prepared = (struct cgroup_exec)CGROUP_EXEC_NONE;
        return 0;
    }
    return cgroup_exec_create(&sb->cgroup, *number, exec_sandbox_user(sb), out, err);
}

int exec_sandbox_channel(struct sandbox *sb, isol8_error *err)
{
    int pair[2];

    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
        return err_sys(err, errno, "cannot create a socket pair");
    int r = initlink_channel(sb->socket_fd, pair[1], err);
    (void)fd_close(pair[1]);
    if (r < 0)
        (void)fd_close(pair[0]);
    return r < 0 ? r : pair[0];
}

int exec_sandbox_take(struct sandbox *sb, const struct cgroup_limits *limits, isol8_error *err)
{
    int r = cgroup_set_limits(&sb->cgroup, limits, err);

    if (r == 0)
        sb->state = SANDBOX_BUSY;
    failpoint("limits");
    return r;
}

static bool ends_within(int pidfd, int ms)
{
    struct pollfd end = { .fd = pidfd, .events = POLLIN };
    uint64_t end_ns = clock_now_ns() + (uint64_t)ms * 1000000;
    int r;

    do {
        int64_t left = (int64_t)(end_ns - clock_now_ns()) / 1000000;
        r = poll(&end, 1, left < 0 ? 0 : (int)left);
    } while (r < 0 && errno == EINTR);
    return r > 0;
}

/* The runtime ends when pid 1 does, which was told to, or killed. Who does not obey, and whatever
 * the runtime started after that, is killed by the cgroup; and at last the runtime itself. */
static void end_runtime(struct sandbox *sb)
{
    if (sb->runtime_pidfd < 0)
        return;
    for (int i = 0; i < 2 && !ends_within(sb->runtime_pidfd, failpoint_ms(END_MS)); i++) {
        cgroup_kill(&sb->cgroup);
        if (i == 1)
            proc_kill(sb->runtime_pidfd);
    }
    (void)proc_wait(sb->runtime_pidfd, NULL);
    sb->runtime_pidfd = fd_close(sb->runtime_pidfd);
}

int exec_sandbox_start_error(struct sandbox *sb, isol8_error *err)
{
    char text[400];

    end_runtime(sb); /* then the reason is complete */
    oci_runtime_message(sb->messages_fd, text, sizeof(text));
    return err_set(err, ISOL8_E_RUNTIME, "%s could not start the sandbox: %s",
                   sb->host->runtime.program, text[0] != '\0' ? text : "it gave no reason");
}

void exec_sandbox_close(struct sandbox *sb)
{
    struct init_head head = { .type = INIT_CLOSE };

    if (sb->socket_fd >= 0)
        (void)send(sb->socket_fd, &head, sizeof(head), MSG_NOSIGNAL | MSG_DONTWAIT);
    sb->socket_fd = fd_close(sb->socket_fd); /* its end alone would do as well */
    sb->state = SANDBOX_CLOSING;
    failpoint("closed");
}

/* By its cgroup as well: there may be no word of pid 1 yet, or it was not pid 1 who spoke. */
void exec_sandbox_kill(struct sandbox *sb)
{
    proc_kill(sb->init_pidfd);
    cgroup_kill(&sb->cgroup);
    sb->socket_fd = fd_close(sb->socket_fd);
    sb->state = SANDBOX_CLOSING;
}

static void close_all(struct sandbox *sb)
{
    cgroup_exec_done(&sb->prepared);
    int *fds[] = { &sb->socket_fd,       &sb->init_socket_fd, &sb->messages_fd,
                   &sb->runtime_pidfd,   &sb->init_pidfd,     &sb->userns_fd,
                   &sb->rootfs_idmap_fd, &sb->dir_fd,         &sb->netns_fd };

    for (size_t i = 0; i < ARRAY_LEN(fds); i++)
        *fds[i] = fd_close(*fds[i]);
    cgroup_done(&sb->cgroup);
}

int exec_sandbox_remove(struct sandbox *sb, isol8_error *err)
{
    if (sb->state != SANDBOX_CLOSING)
        exec_sandbox_kill(sb);
    end_runtime(sb);
    failpoint("ended");
    exec_link_close(&sb->link);
    close_all(sb);
    drop_creation_lock(sb);
    int r = sb->id[0] == '\0' ? 0 : exec_sandbox_remove_id(sb->host, sb->id, err);
    sb->lock_fd = fd_close(sb->lock_fd);
    sb->state = SANDBOX_GONE;
    return r;
}

int exec_sandbox_keep(struct sandbox *sb, bool is_strict, isol8_error *err)
{
    int r = exec_record_keep(sb->dir_fd, is_strict, err);

    failpoint("kept");
    if (r == 0)
        r = initlink_keep(sb->socket_fd, err);
    if (r < 0)
        return r;
    exec_link_abandon(&sb->link);
    close_all(sb);
    sb->lock_fd = fd_close(sb->lock_fd); /* the runtime goes on holding it */
    sb->state = SANDBOX_GONE;
    return 0;
}

void exec_sandbox_free(struct sandbox *sb)
{
    if (sb == NULL)
        return;
    if (sb->state != SANDBOX_GONE)
        (void)exec_sandbox_remove(sb, NULL); /* what is left is found by the next reaping */
    netlog_free(sb->link.log);
    oci_image_done(&sb->image);
    free(sb);
}

/* ---- Removal by id -----------------------------------------------------------------------------
 */

static void release_range(struct isol8_host *h, const char *id)
{
    char name[16], target[HOST_ID_SIZE];

    (void)snprintf(name, sizeof(name), "%u", range_of(id));
    ssize_t n = readlinkat(h->ids_fd, name, target, sizeof(target));
    if (n == HOST_ID_SIZE - 1 && memcmp(target, id, (size_t)n) == 0)
        (void)unlinkat(h->ids_fd, name, 0);
}

/* Of two who remove the last children at once, each may find the other's still there, and the lock
 * taken by the other: they take turns. Whoever else holds the lock exclusively comes here itself.
 */
void exec_sandbox_remove_idle_parent(struct isol8_host *h)
{
    char path[160];
    auto_close int turn = openat(h->sandboxes_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (turn >= 0)
        (void)path_lock(turn, true, true);
    (void)snprintf(path, sizeof(path), "%s/lock", h->state_root);
    auto_close int fd = open(path, O_RDWR | O_CLOEXEC);
    if (fd >= 0 && path_lock(fd, true, false) == 0)
        cgroup_remove_parent(h->cgroups, h->cgroup_parent);
}

int exec_sandbox_remove_id(struct isol8_host *h, const char *id, isol8_error *err)
{
    int r = oci_runtime_delete(&h->runtime, id, err);
    if (r < 0) { /* for want of a process, perhaps: what it would do is done here */
        cgroup_kill_all(h->cgroups, h->cgroup_parent, id);
        cgroup_wait_empty(h->cgroups, h->cgroup_parent, id, END_MS);
    }
    int c = cgroup_remove(h->cgroups, h->cgroup_parent, id, r < 0 ? NULL : err);
    if (r < 0 && c == 0) /* nothing runs any more: only its notes are left */
        r = oci_runtime_forget(&h->runtime, id, err);

    exec_sandbox_remove_idle_parent(h);
    failpoint("cgroup-removed");
    if (r < 0 || c < 0)
        return r < 0 ? r : c; /* keep the record: somebody must try again */
    r = path_remove_tree(h->sandboxes_fd, id, err);
    failpoint("directory-removed");
    if (r == 0)
        release_range(h, id);
    return r;
}
