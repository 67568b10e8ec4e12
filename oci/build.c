/* SPDX-License-Identifier: Apache-2.0 */
/**
 * build.c - build the base images from the recipes
 *
 * Theory of operation. Every image is the base layer plus at most one layer of its own. The base is
 * an image by itself ("isol8:base"), so that all images built later stand on the very same layer,
 * even when Debian has moved on in between. An image is current when its build hash (recipes, the
 * format of this builder, the host's CA certificates it carries) is the expected one and it stands
 * on the present base.
 *
 * Order: build lock; remove what a killed build left; base, when it is absent or outdated; the
 * image's layer; config, manifest; the name in index.json, which is the moment the image exists;
 * collection of what the old image alone referred to. Killed before the name is set, a build leaves
 * blobs and layers that nothing refers to, which collection removes.
 */
#include "oci/build.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/fd.h"
#include "base/mem.h"
#include "base/path.h"
#include "oci/apt_sources.h"
#include "oci/hosts.h"
#include "oci/layer.h"
#include "oci/npm.h"

#define CA_BUNDLE "/etc/ssl/certs/ca-certificates.crt"

enum {
    CA_BUNDLE_MAX = 8 << 20, /* bytes of the host's CA certificates */
    LOCK_RETRY_MS = 200,
    /* --force over several images rebuilds their base once, not for each of them. */
    BASE_FRESH_MS = 10 * 60 * 1000,
};

struct build {
    struct oci_store *store;
    const struct oci_build_args *args;
    struct recipe base;
    struct recipe recipe;
    struct buf ca;
    char base_hash[HASH_SHA256_HEX_SIZE];
    char hash[HASH_SHA256_HEX_SIZE];
};

static void say(const struct build *b, const char *message)
{
    struct oci_build_progress p = { .message = message };

    if (b->args->progress != NULL)
        b->args->progress(&p, b->args->user);
}

static int image_name(const char *runtime, char out[OCI_NAME_MAX + 1])
{
    return snprintf(out, OCI_NAME_MAX + 1, "isol8:%s", runtime);
}

/* ---- What there is --------------------------------------------------------------------------- */

/* An image with the host's source lists is outdated when they change. */
static int hash_with_sources(struct build *b, isol8_error *err)
{
    auto_buf struct buf extra = BUF_INIT(CA_BUNDLE_MAX + 2 * APT_SOURCES_MAX);
    char codename[APT_CODENAME_SIZE];
    struct apt_sources s;

    int r = apt_sources_find(&s, codename, err);
    (void)buf_add(&extra, b->ca.data, b->ca.len);
    (void)buf_adds(&extra, buf_text(&s.list));
    (void)buf_adds(&extra, buf_text(&s.stanzas));
    if (r == 0 && extra.failed)
        r = err_nomem(err);
    if (r == 0)
        r = recipe_hash(b->args->runtime, extra.data, extra.len, b->hash, err);
    apt_sources_done(&s);
    return r;
}

static int prepare(struct build *b, isol8_error *err)
{
    const char *runtime = b->args->runtime;

    if (strcmp(runtime, "base") == 0)
        return err_set(err, ISOL8_E_INVAL, "'base' is part of every image and no runtime");
    int r = recipe_load(&b->base, "base", err);
    if (r == 0)
        r = recipe_load(&b->recipe, runtime, err);
    if (r < 0)
        return r;
    r = path_read(AT_FDCWD, CA_BUNDLE, CA_BUNDLE_MAX, &b->ca, err);
    if (r < 0)
        return err_wrap(err, r, "CA certificates (package ca-certificates)");
    r = recipe_hash("base", b->ca.data, b->ca.len, b->base_hash, err);
    if (r == 0 && b->recipe.apt_sources != NULL)
        return hash_with_sources(b, err);
    return r < 0 ? r : recipe_hash(runtime, b->ca.data, b->ca.len, b->hash, err);
}

static bool has_hash(const struct oci_image *img, const char *hash)
{
    const char *have = oci_image_label(img, OCI_LABEL_BUILD_HASH);

    return have != NULL && strcmp(have, hash) == 0;
}

