/* SPDX-License-Identifier: Apache-2.0 */
/* test_npm.c - the registry comes from npm's configuration, and only the right bytes are taken. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/mem.h"
#include "oci/npm.h"
#include "tests/support/tmpdir.h"
#include "tests/support/web.h"

/* SHA-512 of "hello" (coreutils: printf hello | sha512sum, in base64). */
#define HELLO                                                                                      \
    "sha512-m3HSJL1i83hdltRq0+o9czGb+8KJDKra4t/"                                                   \
    "3JRlnPKcjI8PZm6XBHXx6zG4UuMXaDEZjR1wuXDre9G9zvN7AQw=="
#define WRONG                                                                                      \
    "sha512-n3HSJL1i83hdltRq0+o9czGb+8KJDKra4t/"                                                   \
    "3JRlnPKcjI8PZm6XBHXx6zG4UuMXaDEZjR1wuXDre9G9zvN7AQw=="

static void expect(const char *text, const char *key, const char *value)
{
    auto_free char *have = npmrc_value(text, key);

    if (value == NULL)
        assert_null(have);
    else
        assert_string_equal(have, value);
}

static void test_npmrc(void **state)
{
    (void)state;
    assert_int_equal(setenv("ISOL8_TEST_TOKEN", "s3cret", 1), 0);
    assert_int_equal(unsetenv("ISOL8_TEST_UNSET"), 0);
    expect("registry=https://a.example/\n", "registry", "https://a.example/");
    expect(" registry = \"https://a.example/\" \r\n", "registry", "https://a.example/");
    expect("; registry=x\n# registry=y\nother=z", "registry", NULL);
    expect("registry=a\nregistry=b", "registry", "b");
    expect("registry=", "registry", NULL);
    expect("registry", "registry", NULL);
    expect("registry2=x", "registry", NULL);
    expect("//h/:_authToken=${ISOL8_TEST_TOKEN}", "//h/:_authToken", "s3cret");
    expect("k=a${ISOL8_TEST_UNSET}b${", "k", "a${ISOL8_TEST_UNSET}b${");
    expect("", "registry", NULL);
}

static void with_npmrc(struct tmpdir *t, const char *text)
{
    char path[96];

    tmpdir_open(t);
    assert_int_equal(path_replace(t->fd, "rc", text, strlen(text), 0600, false, NULL), 0);
    (void)snprintf(path, sizeof(path), "%s/rc", t->path);
    assert_int_equal(setenv("NPM_CONFIG_USERCONFIG", path, 1), 0);
    assert_int_equal(unsetenv("npm_config_registry"), 0);
    assert_int_equal(unsetenv("NPM_CONFIG_REGISTRY"), 0);
}

static void test_registry(void **state)
{
    struct npm_registry r;
    struct tmpdir t;

    (void)state;
    with_npmrc(&t, "registry=https://h.example:8443/npm\ncafile=/x.pem\n"
                   "//h.example:8443/npm/:_authToken=tok\n//other.example/:_authToken=no\n");
    assert_int_equal(npm_registry_load(&r, NULL), 0);
    assert_string_equal(r.url, "https://h.example:8443/npm/");
    assert_string_equal(r.auth, "Authorization: Bearer tok");
    assert_string_equal(r.ca_file, "/x.pem");
    npm_registry_done(&r);
    npm_registry_done(&r);

    assert_int_equal(setenv("NPM_CONFIG_REGISTRY", "https://env.example", 1), 0);
    assert_int_equal(npm_registry_load(&r, NULL), 0);
    assert_string_equal(r.url, "https://env.example/");
    assert_null(r.auth); /* another host's token is not for this one */
    npm_registry_done(&r);
    tmpdir_close(&t);
}

static void test_parent_auth(void **state)
{
    struct npm_registry r;
    struct tmpdir t;

    (void)state;
    with_npmrc(&t, "registry=https://h.example/a/b/\n//h.example/:_auth=dXNlcjpwYXNz\n");
    assert_int_equal(npm_registry_load(&r, NULL), 0);
    assert_string_equal(r.auth, "Authorization: Basic dXNlcjpwYXNz");
    npm_registry_done(&r);
    tmpdir_close(&t);
}

