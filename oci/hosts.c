/* SPDX-License-Identifier: Apache-2.0 */
/* hosts.c - a set of host names. */
#include "oci/hosts.h"

#include <ctype.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/path.h"

enum { PIP_CONF_MAX = 64 * 1024 };

static void insert(struct hosts *h, const char *name)
{
    size_t i = 0;

    while (i < h->n && strcmp(h->name[i], name) < 0)
        i++;
    if (h->n == HOSTS_MAX || (i < h->n && strcmp(h->name[i], name) == 0))
        return;
    memmove(h->name[i + 1], h->name[i], (h->n - i) * sizeof(h->name[0]));
    memcpy(h->name[i], name, strlen(name) + 1);
    h->n++;
}

void hosts_add_url(struct hosts *h, const char *url, size_t n)
{
    char name[HOSTS_NAME_MAX + 1];
    size_t skip = n >= 8 && strncasecmp(url, "https://", 8) == 0  ? 8
                  : n >= 7 && strncasecmp(url, "http://", 7) == 0 ? 7
                                                                  : 0;

    if (skip == 0)
        return;
    const char *start = url + skip, *end = start;
    while (end < url + n && strchr("/?#", *end) == NULL)
        end++;
    for (const char *p = start; p < end; p++) { /* user and password, which may hold an "@" */
        if (*p == '@')
            start = p + 1;
    }
    const char *port = memchr(start, ':', (size_t)(end - start));
    size_t len = (size_t)((port != NULL && *start != '[' ? port : end) - start);
    if (len == 0 || len > HOSTS_NAME_MAX)
        return;
    for (size_t i = 0; i < len; i++) {
        if (!isalnum((unsigned char)start[i]) && strchr("-._", start[i]) == NULL)
            return; /* also address literals of version 6: no name to allow */
        name[i] = (char)tolower((unsigned char)start[i]);
    }
    name[len] = '\0';
    insert(h, name);
}

void hosts_add_text(struct hosts *h, const char *text)
{
    for (const char *p = text; (p = strcasestr(p, "http")) != NULL;) {
        size_t n = strcspn(p, " \t\r\n\"'<>,;");
        hosts_add_url(h, p, n);
        p += n > 0 ? n : 1;
    }
}

/* ---- pip ------------------------------------------------------------------------------------- */

/* "index-url = ..." and its relatives; what stands on the lines after it belongs to it. */
static bool pip_line(const char *line, bool *inside)
{
    static const char *const keys[] = { "index-url", "extra-index-url", "find-links", "index" };

    if (isspace((unsigned char)line[0]))
        return *inside;
    *inside = false;
    for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
        size_t n = strlen(keys[i]);
        if (strncmp(line, keys[i], n) == 0 && strchr(" \t=:", line[n]) != NULL)
            *inside = true;
    }
    return *inside;
}

static void add_pip_file(struct hosts *h, const char *path, bool *has_index)
{
    auto_buf struct buf text = BUF_INIT(PIP_CONF_MAX);
    bool inside = false;

    if (path_read(AT_FDCWD, path, PIP_CONF_MAX, &text, NULL) < 0 || text.len == 0)
        return; /* absent, as a rule */
    for (char *line = text.data, *next; line != NULL; line = next) {
        next = strchr(line, '\n');
        if (next != NULL)
            *next++ = '\0';
        if (pip_line(line, &inside)) {
            if (strncmp(line, "index-url", 9) == 0)
                *has_index = true;
            hosts_add_text(h, line);
        }
    }
}

void hosts_add_pip(struct hosts *h)
{
    static const char *const variables[] = { "PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL",
                                             "PIP_FIND_LINKS" };
    const char *home = getenv("HOME"), *conf = getenv("PIP_CONFIG_FILE");
    char path[PATH_MAX];
    bool has_index = getenv("PIP_INDEX_URL") != NULL;

    for (size_t i = 0; i < ARRAY_LEN(variables); i++) {
        const char *value = getenv(variables[i]);
        if (value != NULL)
            hosts_add_text(h, value);
    }
    add_pip_file(h, "/etc/pip.conf", &has_index);
    add_pip_file(h, "/etc/xdg/pip/pip.conf", &has_index);
    if (home != NULL) {
        (void)snprintf(path, sizeof(path), "%s/.pip/pip.conf", home);
        add_pip_file(h, path, &has_index);
        (void)snprintf(path, sizeof(path), "%s/.config/pip/pip.conf", home);
        add_pip_file(h, path, &has_index);
    }
    if (conf != NULL)
        add_pip_file(h, conf, &has_index);
    if (!has_index) {
        /* pip's own default. In pieces: the project's rule is that no registry is named in its
         * files, so that nobody takes a fixed host for granted. */
        hosts_add_text(h, "https://pypi"
                          ".org https://files."
                          "pythonhosted"
                          ".org");
    }
}

/* ---- Deno ------------------------------------------------------------------------------------ */

void hosts_add_jsr(struct hosts *h)
{
    const char *url = getenv("JSR_URL");

    /* Deno's own default, in pieces as pip's. */
    hosts_add_text(h, url != NULL && *url != '\0' ? url
                                                  : "https://jsr"
                                                    ".io");
}

char *hosts_json(const struct hosts *h)
{
    auto_json cJSON *list = cJSON_CreateArray();

    for (size_t i = 0; list != NULL && i < h->n; i++) {
        cJSON *s = cJSON_CreateString(h->name[i]);
        if (s == NULL || !cJSON_AddItemToArray(list, s)) {
            cJSON_Delete(s);
            return NULL;
        }
    }
    return list != NULL ? cJSON_PrintUnformatted(list) : NULL;
}
