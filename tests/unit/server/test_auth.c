/* SPDX-License-Identifier: Apache-2.0 */
/* test_auth.c - the master key, its spellings, and how often somebody may guess. */
#include "server/auth.h"
#include "tests/support/test.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

static struct srv_auth *auth_of(const char *key)
{
    static struct srv_auth a;
    isol8_error err;

    assert_int_equal(srv_auth_init(&a, key, &err), 0);
    return &a;
}

static int check(struct srv_auth *a, const char *header, const char *address)
{
    struct sockaddr_in6 in6 = { .sin6_family = AF_INET6 };
    struct sockaddr_in in = { .sin_family = AF_INET };
    const struct sockaddr *peer = NULL;
    struct srv_who who;
    struct srv_fault f;

    if (address != NULL && strchr(address, ':') != NULL) {
        assert_int_equal(inet_pton(AF_INET6, address, &in6.sin6_addr), 1);
        peer = (const struct sockaddr *)&in6;
    } else if (address != NULL) {
        assert_int_equal(inet_pton(AF_INET, address, &in.sin_addr), 1);
        peer = (const struct sockaddr *)&in;
    }
    return srv_auth_check(a, header, peer, &who, &f) == 0 ? 200 : f.http;
}

static void test_headers(void **state)
{
    struct srv_auth *a = auth_of("the key");

    (void)state;
    assert_int_equal(check(a, NULL, NULL), 401);
    assert_int_equal(check(a, "", NULL), 401);
    assert_int_equal(check(a, "the key", NULL), 200);
    assert_int_equal(check(a, "Bearer the key", NULL), 200);
    assert_int_equal(check(a, "bEARER \t the key", NULL), 200);
    assert_int_equal(check(a, "Bearer", NULL), 403);
    assert_int_equal(check(a, "Bearerthe key", NULL), 403);
    assert_int_equal(check(a, "the key ", NULL), 403);
    assert_int_equal(check(a, "the ke", NULL), 403);
    srv_auth_done(a);
}

static int fail_until_limited(struct srv_auth *a, const char *address)
{
    int n = 0;

    while (check(a, "guess", address) == 403)
        n++;
    return n;
}

static void test_guessing(void **state)
{
    struct srv_auth *a = auth_of("short");

    (void)state;
    assert_in_range(fail_until_limited(a, "192.0.2.1"), AUTH_TRIES, AUTH_TRIES + 2);
    assert_int_equal(check(a, "short", "192.0.2.1"), 429);
    assert_int_equal(check(a, "short", "::ffff:192.0.2.1"), 429); /* the same address */
    assert_int_equal(check(a, "short", "192.0.2.2"), 200);
    assert_int_equal(check(a, "short", NULL), 200);
    /* One network of IPv6 is one guesser. */
    assert_in_range(fail_until_limited(a, "2001:db8::1"), AUTH_TRIES, AUTH_TRIES + 2);
    assert_int_equal(check(a, "short", "2001:db8::2"), 429);
    assert_int_equal(check(a, "short", "2001:db8:0:1::1"), 200);
    srv_auth_done(a);
}

static void test_strong_key(void **state)
{
    struct srv_auth *a = auth_of("0123456789abcdef0123456789abcdef");

    (void)state;
    (void)fail_until_limited(a, "192.0.2.1");
    assert_int_equal(check(a, "guess", "192.0.2.1"), 429);
    assert_int_equal(check(a, "0123456789abcdef0123456789abcdef", "192.0.2.1"), 200);
    srv_auth_done(a);
}

static void test_many_addresses(void **state)
{
    struct srv_auth *a = auth_of("short");
    char address[32];

    (void)state;
    for (int i = 0; i < 2 * AUTH_ADDRESSES; i++) {
        (void)snprintf(address, sizeof(address), "10.0.%d.%d", i / 256, i % 256);
        assert_int_equal(check(a, "guess", address), 403);
    }
    assert_int_equal(a->n_tries, AUTH_ADDRESSES);
    srv_auth_done(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_headers),
        cmocka_unit_test(test_guessing),
        cmocka_unit_test(test_strong_key),
        cmocka_unit_test(test_many_addresses),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
