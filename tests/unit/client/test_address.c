/* SPDX-License-Identifier: Apache-2.0 */
/* test_address.c - the address of a server. */
#include "client/address.h"
#include "tests/support/test.h"

#include "base/mem.h"

static void test_parts(void **state)
{
    static const struct {
        const char *host, *url, *authority, *path;
        bool is_tls, is_local;
    } good[] = {
        { "http://localhost:3000", "http://localhost:3000", "localhost:3000", "", false, true },
        { "http://localhost:3000/", "http://localhost:3000", "localhost:3000", "", false, true },
        { "HTTPS://box.example/a/b/", "HTTPS://box.example/a/b", "box.example", "/a/b", true,
          false },
        { "http://[::1]:80", "http://[::1]:80", "[::1]:80", "", false, true },
        { "http://[::2]", "http://[::2]", "[::2]", "", false, false },
        { "http://127.0.0.1", "http://127.0.0.1", "127.0.0.1", "", false, true },
        { "http://127.0.0.1.example", "http://127.0.0.1.example", "127.0.0.1.example", "", false,
          false },
        { "http://a.localhost", "http://a.localhost", "a.localhost", "", false, true },
        { "http://notlocalhost", "http://notlocalhost", "notlocalhost", "", false, false },
        { "http://host", "http://host", "host", "", false, false },
    };
    struct client_address a;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        assert_int_equal(client_address_init(&a, good[i].host, NULL), 0);
        assert_string_equal(a.url, good[i].url);
        assert_string_equal(a.authority, good[i].authority);
        assert_string_equal(a.path, good[i].path);
        assert_int_equal(a.is_tls, good[i].is_tls);
        assert_int_equal(a.is_local, good[i].is_local);
        client_address_done(&a);
    }
}

static void test_mistakes(void **state)
{
    static const char *const bad[] = { "",
                                       "/",
                                       "localhost",
                                       "http:",
                                       "http://",
                                       "http:///",
                                       "ws://x",
                                       "http://u@x",
                                       "http://x?y",
                                       "http://x/#",
                                       "http://x y",
                                       "http://x\r\nA: b",
                                       "http://x/\x7f",
                                       "http://\xc3\xbc" };
    struct client_address a;
    isol8_error err;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        assert_int_equal(client_address_init(&a, bad[i], &err), ISOL8_E_INVAL);
        client_address_done(&a);
    }
    assert_int_equal(client_address_init(&a, "x", &err), ISOL8_E_INVAL);
    assert_err(err, ISOL8_E_INVAL,
               "Invalid --host: 'x'. Expected http://HOST[:PORT] or https://HOST[:PORT].");
    client_address_done(&a);
}

static void test_same(void **state)
{
    (void)state;
    assert_true(client_address_same("http://a", "http://a/"));
    assert_true(client_address_same("http://a/", "http://a"));
    assert_false(client_address_same("http://a//", "http://a"));
    assert_false(client_address_same("http://a", "http://b"));
    assert_false(client_address_same("http://a", "http://a:1"));
}

static void test_escape(void **state)
{
    auto_buf struct buf text = BUF_INIT(256);

    (void)state;
    client_address_escape(&text, "a.B-_~9/?#%\n\xc3\xbc");
    assert_string_equal(buf_text(&text), "a.B-_~9%2F%3F%23%25%0A%C3%BC");
    buf_clear(&text);
    client_address_escape(&text, "..");
    client_address_escape(&text, ".");
    assert_string_equal(buf_text(&text), "%2E%2E%2E");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parts),
        cmocka_unit_test(test_mistakes),
        cmocka_unit_test(test_same),
        cmocka_unit_test(test_escape),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
