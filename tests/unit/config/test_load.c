/* SPDX-License-Identifier: Apache-2.0 */
/* test_load.c - from text to the resolved configuration. */
#include "config/config.h"
#include "tests/support/test.h"

#include <string.h>

#include "base/mem.h"

static struct conf *load(const char *text)
{
    struct conf *c = NULL;
    isol8_error err = { .msg = "" };
    int r = conf_parse(&c, text, text == NULL ? 0 : strlen(text), "f.json", false, &err);

    if (r < 0)
        fail_msg("%s", err.msg);
    return c;
}

static void expect_error(const char *text, bool is_project, int status, const char *message)
{
    struct conf *c = NULL;
    isol8_error err;

    assert_int_equal(conf_parse(&c, text, strlen(text), "f.json", is_project, &err), status);
    assert_string_equal(err.msg, message);
    assert_null(c);
}

static void test_defaults(void **state)
{
    static const char *const order[] = { "maxConcurrent", "defaults",       "network",
                                         "cleanup",       "poolStrategy",   "poolSize",
                                         "security",      "remoteCode",     "audit",
                                         "auth",          "prebuiltImages", "debug" };
    auto_conf struct conf *c = load(NULL);
    const cJSON *item = c->root->child;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(order); i++, item = item->next)
        assert_string_equal(item->string, order[i]);
    assert_null(item);
    assert_string_equal(conf_string(c, "defaults.memoryLimit"), "512m");
    assert_true(conf_number(c, "defaults.timeoutMs") == 30000);
    assert_true(conf_bool(c, "defaults.readonlyRootFs"));
    assert_int_equal(cJSON_GetArraySize(conf_value(c, "remoteCode.blockedHosts")), 10);
    assert_null(conf_value(c, "network.limits.bytes"));
    assert_null(conf_string(c, "runtime"));
    assert_false(conf_is_set(c, "defaults.timeoutMs"));
}

static void test_merge(void **state)
{
    auto_conf struct conf *c = load(
        "{\"defaults\": {\"timeoutMs\": 5, \"cpuLimit\": null}, \"audit\": null,"
        " \"poolSize\": 3, \"remoteCode\": {\"blockedHosts\": []},"
        " \"network\": {\"limits\": {\"bytes\": 7}}, \"runtime\": \"crun\", \"$schema\": \"s\"}");

    (void)state;
    assert_true(conf_number(c, "defaults.timeoutMs") == 5);
    assert_true(conf_number(c, "defaults.cpuLimit") == 1);
    assert_false(conf_bool(c, "audit.enabled"));
    assert_true(cJSON_IsNumber(conf_value(c, "poolSize")));
    assert_int_equal(cJSON_GetArraySize(conf_value(c, "remoteCode.blockedHosts")), 0);
    assert_true(conf_number(c, "network.limits.bytes") == 7);
    assert_string_equal(conf_string(c, "runtime"), "crun");
    assert_true(conf_is_set(c, "defaults.timeoutMs"));
    assert_false(conf_is_set(c, "defaults.cpuLimit"));
    assert_null(conf_value(c, "$schema"));
    assert_int_equal(c->n_warnings, 0);
}

static void test_unknown_keys(void **state)
{
    auto_conf struct conf *c = load("{\"maxConcurent\": 1,\n \"dependencies\": {},\n"
                                    " \"defaults\": {\"timeoutms\": [2]},\n"
                                    " \"network\": {\"zzzzzzzz\": 1}}");
    const cJSON *defaults = cJSON_GetObjectItemCaseSensitive(c->root, "defaults");
    const cJSON *network = cJSON_GetObjectItemCaseSensitive(c->root, "network");

    (void)state;
    assert_int_equal(c->n_warnings, 4);
    assert_string_equal(c->warnings[0],
                        "f.json:1: maxConcurent: unknown key (did you mean maxConcurrent?)");
    assert_string_equal(c->warnings[1], "f.json:2: dependencies: unknown key (see prebuiltImages)");
    assert_string_equal(c->warnings[2],
                        "f.json:3: defaults.timeoutms: unknown key (did you mean timeoutMs?)");
    assert_string_equal(c->warnings[3], "f.json:4: network.zzzzzzzz: unknown key");
    assert_non_null(cJSON_GetObjectItemCaseSensitive(defaults, "timeoutms"));
    assert_null(cJSON_GetObjectItemCaseSensitive(network, "zzzzzzzz"));
}

