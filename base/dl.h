/* SPDX-License-Identifier: Apache-2.0 */
/* dl.h - libraries loaded on first use, so that the program starts in a millisecond. */
#ifndef BASE_DL_H
#define BASE_DL_H

#include "base/err.h"

struct dl_symbol {
    const char *name;
    void *slot; /* address of the function pointer to fill */
};

/**
 * dl_load() - Load a shared library and look its functions up
 * @soname:  For instance "libcurl.so.4"
 * @symbols: Ended by a NULL name
 *
 * The library stays loaded. The caller guards against running this twice at once.
 * Return: 0, or ISOL8_E_UNSUPPORTED naming the library or the function that is missing
 */
int dl_load(const char *soname, const struct dl_symbol *symbols, isol8_error *err);

#endif