/* The base image when it is current. Return: whether *out was filled in. */
static bool get_base(struct build *b, struct oci_image *out)
{
    if (oci_store_get(b->store, "isol8:base", out, NULL) < 0)
        return false;
    if (has_hash(out, b->base_hash))
        return true;
    oci_image_done(out);
    return false;
}

static bool is_fresh(const struct oci_image *base)
{
    const char *created = json_string(base->config, "created");
    char limit[CLOCK_ISO_SIZE];

    clock_iso(clock_wall_ms() - BASE_FRESH_MS, limit);
    return created != NULL && strcmp(created, limit) > 0; /* ISO 8601 sorts by time */
}

static int measure(struct build *b, const struct oci_image *img, struct oci_build_result *out,
                   isol8_error *err)
{
    out->image_bytes = 0;
    for (size_t i = 0; i < img->n_layers; i++) {
        uint64_t bytes;
        int r = path_tree_size(img->layer_fds[i], ".", &bytes, err);
        if (r < 0)
            return r;
        if (i + 1 == img->n_layers)
            out->base_bytes = bytes; /* the bottom one */
        else
            out->image_bytes += bytes;
    }
    (void)b;
    return 0;
}

/* Return: 1 when the image is current (and *out is filled in), 0 when not, or a status. */
static int check_current(struct build *b, struct oci_build_result *out, isol8_error *err)
{
    struct oci_image base, img;
    char name[OCI_NAME_MAX + 1];
    int r = 0;

    if (!get_base(b, &base))
        return 0;
    (void)image_name(b->args->runtime, name);
    if (oci_store_get(b->store, name, &img, NULL) == 0) {
        if (has_hash(&img, b->hash) &&
            strcmp(img.layer_dirs[img.n_layers - 1], base.layer_dirs[0]) == 0) {
            out->was_current = true;
            r = measure(b, &img, out, err);
            r = r < 0 ? r : 1;
        }
        oci_image_done(&img);
    }
    oci_image_done(&base);
    return r;
}

/* ---- Image documents ------------------------------------------------------------------------- */

static bool put_env(cJSON *list, const struct build *b, bool is_base)
{
    const struct recipe *recipes[] = { &b->base, &b->recipe };
    auto_json cJSON *all = cJSON_CreateObject();
    const cJSON *e;
    char text[1024];

    /* By name first: what an image says replaces what the base says. */
    for (size_t i = 0; i < (is_base ? 1 : ARRAY_LEN(recipes)); i++) {
        for (size_t k = 0; k < recipes[i]->env.n; k++) {
            const struct recipe_pair *p = &recipes[i]->env.items[k];
            cJSON_DeleteItemFromObjectCaseSensitive(all, p->key);
            if (cJSON_AddStringToObject(all, p->key, p->value) == NULL)
                return false;
        }
    }
    cJSON_ArrayForEach(e, all)
    {
        (void)snprintf(text, sizeof(text), "%s=%s", e->string, e->valuestring);
        cJSON *item = cJSON_CreateString(text);
        if (item == NULL || !cJSON_AddItemToArray(list, item)) {
            cJSON_Delete(item);
            return false;
        }
    }
    return true;
}

/* Hosts that package managers on this machine use. What cannot be found out is left out. */
static char *install_hosts(void)
{
    struct npm_registry registry = { .url = NULL };
    auto_free struct hosts *h = calloc(1, sizeof(*h));

    if (h == NULL)
        return NULL;
    (void)apt_sources_hosts(h, NULL);
    hosts_add_pip(h);
    hosts_add_jsr(h);
    if (npm_registry_load(&registry, NULL) == 0)
        hosts_add_url(h, registry.url, strlen(registry.url));
    npm_registry_done(&registry);
    return hosts_json(h);
}

static bool put_labels(cJSON *labels, const struct build *b, bool is_base)
{
    auto_free char *hosts = install_hosts();

    return hosts != NULL &&
           cJSON_AddStringToObject(labels, OCI_LABEL_BUILD_HASH,
                                   is_base ? b->base_hash : b->hash) != NULL &&
           cJSON_AddStringToObject(labels, OCI_LABEL_RUNTIME,
                                   is_base ? "base" : b->args->runtime) != NULL &&
           cJSON_AddStringToObject(labels, OCI_LABEL_INSTALL_HOSTS, hosts) != NULL;
}

