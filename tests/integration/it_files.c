/* SPDX-License-Identifier: Apache-2.0 */
/* it_files.c - files that go in before a run, and files that come out after it. */
#include "tests/integration/it.h"

#include <string.h>
#include <unistd.h>

/* ---- In
 * ------------------------------------------------------------------------------------------ */

static void test_many_files(void **state)
{
    enum { N = 200 };
    static char paths[N][40], data[N][16];
    isol8_file files[N];
    isol8_request rq = it_cmd("find . -type f | wc -l; cat d0/e0/f0 d7/e2/f187; stat -c '%a %u %g' "
                              "d0 d0/e0/f0");

    (void)state;
    for (int i = 0; i < N; i++) {
        (void)snprintf(paths[i], sizeof(paths[i]), "d%d/e%d/f%d", i % 10, i % 5, i);
        (void)snprintf(data[i], sizeof(data[i]), "file %d\n", i);
        files[i] = (isol8_file){ .path = paths[i], .data = data[i], .size = strlen(data[i]) };
    }
    rq.files = files;
    rq.n_files = N;
    auto_result isol8_result *res = it_execute(NULL, &rq);
    it_expect_out(res, ISOL8_VERDICT_OK, 0, "200\nfile 0\nfile 187\n755 100 101\n644 100 101\n");
}

/* Large and binary, there and back: the bytes are the same. */
static void test_round_trip(void **state)
{
    static const char *const out[] = { "copy", "/tmp/empty", "in" };
    size_t size = (10 << 20) + 3;
    auto_free char *data = it_noise(size, 4);
    isol8_file file = { .path = "in", .data = data, .size = size };
    isol8_request rq = it_cmd("cp in copy; : >/tmp/empty");

    (void)state;
    rq.files = &file;
    rq.n_files = 1;
    rq.output_paths = out;
    rq.n_output_paths = ARRAY_LEN(out);
    auto_result isol8_result *res = it_execute(NULL, &rq);
    it_expect(res, ISOL8_VERDICT_OK, 0);
    assert_int_equal(isol8_result_file_count(res), 3);
    assert_null(isol8_result_file(res, 3));
    for (size_t i = 0; i < 3; i++)
        assert_string_equal(isol8_result_file(res, i)->path, out[i]);
    assert_int_equal(isol8_result_file(res, 0)->size, size);
    assert_memory_equal(isol8_result_file(res, 0)->data, data, size);
    assert_int_equal(isol8_result_file(res, 1)->size, 0);
    assert_memory_equal(isol8_result_file(res, 2)->data, data, size);
}

/* Sizes around the border between a packet and a memory file. */
static void test_border_sizes(void **state)
{
    static const size_t sizes[] = { 0, 1, 65000, 65500, 65510, 65520, 65535, 65536, 65537, 200000 };
    auto_free char *data = it_noise(200000, 5);
    isol8_file files[ARRAY_LEN(sizes)];
    char paths[ARRAY_LEN(sizes)][16];
    const char *out[ARRAY_LEN(sizes)];
    isol8_request rq = it_cmd("true");

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        (void)snprintf(paths[i], sizeof(paths[i]), "size-%zu", sizes[i]);
        files[i] = (isol8_file){ .path = paths[i], .data = data, .size = sizes[i] };
        out[i] = paths[i];
    }
    rq.files = files;
    rq.n_files = ARRAY_LEN(sizes);
    rq.output_paths = out;
    rq.n_output_paths = ARRAY_LEN(sizes);
    auto_result isol8_result *res = it_execute(NULL, &rq);
    it_expect(res, ISOL8_VERDICT_OK, 0);
    assert_int_equal(isol8_result_file_count(res), ARRAY_LEN(sizes));
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        assert_int_equal(isol8_result_file(res, i)->size, sizes[i]);
        assert_memory_equal(isol8_result_file(res, i)->data, data, sizes[i]);
    }
}

