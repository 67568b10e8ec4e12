/* SPDX-License-Identifier: Apache-2.0 */
/**
 * custom.c - images of one's own: packages and a setup script on top of a base image
 *
 * Theory of operation. A custom image is a new manifest over the layers of isol8:<runtime>, plus
 * one layer when there are packages. That layer is made by the runtime's own package manager, in a
 * sandbox over the base image whose network reaches the package hosts only: images/custom/
 * <runtime>.sh installs below /sandbox/root and writes that tree as a tar, which is unpacked here
 * as hostile input and only below the directories that packages have a business in. A setup script
 * is not run at build time; it is a label, carried out before each execution in the image.
 *
 * Two labels tell whether an image is current: the hash of what it was asked to be, and the digest
 * of the base image it stands on. The locks and the order of events are those of build.c: whatever
 * is named by a digest comes first, the name last, so that a killed build leaves only what the next
 * one removes.
 */
#include "oci/custom.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/mem.h"
#include "base/path.h"
#include "oci/layer.h"
#include "oci/tree.h"

#define BASE_PREFIX "isol8:"
#define FORMAT "1" /* part of the hash: raise it when the same parts make another image */
#define TREE "tree"

enum { TAIL_MAX = 300 };

/* How packages of a runtime get into an image. */
struct bakery {
    const char *runtime;
    const char *script;  /* in images/custom */
    const char *take[5]; /* what of its tree is taken */
    const char *env;     /* label org.isol8.env, or NULL */
    bool has_libraries;  /* the dynamic linker's cache must know them */
};

/* Deno keeps packages in its cache only, and looks for that where isol8 says. */
static const struct bakery bakeries[] = {
    { .runtime = "python", .script = "python", .take = { "usr/local" } },
    { .runtime = "node", .script = "node", .take = { "node_modules", "usr/local" } },
    { .runtime = "bun", .script = "bun", .take = { "usr/local" } },
    { .runtime = "agent", .script = "bun", .take = { "usr/local" } },
    { .runtime = "deno",
      .script = "deno",
      .take = { "usr/local" },
      .env = "[\"DENO_DIR=/usr/local/lib/deno\"]" },
    { .runtime = "bash",
      .script = "bash",
      .take = { "etc", "opt", "srv", "usr", "var" },
      .has_libraries = true },
};

struct custom {
    struct oci_store *store;
    const struct oci_custom_args *args;
    const struct bakery *bakery;
    char hash[HASH_SHA256_HEX_SIZE];
    struct oci_image base;
    char tmp[OCI_TMP_SIZE];
    int tmp_fd;
    int tree_fd;
    char tree_path[PATH_MAX];
    char tail[TAIL_MAX]; /* the last lines of the package manager, for the error message */
};

static void say(const struct custom *c, const char *message)
{
    struct oci_build_progress p = { .message = message };

    if (c->args->progress != NULL)
        c->args->progress(&p, c->args->user);
}

static const struct bakery *find_bakery(const char *runtime)
{
    for (size_t i = 0; i < ARRAY_LEN(bakeries); i++) {
        if (strcmp(bakeries[i].runtime, runtime) == 0)
            return &bakeries[i];
    }
    return NULL;
}

/* ---- Names and hashes ------------------------------------------------------------------------ */

bool oci_custom_is_base(const char *name)
{
    const char *tag = name + strlen(BASE_PREFIX);

    return strncmp(name, BASE_PREFIX, strlen(BASE_PREFIX)) == 0 &&
           (strcmp(tag, "base") == 0 || find_bakery(tag) != NULL);
}

int oci_custom_name(const char *name, char *out, isol8_error *err)
{
    int r = oci_name_check(name, out, err);

    if (r < 0)
        return r;
    const char *slash = strrchr(out, '/');
    const char *colon = strchr(slash != NULL ? slash : out, ':');
    if (strchr(out, '@') != NULL || strchr(colon + 1, ':') != NULL || colon == out ||
        colon[-1] == '/')
        return err_set(err, ISOL8_E_INVAL,
                       "invalid image name '%s': expected NAME or NAME:TAG of letters, digits and "
                       "'._-/'",
                       name);
    if (oci_custom_is_base(out))
        return err_set(err, ISOL8_E_INVAL,
                       "the image name '%s' is taken: it is one of isol8's own images", name);
    if (strcmp(out, "host:latest") == 0)
        return err_set(err, ISOL8_E_INVAL,
                       "the image name '%s' is taken: it stands for the machine's own /usr", name);
    return 0;
}

