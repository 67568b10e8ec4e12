/* SPDX-License-Identifier: Apache-2.0 */
/* test_order.c - base64, session ids, and what a request makes of the operator's settings. */
#include "server/order.h"
#include "tests/support/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

static void test_base64(void **state)
{
    static const struct {
        const char *text, *bytes;
        int n; /* -1: refused */
    } rows[] = {
        { "", "", 0 },        { "Zg==", "f", 1 },   { "Zm8=", "fo", 2 },
        { "Zm9v", "foo", 3 }, { "AA==", "\0", 1 },  { "//79", "\377\376\375", 3 },
        { "Zg=", "", -1 },    { "Zg", "", -1 },     { "Zh==", "", -1 },
        { "Zm9=", "", -1 },   { "Z===", "", -1 },   { "====", "", -1 },
        { "Zm 9", "", -1 },   { "Zm9v\n", "", -1 }, { "Z=9v", "", -1 },
        { "Zm9-", "", -1 },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        auto_free void *data = NULL;
        size_t n = 0;
        int r = srv_base64_decode(rows[i].text, &data, &n);
        if (r != (rows[i].n < 0 ? -1 : 0))
            fail_msg("'%s' gives %d", rows[i].text, r);
        if (r == 0) {
            assert_int_equal(n, rows[i].n);
            assert_memory_equal(data, rows[i].bytes, n);
        }
    }
}

static struct conf *conf_of(const char *text)
{
    struct conf *c = NULL;
    isol8_error err;

    if (conf_parse(&c, text, text == NULL ? 0 : strlen(text), "test", false, &err) < 0)
        fail_msg("%s", err.msg);
    return c;
}

/* What the request is refused with, or 0. */
static int parse(const char *config, const char *body, struct srv_order *o, struct srv_fault *f)
{
    static struct conf *conf;
    static struct srv_policy policy;
    isol8_error err;

    srv_policy_done(&policy);
    conf_free(conf);
    conf = conf_of(config);
    assert_int_equal(srv_policy_init(&policy, conf, &err), 0);
    return srv_order_parse(o, &policy, body, strlen(body), f) == 0 ? 0 : f->http;
}

static void test_merge(void **state)
{
    struct srv_order o;
    struct srv_fault f;

    (void)state;
    assert_int_equal(parse("{\"network\":{\"whitelist\":[\"a\"],\"blacklist\":[\"b\"]},"
                           "\"defaults\":{\"memoryLimit\":\"100m\",\"network\":\"filtered\"}}",
                           "{\"request\":{\"runtime\":\"bash\",\"code\":\"1\"},\"options\":{"
                           "\"networkFilter\":{\"whitelist\":[\"c\"],\"blacklist\":[\"d\"]},"
                           "\"cpuLimit\":0.5},\"sessionId\":\"s\"}",
                           &o, &f),
                     0);
    assert_string_equal(o.options.memory_limit, "100m");
    assert_string_equal(o.options.network, "filtered");
    assert_string_equal(o.options.mode, "persistent");
    assert_true(o.options.cpu_limit == 0.5);
    assert_int_equal(o.options.n_allow, 1);
    assert_string_equal(o.options.allow[0], "c");
    assert_int_equal(o.options.n_allow_within, 1);
    assert_string_equal(o.options.allow_within[0], "a");
    assert_int_equal(o.options.n_deny, 2);
    assert_string_equal(o.options.deny[0], "b");
    assert_string_equal(o.options.deny[1], "d");
    assert_string_equal(o.session_id, "s");
    srv_order_done(&o);
}

static void test_names(void **state)
{
    static const char *const body = "{\"request\":{\"runtime\":\"bash\",\"code\":\"\\\\u0000\"}}";
    struct srv_order o;
    struct srv_fault f;

    (void)state;
    assert_int_equal(parse(NULL, body, &o, &f), 0); /* a backslash and letters, no NUL */
    assert_string_equal(o.request.code, "\\u0000");
    srv_order_done(&o);
    /* Names are exact: this "Code" is an unknown member, and is passed over. */
    assert_int_equal(parse(NULL, "{\"request\":{\"runtime\":\"bash\",\"Code\":1}}", &o, &f), 0);
    assert_null(o.request.code);
    srv_order_done(&o);
    assert_int_equal(
        parse(NULL, "{\"request\":{\"runtime\":\"bash\",\"env\":{\"A\\u001b\":1}}}", &o, &f), 400);
    assert_null(strchr(f.text, 0x1b));
    assert_null(strchr(f.field, 0x1b));
    srv_order_done(&o);
}

