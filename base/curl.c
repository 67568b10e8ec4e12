/* SPDX-License-Identifier: Apache-2.0 */
/* curl.c - loads libcurl. */
#include "base/curl.h"

#include <pthread.h>
#include <stddef.h>

#include "base/dl.h"

static struct curl_lib lib;
static isol8_error load_error;
static int load_status;
static pthread_once_t load_once = PTHREAD_ONCE_INIT;

static void load(void)
{
    static const struct dl_symbol symbols[] = {
        { "curl_global_init", &lib.global_init },
        { "curl_easy_init", &lib.easy_init },
        { "curl_easy_cleanup", &lib.easy_cleanup },
        { "curl_easy_setopt", &lib.easy_setopt },
        { "curl_easy_getinfo", &lib.easy_getinfo },
        { "curl_easy_send", &lib.easy_send },
        { "curl_easy_recv", &lib.easy_recv },
        { "curl_easy_strerror", &lib.easy_strerror },
        { "curl_slist_append", &lib.slist_append },
        { "curl_slist_free_all", &lib.slist_free_all },
        { "curl_multi_init", &lib.multi_init },
        { "curl_multi_cleanup", &lib.multi_cleanup },
        { "curl_multi_add_handle", &lib.multi_add_handle },
        { "curl_multi_remove_handle", &lib.multi_remove_handle },
        { "curl_multi_perform", &lib.multi_perform },
        { "curl_multi_poll", &lib.multi_poll },
        { "curl_multi_info_read", &lib.multi_info_read },
        { NULL, NULL },
    };

    load_status = dl_load("libcurl.so.4", symbols, &load_error);
    if (load_status == 0 && lib.global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
        load_status = err_set(&load_error, ISOL8_E_UNSUPPORTED, "libcurl cannot be initialised");
}

int curl_lib_get(const struct curl_lib **out, isol8_error *err)
{
    (void)pthread_once(&load_once, load);
    if (load_status < 0) {
        if (err != NULL)
            *err = load_error;
        return load_status;
    }
    *out = &lib;
    return 0;
}
