/* SPDX-License-Identifier: Apache-2.0 */
/* test_opt.c - the grammar of the command line. */
#include "cli/opt.h"
#include "tests/support/test.h"

#include "base/mem.h"

enum { OPT_EVAL, OPT_FLAG, OPT_LIST, OPT_SHORT, OPT_DEBUG, OPT_BARE };
enum { GLOBAL_DEBUG, GLOBAL_CONFIG };

static const struct cli_opt globals[] = {
    [GLOBAL_DEBUG] = { .name = "debug" },
    [GLOBAL_CONFIG] = { .name = "config", .arg = "<file>" },
    { .name = NULL },
};

static const struct cli_opt run_opts[] = {
    [OPT_EVAL] = { .letter = 'e', .name = "eval", .arg = "<code>" },
    [OPT_FLAG] = { .name = "no-stream" },
    [OPT_LIST] = { .name = "secret", .arg = "<kv>", .is_repeatable = true },
    [OPT_SHORT] = { .letter = 'q', .name = "quiet" },
    [OPT_DEBUG] = { .name = "debug" },
    [OPT_BARE] = { .name = "store", .arg = "[file]", .bare = "usual" },
    { .name = NULL },
};

static const struct cli_command session_commands[] = {
    { .name = "list", .group = "session", .usage = "", .opts = run_opts },
    { .name = "stop", .group = "session", .usage = "", .max_operands = 1 },
    { .name = NULL },
};

static const struct cli_command commands[] = {
    { .name = "run", .usage = "", .max_operands = 1, .opts = run_opts },
    { .name = "config", .usage = "" },
    { .name = "exec", .usage = "", .max_operands = 9, .opts = run_opts, .takes_rest = true },
    { .name = "session", .usage = "", .commands = session_commands },
    { .name = NULL },
};

static const struct cli_program program = { .name = "prog",
                                            .globals = globals,
                                            .commands = commands };

#define PARSE(args, ...)                                                                           \
    cli_parse(args, &program, sizeof((const char *[]){ __VA_ARGS__ }) / sizeof(char *),            \
              (const char *[]){ __VA_ARGS__ })

#define EXPECT_MESSAGE(outcome, text, ...)                                                         \
    do {                                                                                           \
        struct cli_args args_;                                                                     \
        assert_int_equal(PARSE(&args_, __VA_ARGS__), outcome);                                     \
        assert_string_equal(buf_text(&args_.message), text);                                       \
        cli_args_done(&args_);                                                                     \
    } while (0)

#define EXPECT_EVAL(value, ...)                                                                    \
    do {                                                                                           \
        struct cli_args args_;                                                                     \
        assert_int_equal(PARSE(&args_, "run", __VA_ARGS__), CLI_PARSED);                           \
        assert_string_equal(cli_arg(&args_, OPT_EVAL), value);                                     \
        cli_args_done(&args_);                                                                     \
    } while (0)

static void test_values(void **state)
{
    (void)state;
    EXPECT_EVAL("x", "--eval", "x");
    EXPECT_EVAL("x", "--eval=x");
    EXPECT_EVAL("a=b", "--eval=a=b");
    EXPECT_EVAL("", "--eval=");
    EXPECT_EVAL("", "--eval", "");
    EXPECT_EVAL("x", "-e", "x");
    EXPECT_EVAL("x", "-ex");
    EXPECT_EVAL("=x", "-e=x");
    EXPECT_EVAL("x", "-qex");
    EXPECT_EVAL("--no-stream", "-e", "--no-stream");
    EXPECT_EVAL("--help", "-e", "--help");
    EXPECT_EVAL("--debug", "--eval", "--debug");
    EXPECT_EVAL("--", "-e", "--");
    EXPECT_EVAL("2", "-e", "1", "file", "--eval", "2");
    EXPECT_EVAL("x", "file", "-e", "x");
}

static void test_lists_and_operands(void **state)
{
    struct cli_args args;

    (void)state;
    assert_int_equal(PARSE(&args, "--debug", "run", "--secret", "a=1", "-", "--secret=b=2"),
                     CLI_PARSED);
    assert_int_equal(args.values[OPT_LIST].n, 2);
    assert_string_equal(args.values[OPT_LIST].items[0], "a=1");
    assert_string_equal(args.values[OPT_LIST].items[1], "b=2");
    assert_int_equal(args.operands.n, 1);
    assert_string_equal(args.operands.items[0], "-");
    assert_int_equal(args.globals[GLOBAL_DEBUG].n, 1);
    assert_null(cli_arg(&args, OPT_EVAL));
    cli_args_done(&args);

    assert_int_equal(PARSE(&args, "run", "--", "--eval"), CLI_PARSED);
    assert_string_equal(args.operands.items[0], "--eval");
    cli_args_done(&args);
}

static void expect_store(const char *value, size_t operands, size_t argc, const char *const *argv)
{
    struct cli_args args;

    assert_int_equal(cli_parse(&args, &program, argc, argv), CLI_PARSED);
    assert_string_equal(cli_arg(&args, OPT_BARE), value);
    assert_int_equal(args.operands.n, operands);
    cli_args_done(&args);
}

static void test_values_that_may_lack(void **state)
{
    (void)state;
    expect_store("usual", 0, 2, (const char *[]){ "run", "--store" });
    expect_store("usual", 0, 3, (const char *[]){ "run", "--store", "--debug" });
    expect_store("usual", 1, 4, (const char *[]){ "run", "--store", "--", "x" });
    expect_store("x", 0, 3, (const char *[]){ "run", "--store", "x" });
    expect_store("-x", 0, 2, (const char *[]){ "run", "--store=-x" });
    expect_store("", 0, 2, (const char *[]){ "run", "--store=" });
}

