/* SPDX-License-Identifier: Apache-2.0 */
/* fault.h - why a request is refused: the HTTP status, the field, and a sentence. */
#ifndef SERVER_FAULT_H
#define SERVER_FAULT_H

#include <isol8/isol8.h>

struct srv_fault {
    int http;
    char field[128]; /* "" when it is no field's fault */
    char text[512];
};

/** Fill in a fault; control bytes are escaped. @field may be NULL. Return: -1 */
int srv_fault_set(struct srv_fault *f, int http, const char *field, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

/** The fault for what the engine says. Return: -1 */
int srv_fault_of_error(struct srv_fault *f, const isol8_error *err);

#endif
