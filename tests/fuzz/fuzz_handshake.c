/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_handshake.c - an answer to the handshake: only one with the right proof is a WebSocket, and
 * more bytes do not change what a complete head said. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "client/handshake.h"

#define ACCEPT "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    const char *text = (const char *)data;
    struct handshake_answer a, again;
    int r = handshake_parse(&a, text, n, ACCEPT, NULL);

    if (r <= 0)
        return 0;
    if (a.status < 0 || a.status > 999 || a.head_size > n || a.head_size > HANDSHAKE_HEAD_MAX + 3 ||
        memcmp(text + a.head_size - 4, "\r\n\r\n", 4) != 0)
        abort();
    if (a.is_websocket && (a.status != 101 || memmem(text, a.head_size, ACCEPT, 28) == NULL))
        abort();
    if (handshake_parse(&again, text, a.head_size, ACCEPT, NULL) != 1 || again.status != a.status ||
        again.is_websocket != a.is_websocket ||
        handshake_parse(&again, text, a.head_size - 1, ACCEPT, NULL) != 0)
        abort();
    return 0;
}
