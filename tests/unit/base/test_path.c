/* SPDX-License-Identifier: Apache-2.0 */
/* test_path.c - reading, replacing and removing below a directory descriptor. */
#include "base/path.h"

#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "base/mem.h"
#include "tests/support/tmpdir.h"

static void put(int at, const char *name, const char *text)
{
    int fd = openat(at, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    assert_int_equal(close(fd), 0);
}

static bool has(int at, const char *name)
{
    struct stat st;

    return fstatat(at, name, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

static size_t count(int at)
{
    size_t n = 0;

    int fd = openat(at, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fdopendir(fd);
    while (dir != NULL && readdir(dir) != NULL)
        n++;
    (void)closedir(dir);
    return n - 2;
}

static void test_read(void **state)
{
    auto_buf struct buf b = BUF_INIT(0);
    struct tmpdir t;
    isol8_error err;

    (void)state;
    tmpdir_open(&t);
    put(t.fd, "f", "12345");
    assert_int_equal(path_read(t.fd, "f", 5, &b, &err), 0);
    assert_string_equal(buf_text(&b), "12345");
    buf_done(&b);
    assert_int_equal(path_read(t.fd, "f", 4, &b, &err), ISOL8_E_LIMIT);
    assert_string_equal(err.msg, "'f' is larger than 4 bytes");
    buf_done(&b);
    assert_int_equal(path_read(t.fd, "none", 4, &b, &err), ISOL8_E_SYS);
    assert_int_equal(err.sys_errno, ENOENT);
    assert_string_equal(err.msg, "cannot read 'none': No such file or directory");
    assert_int_equal(mkfifoat(t.fd, "fifo", 0600), 0); /* not waited for */
    assert_int_equal(path_read(t.fd, "fifo", 4, &b, &err), 0);
    tmpdir_close(&t);
}

/* ---- Replacing
 * ------------------------------------------------------------------------------------------- */

struct reader {
    int at;
    atomic_bool stop;
    atomic_uint wrong, reads;
};

static void *read_on(void *arg)
{
    struct reader *r = arg;

    while (!atomic_load(&r->stop)) {
        auto_buf struct buf b = BUF_INIT(0);
        if (path_read(r->at, "f", 100000, &b, NULL) < 0 || b.len != 50000 ||
            b.data[0] != b.data[49999])
            atomic_fetch_add(&r->wrong, 1);
        atomic_fetch_add(&r->reads, 1);
    }
    return NULL;
}

static void test_replace_is_atomic(void **state)
{
    auto_free char *data = malloc(50000);
    struct reader r = { 0 };
    pthread_t thread;
    struct tmpdir t;

    (void)state;
    tmpdir_open(&t);
    assert_non_null(data);
    memset(data, 'a', 50000);
    assert_int_equal(path_replace(t.fd, "f", data, 50000, 0600, true, NULL), 0);
    r.at = t.fd;
    assert_int_equal(pthread_create(&thread, NULL, read_on, &r), 0);
    for (int i = 0; i < 300 || atomic_load(&r.reads) < 20; i++) {
        memset(data, 'a' + i % 26, 50000);
        assert_int_equal(path_replace(t.fd, "f", data, 50000, 0600, false, NULL), 0);
    }
    atomic_store(&r.stop, true);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(atomic_load(&r.wrong), 0);
    assert_int_equal(count(t.fd), 1); /* no temporary file is left */
    tmpdir_close(&t);
}

static void test_replace_fails(void **state)
{
    struct tmpdir t;
    isol8_error err;

    (void)state;
    tmpdir_open(&t);
    assert_int_equal(mkdirat(t.fd, "d", 0755), 0);
    assert_int_equal(path_replace(t.fd, "d", "x", 1, 0600, false, &err), ISOL8_E_SYS);
    assert_string_equal(err.msg, "cannot write 'd': Is a directory");
    assert_int_equal(count(t.fd), 1);
    tmpdir_close(&t);
}

/* ---- Removing
 * -------------------------------------------------------------------------------------------- */

static void test_remove_tree(void **state)
{
    struct tmpdir t;

    (void)state;
    tmpdir_open(&t);
    assert_int_equal(path_remove_tree(t.fd, "absent", NULL), 0);
    put(t.fd, "outside", "x");
    assert_int_equal(mkdirat(t.fd, "keep", 0755), 0);
    put(t.fd, "keep/f", "x");
    assert_int_equal(mkdirat(t.fd, "tree", 0755), 0);
    assert_int_equal(mkdirat(t.fd, "tree/sub", 0755), 0);
    put(t.fd, "tree/sub/f", "x");
    assert_int_equal(symlinkat("../keep", t.fd, "tree/link"), 0);
    assert_int_equal(symlinkat("../outside", t.fd, "tree/link2"), 0);
    assert_int_equal(mkfifoat(t.fd, "tree/fifo", 0600), 0);
    assert_int_equal(path_remove_tree(t.fd, "tree", NULL), 0);
    assert_false(has(t.fd, "tree"));
    assert_true(has(t.fd, "keep/f"));
    assert_true(has(t.fd, "outside"));
    assert_int_equal(symlinkat("keep", t.fd, "link"), 0); /* the link itself goes */
    assert_int_equal(path_remove_tree(t.fd, "link", NULL), 0);
    assert_false(has(t.fd, "link"));
    assert_true(has(t.fd, "keep/f"));
    tmpdir_close(&t);
}

/* Mounting needs root; unit tests run without it, too. */
static void test_remove_stops_at_mounts(void **state)
{
    struct tmpdir t;
    char path[128];
    isol8_error err;

    (void)state;
    tmpdir_open(&t);
    assert_int_equal(mkdirat(t.fd, "tree", 0755), 0);
    assert_int_equal(mkdirat(t.fd, "tree/mnt", 0755), 0);
    (void)snprintf(path, sizeof(path), "%s/tree/mnt", t.path);
    if (mount("none", path, "tmpfs", 0, NULL) < 0) {
        tmpdir_close(&t);
        fail_msg("a tmpfs cannot be mounted: this test needs root");
    }
    put(t.fd, "tree/mnt/precious", "x");
    int r = path_remove_tree(t.fd, "tree", &err);
    bool is_there = has(t.fd, "tree/mnt/precious");
    (void)umount(path);
    assert_int_equal(r, ISOL8_E_SYS);
    assert_true(is_there);
    tmpdir_close(&t);
}

static void test_deep_tree(void **state)
{
    struct tmpdir t;
    int at, next;

    (void)state;
    tmpdir_open(&t);
    at = path_mkdir_open(t.fd, "deep", 0755, NULL);
    for (int i = 0; i < 500; i++) {
        next = path_mkdir_open(at, "d", 0755, NULL);
        assert_true(next >= 0);
        assert_int_equal(close(at), 0);
        at = next;
    }
    assert_int_equal(close(at), 0);
    assert_int_equal(path_remove_tree(t.fd, "deep", NULL), 0);
    assert_false(has(t.fd, "deep"));
    tmpdir_close(&t);
}

/* ---- The rest
 * ---------------------------------------------------------------------------------------------- */

static void test_directories(void **state)
{
    struct tmpdir t;
    char path[128];
    isol8_error err;

    (void)state;
    tmpdir_open(&t);
    (void)snprintf(path, sizeof(path), "%s/a/b/c", t.path);
    assert_int_equal(path_mkdirs(path, 0755, &err), 0);
    assert_int_equal(path_mkdirs(path, 0755, &err), 0);
    assert_true(has(t.fd, "a/b/c"));
    put(t.fd, "file", "x");
    (void)snprintf(path, sizeof(path), "%s/file/x", t.path);
    assert_int_equal(path_mkdirs(path, 0755, &err), ISOL8_E_SYS);
    assert_int_equal(symlinkat("a", t.fd, "link"), 0);
    assert_int_equal(path_mkdir_open(t.fd, "link", 0755, &err), ISOL8_E_SYS); /* no link */
    tmpdir_close(&t);
}

static void test_locks(void **state)
{
    struct tmpdir t;
    int a, b;

    (void)state;
    tmpdir_open(&t);
    put(t.fd, "l", "");
    a = openat(t.fd, "l", O_RDWR | O_CLOEXEC);
    b = openat(t.fd, "l", O_RDWR | O_CLOEXEC);
    assert_int_equal(path_lock(a, false, false), 0);
    assert_int_equal(path_lock(b, false, false), 0);
    assert_int_equal(path_lock(b, true, false), -EWOULDBLOCK);
    assert_int_equal(path_unlock(a), 0);
    assert_int_equal(path_lock(b, true, true), 0);
    assert_int_equal(path_lock(a, false, false), -EWOULDBLOCK);
    assert_int_equal(close(b), 0);
    assert_int_equal(path_lock(a, true, false), 0);
    assert_int_equal(close(a), 0);
    tmpdir_close(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_read),
        cmocka_unit_test(test_replace_is_atomic),
        cmocka_unit_test(test_replace_fails),
        cmocka_unit_test(test_remove_tree),
        cmocka_unit_test(test_remove_stops_at_mounts),
        cmocka_unit_test(test_deep_tree),
        cmocka_unit_test(test_directories),
        cmocka_unit_test(test_locks),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
