/* SPDX-License-Identifier: Apache-2.0 */
/* host.c - open and release the state and data roots. */
#include "executor/host.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/mem.h"
#include "base/path.h"
#include "executor/background.h"
#include "executor/egress.h"
#include "executor/images.h"
#include "executor/keeper.h"
#include "executor/pool.h"
#include "executor/reap.h"
#include "executor/remote/flights.h"

enum { MAKERS_PER_CPU = 3 };

void isol8_host_options_init(isol8_host_options *opts)
{
    *opts = (isol8_host_options){ .size = sizeof(*opts),
                                  .user_namespace = true,
                                  .log_level = ISOL8_LOG_WARN };
}

const char *isol8_version(void)
{
    return ISOL8_VERSION;
}

/* The option, else the variable, else the default; it must be absolute. */
static int choose_root(char **out, const char *name, const char *option, const char *variable,
                       const char *fallback, isol8_error *err)
{
    const char *value = option;

    if (value == NULL || *value == '\0')
        value = getenv(variable);
    if (value == NULL || *value == '\0')
        value = fallback;
    /* Overlay options and the runtime's arguments carry this path: keep it plain and short. */
    if (value[0] != '/' || strpbrk(value, ":,\\\n") != NULL || strlen(value) > 100)
        return err_set(err, ISOL8_E_INVAL,
                       "%s: '%s' must be an absolute path of at most 100 bytes without ':', ',' "
                       "and '\\'",
                       name, value);
    *out = strdup(value);
    return *out == NULL ? err_nomem(err) : 0;
}

static int check_cgroup_parent(const char *name, isol8_error *err)
{
    size_t n = strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./");

    if (*name == '\0' || name[n] != '\0' || n > 100 || name[0] == '/' || name[n - 1] == '/' ||
        strstr(name, "..") != NULL || strstr(name, "//") != NULL)
        return err_set(err, ISOL8_E_INVAL,
                       "cgroupParent: '%s' must be a relative path of letters, digits and '_-./'",
                       name);
    return 0;
}

