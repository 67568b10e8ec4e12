/* SPDX-License-Identifier: Apache-2.0 */
/**
 * run_talk.c - one execution's conversation with init: put files, execute, fetch files
 *
 * It goes over the sandbox's first socket, or in a session over a channel of its own. What needs
 * the session's sandbox itself (cgroups, counters) is done under the session's lock.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/mem.h"
#include "executor/failpoint.h"
#include "executor/run.h"
#include "oci/seccomp/seccomp.h"

/* False when the session's sandbox is gone. A sandbox of its own needs no lock. */
static bool lock_sandbox(struct isol8_run *r)
{
    return r->session == NULL || session_lock(r->session);
}

static void unlock_sandbox(struct isol8_run *r)
{
    if (r->session != NULL)
        session_unlock(r->session);
}

/* ---- Staging ----------------------------------------------------------------------------------
 */

static int start_main(struct isol8_run *r);

static int send_put(struct isol8_run *r, size_t i)
{
    if (i == r->rq->n_files)
        return initlink_put(r->socket_fd, (uint32_t)i + 1, r->plan.script_path, 0644, r->plan.code,
                            r->plan.code_size, &r->error);
    const isol8_file *f = &r->rq->files[i];
    auto_free char *path = exec_sandbox_path(f->path);
    if (path == NULL)
        return err_nomem(&r->error);
    return initlink_put(r->socket_fd, (uint32_t)i + 1, path, 0644, f->data, f->size, &r->error);
}

/* Send as many files as the window allows; when all are in place, go on. */
static int continue_staging(struct isol8_run *r)
{
    while (r->puts_sent < r->puts_end && r->puts_sent - r->puts_acked < RUN_PUTS_AHEAD) {
        int s = send_put(r, r->puts_sent);
        if (s < 0)
            return run_fail(r, s);
        if (s == INITLINK_FULL)
            break;
        r->puts_sent++;
    }
    return r->puts_acked < r->puts_end ? 0 : run_next_step(r);
}

/* Stage up to, not including, file @end; the code counts as the file behind the last. */
static int stage(struct isol8_run *r, size_t end)
{
    r->state = RUN_STAGING;
    r->puts_end = end;
    return continue_staging(r);
}

/* Init writes a small file before it looks at the next packet, as long as there were not many: then
 * the command need not wait for the answer. A failure still comes, and ends the run. */
static bool code_is_put_at_once(const struct isol8_run *r)
{
    return r->session == NULL && r->n_numbers == 0 && r->rq->n_files == 0 &&
           r->plan.code_size <= INIT_INLINE_FILE_MAX;
}

static int put_code(struct isol8_run *r)
{
    if (!code_is_put_at_once(r))
        return stage(r, r->rq->n_files + 1);
    r->puts_end = 1;
    int s = send_put(r, 0);
    if (s == INITLINK_FULL)
        s = err_set(&r->error, ISOL8_E_SYS, "init does not answer");
    if (s < 0)
        return run_fail(r, s);
    r->puts_sent = 1;
    return run_next_step(r);
}

static int put_failed(struct isol8_run *r, size_t i, const struct init_done *done)
{
    const char *path = i < r->rq->n_files ? r->rq->files[i].path : r->plan.script_path;

    if (done->stage == INIT_STAGE_KIND)
        return run_fail(r, err_set(&r->error, ISOL8_E_INVAL,
                                   "Failed to write file %s in container: it exists and is not a "
                                   "regular file",
                                   path));
    if (done->errnum == EINTR)
        return run_fail(r, err_set(&r->error, ISOL8_E_LIMIT,
                                   "Failed to write file %s in container: the memory limit %s does "
                                   "not hold it",
                                   path, r->engine->memory_text));
    (void)err_sys(&r->error, done->errnum, "Failed to write file %s in container", path);
    r->error.status = ISOL8_E_LIMIT;
    return run_fail(r, r->error.status);
}

static int on_put_done(struct isol8_run *r, const struct initlink_answer *a)
{
    if (a->done.errnum != 0)
        return put_failed(r, a->id - 1, &a->done);
    r->puts_acked++;
    return r->state == RUN_STAGING ? continue_staging(r) : 0;
}

/* ---- Steps ------------------------------------------------------------------------------------
 */

