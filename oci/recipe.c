/* SPDX-License-Identifier: Apache-2.0 */
/* recipe.c - read recipes; see recipe.h for their form. */
#include "oci/recipe.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "oci/tar.h"

#if defined(__x86_64__)
#define HOST_ARCH "amd64"
#elif defined(__aarch64__)
#define HOST_ARCH "arm64"
#else
#define HOST_ARCH "unknown"
#endif

enum { SHA512_BASE64 = 88 };

bool recipe_integrity_ok(const char *integrity)
{
    static const char base64[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

    if (strncmp(integrity, "sha512-", 7) != 0 || strlen(integrity + 7) != SHA512_BASE64)
        return false;
    size_t n = strspn(integrity + 7, base64);
    return n == SHA512_BASE64 - 2 && strcmp(integrity + 7 + n, "==") == 0;
}

/* ---- Pieces ---------------------------------------------------------------------------------- */

static int bad(const char *key, isol8_error *err)
{
    return err_set(err, ISOL8_E_INVAL, "recipe: bad \"%s\"", key);
}

static const cJSON *member(const cJSON *obj, const char *key)
{
    return cJSON_GetObjectItemCaseSensitive(obj, key);
}

/* Number of elements of an optional array or object. */
static int count(const cJSON *j, const char *key, bool is_object, size_t *n, isol8_error *err)
{
    *n = 0;
    if (j == NULL)
        return 0;
    if (is_object ? !cJSON_IsObject(j) : !cJSON_IsArray(j))
        return bad(key, err);
    int have = cJSON_GetArraySize(j);
    if (have > RECIPE_LIST_MAX)
        return err_set(err, ISOL8_E_LIMIT, "recipe: more than %d elements in \"%s\"",
                       RECIPE_LIST_MAX, key);
    *n = (size_t)have;
    return 0;
}

static int read_list(const cJSON *obj, const char *key, struct recipe_list *out, isol8_error *err)
{
    const cJSON *j = member(obj, key), *item;
    size_t n = 0;

    int r = count(j, key, false, &n, err);
    if (r < 0 || n == 0)
        return r;
    out->items = calloc(n, sizeof(*out->items));
    if (out->items == NULL)
        return err_nomem(err);
    cJSON_ArrayForEach(item, j)
    {
        if (!cJSON_IsString(item) || item->valuestring[0] == '\0')
            return bad(key, err);
        out->items[out->n++] = item->valuestring;
    }
    return 0;
}

static int read_pairs(const cJSON *obj, const char *key, struct recipe_pairs *out, isol8_error *err)
{
    const cJSON *j = member(obj, key), *item;
    size_t n = 0;

    int r = count(j, key, true, &n, err);
    if (r < 0 || n == 0)
        return r;
    out->items = calloc(n, sizeof(*out->items));
    if (out->items == NULL)
        return err_nomem(err);
    cJSON_ArrayForEach(item, j)
    {
        if (!cJSON_IsString(item) || item->string == NULL)
            return bad(key, err);
        out->items[out->n++] = (struct recipe_pair){ item->string, item->valuestring };
    }
    return 0;
}

/* A string, or an object with one string per architecture. */
static const char *for_arch(const cJSON *obj, const char *key, const char *arch)
{
    const cJSON *j = member(obj, key);

    return cJSON_IsString(j) ? j->valuestring : json_string(j, arch);
}

static bool paths_ok(const struct recipe_list *l)
{
    for (size_t i = 0; i < l->n; i++) {
        if (!tar_name_ok(l->items[i]))
            return false;
    }
    return true;
}

/* Also an npm package's name and version become part of an address: nothing that could end its
 * path is allowed. */
static bool npm_word_ok(const char *s)
{
    static const char allowed[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789@/._+~-";

    return s != NULL && *s != '\0' && strspn(s, allowed) == strlen(s) && tar_name_ok(s);
}

static int check_npm(const struct recipe_npm *p, isol8_error *err)
{
    if (!npm_word_ok(p->package) || !npm_word_ok(p->version) || strchr(p->version, '/') != NULL ||
        p->integrity == NULL || !recipe_integrity_ok(p->integrity))
        return err_set(err, ISOL8_E_INVAL, "recipe: bad npm package '%.80s'",
                       p->package != NULL ? p->package : "");
    for (size_t i = 0; i < p->take.n; i++) {
        const struct recipe_pair *t = &p->take.items[i];
        if ((t->key[0] != '\0' && !tar_name_ok(t->key)) || !tar_name_ok(t->value))
            return bad("take", err);
    }
    return 0;
}

static int read_npm(struct recipe *r, const cJSON *list, const char *arch, isol8_error *err)
{
    const cJSON *j;

    cJSON_ArrayForEach(j, list)
    {
        struct recipe_npm *p = &r->npm[r->n_npm++];
        p->package = for_arch(j, "package", arch);
        p->version = json_string(j, "version");
        p->integrity = for_arch(j, "integrity", arch);
        int status = read_pairs(j, "take", &p->take, err);
        if (status == 0)
            status = read_list(j, "exclude", &p->exclude, err);
        if (status == 0)
            status = check_npm(p, err);
        if (status < 0)
            return status;
    }
    return 0;
}

static int read_lock(struct recipe *r, isol8_error *err)
{
    const cJSON *j;

    cJSON_ArrayForEach(j, r->lock)
    {
        struct recipe_npm *p = &r->npm[r->n_npm++];
        p->package = json_string(j, "name");
        p->version = json_string(j, "version");
        p->integrity = json_string(j, "integrity");
        p->lock_path = json_string(j, "path");
        if (p->lock_path == NULL || !tar_name_ok(p->lock_path))
            return bad("path", err);
        int status = check_npm(p, err);
        if (status < 0)
            return status;
    }
    return 0;
}

/* ---- The document ---------------------------------------------------------------------------- */

static int parse_lock(struct recipe *r, const char *dir, const char *text, size_t n,
                      isol8_error *err)
{
    const cJSON *lock = member(r->doc, "lock");
    const char *file = json_string(lock, "file");

    if (lock == NULL)
        return 0;
    r->lock_to = json_string(lock, "to");
    if (file == NULL || r->lock_to == NULL || !tar_name_ok(r->lock_to))
        return bad("lock", err);
    if (text == NULL) {
        const struct recipe_file *f = recipe_file_find(dir, file);
        if (f == NULL)
            return bad("lock", err);
        text = (const char *)f->data;
        n = (size_t)(f->end - f->data);
    }
    if (n > RECIPE_JSON_MAX)
        return err_set(err, ISOL8_E_LIMIT, "recipe: %s is too large", file);
    int status = json_parse(&r->lock, text, n, file, err);
    if (status < 0)
        return status;
    return read_list(lock, "exclude", &r->lock_exclude, err);
}

static int parse_npm(struct recipe *r, const char *arch, isol8_error *err)
{
    const cJSON *list = member(r->doc, "npm");
    size_t n = 0, n_lock = 0;

    int status = count(list, "npm", false, &n, err);
    if (status == 0)
        status = count(r->lock, "lock", false, &n_lock, err);
    if (status < 0 || n + n_lock == 0)
        return status;
    r->npm = calloc(n + n_lock, sizeof(*r->npm));
    if (r->npm == NULL)
        return err_nomem(err);
    status = read_npm(r, list, arch, err);
    return status < 0 ? status : read_lock(r, err);
}

static int parse_files(struct recipe *r, isol8_error *err)
{
    const cJSON *list = member(r->doc, "files"), *j;
    size_t n = 0;

    int status = count(list, "files", false, &n, err);
    if (status < 0 || n == 0)
        return status;
    r->files = calloc(n, sizeof(*r->files));
    if (r->files == NULL)
        return err_nomem(err);
    cJSON_ArrayForEach(j, list)
    {
        struct recipe_copy *c = &r->files[r->n_files++];
        c->file = json_string(j, "file");
        c->to = json_string(j, "to");
        c->mode = cJSON_IsTrue(member(j, "executable")) ? 0755 : 0644;
        if (c->file == NULL || c->to == NULL || !tar_name_ok(c->to))
            return bad("files", err);
    }
    return 0;
}

static int parse_rest(struct recipe *r, isol8_error *err)
{
    const cJSON *run = member(r->doc, "run");

    int status = read_list(r->doc, "packages", &r->packages, err);
    if (status == 0)
        status = read_list(r->doc, "exclude", &r->exclude, err);
    if (status == 0)
        status = read_list(r->doc, "keep", &r->keep, err);
    if (status == 0)
        status = read_list(r->doc, "applets", &r->applets, err);
    if (status == 0)
        status = read_list(r->doc, "dirs", &r->dirs, err);
    if (status == 0)
        status = read_pairs(r->doc, "links", &r->links, err);
    if (status == 0)
        status = read_pairs(r->doc, "env", &r->env, err);
    if (status == 0)
        status = read_list(run, "take", &r->run_take, err);
    if (status < 0)
        return status;
    r->run_file = json_string(run, "file");
    r->ca_bundle = json_string(r->doc, "caBundle");
    r->package_list = json_string(r->doc, "packageList");
    r->apt_sources = json_string(r->doc, "aptSources");
    if (run != NULL && r->run_file == NULL)
        return bad("run", err);
    if (r->ca_bundle != NULL && !tar_name_ok(r->ca_bundle))
        return bad("caBundle", err);
    if (r->package_list != NULL && !tar_name_ok(r->package_list))
        return bad("packageList", err);
    if (r->apt_sources != NULL && !tar_name_ok(r->apt_sources))
        return bad("aptSources", err);
    if (!paths_ok(&r->dirs) || !paths_ok(&r->applets))
        return bad("dirs", err);
    for (size_t i = 0; i < r->links.n; i++) {
        const struct recipe_pair *l = &r->links.items[i];
        if (!tar_name_ok(l->key) || !tar_link_ok(l->key, l->value))
            return bad("links", err);
    }
    return 0;
}

int recipe_parse(struct recipe *out, const char *dir, const char *arch, const char *text, size_t n,
                 const char *lock, size_t n_lock, isol8_error *err)
{
    struct recipe r = { .doc = NULL };

    if (n > RECIPE_JSON_MAX)
        return err_set(err, ISOL8_E_LIMIT, "recipe is too large");
    int status = json_parse(&r.doc, text, n, "recipe.json", err);
    if (status == 0 && !cJSON_IsObject(r.doc))
        status = err_set(err, ISOL8_E_INVAL, "recipe.json: not an object");
    if (status == 0)
        status = parse_lock(&r, dir, lock, n_lock, err);
    if (status == 0)
        status = parse_npm(&r, arch, err);
    if (status == 0)
        status = parse_files(&r, err);
    if (status == 0)
        status = parse_rest(&r, err);
    if (status < 0) {
        recipe_done(&r);
        return status;
    }
    *out = r;
    return 0;
}

void recipe_done(struct recipe *r)
{
    struct recipe_list *lists[] = { &r->packages, &r->exclude,  &r->keep,        &r->applets,
                                    &r->dirs,     &r->run_take, &r->lock_exclude };

    for (size_t i = 0; i < ARRAY_LEN(lists); i++)
        free(lists[i]->items);
    free(r->links.items);
    free(r->env.items);
    for (size_t i = 0; i < r->n_npm; i++) {
        free(r->npm[i].take.items);
        free(r->npm[i].exclude.items);
    }
    free(r->npm);
    free(r->files);
    cJSON_Delete(r->doc);
    cJSON_Delete(r->lock);
    memset(r, 0, sizeof(*r));
}

/* ---- Compiled-in recipes --------------------------------------------------------------------- */

int recipe_load(struct recipe *out, const char *runtime, isol8_error *err)
{
    const struct recipe_file *f = recipe_file_find(runtime, "recipe.json");

    if (f == NULL)
        return err_set(err, ISOL8_E_INVAL, "no image recipe for '%.40s'", runtime);
    int r = recipe_parse(out, runtime, HOST_ARCH, (const char *)f->data, (size_t)(f->end - f->data),
                         NULL, 0, err);
    return r < 0 ? err_wrap(err, r, "images/%s", runtime) : 0;
}

static int hash_piece(struct hash *h, const char *name, const void *data, size_t n,
                      isol8_error *err)
{
    /* Names with their NUL: no two sequences of pieces look the same. */
    int r = hash_update(h, name, strlen(name) + 1, err);

    return r < 0 ? r : hash_update(h, data, n, err);
}

static int hash_dir(struct hash *h, const char *dir, isol8_error *err)
{
    int r = 0;

    for (const struct recipe_file *f = recipe_files(); r == 0 && f->dir != NULL; f++) {
        if (strcmp(f->dir, dir) != 0)
            continue;
        r = hash_update(h, dir, strlen(dir), err);
        if (r == 0)
            r = hash_update(h, "/", 1, err);
        if (r == 0)
            r = hash_piece(h, f->name, f->data, (size_t)(f->end - f->data), err);
    }
    return r;
}

int recipe_hash(const char *runtime, const void *extra, size_t n_extra,
                char out[HASH_SHA256_HEX_SIZE], isol8_error *err)
{
    auto_hash struct hash *h = NULL;
    uint8_t digest[HASH_MAX_BYTES];
    size_t n = 0;

    int r = hash_new(&h, HASH_SHA256, err);
    if (r == 0)
        r = hash_piece(h, "format", RECIPE_FORMAT, strlen(RECIPE_FORMAT), err);
    if (r == 0 && extra != NULL)
        r = hash_piece(h, "extra", extra, n_extra, err);
    if (r == 0)
        r = hash_dir(h, "base", err);
    if (r == 0 && strcmp(runtime, "base") != 0)
        r = hash_dir(h, runtime, err);
    if (r == 0)
        r = hash_final(h, digest, &n, err);
    if (r == 0)
        hash_hex(digest, n, out);
    return r;
}
