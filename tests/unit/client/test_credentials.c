/* SPDX-License-Identifier: Apache-2.0 */
/* test_credentials.c - stored credentials, and which key is used. */
#include "client/credentials.h"
#include "tests/support/tmpdir.h"

#include <sys/stat.h>

#include "base/clock.h"
#include "base/mem.h"

static void test_round_trip(void **state)
{
    struct client_credentials in = { .host = (char *)"http://a",
                                     .token = (char *)"t",
                                     .expires_at = (char *)"2026-01-02T03:04:05.678Z",
                                     .key_id = (char *)"k" };
    struct client_credentials out;
    auto_buf struct buf text = BUF_INIT(0);
    struct tmpdir t;
    struct stat st;

    (void)state;
    tmpdir_open(&t);
    assert_int_equal(client_credentials_read(&out, t.path, NULL), ISOL8_E_SYS);
    assert_int_equal(client_credentials_remove(t.path, NULL), 0);
    assert_int_equal(client_credentials_write(&in, t.path, NULL), 0);
    assert_int_equal(fstatat(t.fd, ".isol8/credentials.json", &st, 0), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    assert_int_equal(path_read(t.fd, ".isol8/credentials.json", 4096, &text, NULL), 0);
    assert_string_equal(buf_text(&text), "{\n  \"host\": \"http://a\",\n  \"token\": \"t\",\n"
                                         "  \"expiresAt\": \"2026-01-02T03:04:05.678Z\",\n"
                                         "  \"keyId\": \"k\"\n}\n");
    assert_int_equal(client_credentials_read(&out, t.path, NULL), 0);
    assert_string_equal(out.token, "t");
    assert_string_equal(out.key_id, "k");
    client_credentials_done(&out);
    assert_int_equal(client_credentials_remove(t.path, NULL), 1);
    assert_int_equal(client_credentials_remove(t.path, NULL), 0);
    tmpdir_close(&t);
}

#define HOUR_MS 3600000

static enum client_key choose(const char *flag, const char *variable, const char *host, int hours,
                              const char **key)
{
    static const int64_t now = 1767323045678; /* 2026-01-02T03:04:05.678Z */
    char expires[CLOCK_ISO_SIZE];
    struct client_credentials c = { .host = (char *)"http://a/",
                                    .token = (char *)"stored",
                                    .expires_at = expires };

    clock_iso(now + (int64_t)hours * HOUR_MS, expires);
    return client_key_choose(flag, variable, &c, host, now, key);
}

static void test_priority(void **state)
{
    const struct client_credentials none = { .host = NULL };
    const char *key;

    (void)state;
    assert_int_equal(choose("flag", "env", "http://a", 1, &key), CLIENT_KEY_FOUND);
    assert_string_equal(key, "flag");
    assert_int_equal(choose("", "env", "http://a", 1, &key), CLIENT_KEY_FOUND);
    assert_string_equal(key, "env");
    assert_int_equal(choose(NULL, "", "http://a", 1, &key), CLIENT_KEY_FOUND);
    assert_string_equal(key, "stored");
    assert_int_equal(choose(NULL, NULL, "http://b", 1, &key), CLIENT_KEY_NONE);
    assert_int_equal(choose(NULL, NULL, "http://b", -1, &key), CLIENT_KEY_NONE);
    assert_int_equal(choose(NULL, NULL, "http://a", 0, &key), CLIENT_KEY_EXPIRED);
    assert_int_equal(choose(NULL, NULL, "http://a", -1, &key), CLIENT_KEY_EXPIRED);
    assert_int_equal(choose(NULL, "env", "http://a", -1, &key), CLIENT_KEY_FOUND);
    assert_int_equal(client_key_choose(NULL, NULL, &none, "http://a", 0, &key), CLIENT_KEY_NONE);
}

static void test_times(void **state)
{
    static const char *const bad[] = { "",
                                       "2026",
                                       "2026-01-02",
                                       "2026-01-02T03:04:05",
                                       "2026-01-02T03:04:05.Zx",
                                       "2026-01-02T03:04:05+1",
                                       "2026-01-02T03:04:05+25:00",
                                       "2026-13-02T03:04:05Z",
                                       "never" };
    int64_t ms;

    (void)state;
    assert_true(clock_iso_parse("2026-01-02T03:04:05.678Z", &ms));
    assert_int_equal(ms, 1767323045678);
    assert_true(clock_iso_parse("2026-01-02T03:04:05Z", &ms));
    assert_int_equal(ms, 1767323045000);
    assert_true(clock_iso_parse("2026-01-02T04:34:05.6789012+01:30", &ms));
    assert_int_equal(ms, 1767323045678);
    assert_true(clock_iso_parse("2026-01-01T22:04:05-0500", &ms));
    assert_int_equal(ms, 1767323045000);
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_false(clock_iso_parse(bad[i], &ms));
}

static void test_keys(void **state)
{
    char longest[4098];

    (void)state;
    memset(longest, 'x', sizeof(longest) - 1);
    longest[sizeof(longest) - 1] = '\0';
    assert_false(client_key_is_valid(longest));
    assert_true(client_key_is_valid(longest + 1));
    assert_true(client_key_is_valid("isol8_4f3c ~"));
    assert_false(client_key_is_valid(""));
    assert_false(client_key_is_valid("a\r\nb"));
    assert_false(client_key_is_valid("\xc3\xbc"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_priority),
        cmocka_unit_test(test_times),
        cmocka_unit_test(test_keys),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