static int open_state(struct isol8_host *h, isol8_error *err)
{
    int root = open(h->state_root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (root < 0) {
        /* Others must be able to search it: a sandbox's root lies below, owned by another id. */
        int r = path_mkdirs(h->state_root, 0711, err);
        if (r < 0)
            return r;
        root = open(h->state_root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    }
    if (root < 0)
        return err_sys(err, errno, "cannot open the state directory '%s'", h->state_root);

    h->sandboxes_fd = path_mkdir_open(root, "sandboxes", 0711, err);
    if (h->sandboxes_fd >= 0)
        h->ids_fd = path_mkdir_open(root, "ids", 0700, err);
    if (h->ids_fd >= 0) {
        h->lock_fd = openat(root, "lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
        if (h->lock_fd < 0)
            (void)err_sys(err, errno, "cannot open '%s/lock'", h->state_root);
    }
    h->state_fd = root;
    return h->lock_fd < 0 ? ISOL8_E_SYS : 0;
}

/* A state root that others may write to would let them plant records and bundles. */
static int check_state_owner(const struct isol8_host *h, isol8_error *err)
{
    struct stat st;

    if (fstat(h->sandboxes_fd, &st) < 0)
        return err_sys(err, errno, "cannot examine '%s'", h->state_root);
    if (st.st_uid != geteuid() || (st.st_mode & 022) != 0)
        return err_set(err, ISOL8_E_POLICY,
                       "'%s/sandboxes' must belong to the caller and be writable by nobody else",
                       h->state_root);
    return 0;
}

static int fill_host(struct isol8_host *h, const isol8_host_options *o, isol8_error *err)
{
    const char *parent = o->cgroup_parent != NULL ? o->cgroup_parent : "isol8";
    char root[PATH_MAX];

    int r = check_cgroup_parent(parent, err);
    if (r == 0)
        r = choose_root(&h->state_root, "stateRoot", o->state_root, "ISOL8_STATE_ROOT",
                        "/run/isol8", err);
    if (r == 0)
        r = choose_root(&h->data_root, "dataRoot", o->data_root, "ISOL8_DATA_ROOT",
                        "/var/lib/isol8", err);
    if (r < 0)
        return r;

    (void)snprintf(root, sizeof(root), "%s/runc", h->state_root);
    h->runtime_program = strdup(o->runtime != NULL && *o->runtime != '\0' ? o->runtime : "runc");
    h->runtime_root = strdup(root);
    h->cgroup_parent = strdup(parent);
    if (h->runtime_program == NULL || h->runtime_root == NULL || h->cgroup_parent == NULL)
        return err_nomem(err);
    h->runtime = (struct oci_runtime){ .program = h->runtime_program, .root = h->runtime_root };
    h->user_namespace = o->user_namespace;
    h->pool_linger_ms = o->pool_linger_ms < 0 ? 0 : o->pool_linger_ms;
    h->owner_pid = getpid();
    r = exec_egress_new(&h->egress, &o->network, err);
    if (r < 0)
        return r;
    h->log = (struct log){ .fn = o->log, .level = o->log_level, .user = o->log_user };
    return flights_new(&h->flights, exec_egress_settings(h->egress), exec_egress_ca_file(h->egress),
                       h->data_root, &h->log, err);
}

/* Sandboxes that are made at the same time take turns on the processors, and all of them take as
 * long as the last: of a hundred, half are there in half the time when a few are made at once. */
static unsigned makers_max(void)
{
    long cpus = sysconf(_SC_NPROCESSORS_ONLN);

    return cpus < 1 ? MAKERS_PER_CPU : (unsigned)cpus * MAKERS_PER_CPU;
}

int isol8_host_open(isol8_host **out, const isol8_host_options *opts, isol8_error *err)
{
    isol8_host_options defaults;

    if (opts == NULL) {
        isol8_host_options_init(&defaults);
        opts = &defaults;
    }
    if (opts->size != sizeof(*opts))
        return err_set(err, ISOL8_E_INVAL, "host options were not initialised");

    isol8_host *h = calloc(1, sizeof(*h));
    if (h == NULL)
        return err_nomem(err);
    h->state_fd = h->lock_fd = h->sandboxes_fd = h->ids_fd = -1;
    (void)pthread_mutex_init(&h->skeleton_mutex, NULL);
    turns_init(&h->makers, makers_max());

    int r = fill_host(h, opts, err);
    if (r == 0)
        r = open_state(h, err);
    if (r == 0)
        r = check_state_owner(h, err);
    if (r == 0)
        r = oci_store_open(&h->store, h->data_root, err);
    if (r == 0)
        r = exec_images_new(&h->images, err);
    if (r == 0)
        r = cgroup_host_open(&h->cgroups, err);
    if (r == 0)
        r = background_new(&h->background, err);
    if (r == 0)
        r = keeper_new(&h->keeper, err);
    if (r == 0)
        r = pool_new(&h->pool, h, err);
    if (r < 0) {
        isol8_host_free(h);
        return r;
    }
    exec_reap_dead(h);
    *out = h;
    return 0;
}

void isol8_host_free(isol8_host *h)
{
    if (h == NULL)
        return;
    /* A fork's copy: the threads are the parent's, and so is all they look after. */
    if (h->owner_pid != 0 && h->owner_pid != getpid())
        return;
    flights_free(h->flights);
    pool_drain(h->pool);
    keeper_free(h->keeper);
    background_free(h->background);
    pool_free(h->pool);
    exec_egress_free(h->egress);
    exec_images_free(h->images);
    oci_store_free(h->store);
    cgroup_host_free(h->cgroups);
    (void)fd_close(h->state_fd);
    (void)fd_close(h->lock_fd);
    (void)fd_close(h->sandboxes_fd);
    (void)fd_close(h->ids_fd);
    (void)pthread_mutex_destroy(&h->skeleton_mutex);
    turns_done(&h->makers);
    free(h->state_root);
    free(h->data_root);
    free(h->runtime_program);
    free(h->runtime_root);
    free(h->cgroup_parent);
    free(h->skeleton);
    free(h->host_layer);
    free(h);
}
