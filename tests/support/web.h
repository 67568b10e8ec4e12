/* SPDX-License-Identifier: Apache-2.0 */
/* web.h - a web server for tests: one answer per connection, in a thread, on 127.0.0.1. */
#ifndef TESTS_SUPPORT_WEB_H
#define TESTS_SUPPORT_WEB_H

#include <arpa/inet.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/support/test.h"

struct web {
    int fd;
    unsigned port;
    pthread_t thread;
    unsigned requests;
    char last_head[4096];
    /* Writes a whole answer, status line included, into @out. */
    void (*answer)(struct web *w, const char *path, char *out, size_t cap);
};

static inline void *web_serve(void *user)
{
    struct web *w = user;
    char path[512], out[8192];

    for (int c; (c = accept4(w->fd, NULL, NULL, SOCK_CLOEXEC)) >= 0; (void)close(c)) {
        ssize_t n = recv(c, w->last_head, sizeof(w->last_head) - 1, 0);
        w->last_head[n > 0 ? n : 0] = '\0';
        if (sscanf(w->last_head, "GET %511s", path) != 1)
            continue;
        w->requests++;
        w->answer(w, path, out, sizeof(out));
        (void)send(c, out, strlen(out), MSG_NOSIGNAL);
    }
    return NULL;
}

static inline void web_open(struct web *w,
                            void (*answer)(struct web *, const char *, char *, size_t))
{
    struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t n = sizeof(a);

    *w = (struct web){ .answer = answer };
    w->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(w->fd >= 0);
    assert_int_equal(bind(w->fd, (struct sockaddr *)&a, sizeof(a)), 0);
    assert_int_equal(listen(w->fd, 16), 0);
    assert_int_equal(getsockname(w->fd, (struct sockaddr *)&a, &n), 0);
    w->port = ntohs(a.sin_port);
    assert_int_equal(setenv("no_proxy", "127.0.0.1", 1), 0);
    assert_int_equal(pthread_create(&w->thread, NULL, web_serve, w), 0);
}

static inline void web_close(struct web *w)
{
    (void)shutdown(w->fd, SHUT_RDWR); /* wakes accept() */
    (void)pthread_join(w->thread, NULL);
    (void)close(w->fd);
}

static inline void web_answer(char *out, size_t cap, const char *status, const char *headers,
                              const char *body)
{
    (void)snprintf(out, cap, "HTTP/1.1 %s\r\nConnection: close\r\nContent-Length: %zu\r\n%s\r\n%s",
                   status, strlen(body), headers, body);
}

#endif
