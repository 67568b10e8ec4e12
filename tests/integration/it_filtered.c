/* SPDX-License-Identifier: Apache-2.0 */
/**
 * it_filtered.c - the filtered network attacked, killed and crowded
 *
 * The program moves into a network and a mount namespace of its own first: to isol8 that is the
 * machine. It has a loopback interface, a test host that greets whoever connects, and a name server
 * that knows "live.test" and never answers for names that begin with "dead". Names are reached
 * through the address guard, which is opened for 127.0.0.1 only.
 */
#include "tests/integration/it.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PORT = 7000, PORT_MUTE = 7001, TUNNELS = 20, CROWD = 50, LOG_MAX = 10000 };

static isol8_host *host; /* with the network settings; it.c's own has none */

/* ---- The machine --------------------------------------------------------------------------------
 */

/* Connections stay open until the program ends. */
static void *greet(void *arg)
{
    int fd = *(int *)arg, c;

    while ((c = accept4(fd, NULL, NULL, SOCK_CLOEXEC)) >= 0)
        (void)send(c, "hello\n", 6, MSG_NOSIGNAL);
    return NULL;
}

/* Answer @n bytes of a query in place: one address for an A question of a "live" name, none for its
 * other types, NXDOMAIN for what is neither. Return: its length, or 0 for no answer. */
static size_t answer(unsigned char *m, size_t n)
{
    static const unsigned char record[] = { 0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4, 127, 0, 0, 1 };
    size_t end = 12;

    while (end < n && m[end] != 0)
        end += 1u + m[end];
    if (end + 5 > n || memcmp(m + 13, "dead", 4) == 0)
        return 0;
    bool is_live = memcmp(m + 13, "live", 4) == 0;
    m[2] = 0x81;
    m[3] = is_live ? 0x80 : 0x83;
    memset(m + 6, 0, 6);
    end += 5;
    if (!is_live || m[end - 3] != 1)
        return end;
    m[7] = 1;
    memcpy(m + end, record, sizeof(record));
    return end + sizeof(record);
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
    static int greeter, names;
    pthread_t thread;

    greeter = it_local_socket(SOCK_STREAM, PORT);
    names = it_local_socket(SOCK_DGRAM, 53);
    if (greeter < 0 || names < 0 || pthread_create(&thread, NULL, greet, &greeter) != 0 ||
        pthread_create(&thread, NULL, name_server, &names) != 0)
        return -1;
    return 0;
}

static isol8_host *open_host(isol8_error *err)
{
    static const char *const open_ranges[] = { "127.0.0.1/32" };
    const char *parent = getenv("IT_CGROUP_PARENT"); /* the victim's */
    isol8_host_options opts;
    isol8_host *h = NULL;

    isol8_host_options_init(&opts);
    opts.cgroup_parent = parent != NULL ? parent : it_cgroup_parent();
    opts.network.allow_addresses = open_ranges;
    opts.network.n_allow_addresses = 1;
    return isol8_host_open(&h, &opts, err) < 0 ? NULL : h;
}

static int open_all(void **state)
{
    isol8_error err;

    if (it_open(state) != 0 || start_servers() < 0)
        return -1;
    host = open_host(&err);
    return host == NULL ? -1 : 0;
}

static int close_all(void **state)
{
    isol8_host_free(host);
    return it_close(state);
}

/* ---- Filtered sandboxes ------------------------------------------------------------------------
 */

static isol8_engine *filtered_engine(isol8_host *h)
{
    static const char *const allow[] = { "^(live|dead)[0-9]*\\.test$" };
    isol8_options o = it_options();
    isol8_engine *e = NULL;
    isol8_error err;

    o.network = "filtered";
    o.allow = allow;
    o.n_allow = 1;
    o.log_network = true;
    o.timeout_ms = 120000;
    o.max_concurrent = CROWD;
    if (isol8_create(&e, h, &o, &err) < 0)
        fail_msg("isol8_create: %s", err.msg);
    return e;
}

static isol8_result *execute(const isol8_request *rq)
{
    auto_engine isol8_engine *e = filtered_engine(host);
    isol8_result *res = NULL;
    isol8_error err = { 0 };

    if (isol8_execute(e, rq, &res, &err) < 0)
        fail_msg("isol8_execute: %s", err.msg);
    return res;
}

static isol8_result *guest(const char *args)
{
    char cmd[512] = "";
    isol8_request rq = it_cmd(cmd);

    it_guest_cmd(cmd, sizeof(cmd), args);
    rq.files = it_guest_file();
    rq.n_files = 1;
    return execute(&rq);
}

