/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_tls_hello.c - the first bytes of a connection: a verdict never changes as more arrives. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/tls_hello.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct proxy_host name, part_name;
    enum tls_hello_result whole = tls_hello_parse(data, n, &name);

    /* Half of it, and all but a byte, can only be undecided or say the same. */
    const size_t parts[] = { n / 2, n > 0 ? n - 1 : 0 };
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
        enum tls_hello_result part = tls_hello_parse(data, parts[i], &part_name);
        if (part != TLS_HELLO_MORE && part != whole)
            abort();
        if (part == TLS_HELLO_NAME && strcmp(part_name.text, name.text) != 0)
            abort();
    }
    if (whole == TLS_HELLO_MORE && n >= PROXY_HELLO_MAX)
        abort();
    return 0;
}
