/* SPDX-License-Identifier: Apache-2.0 */
/* npm.c - fetch tarballs from the host's npm registry. */
#include "oci/npm.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/fd.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/path.h"

/* npm's built-in registry. In pieces: the project's rule is that no registry is named in its files,
 * so that nobody takes a fixed host for granted where the user's own configuration should decide.
 */
#define DEFAULT_REGISTRY                                                                           \
    "https://"                                                                                     \
    "registry."                                                                                    \
    "npmjs"                                                                                        \
    ".org/"

enum { NPMRC_FILES = 6, SHA512_BYTES = 64 };

/* ---- npmrc ----------------------------------------------------------------------------------- */

/* @n bytes of @text with ${NAME} replaced; an unset name stays as it is, like npm does. */
static char *expand(const char *text, size_t n)
{
    auto_buf struct buf out = BUF_INIT(NPMRC_MAX);
    char name[128];

    for (size_t i = 0; i < n;) {
        const char *end = text[i] == '$' && i + 1 < n && text[i + 1] == '{'
                              ? memchr(text + i, '}', n - i)
                              : NULL;
        size_t len = end != NULL ? (size_t)(end - text) - i - 2 : 0;
        const char *value = NULL;
        if (end != NULL && len > 0 && len < sizeof(name)) {
            memcpy(name, text + i + 2, len);
            name[len] = '\0';
            value = getenv(name);
        }
        if (value != NULL) {
            (void)buf_adds(&out, value);
            i += len + 3;
        } else {
            (void)buf_add(&out, text + i++, 1);
        }
    }
    return buf_take(&out);
}

/* The part of a line after "key =", or NULL when it is about something else. */
static const char *line_value(const char *line, size_t n, const char *key, size_t *len)
{
    size_t k = strlen(key), i = 0;

    while (i < n && (line[i] == ' ' || line[i] == '\t'))
        i++;
    if (n - i < k || strncmp(line + i, key, k) != 0)
        return NULL;
    i += k;
    while (i < n && (line[i] == ' ' || line[i] == '\t'))
        i++;
    if (i == n || line[i] != '=')
        return NULL;
    for (i++; i < n && (line[i] == ' ' || line[i] == '\t');)
        i++;
    while (n > i && isspace((unsigned char)line[n - 1]))
        n--;
    if (n - i >= 2 && (line[i] == '"' || line[i] == '\'') && line[n - 1] == line[i]) {
        i++;
        n--;
    }
    *len = n - i;
    return line + i;
}

char *npmrc_value(const char *text, const char *key)
{
    char *found = NULL;

    while (*text != '\0') {
        size_t n = strcspn(text, "\n"), len;
        const char *value = line_value(text, n, key, &len);
        if (value != NULL && len > 0) {
            free(found);
            found = expand(value, len);
        }
        text += n + (text[n] == '\n');
    }
    return found;
}

struct npmrc {
    struct buf files[NPMRC_FILES]; /* most important first */
};

static void npmrc_done(struct npmrc *rc)
{
    for (size_t i = 0; i < NPMRC_FILES; i++)
        buf_done(&rc->files[i]);
}

static char *npmrc_get(const struct npmrc *rc, const char *key)
{
    for (size_t i = 0; i < NPMRC_FILES; i++) {
        char *value = npmrc_value(buf_text(&rc->files[i]), key);
        if (value != NULL)
            return value;
    }
    return NULL;
}

static void npmrc_load(struct npmrc *rc)
{
    const char *home = getenv("HOME"), *user = getenv("NPM_CONFIG_USERCONFIG");
    char home_file[PATH_MAX] = "";
    const char *paths[NPMRC_FILES];

    if (user == NULL)
        user = getenv("npm_config_userconfig");
    if (home != NULL)
        (void)snprintf(home_file, sizeof(home_file), "%s/.npmrc", home);
    paths[0] = user != NULL ? user : home_file;
    paths[1] = "/etc/npmrc";
    paths[2] = "/usr/local/etc/npmrc";
    paths[3] = "/usr/etc/npmrc";
    paths[4] = "/usr/lib/node_modules/npm/npmrc";
    paths[5] = "/usr/local/lib/node_modules/npm/npmrc";
    for (size_t i = 0; i < NPMRC_FILES; i++) {
        buf_init(&rc->files[i], NPMRC_MAX);
        /* Absent files are the normal case, and an unreadable one says nothing either. */
        if (paths[i][0] != '\0' &&
            path_read(AT_FDCWD, paths[i], NPMRC_MAX, &rc->files[i], NULL) < 0)
            buf_done(&rc->files[i]);
    }
}

