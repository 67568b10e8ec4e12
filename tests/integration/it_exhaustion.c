/* SPDX-License-Identifier: Apache-2.0 */
/**
 * it_exhaustion.c - the host runs out of descriptors, processes, disk space or inodes, at any
 * moment
 *
 * Limits are set for the test alone: RLIMIT_NOFILE, a pids cgroup, and a small tmpfs in a private
 * mount namespace. With each amount that is left, from next to nothing upward, everything is tried
 * once: it either works or fails with a clear error, and leaves nothing.
 */
#include "tests/integration/it.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/integration/remains.h"

/* Exit codes of the process that is limited. */
enum { WORKED, NO_HOST = 10, NO_EXECUTION, WRONG = 20 };

static int n_worked, n_failed;
static char last_error[500];

/* ---- What is tried --------------------------------------------------------------------------- */

static int explain(const char *what, int r, const isol8_error *err)
{
    if (err->status != r || err->msg[0] == '\0') {
        (void)fprintf(stderr, "%s: status %d, error %d '%s'\n", what, r, err->status, err->msg);
        return WRONG;
    }
    if (getenv("ISOL8_TEST_VERBOSE") != NULL)
        (void)fprintf(stderr, "%s: %s\n", what, err->msg);
    (void)snprintf(last_error, sizeof(last_error), "%s: %.400s", what, err->msg);
    return NO_EXECUTION;
}

static int execute(isol8_engine *e, const char *what)
{
    isol8_file file = { .path = "f", .data = "in", .size = 2 };
    const char *out_path = "f";
    isol8_request rq = it_cmd("cat f");
    isol8_result *res = NULL;
    isol8_error err = { 0 };

    rq.files = &file;
    rq.n_files = 1;
    rq.output_paths = &out_path;
    rq.n_output_paths = 1;
    int r = isol8_execute(e, &rq, &res, &err);
    if (r < 0)
        return explain(what, r, &err);
    /* An init that gets no descriptor or process says so, too, by a verdict. */
    int code = isol8_result_verdict(res) == ISOL8_VERDICT_OK &&
                       strcmp(isol8_result_stdout(res, NULL), "in") == 0
                   ? WORKED
                   : NO_EXECUTION;
    isol8_result_free(res);
    return code;
}

static int in_session(isol8_engine *e)
{
    isol8_error err = { 0 };
    void *data = NULL;
    size_t n = 0;

    int r = isol8_put_file(e, "before", "x", 1, &err);
    if (r < 0)
        return explain("put", r, &err);
    int code = execute(e, "session");
    if (code != WORKED)
        return code;
    r = isol8_put_file(e, "after", "x", 1, &err);
    if (r < 0)
        return explain("put", r, &err);
    r = isol8_get_file(e, "before", &data, &n, &err);
    free(data);
    return r < 0 ? explain("get", r, &err) : WORKED;
}

/* One way of executing. Return: the worst of what happened. */
static int try_way(isol8_host *h, int way)
{
    static const char *const names[] = { "own", "pooled", "session", "filtered" };
    isol8_options o = it_options();
    isol8_engine *e = NULL;
    isol8_error err = { 0 };

    o.timeout_ms = 20000;
    o.pool_strategy = way == 1 ? "fast" : "secure";
    o.mode = way == 2 ? "persistent" : "ephemeral";
    o.network = way == 3 ? "filtered" : "none";
    int r = isol8_create(&e, h, &o, &err);
    if (r < 0)
        return explain("create", r, &err);
    if (way == 1) {
        static const char *const runtimes[] = { "bash" };
        isol8_start_options s;
        isol8_start_options_init(&s);
        s.prewarm = true;
        s.runtimes = runtimes;
        s.n_runtimes = 1;
        (void)isol8_start(e, &s, NULL);
    }
    int code = way == 2 ? in_session(e) : execute(e, names[way]);
    isol8_free(e);
    return code;
}

/* A host of its own and each way on it. */
static int try_everything(int ways)
{
    isol8_host_options o;
    isol8_host *h = NULL;
    isol8_error err = { 0 };
    int worst = WORKED;

    isol8_host_options_init(&o);
    o.cgroup_parent = it_cgroup_parent();
    int r = isol8_host_open(&h, &o, &err);
    if (r < 0)
        return explain("host", r, &err) == WRONG ? WRONG : NO_HOST;
    for (int way = 0; way < ways && worst != WRONG; way++) {
        int code = try_way(h, way);
        worst = code > worst ? code : worst;
    }
    isol8_host_free(h);
    return worst;
}

static void judge(const char *limit, long amount, int code)
{
    char after[64];

    (void)snprintf(after, sizeof(after), "%s %ld", limit, amount);
    if (code != WORKED && code != NO_HOST && code != NO_EXECUTION)
        fail_msg("%s: exit code %d", after, code);
    n_worked += code == WORKED;
    n_failed += code != WORKED;
    it_nothing_left(after);
}

