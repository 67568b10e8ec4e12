/* SPDX-License-Identifier: Apache-2.0 */
/* test_check.c - single values against the key table. */
#include "config/conf_internal.h"
#include "tests/support/test.h"

#include <stdio.h>

#include "base/mem.h"

struct sample {
    const char *path;
    const char *value; /* JSON */
    const char *fault; /* "path: what"; NULL: the value is fine */
};

static void check(const struct sample *s)
{
    auto_json cJSON *v = cJSON_Parse(s->value);
    const struct conf_key *key = conf_key_find(s->path);
    struct conf_fault f;
    char got[600] = "";

    assert_non_null(v);
    assert_non_null(key);
    if (!conf_check(key, v, &f))
        (void)snprintf(got, sizeof(got), "%s: %s", f.path, f.what);
    assert_string_equal(got, s->fault == NULL ? "" : s->fault);
}

static void check_all(const struct sample *samples, size_t n)
{
    for (size_t i = 0; i < n; i++)
        check(&samples[i]);
}

static void test_numbers(void **state)
{
    static const struct sample samples[] = {
        { "defaults.timeoutMs", "1", NULL },
        { "defaults.timeoutMs", "604800000", NULL },
        { "defaults.timeoutMs", "0",
          "defaults.timeoutMs: expected a whole number from 1 to 604800000, got 0" },
        { "defaults.timeoutMs", "1.5",
          "defaults.timeoutMs: expected a whole number from 1 to 604800000, got 1.5" },
        { "defaults.timeoutMs", "1e999",
          "defaults.timeoutMs: expected a whole number from 1 to 604800000, got inf" },
        { "defaults.timeoutMs", "\"5s\"", "defaults.timeoutMs: expected number, got string" },
        { "maxConcurrent", "4096", NULL },
        { "maxConcurrent", "4097",
          "maxConcurrent: expected a whole number from 1 to 4096, got 4097" },
        { "defaults.cpuLimit", "0.25", NULL },
        { "defaults.cpuLimit", "-1",
          "defaults.cpuLimit: expected a number from 0 to 4096, got -1" },
        { "audit.retentionDays", "-1", NULL },
    };

    (void)state;
    check_all(samples, ARRAY_LEN(samples));
}

static void test_texts(void **state)
{
    static const struct sample samples[] = {
        { "debug", "1", "debug: expected boolean, got number" },
        { "debug", "true", NULL },
        { "runtime", "\"\"", "runtime: must not be empty" },
        { "defaults.memoryLimit", "\"0\"", NULL },
        { "defaults.memoryLimit", "\"1.5 gb\"", NULL },
        { "defaults.memoryLimit", "\"-1\"",
          "defaults.memoryLimit: expected a size such as \"512m\" or \"1.5g\", got \"-1\"" },
        { "defaults.memoryLimit", "512", "defaults.memoryLimit: expected string, got number" },
        { "defaults.tmpSize", "\"0\"",
          "defaults.tmpSize: expected a size such as \"512m\" or \"1.5g\", got \"0\"" },
        { "poolStrategy", "\"slow\"",
          "poolStrategy: expected one of \"secure\", \"fast\", got \"slow\"" },
        { "poolStrategy", "[]", "poolStrategy: expected string, got array" },
    };

    (void)state;
    check_all(samples, ARRAY_LEN(samples));
}

static void test_lists(void **state)
{
    static const struct sample samples[] = {
        { "network.whitelist", "[\"a\", \"\"]", NULL },
        { "network.whitelist", "[\"a\", \"b\", 3]",
          "network.whitelist[2]: expected string, got number" },
        { "network.whitelist", "{}", "network.whitelist: expected array, got object" },
        { "network.allowAddresses", "[\"10.0.0.0/8\", \"fd00::/8\", \"::1\"]", NULL },
        { "network.allowAddresses", "[\"10.0.0.0/33\"]",
          "network.allowAddresses[0]: expected an address range such as \"10.0.0.0/8\", got "
          "\"10.0.0.0/33\"" },
        { "network.ports", "[1, 65535]", NULL },
        { "network.ports", "[0]",
          "network.ports[0]: expected a whole number from 1 to 65535, got 0" },
        { "network.hosts", "{\"a\": \"10.0.0.1\", \"b\": [\"::1\", \"10.0.0.2\"]}", NULL },
        { "network.hosts", "{\"a\": \"b\"}", "network.hosts.a: expected an IP address, got \"b\"" },
        { "network.hosts", "{\"a\": [1]}", "network.hosts.a[0]: expected string, got number" },
        { "network.hosts", "{\"\": \"10.0.0.1\"}", "network.hosts: a host name must not be empty" },
        { "network.upstreamProxy", "\"http://proxy.example:3128\"", NULL },
        { "network.upstreamProxy", "\"proxy:3128\"",
          "network.upstreamProxy: expected \"http://HOST:PORT\" without user, password or path" },
        { "network.upstreamProxy", "\"http://user:word@proxy:3128\"",
          "network.upstreamProxy: expected \"http://HOST:PORT\" without user, password or path" },
    };

    (void)state;
    check_all(samples, ARRAY_LEN(samples));
}

static void test_structures(void **state)
{
    static const struct sample samples[] = {
        { "poolSize", "3", NULL },
        { "poolSize", "{\"clean\": 0, \"dirty\": 2}", NULL },
        { "poolSize", "{\"clean\": 1}", "poolSize.dirty: is missing" },
        { "poolSize", "\"1,1\"", "poolSize: expected number or object, got string" },
        { "poolSize", "-1", "poolSize: expected a whole number from 0 to 4096, got -1" },
        { "prebuiltImages", "[]", NULL },
        { "prebuiltImages",
          "[{\"tag\": \"t\", \"runtime\": \"bash\", \"installPackages\": [\"p\"]}]", NULL },
        { "prebuiltImages", "[{\"tag\": \"t\", \"runtime\": \"bash\"}]",
          "prebuiltImages[0].installPackages: is missing" },
        { "prebuiltImages", "[{\"tag\": \"t\", \"runtime\": \"perl\", \"installPackages\": []}]",
          "prebuiltImages[0].runtime: expected one of \"python\", \"node\", \"bun\", \"deno\", "
          "\"bash\", \"agent\", got \"perl\"" },
        { "prebuiltImages", "[{\"tag\": \"t\", \"runtime\": \"bash\", \"installPackages\": [1]}]",
          "prebuiltImages[0].installPackages[0]: expected string, got number" },
        { "prebuiltImages", "[1]", "prebuiltImages[0]: expected object, got number" },
    };

    (void)state;
    check_all(samples, ARRAY_LEN(samples));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_texts),
        cmocka_unit_test(test_lists),
        cmocka_unit_test(test_structures),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
