/* SPDX-License-Identifier: Apache-2.0 */
/* bench_origin.c - the servers behind a proxy under test, each a process of its own. */
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/bench/bench.h"
#include "tests/bench/bench_net.h"

enum { CONNECTIONS_MAX = 8192, HEAD_MAX = 2048, PIECE = 256 * 1024, BATCH = 64 };

int net_listen(uint16_t *port)
{
    struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t n = sizeof(a);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0 || bind(fd, (struct sockaddr *)&a, sizeof(a)) < 0 || listen(fd, 4096) < 0 ||
        getsockname(fd, (struct sockaddr *)&a, &n) < 0)
        bench_die("listen", NULL);
    *port = ntohs(a.sin_port);
    return fd;
}

static void die_with_parent(void)
{
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    (void)signal(SIGPIPE, SIG_IGN);
}

/* ---- Small answers ------------------------------------------------------------------------- */

struct head {
    size_t n;
    char text[HEAD_MAX + 1];
};

static struct head *heads[CONNECTIONS_MAX]; /* by descriptor; zeroed when one is opened */

static bool open_one(int epoll_fd, int listener)
{
    int on = 1, fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    struct epoll_event ev = { .events = EPOLLIN, .data.fd = fd };

    if (fd < 0 || fd >= CONNECTIONS_MAX)
        return false;
    if (heads[fd] == NULL)
        heads[fd] = malloc(sizeof(struct head));
    if (heads[fd] == NULL || epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &ev) < 0)
        return false;
    heads[fd]->n = 0;
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    return true;
}

/* False: the connection is over. */
static bool answer(int fd)
{
    static const char body[] = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
                               "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
    struct head *h = heads[fd];
    char out[512];

    ssize_t n = recv(fd, h->text + h->n, HEAD_MAX - h->n, 0);
    if (n <= 0)
        return false;
    h->n += (size_t)n;
    h->text[h->n] = '\0';
    if (strstr(h->text, "\r\n\r\n") == NULL)
        return h->n < HEAD_MAX;
    bool closes = strcasestr(h->text, "\r\nconnection: close\r\n") != NULL;
    h->n = 0;
    int len = snprintf(out, sizeof(out),
                       "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %zu\r\n"
                       "%s\r\n%s",
                       sizeof(body) - 1, closes ? "Connection: close\r\n" : "", body);
    return send(fd, out, (size_t)len, MSG_NOSIGNAL) == len && !closes;
}

static int serve_http(void *user)
{
    int listener = *(int *)user, epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event ev = { .events = EPOLLIN, .data.fd = listener }, batch[BATCH];

    die_with_parent();
    if (epoll_fd < 0 || epoll_ctl(epoll_fd, EPOLL_CTL_ADD, listener, &ev) < 0)
        return 1;
    for (;;) {
        int n = epoll_wait(epoll_fd, batch, BATCH, -1);
        for (int i = 0; i < n; i++) {
            int fd = batch[i].data.fd;
            if (fd == listener && !open_one(epoll_fd, listener))
                return 1;
            if (fd != listener && !answer(fd))
                (void)close(fd);
        }
    }
}

/* ---- Many bytes ---------------------------------------------------------------------------- */

struct bulk {
    int listener;
    uint64_t bytes;
};

static int serve_bulk(void *user)
{
    static char piece[PIECE];
    const struct bulk *b = user;

    die_with_parent();
    memset(piece, 'x', sizeof(piece));
    for (;;) {
        char one;
        int fd = accept4(b->listener, NULL, NULL, SOCK_CLOEXEC);
        if (fd < 0)
            return 1;
        uint64_t left = recv(fd, &one, 1, 0) == 1 ? b->bytes : 0;
        while (left > 0) {
            ssize_t n = send(fd, piece, left < PIECE ? (size_t)left : PIECE, MSG_NOSIGNAL);
            if (n <= 0)
                break;
            left -= (uint64_t)n;
        }
        (void)close(fd);
    }
}

/* -------------------------------------------------------------------------------------------- */

void origin_start(struct origin *o, uint64_t bulk_bytes)
{
    int http = net_listen(&o->http_port);
    struct bulk bulk = { .listener = net_listen(&o->bulk_port), .bytes = bulk_bytes };
    isol8_error err;

    if (proc_fork(serve_http, &http, &o->pidfds[0], NULL, &err) < 0 ||
        proc_fork(serve_bulk, &bulk, &o->pidfds[1], NULL, &err) < 0)
        bench_die("fork", &err);
    (void)fd_close(http);
    (void)fd_close(bulk.listener);
}

void origin_stop(struct origin *o)
{
    for (int i = 0; i < 2; i++) {
        proc_kill(o->pidfds[i]);
        (void)proc_wait(o->pidfds[i], NULL);
        o->pidfds[i] = fd_close(o->pidfds[i]);
    }
}
