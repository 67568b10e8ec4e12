/* SPDX-License-Identifier: Apache-2.0 */
/* test_hash.c - known digests (FIPS 180-4 examples), whole and in pieces. */
#include "base/hash.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "tests/support/test.h"

static void test_sha256(void **state)
{
    char hex[HASH_SHA256_HEX_SIZE];

    (void)state;
    assert_int_equal(hash_sha256("", 0, hex, NULL), 0);
    assert_string_equal(hex, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    assert_int_equal(hash_sha256("abc", 3, hex, NULL), 0);
    assert_string_equal(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

static void test_pieces(void **state)
{
    auto_free char *million = malloc(1000000);
    auto_hash struct hash *h = NULL;
    uint8_t out[HASH_MAX_BYTES];
    char hex[2 * HASH_MAX_BYTES + 1];
    size_t n = 0;

    (void)state;
    assert_non_null(million);
    memset(million, 'a', 1000000);
    assert_int_equal(hash_new(&h, HASH_SHA256, NULL), 0);
    for (size_t at = 0, step = 1; at < 1000000; at += step, step = step * 2 + 1) {
        size_t part = step < 1000000 - at ? step : 1000000 - at;
        assert_int_equal(hash_update(h, million + at, part, NULL), 0);
    }
    assert_int_equal(hash_final(h, out, &n, NULL), 0);
    assert_int_equal(n, 32);
    hash_hex(out, n, hex);
    assert_string_equal(hex, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

static void test_sha512(void **state)
{
    auto_hash struct hash *h = NULL;
    uint8_t out[HASH_MAX_BYTES];
    char hex[2 * HASH_MAX_BYTES + 1];
    size_t n = 0;

    (void)state;
    assert_int_equal(hash_new(&h, HASH_SHA512, NULL), 0);
    assert_int_equal(hash_update(h, "abc", 3, NULL), 0);
    assert_int_equal(hash_final(h, out, &n, NULL), 0);
    assert_int_equal(n, 64);
    hash_hex(out, n, hex);
    assert_string_equal(hex, "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a"
                             "2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f");
    hash_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sha256),
        cmocka_unit_test(test_pieces),
        cmocka_unit_test(test_sha512),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
