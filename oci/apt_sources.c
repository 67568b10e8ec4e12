/* SPDX-License-Identifier: Apache-2.0 */
/* apt_sources.c - which of the host's apt sources are Debian's own. */
#include "oci/apt_sources.h"

#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <strings.h>

#include "base/fd.h"
#include "base/mem.h"
#include "base/path.h"

enum {
    OS_RELEASE_MAX = 16 * 1024,
    ENTRY_MAX = 64 * 1024, /* one stanza of a source list; keys may be inlined */
};

/* ---- The host's release ---------------------------------------------------------------------- */

static bool os_value(const char *text, const char *key, char *out, size_t cap)
{
    size_t n = strlen(key);

    for (const char *p = text; p != NULL && *p != '\0';) {
        if (strncmp(p, key, n) == 0 && p[n] == '=') {
            const char *v = p + n + 1;
            size_t quote = *v == '"' || *v == '\'';
            size_t len = strcspn(v + quote, "\"'\n");
            if (len == 0 || len >= cap)
                return false;
            memcpy(out, v + quote, len);
            out[len] = '\0';
            return true;
        }
        p = strchr(p, '\n');
        p = p != NULL ? p + 1 : NULL;
    }
    return false;
}

bool apt_codename(const char *os_release, char out[APT_CODENAME_SIZE])
{
    char id[32];

    return os_value(os_release, "ID", id, sizeof(id)) && strcmp(id, "debian") == 0 &&
           os_value(os_release, "VERSION_CODENAME", out, APT_CODENAME_SIZE) &&
           strspn(out, "abcdefghijklmnopqrstuvwxyz") == strlen(out);
}

static int host_codename(char out[APT_CODENAME_SIZE], isol8_error *err)
{
    auto_buf struct buf text = BUF_INIT(OS_RELEASE_MAX);

    int r = path_read(AT_FDCWD, "/etc/os-release", OS_RELEASE_MAX, &text, err);
    if (r < 0)
        return r;
    if (!apt_codename(buf_text(&text), out))
        return err_set(err, ISOL8_E_UNSUPPORTED,
                       "images are made of the host's Debian packages, and this host is no Debian "
                       "release");
    return 0;
}

/* ---- Source lists ---------------------------------------------------------------------------- */

/* True when one of @text's words is the release itself or one of its updates. */
static bool has_suite(const char *text, const char *codename)
{
    static const char *const tails[] = { "", "-updates", "-security", "/updates" };
    size_t n = strlen(codename);

    for (const char *p = text; *p != '\0';) {
        p += strspn(p, " \t\r\n");
        size_t len = strcspn(p, " \t\r\n");
        for (size_t i = 0; i < ARRAY_LEN(tails); i++) {
            size_t tail = strlen(tails[i]);
            if (len == n + tail && strncmp(p, codename, n) == 0 &&
                strncmp(p + n, tails[i], tail) == 0)
                return true;
        }
        p += len;
    }
    return false;
}

static bool has_word(const char *text, const char *word)
{
    size_t n = strlen(word);

    for (const char *p = text; *p != '\0';) {
        p += strspn(p, " \t\r\n");
        size_t len = strcspn(p, " \t\r\n");
        if (len == n && strncmp(p, word, n) == 0)
            return true;
        p += len;
    }
    return false;
}

/* Signed by Debian's keys, or by any key the host trusts for everything. */
static bool is_debian_key(const char *signed_by)
{
    return signed_by == NULL || strstr(signed_by, "debian-archive") != NULL;
}

static bool keep_line(const char *line, const char *codename, bool strict)
{
    const char *p = line + strspn(line, " \t");

    if (strncmp(p, "deb", 3) != 0 || !isspace((unsigned char)p[3]))
        return false;
    p += 3 + strspn(p + 3, " \t");
    if (*p == '[') {
        const char *end = strchr(p, ']');
        char options[512];
        if (end == NULL || (size_t)(end - p) >= sizeof(options))
            return false;
        memcpy(options, p, (size_t)(end - p));
        options[end - p] = '\0';
        if (strict && !is_debian_key(strstr(options, "signed-by=")))
            return false;
        p = end + 1 + strspn(end + 1, " \t");
    }
    if (strncmp(p, "cdrom:", 6) == 0)
        return false;
    p += strcspn(p, " \t"); /* the address; suite and components follow */
    return has_suite(p, codename) && has_word(p, "main");
}

