/* SPDX-License-Identifier: Apache-2.0 */
/* test_tar.c - hostile archives are refused, honest ones come out as they went in. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/fd.h"
#include "oci/tar.h"
#include "tests/support/tmpdir.h"

enum { BLOCK = 512 };

/* ---- Archives made by hand ------------------------------------------------------------------- */

static void put_octal(char *field, size_t n, unsigned long value)
{
    (void)snprintf(field, n, "%0*lo", (int)n - 1, value);
}

/* One ustar entry; @link and @content may be NULL. */
static void put(struct buf *b, const char *name, char type, unsigned mode, const char *link,
                const char *content)
{
    char h[BLOCK] = { 0 };
    size_t size = content != NULL ? strlen(content) : 0;
    unsigned sum = 0;

    assert_true(strlen(name) <= 100);
    memcpy(h, name, strlen(name));
    put_octal(h + 100, 8, mode);
    put_octal(h + 108, 8, 0);
    put_octal(h + 116, 8, 0);
    put_octal(h + 124, 12, size);
    put_octal(h + 136, 12, 0);
    memset(h + 148, ' ', 8);
    h[156] = type;
    if (link != NULL)
        memcpy(h + 157, link, strlen(link));
    memcpy(h + 257, "ustar\00000", 8);
    for (size_t i = 0; i < BLOCK; i++)
        sum += (unsigned char)h[i];
    (void)snprintf(h + 148, 8, "%06o", sum);
    assert_true(buf_add(b, h, BLOCK));
    if (size > 0) {
        char pad[BLOCK] = { 0 };
        assert_true(buf_add(b, content, size));
        assert_true(buf_add(b, pad, (BLOCK - size % BLOCK) % BLOCK));
    }
}

struct fixture {
    struct tmpdir dir;
    struct buf tar;
    struct tar_unpack_args args;
    isol8_error err;
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));

    tmpdir_open(&f->dir);
    buf_init(&f->tar, 64 << 20);
    f->args = (struct tar_unpack_args){ .dir_fd = f->dir.fd, .cancel_fd = -1 };
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    buf_done(&f->tar);
    tmpdir_close(&f->dir);
    free(f);
    return 0;
}

static int unpack(struct fixture *f)
{
    int fd = fd_memfd("tar", f->tar.data, f->tar.len);

    assert_true(fd >= 0);
    f->args.in_fd = fd;
    int r = tar_unpack(&f->args, &f->err);
    (void)fd_close(fd);
    return r;
}

static void end(struct fixture *f)
{
    static const char zeros[2 * BLOCK];

    assert_true(buf_add(&f->tar, zeros, sizeof(zeros)));
}

static void expect_content(struct fixture *f, const char *name, const char *content)
{
    auto_buf struct buf b = BUF_INIT(1 << 20);

    assert_int_equal(path_read(f->dir.fd, name, 1 << 20, &b, &f->err), 0);
    assert_string_equal(buf_text(&b), content);
}

/* ---- Honest ---------------------------------------------------------------------------------- */

static void test_plain(void **state)
{
    struct fixture *f = *state;
    struct stat st;
    char target[64] = { 0 };

    put(&f->tar, "./", '5', 0755, NULL, NULL);
    put(&f->tar, "./a/", '5', 0700, NULL, NULL);
    put(&f->tar, "./a/file", '0', 06755, NULL, "hello");
    put(&f->tar, "a/./plain", '0', 0666, NULL, "x");
    put(&f->tar, "b/c/deep", '0', 0600, NULL, "y");
    put(&f->tar, "a/link", '2', 0777, "../b/c/deep", NULL);
    put(&f->tar, "a/file", '0', 06755, NULL, "again");
    end(f);
    assert_int_equal(unpack(f), 0);
    expect_content(f, "a/file", "again");
    expect_content(f, "b/c/deep", "y");
    assert_int_equal(fstatat(f->dir.fd, "a/file", &st, 0), 0);
    assert_int_equal(st.st_mode & 07777, 0755); /* no set-id bits */
    assert_int_equal(fstatat(f->dir.fd, "a/plain", &st, 0), 0);
    assert_int_equal(st.st_mode & 07777, 0644); /* not writable by others */
    assert_int_equal(fstatat(f->dir.fd, "a", &st, 0), 0);
    assert_int_equal(st.st_mode & 07777, 0755);
    assert_true(readlinkat(f->dir.fd, "a/link", target, sizeof(target) - 1) > 0);
    assert_string_equal(target, "../b/c/deep");
}

static bool map_some(const char *name, char out[TAR_NAME_MAX + 1], void *user)
{
    (void)user;
    if (strcmp(name, "package/drop") == 0)
        return false;
    (void)snprintf(out, TAR_NAME_MAX + 1, "to/%s", strrchr(name, '/') + 1);
    return true;
}

