/* SPDX-License-Identifier: Apache-2.0 */
/**
 * run_setup.c - the steps of the setup scripts: the image's, then the request's
 *
 * A script is put into /sandbox, run by bash as the sandbox user, and removed. What it writes are
 * events of the phase "setup"; what it starts in the background goes on. A script that fails ends
 * the run: in the streaming form by an error and an exit event, in the buffered form by an error.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#include "base/mem.h"
#include "executor/failpoint.h"
#include "executor/run.h"

/* The script that belongs to the image, unless the session had it already. It is not tried again
 * when it failed. */
const char *run_image_setup(struct isol8_run *r)
{
    const char *script = oci_image_label(&r->sandbox->image, OCI_LABEL_SETUP);

    if (script == NULL || *script == '\0' || r->session == NULL)
        return script != NULL && *script != '\0' ? script : NULL;
    if (!session_lock(r->session))
        return NULL;
    bool had_it = r->session->was_set_up;
    r->session->was_set_up = true;
    session_unlock(r->session);
    return had_it ? NULL : script;
}

int run_start_setup(struct isol8_run *r, const char *script)
{
    r->state = RUN_SETUP;
    r->script = script;
    r->setup_ended = false;
    buf_clear(&r->step_text);
    for (int i = 0; i < 2; i++) {
        output_done(&r->setup_streams[i]);
        output_init(&r->setup_streams[i], r->engine->secrets, r->engine->max_output, false);
    }
    int s = initlink_put(r->socket_fd, RUN_SETUP_PUT_ID, r->plan.setup_path, 0755, script,
                         strlen(script), &r->error);
    if (s == INITLINK_FULL)
        s = err_set(&r->error, ISOL8_E_SYS, "init does not answer");
    return s < 0 ? run_fail(r, s) : 0;
}

int run_setup_placed(struct isol8_run *r, const struct init_done *d)
{
    auto_buf struct buf strings = BUF_INIT(INIT_STRINGS_MAX);
    struct init_exec counts;

    if (d->errnum != 0) {
        (void)err_sys(&r->error, d->errnum, "Failed to write file %s in container",
                      r->plan.setup_path);
        r->error.status = ISOL8_E_LIMIT;
        return run_fail(r, r->error.status);
    }
    int s = exec_plan_setup_strings(&r->plan, r->engine, r->rq, &r->sandbox->image, &strings,
                                    &counts, &r->error);
    s = s < 0 ? run_fail(r, s) : run_execute(r, RUN_SETUP_ID, -1, &strings, &counts);
    failpoint("setup");
    return s;
}

/* Everything it wrote is in the pipes by now: it is taken before what comes next. */
int run_setup_ended(struct isol8_run *r, const struct init_exited *e)
{
    r->setup_ended = true;
    r->setup_status = e->errnum != 0 ? 127 << 8 : e->wait_status & 0xffff;
    run_begin_draining(r);
    return 0;
}

static int setup_failed(struct isol8_run *r, int code)
{
    char text[80];

    if (r->is_buffered) {
        return run_step_failed(r, ISOL8_E_INVAL, "Setup script failed", code,
                               run_hit_memory_limit(r) ? "the memory limit was reached" : "");
    }
    (void)snprintf(text, sizeof(text), "Setup script failed (exit code %d)", code);
    run_queue(r, ISOL8_EVENT_ERROR, ISOL8_PHASE_SETUP, text, false);
    (void)snprintf(text, sizeof(text), "%d", code);
    run_queue(r, ISOL8_EVENT_EXIT, ISOL8_PHASE_SETUP, text, false);
    r->facts.setup_failed = true;
    r->facts.wait_status = r->setup_status;
    run_begin_close(r);
    return 0;
}

int run_setup_drained(struct isol8_run *r)
{
    int status = r->setup_status;
    int code = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);

    r->setup_ended = false;
    /* Gone before anything else runs; that it is there no more, or never was, is all the same. */
    (void)initlink_remove(r->socket_fd, RUN_SETUP_REMOVE_ID, r->plan.setup_path, NULL);
    if (code != 0)
        return setup_failed(r, code);
    run_queue(r, ISOL8_EVENT_EXIT, ISOL8_PHASE_SETUP, "0", false);
    return run_next_step(r);
}

int run_setup_timed_out(struct isol8_run *r)
{
    if (r->is_buffered)
        return run_step_failed(r, ISOL8_E_TIMEOUT, "Setup script failed", 137,
                               "the time limit was reached");
    run_queue(r, ISOL8_EVENT_ERROR, ISOL8_PHASE_SETUP, "SETUP SCRIPT TIMED OUT", false);
    run_queue(r, ISOL8_EVENT_EXIT, ISOL8_PHASE_SETUP, "137", false);
    r->facts.setup_failed = true;
    r->facts.timed_out = true;
    run_kill(r);
    return 0;
}
