/* SPDX-License-Identifier: Apache-2.0 */
/**
 * it.h - what the integration tests share: a host of their own, and short ways to run something
 *
 * The roots come from no-leaks.sh; the cgroup parent has a name of its own, so that two test runs
 * on one machine do not meet. Sandboxes use the image "host" unless a test says otherwise, which
 * needs no set-up.
 */
#ifndef TESTS_INTEGRATION_IT_H
#define TESTS_INTEGRATION_IT_H

#include <stdio.h>

#include <isol8/isol8.h>

#include "base/mem.h"
#include "tests/support/test.h"

/** For cmocka_run_group_tests(): open and release the host. */
int it_open(void **state);
int it_close(void **state);

isol8_host *it_host(void);

/** Name of the cgroup parent of this test program. */
const char *it_cgroup_parent(void);

/** The defaults with image "host". */
isol8_options it_options(void);

/** A request for "bash -c @cmd". */
isol8_request it_cmd(const char *cmd);

isol8_engine *it_engine(const isol8_options *o);

/** Execute on an engine of its own; a failure of isol8 fails the test. */
isol8_result *it_execute(const isol8_options *o, const isol8_request *rq);

/** Execute, expecting isol8 to refuse or fail. */
int it_refused(const isol8_options *o, const isol8_request *rq, isol8_error *err);

/** "bash -c @cmd" on an engine that the test has already; a failure of isol8 fails the test. */
isol8_result *it_on(isol8_engine *e, const char *cmd);

/** The same, expecting success and exactly this output. */
void it_says(isol8_engine *e, const char *cmd, const char *out);

/** "bash -c @cmd" with the default options. */
isol8_result *it_run(const char *cmd);

/** The guest program with @args, as the main process. @o may be NULL: the defaults. */
isol8_result *it_guest(const isol8_options *o, const char *args);

/** The guest program as a file "guest", and the command that starts it with @args. */
const isol8_file *it_guest_file(void);
void it_guest_cmd(char *out, size_t n, const char *args);

/** Compare verdict and exit code; on a difference the whole result is shown. */
void it_expect(const isol8_result *res, enum isol8_verdict verdict, int exit_code);

/** The same, then stdout. */
void it_expect_out(const isol8_result *res, enum isol8_verdict verdict, int exit_code,
                   const char *out);

static inline void it_result_free_p(isol8_result **res)
{
    isol8_result_free(*res);
}
#define auto_result __attribute__((cleanup(it_result_free_p)))

static inline void it_engine_free_p(isol8_engine **e)
{
    isol8_free(*e);
}
#define auto_engine __attribute__((cleanup(it_engine_free_p)))

/* ---- A run watched while it goes on -----------------------------------------------------------
 */

enum { IT_TEXT_MAX = 1 << 20, IT_EVENTS_MAX = 256 };

struct it_watch {
    isol8_engine *engine;
    isol8_run *run;
    char *text[2]; /* what came so far on stdout and stderr, NUL-terminated */
    size_t size[2];
    enum isol8_event_type types[IT_EVENTS_MAX]; /* of the first events */
    size_t n_events;
    char exit_text[16];
    char error_text[200];
    size_t n_markers;
};

/** Start @rq (borrowed until it_watch_finish()) on an engine of its own. */
void it_watch_start(struct it_watch *w, const isol8_options *o, const isol8_request *rq);

/** Until stdout holds @text; the test fails when the run ends before. */
void it_watch_until(struct it_watch *w, const char *text);

/** Until the end of the run; all events are taken. */
void it_watch_to_end(struct it_watch *w);

/** The end, then the result; releases everything. */
isol8_result *it_watch_finish(struct it_watch *w);

/* ---- The machine --------------------------------------------------------------------------------
 */

/** Sandboxes in the state root; *@id (may be NULL) gets one of their ids. */
size_t it_count_sandboxes(char id[65]);

/** Until there are @n sandboxes in the state root; the test fails after half a minute. */
void it_until_sandboxes(size_t n);

/** Enter a network namespace of this process's own, with a name server at 127.0.0.1; before there
 * is any thread. Return: 0, or -1. */
int it_leave_the_machine(void);

/** A socket of @type bound to @port of 127.0.0.1, listening when it is a stream. Return: fd, or -1.
 */
int it_local_socket(int type, uint16_t port);

/** Open descriptors of this process. */
size_t it_count_fds(void);

/** Seconds since some fixed point. */
double it_seconds(void);

/** @n bytes that do not repeat soon, from @seed; free() them. */
char *it_noise(size_t n, unsigned seed);

/** Whole content of a small file of the machine; free() it. */
char *it_read_file(const char *path, size_t *n);

#endif
