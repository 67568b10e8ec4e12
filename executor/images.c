/* SPDX-License-Identifier: Apache-2.0 */
/* images.c - which image a request runs in, and which of its packages are not in it. */
#include "executor/images.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/text.h"
#include "executor/host.h"
#include "oci/image_json.h"

/* A custom image, by its labels. */
struct known {
    char *name;
    char *runtime;
    char *dependencies; /* the label, in which the packages point */
    const char **packages;
    size_t n;
    char *setup; /* or NULL */
};

struct exec_images {
    pthread_mutex_t mutex; /* guards the rest */
    bool is_loaded;
    struct oci_stamp stamp; /* of the index that was read */
    struct known *items;
    size_t n;
};

/* ---- What is known --------------------------------------------------------------------------- */

static void forget(struct exec_images *images)
{
    for (size_t i = 0; i < images->n; i++) {
        struct known *k = &images->items[i];
        free(k->name);
        free(k->runtime);
        free(k->dependencies);
        free(k->packages);
        free(k->setup);
    }
    free(images->items);
    images->items = NULL;
    images->n = 0;
    images->is_loaded = false;
}

int exec_images_new(struct exec_images **out, isol8_error *err)
{
    struct exec_images *images = calloc(1, sizeof(*images));

    if (images == NULL)
        return err_nomem(err);
    (void)pthread_mutex_init(&images->mutex, NULL);
    *out = images;
    return 0;
}

void exec_images_free(struct exec_images *images)
{
    if (images == NULL)
        return;
    forget(images);
    (void)pthread_mutex_destroy(&images->mutex);
    free(images);
}

/* Cut k->dependencies into words, in place. False when memory is out. */
static bool split(struct known *k)
{
    const char *p = k->dependencies, *item;
    size_t n;

    k->packages = calloc(strlen(p) / 2 + 2, sizeof(*k->packages));
    if (k->packages == NULL)
        return false;
    while (text_next_item(&p, &item, &n)) {
        if (n == 0)
            continue;
        k->packages[k->n++] = item;
        k->dependencies[(size_t)(item - k->dependencies) + n] = '\0';
        /* The comma may be gone now, but @p is behind it. */
    }
    return true;
}

static int learn(const struct oci_listed *image, void *user)
{
    struct exec_images *images = user;
    const char *runtime = oci_config_label(image->config, OCI_LABEL_RUNTIME);
    const char *packages = oci_config_label(image->config, OCI_LABEL_DEPENDENCIES);
    const char *setup = oci_config_label(image->config, OCI_LABEL_SETUP);

    if (packages == NULL && setup == NULL)
        return 0; /* a base image, or a foreign one: nothing to know */
    void *more = reallocarray(images->items, images->n + 1, sizeof(*images->items));
    if (more == NULL)
        return ISOL8_E_NOMEM;
    images->items = more;
    struct known *k = &images->items[images->n++];
    *k = (struct known){ .name = strdup(image->name),
                         .runtime = strdup(runtime != NULL ? runtime : ""),
                         .dependencies = strdup(packages != NULL ? packages : ""),
                         .setup = mem_strdup(setup) };
    if (k->name == NULL || k->runtime == NULL || k->dependencies == NULL ||
        (setup != NULL && k->setup == NULL) || !split(k))
        return ISOL8_E_NOMEM;
    return 0;
}

static int refresh(struct exec_images *images, struct oci_store *store, isol8_error *err)
{
    struct oci_stamp now;

    /* Taken before the index is read: what changes meanwhile is read the next time. */
    oci_store_stamp(store, &now);
    if (images->is_loaded && memcmp(&now, &images->stamp, sizeof(now)) == 0)
        return 0;
    forget(images);
    int r = oci_store_each(store, learn, images, err);
    if (r < 0) {
        forget(images);
        return r == ISOL8_E_NOMEM ? err_nomem(err) : r;
    }
    images->stamp = now;
    images->is_loaded = true;
    return 0;
}

/* ---- Choosing -------------------------------------------------------------------------------- */

static bool has(const char *const *list, size_t n, const char *word)
{
    for (size_t i = 0; i < n; i++) {
        if (strcmp(list[i], word) == 0)
            return true;
    }
    return false;
}

static bool has_all(const struct known *k, const char *const *packages, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (!has(k->packages, k->n, packages[i]))
            return false;
    }
    return true;
}

static const struct known *find_named(const struct exec_images *images, const char *name)
{
    for (size_t i = 0; i < images->n; i++) {
        if (strcmp(images->items[i].name, name) == 0)
            return &images->items[i];
    }
    return NULL;
}

/* An image's list has no package twice: of those that have all, the shortest is the exact one if
 * there is one, and otherwise the nearest. The first of several counts. */
static const struct known *find_best(const struct exec_images *images, const char *runtime,
                                     const char *const *packages, size_t n)
{
    const struct known *best = NULL;

    for (size_t i = 0; i < images->n; i++) {
        const struct known *k = &images->items[i];
        if (k->n > 0 && strcmp(k->runtime, runtime) == 0 && has_all(k, packages, n) &&
            (best == NULL || k->n < best->n))
            best = k;
    }
    return best;
}

static int take(struct exec_image_choice *out, const struct known *k, const char *const *packages,
                size_t n, isol8_error *err)
{
    if (k != NULL && k->setup != NULL && (out->setup = strdup(k->setup)) == NULL)
        return err_nomem(err);
    if (n == 0)
        return 0;
    out->missing = calloc(n, sizeof(*out->missing));
    if (out->missing == NULL)
        return err_nomem(err);
    for (size_t i = 0; i < n; i++) {
        if (k == NULL || !has(k->packages, k->n, packages[i]))
            out->missing[out->n_missing++] = packages[i];
    }
    return 0;
}

static int choose(struct exec_images *images, const struct exec_runtime *rt, const char *override,
                  const char *const *packages, size_t n, struct exec_image_choice *out,
                  isol8_error *err)
{
    char full[OCI_NAME_MAX + 1];
    const struct known *k = NULL;

    if (override == NULL)
        k = find_best(images, rt->name, packages, n);
    else if (oci_name_check(override, full, NULL) == 0)
        k = find_named(images, full);
    if (override == NULL && k != NULL)
        (void)snprintf(out->name, sizeof(out->name), "%s", k->name);
    return take(out, k, packages, n, err);
}

int exec_image_choose(struct isol8_host *h, const struct exec_runtime *rt, const char *override,
                      const char *const *packages, size_t n, struct exec_image_choice *out,
                      isol8_error *err)
{
    const char *name = override != NULL ? override : rt->image;
    bool is_host = override != NULL && strcmp(override, "host") == 0;

    *out = (struct exec_image_choice){ 0 };
    if (snprintf(out->name, sizeof(out->name), "%s", name) > OCI_NAME_MAX)
        return err_set(err, ISOL8_E_INVAL, "image name is longer than %d bytes: '%.40s...'",
                       OCI_NAME_MAX, name);
    if (is_host || (override == NULL && n == 0))
        return take(out, NULL, packages, n, err);

    (void)pthread_mutex_lock(&h->images->mutex);
    int r = refresh(h->images, h->store, err);
    if (r == 0)
        r = choose(h->images, rt, override, packages, n, out, err);
    (void)pthread_mutex_unlock(&h->images->mutex);
    if (r < 0)
        exec_image_choice_done(out);
    return r;
}

void exec_image_choice_done(struct exec_image_choice *choice)
{
    free(choice->missing);
    free(choice->setup);
    *choice = (struct exec_image_choice){ 0 };
}
