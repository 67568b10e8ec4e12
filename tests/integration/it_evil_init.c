/* SPDX-License-Identifier: Apache-2.0 */
/**
 * it_evil_init.c - a pid 1 that has been taken over speaks to the engine
 *
 * The real init cannot be replaced from inside a sandbox; this is about what is left if it ever
 * could. In a data root of its own, tests/support/evil_init.c takes its place in the skeleton
 * layer. Whatever it does, each call ends within its limits with a result or a clear error, and no
 * descriptor, process, cgroup or sandbox is left. The long waits for a sandbox are shortened
 * (executor/failpoint.h).
 */
#include "tests/integration/it.h"

#include <dirent.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    WAIT_MS = 300,    /* every wait for a sandbox that does nothing */
    TIMEOUT_MS = 500, /* of the executions */
    CALL_S_MAX = 10,  /* a few of the above in a row, on a machine that has other work, too */
};

static char layer[256]; /* the skeleton: .isol8/init, .isol8/evil */

/* ---- Taking over ------------------------------------------------------------------------------
 */

static void find_layer(const char *data_root)
{
    char dir[200];
    const struct dirent *e;

    (void)snprintf(dir, sizeof(dir), "%s/skeleton", data_root);
    DIR *list = opendir(dir);
    assert_non_null(list);
    while ((e = readdir(list)) != NULL) {
        if (strncmp(e->d_name, "base-", 5) == 0)
            (void)snprintf(layer, sizeof(layer), "%s/%.50s", dir, e->d_name);
    }
    (void)closedir(list);
    assert_true(layer[0] != '\0');
}

static void write_in_layer(const char *name, const void *data, size_t n, mode_t mode)
{
    char path[300], tmp[300];

    (void)snprintf(tmp, sizeof(tmp), "%s/.isol8/.new", layer);
    (void)snprintf(path, sizeof(path), "%s/.isol8/%s", layer, name);
    FILE *f = fopen(tmp, "we");
    assert_non_null(f);
    assert_int_equal(fwrite(data, 1, n, f), n);
    assert_int_equal(fclose(f), 0);
    assert_int_equal(chmod(tmp, mode), 0);
    assert_int_equal(rename(tmp, path), 0);
}

static void behave(const char *how)
{
    write_in_layer("evil", how, strlen(how), 0644);
}

/* The real init makes the layer; then it is replaced. */
static int take_over(void **state)
{
    char root[200], wait[16];
    size_t n;

    (void)snprintf(root, sizeof(root), "%s/data", getenv("ISOL8_TEST_DIR"));
    (void)snprintf(wait, sizeof(wait), "%d", WAIT_MS);
    if (setenv("ISOL8_DATA_ROOT", root, 1) < 0 || it_open(state) < 0)
        return -1;
    auto_result isol8_result *res = it_run("echo good");
    it_expect_out(res, ISOL8_VERDICT_OK, 0, "good\n");
    find_layer(root);
    auto_free char *evil = it_read_file(getenv("ISOL8_EVIL_INIT"), &n);
    write_in_layer("init", evil, n, 0111);
    return setenv("ISOL8_WAIT_MS", wait, 1);
}

/* ---- One at a time ----------------------------------------------------------------------------
 */

enum way { OWN, POOLED, SESSION, WAYS };
static const char *const way_names[] = { "own", "pooled", "session" };

struct outcome {
    int status;
    enum isol8_verdict verdict;
    char text[500]; /* the error, or the detail */
    double seconds;
};

static isol8_options options_for(enum way way)
{
    isol8_options o = it_options();

    o.mode = way == SESSION ? "persistent" : "ephemeral";
    o.pool_strategy = way == POOLED ? "fast" : "secure";
    o.timeout_ms = TIMEOUT_MS;
    return o;
}

static void take_outcome(struct outcome *o, int status, isol8_result *res, const isol8_error *err)
{
    o->status = status;
    if (status == 0) {
        o->verdict = isol8_result_verdict(res);
        (void)snprintf(o->text, sizeof(o->text), "%s", isol8_result_detail(res));
    } else {
        assert_int_equal(err->status, status);
        assert_true(err->msg[0] != '\0');
        (void)snprintf(o->text, sizeof(o->text), "%s", err->msg);
    }
}