/* "<length>:<bytes>", so that no two lists of parts look the same. */
static int hash_part(struct hash *h, const void *data, size_t n, isol8_error *err)
{
    char length[24];
    int len = snprintf(length, sizeof(length), "%zu:", n);

    int r = hash_update(h, length, (size_t)len, err);
    return r < 0 ? r : hash_update(h, data, n, err);
}

int oci_custom_hash(const struct oci_custom_args *args, char out[HASH_SHA256_HEX_SIZE],
                    isol8_error *err)
{
    const struct bakery *b = find_bakery(args->runtime);
    const struct recipe_file *f = b != NULL ? recipe_file_find("custom", b->script) : NULL;
    auto_hash struct hash *h = NULL;
    uint8_t digest[HASH_MAX_BYTES];
    char count[24];
    size_t n = 0;

    (void)snprintf(count, sizeof(count), "%zu", args->n_packages);
    if (f == NULL)
        return err_set(err, ISOL8_E_INVAL, "no packages can be put into an image of '%.40s'",
                       args->runtime);
    int r = hash_new(&h, HASH_SHA256, err);
    if (r == 0)
        r = hash_part(h, FORMAT, strlen(FORMAT), err);
    if (r == 0)
        r = hash_part(h, args->runtime, strlen(args->runtime), err);
    if (r == 0)
        r = hash_part(h, count, strlen(count), err);
    if (r == 0 && args->n_packages > 0)
        r = hash_part(h, f->data, (size_t)(f->end - f->data), err);
    for (size_t i = 0; r == 0 && i < args->n_packages; i++)
        r = hash_part(h, args->packages[i], strlen(args->packages[i]), err);
    if (r == 0 && args->setup != NULL)
        r = hash_part(h, "setup", strlen("setup"), err);
    if (r == 0 && args->setup != NULL)
        r = hash_part(h, args->setup, strlen(args->setup), err);
    if (r == 0)
        r = hash_final(h, digest, &n, err);
    if (r == 0)
        hash_hex(digest, n, out);
    return r;
}

static bool is_label(const struct oci_image *img, const char *key, const char *value)
{
    const char *have = oci_image_label(img, key);

    return have != NULL && strcmp(have, value) == 0;
}

static int get_base(struct custom *c, struct oci_image *out, isol8_error *err)
{
    char name[OCI_NAME_MAX + 1];

    (void)snprintf(name, sizeof(name), BASE_PREFIX "%s", c->args->runtime);
    return oci_store_get(c->store, name, out, err);
}

static bool is_current(struct custom *c)
{
    struct oci_image img, base;
    bool current = false;

    if (get_base(c, &base, NULL) < 0)
        return false;
    if (oci_store_get(c->store, c->args->name, &img, NULL) == 0) {
        current = is_label(&img, OCI_LABEL_DEPS_HASH, c->hash) &&
                  is_label(&img, OCI_LABEL_BASE_DIGEST, base.digest);
        oci_image_done(&img);
    }
    oci_image_done(&base);
    return current;
}

/* ---- The layer ------------------------------------------------------------------------------- */

/* Keep the end of what was said: a reason often takes two or three lines. */
static void take_line(const char *line, void *user)
{
    struct custom *c = user;
    size_t have = strlen(c->tail), n;

    line += strspn(line, " \t");
    n = strlen(line);
    if (n == 0)
        return;
    say(c, line);
    if (n > TAIL_MAX / 2) {
        line += n - TAIL_MAX / 2;
        n = TAIL_MAX / 2;
    }
    while (have > 0 && have + n + 3 > TAIL_MAX) {
        const char *next = strstr(c->tail, "; ");
        have = next != NULL ? strlen(next + 2) : 0;
        memmove(c->tail, next != NULL ? next + 2 : "", have + 1);
    }
    (void)snprintf(c->tail + have, sizeof(c->tail) - have, "%s%s", have > 0 ? "; " : "", line);
}

static int run_step(struct custom *c, struct oci_step *step, isol8_error *err)
{
    struct layer_take take = { .tree_fd = c->tree_fd,
                               .patterns = c->bakery->take,
                               .bytes_max = CUSTOM_BYTES_MAX,
                               .entries_max = CUSTOM_ENTRIES_MAX };

    while (take.n_patterns < ARRAY_LEN(c->bakery->take) && take.patterns[take.n_patterns] != NULL)
        take.n_patterns++;
    step->line = take_line;
    step->line_user = c;
    step->cancel_fd = c->args->cancel_fd;
    c->tail[0] = '\0';
    return layer_step(c->args->sandbox, step, &take, err);
}

