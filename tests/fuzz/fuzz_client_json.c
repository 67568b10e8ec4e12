/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_client_json.c - events and results of a server, whatever it sends. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "client/event.h"
#include "client/result.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

/* All of the bytes can be read. */
static void touch(const char *text, size_t n)
{
    volatile char last = 0;

    for (size_t i = 0; i <= n; i++)
        last = text[i];
    if (last != '\0')
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    const char *text = (const char *)data;
    auto_buf struct buf why = BUF_INIT(n + 1);
    struct client_event ev;
    struct client_result r;

    client_event_parse(&ev, text, n);
    touch(ev.data, ev.size);
    if (ev.exit_code < -1 || ev.exit_code > 255 ||
        (ev.exit_code >= 0 && ev.type != CLIENT_EVENT_EXIT))
        abort();
    client_event_done(&ev);
    if (client_result_parse(&r, text, n, NULL) == 0) {
        touch(r.out, r.out_size);
        touch(r.err, r.err_size);
        if (r.exit_code < 0 || r.exit_code > 255)
            abort();
    }
    client_result_done(&r);
    (void)client_json_error(text, n, &why);
    return 0;
}
