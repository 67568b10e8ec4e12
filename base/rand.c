/* SPDX-License-Identifier: Apache-2.0 */
/* rand.c - identifiers from the kernel's random source. */
#include "base/rand.h"

#include <errno.h>
#include <stdio.h>
#include <sys/random.h>

static int rand_bytes(unsigned char *out, size_t n, isol8_error *err)
{
    if (getrandom(out, n, 0) != (ssize_t)n) /* up to 256 bytes are never cut short */
        return err_sys(err, errno, "cannot read random bytes");
    return 0;
}

static void to_hex(const unsigned char *bytes, size_t n, char *out)
{
    for (size_t i = 0; i < n; i++)
        (void)snprintf(out + 2 * i, 3, "%02x", bytes[i]);
}

int rand_hex(char *out, size_t n, isol8_error *err)
{
    unsigned char bytes[32];

    int r = rand_bytes(bytes, n / 2, err);
    if (r < 0)
        return r;
    to_hex(bytes, n / 2, out);
    return 0;
}

int rand_uuid(char out[RAND_UUID_SIZE], isol8_error *err)
{
    unsigned char b[16];
    char hex[33];

    int r = rand_bytes(b, sizeof(b), err);
    if (r < 0)
        return r;
    b[6] = (unsigned char)((b[6] & 0x0f) | 0x40);
    b[8] = (unsigned char)((b[8] & 0x3f) | 0x80);
    to_hex(b, sizeof(b), hex);
    (void)snprintf(out, RAND_UUID_SIZE, "%.8s-%.4s-%.4s-%.4s-%.12s", hex, hex + 8, hex + 12,
                   hex + 16, hex + 20);
    return 0;
}
