/* SPDX-License-Identifier: Apache-2.0 */
/* px.h - a proxy with one sandbox's listeners on 127.0.0.1; the test plays client and server. */
#ifndef TESTS_UNIT_PROXY_PX_H
#define TESTS_UNIT_PROXY_PX_H

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "proxy/proxy.h"
#include "tests/support/test.h"

enum { PX_TEXT_MAX = 256 * 1024 };

struct px {
    struct proxy *proxy;
    struct proxy_client *client;
    struct proxy_rules *rules;
    uint16_t port;     /* explicit */
    uint16_t dns_port; /* UDP and TCP */
    int origin;        /* a listening server on 127.0.0.1 */
    uint16_t origin_port;
    char log[PX_TEXT_MAX]; /* after px_close() */
    struct proxy_counters counters;
    struct proxy_tally tally; /* after px_close() */
};

static inline int px_bind(int type, uint16_t *port)
{
    struct sockaddr_in a = { .sin_family = AF_INET,
                             .sin_port = htons(*port),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t n = sizeof(a);
    struct timeval five = { .tv_sec = 5 };
    int fd = socket(AF_INET, type | SOCK_CLOEXEC, 0);

    assert_true(fd >= 0);
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &five, sizeof(five)), 0);
    if (bind(fd, (struct sockaddr *)&a, sizeof(a)) < 0) {
        (void)close(fd);
        return -1;
    }
    if (type == SOCK_STREAM)
        assert_int_equal(listen(fd, 128), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &n), 0);
    *port = ntohs(a.sin_port);
    return fd;
}

static inline struct proxy_rules *px_rules(const char *allow, const char *deny)
{
    struct proxy_rules *r = NULL;
    isol8_error err;

    assert_int_equal(
        proxy_rules_new(&r, "allow", &allow, allow != NULL, "deny", &deny, deny != NULL, &err), 0);
    return r;
}

/* *.test leads to 127.0.0.1, which is open; private.test to a closed address. */
static inline void px_open(struct px *x, struct proxy_settings s, const char *allow,
                           const char *deny)
{
    static const char *const loopback[] = { "127.0.0.1" }, *const closed[] = { "10.9.8.7" };
    static const char *const mixed[] = { "10.9.8.7", "127.0.0.1" };
    static const struct proxy_fixed_host hosts[] = { { "a.test", loopback, 1 },
                                                     { "b.test", loopback, 1 },
                                                     { "m.test", loopback, 1 },
                                                     { "private.test", closed, 1 },
                                                     { "mixed.test", mixed, 2 } };
    static const char *const open[] = { "127.0.0.0/8" };
    struct proxy_listeners l = { .transparent_fd = -1 };
    isol8_error err = { 0 };

    memset(x, 0, sizeof(*x));
    s.hosts = hosts;
    s.n_hosts = sizeof(hosts) / sizeof(hosts[0]);
    s.allow_addresses = open;
    s.n_allow_addresses = 1;
    assert_int_equal(proxy_open(&x->proxy, &s, &err), 0);
    x->rules = px_rules(allow, deny);
    x->origin = px_bind(SOCK_STREAM, &x->origin_port);
    l.explicit_fd = px_bind(SOCK_STREAM, &x->port);
    do { /* one number for both kinds */
        x->dns_port = 0;
        l.dns_udp_fd = px_bind(SOCK_DGRAM, &x->dns_port);
        l.dns_tcp_fd = px_bind(SOCK_STREAM, &x->dns_port);
        if (l.dns_tcp_fd < 0)
            (void)close(l.dns_udp_fd);
    } while (l.dns_tcp_fd < 0);
    assert_int_equal(proxy_attach(x->proxy, &l, x->rules, &x->client, &err), 0);
}

static inline void px_close(struct px *x)
{
    struct netlog *log;
    size_t n = 0;

    proxy_detach(x->client, &log, &x->counters);
    proxy_look(x->proxy, &x->tally);
    for (size_t i = 0; i < netlog_count(log); i++) {
        cJSON *entry = netlog_json(log, i);
        char *text = cJSON_PrintUnformatted(entry);
        n += (size_t)snprintf(x->log + n, sizeof(x->log) - n, "%s\n", text);
        assert_true(n < sizeof(x->log));
        cJSON_free(text);
        cJSON_Delete(entry);
    }
    netlog_free(log);
    proxy_close(x->proxy);
    proxy_rules_free(x->rules);
    (void)close(x->origin);
}

static inline int px_connect(uint16_t port)
{
    struct sockaddr_in a = { .sin_family = AF_INET,
                             .sin_port = htons(port),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    struct timeval five = { .tv_sec = 5 };
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_true(fd >= 0);
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &five, sizeof(five)), 0);
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &five, sizeof(five)), 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof(a)), 0);
    return fd;
}

static inline int px_accept(const struct px *x)
{
    struct timeval five = { .tv_sec = 5 };
    int fd = accept4(x->origin, NULL, NULL, SOCK_CLOEXEC);

    assert_true(fd >= 0);
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &five, sizeof(five)), 0);
    return fd;
}

/* Nobody connected to the server. */
static inline void px_no_accept(const struct px *x)
{
    assert_int_equal(fcntl(x->origin, F_SETFL, O_NONBLOCK), 0);
    assert_int_equal(accept4(x->origin, NULL, NULL, SOCK_CLOEXEC), -1);
    assert_int_equal(errno, EAGAIN);
}

static inline void px_send(int fd, const char *text)
{
    assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), (ssize_t)strlen(text));
}

/* A request with the server's port put in for "PORT". */
static inline void px_request(const struct px *x, int fd, const char *text)
{
    char out[8192], number[8];
    const char *at = text, *mark;

    out[0] = '\0';
    (void)snprintf(number, sizeof(number), "%u", x->origin_port);
    while ((mark = strstr(at, "PORT")) != NULL) {
        size_t n = strlen(out);
        (void)snprintf(out + n, sizeof(out) - n, "%.*s%s", (int)(mark - at), at, number);
        at = mark + 4;
    }
    size_t n = strlen(out);
    (void)snprintf(out + n, sizeof(out) - n, "%s", at);
    px_send(fd, out);
}

/* Read until @end was seen; NULL: until the end of the connection. Return: the text, static. */
static inline const char *px_read(int fd, const char *end)
{
    static char text[PX_TEXT_MAX];
    size_t n = 0;

    text[0] = '\0';
    while (end == NULL || strstr(text, end) == NULL) {
        ssize_t r = recv(fd, text + n, sizeof(text) - 1 - n, 0);
        if (r < 0)
            fail_msg("read failed (%d) after: %s", errno, text);
        if (r == 0 && end != NULL)
            fail_msg("ended after: %s", text);
        if (r == 0)
            break;
        n += (size_t)r;
        text[n] = '\0';
    }
    return text;
}

static inline void assert_has(const char *text, const char *part)
{
    if (strstr(text, part) == NULL)
        fail_msg("'%s' is not in: %s", part, text);
}

static inline void assert_lacks(const char *text, const char *part)
{
    if (strstr(text, part) != NULL)
        fail_msg("'%s' is in: %s", part, text);
}

static inline void px_expect_reset(int fd)
{
    char c;
    ssize_t n;

    do
        n = recv(fd, &c, 1, 0);
    while (n > 0);
    assert_int_equal(n, -1);
    assert_int_equal(errno, ECONNRESET);
    (void)close(fd);
}

static inline void px_expect_end(int fd)
{
    char c;

    assert_int_equal(recv(fd, &c, 1, 0), 0);
    (void)close(fd);
}

#endif