static cJSON *image_config(const struct build *b, bool is_base, const char *const *diff_ids,
                           size_t n)
{
    auto_json cJSON *doc = cJSON_CreateObject();
    char created[CLOCK_ISO_SIZE];

    clock_iso(clock_wall_ms(), created);
#if defined(__x86_64__)
    const char *arch = "amd64";
#else
    const char *arch = "arm64";
#endif
    cJSON *config = cJSON_AddObjectToObject(doc, "config");
    cJSON *env = cJSON_AddArrayToObject(config, "Env");
    cJSON *labels = cJSON_AddObjectToObject(config, "Labels");
    cJSON *rootfs = cJSON_AddObjectToObject(doc, "rootfs");
    if (cJSON_AddStringToObject(doc, "created", created) == NULL ||
        cJSON_AddStringToObject(doc, "architecture", arch) == NULL ||
        cJSON_AddStringToObject(doc, "os", "linux") == NULL ||
        cJSON_AddStringToObject(config, "User", "100:101") == NULL ||
        cJSON_AddStringToObject(config, "WorkingDir", "/sandbox") == NULL ||
        cJSON_AddStringToObject(rootfs, "type", "layers") == NULL || env == NULL ||
        labels == NULL || !put_env(env, b, is_base) || !put_labels(labels, b, is_base))
        return NULL;
    cJSON *ids = cJSON_CreateStringArray((const char **)(uintptr_t)diff_ids, (int)n);
    if (ids == NULL || !cJSON_AddItemToObject(rootfs, "diff_ids", ids)) {
        cJSON_Delete(ids);
        return NULL;
    }
    return take_ptr(&doc);
}

/* Write config and manifest for the given layers (base first) and give the image its name. */
static int publish(struct build *b, bool is_base, const struct layer *layers, size_t n,
                   isol8_error *err)
{
    auto_free struct oci_manifest *m = calloc(1, sizeof(*m));
    const char *diff_ids[2] = { layers[0].diff_id, n > 1 ? layers[1].diff_id : NULL };
    struct oci_descriptor manifest;
    char name[OCI_NAME_MAX + 1];
    auto_json cJSON *config = image_config(b, is_base, diff_ids, n);
    auto_json cJSON *doc = NULL;

    if (m == NULL || config == NULL)
        return err_nomem(err);
    (void)image_name(is_base ? "base" : b->args->runtime, name);
    int r = oci_store_put_json(b->store, config, OCI_TYPE_CONFIG, &m->config, err);
    if (r < 0)
        return r;
    for (size_t i = 0; i < n; i++)
        m->layers[m->n_layers++] = layers[i].blob;
    doc = oci_manifest_json(m);
    if (doc == NULL)
        return err_nomem(err);
    r = oci_store_put_json(b->store, doc, OCI_TYPE_MANIFEST, &manifest, err);
    return r < 0 ? r : oci_store_set_ref(b->store, name, &manifest, err);
}

/* ---- Building -------------------------------------------------------------------------------- */

static int build_layer(struct build *b, bool is_base, const struct oci_image *below,
                       struct layer *out, isol8_error *err)
{
    struct layer_args args = { .store = b->store,
                               .build = b->args,
                               .runtime = is_base ? "base" : b->args->runtime,
                               .recipe = is_base ? &b->base : &b->recipe,
                               .base = &b->base,
                               .below = below,
                               .ca_bundle = b->ca.data,
                               .ca_len = b->ca.len };

    return layer_build(&args, out, err);
}

static int ensure_base(struct build *b, struct oci_image *out, isol8_error *err)
{
    struct layer layer;

    if (get_base(b, out)) {
        if (!b->args->force || is_fresh(out))
            return 0;
        oci_image_done(out);
    }
    say(b, "building the base layer");
    int r = build_layer(b, true, NULL, &layer, err);
    if (r == 0)
        r = publish(b, true, &layer, 1, err);
    return r < 0 ? err_wrap(err, r, "base layer") : oci_store_get(b->store, "isol8:base", out, err);
}

int oci_build_manifest(struct oci_store *s, const char *digest, struct oci_manifest *out,
                       isol8_error *err)
{
    auto_buf struct buf text = BUF_INIT(OCI_JSON_MAX);

    int r = oci_store_read_blob(s, digest, &text, err);
    return r < 0 ? r : oci_manifest_parse(out, buf_text(&text), text.len, err);
}

