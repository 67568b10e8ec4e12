/* SPDX-License-Identifier: Apache-2.0 */
/**
 * layer_step.c - run a script in a sandbox and unpack what it writes
 *
 * What comes out is a tar written by code we do not trust: it is unpacked by a thread of its own
 * while the script runs, under ceilings, and only where the caller allows.
 */
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/mem.h"
#include "oci/layer.h"
#include "oci/tar.h"

#define WHITEOUT ".wh." /* a name that begins so means "remove" in a layer */

struct receiver {
    struct tar_unpack_args args;
    const struct layer_take *take;
    isol8_error error;
    int status;
};

static bool is_whiteout(const char *name)
{
    return strncmp(name, WHITEOUT, strlen(WHITEOUT)) == 0 || strstr(name, "/" WHITEOUT) != NULL;
}

static bool map_allowed(const char *name, char out[TAR_NAME_MAX + 1], void *user)
{
    const struct layer_take *t = ((const struct receiver *)user)->take;

    for (size_t i = 0; i < t->n_patterns && !is_whiteout(name); i++) {
        if (fnmatch(t->patterns[i], name, FNM_LEADING_DIR | FNM_PATHNAME) == 0) {
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

int layer_step(const struct oci_build_sandbox *sandbox, struct oci_step *step,
               const struct layer_take *take, isol8_error *err)
{
    struct receiver rx = { .take = take };
    pthread_t thread;
    int ends[2];

    if (sandbox == NULL)
        return err_set(err, ISOL8_E_INVAL, "images need sandboxes to be built");
    if (pipe2(ends, O_CLOEXEC) < 0)
        return err_sys(err, errno, "cannot create a pipe");
    auto_close int in = ends[0];
    auto_close int out = ends[1];
    rx.args = (struct tar_unpack_args){
        .in_fd = in,
        .dir_fd = take->tree_fd,
        .bytes_max = take->bytes_max,
        .entries_max = take->entries_max,
        .cancel_fd = -1, /* the sandbox ends, and the pipe with it */
        .map = map_allowed,
        .user = &rx
    };
    int e = pthread_create(&thread, NULL, receive, &rx);
    if (e != 0)
        return err_sys(err, e, "cannot start a thread");
    step->out_fd = out;
    int r = sandbox->run(sandbox->user, step, err);
    out = fd_close(out);
    (void)pthread_join(thread, NULL); /* ends at the end of the pipe */
    if (r == 0 && rx.status < 0) {
        if (err != NULL)
            *err = rx.error;
        r = err_wrap(err, rx.status, "what it made");
    }
    return r;
}