static void execute(isol8_engine *e, const isol8_request *rq, struct outcome *o)
{
    auto_result isol8_result *res = NULL;
    isol8_error err = { 0 };
    double start = it_seconds();

    int r = isol8_execute(e, rq, &res, &err);
    o->seconds = it_seconds() - start;
    take_outcome(o, r, res, &err);
}

static void prewarm(isol8_engine *e)
{
    static const char *const runtimes[] = { "bash" };
    isol8_start_options s;

    isol8_start_options_init(&s);
    s.prewarm = true;
    s.runtimes = runtimes;
    s.n_runtimes = 1;
    assert_int_equal(isol8_start(e, &s, NULL), 0);
}

/* With a file, code that does not fit into a packet, and an output file: all of the protocol. */
static void attempt(enum way way, const char *how, struct outcome *o)
{
    static char code[100000];
    isol8_file file = { .path = "f", .data = "content", .size = 7 };
    const char *out = "f";
    isol8_options opts = options_for(way);
    isol8_request rq;

    memset(code, '#', sizeof(code));
    isol8_request_init(&rq);
    rq.runtime = "bash";
    rq.code = code;
    rq.code_size = sizeof(code);
    rq.files = &file;
    rq.n_files = 1;
    rq.output_paths = &out;
    rq.n_output_paths = 1;
    behave(how);
    size_t fds = it_count_fds();
    {
        auto_engine isol8_engine *e = it_engine(&opts);
        if (way == POOLED)
            prewarm(e);
        execute(e, &rq, o);
        double start = it_seconds();
        (void)isol8_stop(e, NULL);
        o->seconds += it_seconds() - start;
    }
    it_until_sandboxes(0);
    for (int i = 0; i < 1000 && it_count_fds() > fds; i++)
        (void)usleep(2000); /* the keeper closes what it reads on its own thread */
    if (getenv("ISOL8_TEST_VERBOSE") != NULL)
        (void)fprintf(stderr, "%-20s %-8s %4d %-10s %.1f s %s\n", how, way_names[way], o->status,
                      o->status == 0 ? isol8_verdict_name(o->verdict) : "", o->seconds, o->text);
    if (it_count_fds() > fds + (way == OWN ? 0 : 2)) /* the keeper's own, made on first use */
        fail_msg("%s (%s): %zu descriptors before, %zu after", how, way_names[way], fds,
                 it_count_fds());
    if (o->seconds > CALL_S_MAX)
        fail_msg("%s (%s): took %.1f s", how, way_names[way], o->seconds);
}

/* What must fail, and what may also be a verdict: the engine cannot tell a lie that is well-formed
 * from the truth. */
struct trick {
    const char *how;
    int status;         /* of a sandbox of its own or the pool's; 1: any */
    int session_status; /* the same, in a session */
};

static void play(const struct trick *tricks, size_t n, bool only_own)
{
    for (size_t i = 0; i < n; i++) {
        for (int way = OWN; way < (only_own ? POOLED : WAYS); way++) {
            struct outcome o = { 0 };
            attempt((enum way)way, tricks[i].how, &o);
            int want = way == SESSION ? tricks[i].session_status : tricks[i].status;
            if (want != 1 && o.status != want)
                fail_msg("%s (%s): status %d, not %d: %s", tricks[i].how, way_names[way], o.status,
                         want, o.text);
        }
    }
}

static void test_hello(void **state)
{
    static const struct trick tricks[] = {
        { "hello-version", ISOL8_E_PROTOCOL, ISOL8_E_PROTOCOL },
        { "hello-type", ISOL8_E_PROTOCOL, ISOL8_E_PROTOCOL },
        { "hello-short", ISOL8_E_PROTOCOL, ISOL8_E_PROTOCOL },
        { "hello-long", ISOL8_E_PROTOCOL, ISOL8_E_PROTOCOL },
        { "hello-empty", ISOL8_E_PROTOCOL, ISOL8_E_PROTOCOL },
        { "hello-none", ISOL8_E_TIMEOUT, ISOL8_E_TIMEOUT },
        { "hello-exit", ISOL8_E_RUNTIME, ISOL8_E_RUNTIME },
        { "hello-close", 1, 1 }, /* the runtime holds a copy of the socket */
        { "hello-twice", ISOL8_E_PROTOCOL, 1 },
        { "hello-child", 1, 1 }, /* the pid may be gone before it is looked at */
        { "hello-then-exit", 1, 1 },
    };

    (void)state;
    play(tricks, ARRAY_LEN(tricks), false);
}

