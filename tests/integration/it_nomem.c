/* SPDX-License-Identifier: Apache-2.0 */
/**
 * it_nomem.c - each allocation of the library fails once, in the middle of real executions
 *
 * The linker puts functions of this file between the library and the allocator (--wrap). A pass
 * opens a host, executes in each way, puts and gets files and releases everything; in pass n the
 * n-th allocation fails, whichever thread makes it. Each call must succeed or fail with a clear
 * error, and nothing may be left: no sandbox, process, cgroup, descriptor, and, as the leak
 * sanitizer tells at the end, no memory. ISOL8_TEST_ALL tries every n; without it some 130, which
 * are others each time the code changes.
 */
#include "tests/integration/it.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/integration/remains.h"

enum { PASSES = 130 };

/* ---- The allocator in between ---------------------------------------------------------------- */

static atomic_long n_allocations;
static atomic_long fail_at; /* 0: never */

static bool fails(void)
{
    long n = atomic_fetch_add(&n_allocations, 1) + 1;

    if (n != atomic_load(&fail_at))
        return false;
    errno = ENOMEM;
    return true;
}

void *__real_malloc(size_t n);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t n);
void *__real_reallocarray(void *p, size_t n, size_t size);
char *__real_strdup(const char *s);
char *__real_strndup(const char *s, size_t n);
void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t n);
void *__wrap_reallocarray(void *p, size_t n, size_t size);
char *__wrap_strdup(const char *s);
char *__wrap_strndup(const char *s, size_t n);

void *__wrap_malloc(size_t n)
{
    return fails() ? NULL : __real_malloc(n);
}

void *__wrap_calloc(size_t n, size_t size)
{
    return fails() ? NULL : __real_calloc(n, size);
}

void *__wrap_realloc(void *p, size_t n)
{
    return fails() ? NULL : __real_realloc(p, n);
}

void *__wrap_reallocarray(void *p, size_t n, size_t size)
{
    return fails() ? NULL : __real_reallocarray(p, n, size);
}

char *__wrap_strdup(const char *s)
{
    return fails() ? NULL : __real_strdup(s);
}

char *__wrap_strndup(const char *s, size_t n)
{
    return fails() ? NULL : __real_strndup(s, n);
}

/* ---- One pass -------------------------------------------------------------------------------- */

static long pass;

/* Return: whether it went well. */
static bool check(const char *what, int r, const isol8_error *err)
{
    if (r >= 0)
        return true;
    if (err->status != r || err->msg[0] == '\0')
        fail_msg("%s, allocation %ld: status %d, error %d '%s'", what, pass, r, err->status,
                 err->msg);
    if (r == ISOL8_E_LIMIT || r == ISOL8_E_PROTOCOL) /* of which nothing is true */
        fail_msg("%s, allocation %ld: %s", what, pass, err->msg);
    if (getenv("ISOL8_TEST_VERBOSE") != NULL)
        (void)fprintf(stderr, "%5ld %s: %s\n", pass, what, err->msg);
    return false;
}

static void execute(isol8_engine *e, const char *what)
{
    static const isol8_pair env = { "VARIABLE", "value" };
    isol8_file file = { .path = "f", .data = "in", .size = 2 };
    const char *out_path = "f";
    isol8_request rq = it_cmd("cat f; echo secret");
    isol8_result *res = NULL;
    isol8_error err = { 0 };

    rq.env = &env;
    rq.n_env = 1;
    rq.files = &file;
    rq.n_files = 1;
    rq.output_paths = &out_path;
    rq.n_output_paths = 1;
    rq.setup_script = "true";
    if (check(what, isol8_execute(e, &rq, &res, &err), &err))
        free(isol8_result_json(res));
    isol8_result_free(res);
}

static void use_session(isol8_engine *e)
{
    isol8_error err = { 0 };
    void *data = NULL;
    size_t n;

    (void)check("put", isol8_put_file(e, "before", "x", 1, &err), &err);
    execute(e, "session");
    (void)check("put", isol8_put_file(e, "after", "x", 1, &err), &err);
    if (check("get", isol8_get_file(e, "after", &data, &n, &err), &err))
        free(data);
    (void)check("stop", isol8_stop(e, &err), &err);
}

static isol8_engine *make(isol8_host *h, const char *mode, const char *strategy)
{
    static const isol8_pair secret = { "S", "secret" };
    isol8_options o = it_options();
    isol8_engine *e = NULL;
    isol8_error err = { 0 };

    o.mode = mode;
    o.pool_strategy = strategy;
    o.network = strcmp(mode, "persistent") == 0 ? "filtered" : "none";
    o.secrets = &secret;
    o.n_secrets = 1;
    o.timeout_ms = 20000;
    (void)check("create", isol8_create(&e, h, &o, &err), &err);
    return e;
}

static void do_everything(void)
{
    isol8_host_options o;
    isol8_host *h = NULL;
    isol8_error err = { 0 };

    isol8_host_options_init(&o);
    o.cgroup_parent = it_cgroup_parent();
    if (!check("host", isol8_host_open(&h, &o, &err), &err))
        return;
    isol8_engine *own = make(h, "ephemeral", "secure");
    isol8_engine *pooled = make(h, "ephemeral", "fast");
    isol8_engine *session = make(h, "persistent", "fast");
    if (own != NULL)
        execute(own, "own");
    if (pooled != NULL) {
        execute(pooled, "pooled");
        execute(pooled, "pooled");
    }
    if (session != NULL)
        use_session(session);
    isol8_free(own);
    isol8_free(pooled);
    isol8_free(session);
    isol8_host_free(h);
}

static void run_pass(long n)
{
    char after[64];
    size_t fds = it_count_fds();

    pass = n;
    atomic_store(&n_allocations, 0);
    atomic_store(&fail_at, n);
    do_everything();
    atomic_store(&fail_at, 0);
    (void)snprintf(after, sizeof(after), "allocation %ld", n);
    it_nothing_left(after);
    if (it_count_fds() != fds)
        fail_msg("%s: %zu descriptors before, %zu after", after, fds, it_count_fds());
}

static void test_each_allocation(void **state)
{
    (void)state;
    run_pass(0);
    run_pass(0); /* what is made once is there now */
    long all = atomic_load(&n_allocations);
    long step = getenv("ISOL8_TEST_ALL") != NULL || all < PASSES ? 1 : all / PASSES;
    assert_true(all > 100);
    if (getenv("ISOL8_TEST_VERBOSE") != NULL)
        (void)fprintf(stderr, "%ld allocations, every %ld. fails\n", all, step);
    for (long n = 1; n <= all; n += step)
        run_pass(n);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_allocation),
    };

    return cmocka_run_group_tests(tests, it_open, it_close);
}
