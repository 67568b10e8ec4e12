/* SPDX-License-Identifier: Apache-2.0 */
/* it.c - what the integration tests share. */
#include "tests/integration/it.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static isol8_host *host;
static char cgroup_parent[64];
static isol8_file guest;

int it_open(void **state)
{
    isol8_host_options opts;
    isol8_error err;

    (void)state;
    (void)snprintf(cgroup_parent, sizeof(cgroup_parent), "isol8-it-%d", (int)getpid());
    isol8_host_options_init(&opts);
    opts.cgroup_parent = cgroup_parent;
    if (isol8_host_open(&host, &opts, &err) < 0) {
        (void)fprintf(stderr, "cannot open a host: %s\n", err.msg);
        return -1;
    }
    return 0;
}

int it_close(void **state)
{
    (void)state;
    isol8_host_free(host);
    host = NULL;
    free((void *)guest.data);
    guest = (isol8_file){ 0 };
    return 0;
}

isol8_host *it_host(void)
{
    return host;
}

const char *it_cgroup_parent(void)
{
    return cgroup_parent;
}

isol8_options it_options(void)
{
    isol8_options o;

    isol8_options_init(&o);
    o.image = "host";
    return o;
}

isol8_request it_cmd(const char *cmd)
{
    isol8_request rq;

    isol8_request_init(&rq);
    rq.runtime = "bash";
    rq.cmd = cmd;
    return rq;
}

isol8_engine *it_engine(const isol8_options *o)
{
    isol8_options defaults = it_options();
    isol8_engine *e = NULL;
    isol8_error err = { 0 };

    if (isol8_create(&e, host, o == NULL ? &defaults : o, &err) < 0)
        fail_msg("isol8_create: %s", err.msg);
    return e;
}

isol8_result *it_execute(const isol8_options *o, const isol8_request *rq)
{
    auto_engine isol8_engine *e = it_engine(o);
    isol8_result *res = NULL;
    isol8_error err = { 0 };

    if (isol8_execute(e, rq, &res, &err) < 0)
        fail_msg("isol8_execute: %s", err.msg);
    return res;
}

int it_refused(const isol8_options *o, const isol8_request *rq, isol8_error *err)
{
    auto_engine isol8_engine *e = it_engine(o);
    auto_result isol8_result *res = NULL;
    int r = isol8_execute(e, rq, &res, err);

    assert_true(r < 0);
    assert_int_equal(r, err->status);
    assert_null(res);
    return r;
}

isol8_result *it_on(isol8_engine *e, const char *cmd)
{
    isol8_request rq = it_cmd(cmd);
    isol8_result *res = NULL;
    isol8_error err = { 0 };

    if (isol8_execute(e, &rq, &res, &err) < 0)
        fail_msg("%s: %s", cmd, err.msg);
    return res;
}

void it_says(isol8_engine *e, const char *cmd, const char *out)
{
    auto_result isol8_result *res = it_on(e, cmd);

    it_expect_out(res, ISOL8_VERDICT_OK, 0, out);
}

isol8_result *it_run(const char *cmd)
{
    isol8_request rq = it_cmd(cmd);

    return it_execute(NULL, &rq);
}

const isol8_file *it_guest_file(void)
{
    if (guest.data == NULL) {
        const char *path = getenv("ISOL8_GUEST");
        assert_non_null(path);
        guest.path = "guest";
        guest.data = it_read_file(path, &guest.size);
    }
    return &guest;
}

void it_guest_cmd(char *out, size_t n, const char *args)
{
    int len = snprintf(out, n, "cp guest g && chmod +x g && exec ./g %s", args);

    assert_true(len > 0 && (size_t)len < n);
}

isol8_result *it_guest(const isol8_options *o, const char *args)
{
    char cmd[1024] = "";
    isol8_request rq = it_cmd(cmd);

    it_guest_cmd(cmd, sizeof(cmd), args);
    rq.files = it_guest_file();
    rq.n_files = 1;
    return it_execute(o, &rq);
}

