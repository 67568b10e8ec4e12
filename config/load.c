/* SPDX-License-Identifier: Apache-2.0 */
/* load.c - from a file's text to the resolved configuration. */
#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fd.h"
#include "base/mem.h"
#include "base/text.h"
#include "config/conf_internal.h"

#define TRUSTED_PLACES                                                                             \
    "/etc/isol8/config.json, ~/.isol8/config.json or a file named by --config or ISOL8_CONFIG"

/* One file on its way in. */
struct load {
    const char *text;
    size_t n;
    const char *name;
    bool is_project;
    struct conf *conf; /* what is made of it */
};

static void load_done(struct load *l)
{
    conf_free(l->conf);
}
#define auto_load __attribute__((cleanup(load_done)))

/* Fill in @err with "FILE:LINE: path: ..."; the line is left out when it cannot be told. */
static int fail(const struct load *l, int status, const char *path, unsigned nth, isol8_error *err,
                const char *fmt, ...) __attribute__((format(printf, 6, 7)));

static int fail(const struct load *l, int status, const char *path, unsigned nth, isol8_error *err,
                const char *fmt, ...)
{
    char what[400];
    unsigned line = conf_locate(l->text, l->n, path, nth);
    va_list ap;

    va_start(ap, fmt);
    (void)vsnprintf(what, sizeof(what), fmt, ap);
    va_end(ap);
    if (line == 0)
        return err_set(err, status, "%s: %s: %s", l->name, path, what);
    return err_set(err, status, "%s:%u: %s: %s", l->name, line, path, what);
}

/* ---- Unknown and repeated keys --------------------------------------------------------------- */

static bool has_word(const char *path)
{
    return conf_key_find(path) != NULL || conf_section_find(path) != NULL;
}

/* Names allowed in the section @path ("" for the top level), NULL-terminated. */
static void section_names(const char *path, const char **names, size_t cap)
{
    size_t n = 0, len = strlen(path);

    for (const struct conf_key *k = conf_keys; k->path != NULL; k++) {
        const char *name = len == 0 ? k->path : k->path + len + 1;
        if (len > 0 && (strncmp(k->path, path, len) != 0 || k->path[len] != '.'))
            continue;
        if (strchr(name, '.') == NULL && n + 1 < cap)
            names[n++] = name;
    }
    for (const struct conf_section *s = conf_sections; len == 0 && s->path != NULL; s++) {
        if (strchr(s->path, '.') == NULL && n + 1 < cap)
            names[n++] = s->path;
    }
    names[n] = NULL;
}

static bool warn_unknown(struct load *l, const char *section, const char *path, const char *key)
{
    const char *names[64], *near;
    char hint[96] = "";
    isol8_error text;
    struct conf *c = l->conf;

    if (c->n_warnings == CONF_WARNINGS_MAX)
        return true;
    section_names(section, names, ARRAY_LEN(names));
    near = text_nearest(key, names);
    if (strcmp(path, "dependencies") == 0)
        (void)snprintf(hint, sizeof(hint), " (see prebuiltImages)");
    else if (near != NULL)
        (void)snprintf(hint, sizeof(hint), " (did you mean %s?)", near);
    (void)fail(l, ISOL8_E_INVAL, path, 0, &text, "unknown key%s", hint);
    c->warnings[c->n_warnings] = strdup(text.msg);
    return c->warnings[c->n_warnings++] != NULL;
}

static int check_unknown(struct load *l, const char *section, const cJSON *obj, isol8_error *err)
{
    char path[CONF_PATH_MAX];
    const cJSON *item;

    cJSON_ArrayForEach(item, obj)
    {
        (void)snprintf(path, sizeof(path), "%s%s%s", section, section[0] == '\0' ? "" : ".",
                       item->string);
        if (!has_word(path) && !warn_unknown(l, section, path, item->string))
            return err_nomem(err);
    }
    return 0;
}

/* The object that holds the last name of @path, and that name; NULL when it is not there. */
static const cJSON *parent_of(const cJSON *root, const char *path, const char **name)
{
    const cJSON *obj = root;
    const char *dot;

    while (obj != NULL && (dot = strchr(path, '.')) != NULL) {
        char part[64];
        assert((size_t)(dot - path) < sizeof(part));
        memcpy(part, path, (size_t)(dot - path));
        part[dot - path] = '\0';
        obj = cJSON_GetObjectItemCaseSensitive(obj, part);
        path = dot + 1;
    }
    *name = path;
    return obj;
}