/* A compiled-in script as text; NULL when memory is out. */
static char *script_text(const char *dir, const char *name)
{
    const struct recipe_file *f = recipe_file_find(dir, name);

    return f != NULL ? strndup((const char *)f->data, (size_t)(f->end - f->data)) : NULL;
}

static int install(struct custom *c, isol8_error *err)
{
    auto_free char *script = script_text("custom", c->bakery->script);
    const char *hosts = oci_image_label(&c->base, OCI_LABEL_INSTALL_HOSTS);
    struct oci_step step = { .image = c->base.name,
                             .script = script,
                             .words = c->args->packages,
                             .n_words = c->args->n_packages };

    if (script == NULL)
        return err_nomem(err);
    step.install_hosts = hosts != NULL ? hosts : "[]";
    say(c, "installing packages in a sandbox");
    int r = run_step(c, &step, err);
    if (r > 0)
        return err_set(err, ISOL8_E_RUNTIME, "Package install failed (exit code %d): %s", r,
                       c->tail);
    return r < 0 ? err_wrap(err, r, "Package install failed") : 0;
}

/* Over the new tree and the base, as in the recipe of the runtime itself. */
static int cache_libraries(struct custom *c, isol8_error *err)
{
    auto_free char *script = script_text(c->args->runtime, "build.sh");
    const char *dirs[OCI_LAYERS_MAX + 1];
    struct oci_step step = { .layer_dirs = dirs, .script = script };

    if (script == NULL)
        return err_nomem(err);
    dirs[step.n_layers++] = c->tree_path;
    for (size_t i = 0; i < c->base.n_layers; i++)
        dirs[step.n_layers++] = c->base.layer_dirs[i];
    int r = run_step(c, &step, err);
    if (r > 0)
        return err_set(err, ISOL8_E_RUNTIME, "cannot list the libraries (exit code %d): %s", r,
                       c->tail);
    return r;
}

static int fill_tree(struct custom *c, isol8_error *err)
{
    c->tree_fd = path_mkdir_open(c->tmp_fd, TREE, 0755, err);
    if (c->tree_fd < 0)
        return c->tree_fd;
    if (snprintf(c->tree_path, sizeof(c->tree_path), "%s/layers/%s/" TREE, c->store->root,
                 c->tmp) >= PATH_MAX)
        return err_set(err, ISOL8_E_LIMIT, "path of the image store is too long");
    int r = install(c, err);
    if (r == 0)
        r = tree_normalise(c->tree_fd, err);
    if (r == 0 && c->bakery->has_libraries)
        r = cache_libraries(c, err);
    return r;
}

static int build_layer(struct custom *c, struct layer *out, isol8_error *err)
{
    isol8_error ignored;

    c->tmp_fd = oci_store_tmp_dir(c->store, c->tmp, err);
    if (c->tmp_fd < 0)
        return c->tmp_fd;
    int r = fill_tree(c, err);
    if (r == 0) {
        say(c, "packing");
        r = layer_pack(c->store, c->tmp_fd, TREE, c->tree_fd, c->args->cancel_fd, out, err);
    }
    c->tree_fd = fd_close(c->tree_fd);
    c->tmp_fd = fd_close(c->tmp_fd);
    /* What cannot be removed now is removed by the next build or collection. */
    (void)path_remove_tree(c->store->layers_fd, c->tmp, r < 0 ? &ignored : err);
    return r;
}

/* ---- Documents ------------------------------------------------------------------------------- */

static bool set_label(cJSON *labels, const char *key, const char *value)
{
    cJSON_DeleteItemFromObjectCaseSensitive(labels, key);
    return value == NULL || cJSON_AddStringToObject(labels, key, value) != NULL;
}

/* "a,b,c"; the packages are sorted already. NULL when memory is out. */
static char *join(const char *const *words, size_t n)
{
    auto_buf struct buf text = BUF_INIT(OCI_JSON_MAX);

    for (size_t i = 0; i < n; i++) {
        (void)buf_adds(&text, i > 0 ? "," : "");
        (void)buf_adds(&text, words[i]);
    }
    return n == 0 ? strdup("") : buf_take(&text);
}