static void test_globals_everywhere(void **state)
{
    struct cli_args args;

    (void)state;
    assert_int_equal(PARSE(&args, "--config", "f", "run", "--debug", "--config=g"), CLI_PARSED);
    assert_int_equal(args.globals[GLOBAL_DEBUG].n, 1);
    assert_int_equal(args.globals[GLOBAL_CONFIG].n, 1);
    assert_string_equal(args.globals[GLOBAL_CONFIG].items[0], "g");
    cli_args_done(&args);
}

static void test_help_and_version(void **state)
{
    struct cli_args args;

    (void)state;
    assert_int_equal(cli_parse(&args, &program, 0, NULL), CLI_HELP);
    assert_null(args.command);
    cli_args_done(&args);
    assert_int_equal(PARSE(&args, "run", "--bogus", "-h"), CLI_HELP);
    assert_ptr_equal(args.command, &commands[0]);
    cli_args_done(&args);
    EXPECT_MESSAGE(CLI_VERSION, "", "-V");
    EXPECT_MESSAGE(CLI_VERSION, "", "run", "--version");
    EXPECT_MESSAGE(CLI_USAGE, "error: unknown option '-v'", "-v");
    EXPECT_MESSAGE(CLI_USAGE, "error: option '-e, --eval <code>' argument missing", "run", "-e");
}

static void test_mistakes(void **state)
{
    (void)state;
    EXPECT_MESSAGE(CLI_USAGE, "error: unknown command 'rn'\n(Did you mean run?)", "rn");
    EXPECT_MESSAGE(CLI_USAGE, "error: unknown command 'frobnicate'", "frobnicate");
    EXPECT_MESSAGE(CLI_USAGE, "error: unknown option '--evl'\n(Did you mean --eval?)", "run",
                   "--evl", "x");
    EXPECT_MESSAGE(CLI_USAGE, "error: unknown option '--evl'\n(Did you mean --eval?)", "run",
                   "--evl=secret");
    EXPECT_MESSAGE(CLI_USAGE, "error: unknown option '--eva'\n(Did you mean --eval?)", "run",
                   "--eva", "x");
    EXPECT_MESSAGE(CLI_USAGE, "error: unknown option '-x'", "run", "-x", "--bogus");
    EXPECT_MESSAGE(CLI_USAGE, "error: unknown option '--no-stream'\n(Did you mean --no-stream?)",
                   "run", "--no-stream=1");
    EXPECT_MESSAGE(CLI_USAGE, "error: unknown option '-\\x1b'", "run", "-\x1b");
    EXPECT_MESSAGE(CLI_USAGE, "error: option '--secret <kv>' argument missing", "run", "--secret");
    EXPECT_MESSAGE(CLI_USAGE, "error: too many arguments for 'run'. Expected 1 argument but got 2.",
                   "run", "a", "b");
    EXPECT_MESSAGE(CLI_USAGE,
                   "error: too many arguments for 'config'. Expected 0 arguments but got 1.",
                   "config", "a");
}

/* What follows the first operand is another program's command line. */
static void test_takes_rest(void **state)
{
    static const char *const expected[] = { "id", "--", "ls", "--debug", "-h", "--eval=x", "--" };
    struct cli_args args;

    (void)state;
    assert_int_equal(
        PARSE(&args, "exec", "-q", "-e", "1", "id", "--", "ls", "--debug", "-h", "--eval=x", "--"),
        CLI_PARSED);
    assert_int_equal(args.operands.n, ARRAY_LEN(expected));
    for (size_t i = 0; i < ARRAY_LEN(expected); i++)
        assert_string_equal(args.operands.items[i], expected[i]);
    assert_int_equal(args.values[OPT_SHORT].n, 1);
    assert_string_equal(cli_arg(&args, OPT_EVAL), "1");
    assert_int_equal(args.globals[GLOBAL_DEBUG].n, 0);
    cli_args_done(&args);
    assert_int_equal(PARSE(&args, "--debug", "exec", "--help", "id"), CLI_HELP);
    cli_args_done(&args);
}

/* The second word of a group is a command of its own. */
static void test_groups(void **state)
{
    struct cli_args args;

    (void)state;
    assert_int_equal(PARSE(&args, "session", "list", "-e", "1"), CLI_PARSED);
    assert_ptr_equal(args.command, &session_commands[0]);
    assert_string_equal(cli_arg(&args, OPT_EVAL), "1");
    cli_args_done(&args);
    assert_int_equal(PARSE(&args, "session", "stop", "list"), CLI_PARSED);
    assert_ptr_equal(args.command, &session_commands[1]);
    assert_string_equal(args.operands.items[0], "list");
    cli_args_done(&args);
    assert_int_equal(PARSE(&args, "session"), CLI_PARSED);
    assert_string_equal(args.command->name, "session");
    cli_args_done(&args);
    assert_int_equal(PARSE(&args, "session", "stop", "-h"), CLI_HELP);
    assert_ptr_equal(args.command, &session_commands[1]);
    cli_args_done(&args);
    EXPECT_MESSAGE(CLI_USAGE, "error: unknown command 'stp'\n(Did you mean stop?)", "session",
                   "stp", "x");
    EXPECT_MESSAGE(CLI_USAGE, "error: unknown option '--eval'", "session", "--eval");
    EXPECT_MESSAGE(CLI_USAGE,
                   "error: too many arguments for 'stop'. Expected 1 argument but got 2.",
                   "session", "stop", "a", "b");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_lists_and_operands),
        cmocka_unit_test(test_values_that_may_lack),
        cmocka_unit_test(test_globals_everywhere),
        cmocka_unit_test(test_help_and_version),
        cmocka_unit_test(test_mistakes),
        cmocka_unit_test(test_takes_rest),
        cmocka_unit_test(test_groups),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
