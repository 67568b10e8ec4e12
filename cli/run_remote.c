/* SPDX-License-Identifier: Apache-2.0 */
/**
 * run_remote.c - `isol8 run --host`: the run takes place on a server
 *
 * Theory of operation: one loop, as in run_pump.c. As long as the queues towards stdout and stderr
 * are short, the connection is driven and its events are queued; otherwise nothing is read from it,
 * which holds the program up. A signal is handed on to the program, whose last words are still
 * printed; a second one, or five seconds, end the patience. Closing the connection is always
 * enough: the server kills what nobody waits for.
 */
#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "cli/remote.h"
#include "cli/run_print.h"
#include "cli/signals.h"
#include "cli/spinner.h"
#include "client/execution.h"

#define SESSION_ID_SIZE 32

enum {
    PATIENCE_MS = 5000,  /* after a signal, and for the end of a session of our own */
    SAME_SIGNAL_MS = 200 /* a signal to the group and one to us are one, timeout(1) sends both */
};

struct drive {
    const struct cli *cli;
    const struct run_plan *plan;
    struct execution *execution;
    struct print print;
    bool has_begun; /* the server has something to say */
    int code;       /* by the events so far */
    int n_signals;
    uint64_t signalled_ns; /* the first of them */
    bool has_given_up;
};

int run_remote_check(const struct cli_args *args)
{
    if (run_value(args, RUN_SESSION_ID) != NULL && run_value(args, RUN_HOST) == NULL)
        return cli_fail("--session-id requires --host (remote server). Session IDs are managed by "
                        "the server.");
    return 0;
}

/* ---- Events ---------------------------------------------------------------------------------- */

static void begin(struct drive *d)
{
    spinner_stop();
    if (!d->has_begun)
        print_begin(&d->print);
    d->has_begun = true;
}

static void on_exit_event(struct drive *d, const struct client_event *ev)
{
    if (ev->exit_code < 0) {
        print_line(&d->print, "[ERR] The server sent an exit code that is none: ", ev->data,
                   ev->size);
        d->code = CLI_EXIT_ERROR;
    } else if (ev->exit_code != 0) {
        d->code = ev->exit_code;
    }
}

static void on_event(void *user, const struct client_event *ev)
{
    struct drive *d = user;

    begin(d);
    switch (ev->type) {
    case CLIENT_EVENT_STDOUT:
        print_output(&d->print, &d->print.out, ev->data, ev->size);
        if (!ev->is_setup)
            print_file(&d->print, ev->data, ev->size);
        break;
    case CLIENT_EVENT_STDERR:
        print_output(&d->print, &d->print.err, ev->data, ev->size);
        break;
    case CLIENT_EVENT_ERROR:
        print_line(&d->print, "[ERR] ", ev->data, ev->size);
        d->code = d->code == 0 ? CLI_EXIT_ERROR : d->code;
        break;
    case CLIENT_EVENT_EXIT:
        on_exit_event(d, ev);
        break;
    case CLIENT_EVENT_OTHER:
        break;
    }
}

/* ---- The loop -------------------------------------------------------------------------------- */

static uint64_t since_signal_ms(const struct drive *d)
{
    return (clock_now_ns() - d->signalled_ns) / 1000000;
}

static void on_signals(struct drive *d)
{
    signals_again();
    int n = signals_count();

    if (d->n_signals > 0 && since_signal_ms(d) > PATIENCE_MS)
        d->has_given_up = true;
    if (n == d->n_signals)
        return;
    if (d->n_signals == 0) {
        d->signalled_ns = clock_now_ns();
        d->has_given_up = !execution_signal(d->execution, signals_caught());
    } else if (since_signal_ms(d) > SAME_SIGNAL_MS) {
        d->has_given_up = true;
    }
    d->n_signals = n;
}

/* Wait for the server (@with_server), a signal, or room in a stream that has something queued. */
static void wait_for_work(struct drive *d, bool with_server)
{
    struct pollfd fds[] = {
        { .fd = signals_fd(), .events = POLLIN },
        { .fd = stream_pending(&d->print.out) > 0 ? d->print.out.fd : -1, .events = POLLOUT },
        { .fd = stream_pending(&d->print.err) > 0 ? d->print.err.fd : -1, .events = POLLOUT },
    };
    int timeout_ms = -1;

    if (d->n_signals > 0)
        timeout_ms = since_signal_ms(d) > PATIENCE_MS ? 0
                                                      : PATIENCE_MS + 1 - (int)since_signal_ms(d);
    if (with_server)
        execution_wait(d->execution, fds, ARRAY_LEN(fds), timeout_ms);
    else
        (void)poll(fds, ARRAY_LEN(fds), timeout_ms); /* EINTR: a signal, looked at anyway */
    stream_flush(&d->print.out);
    stream_flush(&d->print.err);
}

static int drive(struct drive *d, isol8_error *err)
{
    for (;;) {
        on_signals(d);
        if (d->has_given_up || print_is_broken(&d->print))
            return 0;
        if (!print_has_room(&d->print)) {
            wait_for_work(d, false);
            continue;
        }
        int r = execution_step(d->execution, err);
        if (r < 0)
            return r;
        if (execution_done(d->execution))
            return 0;
        if (r == 0)
            wait_for_work(d, true);
    }
}

static void drain(struct drive *d)
{
    for (on_signals(d); print_pending(&d->print) > 0 && !d->has_given_up; on_signals(d))
        wait_for_work(d, false);
}

/* ---- The end --------------------------------------------------------------------------------- */

