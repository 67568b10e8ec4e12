/* SPDX-License-Identifier: Apache-2.0 */
/**
 * it_remote.c - code from a URL: many at once, given up, too slow, and names that change
 *
 * The program moves into a network and a mount namespace of its own: to isol8 that is the machine.
 * It has a loopback interface, a web server on port 80, and a name server that knows "live.test",
 * "both.test" (a good and a private address) and "turn.test" (good when it is asked the first time,
 * private ever after), and never answers for "dead.test". TLS and the command:
 * tests/cli/remote.bats.
 */
#include "tests/integration/it.h"

#include <fcntl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <unistd.h>

enum { CROWD = 50, FRIENDS = 2 };

#define HI "echo hi\n"
#define HI_SHA "ab08508fdf5ca4da5c4995987bc41c56c048aaa5eeb046417ae4049b7d40286e"
#define EXIT_SHA                                                                                   \
    "a6eaaecc766a437c036fb3ae10daa368ab98bf230cb3a30d03aeb7254b35ddad" /* "exit 3\0#" */

static isol8_host *host;
static unsigned turn_questions; /* A questions for turn.test; atomic, as all here */
static unsigned code_requests, slow_requests;
static int gate[2]; /* a pipe: who reads a byte from it may answer /slow */

/* ---- The machine ----------------------------------------------------------------------------- */

static unsigned count(const unsigned *counter)
{
    return __atomic_load_n(counter, __ATOMIC_SEQ_CST);
}

static unsigned add(unsigned *counter)
{
    return __atomic_add_fetch(counter, 1, __ATOMIC_SEQ_CST);
}

static void say(int fd, const char *head, const char *body)
{
    char text[512];

    int n = snprintf(text, sizeof(text), "HTTP/1.1 %s\r\nContent-Length: %zu\r\n\r\n%s", head,
                     strlen(body), body);
    (void)send(fd, text, (size_t)n, MSG_NOSIGNAL);
}

static void *serve(void *arg)
{
    int fd = (int)(intptr_t)arg;
    char head[4096] = "", byte;
    size_t n = 0;
    ssize_t got;

    while (strstr(head, "\r\n\r\n") == NULL && n + 1 < sizeof(head) &&
           (got = recv(fd, head + n, sizeof(head) - 1 - n, 0)) > 0)
        n += (size_t)got;
    if (strncmp(head, "GET /code", 9) == 0) {
        (void)add(&code_requests);
        say(fd, "200 OK", HI);
    } else if (strncmp(head, "GET /slow", 9) == 0) {
        (void)add(&slow_requests);
        if (read(gate[0], &byte, 1) == 1)
            say(fd, "200 OK", HI);
    } else if (strncmp(head, "GET /again", 10) == 0) {
        say(fd, "302 Found\r\nLocation: /code", "");
    } else {
        say(fd, "404 Not Found", "");
    }
    (void)close(fd);
    return NULL;
}

static void *web_server(void *arg)
{
    int fd = *(int *)arg, c;
    pthread_t thread;

    while ((c = accept4(fd, NULL, NULL, SOCK_CLOEXEC)) >= 0) {
        if (pthread_create(&thread, NULL, serve, (void *)(intptr_t)c) == 0)
            (void)pthread_detach(thread);
    }
    return NULL;
}

static size_t put_record(unsigned char *at, unsigned char first)
{
    unsigned char record[] = { 0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4, first, 0, 0, 1 };

    memcpy(at, record, sizeof(record));
    return sizeof(record);
}

/* Turn @n bytes of a query into its answer. Return: its length, or 0 for none. */
static size_t answer(unsigned char *m, size_t n)
{
    size_t end = 12;

    while (end < n && m[end] != 0)
        end += 1u + m[end];
    if (end + 5 > n || memcmp(m + 13, "dead", 4) == 0)
        return 0;
    bool is_turn = memcmp(m + 13, "turn", 4) == 0, is_both = memcmp(m + 13, "both", 4) == 0;
    bool is_known = is_turn || is_both || memcmp(m + 13, "live", 4) == 0;
    m[2] = 0x81;
    m[3] = is_known ? 0x80 : 0x83;
    memset(m + 6, 0, 6);
    end += 5;
    if (!is_known || m[end - 3] != 1)
        return end;
    m[7] = is_both ? 2 : 1;
    end += put_record(m + end, is_turn && add(&turn_questions) > 1 ? 10 : 127);
    return is_both ? end + put_record(m + end, 10) : end;
}

