/* SPDX-License-Identifier: Apache-2.0 */
/* test_guard.c - addresses that no name may lead to. */
#include "proxy/guard.h"
#include "tests/support/test.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <sched.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/mem.h"

static const char *refuses(const struct proxy_guard *g, const char *address)
{
    struct proxy_host h;

    if (!proxy_host_parse(address, strlen(address), &h) || !h.is_address)
        fail_msg("not an address: %s", address);
    return proxy_guard_refuses(g, &h.address);
}

static struct proxy_guard *guard_with(const char *const *open, size_t n)
{
    struct proxy_guard *g = NULL;
    isol8_error err;

    if (proxy_guard_new(&g, open, n, &err) < 0)
        fail_msg("%s", err.msg);
    return g;
}

/* Each is refused, for a reason that contains the second word. */
static void check_refused(const char *const (*rows)[2], size_t n)
{
    auto_proxy_guard struct proxy_guard *g = guard_with(NULL, 0);

    for (size_t i = 0; i < n; i++) {
        const char *reason = refuses(g, rows[i][0]);
        if (reason == NULL || strstr(reason, rows[i][1]) == NULL)
            fail_msg("%s: %s, expected '%s'", rows[i][0], reason != NULL ? reason : "open",
                     rows[i][1]);
    }
}

static void test_private_loopback_link_local_metadata(void **state)
{
    static const char *const rows[][2] = {
        { "10.0.0.0", "private range 10.0.0.0/8" },
        { "10.255.255.255", "private" },
        { "172.16.0.1", "private" },
        { "172.31.255.255", "private" },
        { "192.168.1.1", "private" },
        { "127.0.0.1", "loopback" },
        { "127.255.255.254", "loopback" },
        { "169.254.169.254", "link-local" }, /* metadata service of most clouds */
        { "169.254.170.2", "link-local" },
        { "100.100.100.200", "shared" }, /* metadata service of Alibaba Cloud */
        { "100.64.0.1", "shared" },
        { "::1", "loopback" },
        { "fe80::1", "link-local" },
        { "febf::1", "link-local" },
        { "fd00:ec2::254", "private" }, /* metadata service of AWS by IPv6 */
        { "fc00::1", "private" },
        { "fec0::1", "site-local" },
    };

    (void)state;
    check_refused(rows, ARRAY_LEN(rows));
}

static void test_special_purpose(void **state)
{
    static const char *const rows[][2] = {
        { "0.0.0.0", "this network" },
        { "0.1.2.3", "this network" },
        { "192.0.0.1", "protocol" },
        { "192.0.0.170", "protocol" },
        { "192.88.99.1", "6to4 relay" },
        { "198.18.0.1", "benchmarking" },
        { "198.19.255.255", "benchmarking" },
        { "224.0.0.1", "multicast" },
        { "239.255.255.250", "multicast" },
        { "240.0.0.1", "reserved" },
        { "255.255.255.255", "reserved" },
        { "::", "unspecified" },
        { "100::1", "discard" },
        { "5f00::1", "segment routing" },
        { "ff02::1", "multicast" },
        { "2001:2::1", "protocol" },
        { "2001:10::1", "protocol" },
        { "2001:1::1", "protocol" },
        { "4000::1", "global IPv6" },
        { "1::1", "global IPv6" },
        { "::ffff:0:127.0.0.1", "global IPv6" }, /* RFC 2765, 2.1: translated */
    };

    (void)state;
    check_refused(rows, ARRAY_LEN(rows));
}

static void test_mapped_nat64_6to4_teredo(void **state)
{
    static const char *const rows[][2] = {
        { "::ffff:127.0.0.1", "loopback" },
        { "::ffff:a9fe:a9fe", "link-local" },
        { "::127.0.0.1", "global IPv6" }, /* compatible */
        { "64:ff9b::127.0.0.1", "loopback" },
        { "64:ff9b::169.254.169.254", "link-local" },
        { "64:ff9b::a00:1", "private" },
        { "64:ff9b:1::8.8.8.8", "local NAT64" },
        { "64:ff9b:1:ffff:ffff:ffff:ffff:ffff", "local NAT64" },
        { "64:ff9b:0:0:0:1:808:808", "global IPv6" }, /* next to the prefix */
        { "2002:7f00:1::1", "loopback" },
        { "2002:a9fe:a9fe::", "link-local" },
        { "2002:c0a8:101::1", "private" },
        /* RFC 4380, 4: the client, each bit inverted, stands at the end: 192.168.0.1 ... */
        { "2001:0:808:808:0:0:3f57:fffe", "private" },
        /* ... and the server behind the prefix. */
        { "2001:0:a00:1:0:0:f7f7:f7f7", "private" },
        { "2620:fe::5efe:10.0.0.1", "private" }, /* ISATAP */
        { "2620:fe::200:5efe:127.0.0.1", "loopback" },
    };

    (void)state;
    check_refused(rows, ARRAY_LEN(rows));
}

