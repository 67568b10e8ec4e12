/* SPDX-License-Identifier: Apache-2.0 */
/* test_sessions.c - whose session an id means; no sandbox is made here. */
#include "server/sessions.h"
#include "tests/support/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/support/tmpdir.h"

static const struct srv_who master = { .is_master = true };
static const struct srv_who anna = { .tenant = "anna" }, bert = { .tenant = "bert" };

struct fixture {
    struct tmpdir dir;
    isol8_host *host;
    struct srv_engines *engines;
    struct srv_sessions *all;
    isol8_options options;
};

static struct fixture fx;

static int set_up(void **state)
{
    char roots[2][80];
    isol8_host_options h;
    isol8_error err = { 0 };

    (void)state;
    tmpdir_open(&fx.dir);
    (void)snprintf(roots[0], sizeof(roots[0]), "%s/state", fx.dir.path);
    (void)snprintf(roots[1], sizeof(roots[1]), "%s/data", fx.dir.path);
    isol8_host_options_init(&h);
    h.state_root = roots[0];
    h.data_root = roots[1];
    if (isol8_host_open(&fx.host, &h, &err) < 0)
        fail_msg("%s", err.msg);
    assert_int_equal(srv_engines_new(&fx.engines, fx.host, &err), 0);
    struct srv_sessions_args args = { .host = fx.host, .engines = fx.engines, .max = 3 };
    assert_int_equal(srv_sessions_new(&fx.all, &args, &err), 0);
    isol8_options_init(&fx.options);
    fx.options.mode = "persistent";
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    srv_sessions_free(fx.all);
    srv_engines_free(fx.engines);
    isol8_host_free(fx.host);
    tmpdir_close(&fx.dir);
    return 0;
}

static struct srv_session *use(const struct srv_who *who, const char *id)
{
    struct srv_session *s = NULL;
    isol8_error err;

    assert_int_equal(srv_sessions_use(fx.all, who, id, &fx.options, &s, &err), 0);
    return s;
}

static void make(const struct srv_who *who, const char *id)
{
    srv_sessions_put(fx.all, use(who, id), true, true);
}

static bool has(const struct srv_who *who, const char *id)
{
    struct srv_session *s = srv_sessions_find(fx.all, who, id);

    srv_sessions_put(fx.all, s, false, true);
    return s != NULL;
}

static void add_id(const char *id, bool is_active, int64_t last, void *user)
{
    (void)is_active;
    (void)last;
    (void)snprintf((char *)user + strlen(user), 100 - strlen(user), "%s ", id);
}

static const char *list(const struct srv_who *who)
{
    static char text[100];

    text[0] = '\0';
    srv_sessions_list(fx.all, who, add_id, text);
    return text;
}

/* Another tenant's id does not exist, is not listed, and cannot be ended. */
static void test_tenants(void **state)
{
    isol8_error err;

    (void)state;
    make(&anna, "x");
    assert_true(has(&anna, "x"));
    assert_false(has(&bert, "x"));
    assert_true(has(&master, "x"));
    assert_string_equal(list(&bert), "");
    assert_string_equal(list(&anna), "x ");
    assert_int_equal(srv_sessions_end(fx.all, &bert, "x", &err), 0);
    assert_true(has(&anna, "x"));
    make(&bert, "x"); /* a session of his own */
    assert_string_equal(list(&master), "x x ");
    struct srv_session *a = srv_sessions_find(fx.all, &anna, "x");
    struct srv_session *b = srv_sessions_find(fx.all, &bert, "x");
    assert_ptr_not_equal(a, b);
    srv_sessions_put(fx.all, a, false, true);
    srv_sessions_put(fx.all, b, false, true);
    assert_int_equal(srv_sessions_end(fx.all, &bert, "x", &err), 0);
    assert_false(has(&bert, "x"));
    assert_true(has(&anna, "x"));
    assert_int_equal(srv_sessions_end(fx.all, &master, "x", &err), 0);
    assert_false(has(&anna, "x"));
    assert_int_equal(srv_sessions_count(fx.all), 0);
}

static void test_life(void **state)
{
    isol8_error err;
    struct srv_session *s = NULL;

    (void)state;
    srv_sessions_put(fx.all, use(&anna, "failed"), true, false);
    assert_false(has(&anna, "failed"));
    make(&anna, "a");
    srv_sessions_put(fx.all, use(&anna, "a"), true, false); /* once it was good it stays */
    assert_true(has(&anna, "a"));
    make(&anna, "b");
    make(&anna, "c");
    assert_int_equal(srv_sessions_use(fx.all, &anna, "d", &fx.options, &s, &err), ISOL8_E_BUSY);
    s = use(&anna, "a");
    assert_false(srv_session_is_over(s));
    assert_int_equal(srv_sessions_end(fx.all, &anna, "a", &err), 0);
    assert_true(srv_session_is_over(s)); /* still held */
    srv_sessions_put(fx.all, s, true, true);
    assert_string_equal(list(&anna), "b c ");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_tenants, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_life, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
