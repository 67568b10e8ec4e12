/* SPDX-License-Identifier: Apache-2.0 */
/**
 * message.h - what a client says over WebSocket
 *
 *   {"type":"execute","request":{...},"options"?:{...},"sessionId"?:"...","openStdin"?:true}
 *   {"type":"stdin","data"?:"...","encoding"?:"base64","end"?:true}
 *   {"type":"signal","signal":"SIGINT"|"SIGTERM"}
 */
#ifndef SERVER_MESSAGE_H
#define SERVER_MESSAGE_H

#include "base/json.h"
#include "server/fault.h"

enum message_type { MESSAGE_EXECUTE, MESSAGE_STDIN, MESSAGE_SIGNAL };

enum { MESSAGE_NO_JSON = -2 };

struct message {
    enum message_type type;
    cJSON *json; /* what @data may borrow from; may be taken */
    bool opens_stdin;
    const char *data; /* for stdin; not NULL */
    size_t size;
    void *decoded; /* owned */
    bool is_end;
    int signal;
};

/**
 * message_parse() - Check a message
 * @out: Filled in also on failure: message_done()
 *
 * Return: 0, MESSAGE_NO_JSON, or -1; both with the fault
 */
int message_parse(struct message *out, const char *text, size_t n, struct srv_fault *f);
void message_done(struct message *m);

#endif
