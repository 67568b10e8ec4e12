/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_http1.c - heads and chunked bodies. First byte 'q': a request, else a response to GET. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/http1.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static struct http1_request request;
static struct http1_response response;

/* In one piece and byte by byte the body ends at the same place. */
static void follow_chunks(const char *p, size_t n)
{
    struct http1_chunks whole, bytes;
    bool done = false, byte_done = false;
    long used = 0, r;

    http1_chunks_init(&whole);
    http1_chunks_init(&bytes);
    r = http1_chunks_feed(&whole, p, n, &done);
    for (size_t i = 0; i < n && !byte_done && used >= 0; i++) {
        long one = http1_chunks_feed(&bytes, p + i, 1, &byte_done);
        used = one < 0 ? -1 : used + one;
    }
    if (used != r || done != byte_done || r > (long)n)
        abort();
}

static void check_headers(const struct http1_header *headers, size_t n)
{
    if (n > PROXY_HEADERS_MAX)
        abort();
    for (size_t i = 0; i < n; i++) {
        if (headers[i].name.n == 0 || memchr(headers[i].value.p, '\n', headers[i].value.n) != NULL)
            abort();
        (void)http1_is_hop_by_hop(headers, n, &headers[i]);
    }
}

static void fuzz_request(const char *p, size_t n)
{
    const char *why = NULL;
    long head = http1_parse_request(p, n, &request, &why);

    if (head > (long)n || head > PROXY_HEAD_MAX || (head < 0 && why == NULL))
        abort();
    if (head == 0 && n >= PROXY_HEAD_MAX)
        abort();
    if (head <= 0)
        return;
    check_headers(request.headers, request.n_headers);
    if (request.form != HTTP1_AUTHORITY && request.path.n == 0)
        abort();
    if (request.host.text[0] == '\0' && request.minor > 0)
        abort();
    if (request.framing == HTTP1_CHUNKED)
        follow_chunks(p + head, n - (size_t)head);
    /* Nothing behind the head changes it, and no byte of it can be missing. */
    if (http1_parse_request(p, (size_t)head, &request, &why) != head ||
        http1_parse_request(p, (size_t)head - 1, &request, &why) != 0)
        abort();
}

static void fuzz_response(const char *p, size_t n)
{
    const char *why = NULL;
    long head = http1_parse_response(p, n, "GET", 3, &response, &why);

    if (head > (long)n || (head < 0 && why == NULL))
        abort();
    if (head <= 0)
        return;
    check_headers(response.headers, response.n_headers);
    if (response.keep_alive && response.framing == HTTP1_TO_CLOSE)
        abort();
    if (response.framing == HTTP1_CHUNKED)
        follow_chunks(p + head, n - (size_t)head);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    if (n == 0)
        return 0;
    if (data[0] == 'q')
        fuzz_request((const char *)data + 1, n - 1);
    else
        fuzz_response((const char *)data + 1, n - 1);
    return 0;
}