/* A run that goes on until its stdin is closed; its command is borrowed until then. */
struct holder {
    isol8_engine *engine;
    isol8_request rq;
    isol8_run *run;
    char text[4096];
    size_t n;
};

static void holder_start(struct holder *h, const char *cmd, bool with_guest)
{
    isol8_error err = { 0 };

    *h = (struct holder){ .engine = filtered_engine(host), .rq = it_cmd(cmd) };
    h->rq.stdin_open = true;
    h->rq.files = with_guest ? it_guest_file() : NULL;
    h->rq.n_files = with_guest;
    if (isol8_run_start(h->engine, &h->rq, ISOL8_RUN_CAPTURE, &h->run, &err) < 0)
        fail_msg("isol8_run_start: %s", err.msg);
}

/* Take events until @word was said; where it stands. */
static const char *holder_until(struct holder *h, const char *word)
{
    const char *found;
    isol8_event ev;
    isol8_error err = { 0 };

    while ((found = strstr(h->text, word)) == NULL) {
        struct pollfd p = { .fd = isol8_run_fd(h->run), .events = POLLIN };
        int r = isol8_run_next(h->run, &ev, &err);
        if (r < 0 || isol8_run_done(h->run))
            fail_msg("ended without '%s': %s %s", word, h->text, err.msg);
        if (r == 0) {
            assert_int_equal(poll(&p, 1, 60000), 1);
            continue;
        }
        if (ev.type == ISOL8_EVENT_STDOUT && h->n + ev.size < sizeof(h->text)) {
            memcpy(h->text + h->n, ev.data, ev.size);
            h->n += ev.size;
        }
    }
    return found;
}

static isol8_result *holder_finish(struct holder *h)
{
    isol8_result *res = NULL;
    isol8_error err = { 0 };

    (void)isol8_run_stdin(h->run, NULL, 0, NULL);
    if (isol8_run_finish(h->run, &res, &err) < 0)
        fail_msg("isol8_run_finish: %s", err.msg);
    isol8_free(h->engine);
    return res;
}

#define READ_GREETING(NAME) "exec 3<>/dev/tcp/" NAME "/7000 && read -r line <&3 && echo \"$line\""

/* ---- What cannot be sent ------------------------------------------------------------------------
 */

static void test_control(void **state)
{
    isol8_request rq = it_cmd(READ_GREETING("live.test"));

    (void)state;
    auto_result isol8_result *res = execute(&rq);
    it_expect_out(res, ISOL8_VERDICT_OK, 0, "hello\n");
}

static void test_forged_source(void **state)
{
    (void)state;
    auto_result isol8_result *res = guest("forge 10.88.0.254");
    it_expect(res, ISOL8_VERDICT_OK, 0);
    const char *out = isol8_result_stdout(res, NULL);
    assert_null(strstr(out, "raw: OK"));
    assert_null(strstr(out, "raw-icmp: OK"));
    assert_null(strstr(out, "packet: OK"));
    assert_null(strstr(out, "ping: OK"));
    assert_non_null(strstr(out, "transparent: EPERM"));
    assert_non_null(strstr(out, "bind: EADDRNOTAVAIL"));
    assert_non_null(strstr(out, "freebind: OK")); /* binds, but nothing leaves */
    assert_non_null(strstr(out, "send: E"));
}

static void test_other_protocols_fail_at_once(void **state)
{
    static const char *const tries[] = { "udp 192.0.2.1 443", "udp 198.18.0.1 123",
                                         "udp 10.88.0.1 8118", "udp 127.0.0.1 53" };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(tries); i++) {
        double start = it_seconds();
        auto_result isol8_result *res = guest(tries[i]);
        it_expect(res, ISOL8_VERDICT_OK, 0);
        const char *out = isol8_result_stdout(res, NULL);
        if (strcmp(out, "udp: EHOSTUNREACH\n") != 0 && strcmp(out, "udp: ECONNREFUSED\n") != 0)
            fail_msg("%s: %s", tries[i], out);
        assert_true(it_seconds() - start < 4);
    }
}

/* ---- Lookups, logs, crowds ----------------------------------------------------------------------
 */

