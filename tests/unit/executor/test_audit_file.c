/* SPDX-License-Identifier: Apache-2.0 */
/* test_audit_file.c - the files of the audit log: whole lines, rotation, retention, hostile names.
 */
#include "executor/audit_file.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/fd.h"
#include "tests/support/test.h"
#include "tests/support/tmpdir.h"

static int set_up(void **state)
{
    struct tmpdir *t = calloc(1, sizeof(*t));

    tmpdir_open(t);
    *state = t;
    return 0;
}

static int tear_down(void **state)
{
    tmpdir_close(*state);
    free(*state);
    return 0;
}

static void put(int dir, const char *name, const char *text, int days_old)
{
    struct timespec times[2] = { { .tv_sec = time(NULL) - days_old * 86400 } };

    times[1] = times[0];
    assert_int_equal(path_replace(dir, name, text, strlen(text), 0600, false, NULL), 0);
    assert_int_equal(utimensat(dir, name, times, 0), 0);
}

static void expect(int dir, const char *name, const char *expected)
{
    auto_buf struct buf text = BUF_INIT(0);

    if (expected == NULL) {
        assert_int_equal(faccessat(dir, name, F_OK, AT_SYMLINK_NOFOLLOW), -1);
        return;
    }
    assert_int_equal(path_read(dir, name, 1 << 20, &text, NULL), 0);
    assert_string_equal(buf_text(&text), expected);
}

static void append(int dir, const char *line, bool rotates)
{
    isol8_error err;
    bool rotated = !rotates;

    if (audit_file_append(dir, line, strlen(line), &rotated, &err) < 0)
        fail_msg("%s", err.msg);
    assert_int_equal(rotated, rotates);
}

static void day_name(int days_ago, const char *tail, char *out, size_t cap)
{
    char day[CLOCK_ISO_SIZE];

    clock_iso(clock_wall_ms() - (int64_t)days_ago * 86400000, day);
    (void)snprintf(out, cap, "executions-%.10s%s", day, tail);
}

static void test_appends(void **state)
{
    struct tmpdir *t = *state;

    append(t->fd, "one\n", false);
    append(t->fd, "two\n", false);
    expect(t->fd, AUDIT_FILE_NAME, "one\ntwo\n");
}

/* A writer that died in the middle of its line. */
static void test_torn_line(void **state)
{
    struct tmpdir *t = *state;

    put(t->fd, AUDIT_FILE_NAME, "one\n{\"torn", 0);
    append(t->fd, "two\n", false);
    expect(t->fd, AUDIT_FILE_NAME, "one\n{\"torn\ntwo\n");
}

static void test_rotation(void **state)
{
    struct tmpdir *t = *state;
    char name[64], second[64];

    day_name(2, ".log", name, sizeof(name));
    day_name(2, ".2.log", second, sizeof(second));
    put(t->fd, AUDIT_FILE_NAME, "old\n", 2);
    append(t->fd, "new\n", true);
    append(t->fd, "newer\n", false);
    expect(t->fd, AUDIT_FILE_NAME, "new\nnewer\n");
    expect(t->fd, name, "old\n");

    /* A name that is taken, for instance by a link, is not replaced. */
    put(t->fd, AUDIT_FILE_NAME, "again\n", 2);
    assert_int_equal(audit_file_rotate(t->fd, NULL), 0);
    expect(t->fd, AUDIT_FILE_NAME, NULL);
    expect(t->fd, name, "old\n");
    expect(t->fd, second, "again\n");
    assert_int_equal(audit_file_rotate(t->fd, NULL), 0);
    put(t->fd, AUDIT_FILE_NAME, "", 5);     /* an empty file says nothing of a day */
    put(t->fd, AUDIT_FILE_NAME, "x\n", -1); /* and the clock may have been set back */
    append(t->fd, "y\n", false);
}

