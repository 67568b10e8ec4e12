/* SPDX-License-Identifier: Apache-2.0 */
/* test_netlog.c - records, their JSON, and what happens when there are too many. */
#include "proxy/netlog.h"
#include "tests/support/test.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"

static struct netlog *new_log(void)
{
    struct netlog *l = NULL;

    assert_int_equal(netlog_new(&l, NULL), 0);
    return l;
}

static void assert_json(cJSON *j, const char *text)
{
    auto_json cJSON *owned = j;
    auto_free char *printed = cJSON_PrintUnformatted(owned);

    assert_non_null(printed);
    assert_string_equal(printed, text);
}

static void test_allowed(void **state)
{
    auto_netlog struct netlog *l = new_log();
    const struct netlog_entry e = {
        .wall_ms = 1767323045678,
        .method = "GET",
        .host = "example.com",
        .path = "/a?b=\"c\"",
        .is_allowed = true,
        .duration_ms = 12,
        .port = 80,
        .rule = "^example\\.com$",
        .reason = "allowed by rule",
        .bytes_in = 5000000000,
        .bytes_out = 7,
    };

    (void)state;
    assert_true(netlog_add(l, &e));
    assert_int_equal(netlog_count(l), 1);
    assert_json(netlog_json(l, 0),
                "{\"timestamp\":\"2026-01-02T03:04:05.678Z\",\"method\":\"GET\","
                "\"host\":\"example.com\",\"path\":\"/a?b=\\\"c\\\"\",\"action\":\"ALLOW\","
                "\"durationMs\":12,\"port\":80,\"rule\":\"^example\\\\.com$\","
                "\"reason\":\"allowed by rule\",\"bytesIn\":5000000000,\"bytesOut\":7}");
    assert_null(netlog_event_json(l, 0));
}

static void test_blocked_and_failed(void **state)
{
    auto_netlog struct netlog *l = new_log();
    const struct netlog_entry block = {
        .wall_ms = 0, .method = "CONNECT", .host = "evil.example", .port = 443, .reason = "denied"
    };
    const struct netlog_entry failed = {
        .host = "a", .is_allowed = true, .path = "/", .error = "connection refused"
    };

    (void)state;
    assert_true(netlog_add(l, &block));
    assert_true(netlog_add(l, &failed));
    assert_json(netlog_json(l, 0),
                "{\"timestamp\":\"1970-01-01T00:00:00.000Z\",\"method\":\"CONNECT\","
                "\"host\":\"evil.example\",\"path\":null,\"action\":\"BLOCK\",\"durationMs\":0,"
                "\"port\":443,\"reason\":\"denied\",\"bytesIn\":0,\"bytesOut\":0}");
    assert_json(netlog_event_json(l, 0),
                "{\"type\":\"network_blocked\",\"message\":\"Security event: network_blocked\","
                "\"details\":{\"method\":\"CONNECT\",\"host\":\"evil.example\","
                "\"reason\":\"filter_mismatch\"},\"timestamp\":\"1970-01-01T00:00:00.000Z\"}");
    assert_json(netlog_json(l, 1),
                "{\"timestamp\":\"1970-01-01T00:00:00.000Z\",\"method\":\"UNKNOWN\",\"host\":\"a\","
                "\"path\":\"/\",\"action\":\"ALLOW\",\"durationMs\":0,\"port\":0,\"bytesIn\":0,"
                "\"bytesOut\":0,\"error\":\"connection refused\"}");
}

/* The entry's texts may change or go after netlog_add(). */
static void test_copies(void **state)
{
    auto_netlog struct netlog *l = new_log();
    char host[] = "before";
    const struct netlog_entry e = { .host = host, .is_allowed = true };

    (void)state;
    assert_true(netlog_add(l, &e));
    memset(host, 'x', sizeof(host) - 1);
    auto_json cJSON *j = netlog_json(l, 0);
    assert_string_equal(json_string(j, "host"), "before");
}

static void test_forged_lines_and_terminal_codes(void **state)
{
    auto_netlog struct netlog *l = new_log();
    const struct netlog_entry e = {
        .host = "a\n{\"action\":\"ALLOW\"}",
        .path = "/\x1b[2J\x7f\xc2\x9b"
                "1m\xff%41 \"\\",
    };

    (void)state;
    assert_true(netlog_add(l, &e));
    auto_json cJSON *j = netlog_json(l, 0);
    assert_string_equal(json_string(j, "host"), "a%0A{\"action\":\"ALLOW\"}");
    assert_string_equal(json_string(j, "path"), "/%1B[2J%7F%C2%9B1m%FF%41 \"\\");
    auto_free char *printed = cJSON_PrintUnformatted(j);
    for (const char *p = printed; *p != '\0'; p++)
        assert_true(*p >= 0x20 && *p < 0x7f);
}

