/* SPDX-License-Identifier: Apache-2.0 */
/* test_remote.c - code from a URL, without a network: addresses, policy, guard, content, cache. */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "base/fd.h"
#include "base/mem.h"
#include "executor/remote/fetch.h"
#include "tests/support/tmpdir.h"

static const struct proxy_settings no_settings;
static const struct log silent;

/* ---- Addresses ------------------------------------------------------------------------------- */

static void test_addresses(void **state)
{
    static const struct {
        const char *in, *text, *extension;
    } good[] = {
        { "https://h.test", "https://h.test/", "" },
        { " HTTPS://H.Test.:443/a.py\n", "https://h.test/a.py", ".py" },
        { "http://h.test:80/", "http://h.test/", "" },
        { "http://h.test:443/a.sh?b=c.py#d", "http://h.test:443/a.sh?b=c.py", ".sh" },
        { "https://h.test?q/a.py", "https://h.test/?q/a.py", "" },
        { "https://h.test/a b/\"<>`{}|^\xc3\xa4.ts",
          "https://h.test/a%20b/%22%3C%3E%60%7B%7D%7C%5E%C3%A4.ts", ".ts" },
        { "https://h.test/%zz/%2e%2e/x", "https://h.test/%zz/%2e%2e/x", "" },
        { "https://[2001:DB8:0::1]:8443/x.cjs", "https://[2001:db8::1]:8443/x.cjs", ".cjs" },
        { "https://0x7f.1/x", "https://127.0.0.1/x", "" },
        { "https://[::ffff:10.0.0.1]/x", "https://10.0.0.1/x", "" },
        { "https://h.test/.py", "https://h.test/.py", "" },
        { "https://h.test/a.txt", "https://h.test/a.txt", "" },
        { "https://h.test/a.PY", "https://h.test/a.PY", "" },
        { "https://h.test/d.py/a", "https://h.test/d.py/a", "" },
        { "https://h.test/a@b:c", "https://h.test/a@b:c", "" },
    };
    static const char *const bad[] = {
        "",
        " ",
        "h.test/a.py",
        "//h.test/",
        "https:",
        "https:/h.test",
        "https:h.test",
        "https://",
        "https:///a",
        "https://h.test:0/",
        "https://h.test:/",
        "https://h.test:65536/",
        "https://h.test:8x/",
        "https://u@h.test/",
        "https://u:p@h.test/",
        "https://@h.test/",
        "https://h.test\\@x.test/",
        "https://h.test/\\x",
        "https://h.te\tst/",
        "https://h.test/a\nb",
        "https://h%2etest/",
        "https://[::1/",
        "https://::1/",
        "https://h..test/",
        "https://1.2.3.4.5/",
        "https://h.test/\xff",
        "https://h.test/\x7f",
        "1http://h.test/",
        "ht tp://h.test/",
        "https://[fe80::1%25eth0]/",
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        auto_remote_url struct remote_url u = { .text = NULL };
        if (!remote_url_parse(good[i].in, &u))
            fail_msg("refused: %s", good[i].in);
        assert_string_equal(u.text, good[i].text);
        assert_string_equal(u.extension, good[i].extension);
    }
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct remote_url u;
        if (remote_url_parse(bad[i], &u))
            fail_msg("accepted: %s", bad[i]);
    }
}

static void test_address_ceiling(void **state)
{
    char text[REMOTE_URL_MAX + 2];
    auto_remote_url struct remote_url u = { .text = NULL };

    (void)state;
    memset(text, ' ', sizeof(text)); /* each becomes three bytes */
    memcpy(text, "https://h.test/", 15);
    text[REMOTE_URL_MAX - 1] = 'x';
    text[REMOTE_URL_MAX] = '\0';
    assert_true(remote_url_parse(text, &u));
    remote_url_done(&u);
    text[REMOTE_URL_MAX] = 'x';
    text[REMOTE_URL_MAX + 1] = '\0';
    assert_false(remote_url_parse(text, &u));
}