int run_next_step(struct isol8_run *r)
{
    const char *script;

    for (;;) {
        switch (r->step++) {
        case RUN_STEP_FILES:
            if (r->rq->n_files > 0)
                return stage(r, r->rq->n_files);
            break;
        case RUN_STEP_INSTALL:
            if (r->plan.n_install > 0)
                return run_start_install(r);
            break;
        case RUN_STEP_IMAGE_SETUP:
            script = run_image_setup(r);
            if (script != NULL)
                return run_start_setup(r, script);
            break;
        case RUN_STEP_SETUP:
            if (r->rq->setup_script != NULL && r->rq->setup_script[0] != '\0')
                return run_start_setup(r, r->rq->setup_script);
            break;
        case RUN_STEP_CODE:
            if (r->plan.script_path != NULL)
                return put_code(r);
            break;
        default:
            return start_main(r);
        }
    }
}

void run_keep_text(struct buf *text, const char *p, size_t n)
{
    if (n > RUN_STEP_TEXT_MAX) {
        p += n - RUN_STEP_TEXT_MAX;
        n = RUN_STEP_TEXT_MAX;
    }
    if (text->len + n > RUN_STEP_TEXT_MAX)
        buf_consume(text, text->len + n - RUN_STEP_TEXT_MAX);
    (void)buf_add(text, p, n);
}

/* "@what (exit code @code): the end of its stderr; @why". */
int run_step_failed(struct isol8_run *r, int status, const char *what, int code, const char *why)
{
    auto_buf struct buf masked = BUF_INIT(4 * RUN_STEP_TEXT_MAX);
    size_t n = r->step_text.len;

    while (n > 0 && strchr(" \t\r\n", r->step_text.data[n - 1]) != NULL)
        n--;
    (void)mask_text(r->engine->secrets, buf_text(&r->step_text), n, &masked);
    /* An error message is one line of limited length: the last lines say most. */
    const char *text = buf_text(&masked);
    if (masked.len > 380)
        text += masked.len - 380;
    return run_fail(r, err_set(&r->error, status, "%s (exit code %d): %s%s%s", what, code, text,
                               why[0] != '\0' && masked.len > 0 ? "; " : "", why));
}

/* ---- The main command ---------------------------------------------------------------------------
 */

/* A pipe whose other end belongs to the sandbox user, who may open it again by /dev/stdout. */
static int make_pipe(struct isol8_run *r, int ends[2], int ours)
{
    if (pipe2(ends, O_CLOEXEC) < 0)
        return err_sys(&r->error, errno, "cannot create a pipe");
    uint32_t user = exec_sandbox_user(r->sandbox);
    if (fchown(ends[0], user, user + OCI_SANDBOX_GID - OCI_SANDBOX_UID) < 0 ||
        fd_set_nonblock(ends[ours], true) < 0) {
        int e = errno;
        (void)fd_close(ends[0]);
        (void)fd_close(ends[1]);
        return err_sys(&r->error, e, "cannot prepare a pipe");
    }
    return 0;
}

/* Descriptor that the program gets as stdin, or -1 for /dev/null; @status tells failures. */
static int make_stdin(struct isol8_run *r, int *status)
{
    int ends[2];

    *status = 0;
    if (!r->rq->stdin_open) {
        if (r->rq->stdin_size == 0)
            return -1;
        int fd = initlink_stdin(r->rq->stdin_data, r->rq->stdin_size, &r->error);
        *status = fd < 0 ? fd : 0;
        return fd;
    }
    *status = make_pipe(r, ends, 1);
    if (*status < 0)
        return -1;
    r->stdin_fd = ends[1];
    if (r->rq->stdin_size > 0 && !buf_add(&r->stdin_queue, r->rq->stdin_data, r->rq->stdin_size))
        *status = err_set(&r->error, ISOL8_E_LIMIT, "stdin: more than %d bytes", RUN_STDIN_MAX);
    if (*status == 0)
        *status = run_watch(r, r->stdin_fd, RUN_SRC_STDIN, r->stdin_queue.len > 0 ? EPOLLOUT : 0,
                            &r->error);
    return ends[0];
}

