/* SPDX-License-Identifier: Apache-2.0 */
/* test_keys_conn.c - connection strings: which database, its parts, and what is shown of them. */
#include "server/keys/conn.h"
#include "tests/support/test.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"

static void expect(const char *text, enum keys_db db, const char *target, const char *shown)
{
    struct keys_conn c;
    isol8_error err;

    if (keys_conn_parse(&c, text, "/home/me", &err) < 0)
        fail_msg("%s: %s", text, err.msg);
    assert_int_equal(c.db, db);
    assert_string_equal(c.target, target);
    assert_string_equal(c.shown, shown);
    keys_conn_done(&c);
}

static void refuse(const char *text, const char *part)
{
    struct keys_conn c;
    isol8_error err;

    assert_int_equal(keys_conn_parse(&c, text, "/home/me", &err), ISOL8_E_INVAL);
    if (strstr(err.msg, part) == NULL)
        fail_msg("%s: '%s' is not in: %s", text, part, err.msg);
    assert_null(strstr(err.msg, "hidden"));
    keys_conn_done(&c);
}

static void test_files(void **state)
{
    (void)state;
    expect("/a/b.db", KEYS_SQLITE, "/a/b.db", "/a/b.db");
    expect("b.db", KEYS_SQLITE, "./b.db", "b.db");
    expect("~/b.db", KEYS_SQLITE, "/home/me/b.db", "~/b.db");
    expect("~other/b.db", KEYS_SQLITE, "./~other/b.db", "~other/b.db");
    expect("sqlite:///a/b.db", KEYS_SQLITE, "/a/b.db", "/a/b.db");
    expect("sqlite://b.db", KEYS_SQLITE, "./b.db", "b.db");
    expect(":x:", KEYS_SQLITE, "./:x:", ":x:");
    expect("a:b@c", KEYS_SQLITE, "./a:b@c", "a:b@c");
    refuse("", "does not name a file");
    refuse("~", "does not name a file");
    refuse("/tmp/", "does not name a file");
    refuse("sqlite://", "does not name a file");
    refuse(":memory:", "path of a file");
    refuse("file:/x", "path of a file");
    refuse("file:///x", "no kind of database");
}

static void test_no_home(void **state)
{
    struct keys_conn c;
    isol8_error err;

    (void)state;
    assert_int_equal(keys_conn_parse(&c, "~/x", NULL, &err), ISOL8_E_INVAL);
    assert_string_equal(err.msg, "~/x: HOME is not set");
    keys_conn_done(&c);
}

static void test_postgres(void **state)
{
    (void)state;
    expect("postgres://h/d", KEYS_POSTGRES, "postgres://h/d", "postgres://h/d");
    expect("postgresql://u:p@h:5432/d", KEYS_POSTGRES, "postgresql://u:p@h:5432/d",
           "postgresql://u:***@h:5432/d");
    expect("postgres://u:@h", KEYS_POSTGRES, "postgres://u:@h", "postgres://u:***@h");
    expect("postgres://u:p%40@[::1]:1,h2:2/d?sslmode=require&x=", KEYS_POSTGRES,
           "postgres://u:p%40@[::1]:1,h2:2/d?sslmode=require&x=",
           "postgres://u:***@[::1]:1,h2:2/d?sslmode=require&x=");
    expect("postgres:///?host=/run&password=x&sslpassword=y&p%61ssword=z", KEYS_POSTGRES,
           "postgres:///?host=/run&password=x&sslpassword=y&p%61ssword=z",
           "postgres:///?host=/run&password=***&sslpassword=***&p%61ssword=***");
    expect("postgres://h?PASSWORD=x&%zz=y&user=u", KEYS_POSTGRES,
           "postgres://h?PASSWORD=x&%zz=y&user=u", "postgres://h?PASSWORD=***&%zz=***&user=u");
    refuse("postgres://u:hid@hidden@h/d", "percent-encoded");
    refuse("postgres://u:hid/hidden@h/d", "percent-encoded");
    refuse("postgres://u:hid?hidden@h/d", "percent-encoded");
    refuse("postgres://u:hidden/d", "HOST:PORT");
    refuse("postgres://u:12hidden/d", "HOST:PORT");
    refuse("postgres://h/d?x= hidden", "control characters");
    refuse("postgres://u:hid\033den@h/d", "control characters");
    refuse("postgres://[hidden/d", "HOST:PORT");
}

