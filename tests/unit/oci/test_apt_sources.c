/* SPDX-License-Identifier: Apache-2.0 */
/* test_apt_sources.c - which of a host's apt sources are Debian's own. */
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "oci/apt_sources.h"
#include "tests/support/test.h"

static void expect_list(const char *in, bool strict, const char *out)
{
    auto_buf struct buf b = BUF_INIT(4096);

    apt_filter_list(in, "bookworm", strict, &b);
    assert_string_equal(buf_text(&b), out);
}

static void expect_sources(const char *in, bool strict, const char *out)
{
    auto_buf struct buf b = BUF_INIT(4096);

    apt_filter_sources(in, "bookworm", strict, &b);
    assert_string_equal(buf_text(&b), out);
}

static void test_lines(void **state)
{
    (void)state;
    expect_list("deb http://m.example/debian bookworm main contrib # mirror\n", true,
                "deb http://m.example/debian bookworm main contrib \n");
    expect_list("deb http://m.example/debian-security bookworm-security main", true,
                "deb http://m.example/debian-security bookworm-security main\n");
    expect_list("# deb http://m.example/debian bookworm main\n"
                "deb-src http://m.example/debian bookworm main\n"
                "deb cdrom:[Debian]/ bookworm main\n"
                "deb http://m.example/debian trixie main\n"
                "deb http://m.example/linux bookworm stable\n"
                "deb http://m.example/debian bookworm-backports main\n"
                "deb\n\ndeb [ broken\n",
                true, "");
}

static void test_keys(void **state)
{
    static const char own[] =
        "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] http://m.example x\n"
        "deb [arch=amd64 signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] "
        "http://m.example bookworm main\n";
    static const char foreign[] =
        "deb [signed-by=/etc/apt/keyrings/vendor.gpg] http://v.example bookworm main\n";

    (void)state;
    expect_list(own, true, strchr(own, '\n') + 1);
    expect_list(foreign, true, "");
    expect_list(foreign, false, foreign);
}

static void test_stanzas(void **state)
{
    static const char good[] = "Types: deb deb-src\nURIs: http://m.example/debian\n"
                               "Suites: bookworm bookworm-updates\nComponents: main\n"
                               "Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg\n";
    static const char commented[] = "Types: deb\n# http://old.example\nURIs: http://m.example\n"
                                    "Suites:\n bookworm\nComponents: main\n";
    static const char clean[] = "Types: deb\nURIs: http://m.example\n"
                                "Suites:\n bookworm\nComponents: main\n\n";
    static const char others[] =
        "Types: deb\nURIs: http://v.example\nSuites: bookworm\nComponents: stable\n\n"
        "Enabled: no\nTypes: deb\nURIs: http://m.example\nSuites: bookworm\nComponents: main\n\n"
        "Types: deb-src\nURIs: http://m.example\nSuites: bookworm\nComponents: main\n\n"
        "Types: deb\nURIs: http://v.example\nSuites: bookworm\nComponents: main\n"
        "Signed-By: /etc/apt/keyrings/vendor.gpg\n\n\n\n";
    char expected[512];

    (void)state;
    (void)snprintf(expected, sizeof(expected), "%s\n", good);
    expect_sources(good, true, expected);
    expect_sources(commented, true, clean);
    expect_sources(others, true, "");
    expect_sources("", true, "");
    expect_sources("\n\n \n", true, "");
}

static void test_codename(void **state)
{
    char name[32];

    (void)state;
    assert_true(apt_codename("ID=debian\nVERSION_CODENAME=bookworm\n", name));
    assert_string_equal(name, "bookworm");
    assert_true(apt_codename("VERSION_CODENAME=\"trixie\"\nID=\"debian\"", name));
    assert_string_equal(name, "trixie");
    assert_false(apt_codename("ID=ubuntu\nVERSION_CODENAME=noble\n", name));
    assert_false(apt_codename("ID=debian\n", name));
    assert_false(apt_codename("ID=debian\nVERSION_CODENAME=../x\n", name));
    assert_false(apt_codename("", name));
}

static int note_path(const char *path, void *user, isol8_error *err)
{
    (void)err;
    (void)buf_addf(user, "%s;", path);
    return strcmp(path, "/stop") == 0 ? ISOL8_E_INVAL : 0;
}

static void test_named_files(void **state)
{
    static const char *const cases[][2] = {
        { "deb [arch=amd64 signed-by=/k/a.gpg,/k/b.gpg] http://m.example bookworm main\n",
          "/k/a.gpg;/k/b.gpg;" },
        { "Signed-By: /k/a.gpg\n /k/b.gpg\nURIs: http://m.example/debian\n", "/k/a.gpg;/k/b.gpg;" },
        { "Signed-By:\n -----BEGIN PGP PUBLIC KEY BLOCK-----\n /not/a/path\n", "" },
        { "Signed-By: 0123456789ABCDEF\n", "" },
        { "URIs: mirror+file:/etc/m.list mirror+file:///etc/n.list\n", "/etc/m.list;/etc/n.list;" },
        { "signed-by=", "" },
        { "signed-by=/", "/;" },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        auto_buf struct buf out = BUF_INIT(1024);
        assert_int_equal(apt_named_files(cases[i][0], note_path, &out, NULL), 0);
        assert_string_equal(buf_text(&out), cases[i][1]);
    }
    auto_buf struct buf out = BUF_INIT(1024);
    assert_int_equal(apt_named_files("signed-by=/stop,/next", note_path, &out, NULL),
                     ISOL8_E_INVAL);
    assert_string_equal(buf_text(&out), "/stop;");
}

static void test_without_users(void **state)
{
    static const char *const cases[][2] = {
        { "", "" },
        { "deb http://m.example/x bookworm main", "deb http://m.example/x bookworm main" },
        { "deb http://u:p@m.example/x bookworm", "deb http://m.example/x bookworm" },
        { "https://u:p@q@m.example", "https://m.example" },
        { "http://m.example/a@b", "http://m.example/a@b" },
        { "x://a@ y@z ://b@c\n://", "x:// y@z ://c\n://" },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        auto_buf struct buf out = BUF_INIT(1024);
        apt_without_users(cases[i][0], &out);
        assert_string_equal(buf_text(&out), cases[i][1]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lines),       cmocka_unit_test(test_keys),
        cmocka_unit_test(test_stanzas),     cmocka_unit_test(test_codename),
        cmocka_unit_test(test_named_files), cmocka_unit_test(test_without_users),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
