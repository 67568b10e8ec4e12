/* SPDX-License-Identifier: Apache-2.0 */
/**
 * run_pump.c - drives a started run to its end and prints what it says
 *
 * Theory of operation: one loop. As long as the queues towards stdout and stderr are short, events
 * are fetched from the run and queued (streaming) or passed over (buffered: the result has the
 * texts). Otherwise, and when there is no event, the loop waits for the run, for a signal, and for
 * the streams with something queued. A signal or a reader that went away cancels the run, once;
 * the loop still goes on until the run is done, since only then is everything it made gone.
 * Afterwards the result is taken, and what remains to be said is queued and written out.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/mem.h"
#include "cli/progress.h"
#include "cli/run.h"
#include "cli/signals.h"
#include "cli/spinner.h"
#include "cli/stream.h"

#define TIMED_OUT "--- EXECUTION TIMED OUT ---"
#define TRUNCATED "Output was truncated"
#define FETCH_TICK_MS 200 /* between two looks at how far a fetch is */
#define EXIT_TIMEOUT 137  /* as a program that was killed */

struct pump {
    const struct cli *cli;
    const struct run_plan *plan;
    isol8_run *run;
    struct stream out, err;
    int file;        /* --out, or -1; borrowed from the plan */
    bool wrote_file; /* something was written to it */
    int file_errno;
    bool is_cancelled;
    bool is_reader_gone;
    bool has_error;   /* an error event came */
    bool is_fetching; /* code from a URL is on its way */
    char last;        /* the last byte a terminal got from the program */
};

static void pump_done(struct pump *p)
{
    stream_done(&p->out);
    stream_done(&p->err);
}
#define auto_pump __attribute__((cleanup(pump_done)))

/* ---- Output ---------------------------------------------------------------------------------- */

/* One line of ours on stderr, on a line of its own. */
static void put_line(struct pump *p, const char *prefix, const char *text, size_t n)
{
    auto_buf struct buf line = BUF_INIT(1u << 20);

    if (p->err.is_tty && p->last != '\n')
        (void)buf_adds(&line, "\n");
    (void)buf_adds(&line, prefix);
    cli_escape(&line, text, n);
    (void)buf_adds(&line, "\n");
    stream_put(&p->err, buf_text(&line), line.len);
    p->last = '\n';
}

static void put_output(struct pump *p, struct stream *s, const char *data, size_t n)
{
    if (n == 0)
        return;
    stream_put(s, data, n);
    if (s->is_tty)
        p->last = data[n - 1];
}

static void put_file(struct pump *p, const char *data, size_t n)
{
    int r;

    if (p->file < 0 || p->file_errno != 0 || n == 0)
        return;
    r = fd_write_all(p->file, data, n);
    if (r < 0)
        p->file_errno = -r;
    p->wrote_file = true;
}

/* The file is emptied only now that the run has started: an error before leaves it alone. */
static void empty_file(struct pump *p)
{
    struct stat st;

    if (p->file >= 0 && fstat(p->file, &st) == 0 && S_ISREG(st.st_mode) &&
        ftruncate(p->file, 0) < 0)
        p->file_errno = errno;
}

static void on_event(struct pump *p, const isol8_event *ev)
{
    bool is_shown = p->plan->is_streaming && !ev->is_marker;

    spinner_stop();
    switch (ev->type) {
    case ISOL8_EVENT_STDOUT:
        if (is_shown) {
            put_output(p, &p->out, ev->data, ev->size);
            if (ev->phase == ISOL8_PHASE_CODE) /* as in the result, which is written otherwise */
                put_file(p, ev->data, ev->size);
        }
        break;
    case ISOL8_EVENT_STDERR:
        if (is_shown)
            put_output(p, &p->err, ev->data, ev->size);
        break;
    case ISOL8_EVENT_ERROR:
        p->has_error = true;
        if (p->plan->is_streaming)
            put_line(p, "[ERR] ", ev->data, ev->size);
        break;
    case ISOL8_EVENT_EXIT:
        break; /* of a setup script, or the end: the result has the code */
    }
}

/* ---- The loop -------------------------------------------------------------------------------- */

static void cancel(struct pump *p)
{
    if (!p->is_cancelled)
        isol8_run_cancel(p->run);
    p->is_cancelled = true;
}

/* Nobody reads what the program says, or it cannot be written: there is no point in going on. */
static void watch(struct pump *p)
{
    if (p->out.broken == EPIPE)
        p->is_reader_gone = true;
    if (p->out.broken != 0 || p->file_errno != 0 || signals_caught() != 0)
        cancel(p);
}

