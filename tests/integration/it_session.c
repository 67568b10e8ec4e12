/* SPDX-License-Identifier: Apache-2.0 */
/**
 * it_session.c - persistent mode: one sandbox for many executions
 *
 * Registered twice: as the machine is, and with ISOL8_CGROUP_V1, where executions are killed by the
 * freezer instead of cgroup.kill.
 */
#include "tests/integration/it.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static isol8_options persistent(void)
{
    isol8_options o = it_options();

    o.mode = "persistent";
    return o;
}

/* ---- What stays ----------------------------------------------------------------------------- */

static void test_state_survives(void **state)
{
    isol8_options o = persistent();
    auto_engine isol8_engine *e = it_engine(&o);
    char id[65], again[65];

    (void)state;
    assert_false(isol8_container_id(e, id));
    assert_string_equal(id, "");
    it_says(e, "echo kept >f; mkdir -p d/e; echo $$ >/tmp/pid; (sleep 300 &) ; echo first",
            "first\n");
    assert_true(isol8_container_id(e, id));
    assert_int_equal(strlen(id), 64);
    it_says(e, "cat f; ls -d d/e; pgrep -c sleep", "kept\nd/e\n1\n");
    assert_true(isol8_container_id(e, again));
    assert_string_equal(id, again);
    auto_result isol8_result *res = it_on(e, "exit 7");
    it_expect(res, ISOL8_VERDICT_EXIT, 7);
    assert_string_equal(isol8_result_container_id(res), id);
    it_says(e, "cat f", "kept\n"); /* a failing execution ends nothing but itself */
    assert_int_equal(isol8_stop(e, NULL), 0);
    assert_int_equal(it_count_sandboxes(NULL), 0);
    assert_false(isol8_container_id(e, id));
    auto_result isol8_result *fresh = it_on(e, "cat f"); /* a new sandbox after a stop */
    it_expect(fresh, ISOL8_VERDICT_EXIT, 1);
}

static void test_scripts_have_names_of_their_own(void **state)
{
    isol8_options o = persistent();
    auto_engine isol8_engine *e = it_engine(&o);

    (void)state;
    for (int i = 0; i < 3; i++) {
        isol8_request rq = it_cmd(NULL);
        isol8_result *res = NULL;
        rq.cmd = NULL;
        rq.code = "echo $0\n";
        rq.code_size = strlen(rq.code);
        assert_int_equal(isol8_execute(e, &rq, &res, NULL), 0);
        assert_int_equal(strncmp(isol8_result_stdout(res, NULL), "/sandbox/exec_", 14), 0);
        assert_non_null(strstr(isol8_result_stdout(res, NULL), ".sh\n"));
        isol8_result_free(res);
    }
    it_says(e, "ls /sandbox/exec_*.sh | wc -l", "3\n");
}

static void test_runtime_is_fixed(void **state)
{
    isol8_options o = persistent();
    auto_engine isol8_engine *e = it_engine(&o);
    isol8_request rq = it_cmd("true");
    isol8_result *res = NULL;
    isol8_error err = { 0 };

    (void)state;
    it_says(e, "echo x", "x\n");
    rq.runtime = "python";
    assert_int_equal(isol8_execute(e, &rq, &res, &err), ISOL8_E_INVAL);
    assert_string_equal(err.msg,
                        "Cannot switch runtime from \"bash\" to \"python\". Each persistent "
                        "container supports a single runtime. Create a new Isol8 instance for a "
                        "different runtime.");
    it_says(e, "echo y", "y\n");
}

/* ---- Time and limits ------------------------------------------------------------------------ */

/* At the deadline only that execution dies: whole, with what it put into the background by
 * double-forking, while an older background process and another execution go on. */
static void test_only_the_late_one_dies(void **state)
{
    isol8_options o = persistent();
    isol8_request slow = it_cmd("setsid sh -c 'exec -a victim sleep 400' & (sh -c 'sleep 401 &') ; "
                                "bash -c 'exec -a victim sleep 402'");
    isol8_result *res = NULL;
    isol8_error err = { 0 };

    (void)state;
    o.max_concurrent = 4;
    auto_engine isol8_engine *e = it_engine(&o);
    it_says(e, "(setsid sleep 500 &); echo ok", "ok\n");
    slow.timeout_ms = 400;
    assert_int_equal(isol8_execute(e, &slow, &res, &err), 0);
    it_expect(res, ISOL8_VERDICT_TIMEOUT, 137);
    isol8_result_free(res);
    it_says(e, "pgrep -c -f '[s]leep 40|[v]ictim' || true; pgrep -c -f '[s]leep 500'", "0\n1\n");
}