static void test_redact(void **state)
{
    char out[40];

    (void)state;
    remote_url_redact("https://u:p@h.test/a@b", out, sizeof(out));
    assert_string_equal(out, "https://h.test/a@b");
    remote_url_redact("u:p@h", out, sizeof(out));
    assert_string_equal(out, "h");
    remote_url_redact("//u@x@h", out, sizeof(out));
    assert_string_equal(out, "//h");
}

/* ---- Policy ---------------------------------------------------------------------------------- */

static struct remote_policy *policy(const isol8_remote_options *o)
{
    struct remote_policy *p = NULL;
    isol8_error err = { 0 };

    if (remote_policy_new(&p, o, &no_settings, &silent, &err) < 0)
        fail_msg("remote_policy_new: %s", err.msg);
    return p;
}

static void expect(const struct remote_policy *p, const char *text, bool insecure,
                   const char *message)
{
    auto_remote_url struct remote_url u = { .text = NULL };
    isol8_error err = { .msg = "" };

    (void)remote_policy_check(p, text, insecure, NULL, &u, &err);
    assert_string_equal(err.msg, message);
}

/* Each check fails together with all that come after it: the first one speaks. */
static void test_order(void **state)
{
    static const char *const blocked[] = { "^h\\.test$" };
    static const char *const ftp[] = { "ftp" };
    isol8_remote_options o;

    (void)state;
    isol8_remote_options_init(&o);
    o.blocked_hosts = blocked;
    o.n_blocked_hosts = 1;
    struct remote_policy *p = policy(&o);
    expect(p, "http://h..test:1/", false, "Invalid code URL: http://h..test:1/");
    expect(p, "http://h.test:1/", false,
           "Insecure code URL blocked. Use allowInsecureCodeUrl=true to allow HTTP.");
    expect(p, "http://h.test:1/", true, "URL scheme not allowed: http");
    expect(p, "https://h.test:1/", true, "Blocked code URL host: h.test");
    expect(p, "https://i.test:1/", true,
           "Blocked code URL port: 1 is neither 80 or 443 nor in network.ports");
    expect(p, "https://i.test/", true, "");
    remote_policy_unref(p);
    o.allowed_schemes = ftp; /* what cannot be fetched is not allowed by being listed */
    o.n_allowed_schemes = 1;
    p = policy(&o);
    expect(p, "ftp://i.test/", true, "URL scheme not allowed: ftp");
    expect(p, "https://i.test/", true, "URL scheme not allowed: https");
    remote_policy_unref(p);
}

static void test_bad_options(void **state)
{
    static const char *const bad[] = { "a", "(" };
    struct remote_policy *p = NULL;
    isol8_remote_options o;
    isol8_error err = { 0 };

    (void)state;
    isol8_remote_options_init(&o);
    o.blocked_hosts = bad;
    o.n_blocked_hosts = 2;
    assert_int_equal(remote_policy_new(&p, &o, &no_settings, &silent, &err), ISOL8_E_INVAL);
    assert_non_null(strstr(err.msg, "remoteCode.blockedHosts[1]: '('"));
    isol8_remote_options_init(&o);
    o.max_code_size = 0;
    assert_int_equal(remote_policy_new(&p, &o, &no_settings, &silent, &err), ISOL8_E_INVAL);
    isol8_remote_options_init(&o);
    o.fetch_timeout_ms = 0;
    assert_int_equal(remote_policy_new(&p, &o, &no_settings, &silent, &err), ISOL8_E_INVAL);
    isol8_remote_options_init(&o);
    o.cache_ttl = -1;
    assert_int_equal(remote_policy_new(&p, &o, &no_settings, &silent, &err), ISOL8_E_INVAL);
    o.size = 1;
    assert_int_equal(remote_policy_new(&p, &o, &no_settings, &silent, &err), ISOL8_E_INVAL);
}

