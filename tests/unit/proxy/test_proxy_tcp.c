/* SPDX-License-Identifier: Apache-2.0 */
/* Connections of a sandbox that does not know the proxy, through a real gateway. Needs root. */
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <sys/mount.h>

#include "netns/gateway.h"
#include "netns/netns.h"
#include "netns/rtnl.h"
#include "tests/unit/proxy/px.h"

static const struct proxy_settings plain;

struct world {
    struct px px; /* its listeners are the gateway's */
    struct netns_gateway *gateway;
    struct netns_wire wire;
    int netns;
};

static void open_world(struct world *w, const char *allow, const char *deny)
{
    isol8_error err = { 0 };

    px_open(&w->px, plain, allow, deny);
    proxy_detach(w->px.client, NULL, NULL); /* another sandbox takes its place */
    if (netns_gateway_open(&w->gateway, &err) != 0)
        fail_msg("%s", err.msg);
    w->netns = netns_new(&err);
    assert_true(w->netns >= 0);
    if (netns_wire_create(w->gateway, w->netns, &w->wire, &err) != 0)
        fail_msg("%s", err.msg);
    struct proxy_listeners l = { w->wire.explicit_fd, w->wire.transparent_fd, w->wire.dns_udp_fd,
                                 w->wire.dns_tcp_fd };
    assert_int_equal(proxy_attach(w->px.proxy, &l, w->px.rules, &w->px.client, &err), 0);
}

static void close_world(struct world *w)
{
    px_close(&w->px);
    netns_wire_release(w->gateway, w->wire.index);
    netns_gateway_close(w->gateway);
    (void)close(w->netns);
}

struct dial {
    int type;
    int fd;
};

static int make_socket(void *user, isol8_error *err)
{
    struct dial *d = user;

    (void)err;
    d->fd = socket(AF_INET, d->type | SOCK_CLOEXEC, 0);
    return d->fd < 0 ? -1 : 0;
}

/* A socket of the sandbox, connected; the result of connect() goes to @errnum. */
static int dial(const struct world *w, int type, const char *address, uint16_t port, int *errnum)
{
    struct dial d = { .type = type };
    struct timeval five = { .tv_sec = 5 };
    struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(port) };

    assert_int_equal(netns_run(w->netns, make_socket, &d, NULL), 0);
    assert_int_equal(setsockopt(d.fd, SOL_SOCKET, SO_RCVTIMEO, &five, sizeof(five)), 0);
    assert_int_equal(inet_pton(AF_INET, address, &to.sin_addr), 1);
    *errnum = connect(d.fd, (struct sockaddr *)&to, sizeof(to)) == 0 ? 0 : errno;
    return d.fd;
}

/* The address that the sandbox is told for a one-letter name under .test; false: NXDOMAIN. */
static bool look_up(const struct world *w, char letter, char *out)
{
    uint8_t query[] = "\x12\x34\x01\0\0\1\0\0\0\0\0\0\1?\4test\0\0\1\0\1", answer[512];
    int errnum, fd = dial(w, SOCK_DGRAM, "198.18.0.1", 53, &errnum);

    query[13] = (uint8_t)letter;
    assert_int_equal(errnum, 0);
    assert_int_equal(send(fd, query, sizeof(query) - 1, 0), (ssize_t)sizeof(query) - 1);
    ssize_t n = recv(fd, answer, sizeof(answer), 0);
    assert_true(n > 12);
    (void)close(fd);
    if ((answer[3] & 15) != 0)
        return false;
    assert_non_null(inet_ntop(AF_INET, answer + n - 4, out, INET_ADDRSTRLEN));
    return true;
}

static void expect_refused(const struct world *w, const char *address, uint16_t port)
{
    int errnum, fd = dial(w, SOCK_STREAM, address, port, &errnum);

    if (errnum == 0) {
        px_expect_reset(fd);
        return;
    }
    assert_true(errnum == ECONNRESET || errnum == ECONNREFUSED);
    (void)close(fd);
}

