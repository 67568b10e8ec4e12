/* SPDX-License-Identifier: Apache-2.0 */
/* host.c - host names and addresses in one normal form. */
#include "proxy/host.h"

#include <arpa/inet.h>
#include <string.h>

#include "proxy/idna.h"

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* Value of a digit in base 16, or 16. */
static unsigned digit_value(char c)
{
    if (is_digit(c))
        return (unsigned)(c - '0');
    if (c >= 'a' && c <= 'f')
        return (unsigned)(c - 'a') + 10;
    if (c >= 'A' && c <= 'F')
        return (unsigned)(c - 'A') + 10;
    return 16;
}

/* One part of an IPv4 address as inet_aton(3) reads it: 0x for hexadecimal, 0 for octal. */
static bool parse_part(const char *s, size_t n, uint64_t *out)
{
    unsigned base = 10;
    uint64_t v = 0;

    if (n >= 2 && s[0] == '0' && s[1] == 'x') {
        base = 16;
        s += 2;
        n -= 2;
    } else if (n >= 2 && s[0] == '0') {
        base = 8;
        s++;
        n--;
    }
    if (n == 0 && base != 16)
        return false;
    for (size_t i = 0; i < n; i++) {
        unsigned d = digit_value(s[i]);
        if (d >= base || v > UINT32_MAX)
            return false;
        v = v * base + d;
    }
    *out = v;
    return v <= UINT32_MAX;
}

/* Whether a label reads as a number to some parser of addresses: digits, or 0x and hex digits. */
static bool is_number(const char *s, size_t n)
{
    bool is_hex = n >= 2 && s[0] == '0' && s[1] == 'x';

    if (n == 0)
        return false;
    for (size_t i = is_hex ? 2 : 0; i < n; i++) {
        if (digit_value(s[i]) >= (is_hex ? 16u : 10u))
            return false;
    }
    return true;
}

/* The end of the label that begins at @at. */
static size_t label_end(const char *s, size_t n, size_t at)
{
    const char *dot = memchr(s + at, '.', n - at);

    return dot != NULL ? (size_t)(dot - s) : n;
}

/* One to four parts; the last one fills what is left of the 32 bits. */
static bool parse_ipv4(const char *s, size_t n, struct proxy_address *out)
{
    uint64_t parts[4];
    size_t n_parts = 0;
    uint32_t v = 0;

    for (size_t at = 0; at <= n;) {
        size_t end = label_end(s, n, at);
        if (n_parts == 4 || !parse_part(s + at, end - at, &parts[n_parts++]))
            return false;
        at = end + 1;
    }
    for (size_t i = 0; i + 1 < n_parts; i++) {
        if (parts[i] > 255)
            return false;
        v |= (uint32_t)parts[i] << (24 - 8 * i);
    }
    if (parts[n_parts - 1] >> (32 - 8 * (n_parts - 1)) != 0)
        return false;
    v |= (uint32_t)parts[n_parts - 1];
    *out = (struct proxy_address){ .family = AF_INET, .v4.s_addr = htonl(v) };
    return true;
}

static bool parse_ipv6(const char *s, size_t n, struct proxy_address *out)
{
    char text[INET6_ADDRSTRLEN];
    uint8_t bytes[16];

    if (n >= sizeof(text) || memchr(s, '\0', n) != NULL)
        return false;
    memcpy(text, s, n);
    text[n] = '\0';
    if (inet_pton(AF_INET6, text, bytes) != 1)
        return false;
    proxy_address_from_v6(bytes, out);
    return true;
}

void proxy_host_from_address(const struct proxy_address *a, struct proxy_host *out)
{
    *out = (struct proxy_host){ .is_address = true, .address = *a };
    proxy_address_text(a, out->text, sizeof(out->text));
}

/* Copy with ASCII letters lowered. *is_ascii: no byte above 0x7f. False on a byte that no host may
 * have before IDNA. */