static void test_public_is_open(void **state)
{
    static const char *const rows[] = {
        "1.1.1.1",
        "8.8.8.8",
        "9.255.255.255",
        "11.0.0.0",
        "172.15.255.255",
        "172.32.0.0",
        "192.167.255.255",
        "192.169.0.0",
        "100.63.255.255",
        "100.128.0.0",
        "169.253.0.1",
        "198.17.255.255",
        "198.20.0.0",
        "223.255.255.255",
        "192.0.1.1",
        "192.0.2.1",
        "198.51.100.1",
        "203.0.113.1", /* documentation */
        "2606:4700::1",
        "2001:4860::8888",
        "2001:db8::1",
        "3fff::1",
        "2001:200::1",
        "2001:3::1",
        "2001:4:112::1",
        "2001:20::1",
        "2620:4f:8000::1",
        "64:ff9b::8.8.8.8",
        "2002:808:808::1",
        "2001:0:808:808:0:0:f7f7:f7f7",
        "2620:fe::5efe:8.8.8.8",
    };
    auto_proxy_guard struct proxy_guard *g = guard_with(NULL, 0);

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        const char *reason = refuses(g, rows[i]);
        if (reason != NULL)
            fail_msg("%s: %s", rows[i], reason);
    }
}

static void test_opened_ranges(void **state)
{
    static const char *const open[] = { "10.77.0.0/24", "fd00:77::/64", "127.0.0.2" };
    auto_proxy_guard struct proxy_guard *g = guard_with(open, ARRAY_LEN(open));

    (void)state;
    assert_null(refuses(g, "10.77.0.2"));
    assert_null(refuses(g, "::ffff:10.77.0.2"));
    assert_null(refuses(g, "64:ff9b::10.77.0.2"));
    assert_null(refuses(g, "fd00:77::1"));
    assert_null(refuses(g, "127.0.0.2"));
    assert_non_null(refuses(g, "10.77.1.2"));
    assert_non_null(refuses(g, "fd00:78::1"));
    assert_non_null(refuses(g, "127.0.0.1"));
    /* An open IPv6 address says nothing about the IPv4 network. */
    assert_non_null(refuses(g, "::10.77.0.2"));
}

static void test_bad_range_is_named(void **state)
{
    static const char *const open[] = { "10.0.0.0/8", "10.0.0.0/33" };
    struct proxy_guard *g = NULL;
    isol8_error err;

    (void)state;
    assert_int_equal(proxy_guard_new(&g, open, 2, &err), ISOL8_E_INVAL);
    assert_err(err, ISOL8_E_INVAL, "'10.0.0.0/33' is not an address or range like 10.0.0.0/8");
    assert_null(g);
}

static void test_range_ceiling(void **state)
{
    static const char *open[GUARD_OPEN_MAX + 1];
    struct proxy_guard *g = NULL;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(open); i++)
        open[i] = "10.0.0.1";
    g = guard_with(open, GUARD_OPEN_MAX);
    proxy_guard_free(g);
    assert_int_equal(proxy_guard_new(&g, open, GUARD_OPEN_MAX + 1, NULL), ISOL8_E_LIMIT);
}

static void test_own_addresses(void **state)
{
    auto_proxy_guard struct proxy_guard *g = guard_with(NULL, 0);
    struct ifaddrs *list = NULL;

    (void)state;
    assert_int_equal(getifaddrs(&list), 0);
    for (const struct ifaddrs *i = list; i != NULL; i = i->ifa_next) {
        struct proxy_address a;
        if (i->ifa_addr != NULL && proxy_address_from_sockaddr(i->ifa_addr, &a))
            assert_non_null(proxy_guard_refuses(g, &a));
    }
    freeifaddrs(list);
}

/* Give lo a public address. */
static bool add_public_address(void)
{
    auto_close int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    struct ifreq rq = { .ifr_name = "lo" };
    struct sockaddr_in in = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(0x09090909) };

    memcpy(&rq.ifr_addr, &in, sizeof(in));
    return fd >= 0 && ioctl(fd, SIOCSIFADDR, &rq) == 0;
}

/* In a child with a network namespace of its own: 0 passed, 77 not possible here, else failed. */
static int own_public_address(void)
{
    static const char *const open[] = { "9.9.9.0/24" };
    struct proxy_guard *g = NULL, *with_open = NULL;

    if (unshare(CLONE_NEWNET) < 0 && unshare(CLONE_NEWUSER | CLONE_NEWNET) < 0)
        return 77;
    if (proxy_guard_new(&g, NULL, 0, NULL) < 0 || refuses(g, "9.9.9.9") != NULL)
        return 1;
    if (!add_public_address())
        return 77;
    if (refuses(g, "9.9.9.9") != NULL || proxy_guard_refresh(g, NULL) < 0)
        return 2;
    const char *reason = refuses(g, "9.9.9.9");
    if (reason == NULL || strcmp(reason, "address of this machine") != 0)
        return 3;
    if (refuses(g, "64:ff9b::9.9.9.9") == NULL || refuses(g, "9.9.9.8") != NULL)
        return 4;
    if (proxy_guard_new(&with_open, open, 1, NULL) < 0 || refuses(with_open, "9.9.9.9") != NULL)
        return 5;
    return 0;
}

static void test_own_public_address(void **state)
{
    int status = 0;
    pid_t pid = fork();

    (void)state;
    if (pid == 0)
        _exit(own_public_address());
    assert_true(pid > 0);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    if (WEXITSTATUS(status) == 77)
        fail_msg("no network namespace of its own: this test needs root");
    assert_int_equal(WEXITSTATUS(status), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_private_loopback_link_local_metadata),
        cmocka_unit_test(test_special_purpose),
        cmocka_unit_test(test_mapped_nat64_6to4_teredo),
        cmocka_unit_test(test_public_is_open),
        cmocka_unit_test(test_opened_ranges),
        cmocka_unit_test(test_bad_range_is_named),
        cmocka_unit_test(test_range_ceiling),
        cmocka_unit_test(test_own_addresses),
        cmocka_unit_test(test_own_public_address),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