void apt_filter_list(const char *text, const char *codename, bool strict, struct buf *out)
{
    char line[4096];

    while (*text != '\0') {
        size_t n = strcspn(text, "\n");
        if (n < sizeof(line)) {
            memcpy(line, text, n);
            line[n] = '\0';
            line[strcspn(line, "#")] = '\0';
            if (keep_line(line, codename, strict))
                (void)buf_addf(out, "%s\n", line);
        }
        text += n + (text[n] == '\n');
    }
}

/* The value of a field of a deb822 stanza, continuation lines included, or NULL when absent. */
static char *field(const char *stanza, const char *name)
{
    size_t n = strlen(name);

    for (const char *p = stanza; p != NULL && *p != '\0';) {
        if (strncasecmp(p, name, n) == 0 && p[n] == ':') {
            const char *v = p + n + 1, *end = v;
            do {
                end += strcspn(end, "\n");
                end += *end == '\n';
            } while (*end == ' ' || *end == '\t' || *end == '#');
            return strndup(v, (size_t)(end - v));
        }
        p = strchr(p, '\n');
        p = p != NULL ? p + 1 : NULL;
    }
    return NULL;
}

static bool keep_stanza(const char *stanza, const char *codename, bool strict)
{
    auto_free char *types = field(stanza, "Types");
    auto_free char *suites = field(stanza, "Suites");
    auto_free char *components = field(stanza, "Components");
    auto_free char *enabled = field(stanza, "Enabled");
    auto_free char *key = field(stanza, "Signed-By");

    if (enabled != NULL && (has_word(enabled, "no") || has_word(enabled, "false")))
        return false;
    return types != NULL && has_word(types, "deb") && suites != NULL &&
           has_suite(suites, codename) && components != NULL && has_word(components, "main") &&
           (!strict || is_debian_key(key));
}

/* Length of the stanza at @text, up to the blank line that ends it. */
static size_t stanza_length(const char *text)
{
    size_t n = 0;

    while (text[n] != '\0') {
        size_t line = strcspn(text + n, "\n");
        if (strspn(text + n, " \t\r") == line)
            break;
        n += line + (text[n + line] == '\n');
    }
    return n;
}

/* Without its comments, which may name other hosts. */
static void add_stanza(const char *stanza, struct buf *out)
{
    while (*stanza != '\0') {
        size_t n = strcspn(stanza, "\n");
        n += stanza[n] == '\n';
        if (*stanza != '#')
            (void)buf_add(out, stanza, n);
        stanza += n;
    }
    (void)buf_adds(out, "\n");
}

void apt_filter_sources(const char *text, const char *codename, bool strict, struct buf *out)
{
    while (*text != '\0') {
        size_t n = stanza_length(text);
        auto_free char *stanza = n > 0 && n < ENTRY_MAX ? strndup(text, n) : NULL;

        if (stanza != NULL && keep_stanza(stanza, codename, strict))
            add_stanza(stanza, out);
        if (n == 0)
            n = strcspn(text, "\n") + (text[strcspn(text, "\n")] == '\n');
        text += n;
    }
}

void apt_sources_done(struct apt_sources *s)
{
    buf_done(&s->list);
    buf_done(&s->stanzas);
}

/* What apt reads of sources.list.d: by extension; other names are ignored. */
static void add_file(struct apt_sources *s, int dir, const char *name, const char *codename,
                     bool strict)
{
    auto_buf struct buf text = BUF_INIT(APT_SOURCES_MAX);
    const char *dot = strrchr(name, '.');

    if (dot == NULL || (strcmp(dot, ".list") != 0 && strcmp(dot, ".sources") != 0))
        return;
    if (path_read(dir, name, APT_SOURCES_MAX, &text, NULL) < 0)
        return; /* apt complains about it as well; what is missing shows below */
    if (strcmp(dot, ".list") == 0)
        apt_filter_list(buf_text(&text), codename, strict, &s->list);
    else
        apt_filter_sources(buf_text(&text), codename, strict, &s->stanzas);
}

