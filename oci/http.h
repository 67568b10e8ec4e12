/* SPDX-License-Identifier: Apache-2.0 */
/* http.h - parallel downloads over HTTP(S) by libcurl, loaded on first use. */
#ifndef OCI_HTTP_H
#define OCI_HTTP_H

#include <stdint.h>

#include "base/err.h"
#include "base/hash.h"

enum {
    HTTP_PARALLEL_MAX = 8, /* transfers at the same time */
    HTTP_REDIRECTS_MAX = 5,
    HTTP_TRIES_MAX = 3, /* of one transfer, when the network or the server stumbles */
    HTTP_STALL_S = 30,  /* no byte for so long is a failure */
    HTTP_URL_MAX = 2048,
};

struct http_job {
    const char *url;                /* http: or https: */
    int out_fd;                     /* borrowed; gets the body, from its start */
    uint64_t max_bytes;             /* ceiling of the body */
    long status;                    /* out: HTTP status; the body counts only when it is 200 */
    uint64_t bytes;                 /* out: size of the body */
    uint8_t sha512[HASH_MAX_BYTES]; /* out: digest of the body */
};

struct http_args {
    const char *auth;    /* whole "Authorization: ..." header, or NULL; not sent to other hosts */
    const char *ca_file; /* NULL: the host's */
    int cancel_fd;       /* readable: stop; -1: none */
    /** @total is 0 while unknown. Called a few times a second. May be NULL. */
    void (*progress)(uint64_t done, uint64_t total, void *user);
    void *user;
};

/**
 * http_fetch() - Download all jobs
 *
 * Certificates are always verified; the proxy comes from the environment, as curl reads it. A
 * redirect from https to http is refused. Blocks until all are done or one has failed for good.
 * Return: 0 (each job's @status says how it went), ISOL8_E_NETWORK, ISOL8_E_LIMIT,
 *         ISOL8_E_CANCELLED, ISOL8_E_SYS (for instance a full disk), ISOL8_E_UNSUPPORTED
 */
int http_fetch(struct http_job *jobs, size_t n, const struct http_args *args, isol8_error *err);

/** Copy of @url without user and password, for messages. */
void http_redact(const char *url, char *out, size_t cap);

#endif