static void test_long_texts_are_cut(void **state)
{
    static char longer[8192];
    auto_netlog struct netlog *l = new_log();
    const struct netlog_entry e = {
        .method = longer, .host = longer, .path = longer, .rule = longer, .reason = longer
    };

    (void)state;
    memset(longer, 'x', sizeof(longer) - 1);
    longer[NETLOG_PATH_MAX - 1] = '\xff'; /* its escape would not fit */
    assert_true(netlog_add(l, &e));
    auto_json cJSON *j = netlog_json(l, 0);
    assert_int_equal(strlen(json_string(j, "method")), NETLOG_METHOD_MAX);
    assert_int_equal(strlen(json_string(j, "host")), NETLOG_HOST_MAX);
    assert_int_equal(strlen(json_string(j, "path")), NETLOG_PATH_MAX - 1);
    assert_int_equal(strlen(json_string(j, "rule")), NETLOG_RULE_MAX);
    assert_int_equal(strlen(json_string(j, "reason")), NETLOG_TEXT_MAX);
}

/* "<i>" is the host of entry number i. */
static void add_numbered(struct netlog *l, unsigned i, bool is_allowed, bool expected)
{
    char host[16];
    const struct netlog_entry e = { .host = host, .is_allowed = is_allowed };

    (void)snprintf(host, sizeof(host), "%u", i);
    if (netlog_add(l, &e) != expected)
        fail_msg("entry %u", i);
}

static void assert_host(const struct netlog *l, size_t i, const char *host)
{
    auto_json cJSON *j = netlog_json(l, i);

    assert_string_equal(json_string(j, "host"), host);
}

static void test_100000_entries(void **state)
{
    auto_netlog struct netlog *l = new_log();

    (void)state;
    for (unsigned i = 0; i < 100000; i++)
        add_numbered(l, i, true, i < NETLOG_ENTRIES_MAX);
    assert_int_equal(netlog_count(l), NETLOG_ENTRIES_MAX);
    assert_int_equal(netlog_dropped(l), 100000 - NETLOG_ENTRIES_MAX);
    assert_host(l, 0, "0");
    assert_host(l, NETLOG_ENTRIES_MAX - 1, "9999");
    /* Blocked ones still come in, in place of the latest allowed ones. */
    for (unsigned i = 0; i < 100000; i++)
        add_numbered(l, 100000 + i, false, i < NETLOG_ENTRIES_MAX);
    assert_int_equal(netlog_count(l), NETLOG_ENTRIES_MAX);
    assert_int_equal(netlog_dropped(l), 200000 - NETLOG_ENTRIES_MAX);
    assert_host(l, 0, "100000");
    assert_host(l, NETLOG_ENTRIES_MAX - 1, "109999");
}

static void test_blocked_ones_make_room_in_order(void **state)
{
    auto_netlog struct netlog *l = new_log();

    (void)state;
    for (unsigned i = 0; i < NETLOG_ENTRIES_MAX; i++)
        add_numbered(l, i, i < NETLOG_ENTRIES_MAX - 2, true);
    add_numbered(l, 20000, false, true);
    add_numbered(l, 20001, true, false);
    assert_int_equal(netlog_count(l), NETLOG_ENTRIES_MAX);
    assert_int_equal(netlog_dropped(l), 2);
    assert_host(l, NETLOG_ENTRIES_MAX - 4, "9996");
    assert_host(l, NETLOG_ENTRIES_MAX - 3, "9998");
    assert_host(l, NETLOG_ENTRIES_MAX - 2, "9999");
    assert_host(l, NETLOG_ENTRIES_MAX - 1, "20000");
}

static void test_memory_ceiling(void **state)
{
    static char path[NETLOG_PATH_MAX + 1];
    auto_netlog struct netlog *l = new_log();
    const struct netlog_entry allowed = { .host = "a", .path = path, .is_allowed = true };
    const struct netlog_entry blocked = { .host = "b", .path = path };

    (void)state;
    memset(path, 'x', sizeof(path) - 1);
    for (unsigned i = 0; i < NETLOG_ENTRIES_MAX; i++)
        (void)netlog_add(l, &allowed);
    assert_true(netlog_count(l) < NETLOG_BYTES_MAX / NETLOG_PATH_MAX);
    assert_true(netlog_count(l) > NETLOG_BYTES_MAX / NETLOG_PATH_MAX / 2);
    size_t count = netlog_count(l);
    assert_false(netlog_add(l, &allowed));
    assert_true(netlog_add(l, &blocked));
    assert_int_equal(netlog_count(l), count);
    assert_host(l, count - 1, "b");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_allowed),
        cmocka_unit_test(test_blocked_and_failed),
        cmocka_unit_test(test_copies),
        cmocka_unit_test(test_forged_lines_and_terminal_codes),
        cmocka_unit_test(test_long_texts_are_cut),
        cmocka_unit_test(test_100000_entries),
        cmocka_unit_test(test_blocked_ones_make_room_in_order),
        cmocka_unit_test(test_memory_ceiling),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