static void read_sources(struct apt_sources *s, const char *codename, bool strict)
{
    auto_close int apt = open("/etc/apt", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int parts = openat(apt, "sources.list.d", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = parts >= 0 ? fdopendir(parts) : NULL;
    const struct dirent *e;

    add_file(s, apt, "sources.list", codename, strict);
    if (dir == NULL) {
        (void)fd_close(parts);
        return;
    }
    while ((e = readdir(dir)) != NULL)
        add_file(s, parts, e->d_name, codename, strict);
    (void)closedir(dir);
}

/* A company's mirror may sign with its own key: without an entry signed by Debian's, any will do
 * that offers the release's main component. */
int apt_sources_find(struct apt_sources *s, char codename[APT_CODENAME_SIZE], isol8_error *err)
{
    buf_init(&s->list, APT_SOURCES_MAX);
    buf_init(&s->stanzas, APT_SOURCES_MAX);
    int r = host_codename(codename, err);
    if (r < 0)
        return r;
    read_sources(s, codename, true);
    if (s->list.len + s->stanzas.len == 0)
        read_sources(s, codename, false);
    if (s->list.failed || s->stanzas.failed)
        return err_set(err, ISOL8_E_LIMIT, "the host's apt source lists are too large");
    if (s->list.len + s->stanzas.len == 0)
        return err_set(err, ISOL8_E_UNSUPPORTED,
                       "no source for Debian %s (component main) in /etc/apt", codename);
    return 0;
}

/* ---- What the entries name ------------------------------------------------------------------- */

static int add_mirrors(const char *path, void *user, isol8_error *err)
{
    auto_buf struct buf text = BUF_INIT(APT_SOURCES_MAX);

    (void)err;
    if (path_read(AT_FDCWD, path, APT_SOURCES_MAX, &text, NULL) == 0) /* else: a key, or absent */
        hosts_add_text(user, buf_text(&text));
    return 0;
}

int apt_sources_hosts(struct hosts *out, isol8_error *err)
{
    struct apt_sources s;
    char codename[APT_CODENAME_SIZE];

    int r = apt_sources_find(&s, codename, err);
    if (r == 0) {
        hosts_add_text(out, buf_text(&s.list));
        hosts_add_text(out, buf_text(&s.stanzas));
        (void)apt_named_files(buf_text(&s.list), add_mirrors, out, NULL);
        (void)apt_named_files(buf_text(&s.stanzas), add_mirrors, out, NULL);
    }
    apt_sources_done(&s);
    return r;
}

static int call_with(const char *p, size_t n, apt_file_fn fn, void *user, isol8_error *err)
{
    char path[PATH_MAX];

    if (n >= sizeof(path))
        return err_set(err, ISOL8_E_LIMIT, "a path in the host's apt source lists is too long");
    memcpy(path, p, n);
    path[n] = '\0';
    return fn(path, user, err);
}

int apt_named_files(const char *text, apt_file_fn fn, void *user, isol8_error *err)
{
    static const char *const marks[] = { "signed-by", "mirror+file:" };
    int r = 0;

    for (size_t i = 0; i < ARRAY_LEN(marks); i++) {
        for (const char *p = text; r == 0 && (p = strcasestr(p, marks[i])) != NULL;) {
            p += strlen(marks[i]);
            p += strspn(p, ":= \t\n,");
            while (r == 0 && *p == '/') { /* a key may be inlined or be a fingerprint as well */
                p += strspn(p, "/") - 1;
                size_t n = strcspn(p, " \t\r\n,]");
                r = call_with(p, n, fn, user, err);
                p += n;
                p += strspn(p, " \t\r\n,");
            }
        }
    }
    return r;
}

void apt_without_users(const char *text, struct buf *out)
{
    const char *p;

    while ((p = strstr(text, "://")) != NULL) {
        p += 3;
        (void)buf_add(out, text, (size_t)(p - text));
        size_t n = strcspn(p, "/?# \t\r\n");
        const char *at = memrchr(p, '@', n);
        text = at != NULL ? at + 1 : p;
    }
    (void)buf_adds(out, text);
}
