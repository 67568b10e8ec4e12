/* SPDX-License-Identifier: Apache-2.0 */
/**
 * layer_run.c - a recipe's script, run in a sandbox over the layers so far
 *
 * What comes out is a tar written by code we do not trust: it is unpacked by a thread of its own
 * while the script runs, under ceilings, and only where the recipe allows.
 */
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/mem.h"
#include "oci/layer.h"
#include "oci/tar.h"

#define RUN_BYTES_MAX (256ULL << 20) /* unpacked bytes that a script may add */

enum { RUN_ENTRIES_MAX = 50000, RUN_ENV_MAX = 64, RUN_TAIL_MAX = 300 };

struct receiver {
    struct tar_unpack_args args;
    const struct recipe_list *take;
    isol8_error error;
    int status;
};

static bool map_allowed(const char *name, char out[TAR_NAME_MAX + 1], void *user)
{
    const struct receiver *r = user;

    for (size_t i = 0; i < r->take->n; i++) {
        if (fnmatch(r->take->items[i], name, FNM_LEADING_DIR | FNM_PATHNAME) == 0) {
            memcpy(out, name, strlen(name) + 1);
            return true;
        }
    }
    return false; /* directories on the way, for instance: made when something below is taken */
}

/* After a failure the rest is read and dropped, so that the writer never meets a closed pipe. */
static void *receive(void *user)
{
    struct receiver *r = user;
    char rest[4096];
    ssize_t n;

    r->status = tar_unpack(&r->args, &r->error);
    do {
        n = read(r->args.in_fd, rest, sizeof(rest));
    } while (n > 0 || (n < 0 && errno == EINTR));
    return NULL;
}

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

static int run_script(struct script *s, int out_fd, isol8_error *err)
{
    const struct oci_build_args *b = s->a->build;

    int r = b->sandbox->run(b->sandbox->user, s->layers, s->layers[1] != NULL ? 2 : 1, s->env,
                            false, s->text, out_fd, take_line, s, b->cancel_fd, err);
    if (r > 0)
        return err_set(err, ISOL8_E_RUNTIME, "build script of image '%s' failed with code %d: %s",
                       s->a->runtime, r, s->tail);
    return r;
}

static int run_with_receiver(struct script *s, int tree_fd, isol8_error *err)
{
    struct receiver rx = { .take = &s->a->recipe->run_take };
    pthread_t thread;
    int ends[2];

    if (pipe2(ends, O_CLOEXEC) < 0)
        return err_sys(err, errno, "cannot create a pipe");
    auto_close int in = ends[0];
    auto_close int out = ends[1];
    rx.args = (struct tar_unpack_args){
        .in_fd = in,
        .dir_fd = tree_fd,
        .bytes_max = RUN_BYTES_MAX,
        .entries_max = RUN_ENTRIES_MAX,
        .cancel_fd = -1, /* the sandbox ends, and the pipe with it */
        .map = map_allowed,
        .user = &rx
    };
    int e = pthread_create(&thread, NULL, receive, &rx);
    if (e != 0)
        return err_sys(err, e, "cannot start a thread");
    int r = run_script(s, out, err);
    out = fd_close(out);
    (void)pthread_join(thread, NULL); /* ends at the end of the pipe */
    if (r == 0 && rx.status < 0) {
        if (err != NULL)
            *err = rx.error;
        r = err_wrap(err, rx.status, "result of the build script of image '%s'", s->a->runtime);
    }
    return r;
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
        r = run_with_receiver(s, tree_fd, err);
    free(s->text);
    return r;
}