static void test_dead_names_hold_up_nobody(void **state)
{
    struct holder dead;
    isol8_request rq = it_cmd(READ_GREETING("live2.test"));

    (void)state;
    holder_start(
        &dead,
        "for i in 1 2 3 4; do getent hosts dead$i.test & done; echo asking; " READ_GREETING(
            "live1.test") "; read -r line; jobs -r | wc -l",
        false);
    holder_until(&dead, "hello\n"); /* the same sandbox's next lookup */
    double start = it_seconds();
    auto_result isol8_result *res = execute(&rq); /* and another's */
    double took = it_seconds() - start;
    it_expect_out(res, ISOL8_VERDICT_OK, 0, "hello\n");
    assert_true(took < 2.5);
    auto_result isol8_result *first = holder_finish(&dead);
    /* They were still waiting, or this test shows nothing. */
    it_expect_out(first, ISOL8_VERDICT_OK, 0, "asking\nhello\n4\n");
}

static void test_log_is_bounded(void **state)
{
    isol8_request rq = it_cmd("");
    char cmd[512];

    (void)state;
    (void)snprintf(cmd, sizeof(cmd),
                   "%s; cp guest g && chmod +x g && exec ./g tcp 10.0.0.1 80 20000",
                   READ_GREETING("live.test"));
    rq.cmd = cmd;
    rq.files = it_guest_file();
    rq.n_files = 1;
    auto_result isol8_result *res = execute(&rq);
    it_expect_out(res, ISOL8_VERDICT_OK, 0, "hello\ntcp: ECONNRESET\n");
    assert_int_equal(isol8_result_network_log_count(res), LOG_MAX);
    const char *last = isol8_result_network_log(res, LOG_MAX - 1);
    assert_non_null(strstr(last, "\"host\":\"10.0.0.1\""));
    assert_non_null(strstr(last, "\"action\":\"BLOCK\""));
}

static void test_crowd(void **state)
{
    static struct holder all[CROWD];

    (void)state;
    for (size_t i = 0; i < CROWD; i++)
        holder_start(&all[i], READ_GREETING("live.test") "; read -r line; echo \"end $line\"",
                     false);
    for (size_t i = 0; i < CROWD; i++)
        holder_until(&all[i], "hello\n");
    for (size_t i = 0; i < CROWD; i++) { /* all of them are connected at this moment */
        auto_result isol8_result *res = holder_finish(&all[i]);
        assert_non_null(strstr(isol8_result_stdout(res, NULL), "end "));
        assert_int_equal(isol8_result_network_log_count(res), 1);
    }
}

/* ---- SIGKILL ------------------------------------------------------------------------------------
 */

/* The engine that gets killed: this program again, with an argument. Says what the sandbox says. */
static int victim(void)
{
    char text[4096];
    isol8_error err;
    isol8_event ev;
    isol8_run *run = NULL;
    isol8_request rq = it_cmd("readlink /proc/self/ns/net; for i in {1..20}; do "
                              "exec {fd}<>/dev/tcp/live.test/7001 || exit; done; echo open; "
                              "sleep 100");

    host = open_host(&err);
    if (host == NULL || isol8_run_start(filtered_engine(host), &rq, 0, &run, &err) < 0)
        return 1;
    for (;;) {
        struct pollfd p = { .fd = isol8_run_fd(run), .events = POLLIN };
        int r = isol8_run_next(run, &ev, &err);
        if (r < 0 || isol8_run_done(run))
            return 1;
        if (r == 0) {
            (void)poll(&p, 1, -1);
        } else if (ev.type == ISOL8_EVENT_STDOUT && ev.size < sizeof(text)) {
            memcpy(text, ev.data, ev.size);
            (void)!write(STDOUT_FILENO, text, ev.size);
        }
    }
}

static pid_t start_victim(FILE **out)
{
    int pipe_fds[2];

    assert_int_equal(pipe2(pipe_fds, O_CLOEXEC), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        (void)dup2(pipe_fds[1], STDOUT_FILENO);
        (void)setenv("IT_CGROUP_PARENT", it_cgroup_parent(), 1);
        (void)execl("/proc/self/exe", "it_filtered", "victim", NULL);
        _exit(99);
    }
    assert_int_equal(close(pipe_fds[1]), 0);
    *out = fdopen(pipe_fds[0], "r");
    assert_non_null(*out);
    return pid;
}

/* Processes in the network namespace that readlink(2) calls @name. */
static size_t count_inside(const char *name)
{
    DIR *dir = opendir("/proc");
    struct dirent *e;
    size_t n = 0;

    assert_non_null(dir);
    while ((e = readdir(dir)) != NULL) {
        char path[300], link[64];
        (void)snprintf(path, sizeof(path), "/proc/%s/ns/net", e->d_name);
        ssize_t len = readlink(path, link, sizeof(link) - 1);
        link[len < 0 ? 0 : len] = '\0';
        n += len > 0 && strcmp(link, name) == 0;
    }
    assert_int_equal(closedir(dir), 0);
    return n;
}

