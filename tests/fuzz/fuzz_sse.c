/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_sse.c - an event stream means the same however it is cut, and no line is longer than
 * allowed. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "client/sse.h"

#define LINE_MAX_BYTES 32

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void collect(void *user, const char *text, size_t n)
{
    struct buf *out = user;

    if (n > LINE_MAX_BYTES || (n > 0 && memchr(text, '\n', n) != NULL))
        abort();
    if (!buf_add(out, text, n) || !buf_adds(out, "\n"))
        abort();
}

static bool feed(const char *text, size_t n, size_t step, struct buf *out)
{
    struct sse s;
    bool ok = true;

    sse_init(&s, LINE_MAX_BYTES, collect, out);
    for (size_t i = 0; ok && i < n; i += step)
        ok = sse_feed(&s, text + i, n - i < step ? n - i : step);
    if (ok)
        sse_end(&s);
    sse_done(&s);
    return ok;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    auto_buf struct buf whole = BUF_INIT(SIZE_MAX / 2), parts = BUF_INIT(SIZE_MAX / 2);
    const char *text = (const char *)data;

    if (n == 0)
        return 0;
    if (feed(text, n, n, &whole) != feed(text, n, 1 + data[0] % 7, &parts) ||
        whole.len != parts.len || strcmp(buf_text(&whole), buf_text(&parts)) != 0)
        abort();
    return 0;
}
