/* SPDX-License-Identifier: Apache-2.0 */
/* custom.c - the public functions for custom images: check what is wanted, build, list. */
#include "oci/custom.h"

#include <string.h>

#include "base/mem.h"
#include "executor/build_step.h"
#include "executor/custom.h"
#include "executor/host.h"
#include "executor/packages.h"

void isol8_build_options_init(isol8_build_options *opts)
{
    *opts = (isol8_build_options){ .size = sizeof(*opts), .cancel_fd = -1 };
}

/* ---- Packages -------------------------------------------------------------------------------- */

static int compare(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b); /* UTF-8: by code point */
}

static char *trimmed(const char *s)
{
    static const char blanks[] = " \t\r\n\v\f";
    size_t n;

    s += strspn(s, blanks);
    n = strlen(s);
    while (n > 0 && strchr(blanks, s[n - 1]) != NULL)
        n--;
    return strndup(s, n);
}

int exec_packages_normalise(const char *const *in, size_t n, char ***out, size_t *n_out,
                            isol8_error *err)
{
    char **list = calloc(n + 1, sizeof(*list));
    size_t have = 0, kept = 0;

    for (size_t i = 0; list != NULL && i < n; i++) {
        list[have] = trimmed(in[i] != NULL ? in[i] : "");
        if (list[have] == NULL) {
            exec_packages_free(list, have);
            list = NULL;
        } else if (list[have][0] == '\0') {
            free(list[have]);
        } else {
            have++;
        }
    }
    if (list == NULL)
        return err_nomem(err);
    qsort(list, have, sizeof(*list), compare);
    for (size_t i = 0; i < have; i++) {
        if (kept > 0 && strcmp(list[kept - 1], list[i]) == 0)
            free(list[i]);
        else
            list[kept++] = list[i];
    }
    *out = list;
    *n_out = kept;
    return 0;
}

void exec_packages_free(char **list, size_t n)
{
    for (size_t i = 0; list != NULL && i < n; i++)
        free(list[i]);
    free(list);
}

/* ---- Building -------------------------------------------------------------------------------- */

struct building {
    const isol8_build_options *opts;
    const char *name; /* the tag, or the base's runtime */
};

static void report(const struct building *b, enum isol8_setup_state state, const char *message,
                   uint64_t done, uint64_t total)
{
    isol8_setup_progress p = {
        .runtime = b->name, .state = state, .message = message, .done = done, .total = total
    };

    if (b->opts->progress != NULL)
        b->opts->progress(&p, b->opts->user);
}

static void on_progress(const struct oci_build_progress *p, void *user)
{
    report(user, ISOL8_SETUP_BUILDING, p->message, p->done, p->total);
}

/* Say how a part ended, and give the failure its context. */
static int ended(const struct building *b, int r, isol8_error *local, isol8_error *err)
{
    if (r >= 0) {
        report(b, ISOL8_SETUP_DONE, r > 0 ? "Up to date" : "", 0, 0);
        return r;
    }
    report(b, ISOL8_SETUP_ERROR, local->msg, 0, 0);
    if (err != NULL)
        *err = *local;
    return err_wrap(err, r, "Failed to build image for %s", b->name);
}

static int ensure_base(isol8_host *h, const isol8_build_options *opts, isol8_error *err)
{
    struct building b = { .opts = opts, .name = opts->runtime };
    struct oci_build_sandbox sandbox = { .run = exec_build_step, .user = h };
    struct oci_build_args args = { .runtime = opts->runtime,
                                   .force = opts->force,
                                   .cancel_fd = opts->cancel_fd,
                                   .sandbox = &sandbox,
                                   .progress = on_progress,
                                   .user = &b };
    struct oci_build_result sizes = { 0 };
    isol8_error local = { 0 };

    int r = oci_build(h->store, &args, &sizes, &local);
    return ended(&b, r < 0 ? r : sizes.was_current, &local, err);
}

static int build_custom(isol8_host *h, const isol8_build_options *opts, char *const *packages,
                        size_t n, const char *name, isol8_error *err)
{
    struct building b = { .opts = opts, .name = opts->tag };
    struct oci_build_sandbox sandbox = { .run = exec_build_step, .user = h };
    struct oci_custom_args args = { .runtime = opts->runtime,
                                    .name = name,
                                    .packages = (const char *const *)packages,
                                    .n_packages = n,
                                    .setup = opts->setup_script,
                                    .force = opts->force,
                                    .cancel_fd = opts->cancel_fd,
                                    .sandbox = &sandbox,
                                    .progress = on_progress,
                                    .user = &b };
    isol8_error local = { 0 };

    return ended(&b, oci_custom_build(h->store, &args, &local), &local, err);
}

static int check(const isol8_build_options *opts, char *const *packages, size_t n,
                 char name[OCI_NAME_MAX + 1], isol8_error *err)
{
    const struct exec_runtime *rt = exec_runtime_find(opts->runtime != NULL ? opts->runtime : "");
    const char *setup = opts->setup_script;

    if (rt == NULL)
        return err_set(err, ISOL8_E_INVAL,
                       "Unknown runtime: \"%.40s\". Available: python, node, bun, bash, deno, "
                       "agent",
                       opts->runtime != NULL ? opts->runtime : "");
    int r = oci_custom_name(opts->tag, name, err);
    if (r < 0)
        return r;
    if (n == 0 && setup == NULL)
        return err_set(err, ISOL8_E_INVAL, "No packages or setup script specified.");
    if (setup != NULL && (strlen(setup) == 0 || strlen(setup) > CUSTOM_SETUP_MAX))
        return err_set(err, ISOL8_E_LIMIT, "setupScript: %zu bytes are not between 1 and %d",
                       strlen(setup), CUSTOM_SETUP_MAX);
    return packages_check(rt, (const char *const *)packages, n, err);
}

int isol8_build(isol8_host *h, const isol8_build_options *opts, isol8_error *err)
{
    char name[OCI_NAME_MAX + 1];
    char **packages = NULL;
    size_t n = 0;

    if (opts->size != sizeof(*opts))
        return err_set(err, ISOL8_E_INVAL, "build options were not initialised");
    int r = exec_packages_normalise(opts->packages, opts->n_packages, &packages, &n, err);
    if (r == 0)
        r = check(opts, packages, n, name, err);
    if (r == 0)
        r = ensure_base(h, opts, err);
    if (r >= 0)
        r = build_custom(h, opts, packages, n, name, err);
    exec_packages_free(packages, n);
    return r;
}

/* ---- Listing --------------------------------------------------------------------------------- */

struct listing {
    int (*each)(const isol8_image *image, void *user);
    void *user;
};

static int list_one(const struct oci_listed *image, void *user)
{
    const struct listing *l = user;
    isol8_image out = { .name = image->name,
                        .digest = image->digest,
                        .runtime = oci_config_label(image->config, OCI_LABEL_RUNTIME),
                        .dependencies = oci_config_label(image->config, OCI_LABEL_DEPENDENCIES),
                        .setup = oci_config_label(image->config, OCI_LABEL_SETUP),
                        .created = json_string(image->config, "created"),
                        .is_base = oci_custom_is_base(image->name) };

    if (out.created == NULL)
        out.created = "";
    return l->each(&out, l->user);
}

int isol8_image_list(isol8_host *h, int (*each)(const isol8_image *image, void *user), void *user,
                     isol8_error *err)
{
    struct listing l = { each, user };

    return oci_store_each(h->store, list_one, &l, err);
}
