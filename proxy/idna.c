/* SPDX-License-Identifier: Apache-2.0 */
/* idna.c - internationalised names to ASCII. */
#include "proxy/idna.h"

#include <pthread.h>
#include <stdint.h>
#include <string.h>

#include "base/dl.h"

/* Values of <idn2.h>, part of the library's ABI; the header is not needed to build. */
enum {
    IDN2_OK_ = 0,
    IDN2_NFC_INPUT_ = 1,
    IDN2_NONTRANSITIONAL_ = 8, /* UTS #46, section 4, as browsers do */
};

static struct {
    int (*lookup_u8)(const uint8_t *src, uint8_t **lookupname, int flags);
    void (*free)(void *p);
} lib;
static int load_status;
static pthread_once_t load_once = PTHREAD_ONCE_INIT;

static void load(void)
{
    static const struct dl_symbol symbols[] = {
        { "idn2_lookup_u8", &lib.lookup_u8 },
        { "idn2_free", &lib.free },
        { NULL, NULL },
    };

    load_status = dl_load("libidn2.so.0", symbols, NULL);
}

bool proxy_idna_to_ascii(const char *name, char *out, size_t cap)
{
    uint8_t *ascii = NULL;
    bool ok = false;

    (void)pthread_once(&load_once, load);
    if (load_status < 0)
        return false;

    int r = lib.lookup_u8((const uint8_t *)name, &ascii, IDN2_NFC_INPUT_ | IDN2_NONTRANSITIONAL_);
    if (r != IDN2_OK_ || ascii == NULL)
        return false;

    size_t n = strlen((const char *)ascii);
    if (n < cap) {
        memcpy(out, ascii, n + 1);
        ok = true;
    }
    lib.free(ascii);
    return ok;
}
