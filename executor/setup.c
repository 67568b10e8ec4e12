/* SPDX-License-Identifier: Apache-2.0 */
/**
 * setup.c - build the base images, and carry out their "run" steps in sandboxes
 *
 * oci/build.c makes images but cannot start sandboxes, which lie above it; it asks for them through
 * struct oci_build_sandbox. A step runs over the layers that exist so far, with the strict seccomp
 * profile, no network unless the recipe asks for it, and limits of its own. Its standard output is
 * the only thing that comes out.
 */
#include <errno.h>
#include <poll.h>
#include <string.h>

#include "base/fd.h"
#include "base/mem.h"
#include "executor/engine.h"
#include "executor/run.h"
#include "oci/build.h"

enum {
    STEP_TIMEOUT_MS = 15 * 60 * 1000,
    STEP_ENV_MAX = 32,
    LINE_BYTES_MAX = 512,
};

void isol8_setup_options_init(isol8_setup_options *opts)
{
    *opts = (isol8_setup_options){ .size = sizeof(*opts), .cancel_fd = -1 };
}

/* ---- A recipe's step in a sandbox
 * ----------------------------------------------------------------- */

struct step {
    int out_fd;
    void (*line)(const char *line, void *user);
    void *line_user;
    int cancel_fd;
    char text[LINE_BYTES_MAX + 1]; /* stderr line being collected */
    size_t len;
};

static void step_stderr(struct step *s, const char *p, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (p[i] == '\n' || s->len == LINE_BYTES_MAX) {
            s->text[s->len] = '\0';
            if (s->len > 0 && s->line != NULL)
                s->line(s->text, s->line_user);
            s->len = 0;
        }
        if (p[i] != '\n')
            s->text[s->len++] = p[i];
    }
}

static int step_event(struct step *s, const isol8_event *ev, isol8_error *err)
{
    if (ev->type == ISOL8_EVENT_STDERR)
        step_stderr(s, ev->data, ev->size);
    if (ev->type != ISOL8_EVENT_STDOUT || ev->is_marker)
        return 0;
    int r = fd_write_all(s->out_fd, ev->data, ev->size);
    return r < 0 ? err_sys(err, -r, "cannot store a build step's output") : 0;
}

static int step_drive(struct step *s, isol8_run *run, isol8_error *err)
{
    struct pollfd p[2] = { { .fd = isol8_run_fd(run), .events = POLLIN },
                           { .fd = s->cancel_fd, .events = POLLIN } };
    isol8_event ev;
    int failure = 0;

    while (!isol8_run_done(run)) {
        int n = isol8_run_next(run, &ev, NULL); /* its error comes again from finish */
        if (n == 1 && failure == 0) {
            failure = step_event(s, &ev, err);
            if (failure < 0)
                isol8_run_cancel(run);
        }
        if (n != 0 || isol8_run_done(run))
            continue;
        if (poll(p, 2, -1) < 0 && errno != EINTR)
            return err_sys(err, errno, "cannot wait for a build step");
        if (p[1].revents != 0) {
            failure = err_set(err, ISOL8_E_CANCELLED, "interrupted");
            isol8_run_cancel(run);
            p[1].fd = -1;
        }
    }
    return failure;
}

static int step_engine(isol8_engine **out, struct isol8_host *h, bool host_network,
                       isol8_error *err)
{
    isol8_options o;

    isol8_options_init(&o);
    o.network = host_network ? "host" : "none";
    o.memory_limit = "4g";
    o.cpu_limit = 0;
    o.pids_limit = 512;
    o.sandbox_size = "2g";
    o.tmp_size = "1g";
    o.max_output_size = UINT64_C(4) << 30;
    o.timeout_ms = STEP_TIMEOUT_MS;
    return isol8_create(out, h, &o, err);
}

/* struct oci_build_sandbox.run */
static int run_step(void *user, const char *const *layers, size_t n_layers, const char *const *env,
                    bool host_network, const char *script, int out_fd,
                    void (*line)(const char *line, void *line_user), void *line_user, int cancel_fd,
                    isol8_error *err)
{
    struct step s = {
        .out_fd = out_fd, .line = line, .line_user = line_user, .cancel_fd = cancel_fd
    };
    isol8_engine *e = NULL;
    isol8_run *run = NULL;
    isol8_result *res = NULL;
    isol8_request rq;
    isol8_pair pairs[STEP_ENV_MAX];
    char keys[STEP_ENV_MAX][64];

    isol8_request_init(&rq);
    rq.runtime = "bash";
    rq.code = script;
    rq.code_size = strlen(script);
    for (; env != NULL && *env != NULL && rq.n_env < STEP_ENV_MAX; env++) {
        size_t n = strcspn(*env, "=");
        if ((*env)[n] != '=' || n >= sizeof(keys[0]))
            continue;
        memcpy(keys[rq.n_env], *env, n);
        keys[rq.n_env][n] = '\0';
        pairs[rq.n_env] = (isol8_pair){ keys[rq.n_env], *env + n + 1 };
        rq.n_env++;
    }
    rq.env = pairs;

    int r = step_engine(&e, user, host_network, err);
    if (r == 0) {
        e->layers = layers;
        e->n_layers = n_layers;
        r = isol8_run_start(e, &rq, 0, &run, err);
    }
    if (r == 0) {
        r = step_drive(&s, run, err);
        int f = isol8_run_finish(run, &res, r < 0 ? NULL : err);
        r = r < 0 ? r : f;
    }
    if (r == 0) {
        step_stderr(&s, "\n", 1);
        r = isol8_result_exit_code(res);
        if (isol8_result_verdict(res) > ISOL8_VERDICT_EXIT)
            r = err_set(err, ISOL8_E_LIMIT, "a build step was %s", isol8_result_detail(res));
    }
    isol8_result_free(res);
    isol8_free(e);
    return r;
}

/* ---- Building
 * ---------------------------------------------------------------------------------------- */

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
    struct oci_build_sandbox sandbox = { .run = run_step, .user = h };
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