static void *name_server(void *arg)
{
    int fd = *(int *)arg;
    unsigned char m[1024];
    struct sockaddr_in from;
    socklen_t from_n = sizeof(from);
    ssize_t n;

    while ((n = recvfrom(fd, m, 512, 0, (struct sockaddr *)&from, &from_n)) > 12) {
        size_t len = answer(m, (size_t)n);
        if (len > 0)
            (void)sendto(fd, m, len, 0, (struct sockaddr *)&from, from_n);
        from_n = sizeof(from);
    }
    return NULL;
}

static int start_servers(void)
{
    static int web, names;
    pthread_t thread;

    web = it_local_socket(SOCK_STREAM, 80);
    names = it_local_socket(SOCK_DGRAM, 53);
    if (web < 0 || names < 0 || pipe2(gate, O_CLOEXEC) < 0 ||
        pthread_create(&thread, NULL, web_server, &web) != 0 ||
        pthread_create(&thread, NULL, name_server, &names) != 0)
        return -1;
    return 0;
}

static isol8_host *open_host(void)
{
    static const char *const open_ranges[] = { "127.0.0.1/32" };
    isol8_host_options opts;
    isol8_host *h = NULL;
    isol8_error err;

    isol8_host_options_init(&opts);
    opts.cgroup_parent = it_cgroup_parent();
    opts.data_root = getenv("ISOL8_TEST_DIR"); /* whose cache is empty */
    opts.network.allow_addresses = open_ranges;
    opts.network.n_allow_addresses = 1;
    if (isol8_host_open(&h, &opts, &err) < 0)
        (void)fprintf(stderr, "cannot open a host: %s\n", err.msg);
    return h;
}

static int open_all(void **state)
{
    if (it_open(state) != 0 || start_servers() < 0)
        return -1;
    host = open_host();
    return host == NULL ? -1 : 0;
}

static int close_all(void **state)
{
    isol8_host_free(host);
    return it_close(state);
}

/* ---- Engines and runs ------------------------------------------------------------------------ */

static isol8_engine *engine(isol8_host *h, const char *mode, uint64_t max_code)
{
    static const char *const schemes[] = { "http" };
    isol8_options o = it_options();
    isol8_remote_options remote;
    isol8_engine *e = NULL;
    isol8_error err;

    isol8_remote_options_init(&remote);
    remote.enabled = true;
    remote.allowed_schemes = schemes;
    remote.n_allowed_schemes = 1;
    remote.max_code_size = max_code;
    o.mode = mode;
    o.timeout_ms = 120000;
    o.max_concurrent = 2 * CROWD;
    o.remote_code = &remote;
    if (isol8_create(&e, h, &o, &err) < 0)
        fail_msg("isol8_create: %s", err.msg);
    return e;
}

static isol8_request request(const char *url)
{
    isol8_request rq;

    isol8_request_init(&rq);
    rq.runtime = "bash";
    rq.code_url = url;
    rq.allow_insecure_code_url = true;
    return rq;
}

static isol8_run *start(isol8_engine *e, const isol8_request *rq)
{
    isol8_run *run = NULL;
    isol8_error err = { 0 };

    if (isol8_run_start(e, rq, ISOL8_RUN_CAPTURE, &run, &err) < 0)
        fail_msg("isol8_run_start: %s", err.msg);
    return run;
}

static isol8_result *finish(isol8_run *run)
{
    isol8_result *res = NULL;
    isol8_error err = { 0 };

    if (isol8_run_finish(run, &res, &err) < 0)
        fail_msg("isol8_run_finish: %s", err.msg);
    return res;
}

static void expect_hi(isol8_result *res)
{
    it_expect_out(res, ISOL8_VERDICT_OK, 0, "hi\n");
    assert_string_equal(isol8_result_code_hash(res), HI_SHA);
    isol8_result_free(res);
}

static void expect_error(isol8_engine *e, const isol8_request *rq, int status, const char *message)
{
    isol8_result *res = NULL;
    isol8_error err = { 0 };

    assert_int_equal(isol8_execute(e, rq, &res, &err), status);
    assert_err(err, status, message);
}

static void wait_until(const unsigned *counter, unsigned n)
{
    double end = it_seconds() + 30;

    while (count(counter) < n) {
        assert_true(it_seconds() < end);
        (void)usleep(1000);
    }
}

static void open_gate(void)
{
    assert_int_equal(write(gate[1], "x", 1), 1);
}

/* ---- Tests ----------------------------------------------------------------------------------- */

static void test_disabled_without_policy(void **state)
{
    auto_engine isol8_engine *e = it_engine(NULL);
    isol8_request rq = request("nonsense");

    (void)state;
    expect_error(e, &rq, ISOL8_E_POLICY,
                 "Remote code fetching is disabled. Set remoteCode.enabled=true to allow it.");
}