/* The base's one layer, as its manifest describes it. */
static int base_layer(struct build *b, const struct oci_image *base, struct layer *out,
                      isol8_error *err)
{
    auto_free struct oci_manifest *m = calloc(1, sizeof(*m));

    if (m == NULL)
        return err_nomem(err);
    int r = oci_build_manifest(b->store, base->digest, m, err);
    if (r < 0)
        return r;
    out->blob = m->layers[0];
    (void)snprintf(out->diff_id, sizeof(out->diff_id), "sha256:%.64s",
                   strrchr(base->layer_dirs[0], '/') + 1);
    return 0;
}

static int build_on(struct build *b, const struct oci_image *base, isol8_error *err)
{
    struct layer layers[2];
    size_t n = 1;

    int r = base_layer(b, base, &layers[0], err);
    if (r == 0 && layer_needed(&b->recipe))
        r = build_layer(b, false, base, &layers[n++], err);
    return r < 0 ? r : publish(b, false, layers, n, err);
}

static int build_locked(struct build *b, struct oci_build_result *out, isol8_error *err)
{
    struct oci_image base, img;
    char name[OCI_NAME_MAX + 1];

    int r = b->args->force ? 0 : check_current(b, out, err); /* another build may have done it */
    if (r != 0)
        return r < 0 ? r : 0;
    r = oci_store_remove_tmp(b->store, err);
    if (r == 0)
        r = ensure_base(b, &base, err);
    if (r < 0)
        return r;
    r = build_on(b, &base, err);
    oci_image_done(&base);
    if (r == 0)
        r = oci_store_collect(b->store, err);
    if (r < 0)
        return r;
    (void)image_name(b->args->runtime, name);
    r = oci_store_get(b->store, name, &img, err);
    if (r < 0)
        return r;
    r = measure(b, &img, out, err);
    oci_image_done(&img);
    return r;
}

/* flock() cannot be waited for together with the cancel descriptor: look again now and then. */
int oci_build_wait(struct oci_store *s, int cancel_fd, oci_build_progress_fn progress, void *user,
                   isol8_error *err)
{
    struct oci_build_progress waiting = { .message = "waiting for another build" };
    struct pollfd cancel = { .fd = cancel_fd, .events = POLLIN };
    isol8_error why = { .status = 0 };
    bool told = progress == NULL;

    for (;;) {
        int fd = oci_store_build_lock(s, false, &why);
        if (fd < 0 && fd != ISOL8_E_BUSY && err != NULL)
            *err = why;
        if (fd != ISOL8_E_BUSY)
            return fd;
        if (!told)
            progress(&waiting, user);
        told = true;
        if (poll(&cancel, 1, LOCK_RETRY_MS) > 0)
            return err_set(err, ISOL8_E_CANCELLED, "interrupted");
    }
}

static int build_image(struct build *b, struct oci_build_result *out, isol8_error *err)
{
    int r = prepare(b, err);
    if (r < 0)
        return r;
    if (!b->args->force) {
        r = check_current(b, out, err);
        if (r != 0)
            return r < 0 ? r : 0;
    }
    auto_close int lock = oci_build_wait(b->store, b->args->cancel_fd, b->args->progress,
                                         b->args->user, err);
    return lock < 0 ? lock : build_locked(b, out, err);
}

int oci_build(struct oci_store *s, const struct oci_build_args *args, struct oci_build_result *out,
              isol8_error *err)
{
    struct oci_build_result result = { .was_current = false };
    struct build *b = calloc(1, sizeof(*b));

    if (b == NULL)
        return err_nomem(err);
    b->store = s;
    b->args = args;
    int r = build_image(b, &result, err);
    recipe_done(&b->base);
    recipe_done(&b->recipe);
    buf_done(&b->ca);
    free(b);
    if (r == 0)
        *out = result;
    return r;
}

bool oci_build_present(struct oci_store *s, const char *runtime)
{
    struct oci_image img;
    char name[OCI_NAME_MAX + 1];

    if (image_name(runtime, name) > OCI_NAME_MAX || oci_store_get(s, name, &img, NULL) < 0)
        return false;
    oci_image_done(&img);
    return true;
}