static void test_engine_killed_with_tunnels_open(void **state)
{
    char name[64], word[64];
    int fds[TUNNELS];
    FILE *out;
    char c;
    int server = it_local_socket(SOCK_STREAM, PORT_MUTE);
    pid_t pid = start_victim(&out);

    (void)state;
    assert_true(server >= 0);
    assert_non_null(fgets(name, sizeof(name), out));
    name[strcspn(name, "\n")] = '\0';
    assert_non_null(fgets(word, sizeof(word), out));
    assert_string_equal(word, "open\n");
    for (size_t i = 0; i < TUNNELS; i++) {
        fds[i] = accept4(server, NULL, NULL, SOCK_CLOEXEC);
        assert_true(fds[i] >= 0);
    }
    assert_true(count_inside(name) > 0);

    assert_int_equal(kill(pid, SIGKILL), 0);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    for (size_t i = 0; i < TUNNELS; i++) {
        struct pollfd p = { .fd = fds[i], .events = POLLIN };
        assert_int_equal(poll(&p, 1, 10000), 1); /* the end arrives */
        assert_true(recv(fds[i], &c, 1, 0) <= 0);
        assert_int_equal(close(fds[i]), 0);
    }
    double start = it_seconds();
    while (count_inside(name) > 0) {
        assert_true(it_seconds() - start < 10);
        (void)poll(NULL, 0, 20);
    }
    assert_int_equal(fclose(out), 0);
    assert_int_equal(close(server), 0);

    /* The next one finishes the removal (no-leaks.sh looks once more). */
    isol8_cleanup_options opts;
    isol8_cleanup_report report;
    isol8_error err;
    isol8_cleanup_options_init(&opts);
    if (isol8_cleanup(host, &opts, &report, &err) < 0)
        fail_msg("isol8_cleanup: %s", err.msg);
    assert_int_equal(report.sandboxes_failed, 0);
}

/* ---- The gateway, tampered with -----------------------------------------------------------------
 */

struct visit {
    int netns_fd;
    int (*fn)(void);
    int result;
};

static void *visit_main(void *arg)
{
    struct visit *v = arg;

    v->result = setns(v->netns_fd, CLONE_NEWNET) < 0 ? -1 : v->fn();
    return NULL;
}

static int visit(int netns_fd, int (*fn)(void))
{
    struct visit v = { .netns_fd = netns_fd, .fn = fn };
    pthread_t thread;

    assert_int_equal(pthread_create(&thread, NULL, visit_main, &v), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    return v.result;
}

static int has_wires(void)
{
    struct if_nameindex *list = if_nameindex();
    int n = 0;

    for (struct if_nameindex *i = list; i != NULL && i->if_name != NULL; i++)
        n += i->if_name[0] == 'v';
    if_freenameindex(list);
    return n;
}

/* The engine's descriptor of the gateway namespace, by what is in there; a copy. */
static int find_gateway(void)
{
    for (int fd = 3; fd < 1024; fd++) {
        char path[64], link[64] = "";
        (void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
        if (readlink(path, link, sizeof(link) - 1) > 0 && strncmp(link, "net:[", 5) == 0 &&
            visit(fd, has_wires) > 0)
            return fcntl(fd, F_DUPFD_CLOEXEC, 3);
    }
    fail_msg("the gateway's namespace was not found");
    return -1;
}

static int write_one(const char *path)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : write(fd, "1", 1);

    (void)close(fd);
    return n == 1 ? 0 : -1;
}

static int switch_forwarding_on(void)
{
    struct if_nameindex *list = if_nameindex();
    char path[128];
    int r = write_one("/proc/sys/net/ipv4/ip_forward");

    for (struct if_nameindex *i = list; r == 0 && i != NULL && i->if_name != NULL; i++) {
        (void)snprintf(path, sizeof(path), "/proc/sys/net/ipv4/conf/%s/forwarding", i->if_name);
        r = write_one(path);
    }
    if_freenameindex(list);
    return r;
}

static struct sockaddr_in listener; /* of a sandbox, as the gateway sees it */

static int connect_to_listener(void)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int r = connect(fd, (struct sockaddr *)&listener, sizeof(listener));

    (void)close(fd);
    return r;
}

