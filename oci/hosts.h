/* SPDX-License-Identifier: Apache-2.0 */
/* hosts.h - a set of host names: where package managers download from, without credentials. */
#ifndef OCI_HOSTS_H
#define OCI_HOSTS_H

#include <stddef.h>

#include "base/json.h"

enum { HOSTS_MAX = 64, HOSTS_NAME_MAX = 253 };

struct hosts {
    char name[HOSTS_MAX][HOSTS_NAME_MAX + 1]; /* lower-case, sorted, no duplicates */
    size_t n;
};

/** Add the host of an http or https address; anything else, and what exceeds the set, is ignored.
 */
void hosts_add_url(struct hosts *h, const char *url, size_t n);

/** Add the host of every http(s) address in @text, which words end by white space or quotes. */
void hosts_add_text(struct hosts *h, const char *text);

/** Add the hosts of pip's configuration: index and links options, or else its built-in index. */
void hosts_add_pip(struct hosts *h);

/** Add the host of Deno's own registry. */
void hosts_add_jsr(struct hosts *h);

/** The set as a JSON array in text form, returned; NULL when memory is out. */
char *hosts_json(const struct hosts *h);

#endif
