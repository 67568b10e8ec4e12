/* SPDX-License-Identifier: Apache-2.0 */
/**
 * transfer.h - one GET over HTTP(S) by libcurl, to addresses that are settled beforehand
 *
 * libcurl resolves nothing: it is given the addresses for the host (CURLOPT_RESOLVE), and each
 * socket it asks for is made by remote_open_socket(), which looks at the very address that it is
 * going to be connected to. No redirect is followed, no cookie, no netrc and no proxy of the
 * environment is used, certificates are verified.
 */
#ifndef EXECUTOR_REMOTE_TRANSFER_H
#define EXECUTOR_REMOTE_TRANSFER_H

#include "base/buf.h"
#include "base/curl.h"
#include "executor/remote/resolve.h"
#include "executor/remote/url.h"
#include "proxy/guard.h"

enum {
    REMOTE_HEAD_MAX = 256 << 10, /* bytes of a response's head */
    REMOTE_SKIP_MAX = 64 << 10,  /* bytes of a redirect's body, which nobody reads */
};

/* How far a fetch is; atomic. */
struct remote_progress {
    uint64_t done;  /* bytes as they came */
    uint64_t total; /* 0: unknown */
};

struct remote_transfer_args {
    const struct remote_url *url;
    const struct remote_addresses *addresses; /* the host's, or the upstream proxy's */
    const struct proxy_guard *guard;   /* NULL: none, for the operator's own upstream proxy */
    const struct proxy_host *upstream; /* NULL: direct */
    uint16_t upstream_port;
    const char *ca_file; /* the whole bundle; NULL: libcurl's own */
    uint64_t max_bytes;  /* of the body, as it comes and decoded */
    const struct remote_patience *patience;
    struct remote_progress *progress;
};

struct remote_response {
    long status;
    char *location;  /* owned; where a redirect leads, absolute; NULL: it is none */
    struct buf body; /* of 200 to 299 */
};

/** Return: 0 for every status but those of 200 to 299 whose body cannot be had: ISOL8_E_NETWORK,
 * ISOL8_E_LIMIT, ISOL8_E_POLICY (the guard), ISOL8_E_TIMEOUT, ISOL8_E_CANCELLED,
 * ISOL8_E_UNSUPPORTED. */
int remote_transfer(const struct remote_transfer_args *args, struct remote_response *out,
                    isol8_error *err);
void remote_response_done(struct remote_response *r);
#define auto_remote_response __attribute__((cleanup(remote_response_done)))

/* ---- For the unit test ---- */

struct remote_dialer {
    const struct remote_addresses *addresses;
    const struct proxy_guard *guard; /* NULL: none */
    uint16_t port;
    bool was_refused; /* set: an address was not among them, or the guard is against it */
};

/** CURLOPT_OPENSOCKETFUNCTION; @user is a struct remote_dialer. Return: a socket, or -1. */
int remote_open_socket(void *user, int purpose, struct curl_sockaddr *address);

#endif