static void test_answers(void **state)
{
    static const struct trick tricks[] = {
        { "none", 0, 0 },
        { "fds", 0, 0 },
        { "answer-huge", ISOL8_E_PROTOCOL, ISOL8_E_PROTOCOL },
        { "answer-short", ISOL8_E_PROTOCOL, ISOL8_E_PROTOCOL },
        { "answer-empty", 1, 1 }, /* it looks like the end of the socket */
        { "done-stage", ISOL8_E_PROTOCOL, ISOL8_E_PROTOCOL },
        { "done-errnum", ISOL8_E_LIMIT, ISOL8_E_LIMIT },
        { "done-early", 1, 0 },
        { "done-flood", ISOL8_E_PROTOCOL, ISOL8_E_PROTOCOL },
        { "done-flood-known", ISOL8_E_PROTOCOL, ISOL8_E_PROTOCOL },
        { "exited-stage", ISOL8_E_PROTOCOL, ISOL8_E_PROTOCOL },
        { "exited-negative", ISOL8_E_PROTOCOL, ISOL8_E_PROTOCOL },
        { "exited-errnum", 0, 0 },
        { "exited-lies", 0, 0 },
        { "exited-stopped", 0, 0 },
        { "exited-early", ISOL8_E_PROTOCOL, 0 }, /* a session does not read the first socket */
        { "exited-foreign", ISOL8_E_PROTOCOL, ISOL8_E_PROTOCOL },
        { "exited-other-steps", ISOL8_E_PROTOCOL, ISOL8_E_PROTOCOL },
        { "exited-twice", 1, 1 },
    };

    (void)state;
    play(tricks, ARRAY_LEN(tricks), false);
}

static void test_never_ending(void **state)
{
    static const struct trick tricks[] = {
        { "exec-never", 0, ISOL8_E_TIMEOUT }, /* the timeout; in a session nothing confirms it */
        { "exec-exit", 0, 0 },
        { "exec-close", 1, 1 },
        { "exec-flood", 0, 1 },
        { "put-never", 0, 1 },
        { "get-never", 0, 0 },
        { "get-flood", 0, 0 },
        { "get-holds", 0, 0 },
        { "get-trickle", 0, 0 },
        { "children", 0, 0 },
        { "close-ignored", 0, 0 },
        { "deaf", 0, 0 },
        { "channel-ignored", 0, 1 },
        { "channel-unread", 0, 1 },
    };

    (void)state;
    play(tricks, ARRAY_LEN(tricks), false);
}

/* ---- Files of a session -----------------------------------------------------------------------
 */

/* Put and get one file in a session. */
static void transfer(const char *how, struct outcome *put, struct outcome *get)
{
    isol8_options opts = options_for(SESSION);
    isol8_request rq = it_cmd("true");
    struct outcome first = { 0 };
    isol8_error err = { 0 };
    auto_free char *content = it_noise(3 << 20, 1);
    void *data = NULL;
    size_t n = 0;

    behave("none");
    auto_engine isol8_engine *e = it_engine(&opts);
    behave(how);
    execute(e, &rq, &first); /* makes the sandbox, whatever comes of it */
    double start = it_seconds();
    put->status = isol8_put_file(e, "f", content, 3 << 20, &err);
    put->seconds = it_seconds() - start;
    (void)snprintf(put->text, sizeof(put->text), "%s", put->status < 0 ? err.msg : "");
    start = it_seconds();
    get->status = isol8_get_file(e, "f", &data, &n, &err);
    get->seconds = it_seconds() - start;
    (void)snprintf(get->text, sizeof(get->text), "%s", get->status < 0 ? err.msg : "");
    free(data);
    if (getenv("ISOL8_TEST_VERBOSE") != NULL)
        (void)fprintf(stderr, "%-20s put %d %.1f s %s; get %d %.1f s %s\n", how, put->status,
                      put->seconds, put->text, get->status, get->seconds, get->text);
}

