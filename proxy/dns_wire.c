/* SPDX-License-Identifier: Apache-2.0 */
/* dns_wire.c - DNS messages: one question in, one answer out. */
#include "proxy/dns_wire.h"

#include <string.h>

/* RFC 1035, 4.1: header, flags, pointers. RFC 6891, 6.1.2 and 6.1.3: the OPT record. */
enum {
    HEADER_SIZE = 12,
    LABEL_MAX = 63,
    NAME_WIRE_MAX = 255,
    FLAG_QR = 0x8000,
    OPCODE_MASK = 0x7800,
    FLAG_TC = 0x0200,
    FLAG_RD = 0x0100,
    FLAG_RA = 0x0080,
    FLAG_CD = 0x0010,
    RCODE_MASK = 0x000f,
    POINTER = 0xc000,
    RECORD_FIXED = 10, /* type, class, TTL, length */
    OPT_SIZE = 1 + RECORD_FIXED,
    OPT_UDP_SIZE = 1232, /* what we offer to take: fits every path (DNS flag day 2020) */
};

static uint16_t get16(const uint8_t *p)
{
    return (uint16_t)(p[0] << 8 | p[1]);
}

static void put16(uint8_t *p, unsigned v)
{
    p[0] = (uint8_t)(v >> 8);
    p[1] = (uint8_t)v;
}

static void put32(uint8_t *p, uint32_t v)
{
    put16(p, v >> 16);
    put16(p + 2, v & 0xffff);
}

/* A name in its wire form as text with dots. */
struct name_text {
    char text[NAME_WIRE_MAX + 1];
    size_t n;
    bool has_dot; /* inside a label, where the text would hide it */
};

static void add_label(struct name_text *t, const uint8_t *label, size_t n)
{
    if (t->n > 0)
        t->text[t->n++] = '.';
    memcpy(t->text + t->n, label, n);
    t->n += n;
    t->has_dot |= memchr(label, '.', n) != NULL;
}

/* The question's name at @at. Nothing precedes it that a pointer could mean, so there is none.
 * Return: the offset behind it, or 0 when malformed. */
static size_t parse_name(const uint8_t *p, size_t n, size_t at, struct name_text *out)
{
    size_t start = at;

    *out = (struct name_text){ .n = 0 };
    while (at < n && p[at] != 0) {
        size_t len = p[at];
        if (len > LABEL_MAX || len > n - at - 1 || at + 1 + len - start >= NAME_WIRE_MAX)
            return 0;
        add_label(out, p + at + 1, len);
        at += 1 + len;
    }
    return at < n ? at + 1 : 0;
}

/* Behind the name of a record at @at, which may end in a pointer; 0 when malformed. */
static size_t skip_name(const uint8_t *p, size_t n, size_t at)
{
    while (at < n && p[at] != 0 && p[at] <= LABEL_MAX)
        at += 1 + (size_t)p[at];
    if (at >= n)
        return 0;
    if (p[at] == 0)
        return at + 1;
    return p[at] >= (POINTER >> 8) && n - at >= 2 ? at + 2 : 0;
}

static unsigned read_opt(const uint8_t *record, struct dns_question *q)
{
    uint16_t size = get16(record + 2);
    uint8_t version = record[5]; /* in the TTL: extended RCODE, version, flags */

    if (q->has_edns) /* RFC 6891, 6.1.1: at most one */
        return DNS_RCODE_FORMAT;
    q->has_edns = true;
    if (size > q->udp_size)
        q->udp_size = size < DNS_MESSAGE_MAX ? size : DNS_MESSAGE_MAX;
    return version == 0 ? DNS_RCODE_OK : DNS_RCODE_BADVERS;
}

/* Look for OPT in the additional section. Return: an rcode. */
static unsigned parse_additional(const uint8_t *p, size_t n, struct dns_question *q)
{
    unsigned count = get16(p + 10), rcode = DNS_RCODE_OK;
    size_t at = q->question_end;

    if (count > DNS_ADDITIONAL_MAX)
        return DNS_RCODE_FORMAT;
    while (count-- > 0) {
        bool is_root = at < n && p[at] == 0;
        at = skip_name(p, n, at);
        if (at == 0 || n - at < RECORD_FIXED)
            return DNS_RCODE_FORMAT;
        const uint8_t *record = p + at;
        size_t length = get16(record + 8);
        at += RECORD_FIXED;
        if (length > n - at)
            return DNS_RCODE_FORMAT;
        at += length;
        if (get16(record) != DNS_TYPE_OPT)
            continue;
        rcode = is_root ? read_opt(record, q) : DNS_RCODE_FORMAT;
        if (rcode == DNS_RCODE_FORMAT)
            return rcode;
    }
    return rcode;
}