static void test_bad_registry(void **state)
{
    static const char *const bad[] = { "file:///x", "h.example", "https://h.example/?x=1",
                                       "https://h.example/ x" };
    struct npm_registry r;
    struct tmpdir t;

    (void)state;
    with_npmrc(&t, "");
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        assert_int_equal(setenv("npm_config_registry", bad[i], 1), 0);
        assert_int_equal(npm_registry_load(&r, NULL), ISOL8_E_INVAL);
    }
    assert_int_equal(unsetenv("npm_config_registry"), 0);
    tmpdir_close(&t);
}

static void test_default_registry(void **state)
{
    struct npm_registry r;
    struct tmpdir t;

    (void)state;
    with_npmrc(&t, "");
    assert_int_equal(npm_registry_load(&r, NULL), 0);
    assert_memory_equal(r.url, "http", 4);
    npm_registry_done(&r);
    tmpdir_close(&t);
}

static void test_tarball_url(void **state)
{
    char url[HTTP_URL_MAX];
    static char longest[HTTP_URL_MAX];

    (void)state;
    assert_true(npm_tarball_url("https://h.example/", "npm", "1.2.3", url));
    assert_string_equal(url, "https://h.example/npm/-/npm-1.2.3.tgz");
    assert_true(npm_tarball_url("https://h.example/", "@a/b", "1.2.3", url));
    assert_string_equal(url, "https://h.example/@a/b/-/b-1.2.3.tgz");
    memset(longest, 'a', sizeof(longest) - 1);
    assert_false(npm_tarball_url("https://h.example/", longest, "1", url));
}

/* ---- Downloads ------------------------------------------------------------------------------- */

static struct web web;
static char elsewhere[256];

static void answer(struct web *w, const char *path, char *out, size_t cap)
{
    (void)w;
    if (strcmp(path, "/good/-/good-1.0.0.tgz") == 0 || strcmp(path, "/files/moved.tgz") == 0)
        web_answer(out, cap, "200 OK", "", "hello");
    else if (strcmp(path, "/moved/1.0.0") == 0)
        web_answer(out, cap, "200 OK", "", elsewhere);
    else if (strcmp(path, "/evil/1.0.0") == 0)
        web_answer(out, cap, "200 OK", "", "{\"dist\":{\"tarball\":\"file:///etc/passwd\"}}");
    else if (strcmp(path, "/junk/1.0.0") == 0)
        web_answer(out, cap, "200 OK", "", "junk");
    else
        web_answer(out, cap, "404 Not Found", "", "{}");
}

static int fetch(const char *name, const char *integrity, isol8_error *err)
{
    char url[64];
    struct npm_registry r = { .url = url };
    struct http_args args = { .cancel_fd = -1 };
    int fd = fd_memfd("tgz", NULL, 0);
    struct npm_package p = { name, "1.0.0", integrity, fd };

    (void)snprintf(url, sizeof(url), "http://127.0.0.1:%u/", web.port);
    int status = npm_fetch(&r, &p, 1, args, err);
    if (status == 0)
        assert_int_equal(lseek(fd, 0, SEEK_END), 5);
    (void)fd_close(fd);
    return status;
}

static void test_fetch(void **state)
{
    isol8_error err;

    (void)state;
    (void)snprintf(elsewhere, sizeof(elsewhere),
                   "{\"dist\":{\"tarball\":\"http://127.0.0.1:%u/files/moved.tgz\"}}", web.port);
    assert_int_equal(fetch("good", HELLO, &err), 0);
    assert_int_equal(fetch("moved", HELLO, &err), 0);
    assert_int_equal(fetch("good", WRONG, &err), ISOL8_E_PROTOCOL);
    assert_string_equal(err.msg,
                        "good@1.0.0 from the npm registry does not have the expected digest");
    assert_int_equal(fetch("moved", WRONG, &err), ISOL8_E_PROTOCOL);
    assert_int_equal(fetch("none", HELLO, &err), ISOL8_E_NETWORK);
    assert_int_equal(fetch("junk", HELLO, &err), ISOL8_E_PROTOCOL);
    assert_int_equal(fetch("evil", HELLO, &err), ISOL8_E_INVAL);
}

static int open_web(void **state)
{
    (void)state;
    web_open(&web, answer);
    return 0;
}

static int close_web(void **state)
{
    (void)state;
    web_close(&web);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_npmrc),
        cmocka_unit_test(test_registry),
        cmocka_unit_test(test_parent_auth),
        cmocka_unit_test(test_bad_registry),
        cmocka_unit_test(test_default_registry),
        cmocka_unit_test(test_tarball_url),
        cmocka_unit_test(test_fetch),
    };

    return cmocka_run_group_tests(tests, open_web, close_web);
}
