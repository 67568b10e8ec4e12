/* SPDX-License-Identifier: Apache-2.0 */
/**
 * it_neighbours.c - one sandbox exhausts what the kernel counts per user; others do not notice
 *
 * The kernel keeps such counts per user of the initial namespace and per user namespace. With a
 * range of ids of its own for every sandbox, each fills only its own.
 */
#include "tests/integration/it.h"

#include <errno.h>
#include <linux/capability.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static long number_after(const char *text, const char *name)
{
    const char *at = strstr(text, name);

    if (at == NULL)
        fail_msg("no '%s' in '%s'", name, text);
    return strtol(at + strlen(name), NULL, 10);
}

/* Start the guest with @args and wait until it has said how far it came; it holds until its stdin
 * ends. */
static void start_holder(struct it_watch *w, isol8_request *rq, char *cmd, size_t n,
                         const char *args, const char *word)
{
    isol8_options o = it_options();

    *rq = it_cmd(cmd);
    it_guest_cmd(cmd, n, args);
    rq->files = it_guest_file();
    rq->n_files = 1;
    rq->stdin_open = true;
    rq->timeout_ms = 120000;
    it_watch_start(w, &o, rq);
    it_watch_until(w, word);
}

static void end_holder(struct it_watch *w, enum isol8_verdict verdict, int code)
{
    assert_int_equal(isol8_run_stdin(w->run, NULL, 0, NULL), 0);
    auto_result isol8_result *res = it_watch_finish(w);
    it_expect(res, verdict, code);
}

/* ---- inotify instances
 * -------------------------------------------------------------------------------- */

static void test_inotify(void **state)
{
    char cmd[128];
    isol8_request rq;
    struct it_watch w;

    (void)state;
    start_holder(&w, &rq, cmd, sizeof(cmd), "inotify 100000 hold", "inotify: ");
    assert_non_null(strstr(w.text[0], "inotify: EMFILE")); /* it did run into its own limit */
    assert_true(number_after(w.text[0], "made: ") > 16);

    auto_result isol8_result *other = it_guest(NULL, "inotify 64");
    it_expect_out(other, ISOL8_VERDICT_OK, 0, "made: 64\ninotify: OK\n");
    for (int i = 0; i < 16; i++) {
        int fd = inotify_init1(IN_CLOEXEC);
        assert_true(fd >= 0);
        assert_int_equal(close(fd), 0);
    }
    end_holder(&w, ISOL8_VERDICT_EXIT, 1);
}

/* ---- Descriptors in flight
 * ------------------------------------------------------------------------------ */

/* Root without the capabilities that lift the limit. */
static int drop_capabilities(void)
{
    struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
    struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = { 0 };

    return (int)syscall(SYS_capset, &head, data);
}

static int send_one_descriptor(void)
{
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(sizeof(int))];
    } control = { .bytes = { 0 } };
    char byte = 0;
    struct iovec iov = { &byte, 1 };
    struct msghdr msg = { .msg_iov = &iov,
                          .msg_iovlen = 1,
                          .msg_control = control.bytes,
                          .msg_controllen = sizeof(control.bytes) };
    struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
    int pair[2];

    if (socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, pair) < 0)
        return -1;
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(c), &pair[1], sizeof(int));
    int r = (int)sendmsg(pair[0], &msg, 0);
    (void)close(pair[0]);
    (void)close(pair[1]);
    return r;
}

static void host_root_sends_descriptors(void)
{
    struct rlimit few = { 64, 64 };
    int status;
    pid_t pid = fork();

    assert_true(pid >= 0);
    if (pid == 0) { /* the limit is the sender's own number of open files */
        if (setrlimit(RLIMIT_NOFILE, &few) < 0 || drop_capabilities() < 0)
            _exit(2);
        _exit(send_one_descriptor() == 1 ? 0 : errno == ETOOMANYREFS ? 3 : 4);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

static void test_descriptors_in_flight(void **state)
{
    char cmd[128];
    isol8_request rq;
    struct it_watch w;

    (void)state;
    host_root_sends_descriptors();
    start_holder(&w, &rq, cmd, sizeof(cmd), "fds-in-flight 1000000 hold", "fds-in-flight: ");
    assert_non_null(strstr(w.text[0], "fds-in-flight: ETOOMANYREFS"));
    assert_true(number_after(w.text[0], "sent: ") >= 500);

    auto_result isol8_result *other = it_guest(NULL, "fds-in-flight 400");
    it_expect_out(other, ISOL8_VERDICT_OK, 0, "sent: 400\nfds-in-flight: OK\n");
    host_root_sends_descriptors();
    end_holder(&w, ISOL8_VERDICT_EXIT, 1);
}

/* ---- Processes, memory, time
 * ------------------------------------------------------------------------------ */

/* A sandbox at its limit of processes does not keep another one from starting its own. */
static void test_processes(void **state)
{
    isol8_options o = it_options();
    isol8_request rq = it_cmd("i=0; while [ $i -lt 100 ]; do sleep 1000 & i=$((i + 1)); done "
                              "2>/dev/null; echo unreachable");
    struct it_watch w;

    (void)state;
    /* bash waits and tries again when it cannot fork: it stays at the limit. */
    rq.cmd = "echo ready; while :; do sleep 1000 & done 2>/dev/null";
    o.pids_limit = 32;
    o.timeout_ms = 120000;
    it_watch_start(&w, &o, &rq);
    it_watch_until(&w, "ready\n");
    auto_result isol8_result *other = it_guest(NULL, "fork 40");
    it_expect(other, ISOL8_VERDICT_OK, 0);
    isol8_run_cancel(w.run);
    auto_result isol8_result *res = it_watch_finish(&w);
    it_expect(res, ISOL8_VERDICT_CANCELLED, 137);
}

/* Two sandboxes at once share no host id, no process and no abstract socket. */
static void test_nothing_shared(void **state)
{
    isol8_request rq = it_cmd("cat /proc/self/uid_map | tr -s ' '; echo ready; cat");
    struct it_watch a, b;

    (void)state;
    rq.stdin_open = true;
    it_watch_start(&a, NULL, &rq);
    it_watch_start(&b, NULL, &rq);
    it_watch_until(&a, "ready\n");
    it_watch_until(&b, "ready\n");
    assert_string_not_equal(a.text[0], b.text[0]);
    unsigned long first_a = 0, first_b = 0, inside, count = 0;
    assert_int_equal(sscanf(a.text[0], "%lu %lu %lu", &inside, &first_a, &count), 3);
    assert_int_equal(sscanf(b.text[0], "%lu %lu", &inside, &first_b), 2);
    assert_int_equal(count, 65536);
    assert_true(first_a >= 65536 && first_a + 65536 <= UINT32_MAX);
    assert_true(first_a + count <= first_b || first_b + count <= first_a);
    assert_int_equal(isol8_run_stdin(a.run, NULL, 0, NULL), 0);
    assert_int_equal(isol8_run_stdin(b.run, NULL, 0, NULL), 0);
    auto_result isol8_result *res_a = it_watch_finish(&a);
    auto_result isol8_result *res_b = it_watch_finish(&b);
    it_expect(res_a, ISOL8_VERDICT_OK, 0);
    it_expect(res_b, ISOL8_VERDICT_OK, 0);
    assert_string_not_equal(isol8_result_container_id(res_a), isol8_result_container_id(res_b));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_inotify),
        cmocka_unit_test(test_descriptors_in_flight),
        cmocka_unit_test(test_processes),
        cmocka_unit_test(test_nothing_shared),
    };

    return cmocka_run_group_tests(tests, it_open, it_close);
}
