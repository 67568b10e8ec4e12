/* SPDX-License-Identifier: Apache-2.0 */
/**
 * cgroup.h - limits, counters and killing of a sandbox, on cgroup v1 and hybrid hosts
 *
 * A sandbox's cgroup is <hierarchy>/<parent>/<id> in every hierarchy; the OCI runtime puts the
 * container there. Each execution has a cgroup of its own below it, "x<n>": in the v2 tree of a
 * hybrid host (killed by cgroup.kill, measured by cpu.stat), else in freezer and cpuacct of v1.
 * Every name derives from the parent and the id, so that removal needs no memory.
 */
#ifndef OCI_CGROUP_H
#define OCI_CGROUP_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

enum {
    CGROUP_HIERARCHIES_MAX = 24,
    CGROUP_PATH_MAX = 256, /* bytes of "<parent>/<id>" */
};

enum cgroup_mode { CGROUP_V1, CGROUP_HYBRID };

struct cgroup_host; /* the machine's hierarchies; immutable once made */

/** Find the hierarchies in /proc/self/mountinfo. Return: 0, ISOL8_E_UNSUPPORTED (v2 only, or a
 * needed controller is missing, named), ISOL8_E_SYS. */
int cgroup_host_open(struct cgroup_host **out, isol8_error *err);
void cgroup_host_free(struct cgroup_host *h);
enum cgroup_mode cgroup_host_mode(const struct cgroup_host *h);

struct cgroup {
    const struct cgroup_host *host;
    char path[CGROUP_PATH_MAX]; /* "<parent>/<id>" */
    int memory_fd;              /* directories; -1 until opened */
    int pids_fd;
    int cpu_fd;
    int cpuacct_fd;
    int unified_fd; /* hybrid only */
    int freezer_fd; /* v1 only */
};

#define CGROUP_NONE                                                                                \
    {                                                                                              \
        NULL, "", -1, -1, -1, -1, -1, -1                                                           \
    }

struct cgroup_limits {
    uint64_t memory_bytes; /* 0: none */
    double cpus;           /* 0: none */
    uint64_t pids;         /* 0: none; init not counted */
};

struct cgroup_counters {
    uint64_t oom_kills;
    uint64_t pids_refused;
    uint64_t memory_peak_bytes;
};

/** Make the directories that must exist before the runtime starts, and open them. */
int cgroup_create(struct cgroup *cg, const struct cgroup_host *h, const char *parent,
                  const char *id, isol8_error *err);

/** Directory of the sandbox in one v1 hierarchy, for a bind mount; false when it is not mounted. */
bool cgroup_dir(const struct cgroup *cg, const char *controller, char *out, unsigned cap);

/**
 * Set limits and start the memory peak anew. Done when an execution takes the sandbox, not by the
 * runtime: its own start-up would be measured, and needs more threads and memory than some limits.
 */
int cgroup_set_limits(struct cgroup *cg, const struct cgroup_limits *l, isol8_error *err);

/** Start the memory peak anew. */
void cgroup_reset_peak(struct cgroup *cg);

int cgroup_read_counters(struct cgroup *cg, struct cgroup_counters *out, isol8_error *err);

/** One execution's cgroup: in the v2 tree, or on plain v1 in the freezer's, where CPU time is then
 * the whole sandbox's. */
struct cgroup_exec {
    int dir_fd;
};
#define CGROUP_EXEC_NONE                                                                           \
    {                                                                                              \
        -1                                                                                         \
    }

/**
 * cgroup_exec_create() - Make "x<number>" for processes that @uid may place there
 * @uid: Host id of the sandbox user. It may write cgroup.procs of both the sandbox and the
 *       execution, as clone3(CLONE_INTO_CGROUP) demands; neither is mounted in the sandbox.
 */
int cgroup_exec_create(struct cgroup *cg, unsigned number, uint32_t uid, struct cgroup_exec *out,
                       isol8_error *err);

/** Kill every process in it, now; children forked in the meantime included. */
int cgroup_exec_kill(struct cgroup *cg, struct cgroup_exec *x, isol8_error *err);

/** CPU time of its processes so far, ended ones included, in microseconds. */
uint64_t cgroup_exec_cpu_us(struct cgroup *cg, const struct cgroup_exec *x);

void cgroup_exec_done(struct cgroup_exec *x);

/** Kill every process of the sandbox, whatever cgroup below its own it is in. */
void cgroup_kill(struct cgroup *cg);

/** Remove the directory of execution @number. False while it has living processes. */
bool cgroup_exec_remove(struct cgroup *cg, unsigned number);

/** Close the descriptors; the directories stay. */
void cgroup_done(struct cgroup *cg);

/** SIGKILL to every process below <parent>/<id>, in any hierarchy. For reaping. */
void cgroup_kill_all(const struct cgroup_host *h, const char *parent, const char *id);

/** Wait until <parent>/<id> holds no process, as far as the v2 tree can tell; @ms at most. */
void cgroup_wait_empty(const struct cgroup_host *h, const char *parent, const char *id, int ms);

/** Remove <parent>/<id> with its executions' cgroups everywhere; absent is fine. */
int cgroup_remove(const struct cgroup_host *h, const char *parent, const char *id,
                  isol8_error *err);

/** Remove the parent where it is empty. The caller holds the state root's lock exclusively. */
void cgroup_remove_parent(const struct cgroup_host *h, const char *parent);

#endif
