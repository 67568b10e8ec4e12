/* SPDX-License-Identifier: Apache-2.0 */
/**
 * run_install.c - the install step of a run
 *
 * The package manager runs in the sandbox as the sandbox user, before the code, under the same
 * deadline. In a filtered sandbox the image's package hosts are allowed while it runs; the
 * request's own rules are in force before the code starts. Its output is not the program's: the end
 * of its stderr becomes the error message, masked, and the rest is dropped.
 */
#include <errno.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "executor/packages.h"
#include "executor/run.h"

/* Open the package hosts. */
static int open_hosts(struct isol8_run *r)
{
    if (r->session != NULL) {
        int s = session_open_packages(r->session, r->engine, &r->error);
        r->opened_packages = s == 0;
        return s;
    }
    int s = packages_rules(r->engine, &r->sandbox->image, &r->install_rules, &r->error);
    if (s == 0)
        proxy_set_rules(r->sandbox->link.client, r->install_rules);
    return s;
}

void run_close_packages(struct isol8_run *r)
{
    if (r->opened_packages)
        session_close_packages(r->session, r->engine);
    else if (r->install_rules != NULL && r->session == NULL)
        proxy_set_rules(r->sandbox->link.client, r->engine->rules);
    r->opened_packages = false;
}

int run_start_install(struct isol8_run *r)
{
    auto_buf struct buf strings = BUF_INIT(INIT_STRINGS_MAX);
    struct init_exec counts;

    int s = packages_command(r->plan.runtime, r->engine, r->plan.install, r->plan.n_install,
                             &r->sandbox->image, &strings, &counts, &r->error);
    if (s == 0 && r->engine->is_filtered)
        s = open_hosts(r);
    if (s < 0)
        return run_fail(r, s);
    r->state = RUN_INSTALLING;
    return run_execute(r, RUN_INSTALL_ID, -1, &strings, &counts);
}

int run_on_install_output(struct isol8_run *r, int i)
{
    char chunk[16384];
    ssize_t n = read(r->stream_fds[i], chunk, sizeof(chunk));

    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return 0;
    if (n <= 0)
        r->stream_fds[i] = run_close_fd(r, r->stream_fds[i]);
    else if (i == 1)
        run_keep_text(&r->step_text, chunk, (size_t)n);
    return 0;
}

/* What is still in the pipes; a background process may hold them open, so not until their end. */
static void drain(struct isol8_run *r)
{
    for (int i = 0; i < 2; i++) {
        char chunk[16384];
        ssize_t n;
        while (r->stream_fds[i] >= 0 && (n = read(r->stream_fds[i], chunk, sizeof(chunk))) > 0) {
            if (i == 1)
                run_keep_text(&r->step_text, chunk, (size_t)n);
        }
        r->stream_fds[i] = run_close_fd(r, r->stream_fds[i]);
    }
}

static int install_failed(struct isol8_run *r, int code, const char *why)
{
    r->install_failed = true;
    return run_step_failed(r, ISOL8_E_NETWORK, "Package install failed", code, why);
}

int run_install_ended(struct isol8_run *r, const struct init_exited *e)
{
    int status = e->wait_status & 0xffff;
    int code = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);

    drain(r);
    if (e->errnum != 0)
        return install_failed(r, 127, "the image has no package manager");
    if (code != 0)
        return install_failed(r, code,
                              run_hit_memory_limit(r) ? "the memory limit was reached" : "");
    /* Nothing of the package manager may go on under the rules that were its own. */
    if (cgroup_exec_kill(&r->sandbox->cgroup, &r->cgroup, &r->error) < 0)
        return run_fail(r, r->error.status);
    run_close_packages(r);
    if (r->session != NULL)
        r->session->has_packages = true;
    return run_next_step(r);
}

int run_install_timed_out(struct isol8_run *r)
{
    return install_failed(r, 137, "the time limit was reached");
}
