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
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "cli/progress.h"
#include "cli/run_print.h"
#include "cli/signals.h"
#include "cli/spinner.h"

#define FETCH_TICK_MS 200 /* between two looks at how far a fetch is */

struct pump {
    const struct cli *cli;
    const struct run_plan *plan;
    isol8_run *run;
    struct print print;
    bool is_cancelled;
    bool has_error;   /* an error event came */
    bool is_fetching; /* code from a URL is on its way */
};

static void on_event(struct pump *p, const isol8_event *ev)
{
    bool is_shown = p->plan->is_streaming && !ev->is_marker;

    spinner_stop();
    switch (ev->type) {
    case ISOL8_EVENT_STDOUT:
        if (is_shown) {
            print_output(&p->print, &p->print.out, ev->data, ev->size);
            if (ev->phase == ISOL8_PHASE_CODE) /* as in the result, which is written otherwise */
                print_file(&p->print, ev->data, ev->size);
        }
        break;
    case ISOL8_EVENT_STDERR:
        if (is_shown)
            print_output(&p->print, &p->print.err, ev->data, ev->size);
        break;
    case ISOL8_EVENT_ERROR:
        p->has_error = true;
        if (p->plan->is_streaming)
            print_line(&p->print, "[ERR] ", ev->data, ev->size);
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
    if (print_is_broken(&p->print) || signals_caught() != 0)
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
        { .fd = stream_pending(&p->print.out) > 0 ? p->print.out.fd : -1, .events = POLLOUT },
        { .fd = stream_pending(&p->print.err) > 0 ? p->print.err.fd : -1, .events = POLLOUT },
    };

    /* EINTR: a signal, which the caller looks at anyway. */
    (void)poll(fds, ARRAY_LEN(fds), p->is_fetching ? FETCH_TICK_MS : -1);
    show_fetch(p);
    stream_flush(&p->print.out);
    stream_flush(&p->print.err);
}

static int drive(struct pump *p, isol8_error *err)
{
    isol8_event ev;
    int r;

    for (;;) {
        watch(p);
        if (!p->is_cancelled && !print_has_room(&p->print)) {
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
    while (print_pending(&p->print) > 0 && signals_caught() == 0)
        wait_for_work(p, false);
}

/* ---- The end --------------------------------------------------------------------------------- */

static void put_buffered(struct pump *p, const isol8_result *res)
{
    struct print_texts t = { .is_timeout = isol8_result_verdict(res) == ISOL8_VERDICT_TIMEOUT,
                             .is_truncated = isol8_result_truncated(res) };

    t.out = isol8_result_stdout(res, &t.n_out);
    t.err = isol8_result_stderr(res, &t.n_err);
    print_texts(&p->print, &t);
}

static void put_json(struct pump *p, const isol8_result *res)
{
    auto_free char *text = isol8_result_json(res);
    size_t n;
    const char *out = isol8_result_stdout(res, &n);

    print_file(&p->print, out, n);
    if (text == NULL) {
        p->print.out.broken = ENOMEM;
        return;
    }
    stream_put(&p->print.out, text, strlen(text));
    stream_put(&p->print.out, "\n", 1);
}

/* --log-network: one JSON object a line on stderr, when there is any. */
static void put_network_logs(struct pump *p, const isol8_result *res)
{
    size_t n = isol8_result_network_log_count(res);

    if (n == 0 || !p->plan->log_network || p->plan->is_json)
        return;
    print_line(&p->print, "\n--- Network Logs ---", "", 0);
    for (size_t i = 0; i < n; i++) {
        const char *entry = isol8_result_network_log(res, i);
        print_line(&p->print, "", entry, strlen(entry));
    }
}

/* One line about an end that the exit code alone does not explain. */
static void put_verdict(struct pump *p, const isol8_result *res)
{
    enum isol8_verdict verdict = isol8_result_verdict(res);
    const char *detail = isol8_result_detail(res);

    if (p->plan->is_streaming && isol8_result_truncated(res) && verdict != ISOL8_VERDICT_OUTPUT)
        print_line(&p->print, "[WARN] ", TRUNCATED, strlen(TRUNCATED));
    if (print_is_broken(&p->print))
        return; /* why it ended is not the program's doing, and is said elsewhere */
    if (verdict != ISOL8_VERDICT_OK && verdict != ISOL8_VERDICT_EXIT)
        print_line(&p->print, "isol8: ", detail, strlen(detail));
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
    print_file_name(&p->print);
}

static int exit_code(struct pump *p, const isol8_result *res)
{
    enum isol8_verdict verdict = isol8_result_verdict(res);
    int code = print_failure(&p->print);

    if (code != 0)
        return code;
    code = isol8_result_exit_code(res);
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
    if (p->print.out.broken == EPIPE)
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
    struct pump p = { .cli = cli, .plan = plan, .run = run };
    isol8_error err;
    int r, code;

    print_init(&p.print, plan);
    print_begin(&p.print);
    p.is_fetching = plan->request.code_url != NULL && spinner_is_lively();
    r = drive(&p, &err);
    spinner_stop();
    if (r >= 0) {
        code = finish(&p);
    } else {
        (void)isol8_run_finish(run, NULL, NULL); /* the reason is known: it comes next */
        code = failed(&p, &err);
    }
    print_done(&p.print);
    return code;
}