void it_expect(const isol8_result *res, enum isol8_verdict verdict, int exit_code)
{
    if (isol8_result_verdict(res) == verdict && isol8_result_exit_code(res) == exit_code)
        return;
    fail_msg("expected %s %d, got %s %d (%s)\nstdout: %.2000s\nstderr: %.2000s",
             isol8_verdict_name(verdict), exit_code, isol8_verdict_name(isol8_result_verdict(res)),
             isol8_result_exit_code(res), isol8_result_detail(res), isol8_result_stdout(res, NULL),
             isol8_result_stderr(res, NULL));
}

void it_expect_out(const isol8_result *res, enum isol8_verdict verdict, int exit_code,
                   const char *out)
{
    it_expect(res, verdict, exit_code);
    assert_string_equal(isol8_result_stdout(res, NULL), out);
}

/* ---- A run watched while it goes on -----------------------------------------------------------
 */

void it_watch_start(struct it_watch *w, const isol8_options *o, const isol8_request *rq)
{
    isol8_error err = { 0 };

    *w = (struct it_watch){ .engine = it_engine(o) };
    for (int i = 0; i < 2; i++) {
        w->text[i] = calloc(1, IT_TEXT_MAX + 1);
        assert_non_null(w->text[i]);
    }
    if (isol8_run_start(w->engine, rq, ISOL8_RUN_CAPTURE, &w->run, &err) < 0)
        fail_msg("isol8_run_start: %s", err.msg);
}

static void keep_text(struct it_watch *w, int i, const isol8_event *ev)
{
    size_t room = IT_TEXT_MAX - w->size[i];
    size_t n = ev->size < room ? ev->size : room;

    memcpy(w->text[i] + w->size[i], ev->data, n);
    w->size[i] += n;
    w->n_markers += ev->is_marker;
}

static void take_event(struct it_watch *w, const isol8_event *ev)
{
    assert_int_equal(ev->phase, ISOL8_PHASE_CODE);
    if (w->n_events < IT_EVENTS_MAX)
        w->types[w->n_events++] = ev->type;
    if (ev->type == ISOL8_EVENT_STDOUT || ev->type == ISOL8_EVENT_STDERR)
        keep_text(w, ev->type == ISOL8_EVENT_STDERR, ev);
    else if (ev->type == ISOL8_EVENT_EXIT)
        (void)snprintf(w->exit_text, sizeof(w->exit_text), "%.*s", (int)ev->size, ev->data);
    else
        (void)snprintf(w->error_text, sizeof(w->error_text), "%.*s", (int)ev->size, ev->data);
}

/* One event, or a wait for one. False: the run has ended. */
static bool watch_once(struct it_watch *w)
{
    struct pollfd p = { .fd = isol8_run_fd(w->run), .events = POLLIN };
    isol8_event ev;
    isol8_error err = { 0 };

    if (isol8_run_done(w->run))
        return false;
    int r = isol8_run_next(w->run, &ev, &err);
    if (r < 0)
        fail_msg("isol8_run_next: %s", err.msg);
    if (r == 1)
        take_event(w, &ev);
    else if (!isol8_run_done(w->run))
        assert_int_equal(poll(&p, 1, 60000), 1);
    return true;
}

void it_watch_until(struct it_watch *w, const char *text)
{
    while (strstr(w->text[0], text) == NULL) {
        if (!watch_once(w))
            fail_msg("the run ended without '%s'\nstdout: %.2000s\nstderr: %.2000s", text,
                     w->text[0], w->text[1]);
    }
}

void it_watch_to_end(struct it_watch *w)
{
    while (watch_once(w))
        continue;
}