static void test_server_first(void **state)
{
    struct world w;
    char address[INET_ADDRSTRLEN];
    int errnum;

    (void)state;
    open_world(&w, "\\.test$", NULL);
    assert_true(look_up(&w, 'm', address));
    int c = dial(&w, SOCK_STREAM, address, w.px.origin_port, &errnum);
    assert_int_equal(errnum, 0);
    int s = px_accept(&w.px);
    px_send(s, "220 ready");
    assert_string_equal(px_read(c, "ready"), "220 ready");
    px_send(c, "QUIT");
    assert_int_equal(shutdown(c, SHUT_WR), 0);
    assert_string_equal(px_read(s, NULL), "QUIT");
    px_send(s, "bye");
    (void)close(s);
    assert_string_equal(px_read(c, NULL), "bye");
    (void)close(c);
    close_world(&w);
    assert_has(w.px.log,
               "\"method\":\"TCP\",\"host\":\"m.test\",\"path\":null,\"action\":\"ALLOW\"");
}

static void test_refused_at_once(void **state)
{
    struct world w;
    char address[INET_ADDRSTRLEN];

    (void)state;
    open_world(&w, NULL, "^n\\.test$");
    assert_false(look_up(&w, 'n', address));
    expect_refused(&w, "10.1.2.3", 443);
    expect_refused(&w, "169.254.169.254", 80);
    expect_refused(&w, "198.18.77.7", 443); /* stands for no name */
    expect_refused(&w, "10.88.0.1", 8119);  /* the gateway itself */
    assert_true(look_up(&w, 'm', address));
    expect_refused(&w, address, 1); /* allowed, but nobody there */
    close_world(&w);
    assert_has(w.px.log, "\"host\":\"169.254.169.254\"");
    assert_has(w.px.log, "link-local range");
}

static void test_name_of_hello(void **state)
{
    static const uint8_t hello[] =
        "\x16\x03\x01\x00\x46\x01\x00\x00\x42\x03\x03"
        "01234567890123456789012345678901\x00\x00\x02\x13\x01\x01\x00\x00\x17"
        "\x00\x00\x00\x13\x00\x11\x00\x00\x0e"
        "different.test";
    struct world w;
    char address[INET_ADDRSTRLEN];
    int errnum;

    (void)state;
    open_world(&w, NULL, NULL);
    assert_true(look_up(&w, 'm', address));
    int c = dial(&w, SOCK_STREAM, address, w.px.origin_port, &errnum);
    int s = px_accept(&w.px);
    assert_true(send(c, hello, sizeof(hello) - 1, MSG_NOSIGNAL) > 0);
    px_expect_reset(c);
    assert_string_equal(px_read(s, NULL), "");
    (void)close(s);
    close_world(&w);
    assert_has(w.px.log, "TLS server name differs");
}

