/* SPDX-License-Identifier: Apache-2.0 */
/* request.c - check an execution request and turn it into what init is asked to do. */
#include "executor/request.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "executor/environ.h"
#include "executor/packages.h"
#include "executor/remote/policy.h"
#include "oci/spec.h"

enum {
    PATH_BYTES_MAX = 4095,
    SANDBOX_MIB = 1 << 20,
    SETUP_BYTES_MAX = 16 << 20,
};

void isol8_request_init(isol8_request *rq)
{
    *rq = (isol8_request){ .size = sizeof(*rq) };
}

/* ---- Checks ------------------------------------------------------------------------------------
 */

static bool is_blank(const char *s, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (strchr(" \t\r\n\v\f", s[i]) == NULL || s[i] == '\0')
            return false;
    }
    return true;
}

static bool is_given(const char *text)
{
    return text != NULL && !is_blank(text, strlen(text));
}

static int check_source(const isol8_request *rq, isol8_error *err)
{
    bool has_code = rq->code != NULL && !is_blank(rq->code, rq->code_size);
    bool has_url = is_given(rq->code_url), has_cmd = is_given(rq->cmd);

    if (has_code + has_url + has_cmd > 1)
        return err_set(err, ISOL8_E_INVAL,
                       "ExecutionRequest.code, ExecutionRequest.codeUrl, and ExecutionRequest.cmd "
                       "are mutually exclusive \xe2\x80\x94 provide exactly one.");
    if (!has_code && !has_url && !has_cmd)
        return err_set(err, ISOL8_E_INVAL,
                       "ExecutionRequest must include exactly one of: code, codeUrl, or cmd.");
    if (has_cmd && strlen(rq->cmd) > ENGINE_WORD_MAX)
        return err_set(err, ISOL8_E_LIMIT,
                       "cmd: %zu bytes are more than the %d that one argument may have; run it as "
                       "code with runtime bash",
                       strlen(rq->cmd), ENGINE_WORD_MAX);
    return 0;
}

static int check_agent(const struct isol8_engine *e, isol8_error *err)
{
    if (e->host_network || (e->is_filtered && e->n_allow > 0))
        return 0;
    if (e->is_filtered)
        return err_set(err, ISOL8_E_POLICY,
                       "Agent runtime requires at least one network whitelist entry. The AI coding "
                       "agent needs to reach its LLM provider API. Use --allow "
                       "\"api.anthropic.com\" (or your provider's domain).");
    return err_set(err, ISOL8_E_POLICY,
                   "Agent runtime requires network access. The AI coding agent needs to reach its "
                   "LLM provider API. Use --net host, or --net filtered --allow "
                   "\"api.anthropic.com\" (or your provider's domain).");
}