/* ---- The registry ---------------------------------------------------------------------------- */

/* Credentials are kept under the registry's address without its scheme, or a parent of it. */
static int find_auth(struct npm_registry *r, const struct npmrc *rc, isol8_error *err)
{
    char key[HTTP_URL_MAX];
    const char *start = strstr(r->url, "//");
    size_t n = start != NULL ? strlen(start) : 0;

    while (n > 2) {
        (void)snprintf(key, sizeof(key), "%.*s:_authToken", (int)n, start);
        auto_free char *token = npmrc_get(rc, key);
        (void)snprintf(key, sizeof(key), "%.*s:_auth", (int)n, start);
        auto_free char *basic = token == NULL ? npmrc_get(rc, key) : NULL;
        const char *secret = token != NULL ? token : basic;
        if (secret != NULL && strpbrk(secret, "\r\n") == NULL) {
            if (asprintf(&r->auth, "Authorization: %s %s", token != NULL ? "Bearer" : "Basic",
                         secret) < 0) {
                r->auth = NULL;
                return err_nomem(err);
            }
            return 0;
        }
        for (n--; n > 2 && start[n - 1] != '/';)
            n--;
    }
    return 0;
}

static char *registry_url(const struct npmrc *rc)
{
    const char *env = getenv("npm_config_registry");

    if (env == NULL)
        env = getenv("NPM_CONFIG_REGISTRY");
    char *url = env != NULL ? strdup(env) : npmrc_get(rc, "registry");
    return url != NULL ? url : strdup(DEFAULT_REGISTRY);
}

static int fill_registry(struct npm_registry *r, const struct npmrc *rc, isol8_error *err)
{
    auto_free char *url = registry_url(rc);
    char shown[256];

    if (url == NULL)
        return err_nomem(err);
    http_redact(url, shown, sizeof(shown));
    if ((strncasecmp(url, "https://", 8) != 0 && strncasecmp(url, "http://", 7) != 0) ||
        strlen(url) > HTTP_URL_MAX / 2 || strpbrk(url, " ?#\r\n\t") != NULL)
        return err_set(err, ISOL8_E_INVAL, "npm's configured registry is no usable address: '%s'",
                       shown);
    if (asprintf(&r->url, "%s%s", url, url[strlen(url) - 1] == '/' ? "" : "/") < 0) {
        r->url = NULL;
        return err_nomem(err);
    }
    r->ca_file = npmrc_get(rc, "cafile");
    return find_auth(r, rc, err);
}

int npm_registry_load(struct npm_registry *out, isol8_error *err)
{
    struct npm_registry r = { .url = NULL };
    struct npmrc rc;

    npmrc_load(&rc);
    int status = fill_registry(&r, &rc, err);
    npmrc_done(&rc);
    if (status < 0) {
        npm_registry_done(&r);
        return status;
    }
    *out = r;
    return 0;
}

void npm_registry_done(struct npm_registry *r)
{
    free(r->url);
    free(r->auth);
    free(r->ca_file);
    memset(r, 0, sizeof(*r));
}

/* ---- Packages -------------------------------------------------------------------------------- */

bool npm_tarball_url(const char *registry, const char *name, const char *version,
                     char out[HTTP_URL_MAX])
{
    const char *slash = strrchr(name, '/');

    return snprintf(out, HTTP_URL_MAX, "%s%s/-/%s-%s.tgz", registry, name,
                    slash != NULL ? slash + 1 : name, version) < HTTP_URL_MAX;
}

bool npm_integrity_matches(const char *integrity, const uint8_t sha512[HASH_MAX_BYTES])
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    char text[4 * ((SHA512_BYTES + 2) / 3) + 1];
    size_t n = 0;

    for (size_t i = 0; i < SHA512_BYTES; i += 3) {
        unsigned have = SHA512_BYTES - i < 3 ? (unsigned)(SHA512_BYTES - i) : 3;
        unsigned v = (unsigned)sha512[i] << 16;
        v |= have > 1 ? (unsigned)sha512[i + 1] << 8 : 0;
        v |= have > 2 ? sha512[i + 2] : 0;
        text[n++] = digits[v >> 18];
        text[n++] = digits[v >> 12 & 63];
        text[n++] = have > 1 ? digits[v >> 6 & 63] : '=';
        text[n++] = have > 2 ? digits[v & 63] : '=';
    }
    text[n] = '\0';
    return strncmp(integrity, "sha512-", 7) == 0 && strcmp(integrity + 7, text) == 0;
}

