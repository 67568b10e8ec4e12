/* SPDX-License-Identifier: Apache-2.0 */
/* test_stream.c - queued output: nothing is lost, and nothing blocks. */
#include "cli/stream.h"
#include "tests/support/test.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"

#define TOTAL (300u << 10) /* more than a pipe holds */

static void test_full_pipe(void **state)
{
    int fds[2];
    struct stream s;
    char *sent = malloc(TOTAL), *got = malloc(TOTAL);
    size_t n = 0;

    (void)state;
    assert_non_null(sent);
    assert_non_null(got);
    assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
    for (size_t i = 0; i < TOTAL; i++)
        sent[i] = (char)(i * 7 + i / 251);
    stream_init(&s, fds[1]);
    for (size_t i = 0; i < TOTAL; i += 1000)
        stream_put(&s, sent + i, TOTAL - i < 1000 ? TOTAL - i : 1000);
    assert_true(stream_pending(&s) > 0);

    while (n < TOTAL) {
        ssize_t r = read(fds[0], got + n, TOTAL - n);
        assert_true(r > 0);
        n += (size_t)r;
        stream_flush(&s);
    }
    assert_memory_equal(sent, got, TOTAL);
    assert_int_equal(stream_pending(&s), 0);

    stream_done(&s);
    (void)fd_close(fds[0]);
    (void)fd_close(fds[1]);
    free(sent);
    free(got);
}

static void test_no_reader(void **state)
{
    struct sigaction ignore = { .sa_handler = SIG_IGN };
    int fds[2];
    struct stream s;

    (void)state;
    assert_int_equal(sigaction(SIGPIPE, &ignore, NULL), 0);
    assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
    stream_init(&s, fds[1]);
    (void)fd_close(fds[0]);
    stream_put(&s, "x", 1);
    assert_int_equal(s.broken, EPIPE);
    stream_put(&s, "y", 1);
    assert_int_equal(stream_pending(&s), 0);
    stream_done(&s);
    (void)fd_close(fds[1]);
}

static void test_full_device(void **state)
{
    auto_close int fd = open("/dev/full", O_WRONLY | O_CLOEXEC);
    struct stream s;

    (void)state;
    assert_true(fd >= 0);
    stream_init(&s, fd);
    stream_put(&s, "x", 1);
    assert_int_equal(s.broken, ENOSPC);
    stream_done(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_full_pipe),
        cmocka_unit_test(test_no_reader),
        cmocka_unit_test(test_full_device),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
