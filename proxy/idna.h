/* SPDX-License-Identifier: Apache-2.0 */
/* idna.h - internationalised names to ASCII, by libidn2, loaded on first use. */
#ifndef PROXY_IDNA_H
#define PROXY_IDNA_H

#include <stdbool.h>
#include <stddef.h>

/** @name: UTF-8, NUL-terminated. False when it is no valid IDN, the library is missing, or the
 * result does not fit @cap. Thread-safe. The result is ASCII but otherwise unchecked. */
bool proxy_idna_to_ascii(const char *name, char *out, size_t cap);

#endif
