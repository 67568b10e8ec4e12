/* SPDX-License-Identifier: Apache-2.0 */
/* bench_serve.c - a server under measurement, and plain clients of it. */
#include "tests/bench/bench_serve.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "tests/bench/bench.h"

enum { REQUEST_MAX = 4096, ANSWER_MAX = 65536, PATIENCE_MS = 30000 };

int serve_open(void)
{
    struct sockaddr_in a = { .sin_family = AF_INET,
                             .sin_port = htons(SERVE_PORT),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd >= 0 && connect(fd, (struct sockaddr *)&a, sizeof(a)) < 0)
        return fd_close(fd);
    return fd;
}

bool serve_send(int fd, const char *method, const char *path, const char *body)
{
    char text[REQUEST_MAX];
    size_t size = body == NULL ? 0 : strlen(body);
    int n = snprintf(text, sizeof(text),
                     "%s %s HTTP/1.1\r\nHost: x\r\nAuthorization: bench\r\n"
                     "Content-Length: %zu\r\n\r\n%s",
                     method, path, size, body == NULL ? "" : body);

    return send(fd, text, (size_t)n, MSG_NOSIGNAL) == n;
}

int serve_read(int fd)
{
    char text[ANSWER_MAX];
    size_t len = 0, want = sizeof(text);
    int status = -1;

    while (len < want && len < sizeof(text) - 1) {
        ssize_t got = read(fd, text + len, sizeof(text) - 1 - len);
        if (got <= 0)
            return -1;
        len += (size_t)got;
        text[len] = '\0';
        const char *end = strstr(text, "\r\n\r\n");
        const char *length = strstr(text, "Content-Length: ");
        if (end != NULL && length != NULL)
            want = (size_t)(end + 4 - text) + strtoul(length + 16, NULL, 10);
    }
    return sscanf(text, "HTTP/1.1 %d", &status) == 1 ? status : -1;
}

bool serve_execute(int fd, const char *body)
{
    return serve_send(fd, "POST", "/execute", body) && serve_read(fd) == 200;
}

static bool is_ready(void)
{
    int fd = serve_open();
    bool is = fd >= 0 && serve_send(fd, "GET", "/ready", NULL) && serve_read(fd) == 200;

    (void)fd_close(fd);
    return is;
}

void serve_start(struct serve *s, const char *program, const char *config)
{
    char file[] = "/tmp/isol8-bench-XXXXXX", port[16];
    const struct timespec pause = { .tv_nsec = 1000000 };
    int conf = mkstemp(file);
    isol8_error err;

    (void)snprintf(port, sizeof(port), "%d", SERVE_PORT);
    if (conf < 0 || fd_write_all(conf, config, strlen(config)) < 0)
        bench_die("cannot write the configuration", NULL);
    (void)fd_close(conf);
    const char *argv[] = { program, "--port", port, "--key", "bench", "--config", file, NULL };
    struct proc_args args = PROC_ARGS_INIT;
    args.file = program;
    args.argv = argv;
    args.stdio[2] = STDERR_FILENO;
    uint64_t start_ns = clock_now_ns();
    if (proc_spawn(&args, &s->pidfd, &s->pid, &err) < 0)
        bench_die(program, &err);
    /* It listens before it prepares, and answers afterwards. */
    while (!is_ready()) {
        if (clock_now_ns() - start_ns > PATIENCE_MS * UINT64_C(1000000))
            bench_die("the server does not get ready", NULL);
        (void)nanosleep(&pause, NULL);
    }
    s->ready_ms = (double)(clock_now_ns() - start_ns) / 1e6;
    (void)unlink(file);
}

void serve_stop(struct serve *s)
{
    isol8_error err;

    (void)pidfd_send_signal(s->pidfd, SIGTERM, NULL, 0);
    int code = proc_wait(s->pidfd, &err);
    if (code != 0) {
        fprintf(stderr, "bench: the server ended with %d\n", code);
        exit(1);
    }
    s->pidfd = fd_close(s->pidfd);
}