static void test_map(void **state)
{
    struct fixture *f = *state;

    f->args.map = map_some;
    put(&f->tar, "package/drop", '0', 0644, NULL, "no");
    put(&f->tar, "package/keep", '0', 0644, NULL, "yes");
    end(f);
    assert_int_equal(unpack(f), 0);
    expect_content(f, "to/keep", "yes");
    assert_int_equal(faccessat(f->dir.fd, "to/drop", F_OK, 0), -1);
}

/* ---- Hostile --------------------------------------------------------------------------------- */

static void test_refused_entries(void **state)
{
    static const struct {
        const char *name;
        char type;
        const char *link;
    } bad[] = {
        { "/etc/x", '0', NULL },
        { "../x", '0', NULL },
        { "a/../../x", '0', NULL },
        { "a/../x", '0', NULL },
        { "..", '5', NULL },
        { "dev", '3', NULL },
        { "dev", '4', NULL },
        { "fifo", '6', NULL },
        { "hard", '1', "/etc/passwd" },
        { "hard", '1', "other" },
        { "link", '2', "../x" },
        { "a/link", '2', "../../x" },
        { "a/link", '2', "b/../../../x" },
        { "link", '2', "/../x" },
        { "link", '2', "" },
    };
    struct fixture *f = *state;

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        buf_clear(&f->tar);
        put(&f->tar, bad[i].name, bad[i].type, 0644, bad[i].link, NULL);
        end(f);
        if (unpack(f) != ISOL8_E_PROTOCOL)
            fail_msg("'%s' type %c was not refused", bad[i].name, bad[i].type);
    }
}

/* A link planted by one entry is not followed by the next, also when it points inside. */
static void test_through_link(void **state)
{
    static const char *const targets[] = { "/tmp", "/", "real", "." };
    struct fixture *f = *state;

    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(path_remove_tree(f->dir.fd, "l", NULL), 0);
        buf_clear(&f->tar);
        put(&f->tar, "real/", '5', 0755, NULL, NULL);
        put(&f->tar, "l", '2', 0777, targets[i], NULL);
        put(&f->tar, "l/isol8-escaped", '0', 0644, NULL, "bad");
        end(f);
        assert_int_equal(unpack(f), ISOL8_E_PROTOCOL);
        assert_int_equal(access("/tmp/isol8-escaped", F_OK), -1);
        assert_int_equal(faccessat(f->dir.fd, "real/isol8-escaped", F_OK, 0), -1);
    }
}

/* A link is replaced by a file of the same name, not written through. */
static void test_over_link(void **state)
{
    struct fixture *f = *state;
    struct stat st;

    put(&f->tar, "real", '0', 0644, NULL, "old");
    put(&f->tar, "l", '2', 0777, "real", NULL);
    put(&f->tar, "l", '0', 0644, NULL, "new");
    end(f);
    assert_int_equal(unpack(f), 0);
    expect_content(f, "real", "old");
    expect_content(f, "l", "new");
    assert_int_equal(fstatat(f->dir.fd, "l", &st, AT_SYMLINK_NOFOLLOW), 0);
    assert_true(S_ISREG(st.st_mode));
}

static void test_below_file(void **state)
{
    struct fixture *f = *state;

    put(&f->tar, "f", '0', 0644, NULL, "x");
    put(&f->tar, "f/g", '0', 0644, NULL, "x");
    end(f);
    assert_int_equal(unpack(f), ISOL8_E_PROTOCOL);
}

static void test_ceilings(void **state)
{
    struct fixture *f = *state;

    put(&f->tar, "a", '0', 0644, NULL, "12345");
    put(&f->tar, "b", '0', 0644, NULL, "12345");
    end(f);
    f->args.bytes_max = 10;
    f->args.entries_max = 2;
    assert_int_equal(unpack(f), 0);
    f->args.bytes_max = 9;
    assert_int_equal(unpack(f), ISOL8_E_LIMIT);
    f->args.bytes_max = 10;
    f->args.entries_max = 1;
    assert_int_equal(unpack(f), ISOL8_E_LIMIT);
}

static void test_name_ceilings(void **state)
{
    char name[TAR_NAME_MAX + 2];

    (void)state;
    for (size_t i = 0; i < TAR_NAME_MAX; i++)
        name[i] = i % 32 == 31 ? '/' : 'a';
    name[TAR_NAME_MAX - 1] = 'a';
    name[TAR_NAME_MAX] = '\0';
    assert_true(tar_name_ok(name)); /* 32 components */
    memcpy(name + TAR_NAME_MAX, "a", 2);
    assert_false(tar_name_ok(name));
    for (size_t i = 0; i < 2 * TAR_DEPTH_MAX; i++)
        name[i] = i % 2 == 1 ? '/' : 'a';
    name[2 * TAR_DEPTH_MAX - 1] = '\0';
    assert_true(tar_name_ok(name));
    memcpy(name + 2 * TAR_DEPTH_MAX - 1, "/a", 3);
    assert_false(tar_name_ok(name));
    assert_false(tar_name_ok(""));
    assert_false(tar_name_ok("a//b"));
    assert_false(tar_name_ok("/a"));
    assert_false(tar_name_ok("a/"));
    assert_false(tar_name_ok("a/./b"));
}

