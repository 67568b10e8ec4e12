/* SPDX-License-Identifier: Apache-2.0 */
/* order.c - what a server is asked to do: options and a request as JSON. */
#include "client/order.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/text.h"

#define HOME_OF_FILES "/sandbox/"

/* ---- Members --------------------------------------------------------------------------------- */

/* A name, and a comma before it unless it is the first of its object. */
static void put_name(struct buf *out, const char *name)
{
    char last = out->len == 0 ? '{' : out->data[out->len - 1];

    if (last != '{' && last != '[')
        (void)buf_adds(out, ",");
    (void)json_put_text(out, name, strlen(name));
    (void)buf_adds(out, ":");
}

/* Left out when it is NULL. */
static void put_string(struct buf *out, const char *name, const char *value)
{
    if (value == NULL)
        return;
    put_name(out, name);
    (void)json_put_text(out, value, strlen(value));
}

static void put_bool(struct buf *out, const char *name, bool value)
{
    put_name(out, name);
    (void)buf_adds(out, value ? "true" : "false");
}

static void put_integer(struct buf *out, const char *name, int64_t value)
{
    put_name(out, name);
    (void)buf_addf(out, "%" PRId64, value);
}

/* The shortest form that means the same number. */
static void put_decimal(struct buf *out, const char *name, double value)
{
    char text[32];

    (void)snprintf(text, sizeof(text), "%.15g", value);
    if (strtod(text, NULL) != value)
        (void)snprintf(text, sizeof(text), "%.17g", value);
    put_name(out, name);
    (void)buf_adds(out, text);
}

static void put_strings(struct buf *out, const char *name, const char *const *items, size_t n)
{
    put_name(out, name);
    (void)buf_adds(out, "[");
    for (size_t i = 0; i < n; i++) {
        (void)buf_adds(out, i > 0 ? "," : "");
        (void)json_put_text(out, items[i], strlen(items[i]));
    }
    (void)buf_adds(out, "]");
}

static void put_pairs(struct buf *out, const char *name, const isol8_pair *pairs, size_t n)
{
    if (n == 0)
        return;
    put_name(out, name);
    (void)buf_adds(out, "{");
    for (size_t i = 0; i < n; i++)
        put_string(out, pairs[i].key, pairs[i].value);
    (void)buf_adds(out, "}");
}

/* ---- The request ----------------------------------------------------------------------------- */

static void put_bytes(struct buf *out, const unsigned char *bytes, size_t n)
{
    (void)buf_adds(out, "{\"type\":\"Buffer\",\"data\":[");
    for (size_t i = 0; i < n && !out->failed; i++)
        (void)buf_addf(out, i > 0 ? ",%u" : "%u", bytes[i]);
    (void)buf_adds(out, "]}");
}

static bool is_text(const isol8_file *f)
{
    return f->size == 0 ||
           (memchr(f->data, '\0', f->size) == NULL && text_utf8_valid(f->data, f->size));
}

static int put_files(struct buf *out, const isol8_request *rq, isol8_error *err)
{
    if (rq->n_files == 0)
        return 0;
    put_name(out, "files");
    (void)buf_adds(out, "{");
    for (size_t i = 0; i < rq->n_files && !out->failed; i++) {
        const isol8_file *f = &rq->files[i];
        auto_buf struct buf path = BUF_INIT(8192);
        if (!text_utf8_valid(f->path, strlen(f->path)))
            return err_set(err, ISOL8_E_INVAL, "--files: the name '%s' is not UTF-8", f->path);
        if (f->path[0] != '/')
            (void)buf_adds(&path, HOME_OF_FILES);
        if (!buf_adds(&path, f->path))
            return err_set(err, ISOL8_E_INVAL, "--files: the name '%.100s...' is too long",
                           f->path);
        put_name(out, buf_text(&path));
        if (is_text(f))
            (void)json_put_text(out, f->size == 0 ? "" : f->data, f->size);
        else
            put_bytes(out, f->data, f->size);
    }
    (void)buf_adds(out, "}");
    return 0;
}