static void test_retention(void **state)
{
    struct tmpdir *t = *state;
    size_t removed;

    put(t->fd, "executions-2020-01-01.log", "x", 91);
    put(t->fd, "other.jsonl", "x", 91);
    put(t->fd, "young.log", "x", 89);
    put(t->fd, "notes.txt", "x", 1000);
    put(t->fd, ".log", "x", 1000);
    put(t->fd, AUDIT_FILE_NAME, "x", 1000);
    assert_int_equal(mkdirat(t->fd, "dir.log", 0700), 0);
    assert_int_equal(symlinkat("young.log", t->fd, "link.log"), 0);
    struct timespec old[2] = { { .tv_sec = 1 }, { .tv_sec = 1 } };
    assert_int_equal(utimensat(t->fd, "dir.log", old, 0), 0);
    assert_int_equal(utimensat(t->fd, "link.log", old, AT_SYMLINK_NOFOLLOW), 0);
    assert_int_equal(audit_file_clean(t->fd, 90, &removed, NULL), 0);
    assert_int_equal(removed, 2);
    expect(t->fd, "executions-2020-01-01.log", NULL);
    expect(t->fd, "other.jsonl", NULL);
    expect(t->fd, "young.log", "x");
    expect(t->fd, "notes.txt", "x");
    expect(t->fd, ".log", "x");
    expect(t->fd, AUDIT_FILE_NAME, "x");
    assert_int_equal(faccessat(t->fd, "dir.log", F_OK, 0), 0);
    assert_int_equal(faccessat(t->fd, "link.log", F_OK, AT_SYMLINK_NOFOLLOW), 0);
    assert_int_equal(audit_file_clean(t->fd, 0.5, &removed, NULL), 0);
    assert_int_equal(removed, 1);
}

/* ---- Hostile names --------------------------------------------------------------------------- */

static void refuse(int dir, int status)
{
    isol8_error err = { 0 };
    bool rotated;

    assert_int_equal(audit_file_append(dir, "x\n", 2, &rotated, &err), status);
    assert_int_equal(err.status, status);
}

static void test_planted_file(void **state)
{
    struct tmpdir *t = *state;

    put(t->fd, "victim", "victim", 0);
    assert_int_equal(symlinkat("victim", t->fd, AUDIT_FILE_NAME), 0);
    refuse(t->fd, ISOL8_E_SYS);
    assert_true(audit_file_rotate(t->fd, NULL) < 0);
    expect(t->fd, "victim", "victim");
    assert_int_equal(unlinkat(t->fd, AUDIT_FILE_NAME, 0), 0);

    assert_int_equal(mkfifoat(t->fd, AUDIT_FILE_NAME, 0600), 0);
    refuse(t->fd, ISOL8_E_POLICY); /* and does not hang */
    assert_int_equal(unlinkat(t->fd, AUDIT_FILE_NAME, 0), 0);

    assert_int_equal(mkdirat(t->fd, AUDIT_FILE_NAME, 0700), 0);
    refuse(t->fd, ISOL8_E_SYS);
    assert_int_equal(unlinkat(t->fd, AUDIT_FILE_NAME, AT_REMOVEDIR), 0);

    if (geteuid() == 0) { /* somebody else's, who could read what is written */
        put(t->fd, AUDIT_FILE_NAME, "", 0);
        assert_int_equal(fchownat(t->fd, AUDIT_FILE_NAME, 65534, 65534, 0), 0);
        refuse(t->fd, ISOL8_E_POLICY);
    }
}

static void test_directories(void **state)
{
    struct tmpdir *t = *state;
    char path[200];

    assert_int_equal(audit_dir_open(t->fd, "a/b", false), -ENOENT);
    auto_close int made = audit_dir_open(t->fd, "./a//b/", true);
    assert_true(made >= 0);
    auto_close int again = audit_dir_open(t->fd, "a/b", false);
    assert_true(again >= 0);
    assert_int_equal(symlinkat("a", t->fd, "link"), 0);
    assert_int_equal(audit_dir_open(t->fd, "link", true), -ENOTDIR);
    assert_int_equal(audit_dir_open(t->fd, "link/b", true), -ENOTDIR);
    put(t->fd, "file", "", 0);
    assert_int_equal(audit_dir_open(t->fd, "file", true), -ENOTDIR);
    /* Whoever names an absolute path knows the machine's links. */
    (void)snprintf(path, sizeof(path), "%s/link/b", t->path);
    auto_close int through = audit_dir_open(-1, path, false);
    assert_true(through >= 0);
    (void)snprintf(path, sizeof(path), "%s/new/deep", t->path);
    assert_int_equal(audit_dir_open(-1, path, false), -ENOENT);
    auto_close int deep = audit_dir_open(-1, path, true);
    assert_true(deep >= 0);
    (void)snprintf(path, sizeof(path), "%s/file/deep", t->path);
    assert_int_equal(audit_dir_open(-1, path, true), -ENOTDIR);
}

