/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_code_url.c - addresses of code and the shorthands: what is accepted stays what it is when it
 * is parsed again, and has nothing in it that could be read in two ways. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "cli/code_url.h"
#include "executor/remote/url.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void check_text(const struct remote_url *u)
{
    const char *host = strstr(u->text, "://");

    for (const char *p = u->text; *p != '\0'; p++) {
        if ((unsigned char)*p <= 0x20 || (unsigned char)*p >= 0x7f ||
            strchr("\\\"<>#{}|^`", *p) != NULL)
            abort();
    }
    if (host == NULL || u->port == 0 || memchr(host, '@', 3 + strcspn(host + 3, "/?")) != NULL)
        abort();
}

static void check_url(const char *text)
{
    auto_remote_url struct remote_url u = { .text = NULL }, again = { .text = NULL };

    if (!remote_url_parse(text, &u))
        return;
    if (strcmp(u.scheme, "http") != 0 && strcmp(u.scheme, "https") != 0) {
        if (u.text != NULL)
            abort();
        return;
    }
    check_text(&u);
    if (strlen(u.text) > REMOTE_URL_MAX)
        return; /* encoded, it may be longer than what is taken */
    if (!remote_url_parse(u.text, &again) || strcmp(u.text, again.text) != 0 ||
        u.port != again.port || strcmp(u.host.text, again.host.text) != 0 ||
        strcmp(u.extension, again.extension) != 0)
        abort();
}

/* A shorthand leads to its host and nowhere else. */
static void check_short(char *url, const char *host)
{
    auto_free char *owned = url;
    auto_remote_url struct remote_url u = { .text = NULL };

    if (owned == NULL || strlen(owned) > REMOTE_URL_MAX)
        return;
    if (!remote_url_parse(owned, &u) || strcmp(u.host.text, host) != 0 || u.port != 443 ||
        strcmp(u.text, owned) != 0 || strchr(owned, '?') != NULL || strstr(owned, "/../") != NULL)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    auto_free char *text = malloc(n + 1);
    const char *why = NULL;
    char shown[64];

    if (text == NULL)
        abort();
    if (n > 0)
        memcpy(text, data, n);
    text[n] = '\0';
    check_url(text);
    check_short(code_url_github(text, &why), "raw.githubusercontent.com");
    check_short(code_url_gist(text, &why), "gist.githubusercontent.com");
    (void)code_url_ref_is_ambiguous(text);
    free(code_url_path(text));
    remote_url_redact(text, shown, sizeof(shown));
    return 0;
}