static void test_cancel(void **state)
{
    isol8_options o = persistent();
    isol8_request rq = it_cmd("sleep 404 & sleep 405");
    isol8_run *run = NULL;
    isol8_result *res = NULL;

    (void)state;
    auto_engine isol8_engine *e = it_engine(&o);
    it_says(e, "echo up", "up\n");
    assert_int_equal(isol8_run_start(e, &rq, 0, &run, NULL), 0);
    (void)usleep(50000);
    isol8_run_cancel(run);
    assert_int_equal(isol8_run_finish(run, &res, NULL), 0);
    it_expect(res, ISOL8_VERDICT_CANCELLED, 137);
    isol8_result_free(res);
    it_says(e, "pgrep -c sleep || true", "0\n");
}

/* Each execution's verdict and usage are its own. */
static void test_counted_apart(void **state)
{
    isol8_options o = persistent();
    isol8_usage usage;

    (void)state;
    o.memory_limit = "64m";
    auto_engine isol8_engine *e = it_engine(&o);
    auto_result isol8_result *eats = it_on(e, "tail -c 200m /dev/zero | tail >/dev/null; exit 9");
    it_expect(eats, ISOL8_VERDICT_MEMORY, 9);
    auto_result isol8_result *fails = it_on(e, "exit 9");
    it_expect(fails, ISOL8_VERDICT_EXIT, 9);
    auto_result isol8_result *burns = it_on(e, "t=$SECONDS; while ((SECONDS - t < 2)); do :; done");
    isol8_result_usage(burns, &usage);
    assert_true(usage.cpu_us > 500000);
    auto_result isol8_result *idle = it_on(e, "true");
    isol8_result_usage(idle, &usage);
    assert_true(usage.cpu_us < 500000);
    assert_true(usage.memory_peak_bytes > 0);
    assert_true(usage.memory_peak_bytes < (32u << 20));
}

/* What runs in the background may hold its output, and write to it, without holding up the
 * execution, and without dying of it. */
static void test_background_output(void **state)
{
    isol8_options o = persistent();
    auto_engine isol8_engine *e = it_engine(&o);

    (void)state;
    double start = it_seconds();
    it_says(e, "sleep 300 & echo started", "started\n");
    assert_true(it_seconds() - start < 20);
    auto_result isol8_result *res = it_on(
        e, "(for ((i = 0; i < 20; i++)); do head -c 100000 /dev/zero; sleep 0.01; done; "
           "echo survived >/sandbox/report) & echo on");
    size_t n;
    const char *out = isol8_result_stdout(res, &n);
    assert_non_null(memmem(out, n, "on", 2)); /* zeros may have come before it */
    it_says(e,
            "for ((i = 0; i < 300; i++)); do [ -e report ] && break; sleep 0.1; done; cat report",
            "survived\n");
}

/* Nothing is left of an execution that left nothing. */
static void test_no_growth(void **state)
{
    isol8_options o = persistent();
    auto_engine isol8_engine *e = it_engine(&o);
    char id[65], path[300];
    const struct dirent *d;
    size_t groups = 0;

    (void)state;
    it_says(e, "(sleep 300 &); echo x", "x\n");
    size_t fds = it_count_fds();
    for (int i = 0; i < 100; i++)
        it_says(e, "echo x", "x\n");
    assert_int_equal(it_count_fds(), fds);
    assert_true(isol8_container_id(e, id));
    (void)snprintf(path, sizeof(path), "/sys/fs/cgroup/%s/%s/%s",
                   getenv("ISOL8_CGROUP_V1") != NULL ? "freezer" : "unified", it_cgroup_parent(),
                   id);
    DIR *dir = opendir(path);
    assert_non_null(dir);
    while ((d = readdir(dir)) != NULL)
        groups += d->d_name[0] == 'x';
    (void)closedir(dir);
    assert_in_range(groups, 1, 2); /* of the one with a background process; and maybe the last */
}

/* ---- Many at once --------------------------------------------------------------------------- */

enum { CALLERS = 16 };

struct caller {
    isol8_engine *e;
    unsigned number;
    char complaint[400];
};