static int put_request(struct buf *out, const struct client_order *o, isol8_error *err)
{
    const isol8_request *rq = o->request;

    (void)buf_adds(out, "{");
    put_string(out, "runtime", rq->runtime);
    put_integer(out, "timeoutMs", rq->timeout_ms > 0 ? rq->timeout_ms : o->options->timeout_ms);
    if (rq->code != NULL) {
        put_name(out, "code");
        (void)json_put_text(out, rq->code, rq->code_size);
    }
    put_string(out, "cmd", rq->cmd);
    put_string(out, "codeUrl", rq->code_url);
    put_string(out, "codeHash", rq->code_hash);
    if (rq->allow_insecure_code_url)
        put_bool(out, "allowInsecureCodeUrl", true);
    if (rq->stdin_size > 0) {
        put_name(out, "stdin");
        (void)json_put_text(out, rq->stdin_data, rq->stdin_size);
    }
    if (rq->n_install > 0)
        put_strings(out, "installPackages", rq->install, rq->n_install);
    put_string(out, "setupScript", rq->setup_script);
    put_string(out, "workdir", rq->workdir);
    put_string(out, "agentFlags", rq->agent_flags);
    put_string(out, "fileExtension", rq->file_extension);
    int r = put_files(out, rq, err);
    put_pairs(out, "env", rq->env, rq->n_env);
    (void)buf_adds(out, "}");
    return r;
}

/* ---- The options ----------------------------------------------------------------------------- */

static void put_remote_code(struct buf *out, const isol8_remote_options *r)
{
    if (r == NULL)
        return;
    put_name(out, "remoteCode");
    (void)buf_adds(out, "{");
    put_bool(out, "enabled", r->enabled);
    put_strings(out, "allowedSchemes", r->allowed_schemes, r->n_allowed_schemes);
    put_strings(out, "allowedHosts", r->allowed_hosts, r->n_allowed_hosts);
    put_strings(out, "blockedHosts", r->blocked_hosts, r->n_blocked_hosts);
    put_integer(out, "maxCodeSize", (int64_t)r->max_code_size);
    put_integer(out, "fetchTimeoutMs", r->fetch_timeout_ms);
    put_bool(out, "requireHash", r->require_hash);
    put_bool(out, "enableCache", r->enable_cache);
    put_integer(out, "cacheTtl", r->cache_ttl);
    (void)buf_adds(out, "}");
}

static void put_options(struct buf *out, const struct client_order *o)
{
    const isol8_options *op = o->options;

    (void)buf_adds(out, "{");
    put_string(out, "mode", op->mode);
    put_string(out, "network", op->network);
    put_name(out, "networkFilter");
    (void)buf_adds(out, "{");
    put_strings(out, "whitelist", op->allow, op->n_allow);
    put_strings(out, "blacklist", op->deny, op->n_deny);
    (void)buf_adds(out, "}");
    put_string(out, "memoryLimit", op->memory_limit);
    put_decimal(out, "cpuLimit", op->cpu_limit);
    put_integer(out, "timeoutMs", op->timeout_ms);
    put_string(out, "image", op->image);
    if (o->has_pids_limit)
        put_integer(out, "pidsLimit", op->pids_limit);
    if (o->has_max_output)
        put_integer(out, "maxOutputSize", (int64_t)op->max_output_size);
    if (o->has_tmp_size)
        put_string(out, "tmpSize", op->tmp_size);
    put_bool(out, "debug", false); /* would be the server's own logging */
    put_bool(out, "persist", op->persist);
    if (op->log_network)
        put_bool(out, "logNetwork", true);
    put_remote_code(out, op->remote_code);
    if (o->has_sandbox_size)
        put_string(out, "sandboxSize", op->sandbox_size);
    put_pairs(out, "secrets", op->secrets, op->n_secrets);
    if (!op->readonly_rootfs)
        put_bool(out, "readonlyRootFs", false);
    (void)buf_adds(out, "}");
}

int client_order_text(const struct client_order *o, bool is_message, struct buf *out,
                      isol8_error *err)
{
    (void)buf_adds(out, "{");
    if (is_message)
        put_string(out, "type", "execute");
    put_name(out, "request");
    int r = put_request(out, o, err);
    put_name(out, "options");
    put_options(out, o);
    put_string(out, "sessionId", o->session_id);
    (void)buf_adds(out, "}");
    if (r < 0)
        return r;
    if (out->failed && !out->no_memory)
        return err_set(err, ISOL8_E_LIMIT, "The request is larger than %zu MiB", out->max >> 20);
    return out->failed ? err_nomem(err) : 0;
}
