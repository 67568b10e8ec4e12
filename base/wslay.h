/* SPDX-License-Identifier: Apache-2.0 */
/* wslay.h - the functions of wslay (WebSocket frames, RFC 6455) that server and client use; soname
 * libwslay.so.1. Types and numbers are those of its own header. */
#ifndef BASE_WSLAY_H
#define BASE_WSLAY_H

#include <stdbool.h>
#include <wslay/wslay.h>

#include "base/err.h"

struct wslay_lib {
    int (*server_init)(wslay_event_context_ptr *out, const struct wslay_event_callbacks *callbacks,
                       void *user);
    int (*client_init)(wslay_event_context_ptr *out, const struct wslay_event_callbacks *callbacks,
                       void *user);
    void (*free)(wslay_event_context_ptr ctx);
    void (*set_max_recv_msg_length)(wslay_event_context_ptr ctx, uint64_t bytes);
    void (*set_no_buffering)(wslay_event_context_ptr ctx, int is_on);
    void (*set_error)(wslay_event_context_ptr ctx, int error);
    int (*recv)(wslay_event_context_ptr ctx);
    int (*send)(wslay_event_context_ptr ctx);
    int (*queue_msg)(wslay_event_context_ptr ctx, const struct wslay_event_msg *msg);
    int (*queue_close)(wslay_event_context_ptr ctx, uint16_t code, const uint8_t *reason, size_t n);
    int (*want_read)(wslay_event_context_ptr ctx);
    int (*want_write)(wslay_event_context_ptr ctx);
    int (*get_close_received)(wslay_event_context_ptr ctx);
    int (*get_close_sent)(wslay_event_context_ptr ctx);
    uint16_t (*get_status_code_received)(wslay_event_context_ptr ctx);
    uint16_t (*get_status_code_sent)(wslay_event_context_ptr ctx);
    size_t (*get_queued_msg_count)(wslay_event_context_ptr ctx);
    size_t (*get_queued_msg_length)(wslay_event_context_ptr ctx);
};

/** The loaded functions, or ISOL8_E_UNSUPPORTED when this machine lacks wslay. */
int wslay_lib_get(const struct wslay_lib **out, isol8_error *err);

#endif
