/* SPDX-License-Identifier: Apache-2.0 */
/**
 * build_step.c - scripts of image builds, in sandboxes
 *
 * oci/ makes images but cannot start sandboxes, which lie above it; it asks for them through struct
 * oci_build_sandbox. A step runs with the strict seccomp profile, limits of its own, and either no
 * network or one that is filtered to the hosts that package managers use. Its standard output is
 * the only thing that comes out.
 */
#include "executor/build_step.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/mem.h"
#include "executor/engine.h"
#include "executor/packages.h"

enum {
    STEP_TIMEOUT_MS = 30 * 60 * 1000,
    STEP_ENV_MAX = 32,
    LINE_BYTES_MAX = 512,
    WORDS_BYTES_MAX = 1 << 20,
};

/* Of memory, tmpfs included; no more than three quarters of what the machine has. */
#define STEP_MEMORY_MAX (UINT64_C(10) << 30)
#define STEP_OUTPUT_MAX (UINT64_C(9) << 30)

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

/* Packages are unpacked in memory: what the machine can spare, within reason. */
static uint64_t memory_limit(void)
{
    long pages = sysconf(_SC_PHYS_PAGES), size = sysconf(_SC_PAGESIZE);

    if (pages <= 0 || size <= 0)
        return STEP_MEMORY_MAX / 4;
    uint64_t bytes = (uint64_t)pages * (uint64_t)size / 4 * 3;
    return bytes < STEP_MEMORY_MAX ? bytes : STEP_MEMORY_MAX;
}

static int step_engine(isol8_engine **out, struct isol8_host *h, const struct oci_step *step,
                       isol8_error *err)
{
    char *allow[PACKAGE_HOSTS_MAX];
    char memory[24], size[24];
    size_t n = 0;
    isol8_options o;

    isol8_options_init(&o);
    if (step->install_hosts != NULL) {
        int r = packages_patterns(step->install_hosts, step->words, step->n_words, allow, &n, err);
        if (r < 0)
            return r;
        o.network = "filtered";
        o.allow = (const char *const *)allow;
        o.n_allow = n;
    }
    (void)snprintf(memory, sizeof(memory), "%llu", (unsigned long long)memory_limit());
    (void)snprintf(size, sizeof(size), "%llu", (unsigned long long)(memory_limit() / 4 * 3));
    o.image = step->image;
    o.memory_limit = memory;
    o.cpu_limit = 0;
    o.pids_limit = 512;
    o.sandbox_size = size;
    o.tmp_size = "2g";
    o.max_output_size = STEP_OUTPUT_MAX;
    o.timeout_ms = STEP_TIMEOUT_MS;
    o.pool_strategy = "secure"; /* one sandbox, and none ahead */
    o.build_images = false;     /* the build lock is held */
    int r = isol8_create(out, h, &o, err);
    packages_patterns_done(allow, n);
    if (r == 0) {
        (*out)->layers = step->layer_dirs;
        (*out)->n_layers = step->n_layers;
    }
    return r;
}

/* The request's variables; @pairs and @keys have room for STEP_ENV_MAX. */
static void set_env(isol8_request *rq, const char *const *env, isol8_pair *pairs, char (*keys)[64])
{
    for (; env != NULL && *env != NULL && rq->n_env < STEP_ENV_MAX; env++) {
        size_t n = strcspn(*env, "=");
        if ((*env)[n] != '=' || n >= sizeof(keys[0]))
            continue;
        memcpy(keys[rq->n_env], *env, n);
        keys[rq->n_env][n] = '\0';
        pairs[rq->n_env] = (isol8_pair){ keys[rq->n_env], *env + n + 1 };
        rq->n_env++;
    }
    rq->env = pairs;
}

/* Names are lines of a file, so that no shell ever reads them as its own text. */
static int set_words(isol8_request *rq, const struct oci_step *step, struct buf *text,
                     isol8_file *file, isol8_error *err)
{
    for (size_t i = 0; i < step->n_words; i++) {
        if (strchr(step->words[i], '\n') != NULL)
            return err_set(err, ISOL8_E_INVAL, "'%.80s' has more than one line", step->words[i]);
        (void)buf_addf(text, "%s\n", step->words[i]);
    }
    if (text->failed)
        return err_set(err, ISOL8_E_LIMIT, "package names have more than %d bytes",
                       WORDS_BYTES_MAX);
    *file = (isol8_file){ "words", buf_text(text), text->len };
    rq->files = file;
    rq->n_files = step->n_words > 0 ? 1 : 0;
    return 0;
}

static int step_code(const isol8_result *res, isol8_error *err)
{
    if (isol8_result_verdict(res) > ISOL8_VERDICT_EXIT)
        return err_set(err, ISOL8_E_LIMIT, "a build step was %s", isol8_result_detail(res));
    return isol8_result_exit_code(res);
}

static int step_run(struct step *s, isol8_engine *e, const isol8_request *rq, isol8_error *err)
{
    isol8_run *run;
    isol8_result *res = NULL;

    int r = isol8_run_start(e, rq, 0, &run, err);
    if (r < 0)
        return r;
    r = step_drive(s, run, err);
    int f = isol8_run_finish(run, &res, r < 0 ? NULL : err);
    r = r < 0 ? r : f;
    if (r == 0) {
        step_stderr(s, "\n", 1);
        r = step_code(res, err);
    }
    isol8_result_free(res);
    return r;
}

int exec_build_step(void *user, const struct oci_step *step, isol8_error *err)
{
    struct step s = { .out_fd = step->out_fd,
                      .line = step->line,
                      .line_user = step->line_user,
                      .cancel_fd = step->cancel_fd };
    auto_buf struct buf words = BUF_INIT(WORDS_BYTES_MAX);
    isol8_pair pairs[STEP_ENV_MAX];
    char keys[STEP_ENV_MAX][64];
    isol8_engine *e = NULL;
    isol8_request rq;
    isol8_file file;

    isol8_request_init(&rq);
    rq.runtime = "bash";
    rq.code = step->script;
    rq.code_size = strlen(step->script);
    set_env(&rq, step->env, pairs, keys);
    int r = set_words(&rq, step, &words, &file, err);
    if (r == 0)
        r = step_engine(&e, user, step, err);
    if (r == 0)
        r = step_run(&s, e, &rq, err);
    isol8_free(e);
    return r;
}
