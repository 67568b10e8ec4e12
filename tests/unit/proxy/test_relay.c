/* SPDX-License-Identifier: Apache-2.0 */
#include <poll.h>
#include <pthread.h>

#include "base/clock.h"
#include "tests/unit/proxy/px.h"

static const struct proxy_settings plain;

static int open_tunnel(const struct px *x, int *server)
{
    int c = px_connect(x->port);

    px_request(x, c, "CONNECT a.test:PORT HTTP/1.1\r\nHost: a.test:PORT\r\n\r\n");
    *server = px_accept(x);
    (void)px_read(c, "\r\n\r\n");
    return c;
}

struct sender {
    int fd;
    size_t n;
    uint32_t seed;
};

static uint8_t byte_at(uint32_t seed, size_t i)
{
    return (uint8_t)((i * 2654435761u + seed) >> 13);
}

static void *send_all(void *user)
{
    struct sender *s = user;
    static _Thread_local uint8_t block[100000];

    for (size_t at = 0; at < s->n;) {
        size_t n = s->n - at < sizeof(block) ? s->n - at : sizeof(block);
        for (size_t i = 0; i < n; i++)
            block[i] = byte_at(s->seed, at + i);
        for (size_t done = 0; done < n;) {
            ssize_t w = send(s->fd, block + done, n - done, MSG_NOSIGNAL);
            if (w <= 0)
                return "send failed";
            done += (size_t)w;
        }
        at += n;
    }
    (void)shutdown(s->fd, SHUT_WR);
    return NULL;
}

static void *receive_all(void *user)
{
    struct sender *s = user;
    static _Thread_local uint8_t block[100000];
    size_t at = 0;

    for (;;) {
        ssize_t r = recv(s->fd, block, sizeof(block), 0);
        if (r < 0)
            return "recv failed";
        if (r == 0)
            return at == s->n ? NULL : "wrong length";
        for (ssize_t i = 0; i < r; i++) {
            if (block[i] != byte_at(s->seed, at + (size_t)i))
                return "wrong byte";
        }
        at += (size_t)r;
    }
}

/* Large transfers both ways at once: every byte, in order, and both half-closes. */
static void test_both_ways(void **state)
{
    enum { N = 24 * 1024 * 1024 };
    struct px x;
    int s;
    pthread_t t[4];
    void *r;

    (void)state;
    px_open(&x, plain, NULL, NULL);
    int c = open_tunnel(&x, &s);
    struct sender to[] = { { c, N, 1 }, { s, N, 2 } }, from[] = { { s, N, 1 }, { c, N, 2 } };
    for (int i = 0; i < 2; i++) {
        assert_int_equal(pthread_create(&t[i], NULL, send_all, &to[i]), 0);
        assert_int_equal(pthread_create(&t[i + 2], NULL, receive_all, &from[i]), 0);
    }
    for (int i = 0; i < 4; i++) {
        assert_int_equal(pthread_join(t[i], &r), 0);
        if (r != NULL)
            fail_msg("%s", (char *)r);
    }
    (void)close(c);
    (void)close(s);
    px_close(&x);
    assert_int_equal(x.counters.bytes_in, N);
}

static bool can_write(int fd)
{
    struct pollfd p = { .fd = fd, .events = POLLOUT };

    return poll(&p, 1, 200) == 1;
}

/* A client that never reads stops its server, and nothing else. */
static void test_never_reads(void **state)
{
    static char block[65536];
    struct px x;
    int s, s2;
    size_t sent = 0;

    (void)state;
    px_open(&x, plain, NULL, NULL);
    int c = open_tunnel(&x, &s);
    assert_int_equal(fcntl(s, F_SETFL, O_NONBLOCK), 0);
    while (can_write(s)) {
        ssize_t n = send(s, block, sizeof(block), MSG_NOSIGNAL);
        sent += n > 0 ? (size_t)n : 0;
        assert_true(sent < 64u * 1024 * 1024);
    }
    int c2 = open_tunnel(&x, &s2);
    px_send(c2, "ping");
    assert_string_equal(px_read(s2, "ping"), "ping");
    (void)close(c2);
    (void)close(s2);
    /* Once it reads, everything is there. */
    size_t got = 0;
    (void)shutdown(s, SHUT_WR);
    for (ssize_t n; (n = recv(c, block, sizeof(block), 0)) > 0;)
        got += (size_t)n;
    assert_int_equal(got, sent);
    (void)close(c);
    (void)close(s);
    px_close(&x);
}

static void test_reset_is_passed_on(void **state)
{
    struct linger now = { .l_onoff = 1 };
    struct px x;
    int s;

    (void)state;
    px_open(&x, plain, NULL, NULL);
    int c = open_tunnel(&x, &s);
    px_send(s, "hello");
    (void)px_read(c, "hello");
    assert_int_equal(setsockopt(s, SOL_SOCKET, SO_LINGER, &now, sizeof(now)), 0);
    (void)close(s);
    px_expect_reset(c);
    px_close(&x);
}

static void test_rate(void **state)
{
    struct proxy_settings settings = { .bytes_per_second = 400000 };
    static char block[65536];
    struct px x;
    int s;

    (void)state;
    px_open(&x, settings, NULL, NULL);
    int c = open_tunnel(&x, &s);
    struct sender to = { s, 300000, 1 };
    pthread_t t;
    uint64_t start = clock_now_ns();
    assert_int_equal(pthread_create(&t, NULL, send_all, &to), 0);
    size_t got = 0;
    for (ssize_t n; (n = recv(c, block, sizeof(block), 0)) > 0;)
        got += (size_t)n;
    assert_int_equal(got, 300000);
    /* A quarter of a second's share may go at once: (300000 - 100000) / 400000 = 0.5 s. */
    assert_true(clock_now_ns() - start > 400000000u);
    assert_true(clock_now_ns() - start < 3000000000u);
    (void)pthread_join(t, NULL);
    (void)close(c);
    (void)close(s);
    px_close(&x);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_both_ways),
        cmocka_unit_test(test_never_reads),
        cmocka_unit_test(test_reset_is_passed_on),
        cmocka_unit_test(test_rate),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