/* "Fetching code [#####---] 25 % of 3.2 MB", as long as that lasts. */
static void show_fetch(struct pump *p)
{
    char line[PROGRESS_LINE_SIZE];
    uint64_t done = 0, total = 0;

    if (!p->is_fetching)
        return;
    p->is_fetching = isol8_run_fetching(p->run, &done, &total);
    if (!p->is_fetching)
        spinner_text("Starting execution...");
    else if (done > 0) {
        progress_line("Fetching code", done, total, line);
        spinner_text(line);
    }
}

/* Wait for the run (@with_run), a signal, or room in a stream that has something queued. */
static void wait_for_work(struct pump *p, bool with_run)
{
    struct pollfd fds[] = {
        { .fd = with_run ? isol8_run_fd(p->run) : -1, .events = POLLIN },
        { .fd = signals_caught() == 0 ? signals_fd() : -1, .events = POLLIN },
        { .fd = stream_pending(&p->out) > 0 ? p->out.fd : -1, .events = POLLOUT },
        { .fd = stream_pending(&p->err) > 0 ? p->err.fd : -1, .events = POLLOUT },
    };

    /* EINTR: a signal, which the caller looks at anyway. */
    (void)poll(fds, ARRAY_LEN(fds), p->is_fetching ? FETCH_TICK_MS : -1);
    show_fetch(p);
    stream_flush(&p->out);
    stream_flush(&p->err);
}

static bool has_room(const struct pump *p)
{
    return p->is_cancelled ||
           (stream_pending(&p->out) < RUN_PENDING_MAX && stream_pending(&p->err) < RUN_PENDING_MAX);
}

static int drive(struct pump *p, isol8_error *err)
{
    isol8_event ev;
    int r;

    for (;;) {
        watch(p);
        if (!has_room(p)) {
            wait_for_work(p, false);
            continue;
        }
        r = isol8_run_next(p->run, &ev, err);
        if (r < 0)
            return r;
        if (r > 0)
            on_event(p, &ev);
        else if (isol8_run_done(p->run))
            return 0;
        else
            wait_for_work(p, true);
    }
}

/* Write out what is queued; a signal ends the patience with a slow reader. */
static void drain(struct pump *p)
{
    while (stream_pending(&p->out) + stream_pending(&p->err) > 0 && signals_caught() == 0)
        wait_for_work(p, false);
}

/* ---- The end --------------------------------------------------------------------------------- */

static size_t trimmed(const char *text, size_t n)
{
    while (n > 0 && memchr(" \t\r\n\v\f", text[n - 1], 6) != NULL)
        n--;
    return n;
}

static void put_text(struct pump *p, struct stream *s, const char *text, size_t n)
{
    n = trimmed(text, n);
    if (n == 0)
        return;
    put_output(p, s, text, n);
    put_output(p, s, "\n", 1);
}

static bool ends_with(const char *text, size_t n, const char *tail)
{
    size_t m = strlen(tail);

    n = trimmed(text, n);
    return n >= m && memcmp(text + n - m, tail, m) == 0;
}

static void put_buffered(struct pump *p, const isol8_result *res)
{
    bool is_timeout = isol8_result_verdict(res) == ISOL8_VERDICT_TIMEOUT;
    size_t n_out, n_err;
    const char *out = isol8_result_stdout(res, &n_out);
    const char *err = isol8_result_stderr(res, &n_err);

    put_file(p, out, n_out);
    put_text(p, &p->out, out, n_out);
    put_text(p, &p->err, err, n_err);
    if (is_timeout && !ends_with(err, n_err, TIMED_OUT))
        put_line(p, "", TIMED_OUT, strlen(TIMED_OUT));
    if (isol8_result_truncated(res))
        put_line(p, "[WARN] ", TRUNCATED, strlen(TRUNCATED));
}

static void put_json(struct pump *p, const isol8_result *res)
{
    auto_free char *text = isol8_result_json(res);
    size_t n;
    const char *out = isol8_result_stdout(res, &n);

    put_file(p, out, n);
    if (text == NULL) {
        p->out.broken = ENOMEM;
        return;
    }
    stream_put(&p->out, text, strlen(text));
    stream_put(&p->out, "\n", 1);
}

