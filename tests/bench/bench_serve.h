/* SPDX-License-Identifier: Apache-2.0 */
/* bench_serve.h - a server under measurement, and plain clients of it. */
#ifndef TESTS_BENCH_BENCH_SERVE_H
#define TESTS_BENCH_BENCH_SERVE_H

#include <stdbool.h>
#include <sys/types.h>

enum { SERVE_PORT = 38471 };

struct serve {
    int pidfd;
    pid_t pid;
    double ready_ms; /* from its start until GET /ready was answered with 200 */
};

/** Start isol8-server with a configuration (JSON) and wait until it is ready. */
void serve_start(struct serve *s, const char *program, const char *config);

/** SIGTERM, and wait; it must end with 0. */
void serve_stop(struct serve *s);

/** A connection; -1 when nobody listens. */
int serve_open(void);

/** Send a request and do not wait. @body NULL: none. */
bool serve_send(int fd, const char *method, const char *path, const char *body);

/** The whole answer, which must have a Content-Length. Return: its status; -1: none */
int serve_read(int fd);

/** POST /execute. True when it was answered with 200. */
bool serve_execute(int fd, const char *body);

#endif
