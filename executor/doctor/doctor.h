/* SPDX-License-Identifier: Apache-2.0 */
/**
 * doctor.h - examining the machine, one check per fact a sandbox depends on
 *
 * Whatever can be tried is tried, in a child where it would change this process. A check reports
 * once, what it found and the command that repairs it.
 */
#ifndef EXECUTOR_DOCTOR_DOCTOR_H
#define EXECUTOR_DOCTOR_DOCTOR_H

#include <stddef.h>

#include <isol8/isol8.h>

enum { DOCTOR_TEXT_MAX = 768 };

struct doctor {
    const char *state_root;
    const char *data_root;
    const char *runtime;
    const char *cgroup_parent;
    bool user_namespace;
    void (*report)(const isol8_check *check, void *user);
    void *user;
    int n_failed;
};

void doctor_ok(struct doctor *d, const char *name, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
void doctor_warn(struct doctor *d, const char *name, const char *repair, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
void doctor_fail(struct doctor *d, const char *name, const char *repair, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

/** Append to a text of @cap bytes, with @separator in front unless it is the first. */
void doctor_append(char *text, size_t cap, const char *separator, const char *item);

/** Full path of a program searched in PATH; false when there is none. */
bool doctor_find_program(const char *name, char *out, size_t cap);

/** The longest existing part of @path, for roots not made yet. */
void doctor_existing_part(const char *path, char *out, size_t cap);

/** A whole number in a file such as a sysctl, or @fallback. */
long long doctor_read_number(const char *path, long long fallback);

void doctor_check_privileges(struct doctor *d);
void doctor_check_runtime(struct doctor *d);
void doctor_check_kernel(struct doctor *d);
void doctor_check_seccomp(struct doctor *d);
void doctor_check_user_namespaces(struct doctor *d);
void doctor_check_host_ids(struct doctor *d);
void doctor_check_overlayfs(struct doctor *d);
void doctor_check_cgroup(struct doctor *d);
void doctor_check_swap(struct doctor *d);
void doctor_check_descriptors(struct doctor *d);
void doctor_check_state_root(struct doctor *d);
void doctor_check_data_root(struct doctor *d);
void doctor_check_libraries(struct doctor *d);
void doctor_check_image_tools(struct doctor *d);
void doctor_check_nftables(struct doctor *d);

/* Which holes of runc a version has; a pure function, so that it can be tested. */
enum { RUNC_HOLES = 5 };
struct runc_hole {
    const char *cve;
    bool is_escape; /* code in a sandbox could use it: nothing should run */
};
extern const struct runc_hole runc_holes[RUNC_HOLES];

/** Parse "1.2.0-rc.3" or "1.1.5+ds1"; 0 when it is no version. Higher is newer. */
unsigned long long runc_version_number(const char *version);

/** True when upstream's @version number carries the fix of runc_holes[@hole]. */
bool runc_version_fixes(unsigned long long version, size_t hole);

#endif
