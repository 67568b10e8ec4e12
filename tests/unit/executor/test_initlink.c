/* SPDX-License-Identifier: Apache-2.0 */
/* test_initlink.c - what a hostile init may answer, and what is sent to an honest one. */
#include "executor/initlink.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/mem.h"
#include "tests/support/test.h"

struct exited_packet {
    struct init_head head;
    struct init_exited body;
};

struct done_packet {
    struct init_head head;
    struct init_done body;
};

static int pair[2];

static int open_pair(void **state)
{
    (void)state;
    return socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair);
}

static int close_pair(void **state)
{
    (void)state;
    (void)close(pair[0]);
    if (pair[1] >= 0)
        (void)close(pair[1]);
    return 0;
}

static size_t count_fds(void)
{
    DIR *dir = opendir("/proc/self/fd");
    size_t n = 0;

    while (dir != NULL && readdir(dir) != NULL)
        n++;
    (void)closedir(dir);
    return n;
}

/* ---- Answers
 * ------------------------------------------------------------------------------------------- */

static void test_good_answers(void **state)
{
    struct exited_packet e = { { INIT_EXITED, 7 }, { .wait_status = 256, .full = 3 } };
    struct done_packet d = { { INIT_DONE, 9 }, { .errnum = 2, .stage = INIT_STAGE_OPEN } };
    struct initlink_answer a;

    (void)state;
    assert_int_equal(initlink_receive(pair[0], &a, NULL), 0); /* nothing yet */
    assert_int_equal(send(pair[1], &e, sizeof(e), 0), sizeof(e));
    assert_int_equal(send(pair[1], &d, sizeof(d), 0), sizeof(d));
    assert_int_equal(initlink_receive(pair[0], &a, NULL), 1);
    assert_int_equal(a.type, INIT_EXITED);
    assert_int_equal(a.id, 7);
    assert_int_equal(a.exited.wait_status, 256);
    assert_int_equal(initlink_receive(pair[0], &a, NULL), 1);
    assert_int_equal(a.done.stage, INIT_STAGE_OPEN);
    pair[1] = (close(pair[1]), -1);
    assert_int_equal(initlink_receive(pair[0], &a, NULL), ISOL8_E_STATE);
}

static void test_malformed_answers(void **state)
{
    struct exited_packet e = { { INIT_EXITED, 1 }, { 0 } };
    struct done_packet d = { { INIT_DONE, 1 }, { 0 } };
    struct initlink_answer a;
    char big[4096] = { 0 };

    (void)state;
    for (size_t n = 0; n < sizeof(e); n++)
        assert_int_equal(initlink_parse(&e, n, &a, NULL), ISOL8_E_PROTOCOL);
    for (size_t n = 0; n < sizeof(d); n++)
        assert_int_equal(initlink_parse(&d, n, &a, NULL), ISOL8_E_PROTOCOL);
    memcpy(big, &e, sizeof(e));
    assert_int_equal(initlink_parse(big, sizeof(e), &a, NULL), 1);
    assert_int_equal(initlink_parse(big, sizeof(e) + 1, &a, NULL), ISOL8_E_PROTOCOL);
    assert_int_equal(send(pair[1], big, sizeof(big), 0), sizeof(big));
    assert_int_equal(initlink_receive(pair[0], &a, NULL), ISOL8_E_PROTOCOL);

    e.body.stage = INIT_STAGE__MAX;
    assert_int_equal(initlink_parse(&e, sizeof(e), &a, NULL), ISOL8_E_PROTOCOL);
    e.body.stage = 0;
    e.body.errnum = -1;
    assert_int_equal(initlink_parse(&e, sizeof(e), &a, NULL), ISOL8_E_PROTOCOL);
    d.body.stage = UINT32_MAX;
    assert_int_equal(initlink_parse(&d, sizeof(d), &a, NULL), ISOL8_E_PROTOCOL);
    for (uint32_t type = 0; type < 300; type++) {
        d = (struct done_packet){ { type, 1 }, { 0 } };
        assert_int_equal(initlink_parse(&d, sizeof(d), &a, NULL),
                         type == INIT_DONE ? 1 : ISOL8_E_PROTOCOL);
    }
}

