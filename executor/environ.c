/* SPDX-License-Identifier: Apache-2.0 */
/* environ.c - the variables of a command in a sandbox. */
#include "executor/environ.h"

#include <string.h>

#include "base/json.h"
#include "base/mem.h"
#include "executor/egress.h"

enum { IMAGE_VARIABLES_MAX = 64 };

struct exec_environ {
    char *copies[IMAGE_VARIABLES_MAX]; /* the image's, split in place */
    size_t n_copies;
    size_t n;
    isol8_pair list[]; /* with room for all that may be set */
};

static const isol8_pair base_env[] = {
    { "HOME", "/sandbox" },
    { "HOSTNAME", "isol8" },
    { "PYTHONUNBUFFERED", "1" },
    { "PYTHONUSERBASE", "/sandbox/.local" },
    { "NPM_CONFIG_PREFIX", "/sandbox/.npm-global" },
    { "DENO_DIR", "/sandbox/.deno" },
    { "PATH", ENVIRON_PATH },
    { "NODE_PATH", "/usr/local/lib/node_modules:/sandbox/.npm-global/lib/node_modules:"
                   "/sandbox/node_modules:/sandbox/.bun-global/node_modules" },
};

/* For clients that ask for a proxy; Node looks at them only when told to. Loopback needs none. */
static const isol8_pair proxy_env[] = {
    { "HTTP_PROXY", EGRESS_PROXY_URL },
    { "HTTPS_PROXY", EGRESS_PROXY_URL },
    { "http_proxy", EGRESS_PROXY_URL },
    { "https_proxy", EGRESS_PROXY_URL },
    { "NO_PROXY", "localhost,127.0.0.1,::1" },
    { "no_proxy", "localhost,127.0.0.1,::1" },
    { "NODE_USE_ENV_PROXY", "1" },
};

void exec_environ_set(struct exec_environ *env, const char *key, const char *value)
{
    for (size_t i = 0; i < env->n; i++) {
        if (strcmp(env->list[i].key, key) == 0) {
            env->list[i].value = value;
            return;
        }
    }
    env->list[env->n++] = (isol8_pair){ key, value };
}

static int add_list(struct exec_environ *env, const cJSON *list, isol8_error *err)
{
    const cJSON *item;

    cJSON_ArrayForEach(item, list)
    {
        const char *text = cJSON_GetStringValue(item);
        if (text == NULL || env->n_copies == IMAGE_VARIABLES_MAX || strchr(text, '=') == NULL)
            continue;
        char *copy = strdup(text);
        if (copy == NULL)
            return err_nomem(err);
        env->copies[env->n_copies++] = copy;
        char *eq = strchr(copy, '=');
        *eq = '\0';
        exec_environ_set(env, copy, eq + 1);
    }
    return 0;
}

static int add_image(struct exec_environ *env, const struct oci_image *image, isol8_error *err)
{
    const cJSON *config = cJSON_GetObjectItemCaseSensitive(image->config, "config");

    return add_list(env, cJSON_GetObjectItemCaseSensitive(config, "Env"), err);
}

/* Where packages are that an image of isol8's own making brought: a label, since what any image
 * sets gives way to base_env. */
static int add_label(struct exec_environ *env, const struct oci_image *image, isol8_error *err)
{
    const char *label = oci_image_label(image, OCI_LABEL_ENV);
    auto_json cJSON *list = NULL;

    if (label == NULL)
        return 0;
    if (json_parse(&list, label, strlen(label), OCI_LABEL_ENV, err) < 0)
        return ISOL8_E_IMAGE;
    return add_list(env, list, err);
}

int exec_environ_new(struct exec_environ **out, const struct isol8_engine *e,
                     const struct oci_image *image, const isol8_pair *runtime, size_t n_runtime,
                     size_t extra, isol8_error *err)
{
    size_t n_secrets = e == NULL ? 0 : e->n_secret_env;
    size_t room = IMAGE_VARIABLES_MAX + ARRAY_LEN(base_env) + ARRAY_LEN(proxy_env) + n_runtime +
                  n_secrets + extra;
    struct exec_environ *env = calloc(1, sizeof(*env) + room * sizeof(env->list[0]));

    if (env == NULL)
        return err_nomem(err);
    int r = add_image(env, image, err);
    for (size_t i = 0; i < ARRAY_LEN(base_env); i++)
        exec_environ_set(env, base_env[i].key, base_env[i].value);
    if (r == 0)
        r = add_label(env, image, err);
    if (r < 0) {
        exec_environ_free(env);
        return r;
    }
    for (size_t i = 0; i < n_runtime; i++)
        exec_environ_set(env, runtime[i].key, runtime[i].value);
    for (size_t i = 0; i < n_secrets; i++)
        exec_environ_set(env, e->secret_env[i].key, e->secret_env[i].value);
    *out = env;
    return 0;
}

void exec_environ_free(struct exec_environ *env)
{
    if (env == NULL)
        return;
    while (env->n_copies > 0)
        free(env->copies[--env->n_copies]);
    free(env);
}

void exec_environ_finish(struct exec_environ *env, const struct isol8_engine *e)
{
    for (size_t i = 0; e->is_filtered && i < ARRAY_LEN(proxy_env); i++)
        exec_environ_set(env, proxy_env[i].key, proxy_env[i].value);
}

void exec_add_word(struct buf *out, const char *word, uint32_t *count)
{
    (void)buf_add(out, word, strlen(word) + 1);
    if (count != NULL)
        (*count)++;
}

void exec_environ_write(const struct exec_environ *env, struct buf *out, uint32_t *count)
{
    for (size_t i = 0; i < env->n; i++) {
        (void)buf_addf(out, "%s=%s", env->list[i].key, env->list[i].value);
        (void)buf_add(out, "", 1);
        (*count)++;
    }
}