/* Policies are the same by what they say; lists that look alike when joined are not. */
static void test_equal(void **state)
{
    static const char *const one[] = { "a", "b" };
    static const char *const two[] = { "a\n1 b" };
    isol8_remote_options o;

    (void)state;
    isol8_remote_options_init(&o);
    o.allowed_hosts = one;
    o.n_allowed_hosts = 2;
    struct remote_policy *a = policy(&o), *b = policy(&o);
    o.allowed_hosts = two;
    o.n_allowed_hosts = 1;
    struct remote_policy *c = policy(&o);
    assert_true(remote_policy_equal(a, b));
    assert_false(remote_policy_equal(a, c));
    remote_policy_unref(a);
    remote_policy_unref(b);
    remote_policy_unref(c);
}

static void test_hash_text(void **state)
{
    char out[HASH_SHA256_HEX_SIZE], in[80];

    (void)state;
    memset(in, 'A', sizeof(in));
    in[64] = '\0';
    assert_true(remote_hash_parse(in, out));
    assert_int_equal(strspn(out, "a"), 64);
    in[63] = 'g';
    assert_false(remote_hash_parse(in, out));
    in[63] = '\0';
    assert_false(remote_hash_parse(in, out));
    memset(in, '0', 65);
    in[65] = '\0';
    assert_false(remote_hash_parse(in, out));
}

/* ---- The guard when connecting --------------------------------------------------------------- */

static int dial(struct remote_dialer *d, const char *address, uint16_t port)
{
    union {
        struct curl_sockaddr curl;
        unsigned char room[sizeof(struct curl_sockaddr) + sizeof(struct sockaddr_in6)];
    } u = { .curl = { .socktype = SOCK_STREAM } };
    struct sockaddr_in6 v6 = { .sin6_family = AF_INET6, .sin6_port = htons(port) };
    struct sockaddr_in v4 = { .sin_family = AF_INET, .sin_port = htons(port) };

    d->was_refused = false;
    if (inet_pton(AF_INET, address, &v4.sin_addr) == 1)
        memcpy(&u.curl.addr, &v4, sizeof(v4));
    else
        memcpy((void *)&u.curl.addr, &v6,
               inet_pton(AF_INET6, address, &v6.sin6_addr) == 1 ? sizeof(v6) : 0);
    u.curl.family = u.curl.addr.sa_family;
    int fd = remote_open_socket(d, 0, &u.curl);
    assert_true(d->was_refused == (fd < 0));
    return fd_close(fd) + (fd >= 0);
}

/* What the name led to in between does not matter: only what was checked is connected to. */
static void test_rebinding(void **state)
{
    struct proxy_guard *guard = NULL;
    struct proxy_host host;
    struct remote_addresses checked = { .n = 0 };
    struct remote_dialer d = { .addresses = &checked, .port = 443 };

    (void)state;
    assert_int_equal(proxy_guard_new(&guard, NULL, 0, NULL), 0);
    d.guard = guard;
    assert_true(proxy_host_parse("192.0.2.1", 9, &host));
    checked.all[checked.n++] = host.address;
    assert_true(proxy_host_parse("2001:db8::1", 11, &host));
    checked.all[checked.n++] = host.address;
    /* Even an address that was let in is judged again. */
    assert_true(proxy_host_parse("10.0.0.1", 8, &host));
    checked.all[checked.n++] = host.address;
    assert_int_equal(dial(&d, "192.0.2.1", 443), 0);
    assert_int_equal(dial(&d, "2001:db8::1", 443), 0);
    assert_int_equal(dial(&d, "::ffff:192.0.2.1", 443), 0);
    assert_int_equal(dial(&d, "192.0.2.1", 22), -1);
    assert_int_equal(dial(&d, "192.0.2.2", 443), -1);
    assert_int_equal(dial(&d, "127.0.0.1", 443), -1);
    assert_int_equal(dial(&d, "::1", 443), -1);
    assert_int_equal(dial(&d, "10.0.0.1", 443), -1);
    assert_int_equal(dial(&d, "::ffff:10.0.0.1", 443), -1);
    assert_int_equal(dial(&d, "64:ff9b::a00:1", 443), -1);
    proxy_guard_free(guard);
}

/* ---- Content --------------------------------------------------------------------------------- */

static int make(const char *data, size_t n, const char *hash, struct remote_code **out,
                isol8_error *err)
{
    auto_buf struct buf body = BUF_INIT(1000);

    assert_true(buf_add(&body, data, n));
    return remote_code_new(out, &body, hash, err);
}

