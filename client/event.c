/* SPDX-License-Identifier: Apache-2.0 */
/* event.c - JSON of a server: events of a stream, and answers. */
#include "client/event.h"

#include <string.h>

#include "base/mem.h"
#include "base/text.h"

#define NUL_STAND_IN '\xff'

/* Copy @text with each escaped NUL as the byte that stands for it. */
static bool replace_nuls(const char *text, size_t n, struct buf *out)
{
    static const char stand_in = NUL_STAND_IN;
    size_t plain = 0, i = 0;

    while (i < n) {
        bool is_nul = n - i >= 6 && memcmp(text + i, "\\u0000", 6) == 0;
        if (is_nul) {
            (void)buf_add(out, text + plain, i - plain);
            (void)buf_add(out, &stand_in, 1);
            plain = i + 6;
        }
        i += is_nul ? 6 : text[i] == '\\' && i + 1 < n ? 2 : 1;
    }
    return buf_add(out, text + plain, n - plain);
}

int client_json(cJSON **out, const char *text, size_t n, isol8_error *err)
{
    auto_buf struct buf copy = BUF_INIT(n + 1);

    if (memchr(text, '\0', n) != NULL)
        return err_set(err, ISOL8_E_PROTOCOL, "the server's answer is not JSON: it has NUL bytes");
    if (!replace_nuls(text, n, &copy))
        return err_nomem(err);
    if (json_parse(out, buf_text(&copy), copy.len, "the server's answer", err) < 0)
        return err_set(err, ISOL8_E_PROTOCOL, "the server's answer is not JSON");
    return 0;
}

const char *client_json_text(const cJSON *item, size_t *n)
{
    char *text = cJSON_GetStringValue(item);

    *n = text == NULL ? 0 : strlen(text);
    for (size_t i = 0; i < *n; i++) {
        if (text[i] == NUL_STAND_IN)
            text[i] = '\0';
    }
    return text == NULL ? "" : text;
}

bool client_json_error(const char *text, size_t n, struct buf *out)
{
    auto_json cJSON *j = NULL;
    const char *message;

    if (client_json(&j, text, n, NULL) < 0)
        return false;
    message = json_string(j, "error");
    return message != NULL && message[0] != '\0' && buf_adds(out, message);
}

static enum client_event_type type_of(const char *name)
{
    static const char *const names[] = {
        [CLIENT_EVENT_STDOUT] = "stdout",
        [CLIENT_EVENT_STDERR] = "stderr",
        [CLIENT_EVENT_EXIT] = "exit",
        [CLIENT_EVENT_ERROR] = "error",
    };

    for (size_t i = CLIENT_EVENT_STDOUT; name != NULL && i < ARRAY_LEN(names); i++) {
        if (strcmp(name, names[i]) == 0)
            return (enum client_event_type)i;
    }
    return CLIENT_EVENT_OTHER;
}

void client_event_parse(struct client_event *ev, const char *text, size_t n)
{
    const char *phase;
    uint64_t code;

    *ev = (struct client_event){ .type = CLIENT_EVENT_OTHER, .data = "", .exit_code = -1 };
    if (client_json(&ev->json, text, n, NULL) < 0)
        return;
    phase = json_string(ev->json, "phase");
    ev->type = type_of(json_string(ev->json, "type"));
    ev->is_setup = phase != NULL && strcmp(phase, "setup") == 0;
    ev->data = client_json_text(cJSON_GetObjectItemCaseSensitive(ev->json, "data"), &ev->size);
    if (ev->type == CLIENT_EVENT_EXIT && strlen(ev->data) == ev->size &&
        text_parse_u64(ev->data, &code) && code <= 255)
        ev->exit_code = (int)code;
}

void client_event_done(struct client_event *ev)
{
    cJSON_Delete(ev->json);
    ev->json = NULL;
}
