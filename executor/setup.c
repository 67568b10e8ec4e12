/* SPDX-License-Identifier: Apache-2.0 */
/* setup.c - build the base images. */
#include <string.h>

#include "executor/build_step.h"
#include "executor/host.h"
#include "executor/runtimes.h"

void isol8_setup_options_init(isol8_setup_options *opts)
{
    *opts = (isol8_setup_options){ .size = sizeof(*opts), .cancel_fd = -1 };
}

struct building {
    const isol8_setup_options *opts;
    const char *runtime;
};

static void report(const struct building *b, enum isol8_setup_state state, const char *message,
                   uint64_t done, uint64_t total, const struct oci_build_result *sizes)
{
    if (b->opts->progress == NULL)
        return;
    isol8_setup_progress p = {
        .runtime = b->runtime, .state = state, .message = message, .done = done, .total = total
    };
    if (sizes != NULL) {
        p.image_bytes = sizes->image_bytes;
        p.base_bytes = sizes->base_bytes;
    }
    b->opts->progress(&p, b->opts->user);
}

static void on_progress(const struct oci_build_progress *p, void *user)
{
    report(user, ISOL8_SETUP_BUILDING, p->message, p->done, p->total, NULL);
}

static int build_one(isol8_host *h, const isol8_setup_options *opts, const char *name,
                     isol8_error *err)
{
    struct building b = { .opts = opts, .runtime = name };
    struct oci_build_sandbox sandbox = { .run = exec_build_step, .user = h };
    struct oci_build_args args = { .runtime = name,
                                   .force = opts->force,
                                   .cancel_fd = opts->cancel_fd,
                                   .sandbox = &sandbox,
                                   .progress = on_progress,
                                   .user = &b };
    struct oci_build_result sizes = { 0 };
    isol8_error local = { 0 };

    int r = oci_build(h->store, &args, &sizes, &local);
    if (r < 0) {
        report(&b, ISOL8_SETUP_ERROR, local.msg, 0, 0, NULL);
        if (err != NULL)
            *err = local;
        return err_wrap(err, r, "Failed to build image for %s", name);
    }
    report(&b, ISOL8_SETUP_DONE, sizes.was_current ? "Up to date" : "", 0, 0, &sizes);
    return 0;
}

int isol8_setup(isol8_host *h, const isol8_setup_options *opts, isol8_error *err)
{
    if (opts->size != sizeof(*opts))
        return err_set(err, ISOL8_E_INVAL, "setup options were not initialised");
    for (size_t i = 0; i < opts->n_runtimes; i++) {
        if (exec_runtime_find(opts->runtimes[i]) == NULL)
            return err_set(err, ISOL8_E_INVAL,
                           "Unknown runtime: \"%.40s\". Available: python, node, bun, bash, deno, "
                           "agent",
                           opts->runtimes[i]);
    }
    for (size_t i = 0; opts->n_runtimes > 0 ? i < opts->n_runtimes : isol8_runtime_name(i) != NULL;
         i++) {
        int r = build_one(h, opts, opts->n_runtimes > 0 ? opts->runtimes[i] : isol8_runtime_name(i),
                          err);
        if (r < 0)
            return r;
    }
    return 0;
}

bool isol8_image_present(isol8_host *h, const char *runtime)
{
    return exec_runtime_find(runtime) != NULL && oci_build_present(h->store, runtime);
}
