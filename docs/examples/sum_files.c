/* SPDX-License-Identifier: Apache-2.0 */
/**
 * sum_files.c - put 200 files into a sandbox, let Python read them, take its result back
 *
 *   cc sum_files.c $(pkg-config --cflags --libs isol8) -o sum_files && sudo ./sum_files
 *
 * Shows the whole life of an execution through the library: open a host, build the image when it is
 * missing, make an engine with limits, execute a request with files and output paths, read the
 * result. Nothing of it stays behind.
 */
#include <isol8/isol8.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FILES = 200 };

static const char program[] =
    "import json, pathlib\n"
    "numbers = [int(p.read_text()) for p in sorted(pathlib.Path('/sandbox/data').glob('*.txt'))]\n"
    "pathlib.Path('/sandbox/result.json').write_text(\n"
    "    json.dumps({'files': len(numbers), 'sum': sum(numbers)}))\n"
    "print('read', len(numbers), 'files')\n";

static int fail(const char *what, const isol8_error *err)
{
    fprintf(stderr, "%s: %s\n", what, err->msg);
    return 1;
}

static void show_progress(const isol8_setup_progress *p, void *user)
{
    (void)user;
    if (p->state == ISOL8_SETUP_BUILDING && p->done == 0)
        fprintf(stderr, "building %s: %s\n", p->runtime, p->message);
}

static int ensure_image(isol8_host *host, const char *runtime, isol8_error *err)
{
    isol8_setup_options setup;

    if (isol8_image_present(host, runtime))
        return 0;
    isol8_setup_options_init(&setup);
    setup.runtimes = &runtime;
    setup.n_runtimes = 1;
    setup.progress = show_progress;
    return isol8_setup(host, &setup, err);
}

/* Fill in the request and run it; the files live on this function's stack meanwhile. */
static int run(isol8_engine *engine, isol8_result **out, isol8_error *err)
{
    static const char *const outputs[] = { "/sandbox/result.json" };
    static char paths[FILES][32], texts[FILES][16];
    isol8_file files[FILES];
    isol8_request request;

    for (int i = 0; i < FILES; i++) {
        snprintf(paths[i], sizeof(paths[i]), "data/%03d.txt", i);
        snprintf(texts[i], sizeof(texts[i]), "%d\n", i);
        files[i].path = paths[i];
        files[i].data = texts[i];
        files[i].size = strlen(texts[i]);
    }
    isol8_request_init(&request);
    request.runtime = "python";
    request.code = program;
    request.code_size = strlen(program);
    request.files = files;
    request.n_files = FILES;
    request.output_paths = outputs;
    request.n_output_paths = 1;
    return isol8_execute(engine, &request, out, err);
}

static int show(const isol8_result *result)
{
    const isol8_file *file = isol8_result_file(result, 0);
    isol8_usage usage;

    isol8_result_usage(result, &usage);
    printf("stdout:  %s", isol8_result_stdout(result, NULL));
    printf("verdict: %s (exit code %d)\n", isol8_verdict_name(isol8_result_verdict(result)),
           isol8_result_exit_code(result));
    printf("usage:   %.1f ms CPU, %.1f MiB at most\n", (double)usage.cpu_us / 1000,
           (double)usage.memory_peak_bytes / 1048576);
    if (file == NULL) {
        printf("stderr:  %s", isol8_result_stderr(result, NULL));
        return 1;
    }
    printf("result:  %.*s\n", (int)file->size, (const char *)file->data);
    return strncmp(file->data, "{\"files\": 200, \"sum\": 19900}", file->size) == 0 ? 0 : 1;
}

int main(void)
{
    isol8_host *host = NULL;
    isol8_engine *engine = NULL;
    isol8_result *result = NULL;
    isol8_options options;
    isol8_error err;

    if (isol8_host_open(&host, NULL, &err) < 0)
        return fail("open", &err);
    if (ensure_image(host, "python", &err) < 0)
        return fail("setup", &err);

    isol8_options_init(&options);
    options.memory_limit = "128m";
    options.timeout_ms = 20000;
    if (isol8_create(&engine, host, &options, &err) < 0)
        return fail("create", &err);
    if (run(engine, &result, &err) < 0)
        return fail("execute", &err);

    int code = show(result);
    isol8_result_free(result);
    isol8_free(engine);
    isol8_host_free(host);
    return code;
}