static int in_child(int (*fn)(long amount), long amount)
{
    int status;
    pid_t pid = fork();

    assert_true(pid >= 0);
    if (pid == 0)
        _exit(fn(amount));
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

/* There were amounts that did not do, and with enough everything works. */
static void end_of_sweep(const char *limit)
{
    if (getenv("ISOL8_TEST_VERBOSE") != NULL)
        (void)fprintf(stderr, "%s: %d worked, %d failed\n", limit, n_worked, n_failed);
    assert_true(n_worked > 0);
    assert_true(n_failed > 0);
    n_worked = n_failed = 0;
}

/* ---- Descriptors ----------------------------------------------------------------------------- */

/* The lowest free number: with a limit of so many more, so many can be opened. */
static int with_descriptors(long amount)
{
    int next = dup(0);
    struct rlimit r;

    if (getrlimit(RLIMIT_NOFILE, &r) < 0 || next < 0)
        return WRONG;
    (void)close(next);
    r.rlim_cur = (rlim_t)(next + amount);
    return setrlimit(RLIMIT_NOFILE, &r) < 0 ? WRONG : try_everything(4);
}

static void test_descriptors(void **state)
{
    (void)state;
    for (long n = 0; n < 64; n += n < 40 ? 1 : 2)
        judge("descriptors", n, in_child(with_descriptors, n));
    judge("descriptors", 200, in_child(with_descriptors, 200));
    end_of_sweep("descriptors");
}

/* In a process that has a host, engines and a pool already. */
static void test_descriptors_in_the_middle(void **state)
{
    struct rlimit before, r;

    (void)state;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    for (long n = 0; n < 48; n++) {
        for (int way = 0; way < 3; way++) {
            int next = dup(0);
            assert_true(next >= 0);
            (void)close(next);
            size_t fds = it_count_fds();
            r = before;
            r.rlim_cur = (rlim_t)(next + n);
            assert_int_equal(setrlimit(RLIMIT_NOFILE, &r), 0);
            int code = try_way(it_host(), way);
            assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
            judge(way == 0 ? "own" : way == 1 ? "pooled" : "session", n, code);
            for (int i = 0; i < 1000 && it_count_fds() > fds; i++)
                (void)usleep(1000);
            if (it_count_fds() > fds + 1) /* the pool's watch of the machine's memory */
                fail_msg("way %d, %ld left: %zu descriptors before, %zu after", way, n, fds,
                         it_count_fds());
        }
    }
    end_of_sweep("descriptors in the middle");
}

/* ---- Processes ------------------------------------------------------------------------------- */

static pid_t test_pid;

static void pids_path(char *out, size_t n, const char *name)
{
    (void)snprintf(out, n, "/sys/fs/cgroup/pids/isol8-caller-%d%s", (int)test_pid, name);
}

static int write_text(const char *path, long value)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    char text[24];
    int n = snprintf(text, sizeof(text), "%ld", value);
    ssize_t w = fd < 0 ? -1 : write(fd, text, (size_t)n);

    if (fd >= 0)
        (void)close(fd);
    return w == n ? 0 : -1;
}

static int with_pids(long amount)
{
    char max[200], procs[200];

    pids_path(max, sizeof(max), "/pids.max");
    pids_path(procs, sizeof(procs), "/cgroup.procs");
    /* A runtime that has lost its other half hangs, and is waited for. */
    if (setenv("ISOL8_WAIT_MS", "3000", 1) < 0 || write_text(max, amount) < 0 ||
        write_text(procs, getpid()) < 0)
        return WRONG;
    return try_everything(3);
}

static void test_processes(void **state)
{
    char dir[200];

    (void)state;
    test_pid = getpid();
    pids_path(dir, sizeof(dir), "");
    assert_int_equal(mkdir(dir, 0755), 0);
    for (long n = 1; n < 40; n += n < 20 ? 1 : 5)
        judge("processes", n, in_child(with_pids, n));
    judge("processes", 200, in_child(with_pids, 200));
    for (int i = 0; i < 1000 && rmdir(dir) < 0; i++) /* the last one is still being buried */
        (void)usleep(2000);
    assert_int_equal(access(dir, F_OK), -1);
    end_of_sweep("processes");
}

/* ---- Disk ------------------------------------------------------------------------------------ */

static int on_small_disk(const char *options)
{
    char dir[150], state_root[200], data_root[200];

    (void)snprintf(dir, sizeof(dir), "%s/tiny", getenv("ISOL8_TEST_DIR"));
    (void)snprintf(state_root, sizeof(state_root), "%s/state", dir);
    (void)snprintf(data_root, sizeof(data_root), "%s/data", dir);
    (void)mkdir(dir, 0755);
    if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
        mount("tiny", dir, "tmpfs", 0, options) < 0 ||
        setenv("ISOL8_STATE_ROOT", state_root, 1) < 0 ||
        setenv("ISOL8_DATA_ROOT", data_root, 1) < 0)
        return WRONG;
    int code = try_everything(3);
    if (it_count_sandboxes(NULL) + (code == NO_HOST ? 0 : it_count_entries("ids")) > 0) {
        (void)fprintf(stderr, "%s: left sandboxes\n", options);
        return WRONG;
    }
    return code;
}

static int with_kib(long amount)
{
    char options[64];

    (void)snprintf(options, sizeof(options), "mode=0755,size=%ldk", amount);
    return on_small_disk(options);
}

static int with_inodes(long amount)
{
    char options[64];

    (void)snprintf(options, sizeof(options), "mode=0755,size=64m,nr_inodes=%ld", amount);
    return on_small_disk(options);
}

static void test_disk_space(void **state)
{
    (void)state;
    for (long kib = 4; kib <= 2048; kib += kib < 64 ? 8 : 40)
        judge("KiB of disk", kib, in_child(with_kib, kib));
    end_of_sweep("disk space");
}

static void test_inodes(void **state)
{
    (void)state;
    for (long n = 1; n < 110; n += 3)
        judge("inodes", n, in_child(with_inodes, n));
    end_of_sweep("inodes");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_descriptors), cmocka_unit_test(test_descriptors_in_the_middle),
        cmocka_unit_test(test_processes),   cmocka_unit_test(test_disk_space),
        cmocka_unit_test(test_inodes),
    };

    return cmocka_run_group_tests(tests, it_open, it_close);
}
