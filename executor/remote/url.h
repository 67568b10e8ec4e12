/* SPDX-License-Identifier: Apache-2.0 */
/**
 * url.h - the address of code, parsed strictly and written anew
 *
 * What is checked and what is fetched must be the same: libcurl never sees the text that somebody
 * gave, only the one made here of its checked parts, in which there is nothing to read in two ways.
 * So these are no addresses: user names and passwords, backslashes, control characters, a host that
 * proxy/host.h does not take. Spaces and characters outside ASCII are percent-encoded in path and
 * query, as browsers do; a fragment is dropped.
 */
#ifndef EXECUTOR_REMOTE_URL_H
#define EXECUTOR_REMOTE_URL_H

#include "proxy/host.h"

enum {
    REMOTE_URL_MAX = 8192, /* bytes of an address as given */
    REMOTE_SCHEME_MAX = 31,
    REMOTE_EXTENSION_MAX = 7, /* ".bash" and some room */
};

struct remote_url {
    char scheme[REMOTE_SCHEME_MAX + 1]; /* lower case; not http or https: the rest is empty */
    struct proxy_host host;
    uint16_t port;                            /* the scheme's own when none was given */
    char *text;                               /* owned: "https://host[:port]/path?query" */
    char extension[REMOTE_EXTENSION_MAX + 1]; /* of the path, with its dot, when it is one of a
                                                 script; else "" */
};

/** White space around it is left out. Return: false when it is no address, or memory is out. @out
 * is written on success only. */
bool remote_url_parse(const char *text, struct remote_url *out);
void remote_url_done(struct remote_url *u);
#define auto_remote_url __attribute__((cleanup(remote_url_done)))

bool remote_url_is_https(const struct remote_url *u);

/** The host as it stands in an address: IPv6 in brackets. @cap at least PROXY_NAME_MAX + 3. */
void remote_url_host(const struct remote_url *u, char *out, size_t cap);

/** Copy of an address for a message: without what stands before an '@' in its authority. */
void remote_url_redact(const char *text, char *out, size_t cap);

#endif