static int make_streams(struct isol8_run *r, int theirs[2])
{
    for (int i = 0; i < 2; i++) {
        int ends[2];
        int s = make_pipe(r, ends, 0);
        if (s < 0)
            return s;
        r->stream_fds[i] = ends[0];
        theirs[i] = ends[1];
        s = run_watch(r, ends[0], i == 0 ? RUN_SRC_STDOUT : RUN_SRC_STDERR, EPOLLIN, &r->error);
        if (s < 0)
            return s;
    }
    return 0;
}

/* A cgroup for the command. What a session counted before is not this command's. */
static int make_cgroup(struct isol8_run *r, bool is_main)
{
    unsigned number = 0;

    cgroup_exec_done(&r->cgroup);
    if (!lock_sandbox(r))
        return err_set(&r->error, ISOL8_E_STATE, "the session was stopped");
    int s = exec_sandbox_exec_cgroup(r->sandbox, &r->cgroup, &number, &r->error);
    if (s == 0 && r->n_numbers < RUN_COMMANDS_MAX)
        r->numbers[r->n_numbers++] = number;
    if (s == 0 && is_main && r->session != NULL) {
        cgroup_reset_peak(&r->sandbox->cgroup);
        s = cgroup_read_counters(&r->sandbox->cgroup, &r->counters_before, &r->error);
        r->cpu_before_us = cgroup_exec_cpu_us(&r->sandbox->cgroup, &r->cgroup);
    }
    unlock_sandbox(r);
    return s;
}

int run_execute(struct isol8_run *r, uint32_t id, int in, const struct buf *strings,
                const struct init_exec *counts)
{
    struct initlink_exec x = { .counts = *counts, .strings = strings, .in_fd = in };
    int theirs[2] = { -1, -1 };

    int s = make_streams(r, theirs);
    auto_close int out = theirs[0];
    auto_close int err = theirs[1];
    if (s == 0)
        s = make_cgroup(r, id == RUN_MAIN_ID);
    if (s < 0)
        return run_fail(r, s);
    x.out_fd = out;
    x.err_fd = err;
    x.cgroup_fd = r->cgroup.dir_fd;
    x.is_strict = r->engine->seccomp == oci_seccomp_strict();
    s = initlink_exec(r->socket_fd, id, &x, &r->error);
    if (s != 0)
        return run_fail(r, s < 0 ? s : err_set(&r->error, ISOL8_E_SYS, "init does not answer"));
    r->command_runs = true;
    r->command = id;
    return 0;
}

static int start_main(struct isol8_run *r)
{
    auto_buf struct buf strings = BUF_INIT(INIT_STRINGS_MAX);
    struct init_exec counts;
    int s;

    bool has_packages = r->plan.n_install > 0 || (r->session != NULL && r->session->has_packages);
    auto_close int in = make_stdin(r, &s);
    if (s == 0)
        s = exec_plan_strings(&r->plan, r->engine, r->rq, &r->sandbox->image, has_packages,
                              &strings, &counts, &r->error);
    if (s < 0)
        return run_fail(r, s);
    r->started_ns = clock_now_ns();
    r->state = RUN_RUNNING;
    s = run_execute(r, RUN_MAIN_ID, in, &strings, &counts);
    failpoint("exec");
    run_note_source(r); /* while the program starts: it costs no time of the execution */
    return s;
}

/* Text of isol8's own on the program's stderr, as a shell would put it there. */
static void say_not_started(struct isol8_run *r, const struct init_exited *e)
{
    char text[256];
    const char *program = r->plan.cmd != NULL ? "bash" : r->plan.runtime->command[0];

    r->facts.not_started = true;
    r->facts.wait_status = (e->errnum == ENOENT ? 127 : 126) << 8;
    (void)snprintf(
        text, sizeof(text), "isol8: cannot start '%s' in image '%s': %s\n", program, r->plan.image,
        strerrordesc_np(e->errnum) != NULL ? strerrordesc_np(e->errnum) : "unknown error");
    (void)output_feed(&r->streams[1], text, strlen(text), false);
    run_queue(r, ISOL8_EVENT_STDERR, ISOL8_PHASE_CODE, text, false);
}