static void test_names(void **state)
{
    static const isol8_file files[] = {
        { "a b/$(touch pwned)`id`;'\"\\\n", "1", 1 },
        { "-rf", "2", 1 },
        { "\xff\xfe", "3", 1 },
        { "/sandbox/abs", "4", 1 },
        { "/tmp/t/x", "5", 1 },
        { "abs", "6", 1 }, /* the later one wins */
    };
    isol8_request rq = it_cmd("ls -A | wc -l; cat 'a b'/* ./-rf $'\\xff\\xfe' abs /tmp/t/x; "
                              "test ! -e pwned");

    (void)state;
    rq.files = files;
    rq.n_files = ARRAY_LEN(files);
    auto_result isol8_result *res = it_execute(NULL, &rq);
    it_expect_out(res, ISOL8_VERDICT_OK, 0, "4\n12365");
}

static void test_refused_places(void **state)
{
    static const struct {
        const char *path;
        int status;
        const char *text;
    } bad[] = {
        { "", ISOL8_E_INVAL, "files: '' is not the path of a file" },
        { "d/", ISOL8_E_INVAL, "files: 'd/' is not the path of a file" },
        { "/etc/x", ISOL8_E_LIMIT,
          "Failed to write file /etc/x in container: Read-only file "
          "system" },
        { "../usr/bin/x", ISOL8_E_LIMIT, "Failed to write file ../usr/bin/x in container: " },
        { "/proc/sys/kernel/core_pattern", ISOL8_E_LIMIT, "Failed to write file /proc/sys/" },
        { "/dev/null", ISOL8_E_INVAL,
          "Failed to write file /dev/null in container: it exists and "
          "is not a regular file" },
        { "/sandbox", ISOL8_E_LIMIT, "Failed to write file /sandbox in container: Is a directory" },
    };
    isol8_request rq = it_cmd("true");

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        isol8_file file = { .path = bad[i].path, .data = "x", .size = 1 };
        isol8_error err;
        rq.files = &file;
        rq.n_files = 1;
        int r = it_refused(NULL, &rq, &err);
        if (r != bad[i].status || strncmp(err.msg, bad[i].text, strlen(bad[i].text)) != 0)
            fail_msg("%s: status %d, '%s'", bad[i].path, r, err.msg);
    }
}

/* Files larger than what the sandbox may hold are an error of their own, not a hang. */
static void test_too_large(void **state)
{
    size_t size = 16 << 20;
    auto_free char *data = calloc(1, size);
    isol8_file file = { .path = "big", .data = data, .size = size };
    isol8_options o = it_options();
    isol8_request rq = it_cmd("true");
    isol8_error err;

    (void)state;
    assert_non_null(data);
    rq.files = &file;
    rq.n_files = 1;
    o.sandbox_size = "8m";
    assert_int_equal(it_refused(&o, &rq, &err), ISOL8_E_LIMIT);
    assert_string_equal(err.msg, "Failed to write file big in container: No space left on device");
    o.sandbox_size = "512m";
    o.memory_limit = "12m";
    assert_int_equal(it_refused(&o, &rq, &err), ISOL8_E_LIMIT);
    assert_string_equal(err.msg, "Failed to write file big in container: the memory limit 12m does "
                                 "not hold it");
}

/* ---- Out
 * ----------------------------------------------------------------------------------------- */

static void test_what_cannot_be_taken(void **state)
{
    static const char *const out[] = { "good",        "missing",           "dir",    "link",
                                       "fifo",        "/dev/zero",         "secret", "dir/../good",
                                       "/etc/shadow", "linked-dir/passwd", "loop",   "/proc/kmsg" };
    isol8_request rq = it_cmd("echo good >good; mkdir dir; ln -s good link; mkfifo fifo; "
                              "echo x >secret; chmod 000 secret; ln -s /etc linked-dir; "
                              "ln -s loop loop");

    (void)state;
    rq.output_paths = out;
    rq.n_output_paths = ARRAY_LEN(out);
    auto_result isol8_result *res = it_execute(NULL, &rq);
    it_expect(res, ISOL8_VERDICT_OK, 0);
    for (size_t i = 0; i < isol8_result_file_count(res); i++) {
        const char *path = isol8_result_file(res, i)->path;
        /* A link on the way leads to what the sandbox sees, never to the host's file. */
        if (strcmp(path, "good") != 0 && strcmp(path, "dir/../good") != 0 &&
            strcmp(path, "linked-dir/passwd") != 0)
            fail_msg("'%s' was read", path);
    }
    assert_int_equal(isol8_result_file_count(res), 3);
    assert_int_equal(isol8_result_file(res, 0)->size, 5);
    assert_memory_equal(isol8_result_file(res, 0)->data, "good\n", 5);
    const isol8_file *passwd = isol8_result_file(res, 2);
    assert_non_null(memmem(passwd->data, passwd->size, "sandbox:", 8));
}