/* Descriptors that nobody asked for are closed. */
static void test_unasked_descriptors(void **state)
{
    struct done_packet d = { { INIT_DONE, 1 }, { 0 } };
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(sizeof(int) * 100)];
    } control = { .bytes = { 0 } };
    struct iovec iov = { &d, sizeof(d) };
    struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control.bytes };
    size_t before = count_fds();

    (void)state;
    for (size_t n = 1; n <= 100; n += 33) {
        struct initlink_answer a;
        msg.msg_controllen = CMSG_SPACE(sizeof(int) * n);
        struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(sizeof(int) * n);
        for (size_t i = 0; i < n; i++)
            memcpy(CMSG_DATA(c) + i * sizeof(int), &pair[1], sizeof(int));
        assert_int_equal(sendmsg(pair[1], &msg, 0), sizeof(d));
        (void)initlink_receive(pair[0], &a, NULL);
        assert_int_equal(count_fds(), before);
    }
}

/* ---- Requests
 * ------------------------------------------------------------------------------------------- */

/* One packet at init's end; its first descriptor, or -1. */
static ssize_t take(char *out, size_t n, int *fd)
{
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(sizeof(int) * INIT_FDS_MAX)];
    } control;
    struct iovec iov = { out, n };
    struct msghdr msg = { .msg_iov = &iov,
                          .msg_iovlen = 1,
                          .msg_control = control.bytes,
                          .msg_controllen = sizeof(control.bytes) };
    ssize_t got = recvmsg(pair[1], &msg, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);

    *fd = -1;
    if (got >= 0 && CMSG_FIRSTHDR(&msg) != NULL)
        memcpy(fd, CMSG_DATA(CMSG_FIRSTHDR(&msg)), sizeof(*fd));
    return got;
}

static void test_put(void **state)
{
    static char packet[INIT_PACKET_MAX], data[INIT_PACKET_MAX];
    size_t fixed = sizeof(struct init_head) + sizeof(struct init_put) + 2;
    struct init_put put;
    int fd;

    (void)state;
    memset(data, 'd', sizeof(data));
    /* The largest that fits in the packet, and one more. */
    size_t fits = INIT_PACKET_MAX - fixed;
    assert_int_equal(initlink_put(pair[0], 1, "p", 0644, data, fits, NULL), 0);
    assert_int_equal(take(packet, sizeof(packet), &fd), INIT_PACKET_MAX);
    memcpy(&put, packet + sizeof(struct init_head), sizeof(put));
    assert_int_equal(put.inline_size, fits);
    assert_int_equal(fd, -1);

    assert_int_equal(initlink_put(pair[0], 1, "p", 0644, data, fits + 1, NULL), 0);
    assert_int_equal(take(packet, sizeof(packet), &fd), fixed);
    memcpy(&put, packet + sizeof(struct init_head), sizeof(put));
    assert_int_equal(put.inline_size, UINT32_MAX);
    assert_true(fd >= 0);
    assert_int_equal(lseek(fd, 0, SEEK_END), fits + 1);
    assert_true(write(fd, "x", 1) < 0); /* sealed */
    assert_true(ftruncate(fd, 0) < 0);
    assert_int_equal(close(fd), 0);

    assert_int_equal(initlink_put(pair[0], 1, "p", 0644, NULL, 0, NULL), 0);
    assert_int_equal(take(packet, sizeof(packet), &fd), fixed);
}

/* A peer that reads nothing: no waiting, and nothing half sent. */
static void test_full_socket(void **state)
{
    static char data[60000];
    int r = 0, sent = 0, fd;
    char packet[INIT_PACKET_MAX];

    (void)state;
    while ((r = initlink_put(pair[0], 1, "p", 0644, data, sizeof(data), NULL)) == 0 && sent < 1000)
        sent++;
    assert_int_equal(r, INITLINK_FULL);
    assert_true(sent > 0);
    for (int i = 0; i < sent; i++)
        assert_true(take(packet, sizeof(packet), &fd) > 60000);
    assert_int_equal(take(packet, sizeof(packet), &fd), -1);
    pair[1] = (close(pair[1]), -1);
    assert_int_equal(initlink_signal(pair[0], 1, 9, NULL), ISOL8_E_STATE); /* and no SIGPIPE */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_good_answers, open_pair, close_pair),
        cmocka_unit_test_setup_teardown(test_malformed_answers, open_pair, close_pair),
        cmocka_unit_test_setup_teardown(test_unasked_descriptors, open_pair, close_pair),
        cmocka_unit_test_setup_teardown(test_put, open_pair, close_pair),
        cmocka_unit_test_setup_teardown(test_full_socket, open_pair, close_pair),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