static int not_started(struct isol8_run *r, const struct init_exited *e)
{
    if (e->stage == INIT_STAGE_CWD)
        return run_fail(r, err_set(&r->error, ISOL8_E_INVAL,
                                   "Working directory does not exist in the sandbox: %s",
                                   r->plan.workdir));
    if (e->stage == INIT_STAGE_EXEC || e->stage == INIT_STAGE_FORK) {
        say_not_started(r, e);
        return 0;
    }
    return run_fail(r, err_sys(&r->error, e->errnum,
                               "the sandbox's init could not start the "
                               "program (step %u)",
                               e->stage));
}

void run_read_counters(struct isol8_run *r)
{
    const struct cgroup_counters *before = &r->counters_before;
    struct cgroup_counters c;

    if (r->counted || r->sandbox == NULL || r->cgroup.dir_fd < 0 || !lock_sandbox(r))
        return;
    if (r->sandbox->state == SANDBOX_BUSY) {
        r->result->usage.cpu_us = cgroup_exec_cpu_us(&r->sandbox->cgroup, &r->cgroup) -
                                  r->cpu_before_us;
        if (cgroup_read_counters(&r->sandbox->cgroup, &c, NULL) == 0) {
            r->facts.oom_kills = c.oom_kills - before->oom_kills;
            r->facts.pids_refused = c.pids_refused - before->pids_refused;
            r->result->usage.memory_peak_bytes = c.memory_peak_bytes;
            r->counted = true;
        }
    }
    unlock_sandbox(r);
}

/* Whether a program was killed for memory since the run began, or in its sandbox at all. */
bool run_hit_memory_limit(struct isol8_run *r)
{
    struct cgroup_counters c;

    if (!lock_sandbox(r))
        return false;
    bool hit = cgroup_read_counters(&r->sandbox->cgroup, &c, NULL) == 0 &&
               c.oom_kills > r->counters_before.oom_kills;
    unlock_sandbox(r);
    return hit;
}

/* ---- Output files -------------------------------------------------------------------------------
 */

static int fetch_next(struct isol8_run *r);

static int keep_file(struct isol8_run *r)
{
    const char *path = r->rq->output_paths[r->next_get - 1];
    isol8_file *f = &r->result->files[r->result->n_files];

    f->path = strdup(path);
    f->size = r->get_data.len;
    f->data = r->get_data.len > 0 ? buf_take(&r->get_data) : calloc(1, 1);
    if (f->path == NULL || f->data == NULL) {
        free((char *)f->path);
        free((void *)f->data);
        *f = (isol8_file){ 0 };
        return run_fail(r, err_nomem(&r->error));
    }
    r->got_bytes += f->size;
    r->result->n_files++;
    return 0;
}

/* Both the answer and the end of the pipe have come: keep the file, or leave it out. */
static int finish_fetch(struct isol8_run *r)
{
    int s = 0;

    if (r->get_data.no_memory)
        s = run_fail(r, err_nomem(&r->error));
    else if (r->get_errnum == 0 && !r->get_data.failed)
        s = keep_file(r);
    buf_done(&r->get_data);
    return s < 0 || r->state != RUN_COLLECTING ? s : fetch_next(r);
}

static int fetch_next(struct isol8_run *r)
{
    int ends[2];

    if (r->next_get == r->rq->n_output_paths) {
        run_begin_close(r);
        return 0;
    }
    auto_free char *path = exec_sandbox_path(r->rq->output_paths[r->next_get]);
    if (path == NULL)
        return run_fail(r, err_nomem(&r->error));
    if (make_pipe(r, ends, 0) < 0)
        return run_fail(r, r->error.status);
    r->get_fd = ends[0];
    r->get_done = false;
    buf_init(&r->get_data, RUN_OUTPUT_FILES_MAX - r->got_bytes);
    int s = run_watch(r, r->get_fd, RUN_SRC_GET, EPOLLIN, &r->error);
    if (s == 0)
        s = initlink_get(r->socket_fd, (uint32_t)(RUN_GET_ID + r->next_get), path, ends[1],
                         &r->error);
    (void)fd_close(ends[1]);
    r->next_get++;
    return s < 0 ? run_fail(r, s) : 0;
}