static const cJSON *value_at(const cJSON *root, const char *path)
{
    const char *name;
    const cJSON *obj = parent_of(root, path, &name);

    return cJSON_GetObjectItemCaseSensitive(obj, name);
}

/* A key given twice means one thing to one reader and another thing to the next. */
static int check_once(const struct load *l, const char *path, isol8_error *err)
{
    const char *name;
    const cJSON *obj = parent_of(l->conf->given, path, &name), *item;
    unsigned seen = 0;

    cJSON_ArrayForEach(item, obj)
    {
        if (strcmp(item->string, name) == 0 && ++seen == 2)
            return fail(l, ISOL8_E_INVAL, path, 1, err, "given twice");
    }
    return 0;
}

static int check_section(struct load *l, const struct conf_section *s, isol8_error *err)
{
    const cJSON *v = value_at(l->conf->given, s->path);
    int r = check_once(l, s->path, err);

    if (r < 0)
        return r;
    if (v == NULL || cJSON_IsNull(v))
        return 0;
    if (!cJSON_IsObject(v))
        return fail(l, ISOL8_E_INVAL, s->path, 0, err, "expected object, got %s",
                    conf_type_name(v));
    return check_unknown(l, s->path, v, err);
}

/* ---- Merging --------------------------------------------------------------------------------- */

/* Put @item, taken, at @path of the resolved tree; sections on the way are made. */
static int place(struct conf *c, const char *path, cJSON *item, isol8_error *err)
{
    cJSON *obj = c->root;
    const char *dot;

    while (item != NULL && obj != NULL && (dot = strchr(path, '.')) != NULL) {
        char part[64];
        (void)snprintf(part, sizeof(part), "%.*s", (int)(dot - path), path);
        cJSON *next = cJSON_GetObjectItemCaseSensitive(obj, part);
        obj = next != NULL ? next : cJSON_AddObjectToObject(obj, part);
        path = dot + 1;
    }
    if (item == NULL || obj == NULL || !cJSON_AddItemToObject(obj, path, item)) {
        cJSON_Delete(item);
        return err_nomem(err);
    }
    return 0;
}

static int check_given(const struct load *l, const struct conf_key *k, const cJSON *v,
                       isol8_error *err)
{
    struct conf_fault fault;

    if (!conf_check(k, v, &fault))
        return fail(l, ISOL8_E_INVAL, fault.path, 0, err, "%s", fault.what);
    if (!l->is_project || conf_trust_allows(k, v))
        return 0;
    if (k->trust == CONF_INSIDE)
        return fail(l, ISOL8_E_POLICY, k->path, 0, err,
                    "must stay inside this directory; other places can be set in " TRUSTED_PLACES);
    if (k->trust == CONF_WORDS_BELOW)
        return fail(l, ISOL8_E_POLICY, k->path, 0, err,
                    "\"%s\" is not allowed in a project's file; set it in " TRUSTED_PLACES,
                    cJSON_GetStringValue(v));
    return fail(l, ISOL8_E_POLICY, k->path, 0, err,
                "not allowed in a project's file; set it in " TRUSTED_PLACES);
}

static int merge_key(struct load *l, const struct conf_key *k, isol8_error *err)
{
    const cJSON *v = value_at(l->conf->given, k->path);
    int r = check_once(l, k->path, err);

    if (r < 0)
        return r;
    if (v == NULL || cJSON_IsNull(v)) {
        if (k->fallback == NULL)
            return 0;
        return place(l->conf, k->path, cJSON_Parse(k->fallback), err);
    }
    r = check_given(l, k, v, err);
    if (r < 0 || k->type == CONF_SCHEMA)
        return r;
    return place(l->conf, k->path, cJSON_Duplicate(v, true), err);
}

/* Old files carry keys that other versions know; they stay visible where the original kept them. */
static int keep_unknown(struct load *l, const struct conf_section *s, isol8_error *err)
{
    char path[CONF_PATH_MAX];
    const cJSON *item;

    cJSON_ArrayForEach(item, value_at(l->conf->given, s->path))
    {
        cJSON *section = cJSON_GetObjectItemCaseSensitive(l->conf->root, s->path), *copy;

        (void)snprintf(path, sizeof(path), "%s.%s", s->path, item->string);
        if (has_word(path))
            continue;
        copy = cJSON_Duplicate(item, true);
        if (copy == NULL || !cJSON_AddItemToObject(section, item->string, copy)) {
            cJSON_Delete(copy);
            return err_nomem(err);
        }
    }
    return 0;
}

