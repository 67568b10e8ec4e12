/* SPDX-License-Identifier: Apache-2.0 */
/**
 * event.h - JSON of a server: events of a stream, and answers
 *
 * Nothing of it is trusted: members may be missing or of any type. Output of a program may hold NUL
 * bytes, which arrive as \u0000 and which cJSON would end a string at; so client_json() puts a byte
 * in their place that no UTF-8 text has, and client_json_text() puts them back.
 */
#ifndef CLIENT_EVENT_H
#define CLIENT_EVENT_H

#include <stdbool.h>
#include <stddef.h>

#include "base/json.h"

#define CLIENT_EVENT_MAX (1u << 22) /* bytes of an event's JSON: what a server of ours sends */

enum client_event_type {
    CLIENT_EVENT_OTHER, /* of a later version, or none at all: to be passed over */
    CLIENT_EVENT_STDOUT,
    CLIENT_EVENT_STDERR,
    CLIENT_EVENT_EXIT,
    CLIENT_EVENT_ERROR,
};

struct client_event {
    enum client_event_type type;
    bool is_setup;    /* of the setup script, not of the program */
    const char *data; /* any bytes; valid until client_event_done() */
    size_t size;
    int exit_code; /* of EXIT: 0 to 255; -1 when @data is no such number */
    cJSON *json;   /* owned */
};

/** Take @text apart, whatever it is; client_event_done() releases what @ev holds. */
void client_event_parse(struct client_event *ev, const char *text, size_t n);
void client_event_done(struct client_event *ev);

/** Parse an answer. Return: 0, ISOL8_E_PROTOCOL, ISOL8_E_NOMEM */
int client_json(cJSON **out, const char *text, size_t n, isol8_error *err);

/** Bytes of a string; "" of anything else. To be asked once for each. */
const char *client_json_text(const cJSON *item, size_t *n);

/** Member "error" of an answer when it is a string with something in it, appended. */
bool client_json_error(const char *text, size_t n, struct buf *out);

#endif
