/* SPDX-License-Identifier: Apache-2.0 */
/* test_http.c - downloads against a local server. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/fd.h"
#include "oci/http.h"
#include "tests/support/web.h"

static struct web web;
static unsigned flaky;

static void answer(struct web *w, const char *path, char *out, size_t cap)
{
    char location[96];

    if (strcmp(path, "/ok") == 0 || strcmp(path, "/r0") == 0) {
        web_answer(out, cap, "200 OK", "", "hello");
    } else if (strncmp(path, "/r", 2) == 0) { /* /r3 -> /r2 -> ... */
        (void)snprintf(location, sizeof(location), "Location: /r%d\r\n", path[2] - '0' - 1);
        web_answer(out, cap, "302 Found", location, "moved");
    } else if (strcmp(path, "/file") == 0) {
        web_answer(out, cap, "302 Found", "Location: file:///etc/passwd\r\n", "");
    } else if (strcmp(path, "/flaky") == 0 && ++flaky < HTTP_TRIES_MAX) {
        web_answer(out, cap, "503 Busy", "", "later");
    } else if (strcmp(path, "/flaky") == 0) {
        web_answer(out, cap, "200 OK", "", "at last");
    } else if (strcmp(path, "/short") == 0) {
        (void)snprintf(out, cap, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf");
    } else {
        web_answer(out, cap, "404 Not Found", "", "no such thing");
    }
    (void)w;
}

struct one {
    struct http_job job;
    struct http_args args;
    char url[128];
    int fd;
    isol8_error err;
};

static int fetch(struct one *o, const char *path, uint64_t max)
{
    (void)snprintf(o->url, sizeof(o->url), "http://127.0.0.1:%u%s", web.port, path);
    o->fd = fd_memfd("body", NULL, 0);
    o->job = (struct http_job){ .url = o->url, .out_fd = o->fd, .max_bytes = max };
    return http_fetch(&o->job, 1, &o->args, &o->err);
}

static void expect_body(struct one *o, const char *body)
{
    auto_buf struct buf b = BUF_INIT(4096);

    assert_int_equal(lseek(o->fd, 0, SEEK_SET), 0);
    assert_int_equal(fd_read_all(o->fd, &b), 0);
    assert_string_equal(buf_text(&b), body);
    assert_int_equal(o->job.bytes, strlen(body));
    o->fd = fd_close(o->fd);
}

static void test_ok(void **state)
{
    struct one o = { .args = { .cancel_fd = -1, .auth = "Authorization: Bearer t" } };

    (void)state;
    assert_int_equal(fetch(&o, "/ok", 5), 0); /* exactly the ceiling */
    assert_int_equal(o.job.status, 200);
    expect_body(&o, "hello");
    assert_non_null(strstr(web.last_head, "Authorization: Bearer t"));
}

static void test_too_large(void **state)
{
    struct one o = { .args = { .cancel_fd = -1 } };

    (void)state;
    assert_int_equal(fetch(&o, "/ok", 4), ISOL8_E_LIMIT);
    (void)fd_close(o.fd);
}

static void test_status(void **state)
{
    struct one o = { .args = { .cancel_fd = -1 } };

    (void)state;
    assert_int_equal(fetch(&o, "/none", 100), 0);
    assert_int_equal(o.job.status, 404);
    expect_body(&o, ""); /* an error's text is no body */
}

static void test_redirects(void **state)
{
    struct one o = { .args = { .cancel_fd = -1 } };

    (void)state;
    assert_int_equal(fetch(&o, "/r5", 100), 0);
    expect_body(&o, "hello");
    assert_int_equal(fetch(&o, "/r6", 100), ISOL8_E_NETWORK);
    (void)fd_close(o.fd);
    assert_int_equal(fetch(&o, "/file", 100), ISOL8_E_NETWORK);
    (void)fd_close(o.fd);
}

