/* SPDX-License-Identifier: Apache-2.0 */
/* host.h - what one machine lends to all engines of a process: roots, store, runtime, cgroups. */
#ifndef EXECUTOR_HOST_H
#define EXECUTOR_HOST_H

#include <pthread.h>

#include "base/log.h"
#include "executor/turns.h"
#include "oci/cgroup.h"
#include "oci/runtime.h"
#include "oci/spec.h"
#include "oci/store.h"

struct isol8_host {
    struct log log;
    char *state_root;
    char *data_root;
    char *runtime_program;
    char *runtime_root; /* <state>/runc */
    char *cgroup_parent;
    bool user_namespace;
    int64_t pool_linger_ms;
    int owner_pid;    /* the process that opened it; a fork's copy is of no use */
    int state_fd;     /* <state> */
    int lock_fd;      /* <state>/lock: shared while a sandbox is being made, exclusive to reap */
    int sandboxes_fd; /* <state>/sandboxes */
    int ids_fd;       /* <state>/ids: which range of host ids is whose */
    struct oci_runtime runtime;
    struct cgroup_host *cgroups;
    struct oci_store *store;
    struct exec_egress *egress; /* the filtered network, see egress.h */
    struct turns makers;        /* sandboxes that runs are making for themselves just now */
    struct background *background;
    struct keeper *keeper;
    struct exec_pool *pool;
    struct flights *flights;        /* fetches of code, see remote/flights.h */
    struct exec_images *images;     /* what is known of the store's images, see images.h */
    pthread_mutex_t skeleton_mutex; /* guards the two paths below */
    char *skeleton;                 /* layer on top of every image, made on first use */
    char *host_layer;               /* layer below it for the image "host", made on first use */
};

struct exec_egress;
struct background;
struct keeper;
struct exec_pool;
struct exec_images;
struct flights;

#define HOST_ID_SIZE 65 /* 64 hex digits and NUL */

/** False in a process that inherited the host by fork(), with the error filled in. */
bool exec_host_is_ours(const struct isol8_host *h, isol8_error *err);

/** Directory with the skeleton layer; made when absent. Borrowed from the host. */
int exec_skeleton(struct isol8_host *h, const char **dir, isol8_error *err);

/** Directory with the mount points for the image "host". Borrowed from the host. */
int exec_host_layer(struct isol8_host *h, const char **dir, isol8_error *err);

/* What the image "host" shows of the machine, each read-only. NULL-terminated. */
struct exec_host_bind {
    const char *path;
    bool is_dir;
};
extern const struct exec_host_bind exec_host_binds[];

#endif
