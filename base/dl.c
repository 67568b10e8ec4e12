/* SPDX-License-Identifier: Apache-2.0 */
/**
 * dl.c - libraries loaded on first use
 *
 * A library is bound to its own functions and those of its dependencies before the program's. The
 * process need not be ours: Node's executable exports c-ares and OpenSSL of other versions, and
 * libcares.so, calling itself through its symbol table, would end up there. Sanitizers refuse this
 * kind of binding, and need their own functions found first.
 */
#include "base/dl.h"

#include <dlfcn.h>
#include <string.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define BIND_TO_ITSELF 0
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define BIND_TO_ITSELF 0
#endif
#endif
#ifndef BIND_TO_ITSELF
#define BIND_TO_ITSELF RTLD_DEEPBIND
#endif

int dl_load(const char *soname, const struct dl_symbol *symbols, isol8_error *err)
{
    void *lib = dlopen(soname, RTLD_NOW | RTLD_LOCAL | BIND_TO_ITSELF);

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
