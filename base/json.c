/* SPDX-License-Identifier: Apache-2.0 */
/* json.c - cJSON behind our error type. */
#include "base/json.h"

#include <stdint.h>
#include <string.h>

#include "base/mem.h"
#include "base/text.h"

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

static void add_escaped(struct buf *out, unsigned char c)
{
    switch (c) {
    case '"':
        (void)buf_adds(out, "\\\"");
        break;
    case '\\':
        (void)buf_adds(out, "\\\\");
        break;
    case '\n':
        (void)buf_adds(out, "\\n");
        break;
    case '\t':
        (void)buf_adds(out, "\\t");
        break;
    case '\r':
        (void)buf_adds(out, "\\r");
        break;
    default:
        (void)buf_addf(out, "\\u%04x", c);
    }
}

bool json_put_text(struct buf *out, const char *text, size_t n)
{
    auto_buf struct buf clean = BUF_INIT(SIZE_MAX / 2);
    size_t plain = 0;

    if (!text_utf8_clean(text, n, &clean))
        return false;
    (void)buf_adds(out, "\"");
    for (size_t i = 0; i < clean.len; i++) {
        unsigned char c = (unsigned char)clean.data[i];
        if (c >= 0x20 && c != '"' && c != '\\' && c != 0x7f)
            continue;
        (void)buf_add(out, clean.data + plain, i - plain);
        add_escaped(out, c);
        plain = i + 1;
    }
    if (clean.len > plain)
        (void)buf_add(out, clean.data + plain, clean.len - plain);
    return buf_adds(out, "\"");
}

bool json_add_text(cJSON *obj, const char *key, const char *text, size_t n)
{
    auto_buf struct buf quoted = BUF_INIT(SIZE_MAX / 2);

    return json_put_text(&quoted, text, n) && cJSON_AddRawToObject(obj, key, quoted.data) != NULL;
}

bool json_has_escaped_nul(const char *text, size_t n)
{
    for (size_t i = 0; i + 1 < n; i++) {
        if (text[i] != '\\')
            continue;
        if (n - i >= 6 && memcmp(text + i, "\\u0000", 6) == 0)
            return true;
        i++; /* what is escaped begins no escape of its own */
    }
    return false;
}
