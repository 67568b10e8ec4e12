/* SPDX-License-Identifier: Apache-2.0 */
/**
 * cgroup.c - limits, counters and killing of a sandbox, on cgroup v1 and hybrid hosts
 *
 * Theory of operation. cgroup_host holds one directory descriptor per mounted hierarchy; everything
 * below is reached from there by relative paths. Kernel facts relied on, from
 * Documentation/admin-guide/cgroup-v1/memory.rst and cgroup-v2.rst: memory.limit_in_bytes must be
 * set before memory.memsw.limit_in_bytes; the oom_kill line of memory.oom_control counts kills
 * (memory.failcnt does not); writing 0 to memory.max_usage_in_bytes restarts the peak;
 * clone3(CLONE_INTO_CGROUP) needs the right to write cgroup.procs of the target and of the common
 * ancestor with the caller's cgroup; cgroup.kill also gets what forks meanwhile.
 */
#include "oci/cgroup.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/mem.h"
#include "base/path.h"
#include "base/text.h"

enum {
    MOUNTINFO_MAX = 4 << 20,
    VALUE_MAX = 16384,       /* bytes of a control file */
    CPU_PERIOD_US = 100000,  /* the kernel's own default period */
    CPU_QUOTA_MIN_US = 1000, /* smallest quota the kernel takes */
    KILL_ROUNDS_MAX = 64,    /* freeze, signal, thaw; or signal again what forked meanwhile */
};

struct hierarchy {
    char controllers[64]; /* "cpu,cpuacct", "name=systemd", "" for the v2 tree */
    char mount[128];
    int fd;
    bool is_unified;
};

struct cgroup_host {
    struct hierarchy list[CGROUP_HIERARCHIES_MAX];
    unsigned n;
    enum cgroup_mode mode;
};

/* ---- The machine's hierarchies ----------------------------------------------------------------
 */

static bool has_word(const char *list, const char *word)
{
    size_t n = strlen(word);

    for (const char *p = list; p != NULL; p = strchr(p, ',')) {
        if (*p == ',')
            p++;
        if (strncmp(p, word, n) == 0 && (p[n] == '\0' || p[n] == ','))
            return true;
    }
    return false;
}

static const struct hierarchy *find_controller(const struct cgroup_host *h, const char *controller)
{
    for (unsigned i = 0; i < h->n; i++) {
        if (!h->list[i].is_unified && has_word(h->list[i].controllers, controller))
            return &h->list[i];
    }
    return NULL;
}

static const struct hierarchy *find_unified(const struct cgroup_host *h)
{
    for (unsigned i = 0; i < h->n; i++) {
        if (h->list[i].is_unified)
            return &h->list[i];
    }
    return NULL;
}

/* Of the super options "rw,cpu,cpuacct" keep the controllers. */
static void keep_controllers(const char *super, char *out, size_t cap)
{
    static const char *const options[] = {
        "rw", "ro", "xattr", "noprefix", "clone_children", "cpuset_v2_mode", "release_agent", NULL
    };
    size_t n = 0;

    out[0] = '\0';
    while (*super != '\0') {
        size_t len = strcspn(super, ",");
        bool is_option = false;
        for (const char *const *o = options; *o != NULL; o++)
            is_option = is_option || (len >= strlen(*o) && strncmp(super, *o, strlen(*o)) == 0 &&
                                      (len == strlen(*o) || super[strlen(*o)] == '='));
        if (!is_option && n + len + 2 < cap)
            n += (size_t)snprintf(out + n, cap - n, "%s%.*s", n == 0 ? "" : ",", (int)len, super);
        super += len;
        if (*super == ',')
            super++;
    }
}

