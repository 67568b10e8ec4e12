/* SPDX-License-Identifier: Apache-2.0 */
/**
 * host.h - host names and addresses as a client may write them, in one normal form
 *
 * Rules only ever see a normal form: lower case, no trailing dot, IDNA A-labels, or the canonical
 * text of an address. Everything that an address parser somewhere might take for an address
 * (decimal, octal, hexadecimal, short forms: inet_aton(3)) is recognised as one here.
 */
#ifndef PROXY_HOST_H
#define PROXY_HOST_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

enum {
    PROXY_NAME_MAX = 253,                      /* RFC 1035, 2.3.4: bytes of a name in text form */
    PROXY_LABEL_MAX = 63,                      /* same place: bytes between two dots */
    PROXY_HOST_INPUT_MAX = 4 * PROXY_NAME_MAX, /* bytes as written: UTF-8 before IDNA shortens it */
};

/* An IPv4 or IPv6 address; IPv4-mapped IPv6 is stored as IPv4. */
struct proxy_address {
    sa_family_t family; /* AF_INET or AF_INET6 */
    union {
        struct in_addr v4;
        struct in6_addr v6;
    };
};

struct proxy_host {
    bool is_address;
    struct proxy_address address;  /* when is_address */
    char text[PROXY_NAME_MAX + 1]; /* normal form; of an address without brackets */
};

/**
 * proxy_host_parse() - Normalise @n bytes of a host as written in a URL, Host header, CONNECT
 * target, SNI or DNS question
 *
 * One trailing dot is dropped. An IPv6 address may stand in brackets or without. A name whose last
 * label is a number must be an IPv4 address in one of the forms of inet_aton(3). Names with bytes
 * outside ASCII go through libidn2 (UTS #46, non-transitional) before anything else is decided.
 * Normalising a normal form changes nothing.
 *
 * Return: false when it is not a valid host: empty, too long, bytes outside [A-Za-z0-9._-] that
 * are not UTF-8 of an IDN, empty labels, labels over 63 bytes, NUL, control bytes, userinfo, zone
 * ids, percent-encoding; an IDN while libidn2 is missing. @out is written on success only.
 */
bool proxy_host_parse(const char *s, size_t n, struct proxy_host *out);

/** The host that a literal address is. */
void proxy_host_from_address(const struct proxy_address *a, struct proxy_host *out);

/** "host", "host:port", "[v6]", "[v6]:port" (RFC 3986, 3.2; no userinfo); @default_port when there
 * is none. False as above, or when the port is not 1..65535 or empty. An IPv6 address needs its
 * brackets here. */
bool proxy_authority_parse(const char *s, size_t n, uint16_t default_port, struct proxy_host *host,
                           uint16_t *port);

/** Canonical text of an address (inet_ntop). @cap at least INET6_ADDRSTRLEN. */
void proxy_address_text(const struct proxy_address *a, char *out, size_t cap);

/** From what the kernel's socket calls fill in. False when it is of another family. */
bool proxy_address_from_sockaddr(const struct sockaddr *sa, struct proxy_address *out);

/** From 4 or 16 bytes in network order; IPv4-mapped becomes IPv4. */
void proxy_address_from_v4(const uint8_t bytes[4], struct proxy_address *out);
void proxy_address_from_v6(const uint8_t bytes[16], struct proxy_address *out);

/** The 4 or 16 bytes in network order. */
const uint8_t *proxy_address_bytes(const struct proxy_address *a, size_t *n);

bool proxy_address_equal(const struct proxy_address *a, const struct proxy_address *b);

/** "10.0.0.0/8", "fd00::/8", or a single address, in the canonical forms of inet_pton(3) only; bits
 * behind the prefix are ignored. False when it is none. */
struct proxy_range {
    struct proxy_address first;
    uint8_t bits;
};
bool proxy_range_parse(const char *s, struct proxy_range *out);
bool proxy_range_has(const struct proxy_range *r, const struct proxy_address *a);

#endif
