/* SPDX-License-Identifier: Apache-2.0 */
/* test_record.c - who owns a sandbox, and that a kept one stays locked while it is marked. */
#include "executor/record.h"

#include <string.h>

#include "base/fd.h"
#include "base/path.h"
#include "tests/support/test.h"
#include "tests/support/tmpdir.h"

#define ID "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"

struct world {
    struct tmpdir tmp;
    struct isol8_host host;
    int dir;
};

static int set_up(void **state)
{
    struct world *w = calloc(1, sizeof(*w));

    tmpdir_open(&w->tmp);
    w->host.sandboxes_fd = w->tmp.fd;
    w->dir = path_mkdir_open(w->tmp.fd, ID, 0700, NULL);
    assert_true(w->dir >= 0);
    *state = w;
    return 0;
}

static int tear_down(void **state)
{
    struct world *w = *state;

    assert_int_equal(close(w->dir), 0);
    tmpdir_close(&w->tmp);
    free(w);
    return 0;
}

static bool can_lock(const struct world *w)
{
    auto_close int fd = openat(w->dir, "record", O_RDWR | O_CLOEXEC);

    assert_true(fd >= 0);
    return path_lock(fd, true, false) == 0;
}

static void test_owner(void **state)
{
    struct world *w = *state;
    auto_close int lock = exec_record_write(w->dir, "isol8:python", NULL);
    struct exec_record rec;
    isol8_owned item;

    assert_true(lock >= 0);
    assert_int_equal(exec_record_read(&w->host, ID, &rec, NULL), 0);
    assert_int_equal(rec.pid, getpid());
    assert_string_equal(rec.image, "isol8:python");
    assert_true(exec_record_owner_alive(&rec));
    assert_false(rec.is_kept);
    exec_record_describe(&w->host, ID, &item);
    assert_string_equal(item.id, ID);
    assert_string_equal(item.image, "isol8:python");
    assert_int_equal(item.owner_pid, getpid());
    assert_int_equal(item.created_ms, rec.created_ms);
    assert_true(item.is_alive);
    assert_false(item.is_kept);
    assert_false(item.is_image);
    rec.start_ticks++; /* another process has got the number */
    assert_false(exec_record_owner_alive(&rec));
}

static void test_no_record(void **state)
{
    struct world *w = *state;
    isol8_owned item;

    exec_record_describe(&w->host, ID, &item);
    assert_string_equal(item.image, "unknown");
    assert_int_equal(item.owner_pid, 0);
    assert_false(item.is_alive);
}

static void test_keep(void **state)
{
    struct world *w = *state;
    int lock = exec_record_write(w->dir, "host", NULL);
    int runtime = fcntl(lock, F_DUPFD_CLOEXEC, 0); /* as the runtime inherits it */
    struct exec_record rec;
    isol8_owned item;

    assert_true(runtime >= 0);
    assert_int_equal(exec_record_keep(w->dir, false, NULL), 0);
    assert_int_equal(close(lock), 0);
    assert_false(can_lock(w));
    assert_int_equal(exec_record_read(&w->host, ID, &rec, NULL), 0);
    assert_true(rec.is_kept);
    assert_false(rec.is_strict);
    assert_int_equal(exec_record_keep(w->dir, true, NULL), 0);
    assert_int_equal(exec_record_read(&w->host, ID, &rec, NULL), 0);
    assert_true(rec.is_strict);
    exec_record_describe(&w->host, ID, &item);
    assert_true(item.is_kept);
    assert_int_equal(close(runtime), 0); /* the runtime has ended: like any other */
    assert_true(can_lock(w));

    /* A damaged mark keeps the sandbox, and the filter. */
    assert_int_equal(path_replace(w->dir, "kept", "{\"strict\":fal", 13, 0600, false, NULL), 0);
    assert_int_equal(exec_record_read(&w->host, ID, &rec, NULL), 0);
    assert_true(rec.is_kept && rec.is_strict);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = { TEST(test_owner), TEST(test_no_record), TEST(test_keep) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