static int delete_rules(void)
{
    pid_t pid = fork(); /* of the visitor: it stays in the namespace */

    if (pid == 0) {
        (void)execlp("nft", "nft", "flush", "ruleset", NULL);
        _exit(99);
    }
    int status = -1;
    return pid > 0 && waitpid(pid, &status, 0) == pid && status == 0 ? 0 : -1;
}

static size_t count_words(const char *text, const char *word)
{
    size_t n = 0;

    while ((text = strstr(text, word)) != NULL) {
        text += strlen(word);
        n++;
    }
    return n;
}

/* Have the attacker run the guest with @args; it must end at once, and in one of two ways. */
static void expect_fate(struct holder *h, const char *args, const char *one, const char *other)
{
    isol8_error err = { 0 };
    double start = it_seconds();

    memset(h->text, 0, sizeof(h->text));
    h->n = 0;
    assert_int_equal(isol8_run_stdin(h->run, args, strlen(args), &err), 0);
    const char *said = holder_until(h, "\n");
    size_t n = (size_t)(said - h->text);
    if (strncmp(h->text, one, n) != 0 && strncmp(h->text, other, n) != 0)
        fail_msg("%s%safter %.1f s", args, h->text, it_seconds() - start);
    assert_true(it_seconds() - start < 4);
}

static void start_listener(struct holder *h, char *cmd, size_t n)
{
    char address[INET_ADDRSTRLEN];

    it_guest_cmd(cmd, n, "listen 9999");
    holder_start(h, cmd, true);
    const char *ready = holder_until(h, "ready ");
    listener = (struct sockaddr_in){ .sin_family = AF_INET, .sin_port = htons(9999) };
    assert_int_equal(sscanf(ready, "ready %15[0-9.]\n", address), 1);
    assert_int_equal(inet_pton(AF_INET, address, &listener.sin_addr), 1);
}

/* The last test: nothing is as it was in the gateway afterwards. */
static void test_forwarding_leads_nowhere(void **state)
{
    struct holder target, attacker;
    char cmd[256], args[64], address[INET_ADDRSTRLEN];

    (void)state;
    start_listener(&target, cmd, sizeof(cmd));
    holder_start(&attacker,
                 "cp guest g && chmod +x g && echo ready && while read -r args; do ./g $args; done",
                 true);
    (void)holder_until(&attacker, "ready\n");
    int gateway = find_gateway();
    assert_int_equal(visit(gateway, connect_to_listener), 0); /* it can be reached from there */
    (void)holder_until(&target, "got tcp\n");
    assert_int_equal(visit(gateway, switch_forwarding_on), 0);

    (void)inet_ntop(AF_INET, &listener.sin_addr, address, sizeof(address));
    (void)snprintf(args, sizeof(args), "tcp %s 9999\n", address);
    expect_fate(&attacker, args, "tcp: ECONNRESET", "tcp: ECONNRESET");
    (void)snprintf(args, sizeof(args), "udp %s 9999\n", address);
    expect_fate(&attacker, args, "udp: EHOSTUNREACH", "udp: ECONNREFUSED");
    expect_fate(&attacker, "tcp 192.0.2.1 80\n", "tcp: ECONNRESET", "tcp: ECONNRESET");
    expect_fate(&attacker, "udp 192.0.2.1 443\n", "udp: EHOSTUNREACH", "udp: ECONNREFUSED");

    /* Without a single rule there still is no way out of the gateway. */
    assert_int_equal(visit(gateway, delete_rules), 0);
    expect_fate(&attacker, "tcp 192.0.2.1 80\n", "tcp: EHOSTUNREACH", "tcp: ENETUNREACH");
    assert_int_equal(close(gateway), 0);
    auto_result isol8_result *a = holder_finish(&attacker);
    auto_result isol8_result *t = holder_finish(&target);
    it_expect(a, ISOL8_VERDICT_OK, 0);
    assert_int_equal(count_words(isol8_result_stdout(t, NULL), "got "), 1); /* ours, above */
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_control),
        cmocka_unit_test(test_forged_source),
        cmocka_unit_test(test_other_protocols_fail_at_once),
        cmocka_unit_test(test_dead_names_hold_up_nobody),
        cmocka_unit_test(test_log_is_bounded),
        cmocka_unit_test(test_crowd),
        cmocka_unit_test(test_engine_killed_with_tunnels_open),
        cmocka_unit_test(test_forwarding_leads_nowhere),
    };

    if (argc > 1 && strcmp(argv[1], "victim") == 0)
        return victim();
    if (it_leave_the_machine() < 0) {
        perror("cannot make a network for the test");
        return 1;
    }
    return cmocka_run_group_tests(tests, open_all, close_all);
}
