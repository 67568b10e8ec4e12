/* SPDX-License-Identifier: Apache-2.0 */
/* runc_holes.c - which known holes a version of runc has. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "executor/doctor/doctor.h"

#define V(major, minor, patch, rc)                                                                 \
    ((((major)*1000ull + (minor)) * 1000ull + (patch)) * 1000ull + (rc))
#define RELEASE 999 /* sorts behind every release candidate of the same number */

/* The last four need code that runs in the sandbox's mounts while runc still sets them up. Here
 * nothing does: no rootfs, volume or /dev is shared, there is no console, and a sandbox's first
 * process is our init. That makes them a warning, not a reason to refuse. */
const struct runc_hole runc_holes[RUNC_HOLES] = {
    { "CVE-2024-21626", true },  { "CVE-2024-45310", false }, { "CVE-2025-31133", false },
    { "CVE-2025-52565", false }, { "CVE-2025-52881", false },
};

/* First fixed version of each branch, oldest branch first; 0 ends a list. */
static const unsigned long long fixes[RUNC_HOLES][4] = {
    { V(1, 1, 12, RELEASE) },
    { V(1, 1, 14, RELEASE), V(1, 2, 0, 3) },
    { V(1, 2, 8, RELEASE), V(1, 3, 3, RELEASE), V(1, 4, 0, 3) },
    { V(1, 2, 8, RELEASE), V(1, 3, 3, RELEASE), V(1, 4, 0, 3) },
    { V(1, 2, 8, RELEASE), V(1, 3, 3, RELEASE), V(1, 4, 0, 3) },
};

unsigned long long runc_version_number(const char *version)
{
    unsigned major, minor, patch = 0, rc;
    int n = sscanf(version, "%3u.%3u.%3u", &major, &minor, &patch);

    if (n < 2)
        return 0;
    const char *candidate = strstr(version, "-rc");
    if (candidate == NULL)
        rc = RELEASE;
    else if (sscanf(candidate, "-rc.%3u", &rc) != 1 && sscanf(candidate, "-rc%3u", &rc) != 1)
        rc = 0;
    return V(major, minor, patch, rc);
}

bool runc_version_fixes(unsigned long long version, size_t hole)
{
    const unsigned long long per_branch = 1000ull * 1000ull;
    unsigned long long newest = 0;

    for (const unsigned long long *f = fixes[hole]; f < fixes[hole] + 4 && *f != 0; f++) {
        if (version / per_branch == *f / per_branch && version >= *f)
            return true;
        newest = *f;
    }
    return version >= newest;
}
