/* SPDX-License-Identifier: Apache-2.0 */
/* rand.h - identifiers from the kernel's random source. */
#ifndef BASE_RAND_H
#define BASE_RAND_H

#include <stddef.h>

#include "base/err.h"

/** @n lower-case hex digits and a NUL; @n is even and at most 64. */
int rand_hex(char *out, size_t n, isol8_error *err);

#define RAND_UUID_SIZE 37

/** A version 4 UUID (RFC 9562, section 5.4). */
int rand_uuid(char out[RAND_UUID_SIZE], isol8_error *err);

#endif