static void test_ceilings(void **state)
{
    static const struct {
        const char *config, *options;
        int http;
    } rows[] = {
        { NULL, "{\"network\":\"filtered\"}", 0 },
        { NULL, "{\"network\":\"host\"}", 403 },
        { "{\"defaults\":{\"network\":\"host\"}}", "{\"network\":\"host\"}", 0 },
        { "{\"server\":{\"max\":{\"network\":\"host\"}}}", "{\"network\":\"host\"}", 0 },
        { "{\"server\":{\"max\":{\"network\":\"none\"}}}", "{\"network\":\"filtered\"}", 403 },
        { NULL, "{\"memoryLimit\":\"4g\"}", 0 },
        { NULL, "{\"memoryLimit\":\"4097m\"}", 403 },
        { "{\"server\":{\"max\":{\"memory\":\"0\"}}}", "{\"memoryLimit\":\"0\"}", 0 },
        { "{\"defaults\":{\"memoryLimit\":\"0\"}}", "{\"memoryLimit\":\"0\"}", 0 },
        { "{\"server\":{\"max\":{\"cpu\":0}}}", "{\"cpuLimit\":0}", 0 },
        { "{\"server\":{\"max\":{\"pids\":0}}}", "{\"pidsLimit\":-1}", 0 },
        { "{\"server\":{\"max\":{\"pids\":10}}}", "{\"pidsLimit\":11}", 403 },
        { "{\"server\":{\"max\":{\"timeoutMs\":0}}}", "{\"timeoutMs\":604800000}", 0 },
        { "{\"server\":{\"max\":{\"timeoutMs\":0}}}", "{\"timeoutMs\":604800001}", 400 },
        { "{\"server\":{\"max\":{\"timeoutMs\":1}}}", "{\"timeoutMs\":30000}", 0 },
        { "{\"server\":{\"max\":{\"timeoutMs\":1}}}", "{\"timeoutMs\":30001}", 403 },
        { "{\"security\":{\"seccomp\":\"unconfined\"}}",
          "{\"security\":{\"seccomp\":\"unconfined\"}}", 0 },
        { "{\"security\":{\"seccomp\":\"unconfined\"}}", "{\"security\":{\"seccomp\":\"strict\"}}",
          0 },
        { "{\"defaults\":{\"readonlyRootFs\":false}}", "{\"readonlyRootFs\":false}", 0 },
        { "{\"server\":{\"allowWritableRootFs\":true}}", "{\"readonlyRootFs\":false}", 0 },
        { "{\"server\":{\"allowPersist\":true}}", "{\"persist\":true}", 0 },
        { NULL, "{\"image\":\"host\"}", 403 },
        { NULL, "{\"image\":\"mine\"}", 0 },
        { "{\"server\":{\"images\":[]}}", "{\"image\":\"mine\"}", 403 },
        { "{\"server\":{\"image\":\"host\"}}", "{\"image\":\"host\"}", 0 },
        { NULL, "{\"cpuLimit\":1e400}", 400 },
        { NULL, "{\"pidsLimit\":1.5}", 400 },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char body[512];
        struct srv_order o;
        struct srv_fault f;
        (void)snprintf(body, sizeof(body), "{\"request\":{\"runtime\":\"bash\"},\"options\":%s}",
                       rows[i].options);
        int http = parse(rows[i].config, body, &o, &f);
        if (http != rows[i].http)
            fail_msg("%s with %s: %d", rows[i].options,
                     rows[i].config == NULL ? "defaults" : rows[i].config, http);
        srv_order_done(&o);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_base64),
        cmocka_unit_test(test_merge),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_ceilings),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
