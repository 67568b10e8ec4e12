/* SPDX-License-Identifier: Apache-2.0 */
/* reply.c - answers that are there at once. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "server/srv.h"

void srv_reply_text(struct srv_call *c, int status, const char *type, const char *text)
{
    buf_clear(&c->reply.body);
    c->reply.status = status;
    c->reply.type = type;
    (void)buf_adds(&c->reply.body, text);
}

void srv_reply_json(struct srv_call *c, int status, const cJSON *j)
{
    auto_free char *text = j == NULL ? NULL : cJSON_PrintUnformatted(j);

    if (text == NULL)
        srv_reply_text(c, 500, "application/json", "{\"error\":\"out of memory\"}");
    else
        srv_reply_text(c, status, "application/json", text);
}

void srv_reply_fault(struct srv_call *c, const struct srv_fault *f)
{
    auto_json cJSON *j = cJSON_CreateObject();

    (void)json_add_text(j, "error", f->text, strlen(f->text));
    if (f->field[0] != '\0')
        (void)json_add_text(j, "field", f->field, strlen(f->field));
    srv_reply_json(c, f->http, j);
    if (f->http == 503 || f->http == 429)
        c->reply.retry_after_s = 1;
}

void srv_reply_error(struct srv_call *c, const isol8_error *err)
{
    struct srv_fault f;

    (void)srv_fault_of_error(&f, err);
    srv_reply_fault(c, &f);
}
