/* SPDX-License-Identifier: Apache-2.0 */
/* test_custom.c - lists of packages in the form that is hashed; what isol8_build() refuses. */
#include "executor/custom.h"

#include <string.h>

#include "base/mem.h"
#include "tests/support/test.h"

static void test_normalise(void **state)
{
    static const char *const in[] = { "numpy ", "",      "\tpandas\n", "Zlib",
                                      "a",      "numpy", " ",          "b\xc3\xa9",
                                      "ba",     "b",     "numpy==1",   "a" };
    static const char *const expected[] = { "Zlib",      "a",     "b",        "ba",
                                            "b\xc3\xa9", "numpy", "numpy==1", "pandas" };
    char **out;
    size_t n;

    (void)state;
    assert_int_equal(exec_packages_normalise(in, ARRAY_LEN(in), &out, &n, NULL), 0);
    assert_int_equal(n, ARRAY_LEN(expected));
    for (size_t i = 0; i < n; i++)
        assert_string_equal(out[i], expected[i]);
    exec_packages_free(out, n);
    assert_int_equal(exec_packages_normalise(NULL, 0, &out, &n, NULL), 0);
    assert_int_equal(n, 0);
    exec_packages_free(out, n);
}

static isol8_build_options options(void)
{
    static const char *const packages[] = { "six" };
    isol8_build_options o;

    isol8_build_options_init(&o);
    o.runtime = "python";
    o.tag = "t";
    o.packages = packages;
    o.n_packages = 1;
    return o;
}

/* All of it is found out before the host is looked at. */
static void refused(const isol8_build_options *o, int status, const char *message)
{
    isol8_error err = { 0 };

    assert_int_equal(isol8_build(NULL, o, &err), status);
    assert_err(err, status, message);
}

static void test_refused(void **state)
{
    static const char *const spaces[] = { " ", "" }, *const option[] = { "--pre" };
    isol8_build_options o = options();

    (void)state;
    o.size = 1;
    refused(&o, ISOL8_E_INVAL, "build options were not initialised");
    o = options();
    o.runtime = "perl";
    refused(&o, ISOL8_E_INVAL,
            "Unknown runtime: \"perl\". Available: python, node, bun, bash, deno, agent");
    o = options();
    o.tag = "isol8:python";
    refused(&o, ISOL8_E_INVAL,
            "the image name 'isol8:python' is taken: it is one of isol8's own images");
    o = options();
    o.packages = spaces;
    o.n_packages = 2;
    refused(&o, ISOL8_E_INVAL, "No packages or setup script specified.");
    o.packages = option;
    o.n_packages = 1;
    refused(&o, ISOL8_E_INVAL,
            "Invalid package name: \"--pre\". For python it may begin with a letter, digit and "
            "hold letters, digits and ._-[],<>=!~*+");
    o = options();
    o.setup_script = "";
    refused(&o, ISOL8_E_LIMIT, "setupScript: 0 bytes are not between 1 and 131072");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_normalise),
        cmocka_unit_test(test_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