static void test_sources_exclude_each_other(void **state)
{
    auto_engine isol8_engine *e = engine(host, "ephemeral", 1000);
    isol8_request rq = request("http://live.test/code");
    isol8_error err = { 0 };
    isol8_result *res = NULL;

    (void)state;
    rq.code = "1";
    rq.code_size = 1;
    assert_int_equal(isol8_execute(e, &rq, &res, &err), ISOL8_E_INVAL);
    rq.code = NULL;
    rq.cmd = "ls";
    assert_int_equal(isol8_execute(e, &rq, &res, &err), ISOL8_E_INVAL);
    rq.code_url = " ";
    rq.code_hash = HI_SHA;
    expect_error(e, &rq, ISOL8_E_INVAL, "codeHash: there is no codeUrl whose code it could be of");
    rq = request(" http://live.test/code\n"); /* blank is absent */
    rq.code = " ";
    rq.code_size = 1;
    rq.cmd = "";
    expect_hi(finish(start(e, &rq)));
}

/* Own sandboxes, pooled ones, sessions; in each the next execution as well. */
static void test_runs_everywhere(void **state)
{
    static const char *const modes[] = { "ephemeral", "persistent" };
    isol8_request rq = request("http://live.test/code");

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(modes); i++) {
        auto_engine isol8_engine *e = engine(host, modes[i], 1000);
        for (unsigned k = 0; k < 3; k++)
            expect_hi(finish(start(e, &rq)));
        rq.code_hash = HI_SHA;
    }
}

static void test_hash_of_code_and_cmd(void **state)
{
    auto_engine isol8_engine *e = engine(host, "ephemeral", 1000);
    isol8_request rq = it_cmd(HI);

    (void)state;
    expect_hi(finish(start(e, &rq)));
    rq.cmd = NULL;
    rq.code = "exit 3\0#";
    rq.code_size = 8;
    auto_result isol8_result *res = finish(start(e, &rq));
    assert_string_equal(isol8_result_code_hash(res), EXIT_SHA);
}

/* Fifty of two engines: one request. Who gives up takes nobody with him. */
static void test_fifty_at_once(void **state)
{
    isol8_engine *engines[FRIENDS];
    isol8_run *runs[CROWD];
    isol8_request rq = request("http://live.test/slow/fifty");
    unsigned before = count(&slow_requests);
    uint64_t done = 7, total = 7;

    (void)state;
    for (size_t i = 0; i < FRIENDS; i++)
        engines[i] = engine(host, "ephemeral", 1000);
    for (size_t i = 0; i < CROWD; i++)
        runs[i] = start(engines[i % FRIENDS], &rq);
    wait_until(&slow_requests, before + 1);
    assert_true(isol8_run_fetching(runs[0], &done, &total));
    assert_int_equal(done, 0);
    assert_int_equal(total, 0);
    for (size_t i = 0; i < 3; i++) { /* the first, which began the fetch, among them */
        isol8_run_cancel(runs[i]);
        auto_result isol8_result *res = finish(runs[i]);
        it_expect(res, ISOL8_VERDICT_CANCELLED, 137);
        assert_string_equal(isol8_result_code_hash(res), "");
    }
    assert_true(isol8_run_fetching(runs[3], &done, &total));
    open_gate();
    for (size_t i = 3; i < CROWD; i++)
        expect_hi(finish(runs[i]));
    assert_int_equal(count(&slow_requests), before + 1);
    for (size_t i = 0; i < FRIENDS; i++)
        isol8_free(engines[i]);
}

static size_t clear_cache(void)
{
    isol8_cleanup_options o;
    isol8_cleanup_report report;

    isol8_cleanup_options_init(&o);
    o.cache = true;
    assert_int_equal(isol8_cleanup(host, &o, &report, NULL), 0);
    return report.cached;
}

/* What differs is fetched apart. */
static void test_different_fetches(void **state)
{
    auto_engine isol8_engine *a = engine(host, "ephemeral", 1000);
    auto_engine isol8_engine *b = engine(host, "ephemeral", 1001);
    isol8_request rq = request("http://live.test/slow/differ"), with_hash = rq;
    unsigned before = count(&slow_requests);

    (void)state;
    (void)clear_cache();
    with_hash.code_hash = HI_SHA;
    isol8_run *runs[] = { start(a, &rq), start(b, &rq), start(a, &with_hash) };
    wait_until(&slow_requests, before + 3);
    for (size_t i = 0; i < ARRAY_LEN(runs); i++)
        open_gate();
    for (size_t i = 0; i < ARRAY_LEN(runs); i++)
        expect_hi(finish(runs[i]));
    /* By now the hash is known: no request any more, not even by a policy of its own. */
    expect_hi(finish(start(b, &with_hash)));
    assert_int_equal(count(&slow_requests), before + 3);
    assert_int_equal(clear_cache(), 1);
}

