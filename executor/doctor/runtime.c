/* SPDX-License-Identifier: Apache-2.0 */
/**
 * runtime.c - is the OCI runtime there, new enough, and without known holes?
 *
 * The version alone is not the answer: a distribution repairs old versions. Where dpkg owns the
 * program, the changelog of the installed revision is read and what it names counts as repaired.
 */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/proc.h"
#include "executor/doctor/doctor.h"

#define CHECK "runc"
#define RUNC_OLDEST "1.1.0" /* errnoRet in seccomp rules, user namespaces given by path */

#define REPAIR_INSTALL "apt-get update && apt-get install runc"
#define REPAIR_UPGRADE                                                                             \
    "apt-get update && apt-get install --only-upgrade runc; where that brings no fix, install "    \
    "runc 1.2.8, 1.3.3 or newer and name it as \"runtime\" in /etc/isol8/config.json"

struct runtime_info {
    char path[PATH_MAX];
    char name[32];
    char version[64];
    char revision[64]; /* of the Debian package; "" when dpkg does not own it */
    bool has_changelog;
    bool repaired[RUNC_HOLES]; /* named in that changelog */
};

static void version_line(const char *line, void *user)
{
    struct runtime_info *info = user;
    char name[32], version[64];

    if (info->name[0] == '\0' && sscanf(line, "%31s version %63s", name, version) == 2) {
        memcpy(info->name, name, sizeof(name));
        memcpy(info->version, version, sizeof(version));
    }
}

static void revision_line(const char *line, void *user)
{
    struct runtime_info *info = user;

    if (info->revision[0] == '\0')
        (void)snprintf(info->revision, sizeof(info->revision), "%s", line);
}

static void changelog_line(const char *line, void *user)
{
    struct runtime_info *info = user;

    for (size_t i = 0; i < RUNC_HOLES; i++) {
        if (strstr(line, runc_holes[i].cve) != NULL)
            info->repaired[i] = true;
    }
}

static int run(const char *const *argv, proc_line_fn line, struct runtime_info *info,
               isol8_error *err)
{
    struct proc_args args = PROC_ARGS_INIT;

    args.file = argv[0];
    args.argv = argv;
    args.cwd = "/";
    return proc_run(&args, line, info, NULL, -1, err);
}

/* Does the package runc own this file? dpkg keeps one list of files per package. */
static bool owned_by_dpkg(const char *path)
{
    char real[PATH_MAX], line[PATH_MAX];
    bool found = false;
    FILE *f = fopen("/var/lib/dpkg/info/runc.list", "re");

    if (f == NULL)
        return false;
    if (realpath(path, real) != NULL) {
        while (!found && fgets(line, sizeof(line), f) != NULL) {
            line[strcspn(line, "\n")] = '\0';
            found = strcmp(line, real) == 0;
        }
    }
    (void)fclose(f);
    return found;
}

static void read_package(struct runtime_info *info)
{
    const char *const query[] = { "dpkg-query", "-W", "-f=${Version}\n", "runc", NULL };
    const char *const zcat[] = { "zcat", "/usr/share/doc/runc/changelog.Debian.gz", NULL };

    if (!owned_by_dpkg(info->path))
        return;
    if (run(query, revision_line, info, NULL) != 0)
        info->revision[0] = '\0';
    info->has_changelog = run(zcat, changelog_line, info, NULL) == 0;
}

/* Sort the holes into texts; returns true if an open one lets code out of a sandbox. */
static bool list_holes(const struct runtime_info *info, char *repaired, char *open, size_t cap)
{
    unsigned long long version = runc_version_number(info->version);
    bool escape = false;

    for (size_t i = 0; i < RUNC_HOLES; i++) {
        if (runc_version_fixes(version, i))
            continue;
        if (info->repaired[i]) {
            doctor_append(repaired, cap, ", ", runc_holes[i].cve);
        } else {
            doctor_append(open, cap, ", ", runc_holes[i].cve);
            escape = escape || runc_holes[i].is_escape;
        }
    }
    return escape;
}

static void report_runc(struct doctor *d, const struct runtime_info *info)
{
    char repaired[160] = "", open[160] = "", by[256] = "", source[160] = "";
    bool escape = list_holes(info, repaired, open, sizeof(open));

    if (repaired[0] != '\0')
        (void)snprintf(by, sizeof(by), "; repaired in revision %s: %s", info->revision, repaired);
    if (info->revision[0] == '\0')
        (void)snprintf(source, sizeof(source), " (no Debian package: judged by its version alone)");
    else if (!info->has_changelog)
        (void)snprintf(source, sizeof(source),
                       " (the changelog of %s is not installed: judged by its version alone)",
                       info->revision);

    if (open[0] == '\0')
        doctor_ok(d, CHECK, "runc %s at %s%s; no known hole is open", info->version, info->path,
                  by);
    else if (escape)
        doctor_fail(d, CHECK, REPAIR_UPGRADE,
                    "runc %s at %s%s; open, and sandboxed code could use it: %s%s", info->version,
                    info->path, by, open, source);
    else
        doctor_warn(d, CHECK, REPAIR_UPGRADE,
                    "runc %s at %s%s; no fix found for %s%s; these need code inside a sandbox "
                    "while runc sets it up, which isol8 never has",
                    info->version, info->path, by, open, source);
}

void doctor_check_runtime(struct doctor *d)
{
    const char *const argv[] = { d->runtime, "--version", NULL };
    struct runtime_info info = { .name = "" };
    isol8_error err = { 0 };

    if (!doctor_find_program(d->runtime, info.path, sizeof(info.path))) {
        doctor_fail(d, CHECK, REPAIR_INSTALL, "there is no program '%s'", d->runtime);
        return;
    }
    int code = run(argv, version_line, &info, &err);
    if (code < 0) {
        doctor_fail(d, CHECK, REPAIR_INSTALL, "%s", err.msg);
    } else if (code != 0 || info.name[0] == '\0') {
        doctor_fail(d, CHECK, REPAIR_INSTALL,
                    "'%s --version' does not say a version (exit code %d)", info.path, code);
    } else if (strcmp(info.name, "runc") != 0) {
        doctor_warn(d, CHECK, "remove \"runtime\" from the configuration to use runc",
                    "%s %s at %s; isol8 is tested with runc", info.name, info.version, info.path);
    } else if (runc_version_number(info.version) < runc_version_number(RUNC_OLDEST)) {
        doctor_fail(d, CHECK, REPAIR_UPGRADE, "runc %s at %s is too old: %s is needed",
                    info.version, info.path, RUNC_OLDEST);
    } else {
        read_package(&info);
        report_runc(d, &info);
    }
}
