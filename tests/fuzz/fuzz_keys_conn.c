/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_keys_conn.c - connection strings: a password is neither in what is shown of them nor in what
 * is said about them, and what is taken from them are whole texts. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "server/keys/conn.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void check_shown(const struct keys_conn *c, const char *text)
{
    const char *start = strstr(text, "://"), *at = strchr(text, '@');

    if (strstr(c->shown, "://") == NULL) /* a file */
        abort();
    if (at != NULL && (at != strrchr(text, '@') || at > start + 3 + strcspn(start + 3, "/?")))
        abort();
    for (const char *p = c->shown; *p != '\0'; p++) {
        if ((unsigned char)*p <= ' ' || *p == 0x7f)
            abort();
    }
    if (at == NULL)
        return;
    const char *colon = memchr(start + 3, ':', (size_t)(at - start - 3));
    const char *shown_at = strchr(c->shown, '@');
    if (colon != NULL && (shown_at - c->shown < 4 || memcmp(shown_at - 4, ":***", 4) != 0))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static const char secret[] = "s3cr3t-w0rd";
    auto_free char *text = malloc(n + 1), *with = malloc(n + sizeof(secret));
    struct keys_conn c;
    isol8_error err;

    if (text == NULL || with == NULL)
        abort();
    if (n > 0)
        memcpy(text, data, n);
    text[n] = '\0';
    if (keys_conn_parse(&c, text, "/home/x", &err) == 0 && c.db != KEYS_SQLITE)
        check_shown(&c, text);
    keys_conn_done(&c);
    /* The same with a word where the password is, or would be if it were encoded. */
    const char *at = strchr(text, '@');
    if (at == NULL || strstr(text, "://") == NULL || strstr(text, "://") > at)
        return 0;
    size_t before = (size_t)(at - text);
    const char *colon = memchr(strstr(text, "://") + 3, ':',
                               (size_t)(at - strstr(text, "://") - 3));
    if (colon == NULL || strncmp(text, "sqlite:", 7) == 0)
        return 0;
    memcpy(with, text, before);
    memcpy(with + before, secret, sizeof(secret) - 1);
    memcpy(with + before + sizeof(secret) - 1, at, strlen(at) + 1);
    err.msg[0] = '\0';
    (void)keys_conn_parse(&c, with, "/home/x", &err);
    if (strstr(err.msg, secret) != NULL || (c.shown != NULL && strstr(c.shown, secret) != NULL))
        abort();
    keys_conn_done(&c);
    return 0;
}
