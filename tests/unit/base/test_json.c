/* SPDX-License-Identifier: Apache-2.0 */
/* test_json.c - strict parsing with positions, and the readable form. */
#include "base/json.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "tests/support/test.h"

static int parse(const char *text, isol8_error *err)
{
    auto_json cJSON *j = NULL;

    return json_parse(&j, text, strlen(text), "x.json", err);
}

static void test_positions(void **state)
{
    static const char text[] = "{\n  \"a\": 1,\n  b\n}";
    isol8_error err;
    unsigned line, column;

    (void)state;
    assert_int_equal(parse(text, &err), ISOL8_E_INVAL);
    assert_int_equal(strncmp(err.msg, "x.json:3:", 9), 0);
    json_position(text, 0, &line, &column);
    assert_int_equal(line, 1);
    assert_int_equal(column, 1);
    json_position(text, 4, &line, &column);
    assert_int_equal(line, 2);
    assert_int_equal(column, 3);
}

static void test_strictness(void **state)
{
    static const char *const bad[] = { "", " ", "{", "{} x", "{}{}", "[1,]", "\"a", "nul" };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        if (parse(bad[i], NULL) == 0)
            fail_msg("'%s' was taken", bad[i]);
    }
    assert_int_equal(parse(" {\"a\": [1, null]} \n", NULL), 0);
}

/* Nested too deeply: an error, not a crash. */
static void test_depth(void **state)
{
    enum { DEPTH = 100000 };
    auto_free char *text = malloc(DEPTH + 1);

    (void)state;
    assert_non_null(text);
    memset(text, '[', DEPTH);
    text[DEPTH] = '\0';
    assert_int_equal(parse(text, NULL), ISOL8_E_INVAL);
}

static void test_strings(void **state)
{
    auto_json cJSON *j = cJSON_Parse("{\"s\": \"x\", \"n\": 1, \"S\": \"y\"}");

    (void)state;
    assert_string_equal(json_string(j, "s"), "x");
    assert_null(json_string(j, "n"));
    assert_null(json_string(j, "none"));
    assert_null(json_string(NULL, "s"));
}

static void test_pretty(void **state)
{
    static const char want[] = "{\n  \"a\": [\n    1,\n    \"x\\ny\"\n  ],\n  \"e\": {}\n}\n";
    auto_json cJSON *j = cJSON_Parse("{\"a\":[1,\"x\\ny\"],\"e\":{}}");
    auto_buf struct buf out = BUF_INIT(1000), small = BUF_INIT(5);

    (void)state;
    assert_true(json_pretty(j, &out));
    auto_json cJSON *again = cJSON_Parse(buf_text(&out));
    assert_true(cJSON_Compare(j, again, true));
    assert_string_equal(buf_text(&out), want);
    assert_false(json_pretty(j, &small));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_positions), cmocka_unit_test(test_strictness),
        cmocka_unit_test(test_depth),     cmocka_unit_test(test_strings),
        cmocka_unit_test(test_pretty),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
