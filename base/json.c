/* SPDX-License-Identifier: Apache-2.0 */
/* json.c - cJSON behind our error type. */
#include "base/json.h"

#include <string.h>

#include "base/mem.h"

void json_position(const char *text, size_t offset, unsigned *line, unsigned *column)
{
    *line = 1;
    *column = 1;
    for (size_t i = 0; i < offset; i++) {
        if (text[i] == '\n') {
            (*line)++;
            *column = 1;
        } else {
            (*column)++;
        }
    }
}

int json_parse(cJSON **out, const char *text, size_t n, const char *name, isol8_error *err)
{
    const char *end = text;
    auto_json cJSON *j = cJSON_ParseWithLengthOpts(text, n, &end, false);

    if (j != NULL) {
        while (end < text + n && strchr(" \t\r\n", *end) != NULL && *end != '\0')
            end++;
        if (end == text + n) {
            *out = take_ptr(&j);
            return 0;
        }
    }

    unsigned line, column;
    size_t offset = end >= text && end <= text + n ? (size_t)(end - text) : n;
    json_position(text, offset, &line, &column);
    return err_set(err, ISOL8_E_INVAL, "%s:%u:%u: not valid JSON", name, line, column);
}

const char *json_string(const cJSON *obj, const char *key)
{
    return cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(obj, key));
}