static void *call(void *user)
{
    struct caller *c = user;

    for (int i = 0; i < 8; i++) {
        char cmd[128], want[64];
        isol8_request rq = it_cmd(cmd);
        isol8_result *res = NULL;
        isol8_error err = { 0 };
        (void)snprintf(cmd, sizeof(cmd), "echo %u-%d; cat; exit %u", c->number, i, c->number);
        (void)snprintf(want, sizeof(want), "%u-%d\nin-%u", c->number, i, c->number);
        char in[16];
        rq.stdin_data = in;
        rq.stdin_size = (size_t)snprintf(in, sizeof(in), "in-%u", c->number);
        if (isol8_execute(c->e, &rq, &res, &err) < 0)
            (void)snprintf(c->complaint, sizeof(c->complaint), "%.300s", err.msg);
        else if (strcmp(isol8_result_stdout(res, NULL), want) != 0 ||
                 isol8_result_exit_code(res) != (int)c->number)
            (void)snprintf(c->complaint, sizeof(c->complaint), "wanted '%s', got '%.200s' %d", want,
                           isol8_result_stdout(res, NULL), isol8_result_exit_code(res));
        isol8_result_free(res);
    }
    return NULL;
}

static void test_side_by_side(void **state)
{
    static struct caller callers[CALLERS];
    pthread_t threads[CALLERS];
    isol8_options o = persistent();

    (void)state;
    o.max_concurrent = CALLERS;
    auto_engine isol8_engine *e = it_engine(&o);
    for (unsigned i = 0; i < CALLERS; i++) { /* the first ones make it, one of them */
        callers[i] = (struct caller){ .e = e, .number = i };
        assert_int_equal(pthread_create(&threads[i], NULL, call, &callers[i]), 0);
    }
    for (unsigned i = 0; i < CALLERS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    for (unsigned i = 0; i < CALLERS; i++)
        assert_string_equal(callers[i].complaint, "");
    assert_int_equal(it_count_sandboxes(NULL), 1);
}

static void test_stop_while_running(void **state)
{
    isol8_options o = persistent();
    isol8_request rq = it_cmd("echo in; sleep 100");
    isol8_run *run = NULL;
    isol8_result *res = NULL;

    (void)state;
    auto_engine isol8_engine *e = it_engine(&o);
    it_says(e, "echo up", "up\n");
    assert_int_equal(isol8_run_start(e, &rq, ISOL8_RUN_CAPTURE, &run, NULL), 0);
    (void)usleep(50000);
    assert_int_equal(isol8_stop(e, NULL), 0);
    assert_int_equal(it_count_sandboxes(NULL), 0);
    assert_int_equal(isol8_run_finish(run, &res, NULL), 0);
    it_expect(res, ISOL8_VERDICT_SIGNAL, 137);
    isol8_result_free(res);
    it_says(e, "echo new", "new\n");
}

/* ---- A session that is attacked from inside ------------------------------------------------- */

static void test_kills_everything_it_can(void **state)
{
    isol8_options o = persistent();
    auto_engine isol8_engine *e = it_engine(&o);

    (void)state;
    it_says(e, "(setsid sleep 300 &); echo ok", "ok\n");
    auto_result isol8_result *res = it_on(e, "for s in 9 15 19 11 6; do kill -$s -1; kill -$s 1; "
                                             "done; exit 0");
    it_expect(res, ISOL8_VERDICT_OK, 0); /* kill(-1) spares its own process, and pid 1 the kernel */
    it_says(e, "pgrep -c sleep || true", "0\n"); /* its own kind it may kill */
    auto_result isol8_result *self = it_on(e, "kill -9 $$");
    it_expect(self, ISOL8_VERDICT_SIGNAL, 137);
    it_says(e, "echo alive", "alive\n");
}

/* Thousands of processes that fork while they are being killed. */
static void test_fork_bomb(void **state)
{
    isol8_options o = persistent();
    isol8_request rq = it_cmd(NULL);
    isol8_result *res = NULL;
    isol8_error err = { 0 };
    char cmd[200];

    (void)state;
    o.pids_limit = 10000;
    o.memory_limit = "3g";
    o.cpu_limit = 0;
    auto_engine isol8_engine *e = it_engine(&o);
    it_says(e, "(setsid sleep 300 &); echo ok", "ok\n");
    it_guest_cmd(cmd, sizeof(cmd), "forkbomb");
    rq.cmd = cmd;
    rq.files = it_guest_file();
    rq.n_files = 1;
    rq.timeout_ms = 3000;
    if (isol8_execute(e, &rq, &res, &err) < 0)
        fail_msg("%s", err.msg);
    it_expect(res, ISOL8_VERDICT_TIMEOUT, 137);
    isol8_result_free(res);
    it_says(e, "pgrep -c guest || true; pgrep -c sleep", "0\n1\n");
}

/* The end of the sandbox from outside is told, and a stop makes a new one possible. */
static void test_killed_from_outside(void **state)
{
    isol8_options o = persistent();
    auto_engine isol8_engine *e = it_engine(&o);
    isol8_request rq = it_cmd("true");
    isol8_result *res = NULL;
    isol8_error err = { 0 };
    char id[65], path[300];
    size_t n;

    (void)state;
    it_says(e, "echo up", "up\n");
    assert_true(isol8_container_id(e, id));
    (void)snprintf(path, sizeof(path), "/sys/fs/cgroup/pids/%s/%s/cgroup.procs", it_cgroup_parent(),
                   id);
    auto_free char *text = it_read_file(path, &n);
    assert_int_equal(kill((pid_t)strtol(text, NULL, 10), SIGKILL), 0);
    (void)usleep(200000);
    assert_int_equal(isol8_execute(e, &rq, &res, &err), ISOL8_E_STATE);
    assert_non_null(strstr(err.msg, "has ended"));
    assert_int_equal(isol8_put_file(e, "x", "y", 1, &err), ISOL8_E_STATE);
    assert_int_equal(isol8_stop(e, &err), 0);
    it_says(e, "echo new", "new\n");
}

/* ---- Files ---------------------------------------------------------------------------------- */

static void put(isol8_engine *e, const char *path, const void *data, size_t n)
{
    isol8_error err = { 0 };

    if (isol8_put_file(e, path, data, n, &err) < 0)
        fail_msg("put %s: %s", path, err.msg);
}

static void get_is(isol8_engine *e, const char *path, const void *data, size_t n)
{
    isol8_error err = { 0 };
    void *got = NULL;
    size_t size = 0;

    if (isol8_get_file(e, path, &got, &size, &err) < 0)
        fail_msg("get %s: %s", path, err.msg);
    assert_int_equal(size, n);
    assert_memory_equal(got, data, n);
    free(got);
}

static void test_put_and_get(void **state)
{
    static const char binary[] = "\0\xff\r\n\x01 end";
    isol8_options o = persistent();
    auto_engine isol8_engine *e = it_engine(&o);

    (void)state;
    it_says(e, "echo up", "up\n");
    put(e, "a/b c/$(x)/'q'", binary, sizeof(binary));
    get_is(e, "a/b c/$(x)/'q'", binary, sizeof(binary));
    get_is(e, "/sandbox/a/b c/$(x)/'q'", binary, sizeof(binary));
    put(e, "/tmp/t", "short", 5);
    put(e, "/tmp/t", "x", 1); /* replaced, not overwritten at its beginning */
    get_is(e, "/tmp/t", "x", 1);
    put(e, "empty", "", 0);
    get_is(e, "empty", "", 0);
    it_says(e, "cat /tmp/t; stat -c '%a %U' empty; echo made >there", "x644 sandbox\n");
    get_is(e, "there", "made\n", 5);
}

static void test_large(void **state)
{
    enum { SIZE = 100 << 20 };
    isol8_options o = persistent();
    isol8_error err = { 0 };

    (void)state;
    o.memory_limit = "512m";
    auto_engine isol8_engine *e = it_engine(&o);
    auto_free char *noise = it_noise(SIZE, 1);
    it_says(e, "echo up", "up\n");
    put(e, "large", noise, SIZE);
    get_is(e, "large", noise, SIZE);
    int fd = open(getenv("ISOL8_TEST_DIR"), O_RDWR | O_TMPFILE | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(isol8_get_file_fd(e, "large", fd, &err), 0);
    assert_int_equal(lseek(fd, 0, SEEK_END), SIZE);
    assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
    assert_int_equal(isol8_put_file_fd(e, "again", fd, &err), 0);
    (void)close(fd);
    it_says(e, "cmp large again && echo same", "same\n");
}

static void refuses_put(isol8_engine *e, const char *path, const char *part)
{
    isol8_error err = { 0 };
    int r = isol8_put_file(e, path, "evil", 4, &err);

    if (r == 0 || strstr(err.msg, part) == NULL)
        fail_msg("put %.60s: %d, '%s'", path, r, err.msg);
}

static void refuses_get(isol8_engine *e, const char *path, const char *part)
{
    isol8_error err = { 0 };
    void *data = NULL;
    size_t n;
    int r = isol8_get_file(e, path, &data, &n, &err);

    if (r == 0 || strstr(err.msg, part) == NULL)
        fail_msg("get %.60s: %d, '%s'", path, r, err.msg);
}

static void test_refused_files(void **state)
{
    isol8_options o = persistent();
    auto_engine isol8_engine *e = it_engine(&o);
    char path[5001];

    (void)state;
    it_says(e,
            "ln -s /etc/passwd link; ln -s / out; mkfifo fifo; mkdir dir; echo x >locked; "
            "chmod 0 locked; truncate -s 1T sparse; echo ok",
            "ok\n");
    refuses_put(e, "link", "not a regular file");
    refuses_put(e, "fifo", "not a regular file");
    refuses_put(e, "dir", "dir");
    refuses_put(e, "/dev/null", "not a regular file");
    refuses_put(e, "/proc/1/mem", "Failed to write");
    refuses_put(e, "/proc/self/mem", "Failed to write");
    refuses_put(e, "/proc/self/oom_score_adj", "Failed to write");
    refuses_put(e, "/etc/passwd", "Failed to write");
    refuses_put(e, "out/etc/passwd", "Failed to write");
    refuses_put(e, "/sys/fs/cgroup/memory/memory.limit_in_bytes", "Failed to write");
    refuses_put(e, "", "path");
    refuses_put(e, "dir/", "path");
    refuses_get(e, "link", "not a regular file");
    refuses_get(e, "fifo", "not a regular file");
    refuses_get(e, "/dev/zero", "not a regular file");
    refuses_get(e, "dir", "not a regular file");
    refuses_get(e, "missing", "Failed to read file /sandbox/missing in container: No such file");
    refuses_get(e, "locked", "Permission denied");
    refuses_get(e, "sparse", "too large"); /* and it does not fill the host's memory */
    memset(path, 'p', 5000);
    path[5000] = '\0';
    refuses_put(e, path, "path");
    refuses_get(e, path, "path");
    memset(path, 'p', 300);
    path[300] = '\0';
    refuses_put(e, path, "File name too long");
    it_says(e, "cat /etc/passwd | head -1 | cut -d: -f1", "root\n");
}

static void test_full(void **state)
{
    isol8_options o = persistent();

    (void)state;
    o.sandbox_size = "2m";
    o.memory_limit = "64m";
    o.tmp_size = "512m";
    auto_engine isol8_engine *e = it_engine(&o);
    auto_free char *noise = it_noise(80 << 20, 3);
    isol8_error err = { 0 };

    it_says(e, "echo up", "up\n");
    assert_int_equal(isol8_put_file(e, "large", noise, 3 << 20, &err), ISOL8_E_LIMIT);
    assert_non_null(strstr(err.msg, "No space left"));
    it_says(e, "rm -f large; echo alive", "alive\n");
    /* Files are memory: what does not fit kills the copying process, not the sandbox. */
    assert_int_equal(isol8_put_file(e, "/tmp/larger", noise, 80 << 20, &err), ISOL8_E_LIMIT);
    assert_non_null(strstr(err.msg, "the copying process was killed"));
    assert_true(isol8_container_id(e, (char[65]){ 0 }));
}

static void test_before_the_first(void **state)
{
    isol8_options o = persistent();
    auto_engine isol8_engine *e = it_engine(&o);
    isol8_error err = { 0 };
    void *data = NULL;
    size_t n;

    (void)state;
    put(e, "in/a", "one", 3);
    put(e, "in/a", "two", 3);
    put(e, "/tmp/b", "three", 5);
    assert_int_equal(it_count_sandboxes(NULL), 0);
    assert_int_equal(isol8_get_file(e, "in/a", &data, &n, &err), ISOL8_E_STATE);
    assert_string_equal(err.msg, "No active container. Call execute() first in persistent mode.");
    it_says(e, "cat in/a /tmp/b", "twothree");
    isol8_options plain = it_options();
    auto_engine isol8_engine *ephemeral = it_engine(&plain);
    assert_int_equal(isol8_put_file(ephemeral, "x", "y", 1, &err), ISOL8_E_STATE);
    assert_string_equal(err.msg, "No active container. Call execute() first in persistent mode.");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_state_survives),
        cmocka_unit_test(test_scripts_have_names_of_their_own),
        cmocka_unit_test(test_runtime_is_fixed),
        cmocka_unit_test(test_only_the_late_one_dies),
        cmocka_unit_test(test_cancel),
        cmocka_unit_test(test_counted_apart),
        cmocka_unit_test(test_background_output),
        cmocka_unit_test(test_no_growth),
        cmocka_unit_test(test_side_by_side),
        cmocka_unit_test(test_stop_while_running),
        cmocka_unit_test(test_kills_everything_it_can),
        cmocka_unit_test(test_fork_bomb),
        cmocka_unit_test(test_killed_from_outside),
        cmocka_unit_test(test_put_and_get),
        cmocka_unit_test(test_large),
        cmocka_unit_test(test_refused_files),
        cmocka_unit_test(test_full),
        cmocka_unit_test(test_before_the_first),
    };

    return cmocka_run_group_tests(tests, it_open, it_close);
}