static void test_mysql(void **state)
{
    struct keys_conn c;
    isol8_error err;

    (void)state;
    assert_int_equal(keys_conn_parse(&c, "mysql://u%3a:p%40%2F@[::1]:33/d%20b", NULL, &err), 0);
    assert_string_equal(c.user, "u:");
    assert_string_equal(c.password, "p@/");
    assert_string_equal(c.host, "::1");
    assert_string_equal(c.database, "d b");
    assert_int_equal(c.port, 33);
    assert_int_equal(c.tls, KEYS_TLS_OFF);
    assert_string_equal(c.shown, "mysql://u%3a:***@[::1]:33/d%20b");
    keys_conn_done(&c);
    assert_int_equal(keys_conn_parse(&c, "mariadb:///d?socket=/run/x&", NULL, &err), 0);
    assert_int_equal(c.db, KEYS_MYSQL);
    assert_null(c.host);
    assert_null(c.user);
    assert_null(c.password);
    assert_string_equal(c.socket, "/run/x");
    keys_conn_done(&c);
    refuse("mysql://u:hidden@h", "name of the database");
    refuse("mysql://u:hidden@h/", "name of the database");
    refuse("mysql://u:hidden@h/a/b", "name of the database");
    refuse("mysql://u:hidden%@h/d", "the password is not valid");
    refuse("mysql://u:hidden%0@h/d", "the password is not valid");
    refuse("mysql://u:hidden%00@h/d", "the password is not valid");
    refuse("mysql://u%gg:hidden@h/d", "the user is not valid");
    refuse("mysql://u:hidden@h:0/d", "1 to 65535");
    refuse("mysql://u:hidden@h:65536/d", "1 to 65535");
    refuse("mysql://u:hidden@h1,h2/d", "one host");
    refuse("mysql://u:hidden@/d", "expected a host");
    refuse("mysql://u:hidden@h/d?hidden=1", "parameters are");
    refuse("mysql://u:hidden@h/d?ssl", "no value");
    refuse("mysql://u:hidden@h/d?ssl-cert=a&ssl=true", "belong together");
    refuse("mysql://u:hidden@h/d?ssl-ca=a&ssl=false", "add ssl=true");
}

static void test_tls(void **state)
{
    static const struct {
        const char *query;
        enum keys_tls tls;
    } cases[] = {
        { "", KEYS_TLS_OFF },
        { "?ssl=false", KEYS_TLS_OFF },
        { "?sslmode=disable", KEYS_TLS_OFF },
        { "?ssl-mode=DISABLED", KEYS_TLS_OFF },
        { "?sslmode=require", KEYS_TLS_ENCRYPT },
        { "?ssl-mode=REQUIRED&ssl-ca=x", KEYS_TLS_ENCRYPT },
        { "?ssl=true", KEYS_TLS_VERIFY },
        { "?ssl-ca=x", KEYS_TLS_VERIFY },
        { "?sslmode=verify-full", KEYS_TLS_VERIFY },
        { "?ssl-mode=VERIFY_IDENTITY", KEYS_TLS_VERIFY },
        { "?ssl-ca=x&ssl-cert=y&ssl-key=z", KEYS_TLS_VERIFY },
    };
    char text[128];

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct keys_conn c;
        isol8_error err;
        (void)snprintf(text, sizeof(text), "mysql://h/d%s", cases[i].query);
        assert_int_equal(keys_conn_parse(&c, text, NULL, &err), 0);
        assert_int_equal(c.tls, cases[i].tls);
        keys_conn_done(&c);
    }
    refuse("mysql://h/d?sslmode=prefer", "sslmode=verify-full");
    refuse("mysql://h/d?ssl=1", "sslmode=verify-full");
}

static void test_other_kinds(void **state)
{
    char text[KEYS_CONN_MAX + 2];

    (void)state;
    refuse("redis://u:hidden@h", "redis:// is no kind of database");
    refuse("Postgres://u:hidden@h", "Postgres:// is no kind");
    refuse("://hidden", "***:// is no kind");
    refuse("hidden/x://y", "***:// is no kind");
    refuse("/tmp/hidden://y", "***:// is no kind");
    memset(text, 'x', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    refuse(text, "longer than");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_files),    cmocka_unit_test(test_no_home),
        cmocka_unit_test(test_postgres), cmocka_unit_test(test_mysql),
        cmocka_unit_test(test_tls),      cmocka_unit_test(test_other_kinds),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
