/* SPDX-License-Identifier: Apache-2.0 */
/* test_order.c - what a server is asked to do, as JSON. */
#include "client/order.h"
#include "tests/support/test.h"

#include <string.h>

#define DEFAULT_OPTIONS                                                                            \
    "\"networkFilter\":{\"whitelist\":[],\"blacklist\":[]},\"memoryLimit\":\"512m\","              \
    "\"cpuLimit\":1,\"timeoutMs\":30000,"

static void options_init(isol8_options *o, const char *network)
{
    *o = (isol8_options){ .mode = "ephemeral",
                          .network = network,
                          .memory_limit = "512m",
                          .cpu_limit = 1,
                          .timeout_ms = 30000,
                          .readonly_rootfs = true };
}

static void test_least(void **state)
{
    auto_buf struct buf text = BUF_INIT(CLIENT_ORDER_MAX);
    isol8_options options;
    const isol8_request request = { .runtime = "bash", .cmd = "echo \"\xff\"" };
    const struct client_order order = { .options = &options, .request = &request };

    (void)state;
    options_init(&options, "none");
    assert_int_equal(client_order_text(&order, false, &text, NULL), 0);
    assert_string_equal(buf_text(&text),
                        "{\"request\":{\"runtime\":\"bash\",\"timeoutMs\":30000,"
                        "\"cmd\":\"echo \\\"\xef\xbf\xbd\\\"\"},"
                        "\"options\":{\"mode\":\"ephemeral\",\"network\":\"none\"," DEFAULT_OPTIONS
                        "\"debug\":false,\"persist\":false}}");
}

static void test_most(void **state)
{
    static const char *const allow[] = { "^a$", "b" }, *const deny[] = { "c" };
    static const char *const packages[] = { "six" };
    static const isol8_pair secrets[] = { { "K", "v" } }, env[] = { { "E", "" } };
    static const isol8_file files[] = { { "a", "text", 4 }, { "/b", "\0\xff", 2 }, { "c", "", 0 } };
    static const isol8_remote_options remote = { .enabled = true,
                                                 .allowed_schemes = allow,
                                                 .n_allowed_schemes = 1,
                                                 .max_code_size = 5,
                                                 .fetch_timeout_ms = 6,
                                                 .cache_ttl = 7 };
    const isol8_request request = { .runtime = "agent",
                                    .code = "x\0y",
                                    .code_size = 3,
                                    .timeout_ms = 9,
                                    .stdin_data = "in",
                                    .stdin_size = 2,
                                    .install = packages,
                                    .n_install = 1,
                                    .setup_script = "s",
                                    .workdir = "/sandbox/w",
                                    .agent_flags = "-x",
                                    .file_extension = ".py",
                                    .files = files,
                                    .n_files = 3,
                                    .env = env,
                                    .n_env = 1 };
    auto_buf struct buf text = BUF_INIT(CLIENT_ORDER_MAX);
    isol8_options options;
    const struct client_order order = { .options = &options,
                                        .request = &request,
                                        .session_id = "id",
                                        .has_pids_limit = true,
                                        .has_max_output = true,
                                        .has_sandbox_size = true,
                                        .has_tmp_size = true };

    (void)state;
    options_init(&options, "filtered");
    options.mode = "persistent";
    options.allow = allow;
    options.n_allow = 2;
    options.deny = deny;
    options.n_deny = 1;
    options.cpu_limit = 0.1;
    options.image = "i";
    options.pids_limit = 200;
    options.max_output_size = 10;
    options.tmp_size = "1m";
    options.sandbox_size = "2g";
    options.persist = options.log_network = true;
    options.readonly_rootfs = false;
    options.remote_code = &remote;
    options.secrets = secrets;
    options.n_secrets = 1;
    assert_int_equal(client_order_text(&order, true, &text, NULL), 0);
    assert_string_equal(
        buf_text(&text),
        "{\"type\":\"execute\",\"request\":{\"runtime\":\"agent\",\"timeoutMs\":9,"
        "\"code\":\"x\\u0000y\",\"stdin\":\"in\",\"installPackages\":[\"six\"],"
        "\"setupScript\":\"s\",\"workdir\":\"/sandbox/w\",\"agentFlags\":\"-x\","
        "\"fileExtension\":\".py\",\"files\":{\"/sandbox/a\":\"text\","
        "\"/b\":{\"type\":\"Buffer\",\"data\":[0,255]},\"/sandbox/c\":\"\"},\"env\":{\"E\":\"\"}},"
        "\"options\":{\"mode\":\"persistent\",\"network\":\"filtered\","
        "\"networkFilter\":{\"whitelist\":[\"^a$\",\"b\"],\"blacklist\":[\"c\"]},"
        "\"memoryLimit\":\"512m\",\"cpuLimit\":0.1,\"timeoutMs\":30000,\"image\":\"i\","
        "\"pidsLimit\":200,\"maxOutputSize\":10,\"tmpSize\":\"1m\",\"debug\":false,"
        "\"persist\":true,\"logNetwork\":true,\"remoteCode\":{\"enabled\":true,"
        "\"allowedSchemes\":[\"^a$\"],\"allowedHosts\":[],\"blockedHosts\":[],\"maxCodeSize\":5,"
        "\"fetchTimeoutMs\":6,\"requireHash\":false,\"enableCache\":false,\"cacheTtl\":7},"
        "\"sandboxSize\":\"2g\",\"secrets\":{\"K\":\"v\"},\"readonlyRootFs\":false},"
        "\"sessionId\":\"id\"}");
}

static void test_url(void **state)
{
    auto_buf struct buf text = BUF_INIT(CLIENT_ORDER_MAX);
    isol8_options options;
    const isol8_request request = { .runtime = "node",
                                    .code_url = "http://x/y.js",
                                    .code_hash = "ab",
                                    .allow_insecure_code_url = true };
    const struct client_order order = { .options = &options, .request = &request };

    (void)state;
    options_init(&options, "none");
    assert_int_equal(client_order_text(&order, false, &text, NULL), 0);
    assert_non_null(strstr(buf_text(&text),
                           "\"timeoutMs\":30000,\"codeUrl\":\"http://x/y.js\",\"codeHash\":\"ab\","
                           "\"allowInsecureCodeUrl\":true}"));
}

static void test_refused(void **state)
{
    static const isol8_file files[] = { { "\xff", "", 0 } };
    auto_buf struct buf text = BUF_INIT(CLIENT_ORDER_MAX), small = BUF_INIT(100);
    isol8_options options;
    isol8_request request = { .runtime = "bash", .cmd = "true" };
    const struct client_order order = { .options = &options, .request = &request };
    isol8_error err;

    (void)state;
    options_init(&options, "none");
    assert_int_equal(client_order_text(&order, false, &small, &err), ISOL8_E_LIMIT);
    request.files = files;
    request.n_files = 1;
    assert_int_equal(client_order_text(&order, false, &text, &err), ISOL8_E_INVAL);
    assert_string_equal(err.msg, "--files: the name '\xff' is not UTF-8");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_least),
        cmocka_unit_test(test_most),
        cmocka_unit_test(test_url),
        cmocka_unit_test(test_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
