/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_init_answer.c - packets of a hostile init: what is accepted has the exact form. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "executor/initlink.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct initlink_answer a;

    if (initlink_parse(data, size, &a, NULL) != 1)
        return 0;
    if (a.type == INIT_EXITED) {
        if (size != sizeof(struct init_head) + sizeof(a.exited) ||
            a.exited.stage >= INIT_STAGE__MAX || a.exited.errnum < 0)
            abort();
    } else if (a.type != INIT_DONE || size != sizeof(struct init_head) + sizeof(a.done) ||
               a.done.stage >= INIT_STAGE__MAX || a.done.errnum < 0) {
        abort();
    }
    return 0;
}
