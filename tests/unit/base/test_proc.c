/* SPDX-License-Identifier: Apache-2.0 */
/* test_proc.c - what a new process inherits, how failures are told, output, cancelling. */
#include "base/proc.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/mem.h"
#include "tests/support/test.h"

/* Run "sh -c @script" with @out_fd as its stdout and @pass as 3, 4, ... */
static int run(const char *script, int out_fd, const int *pass, size_t n_pass)
{
    const char *const argv[] = { "sh", "-c", script, NULL };
    struct proc_args a = PROC_ARGS_INIT;
    int pidfd = -1;
    isol8_error err;

    a.file = "/bin/sh";
    a.argv = argv;
    a.stdio[1] = out_fd;
    a.pass_fds = pass;
    a.n_pass = n_pass;
    if (proc_spawn(&a, &pidfd, NULL, &err) < 0)
        fail_msg("%s", err.msg);
    int code = proc_wait(pidfd, NULL);
    assert_int_equal(close(pidfd), 0);
    return code;
}

static void read_back(int fd, char *text, size_t n)
{
    assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
    ssize_t got = read(fd, text, n - 1);
    assert_true(got >= 0);
    text[got] = '\0';
}

static void test_exit_codes(void **state)
{
    (void)state;
    assert_int_equal(run("exit 0", -1, NULL, 0), 0);
    assert_int_equal(run("exit 42", -1, NULL, 0), 42);
    assert_int_equal(run("kill -9 $$", -1, NULL, 0), 137);
}

/* Only what was passed is open, whatever the parent has open without close-on-exec. */
static void test_descriptors(void **state)
{
    int out = fd_memfd("out", "", 0), leak = open("/dev/null", O_RDONLY), high;
    int passed = fd_memfd("passed", "hello", 5);
    char text[200], script[200];

    (void)state;
    assert_true(leak >= 0);
    if (leak < 10)
        leak = fcntl(leak, F_DUPFD, 10);
    high = fcntl(leak, F_DUPFD, 500);
    (void)snprintf(script, sizeof(script),
                   "cat <&3; for i in 0 1 2 3 4 5 6 7 8 9 %d %d; do "
                   "[ -e /proc/$$/fd/$i ] && printf ' %%s' $i; done; exit 0",
                   leak, high);
    assert_int_equal(run(script, out, &passed, 1), 0);
    read_back(out, text, sizeof(text));
    assert_string_equal(text, "hello 0 1 2 3");
    (void)close(out), (void)close(leak), (void)close(high), (void)close(passed);
}

/* Sources that stand on each other's targets. */
static void test_crossed_descriptors(void **state)
{
    int a = fd_memfd("a", "A", 1), b = fd_memfd("b", "B", 1), out = fd_memfd("out", "", 0);
    int saved[2] = { fcntl(3, F_DUPFD_CLOEXEC, 100), fcntl(4, F_DUPFD_CLOEXEC, 100) };
    int at4 = fcntl(a, F_DUPFD_CLOEXEC, 50), at3 = fcntl(b, F_DUPFD_CLOEXEC, 50);
    int crossed[2] = { 4, 3 };
    int place_out = fcntl(out, F_DUPFD_CLOEXEC, 60);
    char text[20];

    (void)state;
    assert_int_equal(dup2(at4, 4), 4);
    assert_int_equal(dup2(at3, 3), 3);
    assert_int_equal(run("cat <&3; cat <&4", place_out, crossed, 2), 0);
    read_back(place_out, text, sizeof(text));
    assert_string_equal(text, "AB");
    for (int i = 0; i < 2; i++) {
        if (saved[i] >= 0)
            (void)dup2(saved[i], 3 + i);
        else
            (void)close(3 + i);
        (void)fd_close(saved[i]);
    }
    (void)close(at4), (void)close(at3), (void)close(place_out);
    int rest[] = { a, b, out };
    for (size_t i = 0; i < ARRAY_LEN(rest); i++) {
        if (rest[i] > 4)
            (void)close(rest[i]);
    }
}

static void test_signals_are_reset(void **state)
{
    int out = fd_memfd("out", "", 0);
    char text[200];
    sigset_t block, old;

    (void)state;
    (void)sigemptyset(&block);
    (void)sigaddset(&block, SIGTERM);
    (void)sigaddset(&block, SIGUSR1);
    assert_int_equal(sigprocmask(SIG_BLOCK, &block, &old), 0);
    void (*was)(int) = signal(SIGPIPE, SIG_IGN);
    int code = run("grep -E '^Sig(Blk|Ign)' /proc/self/status", out, NULL, 0);
    (void)signal(SIGPIPE, was);
    sigset_t now;
    assert_int_equal(sigprocmask(SIG_SETMASK, &old, &now), 0);
    assert_int_equal(code, 0);
    assert_int_equal(sigismember(&now, SIGUSR1), 1); /* the parent's mask is as it was */
    read_back(out, text, sizeof(text));
    assert_string_equal(text, "SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n");
    (void)close(out);
}

static int refuse(void *user, const char **what)
{
    (void)user;
    *what = "prepare the test";
    return -EDOM;
}