/* \.[A-Za-z0-9_.-]{1,16} */
static int check_extension(const char *ext, isol8_error *err)
{
    size_t n = strlen(ext);

    if (n < 2 || n > 17 || ext[0] != '.' ||
        strspn(ext + 1, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-") !=
            n - 1)
        return err_set(err, ISOL8_E_INVAL,
                       "fileExtension: '%.40s' must be a dot and 1 to 16 letters, digits, '_', "
                       "'.' or '-'",
                       ext);
    return 0;
}

static int check_paths(const isol8_request *rq, isol8_error *err)
{
    if (rq->n_files > REQUEST_FILES_MAX)
        return err_set(err, ISOL8_E_LIMIT, "files: %zu are more than the limit of %d", rq->n_files,
                       REQUEST_FILES_MAX);
    if (rq->n_output_paths > REQUEST_OUTPUTS_MAX)
        return err_set(err, ISOL8_E_LIMIT, "outputPaths: %zu are more than the limit of %d",
                       rq->n_output_paths, REQUEST_OUTPUTS_MAX);
    for (size_t i = 0; i < rq->n_files + rq->n_output_paths; i++) {
        const char *path = i < rq->n_files ? rq->files[i].path : rq->output_paths[i - rq->n_files];
        size_t n = path == NULL ? 0 : strlen(path);
        if (n == 0 || n > PATH_BYTES_MAX - 16 || path[n - 1] == '/')
            return err_set(err, ISOL8_E_INVAL, "%s: '%.100s' is not the path of a file",
                           i < rq->n_files ? "files" : "outputPaths", path == NULL ? "" : path);
    }
    return 0;
}

static int check_env(const isol8_request *rq, isol8_error *err)
{
    if (rq->n_env > REQUEST_ENV_MAX)
        return err_set(err, ISOL8_E_LIMIT, "env: %zu variables are more than the limit of %d",
                       rq->n_env, REQUEST_ENV_MAX);
    for (size_t i = 0; i < rq->n_env; i++) {
        const char *key = rq->env[i].key, *value = rq->env[i].value;
        if (key == NULL || *key == '\0' || strchr(key, '=') != NULL || value == NULL)
            return err_set(err, ISOL8_E_INVAL, "env: '%.40s' is not a variable name",
                           key == NULL ? "" : key);
        if (strlen(key) + strlen(value) + 1 > ENGINE_WORD_MAX)
            return err_set(err, ISOL8_E_LIMIT, "env: '%.40s' is longer than %d bytes", key,
                           ENGINE_WORD_MAX);
    }
    return 0;
}

static int check_runtime(const isol8_request *rq, struct exec_plan *out, isol8_error *err)
{
    out->runtime = rq->runtime == NULL ? NULL : exec_runtime_find(rq->runtime);
    if (out->runtime == NULL)
        return err_set(err, ISOL8_E_INVAL,
                       "Unknown runtime: \"%.40s\". Available: python, node, bun, bash, deno, "
                       "agent",
                       rq->runtime == NULL ? "" : rq->runtime);
    return 0;
}

/* ---- Paths -------------------------------------------------------------------------------------
 */

char *exec_sandbox_path(const char *path)
{
    char *out = NULL;

    if (path[0] == '/')
        return strdup(path);
    return asprintf(&out, "/sandbox/%s", path) < 0 ? NULL : out;
}

/* Lexical folding of ".", ".." and repeated slashes, in place; @path is absolute. */
static void fold_path(char *path)
{
    char *out = path;
    const char *p = path;

    while (*p != '\0') {
        while (*p == '/')
            p++;
        size_t n = strcspn(p, "/");
        if (n == 2 && p[0] == '.' && p[1] == '.') {
            while (out > path && *--out != '/')
                continue;
        } else if (n > 0 && !(n == 1 && p[0] == '.')) {
            *out++ = '/';
            memmove(out, p, n);
            out += n;
        }
        p += n;
    }
    if (out == path)
        *out++ = '/';
    *out = '\0';
}

int exec_workdir(const char *path, char **out, isol8_error *err)
{
    auto_free char *full = exec_sandbox_path(path == NULL ? "" : path);

    if (full == NULL)
        return err_nomem(err);
    fold_path(full);
    if (strcmp(full, "/sandbox") != 0 && strncmp(full, "/sandbox/", 9) != 0)
        return err_set(err, ISOL8_E_INVAL, "Working directory must be inside /sandbox");
    *out = take_ptr(&full);
    return 0;
}

/* ---- The plan -----------------------------------------------------------------------------------
 */

void exec_plan_sandbox(struct sandbox_args *out, const struct isol8_engine *e,
                       const struct exec_runtime *rt)
{
    *out = (struct sandbox_args){
        .image = e->image != NULL ? e->image : rt->image,
        .host_network = e->host_network,
        .is_filtered = e->is_filtered,
        .rules = e->rules,
        .readonly_rootfs = e->readonly_rootfs,
        .sandbox_bytes = e->sandbox_bytes != 0
                             ? e->sandbox_bytes
                             : (uint64_t)(rt->is_agent ? 2048 : 512) * SANDBOX_MIB,
        .tmp_bytes = e->tmp_bytes,
        .seccomp = e->seccomp,
        .layers = e->layers,
        .n_layers = e->n_layers,
    };
}

static void plan_limits(struct exec_plan *p, const struct isol8_engine *e)
{
    int64_t pids = e->pids_limit;

    if (pids == -2)
        pids = p->runtime->is_agent ? ENGINE_PIDS_AGENT : ENGINE_PIDS_DEFAULT;
    p->limits = (struct cgroup_limits){
        .memory_bytes = e->memory_bytes,
        .cpus = e->cpus,
        .pids = pids > 0 ? (uint64_t)pids : 0,
    };
}

int exec_plan_check_prompt(const struct exec_plan *p, size_t size, isol8_error *err)
{
    if (!p->runtime->is_agent || size <= ENGINE_WORD_MAX)
        return 0;
    return err_set(err, ISOL8_E_LIMIT, "code: a prompt of %zu bytes is longer than %d", size,
                   ENGINE_WORD_MAX);
}

/* A hash that is not looked at would be taken for one that was. */
static int check_remote(struct exec_plan *p, const struct isol8_engine *e, const isol8_request *rq,
                        isol8_error *err)
{
    bool has_hash = is_given(rq->code_hash);

    if (!is_given(rq->code_url)) {
        p->cmd = rq->cmd;
        p->code = rq->cmd == NULL ? rq->code : NULL;
        p->code_size = rq->code_size;
        return !has_hash ? 0
                         : err_set(err, ISOL8_E_INVAL,
                                   "codeHash: there is no codeUrl whose code it could be of");
    }
    if (!e->remote->is_enabled)
        return err_set(err, ISOL8_E_POLICY,
                       "Remote code fetching is disabled. Set remoteCode.enabled=true to allow "
                       "it.");
    if (has_hash && !remote_hash_parse(rq->code_hash, p->hash))
        return err_set(err, ISOL8_E_INVAL,
                       "codeHash: '%.80s' is not a SHA-256 of 64 hexadecimal digits",
                       rq->code_hash);
    return remote_policy_check(e->remote, rq->code_url, rq->allow_insecure_code_url, NULL, &p->url,
                               err);
}

static int check_code(struct exec_plan *p, const struct isol8_engine *e, const isol8_request *rq,
                      isol8_error *err)
{
    int r = check_source(rq, err);

    if (r == 0)
        r = check_remote(p, e, rq, err);
    if (r == 0 && p->code != NULL)
        r = exec_plan_check_prompt(p, p->code_size, err);
    if (r == 0 && rq->file_extension != NULL)
        r = check_extension(rq->file_extension, err);
    if (r == 0 && rq->setup_script != NULL && strlen(rq->setup_script) > SETUP_BYTES_MAX)
        r = err_set(err, ISOL8_E_LIMIT, "setupScript: %zu bytes are more than the limit of %d",
                    strlen(rq->setup_script), SETUP_BYTES_MAX);
    return r;
}

static int check_metadata(const isol8_request *rq, isol8_error *err)
{
    for (size_t i = 0; i < rq->n_metadata; i++) {
        if (rq->metadata[i].key == NULL || rq->metadata[i].value == NULL)
            return err_set(err, ISOL8_E_INVAL, "metadata: entry %zu has no %s", i,
                           rq->metadata[i].key == NULL ? "key" : "value");
    }
    return 0;
}

int exec_plan_make(struct exec_plan *out, const struct isol8_engine *e, const isol8_request *rq,
                   isol8_error *err)
{
    *out = (struct exec_plan){ 0 };
    if (rq->size != sizeof(*rq))
        return err_set(err, ISOL8_E_INVAL, "the request was not initialised");
    if (rq->timeout_ms < 0)
        return err_set(err, ISOL8_E_INVAL, "timeoutMs: %lld must be positive",
                       (long long)rq->timeout_ms);

    int r = check_runtime(rq, out, err);
    if (r == 0 && out->runtime->is_agent)
        r = check_agent(e, err);
    if (r == 0)
        r = check_code(out, e, rq, err);
    if (r == 0)
        r = check_paths(rq, err);
    if (r == 0)
        r = check_env(rq, err);
    if (r == 0)
        r = check_metadata(rq, err);
    if (r == 0)
        r = packages_check(out->runtime, rq->install, rq->n_install, err);
    if (r == 0 && out->runtime->is_agent)
        r = words_split(&out->agent_flags, "agentFlags", rq->agent_flags, err);
    if (r == 0)
        r = exec_workdir(rq->workdir, &out->workdir, err);
    if (r < 0)
        return r;

    out->timeout_ms = rq->timeout_ms > 0 ? rq->timeout_ms : e->timeout_ms;
    out->install = rq->install;
    out->n_install = rq->n_install;
    exec_plan_sandbox(&out->sandbox, e, out->runtime);
    out->image = out->sandbox.image;
    plan_limits(out, e);
    return 0;
}

int exec_plan_image(struct exec_plan *p, const struct isol8_engine *e, const isol8_request *rq,
                    const char *fixed, isol8_error *err)
{
    if (e->layers != NULL)
        return 0;
    int r = exec_image_choose(e->host, p->runtime, fixed != NULL ? fixed : e->image, rq->install,
                              rq->n_install, &p->choice, err);
    if (r < 0)
        return r;
    p->image = p->sandbox.image = p->choice.name;
    p->install = p->choice.missing;
    p->n_install = p->choice.n_missing;
    return 0;
}

int exec_plan_paths(struct exec_plan *p, const isol8_request *rq, int64_t stamp_ms,
                    isol8_error *err)
{
    const char *ext = rq->file_extension != NULL    ? rq->file_extension
                      : p->url.extension[0] != '\0' ? p->url.extension
                                                    : p->runtime->extension;
    bool has_script = p->cmd == NULL && !p->runtime->is_agent;
    char stamp[24] = "";

    if (stamp_ms != 0)
        (void)snprintf(stamp, sizeof(stamp), "_%" PRId64, stamp_ms);
    if (has_script && asprintf(&p->script_path, "/sandbox/%s%s%s", stamp_ms != 0 ? "exec" : "main",
                               stamp, ext) < 0)
        p->script_path = NULL;
    if (asprintf(&p->setup_path, "/sandbox/.isol8-setup%s.sh", stamp) < 0)
        p->setup_path = NULL;
    return p->setup_path == NULL || (has_script && p->script_path == NULL) ? err_nomem(err) : 0;
}

int exec_ensure_image(struct isol8_engine *e, const struct exec_runtime *rt, isol8_error *err)
{
    isol8_setup_options o;

    if (e->image != NULL || e->layers != NULL || !e->build_images ||
        isol8_image_present(e->host, rt->name))
        return 0;
    isol8_setup_options_init(&o);
    o.runtimes = &rt->name;
    o.n_runtimes = 1;
    return isol8_setup(e->host, &o, err);
}

void exec_plan_done(struct exec_plan *p)
{
    remote_url_done(&p->url);
    free(p->script_path);
    free(p->setup_path);
    free(p->workdir);
    words_done(&p->agent_flags);
    exec_image_choice_done(&p->choice);
    *p = (struct exec_plan){ 0 };
}

/* ---- Strings of EXEC ------------------------------------------------------------------------- */

static void add_command(const struct exec_plan *p, struct buf *b, uint32_t *argc)
{
    const char *const *word = p->runtime->command;

    if (p->cmd != NULL) {
        exec_add_word(b, "bash", argc);
        exec_add_word(b, "-c", argc);
        exec_add_word(b, p->cmd, argc);
        return;
    }
    for (size_t i = 0; i < RUNTIME_ARGS_MAX && word[i] != NULL; i++) {
        bool is_last = i + 1 == RUNTIME_ARGS_MAX || word[i + 1] == NULL;
        for (size_t k = 0; is_last && k < p->agent_flags.n; k++) /* before "-p PROMPT" */
            exec_add_word(b, words_get(&p->agent_flags, k), argc);
        exec_add_word(b, word[i], argc);
    }
    if (p->script_path != NULL) {
        exec_add_word(b, p->script_path, argc);
    } else { /* a prompt ends at its first NUL, as any argument does */
        (void)buf_add(b, p->code, strnlen(p->code, p->code_size));
        (void)buf_add(b, "", 1);
        (*argc)++;
    }
}

static int add_environ(const struct exec_plan *p, const struct isol8_engine *e,
                       const isol8_request *rq, const struct oci_image *image, bool has_packages,
                       const char *path, struct buf *out, uint32_t *envc, isol8_error *err)
{
    struct exec_environ *env = NULL;
    size_t n = 0;
    const isol8_pair *installed = has_packages ? packages_environ(p->runtime, &n) : NULL;
    int r = exec_environ_new(&env, e, image, installed, n, rq->n_env + 1, err);

    if (r < 0)
        return r;
    if (path != NULL && installed == NULL) /* else its own PATH counts */
        exec_environ_set(env, "PATH", path);
    for (size_t i = 0; i < rq->n_env; i++)
        exec_environ_set(env, rq->env[i].key, rq->env[i].value);
    exec_environ_finish(env, e);
    exec_environ_write(env, out, envc);
    exec_environ_free(env);
    return 0;
}

static int finish_strings(const struct buf *out, struct init_exec *counts, isol8_error *err)
{
    counts->strings_size = (uint32_t)out->len;
    if (out->no_memory)
        return err_nomem(err);
    if (out->failed)
        return err_set(err, ISOL8_E_LIMIT, "command and environment are larger than %d bytes",
                       INIT_STRINGS_MAX);
    return 0;
}

int exec_plan_strings(const struct exec_plan *p, const struct isol8_engine *e,
                      const isol8_request *rq, const struct oci_image *image, bool has_packages,
                      struct buf *out, struct init_exec *counts, isol8_error *err)
{
    *counts = (struct init_exec){ 0 };
    exec_add_word(out, p->workdir, NULL);
    add_command(p, out, &counts->argc);
    int r = add_environ(p, e, rq, image, has_packages, NULL, out, &counts->envc, err);
    return r < 0 ? r : finish_strings(out, counts, err);
}

int exec_plan_setup_strings(const struct exec_plan *p, const struct isol8_engine *e,
                            const isol8_request *rq, const struct oci_image *image, struct buf *out,
                            struct init_exec *counts, isol8_error *err)
{
    *counts = (struct init_exec){ 0 };
    exec_add_word(out, "/sandbox", NULL);
    exec_add_word(out, "bash", &counts->argc);
    exec_add_word(out, p->setup_path, &counts->argc);
    int r = add_environ(p, e, rq, image, p->n_install > 0, ENVIRON_PATH ENVIRON_ADMIN_PATH, out,
                        &counts->envc, err);
    return r < 0 ? r : finish_strings(out, counts, err);
}
