/* SPDX-License-Identifier: Apache-2.0 */
/* dns_wire.h - DNS messages (RFC 1035, RFC 6891): one question in, one answer out. */
#ifndef PROXY_DNS_WIRE_H
#define PROXY_DNS_WIRE_H

#include <stddef.h>
#include <stdint.h>

#include "proxy/host.h"

enum {
    DNS_MESSAGE_MAX = 4096, /* longer queries are answered with FORMAT */
    DNS_UDP_MIN = 512,      /* RFC 1035, 2.3.4: what every client takes by UDP */
    DNS_ADDITIONAL_MAX = 8, /* records behind the question that are looked through */
    DNS_TYPE_A = 1,
    DNS_TYPE_AAAA = 28,
    DNS_TYPE_OPT = 41,
    DNS_TYPE_HTTPS = 65,
    DNS_CLASS_IN = 1,
    DNS_CLASS_ANY = 255,
    DNS_RCODE_OK = 0,
    DNS_RCODE_FORMAT = 1,
    DNS_RCODE_SERVFAIL = 2,
    DNS_RCODE_NXDOMAIN = 3,
    DNS_RCODE_NOTIMP = 4,
    DNS_RCODE_REFUSED = 5,
    DNS_RCODE_BADVERS = 16, /* RFC 6891, 9 */
};

/* @rcode is not 0 when the query is to be answered with it at once: FORMAT for malformed ones,
 * NOTIMP for the opcode, REFUSED for the class, BADVERS for the EDNS version, NXDOMAIN for a name
 * that is no host name (the root; bytes other than letters, digits, '-' and '_'; a dot inside a
 * label) or that reads as an address, in which case @name is set all the same. */
struct dns_question {
    uint16_t id;
    uint16_t flags;
    uint16_t type;
    uint16_t klass;
    struct proxy_host name; /* unset (empty text) unless the question has a valid host name */
    size_t question_end;    /* offset behind the question section; 12: it is not echoed */
    unsigned rcode;
    bool has_edns;     /* the answer has an OPT record, too */
    uint16_t udp_size; /* what the client takes by UDP: DNS_UDP_MIN to DNS_MESSAGE_MAX */
};

/** False when the bytes are not even a query whose id could be answered: shorter than a header, or
 * an answer. */
bool dns_parse_query(const void *p, size_t n, struct dns_question *out);

/**
 * dns_write_answer() - Write the answer: header, the question as it came, address records
 * @query:     The bytes that @q was parsed from
 * @rcode:     What to answer; records are written with DNS_RCODE_OK only
 * @addresses: Those of the question's type (A or AAAA) are written; none: NODATA (RFC 2308, 2.2)
 * @cap:       By UDP at most q->udp_size; records that do not fit set TC
 *
 * Return: its length, or 0 when @cap does not even hold header and question
 */
size_t dns_write_answer(const void *query, const struct dns_question *q, unsigned rcode,
                        const struct proxy_address *addresses, size_t n_addresses, uint32_t ttl_s,
                        void *out, size_t cap);

#endif
