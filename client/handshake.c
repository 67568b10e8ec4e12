/* SPDX-License-Identifier: Apache-2.0 */
/* handshake.c - the opening handshake of a WebSocket (RFC 6455, section 4), as text. */
#include "client/handshake.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/random.h>

#include "base/hash.h"
#include "base/mem.h"
#include "base/text.h"

static const char guid[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"; /* RFC 6455, section 1.3 */

static int base64(const void *data, size_t n, char *out, size_t cap, isol8_error *err)
{
    auto_buf struct buf text = BUF_INIT(64);

    if (!text_base64(data, n, &text))
        return err_nomem(err);
    (void)snprintf(out, cap, "%s", buf_text(&text));
    return 0;
}

int handshake_key(char key[HANDSHAKE_KEY_SIZE], isol8_error *err)
{
    unsigned char bytes[16];

    if (getrandom(bytes, sizeof(bytes), 0) != (ssize_t)sizeof(bytes))
        return err_set(err, ISOL8_E_SYS, "getrandom failed");
    return base64(bytes, sizeof(bytes), key, HANDSHAKE_KEY_SIZE, err);
}

int handshake_accept(const char *key, char accept[HANDSHAKE_ACCEPT_SIZE], isol8_error *err)
{
    auto_hash struct hash *h = NULL;
    uint8_t digest[HASH_MAX_BYTES];
    size_t n = 0;

    int r = hash_new(&h, HASH_SHA1, err);
    if (r == 0)
        r = hash_update(h, key, strlen(key), err);
    if (r == 0)
        r = hash_update(h, guid, sizeof(guid) - 1, err);
    if (r == 0)
        r = hash_final(h, digest, &n, err);
    return r < 0 ? r : base64(digest, n, accept, HANDSHAKE_ACCEPT_SIZE, err);
}

bool handshake_request(const struct client_address *a, const char *path, const char *authorization,
                       const char *key, struct buf *out)
{
    return buf_addf(out,
                    "GET %s%s HTTP/1.1\r\nHost: %s\r\nUpgrade: websocket\r\n"
                    "Connection: Upgrade\r\nSec-WebSocket-Key: %s\r\n"
                    "Sec-WebSocket-Version: 13\r\nAuthorization: Bearer %s\r\n"
                    "User-Agent: isol8/" ISOL8_VERSION "\r\n\r\n",
                    a->path, path, a->authority, key, authorization);
}

/* ---- The answer ------------------------------------------------------------------------------ */

/* What the headers of an answer have to say about an upgrade. */
struct headers {
    bool upgrades, connects, accepts;
    bool has_extra; /* an extension or a protocol that we did not ask for */
};

/* Whether one of the comma-separated words is @word. */
static bool has_word(const char *list, size_t n, const char *word)
{
    size_t want = strlen(word), i = 0;

    while (i < n) {
        size_t len = 0;
        while (i < n && memchr(" \t,", list[i], 3) != NULL)
            i++;
        while (i + len < n && memchr(" \t,", list[i + len], 3) == NULL)
            len++;
        if (len == want && strncasecmp(list + i, word, len) == 0)
            return true;
        i += len;
    }
    return false;
}

static bool is_named(const char *line, size_t n, const char *name)
{
    return n == strlen(name) && strncasecmp(line, name, n) == 0;
}

static void read_header(struct handshake_answer *answer, struct headers *h, const char *line,
                        size_t n, const char *accept)
{
    const char *colon = memchr(line, ':', n);
    size_t name = colon == NULL ? 0 : (size_t)(colon - line);
    const char *value = line + name + 1;
    size_t len = n - name - 1;
    char digits[12];
    uint64_t size;

    if (name == 0)
        return;
    for (; len > 0 && (*value == ' ' || *value == '\t'); len--)
        value++;
    while (len > 0 && (value[len - 1] == ' ' || value[len - 1] == '\t'))
        len--;
    if (is_named(line, name, "Upgrade")) {
        h->upgrades = has_word(value, len, "websocket");
    } else if (is_named(line, name, "Connection")) {
        h->connects = h->connects || has_word(value, len, "upgrade");
    } else if (is_named(line, name, "Sec-WebSocket-Accept")) {
        h->accepts = len == strlen(accept) && memcmp(value, accept, len) == 0;
    } else if (is_named(line, name, "Sec-WebSocket-Extensions") ||
               is_named(line, name, "Sec-WebSocket-Protocol")) {
        h->has_extra = h->has_extra || len > 0;
    } else if (is_named(line, name, "Content-Length") && len > 0 && len < sizeof(digits)) {
        (void)snprintf(digits, sizeof(digits), "%.*s", (int)len, value);
        answer->body_size = text_parse_u64(digits, &size) ? (size_t)size : 0;
    }
}

/* "HTTP/1.1 101 Switching Protocols" */
static bool read_status(struct handshake_answer *answer, const char *line, size_t n)
{
    if (n < 12 || memcmp(line, "HTTP/1.", 7) != 0 || line[8] != ' ' || line[9] < '1' ||
        line[9] > '9' || !isdigit((unsigned char)line[10]) || !isdigit((unsigned char)line[11]) ||
        (n > 12 && line[12] != ' '))
        return false;
    answer->status = (line[9] - '0') * 100 + (line[10] - '0') * 10 + (line[11] - '0');
    if (n > 13)
        (void)snprintf(answer->reason, sizeof(answer->reason), "%.*s", (int)(n - 13), line + 13);
    return true;
}

static int no_http(isol8_error *err)
{
    return err_set(err, ISOL8_E_PROTOCOL, "the server does not speak HTTP");
}

int handshake_parse(struct handshake_answer *answer, const char *text, size_t n, const char *accept,
                    isol8_error *err)
{
    size_t limit = n < HANDSHAKE_HEAD_MAX ? n : HANDSHAKE_HEAD_MAX;
    const char *end = memmem(text, limit, "\r\n\r\n", 4);
    struct headers h = { 0 };

    *answer = (struct handshake_answer){ .status = 0 };
    if (end == NULL && n >= HANDSHAKE_HEAD_MAX)
        return err_set(err, ISOL8_E_PROTOCOL, "the head of the server's answer is too large");
    if (end == NULL)
        return 0;
    answer->head_size = (size_t)(end - text) + 4;
    if (memchr(text, '\0', answer->head_size) != NULL)
        return no_http(err);
    for (const char *line = text; line < end;) {
        const char *stop = memmem(line, (size_t)(end + 2 - line), "\r\n", 2);
        size_t len = (size_t)(stop - line);
        if (line != text)
            read_header(answer, &h, line, len, accept);
        else if (!read_status(answer, line, len))
            return no_http(err);
        line = stop + 2;
    }
    answer->is_websocket = answer->status == 101 && h.upgrades && h.connects && h.accepts &&
                           !h.has_extra;
    if (answer->status == 101 && !answer->is_websocket)
        return err_set(err, ISOL8_E_PROTOCOL, "the server's WebSocket handshake is not valid");
    return answer->status != 0 ? 1 : no_http(err);
}
