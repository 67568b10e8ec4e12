/* SPDX-License-Identifier: Apache-2.0 */
/**
 * sandbox.h - one isolated place: bundle, container, cgroup, user namespace, init
 *
 * States, what is allowed in each, and who leaves it:
 *
 *   CREATING  the runtime was started; init has not spoken yet. Watch both descriptors; call
 *             exec_sandbox_hello() when the socket is readable. Leaves to READY, or GONE.
 *   READY     init waits, in the pool or for its maker. exec_sandbox_take() sets the limits: BUSY.
 *   BUSY      requests may be sent to init. exec_sandbox_close() or _kill(): CLOSING.
 *             exec_sandbox_keep() lets go of it: GONE for this process, while it goes on.
 *   CLOSING   init is exiting; the runtime removes the container and ends.
 *   GONE      exec_sandbox_remove() has removed everything; only freeing is left.
 *
 * Creation is a series of steps, each recorded or derivable from the id before it is done, so that
 * exec_sandbox_remove_id() can undo any prefix of them, also from another process.
 */
#ifndef EXECUTOR_SANDBOX_H
#define EXECUTOR_SANDBOX_H

#include "executor/egress.h"
#include "executor/host.h"
#include "executor/init/proto.h"
#include "oci/cgroup.h"
#include "oci/rootfs.h"

enum sandbox_state {
    SANDBOX_CREATING,
    SANDBOX_READY,
    SANDBOX_BUSY,
    SANDBOX_CLOSING,
    SANDBOX_GONE,
};

/* What a sandbox is made for; fixed for its whole life. */
struct sandbox_args {
    const char *image; /* "isol8:python", or "host" */
    bool host_network;
    bool is_filtered;
    const struct proxy_rules *rules; /* filtered: outlive the sandbox, or are replaced; NULL:
                                        nothing is allowed until then */
    bool readonly_rootfs;
    uint64_t sandbox_bytes;
    uint64_t tmp_bytes;
    const char *seccomp;       /* JSON, or NULL: unconfined */
    const char *const *layers; /* instead of an image: directories, top first (image builds) */
    size_t n_layers;
};

struct sandbox {
    struct sandbox *next; /* in the pool's lists */
    struct isol8_host *host;
    enum sandbox_state state;
    char id[HOST_ID_SIZE];
    char dir[200];     /* <state>/sandboxes/<id> */
    uint32_t ids_base; /* host id of the sandbox's id 0 */
    int dir_fd;
    int lock_fd;          /* the record, locked */
    int userns_fd;        /* -1 when user namespaces are off */
    int socket_fd;        /* our end of init's socket */
    int init_socket_fd;   /* init's end, until the runtime has it */
    int messages_fd;      /* memfd: what the runtime says */
    int runtime_pidfd;    /* readable: the runtime has ended */
    int init_pidfd;       /* -1 until init has spoken */
    int creation_lock_fd; /* shared lock on the state root, until hello */
    bool has_creation_lock;
    int rootfs_idmap_fd;   /* user namespace for a writable root, else -1 */
    int netns_fd;          /* filtered: its network namespace, else -1 */
    struct exec_link link; /* filtered: its wire and its place in the proxy */
    struct cgroup cgroup;
    unsigned executions;         /* cgroups made for them so far */
    struct cgroup_exec prepared; /* the first one's, made ahead; no directory: none */
    struct oci_stamp stamp;      /* of the image store when it was made */
    struct oci_image image;
    struct oci_rootfs rootfs;
};

/** Start making a sandbox. Return: 0 with it CREATING (the caller frees it), or why not; then
 * nothing is left behind. */
int exec_sandbox_create(struct sandbox **out, struct isol8_host *h, const struct sandbox_args *args,
                        isol8_error *err);

/** Take init's first words: CREATING -> READY. */
int exec_sandbox_hello(struct sandbox *sb, isol8_error *err);

/** Wait for init's first words, or the runtime's failure: CREATING -> READY. */
int exec_sandbox_wait_ready(struct sandbox *sb, int timeout_ms, isol8_error *err);

/** Do ahead what the first execution would have to do. */
int exec_sandbox_prepare(struct sandbox *sb, isol8_error *err);

/** Host id of the user that runs programs in it; its group is OCI_SANDBOX_GID - OCI_SANDBOX_UID
 * above. */
uint32_t exec_sandbox_user(const struct sandbox *sb);

/** The next execution's cgroup, "x<number>". */
int exec_sandbox_exec_cgroup(struct sandbox *sb, struct cgroup_exec *out, unsigned *number,
                             isol8_error *err);

/** One more socket to init, for an execution of its own. Return: our end, or a status. */
int exec_sandbox_channel(struct sandbox *sb, isol8_error *err);

/** Let it outlive this process: the record says so, and init goes on. @is_strict: the built-in
 * seccomp profile is on. BUSY -> GONE. */
int exec_sandbox_keep(struct sandbox *sb, bool is_strict, isol8_error *err);

/** Set the limits and start its counters anew: READY -> BUSY. */
int exec_sandbox_take(struct sandbox *sb, const struct cgroup_limits *limits, isol8_error *err);

/** Why the sandbox did not come up, from the runtime's messages. Return: ISOL8_E_RUNTIME. */
int exec_sandbox_start_error(struct sandbox *sb, isol8_error *err);

/** Ask init to exit: -> CLOSING. */
void exec_sandbox_close(struct sandbox *sb);

/** Kill everything in it at once: -> CLOSING. Works in every state. */
void exec_sandbox_kill(struct sandbox *sb);

/** Wait for the runtime, then remove all that is left: -> GONE. */
int exec_sandbox_remove(struct sandbox *sb, isol8_error *err);

/** Release the memory; a sandbox not yet GONE is killed and removed first. NULL is fine. */
void exec_sandbox_free(struct sandbox *sb);

/**
 * exec_sandbox_remove_id() - Remove whatever exists of sandbox @id
 *
 * The caller made sure that nobody works on it (its record's lock, or ownership). Every step is
 * tried; the first failure is reported, and the record goes last.
 */
int exec_sandbox_remove_id(struct isol8_host *h, const char *id, isol8_error *err);

/** Remove the parent cgroup if it has no child, and nobody is just making one. */
void exec_sandbox_remove_idle_parent(struct isol8_host *h);

/** The range of host ids that belongs to @id. */
uint32_t exec_sandbox_ids_base(const char *id);

#endif
