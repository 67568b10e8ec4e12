/* SPDX-License-Identifier: Apache-2.0 */
/* tls_hello.h - the server name in a TLS ClientHello (RFC 8446, RFC 6066), however it is split. */
#ifndef PROXY_TLS_HELLO_H
#define PROXY_TLS_HELLO_H

#include <stdbool.h>
#include <stddef.h>

#include "proxy/host.h"

enum { PROXY_HELLO_MAX = 64 * 1024 }; /* bytes of records that may be buffered for one hello */

enum tls_hello_result {
    TLS_HELLO_MORE,    /* undecided: more bytes are needed */
    TLS_HELLO_NOT_TLS, /* these bytes do not begin a TLS handshake */
    TLS_HELLO_NO_NAME, /* a complete hello without server_name */
    TLS_HELLO_NAME,    /* *name is filled in */
    TLS_HELLO_BAD,     /* TLS, but malformed, or a name that is not a valid host name */
};

/** Look at the first @n bytes of a connection; handshake messages may span records. */
enum tls_hello_result tls_hello_parse(const void *p, size_t n, struct proxy_host *name);

#endif