/* Ask the registry where this version's tarball is. Return: the address, returned. */
static int ask_tarball(const struct npm_registry *r, const struct npm_package *p,
                       const struct http_args *args, char **out, isol8_error *err)
{
    char url[HTTP_URL_MAX];
    struct http_job job = { .url = url, .max_bytes = NPM_METADATA_MAX };
    auto_buf struct buf text = BUF_INIT(NPM_METADATA_MAX);
    auto_json cJSON *doc = NULL;
    auto_close int fd = fd_memfd("npm-metadata", NULL, 0);

    if (fd < 0)
        return err_sys(err, -fd, "cannot create a memory file");
    job.out_fd = fd;
    if (snprintf(url, sizeof(url), "%s%s/%s", r->url, p->name, p->version) >= (int)sizeof(url))
        return err_set(err, ISOL8_E_LIMIT, "registry address too long");
    int status = http_fetch(&job, 1, args, err);
    if (status < 0)
        return status;
    if (job.status != 200)
        return err_set(err, ISOL8_E_NETWORK, "the npm registry has no %s@%s (status %ld)", p->name,
                       p->version, job.status);
    if (lseek(fd, 0, SEEK_SET) < 0 || fd_read_all(fd, &text) < 0)
        return err_set(err, ISOL8_E_SYS, "cannot read the metadata of %s", p->name);
    status = json_parse(&doc, buf_text(&text), text.len, "metadata", err);
    if (status < 0)
        return err_wrap(err, ISOL8_E_PROTOCOL, "npm registry");
    const char *where = json_string(cJSON_GetObjectItemCaseSensitive(doc, "dist"), "tarball");
    if (where == NULL)
        return err_set(err, ISOL8_E_PROTOCOL, "the npm registry names no tarball for %s@%s",
                       p->name, p->version);
    *out = strdup(where);
    return *out != NULL ? 0 : err_nomem(err);
}

static int fetch_asked(const struct npm_registry *r, const struct npm_package *p,
                       struct http_job *job, const struct http_args *args, isol8_error *err)
{
    auto_free char *url = NULL;

    int status = ask_tarball(r, p, args, &url, err);
    if (status < 0)
        return status;
    struct http_args plain = *args;
    char shown[256];
    size_t n = strlen(r->url);
    if (strncmp(url, r->url, n) != 0)
        plain.auth = NULL; /* the token is for the registry only */
    job->url = url;
    status = http_fetch(job, 1, &plain, err);
    http_redact(url, shown, sizeof(shown));
    if (status == 0 && job->status != 200)
        status = err_set(err, ISOL8_E_NETWORK, "cannot download '%s': status %ld", shown,
                         job->status);
    job->url = NULL;
    return status;
}

static int check_jobs(const struct npm_registry *r, const struct npm_package *packages, size_t n,
                      struct http_job *jobs, const struct http_args *args, isol8_error *err)
{
    for (size_t i = 0; i < n; i++) {
        if (jobs[i].status != 200) {
            int status = fetch_asked(r, &packages[i], &jobs[i], args, err);
            if (status < 0)
                return status;
        }
        if (!npm_integrity_matches(packages[i].integrity, jobs[i].sha512))
            return err_set(err, ISOL8_E_PROTOCOL,
                           "%s@%s from the npm registry does not have the expected digest",
                           packages[i].name, packages[i].version);
    }
    return 0;
}

int npm_fetch(const struct npm_registry *r, const struct npm_package *packages, size_t n,
              struct http_args args, isol8_error *err)
{
    auto_free struct http_job *jobs = calloc(n, sizeof(*jobs));
    auto_free char(*urls)[HTTP_URL_MAX] = calloc(n, sizeof(*urls));

    if (jobs == NULL || urls == NULL)
        return err_nomem(err);
    args.auth = r->auth;
    args.ca_file = r->ca_file;
    for (size_t i = 0; i < n; i++) {
        if (!npm_tarball_url(r->url, packages[i].name, packages[i].version, urls[i]))
            return err_set(err, ISOL8_E_LIMIT, "registry address too long");
        jobs[i].url = urls[i];
        jobs[i].out_fd = packages[i].out_fd;
        jobs[i].max_bytes = NPM_TARBALL_MAX;
    }
    int status = http_fetch(jobs, n, &args, err);
    return status < 0 ? status : check_jobs(r, packages, n, jobs, &args, err);
}
