/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_sizes.c - sizes, numbers and durations of the command line. */
#include <inttypes.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What text_format_size() writes must mean the same bytes again. */
static void check_size(uint64_t bytes)
{
    char text[24];
    uint64_t again;

    text_format_size(bytes, text, sizeof(text));
    /* Above 2^53 the parser's double rounds: the text is then only near. */
    if (!text_parse_size(text, &again) || (bytes < (UINT64_C(1) << 53) && again != bytes))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = malloc(size + 1), number[24];
    uint64_t n;
    double d;

    if (text == NULL)
        abort();
    if (size > 0)
        memcpy(text, data, size);
    text[size] = '\0';
    if (text_parse_size(text, &n)) {
        if (n > INT64_MAX)
            abort();
        check_size(n);
    }
    if (text_parse_u64(text, &n)) {
        (void)snprintf(number, sizeof(number), "%" PRIu64, n);
        if (strcmp(number, text + strspn(text, "0")) != 0 && n != 0)
            abort();
    }
    if (text_parse_decimal(text, &d) && !(d >= 0 && d <= 1e15))
        abort();
    free(text);
    return 0;
}