/* One line of mountinfo (proc(5)): ... root mount-point ... - type source super-options */
static int add_mount(struct cgroup_host *h, char *line, isol8_error *err)
{
    char point[128], type[16], super[128];
    char *dash = strstr(line, " - ");

    if (dash == NULL || h->n == CGROUP_HIERARCHIES_MAX)
        return 0;
    if (sscanf(dash, " - %15s %*s %127s", type, super) != 2 ||
        sscanf(line, "%*s %*s %*s %*s %127s", point) != 1)
        return 0;
    bool unified = strcmp(type, "cgroup2") == 0;
    if (!unified && strcmp(type, "cgroup") != 0)
        return 0;

    struct hierarchy *hi = &h->list[h->n];
    *hi = (struct hierarchy){ .is_unified = unified };
    if (!unified)
        keep_controllers(super, hi->controllers, sizeof(hi->controllers));
    if (unified ? find_unified(h) != NULL : hi->controllers[0] == '\0')
        return 0;
    for (unsigned i = 0; i < h->n; i++) {
        if (!unified && strcmp(h->list[i].controllers, hi->controllers) == 0)
            return 0; /* the same hierarchy mounted twice */
    }
    (void)snprintf(hi->mount, sizeof(hi->mount), "%s", point);
    hi->fd = open(point, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (hi->fd < 0 && (errno == EMFILE || errno == ENFILE || errno == ENOMEM))
        return err_sys(err, errno, "cannot open '%s'", hi->mount);
    if (hi->fd >= 0) /* else it is mounted over, or not for us */
        h->n++;
    return 0;
}

/* Plain v1 is rare by now; the crash tests' build can be told to do without the v2 tree. */
static bool wants_v1(void)
{
#ifdef ISOL8_FAILPOINTS
    return getenv("ISOL8_CGROUP_V1") != NULL;
#else
    return false;
#endif
}

static int check_controllers(struct cgroup_host *h, isol8_error *err)
{
    static const char *const needed[] = { "memory", "cpu", "pids" };
    const struct hierarchy *unified = find_unified(h);

    if (find_controller(h, "memory") == NULL && unified != NULL)
        return err_set(err, ISOL8_E_UNSUPPORTED,
                       "this machine has cgroup v2 only, which this build does not support yet");
    for (size_t i = 0; i < ARRAY_LEN(needed); i++) {
        if (find_controller(h, needed[i]) == NULL)
            return err_set(err, ISOL8_E_UNSUPPORTED,
                           "no cgroup hierarchy with the '%s' controller is mounted: limits cannot "
                           "be enforced",
                           needed[i]);
    }
    h->mode = unified != NULL && !wants_v1() ? CGROUP_HYBRID : CGROUP_V1;
    if (h->mode == CGROUP_V1 && find_controller(h, "freezer") == NULL)
        return err_set(err, ISOL8_E_UNSUPPORTED,
                       "neither the cgroup v2 tree nor the v1 freezer is mounted: executions could "
                       "not be killed reliably");
    return 0;
}

int cgroup_host_open(struct cgroup_host **out, isol8_error *err)
{
    auto_buf struct buf text = BUF_INIT(0);
    struct cgroup_host *h = calloc(1, sizeof(*h));

    if (h == NULL)
        return err_nomem(err);
    int r = path_read(AT_FDCWD, "/proc/self/mountinfo", MOUNTINFO_MAX, &text, err);
    if (r == 0) {
        char *save = NULL;
        for (char *line = strtok_r(text.data, "\n", &save); r == 0 && line != NULL;
             line = strtok_r(NULL, "\n", &save))
            r = add_mount(h, line, err);
    }
    if (r == 0)
        r = check_controllers(h, err);
    if (r < 0) {
        cgroup_host_free(h);
        return r;
    }
    *out = h;
    return 0;
}

void cgroup_host_free(struct cgroup_host *h)
{
    if (h == NULL)
        return;
    for (unsigned i = 0; i < h->n; i++)
        (void)fd_close(h->list[i].fd);
    free(h);
}

enum cgroup_mode cgroup_host_mode(const struct cgroup_host *h)
{
    return h->mode;
}

/* ---- A sandbox's directories ------------------------------------------------------------------
 */

/* Every directory above the last name in @path. */
static int make_parents(int fd, const char *path)
{
    char part[CGROUP_PATH_MAX];

    (void)snprintf(part, sizeof(part), "%s", path);
    for (char *p = strchr(part, '/'); p != NULL; p = strchr(p + 1, '/')) {
        *p = '\0';
        int r = mkdirat(fd, part, 0755) < 0 && errno != EEXIST ? -errno : 0;
        *p = '/';
        if (r < 0)
            return r;
    }
    return 0;
}

/* Make @path below @fd; its parent may vanish in between, when another sandbox was its last. */
static int make_leaf(int fd, const char *path)
{
    for (int tries = 0; tries < 16; tries++) {
        if (mkdirat(fd, path, 0755) == 0 || errno == EEXIST)
            return 0;
        if (errno != ENOENT)
            return -errno;
        int r = make_parents(fd, path);
        if (r < 0 && r != -ENOENT)
            return r;
    }
    return -ENOENT;
}

static int open_leaf(const struct cgroup *cg, const struct hierarchy *hi, int *out,
                     isol8_error *err)
{
    int r = make_leaf(hi->fd, cg->path);

    if (r < 0)
        return err_sys(err, -r, "cannot create cgroup '%s/%s'", hi->mount, cg->path);
    *out = openat(hi->fd, cg->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (*out < 0)
        return err_sys(err, errno, "cannot open cgroup '%s/%s'", hi->mount, cg->path);
    return 0;
}

int cgroup_create(struct cgroup *cg, const struct cgroup_host *h, const char *parent,
                  const char *id, isol8_error *err)
{
    const struct {
        const struct hierarchy *hi;
        int *fd;
    } wanted[] = {
        { find_controller(h, "memory"), &cg->memory_fd },
        { find_controller(h, "cpu"), &cg->cpu_fd },
        { find_controller(h, "pids"), &cg->pids_fd },
        { find_unified(h), &cg->unified_fd },
        { h->mode == CGROUP_V1 ? find_controller(h, "freezer") : NULL, &cg->freezer_fd },
        { h->mode == CGROUP_V1 ? find_controller(h, "cpuacct") : NULL, &cg->cpuacct_fd },
    };

    *cg = (struct cgroup)CGROUP_NONE;
    cg->host = h;
    (void)snprintf(cg->path, sizeof(cg->path), "%s/%s", parent, id);
    for (size_t i = 0; i < ARRAY_LEN(wanted); i++) {
        if (wanted[i].hi == NULL)
            continue;
        int r = open_leaf(cg, wanted[i].hi, wanted[i].fd, err);
        if (r < 0)
            return r;
    }
    return 0;
}

bool cgroup_dir(const struct cgroup *cg, const char *controller, char *out, unsigned cap)
{
    const struct hierarchy *hi = find_controller(cg->host, controller);

    return hi != NULL && (unsigned)snprintf(out, cap, "%s/%s", hi->mount, cg->path) < cap;
}

void cgroup_done(struct cgroup *cg)
{
    cg->memory_fd = fd_close(cg->memory_fd);
    cg->pids_fd = fd_close(cg->pids_fd);
    cg->cpu_fd = fd_close(cg->cpu_fd);
    cg->cpuacct_fd = fd_close(cg->cpuacct_fd);
    cg->unified_fd = fd_close(cg->unified_fd);
    cg->freezer_fd = fd_close(cg->freezer_fd);
}

/* ---- Limits and counters -----------------------------------------------------------------------
 */

static int write_number(int dir, const char *name, uint64_t value, isol8_error *err)
{
    char text[24];

    (void)snprintf(text, sizeof(text), "%" PRIu64, value);
    return path_write_value(dir, name, text, err);
}

static bool host_swaps(void)
{
    char line[256];
    FILE *f = fopen("/proc/swaps", "re");
    unsigned lines = 0;

    while (f != NULL && fgets(line, sizeof(line), f) != NULL)
        lines++;
    if (f != NULL)
        (void)fclose(f);
    return lines > 1; /* the first line is the heading */
}

static int set_memory(struct cgroup *cg, uint64_t bytes, isol8_error *err)
{
    int r = write_number(cg->memory_fd, "memory.limit_in_bytes", bytes, err);

    if (r < 0)
        return r;
    if (faccessat(cg->memory_fd, "memory.memsw.limit_in_bytes", W_OK, 0) == 0)
        return write_number(cg->memory_fd, "memory.memsw.limit_in_bytes", bytes, err);
    if (host_swaps())
        return err_set(err, ISOL8_E_UNSUPPORTED,
                       "swap cannot be limited: boot with swapaccount=1, or switch swap off");
    return 0;
}

static int set_cpu(struct cgroup *cg, double cpus, isol8_error *err)
{
    uint64_t quota = (uint64_t)(cpus * CPU_PERIOD_US);

    if (quota < CPU_QUOTA_MIN_US)
        quota = CPU_QUOTA_MIN_US;
    return write_number(cg->cpu_fd, "cpu.cfs_quota_us", quota, err);
}

int cgroup_set_limits(struct cgroup *cg, const struct cgroup_limits *l, isol8_error *err)
{
    int r = 0;

    if (l->memory_bytes > 0)
        r = set_memory(cg, l->memory_bytes, err);
    if (r == 0 && l->cpus > 0)
        r = set_cpu(cg, l->cpus, err);
    if (r == 0 && l->pids > 0)
        r = write_number(cg->pids_fd, "pids.max", l->pids + 1, err);
    if (r == 0)
        r = write_number(cg->memory_fd, "memory.max_usage_in_bytes", 0, err);
    return r < 0 ? err_wrap(err, r, "cannot set the sandbox's limits") : 0;
}

/* Number behind @key at the start of a line ("oom_kill 3"), or the whole file for "". */
static uint64_t read_counter(int dir, const char *name, const char *key)
{
    char text[1024];
    size_t n = strlen(key);
    auto_close int fd = openat(dir, name, O_RDONLY | O_CLOEXEC);
    ssize_t got = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
    uint64_t value = 0;

    if (got <= 0)
        return 0;
    text[got] = '\0';
    for (char *p = text; p != NULL; p = strchr(p, '\n')) {
        if (*p == '\n')
            p++;
        if (strncmp(p, key, n) == 0 && sscanf(p + n, "%" SCNu64, &value) == 1)
            return value;
    }
    return 0;
}

void cgroup_reset_peak(struct cgroup *cg)
{
    (void)write_number(cg->memory_fd, "memory.max_usage_in_bytes", 0, NULL);
}

int cgroup_read_counters(struct cgroup *cg, struct cgroup_counters *out, isol8_error *err)
{
    if (faccessat(cg->memory_fd, "memory.oom_control", F_OK, 0) < 0)
        return err_sys(err, errno, "cgroup '%s' is gone", cg->path);
    out->oom_kills = read_counter(cg->memory_fd, "memory.oom_control", "oom_kill ");
    out->pids_refused = read_counter(cg->pids_fd, "pids.events", "max ");
    out->memory_peak_bytes = read_counter(cg->memory_fd, "memory.max_usage_in_bytes", "");
    return 0;
}

/* ---- One execution -----------------------------------------------------------------------------
 */

static int open_exec_dir(int parent, const char *name, int *out, isol8_error *err)
{
    if (mkdirat(parent, name, 0755) < 0)
        return err_sys(err, errno, "cannot create an execution's cgroup");
    *out = openat(parent, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return *out < 0 ? err_sys(err, errno, "cannot open an execution's cgroup") : 0;
}

int cgroup_exec_create(struct cgroup *cg, unsigned number, uint32_t uid, struct cgroup_exec *out,
                       isol8_error *err)
{
    char name[16];
    int parent = cg->host->mode == CGROUP_HYBRID ? cg->unified_fd : cg->freezer_fd;

    *out = (struct cgroup_exec)CGROUP_EXEC_NONE;
    (void)snprintf(name, sizeof(name), "x%u", number);
    int r = open_exec_dir(parent, name, &out->dir_fd, err);
    if (r == 0 && (fchownat(parent, "cgroup.procs", uid, -1, 0) < 0 ||
                   fchownat(out->dir_fd, "cgroup.procs", uid, -1, 0) < 0))
        r = err_sys(err, errno, "cannot hand over an execution's cgroup");
    if (r < 0)
        cgroup_exec_done(out);
    return r;
}

/* Signal every process listed in @dir's cgroup.procs. Return: how many. */
static unsigned signal_procs(int dir)
{
    auto_buf struct buf text = BUF_INIT(0);
    unsigned n = 0;

    if (path_read(dir, "cgroup.procs", 1 << 20, &text, NULL) < 0 || text.len == 0)
        return 0;
    char *save = NULL;
    for (char *p = strtok_r(text.data, "\n", &save); p != NULL; p = strtok_r(NULL, "\n", &save)) {
        uint64_t pid;
        if (text_parse_u64(p, &pid) && pid > 1 && pid <= INT32_MAX) {
            (void)kill((pid_t)pid, SIGKILL);
            n++;
        }
    }
    return n;
}

int cgroup_exec_kill(struct cgroup *cg, struct cgroup_exec *x, isol8_error *err)
{
    bool hybrid = cg->host->mode == CGROUP_HYBRID;
    const char *freezer = hybrid ? "cgroup.freeze" : "freezer.state";

    /* cgroup.kill came with Linux 5.14. */
    if (hybrid && faccessat(x->dir_fd, "cgroup.kill", W_OK, 0) == 0)
        return path_write_value(x->dir_fd, "cgroup.kill", "1", err);

    /* Frozen processes cannot fork, so one pass reaches all; they die when they are thawed. */
    int r = path_write_value(x->dir_fd, freezer, hybrid ? "1" : "FROZEN", err);
    if (r == 0) {
        (void)signal_procs(x->dir_fd);
        r = path_write_value(x->dir_fd, freezer, hybrid ? "0" : "THAWED", err);
    }
    return r;
}

uint64_t cgroup_exec_cpu_us(struct cgroup *cg, const struct cgroup_exec *x)
{
    if (cg->host->mode == CGROUP_HYBRID)
        return read_counter(x->dir_fd, "cpu.stat", "usage_usec ");
    return read_counter(cg->cpuacct_fd, "cpuacct.usage", "") / 1000;
}

void cgroup_exec_done(struct cgroup_exec *x)
{
    x->dir_fd = fd_close(x->dir_fd);
}

bool cgroup_exec_remove(struct cgroup *cg, unsigned number)
{
    int parent = cg->host->mode == CGROUP_HYBRID ? cg->unified_fd : cg->freezer_fd;
    char name[16];

    (void)snprintf(name, sizeof(name), "x%u", number);
    return unlinkat(parent, name, AT_REMOVEDIR) == 0 || errno != EBUSY;
}

/* ---- Removal by name ----------------------------------------------------------------------------
 */

static bool is_child_group(const struct dirent *e)
{
    return e->d_type == DT_DIR && e->d_name[0] != '.';
}

/* Call @fn for @path and for every cgroup below it, children first. */
static int each_group(int root, const char *path, unsigned depth,
                      int (*fn)(int root, const char *path))
{
    int fd = openat(root, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    const struct dirent *e;
    int r = 0;

    if (fd < 0)
        return errno == ENOENT ? 0 : -errno;
    DIR *dir = fdopendir(fd);
    if (dir == NULL) {
        (void)fd_close(fd);
        return -ENOMEM;
    }
    while (depth < 8 && (e = readdir(dir)) != NULL) {
        char child[CGROUP_PATH_MAX + 64];
        if (!is_child_group(e) ||
            snprintf(child, sizeof(child), "%s/%s", path, e->d_name) >= (int)sizeof(child))
            continue;
        int c = each_group(root, child, depth + 1, fn);
        if (r == 0)
            r = c;
    }
    (void)closedir(dir);
    int own = fn(root, path);
    return r == 0 ? own : r;
}

/* The kernel's own way gets what forks meanwhile, too; it came with Linux 5.14, in the v2 tree. */
static void kill_dir(int dir)
{
    if (path_write_value(dir, "cgroup.kill", "1", NULL) == 0)
        return;
    for (int round = 0; round < KILL_ROUNDS_MAX; round++) {
        if (signal_procs(dir) == 0)
            break;
    }
}

static int kill_group(int root, const char *path)
{
    auto_close int fd = openat(root, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (fd >= 0)
        kill_dir(fd);
    return 0;
}

void cgroup_kill(struct cgroup *cg)
{
    if (cg->unified_fd >= 0)
        kill_dir(cg->unified_fd);
    else if (cg->pids_fd >= 0)
        kill_dir(cg->pids_fd);
}

static int remove_group(int root, const char *path)
{
    return unlinkat(root, path, AT_REMOVEDIR) == 0 || errno == ENOENT ? 0 : -errno;
}

void cgroup_kill_all(const struct cgroup_host *h, const char *parent, const char *id)
{
    char path[CGROUP_PATH_MAX];

    (void)snprintf(path, sizeof(path), "%s/%s", parent, id);
    for (unsigned i = 0; i < h->n; i++)
        (void)each_group(h->list[i].fd, path, 0, kill_group);
}

/* Documentation/admin-guide/cgroup-v2.rst: a change of cgroup.events polls as an exception. */
void cgroup_wait_empty(const struct cgroup_host *h, const char *parent, const char *id, int ms)
{
    const struct hierarchy *hi = find_unified(h);
    char path[CGROUP_PATH_MAX + 16], text[256];
    uint64_t end_ns = clock_now_ns() + (uint64_t)ms * 1000000;

    (void)snprintf(path, sizeof(path), "%s/%s/cgroup.events", parent, id);
    auto_close int fd = hi == NULL ? -1 : openat(hi->fd, path, O_RDONLY | O_CLOEXEC);
    struct pollfd p = { .fd = fd, .events = POLLPRI };
    for (uint64_t now = clock_now_ns(); fd >= 0 && now < end_ns; now = clock_now_ns()) {
        ssize_t n = pread(fd, text, sizeof(text) - 1, 0);
        text[n > 0 ? n : 0] = '\0';
        if (strstr(text, "populated 1") == NULL)
            return;
        (void)poll(&p, 1, (int)((end_ns - now) / 1000000) + 1);
    }
}

int cgroup_remove(const struct cgroup_host *h, const char *parent, const char *id, isol8_error *err)
{
    char path[CGROUP_PATH_MAX];
    int r = 0;

    (void)snprintf(path, sizeof(path), "%s/%s", parent, id);
    for (unsigned i = 0; i < h->n; i++) {
        int one = each_group(h->list[i].fd, path, 0, remove_group);
        if (one < 0 && r == 0)
            r = err_sys(err, -one, "cannot remove cgroup '%s/%s'", h->list[i].mount, path);
    }
    return r;
}

void cgroup_remove_parent(const struct cgroup_host *h, const char *parent)
{
    for (unsigned i = 0; i < h->n; i++)
        (void)unlinkat(h->list[i].fd, parent, AT_REMOVEDIR); /* not empty: others are at work */
}