static void test_transfers(void **state)
{
    static const struct {
        const char *how;
        int put, get; /* 1: any failure; 2: anything at all */
    } tricks[] = {
        { "none", 0, 0 },
        { "fds", 0, 0 },
        { "put-never", ISOL8_E_TIMEOUT, 0 },
        { "put-unread", 0, 0 },
        { "put-exited", ISOL8_E_PROTOCOL, 0 },
        { "put-other", ISOL8_E_PROTOCOL, 0 },
        { "get-never", 0, 2 }, /* the pipe ends without a byte, and no answer comes */
        { "get-flood", 0, 1 },
        { "get-holds", 0, ISOL8_E_TIMEOUT },
        { "get-trickle", 0, ISOL8_E_TIMEOUT },
        { "get-exited", 0, ISOL8_E_PROTOCOL },
        { "get-other", 0, ISOL8_E_PROTOCOL },
        { "done-errnum", ISOL8_E_INVAL, ISOL8_E_INVAL },
        { "done-stage", ISOL8_E_PROTOCOL, ISOL8_E_PROTOCOL },
        { "answer-huge", ISOL8_E_PROTOCOL, ISOL8_E_PROTOCOL },
        { "answer-empty", ISOL8_E_STATE, ISOL8_E_STATE },
        { "channel-ignored", 1, 1 },
        { "channel-unread", ISOL8_E_TIMEOUT, ISOL8_E_TIMEOUT },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(tricks); i++) {
        struct outcome put = { 0 }, get = { 0 };
        size_t fds = it_count_fds();
        transfer(tricks[i].how, &put, &get);
        if (put.seconds > CALL_S_MAX || get.seconds > CALL_S_MAX)
            fail_msg("%s: took %.1f s and %.1f s", tricks[i].how, put.seconds, get.seconds);
        if (tricks[i].put == 1 ? put.status >= 0 : tricks[i].put != put.status)
            fail_msg("%s: put: %d %s", tricks[i].how, put.status, put.text);
        if (tricks[i].get != 2 &&
            (tricks[i].get == 1 ? get.status >= 0 : tricks[i].get != get.status))
            fail_msg("%s: get: %d %s", tricks[i].how, get.status, get.text);
        it_until_sandboxes(0);
        for (int j = 0; j < 1000 && it_count_fds() > fds; j++)
            (void)usleep(2000);
        if (it_count_fds() > fds + 2)
            fail_msg("%s: %zu descriptors before, %zu after", tricks[i].how, fds, it_count_fds());
    }
}

/* Files put before the first execution meet the same init, while the session is being made. */
static void test_staged_files(void **state)
{
    static const char *const hows[] = { "put-never", "put-other", "channel-ignored",
                                        "answer-huge" };
    isol8_options opts = options_for(SESSION);
    isol8_request rq = it_cmd("true");

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(hows); i++) {
        auto_engine isol8_engine *e = it_engine(&opts);
        struct outcome o = { 0 };
        behave(hows[i]);
        assert_int_equal(isol8_put_file(e, "f", "x", 1, NULL), 0);
        execute(e, &rq, &o);
        assert_true(o.status < 0);
        assert_true(o.seconds < CALL_S_MAX);
        it_until_sandboxes(0);
    }
}

/* The pool makes do: its failures are the pool's, and the machine's state is as before. */
static void test_pool_of_mutes(void **state)
{
    isol8_options opts = options_for(POOLED);
    double start = it_seconds();

    (void)state;
    behave("hello-none");
    opts.pool_clean = 4;
    {
        auto_engine isol8_engine *e = it_engine(&opts);
        prewarm(e);
        assert_int_equal(isol8_stop(e, NULL), 0);
    }
    assert_int_equal(it_count_sandboxes(NULL), 0);
    assert_true(it_seconds() - start < CALL_S_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hello),        cmocka_unit_test(test_answers),
        cmocka_unit_test(test_never_ending), cmocka_unit_test(test_transfers),
        cmocka_unit_test(test_staged_files), cmocka_unit_test(test_pool_of_mutes),
    };

    return cmocka_run_group_tests(tests, take_over, it_close);
}