static void test_many_unknown_keys(void **state)
{
    auto_buf struct buf text = BUF_INIT(1u << 16);

    (void)state;
    (void)buf_adds(&text, "{");
    for (int i = 0; i <= CONF_WARNINGS_MAX; i++)
        (void)buf_addf(&text, "\"k%d\": 1,", i);
    (void)buf_adds(&text, "\"debug\": true}");
    auto_conf struct conf *c = load(buf_text(&text));
    assert_int_equal(c->n_warnings, CONF_WARNINGS_MAX);
    assert_true(conf_bool(c, "debug"));
}

static void test_errors(void **state)
{
    (void)state;
    expect_error("{\"debug\": yes}", false, ISOL8_E_INVAL, "f.json:1:11: not valid JSON");
    expect_error("{\n} x", false, ISOL8_E_INVAL, "f.json:2:3: not valid JSON");
    expect_error("[]", false, ISOL8_E_INVAL, "f.json:1: expected object, got array");
    expect_error("{\"network\": 1}", false, ISOL8_E_INVAL,
                 "f.json:1: network: expected object, got number");
    expect_error("{\"network\": {\"whitelist\": [\"a\",\n\"b\",\n3]}}", false, ISOL8_E_INVAL,
                 "f.json:3: network.whitelist[2]: expected string, got number");
    expect_error("{\"debug\": true,\n\"debug\": false}", false, ISOL8_E_INVAL,
                 "f.json:2: debug: given twice");
    expect_error("{\"audit\": {},\n\"audit\": {}}", false, ISOL8_E_INVAL,
                 "f.json:2: audit: given twice");
    expect_error("{\"security\": {\"seccomp\": \"custom\"}}", false, ISOL8_E_INVAL,
                 "f.json:1: security.seccomp: \"custom\" needs security.customProfilePath");
}

#define PLACES                                                                                     \
    "/etc/isol8/config.json, ~/.isol8/config.json or a file named by --config or ISOL8_CONFIG"

static void test_project_file(void **state)
{
    struct conf *c = NULL;
    isol8_error err;
    static const char fine[] = "{\"remoteCode\": {\"enabled\": true}, \"defaults\": "
                               "{\"network\": \"filtered\"}, \"security\": {\"seccomp\": null}}";

    (void)state;
    expect_error("{\n\"runtime\": \"x\"}", true, ISOL8_E_POLICY,
                 "f.json:2: runtime: not allowed in a project's file; set it in " PLACES);
    expect_error("{\"defaults\": {\"network\": \"host\"}}", true, ISOL8_E_POLICY,
                 "f.json:1: defaults.network: \"host\" is not allowed in a project's file; set it "
                 "in " PLACES);
    expect_error("{\"audit\": {\"logDir\": \"/etc\"}}", true, ISOL8_E_POLICY,
                 "f.json:1: audit.logDir: must stay inside this directory; other places can be "
                 "set in " PLACES);
    /* The value is checked before the right to set it, and a repetition cannot hide one. */
    expect_error("{\"runtime\": null, \"runtime\": \"x\"}", true, ISOL8_E_INVAL,
                 "f.json:1: runtime: given twice");
    assert_int_equal(conf_parse(&c, fine, sizeof(fine) - 1, "f.json", true, &err), 0);
    assert_true(c->is_project);
    conf_free(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults),     cmocka_unit_test(test_merge),
        cmocka_unit_test(test_unknown_keys), cmocka_unit_test(test_many_unknown_keys),
        cmocka_unit_test(test_errors),       cmocka_unit_test(test_project_file),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
