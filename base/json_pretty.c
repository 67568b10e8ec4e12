/* SPDX-License-Identifier: Apache-2.0 */
/* json_pretty.c - JSON for people: two spaces of indent, one member a line. */
#include <stdlib.h>

#include "base/json.h"

static void add_indent(struct buf *out, unsigned depth)
{
    (void)buf_adds(out, "\n");
    for (unsigned i = 0; i < depth; i++)
        (void)buf_adds(out, "  ");
}

/* A number, string, boolean or null, escaped by cJSON itself. */
static void add_scalar(struct buf *out, const cJSON *j)
{
    char *text = cJSON_PrintUnformatted(j);

    if (text == NULL)
        out->failed = true;
    else
        (void)buf_adds(out, text);
    cJSON_free(text);
}

static void add_key(struct buf *out, const char *key)
{
    cJSON name = { .type = cJSON_String | cJSON_IsReference };

    name.valuestring = (char *)(key == NULL ? "" : key); /* only read */
    add_scalar(out, &name);
    (void)buf_adds(out, ": ");
}

static void add_value(struct buf *out, const cJSON *j, unsigned depth)
{
    bool is_object = cJSON_IsObject(j);

    if (!is_object && !cJSON_IsArray(j)) {
        add_scalar(out, j);
        return;
    }
    (void)buf_adds(out, is_object ? "{" : "[");
    for (const cJSON *item = j->child; item != NULL && !out->failed; item = item->next) {
        add_indent(out, depth + 1);
        if (is_object)
            add_key(out, item->string);
        add_value(out, item, depth + 1);
        if (item->next != NULL)
            (void)buf_adds(out, ",");
    }
    if (j->child != NULL)
        add_indent(out, depth);
    (void)buf_adds(out, is_object ? "}" : "]");
}

bool json_pretty(const cJSON *j, struct buf *out)
{
    add_value(out, j, 0);
    (void)buf_adds(out, "\n");
    return !out->failed;
}
