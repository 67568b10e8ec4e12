/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_seccomp_profile.c - custom profiles: what is accepted must be accepted again, unchanged. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "oci/seccomp/seccomp.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    isol8_error err;
    char *once = NULL;
    char *twice = NULL;

    if (oci_seccomp_convert((const char *)data, size, "profile", &once, &err) < 0)
        return 0;
    if (oci_seccomp_convert(once, strlen(once), "profile", &twice, &err) < 0 ||
        strcmp(once, twice) != 0)
        abort();
    free(once);
    free(twice);
    return 0;
}
