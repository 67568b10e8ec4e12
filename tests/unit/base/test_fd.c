/* SPDX-License-Identifier: Apache-2.0 */
/* test_fd.c - descriptors: reading and writing to the end, pipes without SIGPIPE. */
#include "base/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "tests/support/test.h"

static void test_close(void **state)
{
    int fd = fd_memfd("x", "", 0), copy;

    (void)state;
    errno = EDOM;
    assert_int_equal(fd_close(-1), -1);
    assert_int_equal(fd_close(fd), -1);
    assert_int_equal(errno, EDOM);
    assert_int_equal(fcntl(fd, F_GETFD), -1);
    copy = 5;
    assert_int_equal(take_fd(&copy), 5);
    assert_int_equal(copy, -1);
}

static void test_memfd(void **state)
{
    auto_buf struct buf b = BUF_INIT(10), small = BUF_INIT(4);
    auto_close int fd = fd_memfd("x", "hello", 5);

    (void)state;
    assert_true(fd >= 0);
    assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
    assert_int_equal(fd_read_all(fd, &b), 0);
    assert_string_equal(buf_text(&b), "hello");
    assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
    assert_int_equal(fd_read_all(fd, &small), -EFBIG);
    assert_int_equal(fd_read_all(-1, &b), -EBADF);
    assert_int_equal(fd_write_all(-1, "x", 1), -EBADF);
}

/* Above RLIMIT_FSIZE, which raises a signal that ends a program: an error as well. */
static void test_no_sigxfsz(void **state)
{
    auto_close int fd = fd_memfd("x", "", 0);
    struct rlimit old, small;
    sigset_t pending;

    (void)state;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    small = (struct rlimit){ .rlim_cur = 4, .rlim_max = old.rlim_max };
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    ssize_t first = fd_write_nosigpipe(fd, "abcdef", 6), second = fd_write_nosigpipe(fd, "ef", 2);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
    assert_int_equal(first, 4);
    assert_int_equal(second, -EFBIG);
    assert_int_equal(sigpending(&pending), 0);
    assert_int_equal(sigismember(&pending, SIGXFSZ), 0);
}

/* No reader: an error, no signal, also none left pending for later. */
static void test_no_sigpipe(void **state)
{
    sigset_t pending;
    int ends[2];

    (void)state;
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    assert_int_equal(fd_write_nosigpipe(ends[1], "abc", 3), 3);
    assert_int_equal(close(ends[0]), 0);
    void (*was)(int) = signal(SIGPIPE, SIG_DFL);
    assert_int_equal(fd_write_nosigpipe(ends[1], "abc", 3), -EPIPE);
    assert_int_equal(sigpending(&pending), 0);
    assert_int_equal(sigismember(&pending, SIGPIPE), 0);
    (void)signal(SIGPIPE, was);
    assert_int_equal(close(ends[1]), 0);
}

static void test_nonblock(void **state)
{
    int ends[2];
    char c;

    (void)state;
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    assert_int_equal(fd_set_nonblock(ends[0], true), 0);
    assert_int_equal(read(ends[0], &c, 1), -1);
    assert_int_equal(errno, EAGAIN);
    assert_int_equal(fd_set_nonblock(ends[0], false), 0);
    assert_int_equal(fcntl(ends[0], F_GETFL) & O_NONBLOCK, 0);
    assert_int_equal(fd_set_nonblock(-1, true), -EBADF);
    assert_int_equal(close(ends[0]), 0);
    assert_int_equal(close(ends[1]), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_close),      cmocka_unit_test(test_memfd),
        cmocka_unit_test(test_no_sigxfsz), cmocka_unit_test(test_no_sigpipe),
        cmocka_unit_test(test_nonblock),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