int run_on_get_data(struct isol8_run *r)
{
    char chunk[65536];
    ssize_t n = read(r->get_fd, chunk, sizeof(chunk));

    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return 0;
    if (n > 0) {
        (void)buf_add(&r->get_data, chunk, (size_t)n); /* too large: read on and leave it out */
        return 0;
    }
    r->get_fd = run_close_fd(r, r->get_fd);
    return r->get_done ? finish_fetch(r) : 0;
}

static int start_collecting(struct isol8_run *r)
{
    r->result->files = calloc(r->rq->n_output_paths, sizeof(r->result->files[0]));
    if (r->result->files == NULL)
        return run_fail(r, err_nomem(&r->error));
    r->state = RUN_COLLECTING;
    int s = run_arm_timer(r, failpoint_ms(RUN_COLLECT_MS), &r->error);
    return s < 0 ? run_fail(r, s) : fetch_next(r);
}

/* ---- Answers
 * ------------------------------------------------------------------------------------- */

static int main_command_ended(struct isol8_run *r, const struct init_exited *e)
{
    r->ended_ns = clock_now_ns();
    r->has_exited = true;
    r->facts.wait_status = e->wait_status & 0xffff;
    r->facts.full = e->full & (INIT_FULL_SANDBOX | INIT_FULL_TMP);
    run_read_counters(r);
    failpoint("exited");
    if (e->errnum != 0) {
        int s = not_started(r, e);
        if (s < 0)
            return s;
    }
    if (r->state >= RUN_CLOSING)
        return 0; /* not started, which was an error */
    if (r->rq->n_output_paths == 0) {
        run_begin_close(r);
        return 0;
    }
    /* What the program left running must not change the files while they are fetched. In a sandbox
     * that goes on it goes on, too. */
    if (!r->is_spared && cgroup_exec_kill(&r->sandbox->cgroup, &r->cgroup, &r->error) < 0)
        return run_fail(r, r->error.status);
    return start_collecting(r);
}

/* Init is gone, and everything with it: the streams end by now. */
static int sandbox_ended(struct isol8_run *r)
{
    r->error = (isol8_error){ 0 };
    r->facts.died_unexplained = !r->has_exited;
    r->command_runs = false;
    run_read_counters(r);
    run_begin_close(r);
    return 0;
}

static int command_ended(struct isol8_run *r, const struct initlink_answer *a)
{
    r->command_runs = false;
    if (r->state >= RUN_CLOSING)
        return 0; /* it was killed: this is what was waited for */
    if (a->id == RUN_INSTALL_ID)
        return run_install_ended(r, &a->exited);
    if (a->id == RUN_SETUP_ID)
        return run_setup_ended(r, &a->exited);
    return main_command_ended(r, &a->exited);
}

static int on_done(struct isol8_run *r, const struct initlink_answer *a)
{
    if (a->id >= 1 && a->id <= r->puts_sent && r->puts_acked < r->puts_sent)
        return on_put_done(r, a);
    if (a->id == RUN_SETUP_PUT_ID && r->state == RUN_SETUP && !r->command_runs && !r->setup_ended)
        return run_setup_placed(r, &a->done);
    if (a->id == RUN_SETUP_REMOVE_ID && r->script != NULL)
        return 0;
    if (r->state == RUN_COLLECTING && a->id == RUN_GET_ID + r->next_get - 1 && !r->get_done) {
        r->get_done = true;
        r->get_errnum = a->done.errnum;
        return r->get_fd < 0 ? finish_fetch(r) : 0;
    }
    if (r->state == RUN_CLOSING)
        return 0; /* of what was under way when the run was ended */
    return run_fail(r, err_set(&r->error, ISOL8_E_PROTOCOL,
                               "the sandbox's init answered something that was not asked"));
}

int run_on_answer(struct isol8_run *r)
{
    struct initlink_answer a;
    int s = initlink_receive(r->socket_fd, &a, &r->error);

    if (s == 0)
        return 0;
    if (s == ISOL8_E_STATE)
        return sandbox_ended(r);
    if (s < 0)
        return run_fail(r, s);
    if (a.type == INIT_DONE)
        return on_done(r, &a);
    if (r->command_runs && a.id == r->command)
        return command_ended(r, &a);
    return run_fail(r, err_set(&r->error, ISOL8_E_PROTOCOL,
                               "the sandbox's init answered something that was not asked"));
}
