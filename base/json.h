/* SPDX-License-Identifier: Apache-2.0 */
/* json.h - cJSON behind our error type; every JSON text of the product goes through here. */
#ifndef BASE_JSON_H
#define BASE_JSON_H

#include <cjson/cJSON.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/err.h"

static inline void json_free_p(cJSON **j)
{
    cJSON_Delete(*j);
}
#define auto_json __attribute__((cleanup(json_free_p)))

/**
 * json_parse() - Parse one whole JSON text
 * @name: What the text is, for the message ("isol8.config.json")
 *
 * Nothing but white space may follow; nesting is bounded by cJSON (1000).
 * Return: 0, or ISOL8_E_INVAL with "NAME:LINE:COLUMN: ..." as the message
 */
int json_parse(cJSON **out, const char *text, size_t n, const char *name, isol8_error *err);

/** Line and column (from 1) of byte @offset in @text. */
void json_position(const char *text, size_t offset, unsigned *line, unsigned *column);

/** Add @n bytes as a string member: invalid UTF-8 becomes U+FFFD, and NUL, which cJSON's own
 * strings cannot hold, becomes \\u0000. False when memory is out. */
bool json_add_text(cJSON *obj, const char *key, const char *text, size_t n);

/** Append the bytes as a JSON string with its quotes, in the same way. */
bool json_put_text(struct buf *out, const char *text, size_t n);

/** True when a string of the JSON @text has an escaped NUL: cJSON would silently end it there. */
bool json_has_escaped_nul(const char *text, size_t n);

/** Member @key of @obj when it is a string, else NULL. */
const char *json_string(const cJSON *obj, const char *key);

/** Append @j with two spaces of indent and a final newline. Return: false when @out has failed. */
bool json_pretty(const cJSON *j, struct buf *out);

#endif
