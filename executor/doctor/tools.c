/* SPDX-License-Identifier: Apache-2.0 */
/* tools.c - the libraries and programs that are used at run time. */
#include <limits.h>
#include <stddef.h>

#include "base/dl.h"
#include "base/mem.h"
#include "executor/doctor/doctor.h"

void doctor_check_libraries(struct doctor *d)
{
    static const struct {
        const char *soname;
        const char *package;
    } needed[] = {
        { "libcrypto.so.3", "libssl3" },
        { "libcurl.so.4", "libcurl4" },
        { "libarchive.so.13", "libarchive13" },
    };
    static const struct dl_symbol nothing[] = { { NULL, NULL } };
    char absent[128] = "", repair[256] = "";

    for (size_t i = 0; i < ARRAY_LEN(needed); i++) {
        if (dl_load(needed[i].soname, nothing, NULL) == 0)
            continue;
        doctor_append(absent, sizeof(absent), ", ", needed[i].soname);
        if (repair[0] == '\0')
            doctor_append(repair, sizeof(repair), "", "apt-get update && apt-get install");
        doctor_append(repair, sizeof(repair), " ", needed[i].package);
    }
    if (absent[0] == '\0')
        doctor_ok(d, "libraries", "libcrypto, libcurl and libarchive can be loaded");
    else
        doctor_warn(d, "libraries", repair, "not there: %s; isol8 setup cannot build images",
                    absent);
}

void doctor_check_image_tools(struct doctor *d)
{
    static const char *const needed[] = { "apt-get", "mmdebstrap" };
    char absent[64] = "", path[PATH_MAX];

    for (size_t i = 0; i < ARRAY_LEN(needed); i++) {
        if (!doctor_find_program(needed[i], path, sizeof(path)))
            doctor_append(absent, sizeof(absent), ", ", needed[i]);
    }
    if (absent[0] == '\0')
        doctor_ok(d, "image-tools", "apt-get and mmdebstrap");
    else
        doctor_warn(d, "image-tools", "apt-get update && apt-get install mmdebstrap",
                    "not there: %s; isol8 setup cannot build images (--image host needs none)",
                    absent);
}

void doctor_check_nftables(struct doctor *d)
{
    static const struct dl_symbol nothing[] = { { NULL, NULL } };

    if (dl_load("libnftables.so.1", nothing, NULL) == 0)
        doctor_ok(d, "nftables", "libnftables.so.1");
    else
        doctor_warn(
            d, "nftables", "apt-get update && apt-get install libnftables1",
            "libnftables.so.1 is not there: no filtered network (--net none and host work)");
}