/* Return: an rcode. */
static unsigned parse_question(const uint8_t *p, size_t n, struct dns_question *q,
                               struct name_text *name)
{
    if ((q->flags & OPCODE_MASK) != 0)
        return DNS_RCODE_NOTIMP;
    if (n > DNS_MESSAGE_MAX || get16(p + 4) != 1 || get16(p + 6) != 0 || get16(p + 8) != 0)
        return DNS_RCODE_FORMAT;

    size_t end = parse_name(p, n, HEADER_SIZE, name);
    if (end == 0 || n - end < 4)
        return DNS_RCODE_FORMAT;
    q->type = get16(p + end);
    q->klass = get16(p + end + 2);
    q->question_end = end + 4;
    return DNS_RCODE_OK;
}

bool dns_parse_query(const void *p, size_t n, struct dns_question *out)
{
    const uint8_t *bytes = p;
    struct name_text name;

    *out = (struct dns_question){ .question_end = HEADER_SIZE, .udp_size = DNS_UDP_MIN };
    if (n < HEADER_SIZE)
        return false;
    out->id = get16(bytes);
    out->flags = get16(bytes + 2);
    if ((out->flags & FLAG_QR) != 0)
        return false;

    out->rcode = parse_question(bytes, n, out, &name);
    if (out->rcode == DNS_RCODE_OK)
        out->rcode = parse_additional(bytes, n, out);
    if (out->rcode != DNS_RCODE_OK)
        return true;
    if (out->klass != DNS_CLASS_IN && out->klass != DNS_CLASS_ANY)
        out->rcode = DNS_RCODE_REFUSED;
    else if (name.has_dot || !proxy_host_parse(name.text, name.n, &out->name) ||
             out->name.is_address)
        out->rcode = DNS_RCODE_NXDOMAIN;
    return true;
}

/* The answer being written. */
struct answer {
    uint8_t *p;
    size_t n;
    size_t cap; /* room for the OPT record is taken off */
    unsigned count;
    bool truncated;
};

static void add_record(struct answer *a, const struct dns_question *q,
                       const struct proxy_address *address, uint32_t ttl_s)
{
    size_t n;
    const uint8_t *bytes = proxy_address_bytes(address, &n);
    uint8_t *record = a->p + a->n;

    if (a->cap - a->n < 2 + RECORD_FIXED + n) {
        a->truncated = true;
        return;
    }
    put16(record, POINTER | HEADER_SIZE); /* the question's name */
    put16(record + 2, q->type);
    put16(record + 4, DNS_CLASS_IN);
    put32(record + 6, ttl_s);
    put16(record + 10, (unsigned)n);
    memcpy(record + 12, bytes, n);
    a->n += 2 + RECORD_FIXED + n;
    a->count++;
}

static bool is_of_type(const struct proxy_address *a, unsigned type)
{
    return (type == DNS_TYPE_A && a->family == AF_INET) ||
           (type == DNS_TYPE_AAAA && a->family == AF_INET6);
}

static void add_opt(struct answer *a, unsigned rcode)
{
    uint8_t *record = a->p + a->n;

    memset(record, 0, OPT_SIZE); /* root name, version 0, no flags, no options */
    put16(record + 1, DNS_TYPE_OPT);
    put16(record + 3, OPT_UDP_SIZE);
    record[5] = (uint8_t)(rcode >> 4);
    a->n += OPT_SIZE;
}

size_t dns_write_answer(const void *query, const struct dns_question *q, unsigned rcode,
                        const struct proxy_address *addresses, size_t n_addresses, uint32_t ttl_s,
                        void *out, size_t cap)
{
    struct answer a = { .p = out, .n = q->question_end, .cap = cap };
    size_t reserved = q->has_edns ? OPT_SIZE : 0;
    unsigned flags = FLAG_QR | (q->flags & (OPCODE_MASK | FLAG_RD | FLAG_CD)) | FLAG_RA;

    if (cap < q->question_end + reserved)
        return 0;
    a.cap -= reserved;
    memcpy(a.p, query, q->question_end);
    for (size_t i = 0; rcode == DNS_RCODE_OK && i < n_addresses && !a.truncated; i++) {
        if (is_of_type(&addresses[i], q->type))
            add_record(&a, q, &addresses[i], ttl_s);
    }
    if (q->has_edns)
        add_opt(&a, rcode);
    else if (rcode > RCODE_MASK) /* needs OPT to be said in full */
        rcode = DNS_RCODE_SERVFAIL;

    put16(a.p + 2, flags | (rcode & RCODE_MASK) | (a.truncated ? FLAG_TC : 0u));
    put16(a.p + 4, q->question_end > HEADER_SIZE ? 1 : 0);
    put16(a.p + 6, a.count);
    put16(a.p + 8, 0);
    put16(a.p + 10, q->has_edns ? 1 : 0);
    return a.n;
}