static void test_content(void **state)
{
    struct remote_code *code = NULL;
    char whole[HASH_SHA256_HEX_SIZE], bare[HASH_SHA256_HEX_SIZE];
    isol8_error err = { 0 };

    (void)state;
    assert_int_equal(hash_sha256("\xef\xbb\xbfx", 4, whole, NULL), 0);
    assert_int_equal(hash_sha256("x", 1, bare, NULL), 0);
    const char *const right[] = { "", whole, bare };
    for (size_t i = 0; i < ARRAY_LEN(right); i++) {
        assert_int_equal(make("\xef\xbb\xbfx", 4, right[i], &code, &err), 0);
        assert_int_equal(code->size, 1);
        assert_string_equal(code->data, "x");
        assert_string_equal(code->hash, bare);
        remote_code_unref(code);
    }
    assert_true(make("x", 1, whole, &code, &err) < 0);
    assert_err(err, ISOL8_E_POLICY, "Remote code hash mismatch");
    assert_true(make("a\0b", 3, "", &code, &err) < 0);
    assert_err(err, ISOL8_E_INVAL, "Fetched code appears to be binary content");
    assert_true(make("a\0\xff", 3, "", &code, &err) < 0);
    assert_err(err, ISOL8_E_INVAL, "Fetched code is not valid UTF-8");
    assert_true(make("\xe2\x82", 2, "", &code, &err) < 0);
    assert_int_equal(make("", 0, "", &code, &err), 0);
    assert_int_equal(code->size, 0);
    assert_string_equal(code->data, "");
    remote_code_unref(code);
}

/* ---- Cache ----------------------------------------------------------------------------------- */

static const struct log silent;

static bool has(const struct remote_cache *c, const char *hash, int64_t ttl_s, uint64_t max)
{
    auto_buf struct buf data = BUF_INIT(0);

    return remote_cache_get(c, hash, ttl_s, max, &data) && data.len == 1 && data.data[0] == 'x';
}

static void age(const struct tmpdir *t, const char *name, int64_t seconds)
{
    struct timespec times[2] = { { .tv_nsec = UTIME_OMIT }, { .tv_sec = time(NULL) - seconds } };
    char path[128];

    (void)snprintf(path, sizeof(path), REMOTE_CACHE_DIR "/%s", name);
    assert_int_equal(utimensat(t->fd, path, times, AT_SYMLINK_NOFOLLOW), 0);
}

