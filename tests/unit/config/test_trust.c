/* SPDX-License-Identifier: Apache-2.0 */
/* test_trust.c - what the working directory's file may set. */
#include "config/conf_internal.h"
#include "tests/support/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"

static bool allows(const char *path, const char *value)
{
    auto_json cJSON *v = cJSON_Parse(value);

    assert_non_null(v);
    return conf_trust_allows(conf_key_find(path), v);
}

static void test_operator_keys(void **state)
{
    static const char *const keys[] = {
        "runtime",
        "cgroupParent",
        "stateRoot",
        "dataRoot",
        "audit.postLogScript",
        "security.customProfilePath",
        "network.hosts",
        "network.allowAddresses",
        "network.ports",
        "network.upstreamProxy",
        "network.caFile",
        "network.limits.connections",
        "network.limits.bytesPerSecond",
        "network.limits.bytes",
        "auth.connectionString",
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(keys); i++)
        assert_false(allows(keys[i], "\"x\""));
}

static void test_words(void **state)
{
    (void)state;
    assert_true(allows("defaults.network", "\"none\""));
    assert_true(allows("defaults.network", "\"filtered\""));
    assert_false(allows("defaults.network", "\"host\""));
    assert_true(allows("security.seccomp", "\"strict\""));
    assert_false(allows("security.seccomp", "\"unconfined\""));
    assert_false(allows("security.seccomp", "\"custom\""));
    assert_true(allows("security.userNamespace", "\"on\""));
    assert_false(allows("security.userNamespace", "\"off\""));
    assert_true(allows("network.whitelist", "[]"));
    assert_true(allows("remoteCode.enabled", "true"));
}

static void test_log_directory(void **state)
{
    char dir[] = "/tmp/isol8-trust-XXXXXX", inside[64], *cwd = getcwd(NULL, 0);

    (void)state;
    assert_non_null(mkdtemp(dir));
    assert_int_equal(chdir(dir), 0);
    assert_int_equal(mkdir("logs", 0700), 0);
    assert_int_equal(symlink("/etc", "out"), 0);
    assert_int_equal(symlink("/nowhere", "dangling"), 0);

    assert_true(allows("audit.logDir", "\"logs\""));
    assert_true(allows("audit.logDir", "\"./new/er\""));
    (void)snprintf(inside, sizeof(inside), "\"%s/logs\"", dir);
    assert_true(allows("audit.logDir", inside));
    (void)snprintf(inside, sizeof(inside), "\"%s-other/logs\"", dir);
    assert_false(allows("audit.logDir", inside));
    assert_false(allows("audit.logDir", "\"/etc\""));
    assert_false(allows("audit.logDir", "\"..\""));
    assert_false(allows("audit.logDir", "\"logs/../../x\""));
    assert_false(allows("audit.logDir", "\"out/logs\""));
    assert_false(allows("audit.logDir", "\"dangling\""));

    assert_int_equal(unlink("out") | unlink("dangling") | rmdir("logs"), 0);
    assert_int_equal(chdir(cwd), 0);
    assert_int_equal(rmdir(dir), 0);
    free(cwd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_operator_keys),
        cmocka_unit_test(test_words),
        cmocka_unit_test(test_log_directory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