/* The disk is full in the middle of a line: none of it stays. */
static void test_full(void **state)
{
    struct tmpdir *t = *state;
    struct rlimit old, small;
    isol8_error err;
    bool rotated;

    append(t->fd, "0123456789\n", false);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    small = (struct rlimit){ .rlim_cur = 15, .rlim_max = old.rlim_max };
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    int r = audit_file_append(t->fd, "abcdefghij\n", 11, &rotated, &err);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
    assert_int_equal(r, ISOL8_E_SYS);
    assert_string_equal(err.msg, "cannot append to 'executions.log': File too large");
    expect(t->fd, AUDIT_FILE_NAME, "0123456789\n");
    append(t->fd, "next\n", false);
    expect(t->fd, AUDIT_FILE_NAME, "0123456789\nnext\n");
}

/* ---- Many at once ---------------------------------------------------------------------------- */

enum { THREADS = 16, LINES = 60, LONG = 70000 };

struct writer {
    int dir;
    char letter;
};

/* Lines of one letter, every tenth a long one; now and then the file becomes an old one. */
static void *write_many(void *arg)
{
    const struct writer *w = arg;
    struct timespec yesterday[2] = { { .tv_sec = time(NULL) - 86400 } };
    char *line = malloc(LONG + 1);

    yesterday[1] = yesterday[0];
    for (int i = 0; i < LINES; i++) {
        size_t n = i % 10 == 0 ? LONG : 20;
        bool rotated;
        memset(line, w->letter, n);
        line[n - 1] = '\n';
        if (audit_file_append(w->dir, line, n, &rotated, NULL) < 0)
            abort();
        if (i % 20 == 7)
            (void)utimensat(w->dir, AUDIT_FILE_NAME, yesterday, 0);
    }
    free(line);
    return NULL;
}

static void write_with_threads(int dir, char first)
{
    pthread_t threads[THREADS];
    struct writer writers[THREADS];

    for (int i = 0; i < THREADS; i++) {
        writers[i] = (struct writer){ dir, (char)(first + i) };
        assert_int_equal(pthread_create(&threads[i], NULL, write_many, &writers[i]), 0);
    }
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
}

/* Count the lines of @name by letter; each must be whole. */
static void count_lines(int dir, const char *name, int counts[256])
{
    auto_buf struct buf text = BUF_INIT(0);
    size_t at = 0;

    assert_int_equal(path_read(dir, name, 256 << 20, &text, NULL), 0);
    while (at < text.len) {
        const char *p = text.data + at;
        const char *end = memchr(p, '\n', text.len - at);
        assert_non_null(end);
        size_t n = (size_t)(end - p);
        assert_true(n == 19 || n == LONG - 1);
        for (size_t i = 1; i < n; i++)
            assert_int_equal(p[i], p[0]);
        counts[(unsigned char)p[0]]++;
        at += n + 1;
    }
}

static void test_many_writers(void **state)
{
    struct tmpdir *t = *state;
    int counts[256] = { 0 };
    char name[64], tail[24];

    pid_t other = fork();
    if (other == 0) {
        write_with_threads(t->fd, 'A');
        _exit(0);
    }
    write_with_threads(t->fd, 'a');
    int status = -1;
    assert_int_equal(waitpid(other, &status, 0), other);
    assert_int_equal(status, 0);

    count_lines(t->fd, AUDIT_FILE_NAME, counts);
    day_name(1, ".log", name, sizeof(name));
    for (int i = 2; faccessat(t->fd, name, F_OK, 0) == 0; i++) {
        count_lines(t->fd, name, counts);
        (void)snprintf(tail, sizeof(tail), ".%d.log", i);
        day_name(1, tail, name, sizeof(name));
    }
    for (int i = 0; i < THREADS; i++) {
        assert_int_equal(counts['a' + i], LINES);
        assert_int_equal(counts['A' + i], LINES);
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_appends),   TEST(test_torn_line),    TEST(test_rotation),
        TEST(test_retention), TEST(test_planted_file), TEST(test_directories),
        TEST(test_full),      TEST(test_many_writers),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
