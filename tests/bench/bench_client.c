/* SPDX-License-Identifier: Apache-2.0 */
/* bench_client.c - the client in front of a proxy under test; the same for all of them. */
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/bench/bench.h"
#include "tests/bench/bench_net.h"

enum { AT_ONCE = 16, TEXT_MAX = 2048, PIECE = 256 * 1024, PATIENCE_S = 20 };

int client_connect(uint16_t port)
{
    struct sockaddr_in a = { .sin_family = AF_INET,
                             .sin_port = htons(port),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    struct timeval patience = { .tv_sec = PATIENCE_S };
    int on = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0 || setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) < 0 ||
        setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)) < 0 ||
        connect(fd, (struct sockaddr *)&a, sizeof(a)) < 0)
        bench_die("connect", NULL);
    return fd;
}

static void send_text(int fd, const char *text)
{
    if (send(fd, text, strlen(text), MSG_NOSIGNAL) != (ssize_t)strlen(text))
        bench_die("send", NULL);
}

int client_tunnel(uint16_t proxy, const char *host, uint16_t port)
{
    char text[TEXT_MAX];
    size_t n = 0;

    if (proxy == 0)
        return client_connect(port);
    int fd = client_connect(proxy);
    (void)snprintf(text, sizeof(text), "CONNECT %s:%u HTTP/1.1\r\nHost: %s:%u\r\n\r\n", host, port,
                   host, port);
    send_text(fd, text);
    do {
        ssize_t r = recv(fd, text + n, sizeof(text) - 1 - n, 0);
        if (r <= 0)
            bench_die("CONNECT", NULL);
        n += (size_t)r;
        text[n] = '\0';
    } while (strstr(text, "\r\n\r\n") == NULL);
    if (strncmp(text, "HTTP/1.1 200", 12) != 0) {
        fprintf(stderr, "bench: CONNECT: %s\n", text);
        exit(1);
    }
    return fd;
}

static const char get[] = "GET / HTTP/1.1\r\nHost: origin\r\n\r\n";

void client_exchange(int fd)
{
    char text[TEXT_MAX];

    send_text(fd, get);
    if (recv(fd, text, sizeof(text), 0) <= 0) /* it is sent in one piece */
        bench_die("answer", NULL);
}

double client_first_byte(uint16_t proxy, const char *host, uint16_t port)
{
    uint64_t start = clock_now_ns();
    int fd = client_tunnel(proxy, host, port);
    client_exchange(fd);
    double us = (double)(clock_now_ns() - start) / 1e3;

    (void)close(fd);
    return us;
}

double client_download(int fd, uint64_t bytes)
{
    static char piece[PIECE];
    uint64_t got = 0, start = clock_now_ns();
    ssize_t n;

    send_text(fd, "x");
    while ((n = recv(fd, piece, sizeof(piece), 0)) > 0)
        got += (uint64_t)n;
    double s = (double)(clock_now_ns() - start) / 1e9;
    if (n < 0 || got != bytes)
        bench_die("download ended early", NULL);
    (void)close(fd);
    return (double)bytes / 1e9 / s;
}

/* ---- Many requests ------------------------------------------------------------------------- */

struct slot {
    int fd; /* -1: none */
    size_t n;
    char text[TEXT_MAX + 1];
};

struct load {
    int epoll_fd;
    uint16_t port;
    char request[256];
    bool keep_alive; /* asked for */
    bool is_kept;    /* as far as the server has shown */
    unsigned to_send, to_read;
    struct slot slots[AT_ONCE];
};

static void next_request(struct load *l, struct slot *s)
{
    struct epoll_event ev = { .events = EPOLLIN, .data.ptr = s };

    if (l->to_send == 0)
        return;
    l->to_send--;
    if (s->fd < 0) {
        s->fd = client_connect(l->port);
        if (epoll_ctl(l->epoll_fd, EPOLL_CTL_ADD, s->fd, &ev) < 0)
            bench_die("epoll", NULL);
    }
    s->n = 0;
    send_text(s->fd, l->request);
}

/* The whole answer is there. */
static bool is_whole(const struct slot *s)
{
    const char *end = strstr(s->text, "\r\n\r\n");
    const char *length = strcasestr(s->text, "content-length:");

    if (end == NULL)
        return false;
    if (strncmp(s->text + 8, " 200 ", 5) != 0 || length == NULL || length > end) {
        fprintf(stderr, "bench: answer: %s\n", s->text);
        exit(1);
    }
    return s->n >= (size_t)(end + 4 - s->text) + strtoul(length + 15, NULL, 10);
}

static bool says_close(const struct slot *s)
{
    return strncmp(s->text, "HTTP/1.0", 8) == 0 ||
           strcasestr(s->text, "\r\nconnection: close\r\n") != NULL;
}

/* The connection was closed under a request, without a word before: this server keeps none, and is
 * not tried again. */
static void on_closed(struct load *l, struct slot *s)
{
    if (!l->keep_alive || s->n > 0)
        bench_die("the answer ended early", NULL);
    s->fd = fd_close(s->fd);
    l->to_send++;
    l->is_kept = false;
    next_request(l, s);
}

static void on_readable(struct load *l, struct slot *s)
{
    ssize_t n = recv(s->fd, s->text + s->n, TEXT_MAX - s->n, 0);

    if (n <= 0) {
        on_closed(l, s);
        return;
    }
    s->n += (size_t)n;
    s->text[s->n] = '\0';
    if (!is_whole(s))
        return;
    l->to_read--;
    if (!l->is_kept || says_close(s))
        s->fd = fd_close(s->fd);
    next_request(l, s);
}

double client_requests(uint16_t proxy, uint16_t port, unsigned n, bool keep_alive)
{
    static struct load l;
    struct epoll_event batch[AT_ONCE];
    char host[32];

    l = (struct load){
        .keep_alive = keep_alive, .is_kept = keep_alive, .to_send = n, .to_read = n
    };
    l.port = proxy != 0 ? proxy : port;
    l.epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    (void)snprintf(host, sizeof(host), "127.0.0.1:%u", port);
    (void)snprintf(l.request, sizeof(l.request), "GET %s%s/ HTTP/1.1\r\nHost: %s\r\n%s\r\n",
                   proxy != 0 ? "http://" : "", proxy != 0 ? host : "", host,
                   keep_alive ? "" : "Connection: close\r\n");
    uint64_t start = clock_now_ns();
    for (int i = 0; i < AT_ONCE; i++) {
        l.slots[i].fd = -1;
        next_request(&l, &l.slots[i]);
    }
    while (l.to_read > 0) {
        int k = epoll_wait(l.epoll_fd, batch, AT_ONCE, PATIENCE_S * 1000);
        if (k <= 0)
            bench_die("no answer", NULL);
        for (int i = 0; i < k; i++)
            on_readable(&l, batch[i].data.ptr);
    }
    double s = (double)(clock_now_ns() - start) / 1e9;
    for (int i = 0; i < AT_ONCE; i++)
        (void)fd_close(l.slots[i].fd);
    (void)fd_close(l.epoll_fd);
    return n / s;
}