static void add_file(const struct tmpdir *t, const char *name, off_t size)
{
    char path[128];

    (void)snprintf(path, sizeof(path), REMOTE_CACHE_DIR "/%s", name);
    int fd = openat(t->fd, path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(ftruncate(fd, size), 0);
    assert_int_equal(close(fd), 0);
}

static void test_cache(void **state)
{
    struct tmpdir t;
    char hash[HASH_SHA256_HEX_SIZE];

    (void)state;
    tmpdir_open(&t);
    struct remote_cache c = { .data_root = t.path, .log = &silent };
    assert_int_equal(hash_sha256("x", 1, hash, NULL), 0);
    assert_false(has(&c, hash, 60, 10));
    remote_cache_put(&c, hash, "x", 1);
    assert_true(has(&c, hash, 60, 10));
    assert_true(has(&c, hash, 60, 1));
    assert_false(has(&c, hash, 60, 0)); /* another policy's limit; it stays */
    assert_true(has(&c, hash, 60, 10));
    age(&t, hash, 59);
    assert_true(has(&c, hash, 60, 10));
    age(&t, hash, 61);
    assert_false(has(&c, hash, 60, 10));
    assert_false(has(&c, hash, 1000, 10)); /* removed */
    remote_cache_put(&c, hash, "x", 1);
    age(&t, hash, -100);
    assert_false(has(&c, hash, 1000, 10));
    add_file(&t, hash, 1); /* a NUL byte */
    assert_false(has(&c, hash, 60, 10));
    assert_int_equal(remote_cache_clear(&c, true), 0); /* it was removed */
    remote_cache_put(&c, hash, "x", 1);
    assert_int_equal(remote_cache_clear(&c, true), 1);
    assert_int_equal(remote_cache_clear(&c, false), 1);
    assert_int_equal(remote_cache_clear(&c, false), 0);
    tmpdir_close(&t);
}

static bool exists(const struct tmpdir *t, const char *name)
{
    char path[128];

    (void)snprintf(path, sizeof(path), REMOTE_CACHE_DIR "/%s", name);
    return faccessat(t->fd, path, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

/* The oldest go first; what dead writers left goes once it is old. */
static void test_eviction(void **state)
{
    struct tmpdir t;
    char hash[HASH_SHA256_HEX_SIZE], names[3][HASH_SHA256_HEX_SIZE];

    (void)state;
    tmpdir_open(&t);
    struct remote_cache c = { .data_root = t.path, .log = &silent };
    assert_int_equal(hash_sha256("x", 1, hash, NULL), 0);
    remote_cache_put(&c, hash, "x", 1);
    for (size_t i = 0; i < 3; i++) {
        memset(names[i], 'a' + (int)i, sizeof(names[i]));
        names[i][sizeof(names[i]) - 1] = '\0';
        add_file(&t, names[i], (off_t)(REMOTE_CACHE_BYTES_MAX / 2)); /* sparse */
        age(&t, names[i], 300 - 100 * (int64_t)i);
    }
    add_file(&t, ".old", 1);
    add_file(&t, ".new", 1);
    age(&t, ".old", REMOTE_CACHE_JUNK_S + 10);
    remote_cache_put(&c, hash, "x", 1);
    assert_false(exists(&t, names[0]));
    assert_false(exists(&t, names[1]));
    assert_true(exists(&t, names[2]));
    assert_true(has(&c, hash, 60, 10));
    assert_false(exists(&t, ".old"));
    assert_true(exists(&t, ".new"));
    tmpdir_close(&t);
}

/* A link or a folder in the place of an entry is neither followed nor read. */
static void test_planted(void **state)
{
    struct tmpdir t;
    char hash[HASH_SHA256_HEX_SIZE], path[128];

    (void)state;
    tmpdir_open(&t);
    struct remote_cache c = { .data_root = t.path, .log = &silent };
    assert_int_equal(hash_sha256("x", 1, hash, NULL), 0);
    remote_cache_put(&c, hash, "x", 1);
    (void)snprintf(path, sizeof(path), REMOTE_CACHE_DIR "/%s", hash);
    assert_int_equal(renameat(t.fd, path, t.fd, "elsewhere"), 0);
    assert_int_equal(symlinkat("../elsewhere", t.fd, path), 0);
    assert_false(has(&c, hash, 60, 10));
    remote_cache_put(&c, hash, "x", 1);
    assert_true(has(&c, hash, 60, 10));
    assert_int_equal(unlinkat(t.fd, path, 0), 0);
    assert_int_equal(mkdirat(t.fd, path, 0700), 0);
    assert_false(has(&c, hash, 60, 10));
    assert_int_equal(remote_cache_clear(&c, false), 0); /* the folder was removed */
    assert_int_equal(unlinkat(t.fd, REMOTE_CACHE_DIR, AT_REMOVEDIR), 0);
    assert_int_equal(symlinkat("/tmp", t.fd, REMOTE_CACHE_DIR), 0);
    remote_cache_put(&c, hash, "x", 1);
    assert_false(has(&c, hash, 60, 10));
    assert_int_equal(remote_cache_clear(&c, true), 0);
    tmpdir_close(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_addresses),   cmocka_unit_test(test_address_ceiling),
        cmocka_unit_test(test_redact),      cmocka_unit_test(test_order),
        cmocka_unit_test(test_bad_options), cmocka_unit_test(test_equal),
        cmocka_unit_test(test_hash_text),   cmocka_unit_test(test_rebinding),
        cmocka_unit_test(test_content),     cmocka_unit_test(test_cache),
        cmocka_unit_test(test_eviction),    cmocka_unit_test(test_planted),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