static void test_tries(void **state)
{
    struct one o = { .args = { .cancel_fd = -1 } };

    (void)state;
    flaky = 0;
    assert_int_equal(fetch(&o, "/flaky", 100), 0);
    expect_body(&o, "at last");
    web.requests = 0;
    assert_int_equal(fetch(&o, "/short", 100), ISOL8_E_NETWORK);
    assert_int_equal(web.requests, HTTP_TRIES_MAX);
    (void)fd_close(o.fd);
}

static void test_many(void **state)
{
    enum { N = 3 * HTTP_PARALLEL_MAX };
    struct http_job jobs[N];
    struct http_args args = { .cancel_fd = -1 };
    char url[64];

    (void)state;
    (void)snprintf(url, sizeof(url), "http://127.0.0.1:%u/ok", web.port);
    for (size_t i = 0; i < N; i++)
        jobs[i] = (struct http_job){ .url = url, .out_fd = fd_memfd("b", NULL, 0), .max_bytes = 9 };
    assert_int_equal(http_fetch(jobs, N, &args, NULL), 0);
    for (size_t i = 0; i < N; i++) {
        assert_int_equal(jobs[i].bytes, 5);
        assert_memory_equal(jobs[i].sha512, jobs[0].sha512, 64);
        (void)fd_close(jobs[i].out_fd);
    }
}

static void test_disk_full(void **state)
{
    struct one o = { .args = { .cancel_fd = -1 } };
    struct http_args args = { .cancel_fd = -1 };
    int fd = open("/dev/full", O_WRONLY | O_CLOEXEC);

    (void)state;
    (void)snprintf(o.url, sizeof(o.url), "http://127.0.0.1:%u/ok", web.port);
    o.job = (struct http_job){ .url = o.url, .out_fd = fd, .max_bytes = 9 };
    /* ftruncate() on a device fails first, with EINVAL: either way a system error. */
    assert_int_equal(http_fetch(&o.job, 1, &args, &o.err), ISOL8_E_SYS);
    (void)fd_close(fd);
}

static void test_cancel(void **state)
{
    struct one o = { .args = { .cancel_fd = -1 } };
    int ends[2];

    (void)state;
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    assert_int_equal(write(ends[1], "x", 1), 1);
    o.args.cancel_fd = ends[0];
    assert_int_equal(fetch(&o, "/ok", 100), ISOL8_E_CANCELLED);
    (void)fd_close(o.fd);
    (void)fd_close(ends[0]);
    (void)fd_close(ends[1]);
}

static void test_bad_addresses(void **state)
{
    static const char *const bad[] = { "file:///etc/passwd", "ftp://127.0.0.1/", "", "x" };
    struct http_args args = { .cancel_fd = -1 };

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        int fd = fd_memfd("b", NULL, 0);
        struct http_job job = { .url = bad[i], .out_fd = fd, .max_bytes = 9 };
        assert_int_equal(http_fetch(&job, 1, &args, NULL), ISOL8_E_INVAL);
        (void)fd_close(fd);
    }
}

static void test_redact(void **state)
{
    char out[64];

    (void)state;
    http_redact("https://user:p@ss@h.example/a@b", out, sizeof(out));
    assert_string_equal(out, "https://h.example/a@b");
    http_redact("https://h.example/", out, sizeof(out));
    assert_string_equal(out, "https://h.example/");
}

static int open_web(void **state)
{
    (void)state;
    web_open(&web, answer);
    return 0;
}

static int close_web(void **state)
{
    (void)state;
    web_close(&web);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ok),
        cmocka_unit_test(test_too_large),
        cmocka_unit_test(test_status),
        cmocka_unit_test(test_redirects),
        cmocka_unit_test(test_tries),
        cmocka_unit_test(test_many),
        cmocka_unit_test(test_disk_full),
        cmocka_unit_test(test_cancel),
        cmocka_unit_test(test_bad_addresses),
        cmocka_unit_test(test_redact),
    };

    return cmocka_run_group_tests(tests, open_web, close_web);
}
