/* SPDX-License-Identifier: Apache-2.0 */
/* layer_run.c - a recipe's script, run in a sandbox over the layers so far. */
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "oci/layer.h"

#define RUN_BYTES_MAX (256ULL << 20) /* unpacked bytes that a script may add */

enum { RUN_ENTRIES_MAX = 50000, RUN_ENV_MAX = 64, RUN_TAIL_MAX = 300 };

struct script {
    const struct layer_args *a;
    char *text;            /* owned */
    const char *layers[2]; /* top first */
    char env_text[RUN_ENV_MAX][512];
    const char *env[RUN_ENV_MAX + 1];
    char tail[RUN_TAIL_MAX]; /* the last line, for the error message */
};

static void take_line(const char *line, void *user)
{
    struct script *s = user;

    (void)snprintf(s->tail, sizeof(s->tail), "%s", line);
    layer_say(s->a, "%s", line);
}

static int prepare(struct script *s, const char *tree_path, isol8_error *err)
{
    const struct layer_args *a = s->a;
    const struct recipe *recipes[] = { a->base, a->recipe != a->base ? a->recipe : NULL };
    const struct recipe_file *f = recipe_file_find(a->runtime, a->recipe->run_file);
    size_t n = 0;

    if (f == NULL)
        return err_set(err, ISOL8_E_INVAL, "recipe names a missing file '%.80s'",
                       a->recipe->run_file);
    s->text = strndup((const char *)f->data, (size_t)(f->end - f->data));
    if (s->text == NULL)
        return err_nomem(err);
    s->layers[0] = tree_path;
    s->layers[1] = a->below != NULL ? a->below->layer_dirs[0] : NULL;
    for (size_t i = 0; i < ARRAY_LEN(recipes); i++) {
        for (size_t k = 0; recipes[i] != NULL && k < recipes[i]->env.n && n < RUN_ENV_MAX; k++) {
            const struct recipe_pair *e = &recipes[i]->env.items[k];
            (void)snprintf(s->env_text[n], sizeof(s->env_text[n]), "%s=%s", e->key, e->value);
            s->env[n] = s->env_text[n];
            n++;
        }
    }
    return 0;
}

static int run_script(struct script *s, int tree_fd, isol8_error *err)
{
    const struct layer_args *a = s->a;
    struct layer_take take = { .tree_fd = tree_fd,
                               .patterns = a->recipe->run_take.items,
                               .n_patterns = a->recipe->run_take.n,
                               .bytes_max = RUN_BYTES_MAX,
                               .entries_max = RUN_ENTRIES_MAX };
    struct oci_step step = { .layer_dirs = s->layers,
                             .n_layers = s->layers[1] != NULL ? 2 : 1,
                             .env = s->env,
                             .script = s->text,
                             .line = take_line,
                             .line_user = s,
                             .cancel_fd = a->build->cancel_fd };

    int r = layer_step(a->build->sandbox, &step, &take, err);
    if (r > 0)
        return err_set(err, ISOL8_E_RUNTIME, "build script of image '%s' failed with code %d: %s",
                       a->runtime, r, s->tail);
    return r < 0 ? err_wrap(err, r, "build script of image '%s'", a->runtime) : 0;
}

int layer_run(const struct layer_args *a, const char *tree_path, int tree_fd, isol8_error *err)
{
    auto_free struct script *s = calloc(1, sizeof(*s));

    if (s == NULL)
        return err_nomem(err);
    if (a->build->sandbox == NULL)
        return err_set(err, ISOL8_E_INVAL, "image '%s' needs a sandbox to be built", a->runtime);
    s->a = a;
    layer_say(a, "preparing %s in a sandbox", a->runtime);
    int r = prepare(s, tree_path, err);
    if (r == 0)
        r = run_script(s, tree_fd, err);
    free(s->text);
    return r;
}
