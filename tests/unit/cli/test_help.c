/* SPDX-License-Identifier: Apache-2.0 */
/* test_help.c - the shape of help texts. */
#include "cli/opt.h"
#include "tests/support/test.h"

static const struct cli_opt globals[] = {
    { .name = "debug", .help = "Say more" },
    { .name = NULL },
};

static const struct cli_opt run_opts[] = {
    { .letter = 'e', .name = "eval", .arg = "<code>", .help = "Run this code" },
    { .name = "net",
      .arg = "<mode>",
      .help = "A description that is long enough to need a second line of the page",
      .fallback = "\"none\"" },
    { .name = NULL },
};

static const struct cli_operand operands[] = {
    { .name = "file", .help = "Program" },
    { .name = NULL },
};

static const struct cli_command commands[] = {
    { .name = "run",
      .usage = "[options] [file]",
      .summary = "Run a program",
      .operands = operands,
      .opts = run_opts },
    { .name = "logout", .usage = "", .summary = "Forget" },
    { .name = NULL },
};

static const struct cli_program program = {
    .name = "prog", .summary = "Do things", .globals = globals, .commands = commands
};

static void test_command(void **state)
{
    auto_buf struct buf text = BUF_INIT(4096);

    (void)state;
    cli_help(&program, &commands[0], &text);
    assert_string_equal(
        buf_text(&text),
        "Usage: prog run [options] [file]\n"
        "\n"
        "Run a program\n"
        "\n"
        "Arguments:\n"
        "  file               Program\n"
        "\n"
        "Options:\n"
        "  -e, --eval <code>  Run this code\n"
        "  --net <mode>       A description that is long enough to need a second line of\n"
        "                     the page (default: \"none\")\n"
        "  -h, --help         Show this help\n");
}

static void test_program(void **state)
{
    auto_buf struct buf text = BUF_INIT(4096);

    (void)state;
    cli_help(&program, NULL, &text);
    assert_string_equal(buf_text(&text), "Usage: prog [options] [command]\n"
                                         "\n"
                                         "Do things\n"
                                         "\n"
                                         "Options:\n"
                                         "  -V, --version         Print the version\n"
                                         "  --debug               Say more\n"
                                         "  -h, --help            Show this help\n"
                                         "\n"
                                         "Commands:\n"
                                         "  run [options] [file]  Run a program\n"
                                         "  logout                Forget\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_command),
        cmocka_unit_test(test_program),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