/* A name server and a web server that say nothing: cancel is at once, and so is the deadline. */
static void test_given_up_at_once(void **state)
{
    static const char *const urls[] = { "http://dead.test/code", "http://live.test/slow/never" };
    auto_engine isol8_engine *e = engine(host, "ephemeral", 1000);

    (void)state;
    for (size_t i = 0; i < 2 * ARRAY_LEN(urls); i++) {
        isol8_request rq = request(urls[i / 2]);
        unsigned before = count(&slow_requests);
        rq.timeout_ms = i % 2 == 0 ? 0 : 300;
        isol8_run *run = start(e, &rq);
        if (i / 2 == 1)
            wait_until(&slow_requests, before + 1);
        double began = it_seconds();
        if (i % 2 == 0)
            isol8_run_cancel(run);
        auto_result isol8_result *res = finish(run);
        assert_true(it_seconds() - began < 1.0);
        it_expect(res, i % 2 == 0 ? ISOL8_VERDICT_CANCELLED : ISOL8_VERDICT_TIMEOUT, 137);
        if (i / 2 == 1)
            open_gate(); /* the server's thread goes, too */
    }
}

/* The host goes while a fetch that was given up is still ending. */
static void test_host_freed_behind(void **state)
{
    size_t fds = it_count_fds();

    (void)state;
    for (unsigned i = 0; i < 10; i++) {
        isol8_host *h = open_host();
        isol8_engine *e = engine(h, "ephemeral", 1000);
        isol8_request rq = request("http://dead.test/code");
        isol8_run *run = start(e, &rq);
        isol8_run_cancel(run);
        isol8_result_free(finish(run));
        isol8_free(e);
        isol8_host_free(h);
    }
    assert_true(it_count_fds() <= fds); /* the server may still close some of its own */
}

/* A deadline for all: what the fetch took is taken off the program's time. */
static void test_one_deadline(void **state)
{
    auto_engine isol8_engine *e = engine(host, "ephemeral", 1000);
    isol8_request rq = request("http://live.test/slow/deadline");
    unsigned before = count(&slow_requests);

    (void)state;
    rq.setup_script = "sleep 60";
    rq.timeout_ms = 2500;
    double began = it_seconds();
    isol8_run *run = start(e, &rq);
    wait_until(&slow_requests, before + 1);
    (void)usleep(2000000);
    open_gate();
    isol8_result *res = NULL;
    isol8_error err = { 0 };
    assert_int_equal(isol8_run_finish(run, &res, &err), ISOL8_E_TIMEOUT);
    assert_true(it_seconds() - began < 4.4); /* not 2 + 2.5, for all the time of a start */
}

/* The address that was checked is the one connected to: the name is asked for once a hop. */
static void test_name_that_changes(void **state)
{
    auto_engine isol8_engine *e = engine(host, "ephemeral", 1000);
    isol8_request rq = request("http://turn.test/code/turn"),
                  again = request("http://turn.test/again");

    (void)state;
    expect_hi(finish(start(e, &rq)));
    assert_int_equal(count(&turn_questions), 1);
    expect_error(e, &rq, ISOL8_E_POLICY, "Blocked code URL host: turn.test");
    __atomic_store_n(&turn_questions, 0, __ATOMIC_SEQ_CST);
    unsigned before = count(&code_requests);
    expect_error(e, &again, ISOL8_E_POLICY, "Blocked code URL host: turn.test");
    assert_int_equal(count(&turn_questions), 2);
    assert_int_equal(count(&code_requests), before);
}

static void test_one_bad_address_is_enough(void **state)
{
    auto_engine isol8_engine *e = engine(host, "ephemeral", 1000);
    isol8_request rq = request("http://both.test/code"), none = request("http://none.test/code");

    (void)state;
    expect_error(e, &rq, ISOL8_E_POLICY, "Blocked code URL host: both.test");
    expect_error(e, &none, ISOL8_E_NETWORK, "Failed to resolve code URL host: none.test");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_disabled_without_policy),
        cmocka_unit_test(test_sources_exclude_each_other),
        cmocka_unit_test(test_runs_everywhere),
        cmocka_unit_test(test_hash_of_code_and_cmd),
        cmocka_unit_test(test_fifty_at_once),
        cmocka_unit_test(test_different_fetches),
        cmocka_unit_test(test_given_up_at_once),
        cmocka_unit_test(test_host_freed_behind),
        cmocka_unit_test(test_one_deadline),
        cmocka_unit_test(test_name_that_changes),
        cmocka_unit_test(test_one_bad_address_is_enough),
    };

    if (it_leave_the_machine() < 0) {
        perror("cannot make a network for the test");
        return 1;
    }
    return cmocka_run_group_tests(tests, open_all, close_all);
}