static bool set_labels(const struct custom *c, cJSON *labels)
{
    auto_free char *packages = join(c->args->packages, c->args->n_packages);

    return labels != NULL && packages != NULL && set_label(labels, OCI_LABEL_BUILD_HASH, NULL) &&
           set_label(labels, OCI_LABEL_RUNTIME, c->args->runtime) &&
           set_label(labels, OCI_LABEL_DEPS_HASH, c->hash) &&
           set_label(labels, OCI_LABEL_DEPENDENCIES, packages) &&
           set_label(labels, OCI_LABEL_SETUP, c->args->setup) &&
           set_label(labels, OCI_LABEL_BASE_DIGEST, c->base.digest) &&
           set_label(labels, OCI_LABEL_ENV, c->args->n_packages > 0 ? c->bakery->env : NULL);
}

/* The base's image config with our labels and, with @diff_id, one layer more. */
static cJSON *image_config(const struct custom *c, const char *diff_id)
{
    auto_json cJSON *doc = cJSON_Duplicate(c->base.config, true);
    cJSON *config = cJSON_GetObjectItemCaseSensitive(doc, "config");
    cJSON *rootfs = cJSON_GetObjectItemCaseSensitive(doc, "rootfs");
    char created[CLOCK_ISO_SIZE];

    clock_iso(clock_wall_ms(), created);
    cJSON_DeleteItemFromObjectCaseSensitive(doc, "created");
    if (doc == NULL || cJSON_AddStringToObject(doc, "created", created) == NULL ||
        !set_labels(c, cJSON_GetObjectItemCaseSensitive(config, "Labels")))
        return NULL;
    if (diff_id != NULL) {
        cJSON *id = cJSON_CreateString(diff_id);
        if (!cJSON_AddItemToArray(cJSON_GetObjectItemCaseSensitive(rootfs, "diff_ids"), id)) {
            cJSON_Delete(id);
            return NULL;
        }
    }
    return take_ptr(&doc);
}

/* Write config and manifest, and give the image its name. @layer NULL: the base's layers only. */
static int publish(struct custom *c, const struct layer *layer, isol8_error *err)
{
    auto_free struct oci_manifest *m = calloc(1, sizeof(*m));
    struct oci_descriptor manifest;
    auto_json cJSON *config = image_config(c, layer != NULL ? layer->diff_id : NULL);
    auto_json cJSON *doc = NULL;

    if (m == NULL || config == NULL)
        return err_nomem(err);
    int r = oci_build_manifest(c->store, c->base.digest, m, err);
    if (r < 0)
        return r;
    if (layer != NULL && m->n_layers == OCI_LAYERS_MAX)
        return err_set(err, ISOL8_E_LIMIT, "the base image has %d layers already", OCI_LAYERS_MAX);
    r = oci_store_put_json(c->store, config, OCI_TYPE_CONFIG, &m->config, err);
    if (r < 0)
        return r;
    if (layer != NULL)
        m->layers[m->n_layers++] = layer->blob;
    doc = oci_manifest_json(m);
    if (doc == NULL)
        return err_nomem(err);
    r = oci_store_put_json(c->store, doc, OCI_TYPE_MANIFEST, &manifest, err);
    return r < 0 ? r : oci_store_set_ref(c->store, c->args->name, &manifest, err);
}

/* ---- Building -------------------------------------------------------------------------------- */

static int build_on_base(struct custom *c, isol8_error *err)
{
    struct layer layer;
    bool has_layer = c->args->n_packages > 0;

    int r = has_layer ? build_layer(c, &layer, err) : 0;
    if (r == 0 && c->args->setup != NULL)
        say(c, "adding the setup script");
    return r < 0 ? r : publish(c, has_layer ? &layer : NULL, err);
}

static int build_locked(struct custom *c, isol8_error *err)
{
    if (!c->args->force && is_current(c)) /* another build may have done it */
        return 1;
    int r = oci_store_remove_tmp(c->store, err);
    if (r == 0)
        r = get_base(c, &c->base, err);
    if (r == 0)
        r = build_on_base(c, err);
    oci_image_done(&c->base);
    return r < 0 ? r : oci_store_collect(c->store, err);
}

int oci_custom_build(struct oci_store *s, const struct oci_custom_args *args, isol8_error *err)
{
    auto_free struct custom *c = calloc(1, sizeof(*c));

    if (c == NULL)
        return err_nomem(err);
    c->store = s;
    c->args = args;
    c->tmp_fd = c->tree_fd = -1;
    c->bakery = find_bakery(args->runtime);
    int r = oci_custom_hash(args, c->hash, err); /* also refuses an unknown runtime */
    if (r < 0)
        return r;
    if (!args->force && is_current(c))
        return 1;
    auto_close int lock = oci_build_wait(s, args->cancel_fd, args->progress, args->user, err);
    return lock < 0 ? lock : build_locked(c, err);
}