static void test_failures_are_named(void **state)
{
    const char *const argv[] = { "x", NULL };
    struct proc_args a = PROC_ARGS_INIT;
    int pidfd = -1;
    isol8_error err;

    (void)state;
    a.file = "/nowhere/program";
    a.argv = argv;
    assert_int_equal(proc_spawn(&a, &pidfd, NULL, &err), ISOL8_E_SYS);
    assert_string_equal(err.msg,
                        "cannot start '/nowhere/program': exec: No such file or directory");
    a.file = "/bin/sh";
    a.cwd = "/nowhere";
    assert_int_equal(proc_spawn(&a, &pidfd, NULL, &err), ISOL8_E_SYS);
    assert_string_equal(err.msg,
                        "cannot start '/bin/sh': change directory: No such file or directory");
    a.cwd = NULL;
    a.prepare = refuse;
    assert_int_equal(proc_spawn(&a, &pidfd, NULL, &err), ISOL8_E_SYS);
    assert_string_equal(err.msg, "cannot start '/bin/sh': prepare the test: Numerical argument "
                                 "out of domain");
    a.prepare = NULL;
    a.stdio[1] = 12345;
    assert_int_equal(proc_spawn(&a, &pidfd, NULL, &err), ISOL8_E_SYS);
    assert_int_equal(err.sys_errno, EBADF);
    a.stdio[1] = -1;
    a.n_pass = 9;
    assert_int_equal(proc_spawn(&a, &pidfd, NULL, &err), ISOL8_E_LIMIT);
    assert_int_equal(pidfd, -1);
}

/* ---- Lines of output
 * --------------------------------------------------------------------------------------- */

static void collect(const char *line, void *user)
{
    (void)buf_addf(user, "[%s]", line);
}

static void test_lines(void **state)
{
    const char *const argv[] = { "sh", "-c",
                                 "echo one; printf 'two\\rthree\\n\\n'; echo four >&2; "
                                 "printf last; exit 3",
                                 NULL };
    auto_buf struct buf lines = BUF_INIT(1000), tail = BUF_INIT(11);
    struct proc_args a = PROC_ARGS_INIT;

    (void)state;
    a.file = "/bin/sh";
    a.argv = argv;
    assert_int_equal(proc_run(&a, collect, &lines, &tail, -1, NULL), 3);
    assert_string_equal(buf_text(&lines), "[one][two][three][four][last]");
    assert_string_equal(buf_text(&tail), "four\nlast\n");
    assert_int_equal(proc_run(&a, NULL, NULL, NULL, -1, NULL), 3);
}

static void test_cancel(void **state)
{
    const char *const argv[] = { "sh", "-c", "sleep 1000 & sleep 1000 & wait", NULL };
    struct proc_args a = PROC_ARGS_INIT;
    int cancel = eventfd(1, EFD_CLOEXEC);
    isol8_error err;

    (void)state;
    a.file = "/bin/sh";
    a.argv = argv;
    assert_int_equal(proc_run(&a, NULL, NULL, NULL, cancel, &err), ISOL8_E_CANCELLED);
    assert_int_equal(close(cancel), 0);
}

/* It goes on by itself: this process has no child then, and none when it has ended. */
static void test_detached(void **state)
{
    const char *const argv[] = { "sh", "-c", "read -r x <&4; echo \"$x\" >&3", NULL };
    const char *const missing[] = { "/nonexistent/program", NULL };
    int out[2], in[2];
    struct proc_args a = PROC_ARGS_INIT;
    char text[16] = "";
    isol8_error err;

    (void)state;
    assert_int_equal(pipe2(out, O_CLOEXEC), 0);
    assert_int_equal(pipe2(in, O_CLOEXEC), 0);
    const int pass[] = { out[1], in[0] };
    a.file = "/bin/sh";
    a.argv = argv;
    a.pass_fds = pass;
    a.n_pass = 2;
    a.new_session = true;
    assert_int_equal(proc_spawn_detached(&a, &err), 0);
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
    assert_int_equal(errno, ECHILD);
    assert_int_equal(close(out[1]), 0);
    assert_int_equal(close(in[0]), 0);
    assert_int_equal(write(in[1], "hello\n", 6), 6);
    assert_int_equal(read(out[0], text, sizeof(text)), 6);
    assert_int_equal(read(out[0], text + 6, 1), 0); /* its end */
    assert_string_equal(text, "hello\n");
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
    assert_int_equal(close(out[0]), 0);
    assert_int_equal(close(in[1]), 0);

    a = (struct proc_args)PROC_ARGS_INIT;
    a.file = missing[0];
    a.argv = missing;
    assert_int_equal(proc_spawn_detached(&a, &err), ISOL8_E_SYS);
    assert_string_equal(err.msg,
                        "cannot start '/nonexistent/program': exec: No such file or directory");
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
}

static int seven(void *user)
{
    return *(int *)user;
}

static void test_fork(void **state)
{
    int value = 7, pidfd = -1;
    pid_t pid = 0;

    (void)state;
    assert_int_equal(proc_fork(seven, &value, &pidfd, &pid, NULL), 0);
    assert_true(pid > 0);
    assert_int_equal(proc_wait(pidfd, NULL), 7);
    proc_kill(pidfd); /* gone already: fine */
    proc_kill(-1);
    assert_int_equal(close(pidfd), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_exit_codes),
        cmocka_unit_test(test_descriptors),
        cmocka_unit_test(test_crossed_descriptors),
        cmocka_unit_test(test_signals_are_reset),
        cmocka_unit_test(test_failures_are_named),
        cmocka_unit_test(test_lines),
        cmocka_unit_test(test_cancel),
        cmocka_unit_test(test_detached),
        cmocka_unit_test(test_fork),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
