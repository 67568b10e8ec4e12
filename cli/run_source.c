/* SPDX-License-Identifier: Apache-2.0 */
/* run_source.c - where the code of a run comes from: --cmd, a URL, --eval, a file, or stdin. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/mem.h"
#include "cli/code_url.h"
#include "cli/run.h"

#define EXTENSION_MAX 17 /* a dot and what the engine accepts behind it */

static const char *file_operand(const struct cli_args *args)
{
    if (args->operands.n == 0 || args->operands.items[0][0] == '\0')
        return NULL;
    return args->operands.items[0];
}

static bool has_url(const struct cli_args *args)
{
    return run_value(args, RUN_URL) != NULL || run_value(args, RUN_GITHUB) != NULL ||
           run_value(args, RUN_GIST) != NULL;
}

int run_source_check(const struct cli_args *args)
{
    bool has_other = file_operand(args) != NULL || run_value(args, RUN_EVAL) != NULL;

    if (run_value(args, RUN_CMD) != NULL && (has_other || has_url(args)))
        return cli_fail("--cmd cannot be combined with file input, --eval, --url, --github, or "
                        "--gist.");
    if (has_url(args) && has_other)
        return cli_fail("--url/--github/--gist cannot be used with file input or --eval.");
    /* Passed over, it would be taken for checked. */
    if (run_value(args, RUN_HASH) != NULL && !has_url(args))
        return cli_fail("--hash can only be used with --url, --github, or --gist.");
    return 0;
}

/* The extension of the base name, its dot included; NULL when it has none the engine takes. */
static const char *extension_of(const char *file)
{
    static const char allowed[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-";
    const char *slash = strrchr(file, '/');
    const char *base = slash == NULL ? file : slash + 1;
    const char *dot = strrchr(base, '.');
    size_t n;

    if (dot == NULL || dot == base)
        return NULL;
    n = strlen(dot);
    return n > 1 && n <= EXTENSION_MAX && strspn(dot + 1, allowed) == n - 1 ? dot : NULL;
}

static int read_code(struct run_plan *plan, int fd, const char *name)
{
    int r = fd_read_all(fd, &plan->code);

    if (r == -EFBIG)
        return cli_fail("%s: larger than %u MiB, the most that code may have", name,
                        RUN_CODE_MAX >> 20);
    if (r < 0)
        return cli_fail("Cannot read %s: %s", name, strerrordesc_np(-r));
    plan->request.code = buf_text(&plan->code);
    plan->request.code_size = plan->code.len;
    return 0;
}

static int read_file(struct run_plan *plan, const char *name)
{
    auto_close int fd = open(name, O_RDONLY | O_CLOEXEC | O_NOCTTY);

    if (fd < 0 && (errno == ENOENT || errno == ENOTDIR))
        return cli_fail("File not found: %s", name);
    if (fd < 0)
        return cli_fail("Cannot read %s: %s", name, strerrordesc_np(errno));
    return read_code(plan, fd, name);
}

static int from_file(struct run_plan *plan, const char *file)
{
    isol8_request *rq = &plan->request;

    if (access(file, F_OK) < 0 && (errno == ENOENT || errno == ENOTDIR))
        return cli_fail("File not found: %s", file);
    if (rq->runtime == NULL)
        rq->runtime = isol8_runtime_detect(file);
    if (rq->runtime == NULL)
        return cli_fail("Cannot detect runtime for %s. Use --runtime to specify.", file);
    return read_file(plan, file);
}

#define REF_HINT                                                                                   \
    " (--github takes one part as the ref; a ref with '/' in it needs the whole address by --url)"

/* Where the code is to be fetched: by the engine, which has the say over the address. */
static int from_url(struct run_plan *plan, const struct cli_args *args)
{
    const char *url = run_value(args, RUN_URL), *github = run_value(args, RUN_GITHUB);
    isol8_request *rq = &plan->request;
    const char *why = NULL;

    if (url == NULL) {
        plan->url = github != NULL ? code_url_github(github, &why)
                                   : code_url_gist(run_value(args, RUN_GIST), &why);
        url = plan->url;
        if (url == NULL)
            return cli_fail("%s", why);
        if (github != NULL && code_url_ref_is_ambiguous(github))
            plan->url_hint = REF_HINT;
    }
    rq->code_url = url;
    rq->code_hash = run_value(args, RUN_HASH);
    rq->allow_insecure_code_url = args->values[RUN_INSECURE_URL].n > 0;
    if (rq->runtime != NULL)
        return 0;
    auto_free char *path = code_url_path(url);
    if (path == NULL)
        return cli_fail("Invalid code URL: %s", url);
    rq->runtime = isol8_runtime_detect(path);
    return rq->runtime != NULL ? 0
                               : cli_fail("Cannot detect runtime from URL path. Use --runtime to "
                                          "specify.");
}

static int from_stdin(struct run_plan *plan)
{
    if (isatty(STDIN_FILENO) == 1 && isatty(STDERR_FILENO) == 1)
        cli_say("Reading the program from the terminal; end it with Ctrl-D.");
    return read_code(plan, STDIN_FILENO, "stdin");
}

int run_source(struct run_plan *plan, const struct cli *cli, const struct cli_args *args)
{
    isol8_request *rq = &plan->request;
    const char *file = file_operand(args), *eval = run_value(args, RUN_EVAL);
    const char *kind = "stdin", *fallback = "python";
    int code = 0;

    rq->runtime = run_value(args, RUN_RUNTIME);
    rq->cmd = run_value(args, RUN_CMD);
    if (file != NULL)
        rq->file_extension = extension_of(file);
    if (rq->cmd != NULL) {
        kind = "command";
        fallback = "bash";
    } else if (has_url(args)) {
        kind = "url";
        code = from_url(plan, args);
    } else if (eval != NULL) {
        kind = "inline";
        rq->code = eval;
        rq->code_size = strlen(eval);
    } else if (file != NULL) {
        kind = "file";
        code = from_file(plan, file);
    } else {
        code = from_stdin(plan);
    }
    if (code != 0)
        return code;
    if (rq->runtime == NULL)
        rq->runtime = fallback;
    cli_debug(cli, "Run", "Input: %s, runtime: %s, code length: %zu", kind, rq->runtime,
              rq->code_size);
    return 0;
}