static void put_json(struct drive *d, const struct client_result *res)
{
    const struct buf *answer = execution_answer(d->execution);
    size_t n = answer->len;

    while (n > 0 && memchr(" \t\r\n", answer->data[n - 1], 4) != NULL)
        n--;
    print_file(&d->print, res->out, res->out_size);
    print_output(&d->print, &d->print.out, answer->data, n);
    print_output(&d->print, &d->print.out, "\n", 1);
}

static void put_network_logs(struct drive *d, const struct client_result *res)
{
    const cJSON *entry;

    if (!d->plan->log_network || cJSON_GetArraySize(res->network_logs) == 0)
        return;
    print_line(&d->print, "\n--- Network Logs ---", "", 0);
    cJSON_ArrayForEach(entry, res->network_logs)
    {
        auto_free char *text = cJSON_PrintUnformatted(entry);
        if (text != NULL)
            print_line(&d->print, "", text, strlen(text));
    }
}

static void put_texts(struct drive *d, const struct client_result *res)
{
    const struct print_texts t = { .out = res->out,
                                   .err = res->err,
                                   .n_out = res->out_size,
                                   .n_err = res->err_size,
                                   .is_timeout = res->is_timeout,
                                   .is_truncated = res->is_truncated };

    print_texts(&d->print, &t);
    put_network_logs(d, res);
    if (res->detail != NULL && !print_is_broken(&d->print))
        print_line(&d->print, "isol8: ", res->detail, strlen(res->detail));
    print_file_name(&d->print);
}

/* A buffered run has ended. */
static int put_result(struct drive *d, isol8_error *err)
{
    struct client_result res;
    int r = execution_result(d->execution, &res, err);

    if (r == 0) {
        begin(d);
        if (d->plan->is_json)
            put_json(d, &res);
        else
            put_texts(d, &res);
        d->code = res.is_timeout ? EXIT_TIMEOUT : res.exit_code;
    }
    client_result_done(&res);
    return r;
}

static int finish(struct drive *d, int r, isol8_error *err)
{
    bool is_done = execution_done(d->execution);

    if (r == 0 && is_done && !d->plan->is_streaming)
        r = put_result(d, err);
    if (r == 0 && is_done && d->plan->is_streaming)
        print_file_name(&d->print);
    drain(d);
    if (d->n_signals > 0)
        return 128 + signals_caught();
    int code = print_failure(&d->print);
    if (code != 0)
        return code;
    return r < 0 ? cli_fail("%s", err->msg) : d->code;
}

static int execute(const struct cli *cli, const struct run_plan *plan, const struct client *c,
                   const struct client_order *order)
{
    struct drive d = { .cli = cli, .plan = plan };
    isol8_error err;

    if (execution_start(&d.execution, c, order, plan->is_streaming ? on_event : NULL, &d, &err) < 0)
        return cli_fail("%s", err.msg);
    print_init(&d.print, plan);
    spinner_start("Starting execution...");
    int r = drive(&d, &err);
    spinner_stop();
    cli_debug(cli, "Run", "Transport: %s", execution_transport(d.execution));
    int code = finish(&d, r, &err);
    execution_free(d.execution);
    print_done(&d.print);
    return code;
}

/* ---- Beginning ------------------------------------------------------------------------------- */

/* What the original's client sends for an agent, whose needs its server does not know. */
static void choose_limits(struct run_plan *plan, struct client_order *order,
                          const struct cli_args *args, const struct conf *conf)
{
    isol8_options *o = &plan->options;
    bool is_agent = strcmp(plan->request.runtime, "agent") == 0;

    order->has_pids_limit = is_agent || cli_arg(args, RUN_PIDS_LIMIT) != NULL;
    if (is_agent && cli_arg(args, RUN_PIDS_LIMIT) == NULL)
        o->pids_limit = 200;
    if (is_agent && o->sandbox_size == NULL)
        o->sandbox_size = "2g";
    order->has_sandbox_size = o->sandbox_size != NULL;
    order->has_max_output = cli_arg(args, RUN_MAX_OUTPUT) != NULL;
    order->has_tmp_size = cli_arg(args, RUN_TMP_SIZE) != NULL ||
                          conf_is_set(conf, "defaults.tmpSize");
}

static int run_on(const struct cli *cli, struct run_plan *plan, const struct client *c,
                  const struct cli_args *args, const struct conf *conf)
{
    struct client_order order = { .options = &plan->options,
                                  .request = &plan->request,
                                  .session_id = run_value(args, RUN_SESSION_ID) };
    char id[SESSION_ID_SIZE];
    bool is_ours = order.session_id == NULL && strcmp(plan->options.mode, "persistent") == 0;
    isol8_error err;

    choose_limits(plan, &order, args, conf);
    if (client_health(c, &err) < 0)
        return cli_fail("%s", err.msg);
    int code = run_open_out(plan);
    if (code != 0)
        return code;
    if (is_ours) {
        (void)snprintf(id, sizeof(id), "cli-%lld", (long long)clock_wall_ms());
        order.session_id = id;
    }
    if (order.session_id != NULL)
        cli_say("[Run] Session ID: %s", order.session_id);
    signals_hold();
    code = signals_caught() != 0 ? 128 + signals_caught() : execute(cli, plan, c, &order);
    if (is_ours && client_session_delete(c, id, PATIENCE_MS, &err) < 0)
        cli_debug(cli, "Run", "The session was not deleted: %s", err.msg);
    return code;
}

int run_remote(const struct cli *cli, struct run_plan *plan, const struct cli_args *args,
               const struct conf *conf)
{
    auto_remote struct remote r;
    int code = remote_open(cli, &r, run_value(args, RUN_HOST), run_value(args, RUN_KEY));

    if (code != 0)
        return code;
    cli_debug(cli, "Run", "Remote host: %s", r.client.address.url);
    return run_on(cli, plan, &r.client, args, conf);
}