static bool lower(const char *s, size_t n, char *out, bool *is_ascii)
{
    *is_ascii = true;
    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)s[i];
        if (c <= ' ' || c == 0x7f)
            return false;
        if (c > 0x7f)
            *is_ascii = false;
        out[i] = c >= 'A' && c <= 'Z' ? (char)(c + ('a' - 'A')) : (char)c;
    }
    out[n] = '\0';
    return true;
}

static bool is_name_byte(char c)
{
    return (c >= 'a' && c <= 'z') || is_digit(c) || c == '-' || c == '_' || c == '.';
}

/* Labels of a lowered name without trailing dot. @last: where the last one begins. */
static bool check_labels(const char *s, size_t n, size_t *last)
{
    for (size_t i = 0; i < n; i++) {
        if (!is_name_byte(s[i]))
            return false;
    }
    for (size_t at = 0; at <= n;) {
        size_t end = label_end(s, n, at);
        if (end == at || end - at > PROXY_LABEL_MAX)
            return false;
        *last = at;
        at = end + 1;
    }
    return true;
}

/* A name, or an IPv4 address in any form. */
static bool parse_name(const char *s, size_t n, struct proxy_host *out)
{
    char raw[PROXY_HOST_INPUT_MAX + 1], name[PROXY_HOST_INPUT_MAX + 1];
    struct proxy_address a;
    bool is_ascii;
    size_t last = 0;

    if (!lower(s, n, raw, &is_ascii))
        return false;
    if (is_ascii)
        memcpy(name, raw, n + 1);
    else if (!proxy_idna_to_ascii(raw, name, sizeof(name)))
        return false;

    size_t len = strlen(name);
    if (len > 0 && name[len - 1] == '.')
        name[--len] = '\0';
    if (len == 0 || len > PROXY_NAME_MAX || !check_labels(name, len, &last))
        return false;
    if (is_number(name + last, len - last)) {
        if (!parse_ipv4(name, len, &a))
            return false;
        proxy_host_from_address(&a, out);
        return true;
    }
    *out = (struct proxy_host){ 0 };
    memcpy(out->text, name, len + 1);
    return true;
}

bool proxy_host_parse(const char *s, size_t n, struct proxy_host *out)
{
    struct proxy_address a;

    if (n == 0 || n > PROXY_HOST_INPUT_MAX)
        return false;
    if (s[0] == '[') {
        if (n < 2 || s[n - 1] != ']' || !parse_ipv6(s + 1, n - 2, &a))
            return false;
    } else if (memchr(s, ':', n) != NULL) {
        if (!parse_ipv6(s, n, &a))
            return false;
    } else {
        return parse_name(s, n, out);
    }
    proxy_host_from_address(&a, out);
    return true;
}

static bool parse_port(const char *s, size_t n, uint16_t *out)
{
    unsigned v = 0;

    if (n == 0 || n > 5)
        return false;
    for (size_t i = 0; i < n; i++) {
        if (!is_digit(s[i]))
            return false;
        v = v * 10 + (unsigned)(s[i] - '0');
    }
    if (v == 0 || v > UINT16_MAX)
        return false;
    *out = (uint16_t)v;
    return true;
}

bool proxy_authority_parse(const char *s, size_t n, uint16_t default_port, struct proxy_host *host,
                           uint16_t *port)
{
    uint16_t number = default_port;
    size_t host_n = n;

    if (n == 0)
        return false;
    if (s[0] == '[') {
        const char *end = memchr(s, ']', n);
        if (end == NULL)
            return false;
        host_n = (size_t)(end - s) + 1;
    } else {
        const char *colon = memchr(s, ':', n);
        if (colon != NULL)
            host_n = (size_t)(colon - s);
    }
    if (host_n < n && (s[host_n] != ':' || !parse_port(s + host_n + 1, n - host_n - 1, &number)))
        return false;
    if (!proxy_host_parse(s, host_n, host))
        return false;
    *port = number;
    return true;
}
