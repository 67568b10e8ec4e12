/* SPDX-License-Identifier: Apache-2.0 */
/* wslay.c - loads wslay. */
#include "base/wslay.h"

#include <pthread.h>
#include <stddef.h>

#include "base/dl.h"

static struct wslay_lib lib;
static isol8_error load_error;
static int load_status;
static pthread_once_t load_once = PTHREAD_ONCE_INIT;

static void load(void)
{
    static const struct dl_symbol symbols[] = {
        { "wslay_event_context_server_init", &lib.server_init },
        { "wslay_event_context_client_init", &lib.client_init },
        { "wslay_event_context_free", &lib.free },
        { "wslay_event_config_set_max_recv_msg_length", &lib.set_max_recv_msg_length },
        { "wslay_event_config_set_no_buffering", &lib.set_no_buffering },
        { "wslay_event_set_error", &lib.set_error },
        { "wslay_event_recv", &lib.recv },
        { "wslay_event_send", &lib.send },
        { "wslay_event_queue_msg", &lib.queue_msg },
        { "wslay_event_queue_close", &lib.queue_close },
        { "wslay_event_want_read", &lib.want_read },
        { "wslay_event_want_write", &lib.want_write },
        { "wslay_event_get_close_received", &lib.get_close_received },
        { "wslay_event_get_close_sent", &lib.get_close_sent },
        { "wslay_event_get_status_code_received", &lib.get_status_code_received },
        { "wslay_event_get_status_code_sent", &lib.get_status_code_sent },
        { "wslay_event_get_queued_msg_count", &lib.get_queued_msg_count },
        { "wslay_event_get_queued_msg_length", &lib.get_queued_msg_length },
        { NULL, NULL },
    };

    load_status = dl_load("libwslay.so.1", symbols, &load_error);
}

int wslay_lib_get(const struct wslay_lib **out, isol8_error *err)
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