static int merge(struct load *l, isol8_error *err)
{
    int r = check_unknown(l, "", l->conf->given, err);

    for (const struct conf_section *s = conf_sections; r == 0 && s->path != NULL; s++)
        r = check_section(l, s, err);
    for (const struct conf_key *k = conf_keys; r == 0 && k->path != NULL; k++)
        r = merge_key(l, k, err);
    for (const struct conf_section *s = conf_sections; r == 0 && s->path != NULL; s++) {
        if (s->keeps_unknown)
            r = keep_unknown(l, s, err);
    }
    return r;
}

/* Rules over more than one key. */
static int check_together(const struct load *l, isol8_error *err)
{
    const char *seccomp = conf_string(l->conf, "security.seccomp");

    if (strcmp(seccomp, "custom") == 0 && conf_value(l->conf, "security.customProfilePath") == NULL)
        return fail(l, ISOL8_E_INVAL, "security.seccomp", 0, err,
                    "\"custom\" needs security.customProfilePath");
    return 0;
}

/* ---- The public functions -------------------------------------------------------------------- */

int conf_parse(struct conf **out, const char *text, size_t n, const char *name, bool is_project,
               isol8_error *err)
{
    auto_load struct load l = { .text = text, .n = n, .name = name, .is_project = is_project };
    int r;

    l.conf = calloc(1, sizeof(*l.conf));
    if (l.conf == NULL)
        return err_nomem(err);
    l.conf->is_project = is_project;
    l.conf->root = cJSON_CreateObject();
    if (l.conf->root == NULL)
        return err_nomem(err);
    if (text != NULL) {
        r = json_parse(&l.conf->given, text, n, name, err);
        if (r < 0)
            return r;
        if (!cJSON_IsObject(l.conf->given))
            return err_set(err, ISOL8_E_INVAL, "%s:1: expected object, got %s", name,
                           conf_type_name(l.conf->given));
    }

    r = merge(&l, err);
    if (r < 0)
        return r;
    r = check_together(&l, err);
    if (r < 0)
        return r;
    *out = take_ptr(&l.conf);
    return 0;
}

static int load_file(struct conf **out, struct conf_file *f, isol8_error *err)
{
    auto_buf struct buf text = BUF_INIT(CONF_FILE_MAX);
    int r;

    if (f->fd < 0)
        return conf_parse(out, NULL, 0, "", false, err);
    r = fd_read_all(f->fd, &text);
    if (r == -EFBIG)
        return err_set(err, ISOL8_E_LIMIT, "%s: larger than %u bytes", f->name, CONF_FILE_MAX);
    if (r < 0)
        return err_sys(err, -r, "%s", f->name);

    if (text.len == 0 && !f->is_regular) /* /dev/null: the defaults on purpose */
        return conf_parse(out, NULL, 0, f->name, false, err);
    r = conf_parse(out, buf_text(&text), text.len, f->name, f->is_project, err);
    if (r == 0)
        (*out)->source = take_ptr(&f->path);
    return r;
}

int conf_load(struct conf **out, const struct conf_places *places, isol8_error *err)
{
    struct conf_file f = CONF_FILE_INIT;
    int r = conf_find(&f, places, err);

    if (r < 0)
        return r;
    r = load_file(out, &f, err);
    conf_file_done(&f);
    return r;
}

void conf_free(struct conf *c)
{
    if (c == NULL)
        return;
    for (size_t i = 0; i < c->n_warnings; i++)
        free(c->warnings[i]);
    cJSON_Delete(c->root);
    cJSON_Delete(c->given);
    free(c->source);
    free(c);
}

const cJSON *conf_value(const struct conf *c, const char *path)
{
    assert(conf_key_find(path) != NULL);
    return value_at(c->root, path);
}

bool conf_is_set(const struct conf *c, const char *path)
{
    const cJSON *v = value_at(c->given, path);

    assert(conf_key_find(path) != NULL);
    return v != NULL && !cJSON_IsNull(v);
}

const char *conf_string(const struct conf *c, const char *path)
{
    return cJSON_GetStringValue(conf_value(c, path));
}

double conf_number(const struct conf *c, const char *path)
{
    return cJSON_GetNumberValue(conf_value(c, path));
}

bool conf_bool(const struct conf *c, const char *path)
{
    return cJSON_IsTrue(conf_value(c, path));
}
