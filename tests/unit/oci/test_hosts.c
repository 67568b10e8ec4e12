/* SPDX-License-Identifier: Apache-2.0 */
/* test_hosts.c - host names out of addresses, without credentials. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "oci/hosts.h"
#include "tests/support/tmpdir.h"

static void expect(const struct hosts *h, const char *json)
{
    auto_free char *text = hosts_json(h);

    assert_string_equal(text, json);
}

static void test_urls(void **state)
{
    static const char text[] =
        "deb https://b.example.org/debian x main\n"
        "index-url = \"http://user:p@ss@A.Example.org:8080/simple/\" HTTPS://c.example.org?x=1\n"
        "https://b.example.org ftp://d.example.org http:// https:///x http://[::1]:80/ http://a_b/ "
        "http://e.example.org";
    auto_free struct hosts *h = calloc(1, sizeof(*h));

    (void)state;
    hosts_add_text(h, text);
    expect(h, "[\"a.example.org\",\"a_b\",\"b.example.org\",\"c.example.org\","
              "\"e.example.org\"]");
}

static void test_ceilings(void **state)
{
    auto_free struct hosts *h = calloc(1, sizeof(*h));
    char url[HOSTS_NAME_MAX + 16];

    (void)state;
    memcpy(url, "http://", 7);
    memset(url + 7, 'a', HOSTS_NAME_MAX + 1);
    hosts_add_url(h, url, 7 + HOSTS_NAME_MAX + 1);
    assert_int_equal(h->n, 0);
    hosts_add_url(h, url, 7 + HOSTS_NAME_MAX);
    assert_int_equal(h->n, 1);
    for (int i = 0; i < 2 * HOSTS_MAX; i++) {
        int n = snprintf(url, sizeof(url), "http://h%d", i);
        hosts_add_url(h, url, (size_t)n);
    }
    assert_int_equal(h->n, HOSTS_MAX);
}

static void test_pip(void **state)
{
    static const char conf[] = "[global]\nindex-url = https://pip.example.org/simple\n"
                               "extra-index-url =\n  https://one.example.org\n"
                               "  https://two.example.org\nproxy = http://proxy.example.org\n";
    auto_free struct hosts *h = calloc(1, sizeof(*h));
    struct tmpdir t;
    char path[96];

    (void)state;
    tmpdir_open(&t);
    assert_int_equal(path_replace(t.fd, "pip.conf", conf, strlen(conf), 0644, false, NULL), 0);
    (void)snprintf(path, sizeof(path), "%s/pip.conf", t.path);
    assert_int_equal(setenv("PIP_CONFIG_FILE", path, 1), 0);
    assert_int_equal(setenv("HOME", t.path, 1), 0);
    hosts_add_pip(h);
    auto_free char *text = hosts_json(h);
    assert_non_null(strstr(text, "\"one.example.org\""));
    assert_non_null(strstr(text, "\"two.example.org\""));
    assert_non_null(strstr(text, "\"pip.example.org\""));
    assert_null(strstr(text, "proxy"));
    tmpdir_close(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_urls),
        cmocka_unit_test(test_ceilings),
        cmocka_unit_test(test_pip),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
