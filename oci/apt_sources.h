/* SPDX-License-Identifier: Apache-2.0 */
/* apt_sources.h - which of the host's apt sources are Debian's own. */
#ifndef OCI_APT_SOURCES_H
#define OCI_APT_SOURCES_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/err.h"
#include "oci/hosts.h"

enum {
    APT_SOURCES_MAX = 1 << 20, /* bytes of the host's source lists in all */
    APT_CODENAME_SIZE = 32,    /* "bookworm" and NUL */
};

struct apt_sources {
    struct buf list;    /* one-line style */
    struct buf stanzas; /* deb822 style */
};

/**
 * apt_sources_find() - The host's entries for the Debian release it runs
 *
 * Return: 0, ISOL8_E_UNSUPPORTED (no Debian, or no entry), ISOL8_E_LIMIT, ISOL8_E_SYS; @s is to be
 *         released in any case
 */
int apt_sources_find(struct apt_sources *s, char codename[APT_CODENAME_SIZE], isol8_error *err);
void apt_sources_done(struct apt_sources *s);

/** Add the host names of those entries. */
int apt_sources_hosts(struct hosts *out, isol8_error *err);

/**
 * apt_filter_list() - The lines of a one-line-style source list that are for Debian's @codename
 * apt_filter_sources() - The same for deb822 stanzas
 * @strict: Only entries signed by Debian's own keys or by no named key
 *
 * Appends what is kept to @out, which the caller checks.
 */
void apt_filter_list(const char *text, const char *codename, bool strict, struct buf *out);
void apt_filter_sources(const char *text, const char *codename, bool strict, struct buf *out);

/** A file that an entry names: a key, or a list of mirrors. A negative status ends the search. */
typedef int (*apt_file_fn)(const char *path, void *user, isol8_error *err);

/** Call @fn for every absolute path after "signed-by" and "mirror+file:" in @text. */
int apt_named_files(const char *text, apt_file_fn fn, void *user, isol8_error *err);

/** Append @text, with the user names and passwords removed from the addresses in it. */
void apt_without_users(const char *text, struct buf *out);

/** VERSION_CODENAME of an os-release text whose ID is debian. Return: false when it is not. */
bool apt_codename(const char *os_release, char out[APT_CODENAME_SIZE]);

#endif