isol8_result *it_watch_finish(struct it_watch *w)
{
    isol8_result *res = NULL;
    isol8_error err = { 0 };

    it_watch_to_end(w);
    if (isol8_run_finish(w->run, &res, &err) < 0)
        fail_msg("isol8_run_finish: %s", err.msg);
    isol8_free(w->engine);
    free(w->text[0]);
    free(w->text[1]);
    return res;
}

/* ---- The machine --------------------------------------------------------------------------------
 */

size_t it_count_sandboxes(char id[65])
{
    char path[300];
    const struct dirent *e;
    size_t n = 0;

    (void)snprintf(path, sizeof(path), "%s/sandboxes", getenv("ISOL8_STATE_ROOT"));
    DIR *dir = opendir(path);
    while (dir != NULL && (e = readdir(dir)) != NULL) {
        if (e->d_name[0] == '.')
            continue;
        if (id != NULL)
            (void)snprintf(id, 65, "%s", e->d_name);
        n++;
    }
    if (dir != NULL)
        (void)closedir(dir);
    return n;
}

void it_until_sandboxes(size_t n)
{
    double end = it_seconds() + 30;

    while (it_count_sandboxes(NULL) != n) {
        if (it_seconds() > end)
            fail_msg("there are %zu sandboxes, not %zu", it_count_sandboxes(NULL), n);
        (void)usleep(2000);
    }
}

size_t it_count_fds(void)
{
    DIR *dir = opendir("/proc/self/fd");
    size_t n = 0;

    assert_non_null(dir);
    while (readdir(dir) != NULL)
        n++;
    assert_int_equal(closedir(dir), 0);
    return n;
}

double it_seconds(void)
{
    struct timespec t;

    assert_int_equal(clock_gettime(CLOCK_MONOTONIC, &t), 0);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

char *it_noise(size_t n, unsigned seed)
{
    char *p = malloc(n + 1);
    uint32_t x = 2463534242u ^ seed;

    assert_non_null(p);
    for (size_t i = 0; i < n; i++) { /* xorshift32 */
        x ^= x << 13;
        x ^= x >> 17;
        x ^= x << 5;
        p[i] = (char)(x >> 24);
    }
    p[n] = '\0';
    return p;
}

char *it_read_file(const char *path, size_t *n)
{
    FILE *f = fopen(path, "re");
    size_t cap = 1 << 16, len = 0, got;
    char *p = malloc(cap + 1);

    if (f == NULL || p == NULL)
        fail_msg("cannot read %s", path);
    while ((got = fread(p + len, 1, cap - len, f)) > 0) {
        len += got;
        if (len == cap) {
            cap *= 2;
            p = realloc(p, cap + 1);
            assert_non_null(p);
        }
    }
    (void)fclose(f);
    p[len] = '\0';
    *n = len;
    return p;
}

int it_leave_the_machine(void)
{
    struct ifreq lo = { .ifr_name = "lo", .ifr_flags = IFF_UP };
    char path[256];

    if (unshare(CLONE_NEWNET | CLONE_NEWNS) < 0 ||
        mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
        return -1;
    (void)snprintf(path, sizeof(path), "%s/resolv.conf", getenv("ISOL8_TEST_DIR"));
    FILE *f = fopen(path, "we");
    if (f == NULL || fputs("nameserver 127.0.0.1\n", f) < 0 || fclose(f) != 0 ||
        mount(path, "/etc/resolv.conf", NULL, MS_BIND, NULL) < 0)
        return -1;
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    int r = ioctl(fd, SIOCSIFFLAGS, &lo);
    (void)close(fd);
    return r;
}

int it_local_socket(int type, uint16_t port)
{
    struct sockaddr_in a = { .sin_family = AF_INET,
                             .sin_port = htons(port),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    int on = 1;
    int fd = socket(AF_INET, type | SOCK_CLOEXEC, 0);

    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0 ||
        bind(fd, (struct sockaddr *)&a, sizeof(a)) < 0 ||
        (type == SOCK_STREAM && listen(fd, 256) < 0))
        return -1;
    return fd;
}
