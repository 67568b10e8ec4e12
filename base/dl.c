/* SPDX-License-Identifier: Apache-2.0 */
/* dl.c - libraries loaded on first use. */
#include "base/dl.h"

#include <dlfcn.h>
#include <string.h>

int dl_load(const char *soname, const struct dl_symbol *symbols, isol8_error *err)
{
    void *lib = dlopen(soname, RTLD_NOW | RTLD_LOCAL);

    if (lib == NULL)
        return err_set(err, ISOL8_E_UNSUPPORTED, "cannot load %s: %s", soname, dlerror());
    for (; symbols->name != NULL; symbols++) {
        void *address = dlsym(lib, symbols->name);
        if (address == NULL)
            return err_set(err, ISOL8_E_UNSUPPORTED, "%s lacks the function %s", soname,
                           symbols->name);
        memcpy(symbols->slot, &address, sizeof(address));
    }
    return 0;
}