static void test_out_after_failure(void **state)
{
    static const char *const out[] = { "f" };
    isol8_request rq = it_cmd("echo kept >f; exit 9");

    (void)state;
    rq.output_paths = out;
    rq.n_output_paths = 1;
    auto_result isol8_result *res = it_execute(NULL, &rq);
    it_expect(res, ISOL8_VERDICT_EXIT, 9);
    assert_int_equal(isol8_result_file_count(res), 1);
    auto_free char *json = isol8_result_json(res);
    assert_non_null(strstr(json, "\"files\":{\"f\":\"a2VwdAo=\"}"));
}

/* A background process keeps changing the file: what comes is one moment of it, and it ends. */
static void test_out_while_written(void **state)
{
    static const char *const out[] = { "f" };
    isol8_request rq = it_cmd("(trap '' TERM HUP; while :; do echo x >>f; done) & "
                              "while ! test -s f; do :; done; exit 0");
    double start = it_seconds();

    (void)state;
    rq.output_paths = out;
    rq.n_output_paths = 1;
    auto_result isol8_result *res = it_execute(NULL, &rq);
    it_expect(res, ISOL8_VERDICT_OK, 0);
    assert_int_equal(isol8_result_file_count(res), 1);
    assert_true(it_seconds() - start < 30);
}

/* The program replaces a file by a FIFO or a link between exit and fetch: nothing hangs. */
static void test_out_replaced(void **state)
{
    static const char *const out[] = { "f", "g" };
    isol8_request rq = it_cmd("rm -f f g; mkfifo f; ln -s /proc/self/mem g");

    (void)state;
    rq.output_paths = out;
    rq.n_output_paths = 2;
    auto_result isol8_result *res = it_execute(NULL, &rq);
    it_expect(res, ISOL8_VERDICT_OK, 0);
    assert_int_equal(isol8_result_file_count(res), 0);
    auto_free char *json = isol8_result_json(res);
    assert_non_null(strstr(json, "\"files\":{}"));
}

/* A writable root takes files anywhere the sandbox user may write, and is gone afterwards. */
static void test_writable_root(void **state)
{
    isol8_options o = it_options();
    isol8_request rq = it_cmd("echo x >/etc/mine && mkdir /new && cat /etc/mine && "
                              "touch /usr/mine 2>&1 | grep -c 'Read-only'");

    (void)state;
    o.readonly_rootfs = false;
    auto_result isol8_result *res = it_execute(&o, &rq);
    it_expect_out(res, ISOL8_VERDICT_OK, 0, "x\n1\n");
    rq = it_cmd("test ! -e /etc/mine && test ! -e /new");
    auto_result isol8_result *again = it_execute(&o, &rq);
    it_expect(again, ISOL8_VERDICT_OK, 0);
    assert_int_not_equal(access("/etc/mine", F_OK), 0);
    assert_int_not_equal(access("/new", F_OK), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_many_files),           cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_border_sizes),         cmocka_unit_test(test_names),
        cmocka_unit_test(test_refused_places),       cmocka_unit_test(test_too_large),
        cmocka_unit_test(test_what_cannot_be_taken), cmocka_unit_test(test_out_after_failure),
        cmocka_unit_test(test_out_while_written),    cmocka_unit_test(test_out_replaced),
        cmocka_unit_test(test_writable_root),
    };

    return cmocka_run_group_tests(tests, it_open, it_close);
}