/* --log-network: one JSON object a line on stderr, when there is any. */
static void put_network_logs(struct pump *p, const isol8_result *res)
{
    size_t n = isol8_result_network_log_count(res);

    if (n == 0 || !p->plan->log_network || p->plan->is_json)
        return;
    put_line(p, "\n--- Network Logs ---", "", 0);
    for (size_t i = 0; i < n; i++) {
        const char *entry = isol8_result_network_log(res, i);
        put_line(p, "", entry, strlen(entry));
    }
}

/* One line about an end that the exit code alone does not explain. */
static void put_verdict(struct pump *p, const isol8_result *res)
{
    enum isol8_verdict verdict = isol8_result_verdict(res);
    const char *detail = isol8_result_detail(res);

    if (p->plan->is_streaming && isol8_result_truncated(res) && verdict != ISOL8_VERDICT_OUTPUT)
        put_line(p, "[WARN] ", TRUNCATED, strlen(TRUNCATED));
    if (p->out.broken != 0 || p->is_reader_gone || p->file_errno != 0)
        return; /* why it ended is not the program's doing, and is said elsewhere */
    if (verdict != ISOL8_VERDICT_OK && verdict != ISOL8_VERDICT_EXIT)
        put_line(p, "isol8: ", detail, strlen(detail));
}

static void put_result(struct pump *p, const isol8_result *res)
{
    if (p->plan->is_json) {
        put_json(p, res);
        return;
    }
    if (!p->plan->is_streaming)
        put_buffered(p, res);
    put_network_logs(p, res);
    put_verdict(p, res);
    if (p->wrote_file && p->file_errno == 0)
        put_line(p, "[Run] Output written to ", p->plan->out_file, strlen(p->plan->out_file));
}

static int exit_code(struct pump *p, const isol8_result *res)
{
    enum isol8_verdict verdict = isol8_result_verdict(res);
    int code = isol8_result_exit_code(res);

    if (p->file_errno != 0)
        return cli_fail("Cannot write %s: %s", p->plan->out_file, strerrordesc_np(p->file_errno));
    if (p->is_reader_gone || p->out.broken == EPIPE)
        return CLI_EXIT_EPIPE;
    if (p->out.broken != 0)
        return cli_fail("Cannot write to stdout: %s", strerrordesc_np(p->out.broken));
    if (verdict == ISOL8_VERDICT_CANCELLED && signals_caught() != 0)
        return 128 + signals_caught();
    if (verdict == ISOL8_VERDICT_TIMEOUT)
        return EXIT_TIMEOUT;
    return code == 0 && p->has_error ? CLI_EXIT_ERROR : code;
}

/* Report a run that isol8 could not carry out; what the program said before comes first. */
static int failed(struct pump *p, const isol8_error *err)
{
    drain(p);
    if (signals_caught() != 0)
        return 128 + signals_caught();
    if (p->is_reader_gone)
        return CLI_EXIT_EPIPE;
    if (p->plan->url_hint != NULL && strstr(err->msg, "HTTP 404") != NULL)
        return cli_fail("%s%s", err->msg, p->plan->url_hint);
    return cli_fail("%s", err->msg);
}

static int finish(struct pump *p)
{
    isol8_result *res;
    isol8_error err;
    int code;

    if (isol8_run_finish(p->run, &res, &err) < 0)
        return failed(p, &err);
    cli_debug(p->cli, "Run", "Execution completed: exitCode=%d, duration=%lldms, truncated=%s",
              isol8_result_exit_code(res), (long long)isol8_result_duration_ms(res),
              isol8_result_truncated(res) ? "true" : "false");
    cli_debug(p->cli, "Run", "Code SHA-256: %s", isol8_result_code_hash(res));
    put_result(p, res);
    drain(p);
    code = exit_code(p, res);
    isol8_result_free(res);
    return code;
}

int run_pump(const struct cli *cli, const struct run_plan *plan, isol8_run *run)
{
    auto_pump struct pump p = {
        .cli = cli, .plan = plan, .run = run, .file = plan->out_fd, .last = '\n'
    };
    isol8_error err;
    int r;

    stream_init(&p.out, STDOUT_FILENO);
    stream_init(&p.err, STDERR_FILENO);
    p.is_fetching = plan->request.code_url != NULL && spinner_is_lively();
    empty_file(&p);
    r = drive(&p, &err);
    spinner_stop();
    if (r >= 0)
        return finish(&p);

    (void)isol8_run_finish(run, NULL, NULL); /* the reason is known: it comes next */
    return failed(&p, &err);
}