static void test_damaged(void **state)
{
    struct fixture *f = *state;

    assert_true(buf_adds(&f->tar, "this is no archive, but it is longer than nothing at all"));
    assert_int_equal(unpack(f), ISOL8_E_PROTOCOL);
    buf_clear(&f->tar);
    put(&f->tar, "a", '0', 0644, NULL, "12345");
    f->tar.len = BLOCK + 2; /* cut in the middle of the content */
    assert_int_equal(unpack(f), ISOL8_E_PROTOCOL);
}

static void test_cancel(void **state)
{
    struct fixture *f = *state;
    int ends[2];

    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    assert_int_equal(write(ends[1], "x", 1), 1);
    put(&f->tar, "a", '0', 0644, NULL, "12345");
    end(f);
    f->args.cancel_fd = ends[0];
    assert_int_equal(unpack(f), ISOL8_E_CANCELLED);
    (void)fd_close(ends[0]);
    (void)fd_close(ends[1]);
}

/* ---- Packing --------------------------------------------------------------------------------- */

static void make_tree(int at)
{
    int fd = openat(at, "b", O_WRONLY | O_CREAT | O_CLOEXEC, 0755);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, "content", 7), 7);
    (void)fd_close(fd);
    assert_int_equal(mkdirat(at, "d", 0755), 0);
    assert_int_equal(symlinkat("../b", at, "d/link"), 0);
}

static void test_pack_is_reproducible(void **state)
{
    struct fixture *f = *state;
    struct tar_packed one, two;
    struct tmpdir other;

    tmpdir_open(&other);
    make_tree(f->dir.fd);
    make_tree(other.fd);
    int fd = fd_memfd("layer", NULL, 0);
    assert_int_equal(tar_pack(f->dir.fd, fd, -1, &one, &f->err), 0);
    assert_int_equal((long)lseek(fd, 0, SEEK_END), (long)one.size);
    (void)fd_close(fd);
    fd = fd_memfd("layer", NULL, 0);
    assert_int_equal(tar_pack(other.fd, fd, -1, &two, &f->err), 0);
    (void)fd_close(fd);
    assert_string_equal(one.diff_id, two.diff_id);
    assert_string_equal(one.digest, two.digest);
    assert_string_not_equal(one.diff_id, one.digest);
    tmpdir_close(&other);
}

static void test_pack_and_unpack(void **state)
{
    struct fixture *f = *state;
    struct tar_packed packed;
    struct tmpdir other;

    tmpdir_open(&other);
    make_tree(other.fd);
    int fd = fd_memfd("layer", NULL, 0);
    assert_int_equal(tar_pack(other.fd, fd, -1, &packed, &f->err), 0);
    assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
    f->args.in_fd = fd;
    assert_int_equal(tar_unpack(&f->args, &f->err), 0);
    (void)fd_close(fd);
    expect_content(f, "b", "content");
    expect_content(f, "d/link", "content");
    tmpdir_close(&other);
}

static void test_pack_hard_link_once(void **state)
{
    struct fixture *f = *state;
    struct tar_packed one, two;

    make_tree(f->dir.fd);
    int fd = fd_memfd("layer", NULL, 0);
    assert_int_equal(tar_pack(f->dir.fd, fd, -1, &one, &f->err), 0);
    assert_int_equal(linkat(f->dir.fd, "b", f->dir.fd, "d/b", 0), 0);
    assert_int_equal(tar_pack(f->dir.fd, fd, -1, &two, &f->err), 0);
    (void)fd_close(fd);
    assert_string_not_equal(one.diff_id, two.diff_id);
}

static void test_pack_refuses_fifo(void **state)
{
    struct fixture *f = *state;
    struct tar_packed packed;

    assert_int_equal(mkfifoat(f->dir.fd, "fifo", 0644), 0);
    int fd = fd_memfd("layer", NULL, 0);
    assert_int_equal(tar_pack(f->dir.fd, fd, -1, &packed, &f->err), ISOL8_E_INVAL);
    (void)fd_close(fd);
}

/* A full disk is told as such, not as a broken archive. */
static void test_pack_disk_full(void **state)
{
    struct fixture *f = *state;
    struct tar_packed packed;

    make_tree(f->dir.fd);
    int fd = open("/dev/full", O_WRONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(tar_pack(f->dir.fd, fd, -1, &packed, &f->err), ISOL8_E_SYS);
    assert_int_equal(f->err.sys_errno, ENOSPC);
    (void)fd_close(fd);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_plain),
        TEST(test_map),
        TEST(test_refused_entries),
        TEST(test_through_link),
        TEST(test_over_link),
        TEST(test_below_file),
        TEST(test_ceilings),
        cmocka_unit_test(test_name_ceilings),
        TEST(test_damaged),
        TEST(test_cancel),
        TEST(test_pack_is_reproducible),
        TEST(test_pack_and_unpack),
        TEST(test_pack_hard_link_once),
        TEST(test_pack_refuses_fifo),
        TEST(test_pack_disk_full),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
