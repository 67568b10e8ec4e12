/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_dns.c - DNS queries: each that can be answered gets an answer of the right shape. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/dns_wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void answer(const uint8_t *query, const struct dns_question *q, size_t cap)
{
    static const uint8_t v4[4] = { 198, 18, 0, 1 }, v6[16] = { 0x20, 1, 0x0d, 0xb8 };
    struct proxy_address addresses[2];
    uint8_t *out = malloc(cap + 1);

    if (out == NULL)
        abort();
    proxy_address_from_v4(v4, &addresses[0]);
    proxy_address_from_v6(v6, &addresses[1]);
    size_t n = dns_write_answer(query, q, q->rcode, addresses, 2, 60, out, cap);
    if (n > cap || (cap >= DNS_UDP_MIN && n < q->question_end))
        abort();
    if (n > 0 && (memcmp(out, query, 2) != 0 || (out[2] & 0x80) == 0))
        abort();
    free(out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct dns_question q;

    if (!dns_parse_query(data, n, &q))
        return 0;
    if (q.question_end > n || q.udp_size < DNS_UDP_MIN || q.udp_size > DNS_MESSAGE_MAX)
        abort();
    if (q.rcode == DNS_RCODE_OK && (q.name.text[0] == '\0' || q.name.is_address))
        abort();
    answer(data, &q, q.udp_size);
    for (size_t cap = 0; cap < 80; cap++)
        answer(data, &q, cap);
    return 0;
}