static void test_http(void **state)
{
    struct world w;
    char address[INET_ADDRSTRLEN];
    uint16_t port = 80;
    int errnum;

    (void)state;
    open_world(&w, "^m\\.test$", NULL);
    (void)close(w.px.origin);
    w.px.origin = px_bind(SOCK_STREAM, &port);
    assert_true(w.px.origin >= 0);
    assert_true(look_up(&w, 'm', address));
    int c = dial(&w, SOCK_STREAM, address, 80, &errnum);
    px_send(c, "GET /1 HTTP/1.1\r\nHost: M.test\r\n\r\n");
    int s = px_accept(&w.px);
    assert_has(px_read(s, "\r\n\r\n"), "GET /1 HTTP/1.1\r\nHost: m.test\r\n");
    px_send(s, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    assert_has(px_read(c, "ok"), "200 OK");
    px_send(c, "GET /2 HTTP/1.1\r\nHost: n.test\r\n\r\n");
    assert_has(px_read(c, NULL), "isol8: request to m.test blocked by network filter");
    (void)close(c);
    (void)close(s);
    close_world(&w);
    assert_has(w.px.log, "Host header differs from the name connected to");
}

/* The machine's name server: g.test is 127.0.0.1, i.test 10.0.0.1, x.test does not exist, every
 * other name is never answered. Each A question for g.test is counted. */
static atomic_int n_asked;

static size_t answer_query(uint8_t *p, size_t n)
{
    bool is_a = p[n - 3] == 1;
    uint8_t record[] = { 0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 127, 0, 0, 1 };

    if (n < 20 || p[12] != 1 || memchr("gix", p[13], 3) == NULL)
        return 0;
    if (p[13] == 'g' && is_a)
        atomic_fetch_add(&n_asked, 1);
    memcpy(p + 2, p[13] == 'x' ? "\x81\x83" : "\x81\x80", 2);
    if (p[13] == 'x' || !is_a)
        return n;
    if (p[13] == 'i')
        memcpy(record + 12, "\x0a\0\0\1", 4);
    p[7] = 1;
    memcpy(p + n, record, sizeof(record));
    return n + sizeof(record);
}

static void *serve_names(void *user)
{
    int fd = *(int *)user;
    struct sockaddr_in from;
    uint8_t p[600];

    for (;;) {
        socklen_t from_n = sizeof(from);
        ssize_t n = recvfrom(fd, p, 512, 0, (struct sockaddr *)&from, &from_n);
        if (n == 1) /* told to end */
            return NULL;
        size_t m = n > 12 ? answer_query(p, (size_t)n) : 0;
        if (m > 0)
            (void)sendto(fd, p, m, 0, (struct sockaddr *)&from, from_n);
    }
}

static void test_lookups(void **state)
{
    struct world w;
    uint16_t port = 53;
    int errnum, server = px_bind(SOCK_DGRAM, &port);
    struct sockaddr_in self = { .sin_family = AF_INET,
                                .sin_port = htons(53),
                                .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    char address[INET_ADDRSTRLEN];
    pthread_t t;

    (void)state;
    assert_true(server >= 0);
    assert_int_equal(pthread_create(&t, NULL, serve_names, &server), 0);
    open_world(&w, NULL, NULL);
    uint8_t dead[] = "\x12\x34\x01\0\0\1\0\0\0\0\0\0\1?\4test\0\0\1\0\1";
    int fd = dial(&w, SOCK_DGRAM, "198.18.0.1", 53, &errnum);
    for (char c = 'p'; c < 'x'; c++) {
        dead[13] = (uint8_t)c;
        assert_true(send(fd, dead, sizeof(dead) - 1, 0) > 0);
    }
    assert_true(look_up(&w, 'g', address)); /* goes on beside the dead ones */
    assert_false(look_up(&w, 'x', address));
    assert_false(look_up(&w, 'i', address)); /* nothing but a forbidden address */
    assert_true(look_up(&w, 'g', address));
    int c = dial(&w, SOCK_STREAM, address, w.px.origin_port, &errnum);
    int s = px_accept(&w.px);
    px_send(s, "hello");
    assert_string_equal(px_read(c, "hello"), "hello");
    (void)close(c);
    (void)close(s);
    (void)close(fd);
    close_world(&w);
    assert_int_equal(sendto(server, "x", 1, 0, (struct sockaddr *)&self, sizeof(self)), 1);
    (void)pthread_join(t, NULL);
    (void)close(server);
    assert_int_equal(atomic_load(&n_asked), 2); /* once for the answer, once for the connection */
    assert_has(w.px.log, "\"host\":\"i.test\"");
}

/* A machine of our own: port 80 is free, and the name server is a thread of the test. */
static int own_machine(void **state)
{
    static const char conf[] = "nameserver 127.0.0.1\n";
    char path[] = "/tmp/isol8-resolv-XXXXXX";
    struct rtnl *nl = NULL;
    isol8_error err;

    (void)state;
    assert_int_equal(unshare(CLONE_NEWNET | CLONE_NEWNS), 0);
    assert_int_equal(mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL), 0);
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, conf, sizeof(conf) - 1), (ssize_t)sizeof(conf) - 1);
    (void)close(fd);
    assert_int_equal(mount(path, "/etc/resolv.conf", NULL, MS_BIND, NULL), 0);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(rtnl_open(&nl, &err), 0);
    assert_int_equal(rtnl_up(nl, "lo", &err), 0);
    rtnl_close(nl);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_server_first),  cmocka_unit_test(test_refused_at_once),
        cmocka_unit_test(test_name_of_hello), cmocka_unit_test(test_http),
        cmocka_unit_test(test_lookups),
    };

    if (geteuid() != 0) {
        (void)fputs("skipped: namespaces need root\n", stderr);
        return 77;
    }
    return cmocka_run_group_tests(tests, own_machine, NULL);
}
