/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_mask.c - secrets and text from the input: cut or not, the result is the same. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "executor/mask.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { SECRETS = 3 };

/* The input up to a newline, up to three times, is secrets; what follows is the text. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *words[SECRETS] = { NULL };
    isol8_pair pairs[SECRETS] = { { NULL, NULL } };
    struct mask_set *set = NULL;
    struct mask_stream s;
    struct buf whole = BUF_INIT(1 << 24), cut = BUF_INIT(1 << 24);
    const char *text = (const char *)data;
    size_t n = 0;

    for (; n < SECRETS; n++) {
        const char *nl = size > 0 ? memchr(text, '\n', size) : NULL;
        if (nl == NULL)
            break;
        size_t len = (size_t)(nl - text);
        words[n] = calloc(1, len + 1);
        if (words[n] == NULL)
            abort();
        memcpy(words[n], text, len);
        pairs[n] = (isol8_pair){ "K", words[n] };
        size -= (size_t)(nl + 1 - text);
        text = nl + 1;
    }
    if (mask_set_new(&set, pairs, n, NULL) == 0) {
        if (!mask_text(set, text, size, &whole))
            abort();
        mask_stream_init(&s, set);
        for (size_t i = 0; i < size; i += 3) {
            if (!mask_stream_feed(&s, text + i, size - i < 3 ? size - i : 3, false, &cut))
                abort();
        }
        if (!mask_stream_feed(&s, "", 0, true, &cut))
            abort();
        mask_stream_done(&s);
        if (whole.len != cut.len || (whole.len > 0 && memcmp(whole.data, cut.data, cut.len) != 0))
            abort();
        mask_set_free(set);
    }
    buf_done(&whole);
    buf_done(&cut);
    for (size_t i = 0; i < n; i++)
        free(words[i]);
    return 0;
}
