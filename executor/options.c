/* SPDX-License-Identifier: Apache-2.0 */
/* options.c - check options once, when an engine is made; everything later relies on them. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/text.h"
#include "executor/audit.h"
#include "executor/egress.h"
#include "executor/engine.h"
#include "executor/remote/policy.h"
#include "oci/seccomp/seccomp.h"

enum {
    TIMEOUT_MS_MAX = 7 * 24 * 3600 * 1000, /* a week */
    CPUS_MAX = 4096,
    CONCURRENT_MAX = 4096,
    POOL_MAX = 4096, /* as the configuration's poolSize */
};
static const uint64_t memory_bytes_min = UINT64_C(4) << 20; /* less cannot start a process */

void isol8_options_init(isol8_options *o)
{
    *o = (isol8_options){
        .size = sizeof(*o),
        .mode = "ephemeral",
        .network = "none",
        .cpu_limit = 1,
        .memory_limit = "512m",
        .pids_limit = -2,
        .readonly_rootfs = true,
        .max_output_size = 1048576,
        .timeout_ms = 30000,
        .tmp_size = "256m",
        .seccomp = "strict",
        .max_concurrent = 10,
        .pool_strategy = "fast",
        .pool_clean = 1,
        .pool_dirty = 1,
        .build_images = true,
    };
}

static int set_network(struct isol8_engine *e, const char *network, isol8_error *err)
{
    if (network == NULL || strcmp(network, "none") == 0)
        return 0;
    if (strcmp(network, "host") == 0) {
        e->host_network = true;
        return 0;
    }
    if (strcmp(network, "filtered") == 0) {
        e->is_filtered = true;
        return 0;
    }
    return err_set(err, ISOL8_E_INVAL, "network: '%.40s' is not one of none, host, filtered",
                   network);
}

static char **copy_list(const char *const *list, size_t n)
{
    char **out = calloc(n + 1, sizeof(*out));

    for (size_t i = 0; out != NULL && i < n; i++) {
        out[i] = strdup(list[i]);
        if (out[i] == NULL)
            return NULL; /* out of memory: what was copied is a loss that does not matter */
    }
    return out;
}

/* The lists are checked whatever the network: a bad pattern is found now, not when it is needed. */
static int set_rules(struct isol8_engine *e, const isol8_options *o, isol8_error *err)
{
    e->log_network = o->log_network;
    if (!e->is_filtered && o->n_allow + o->n_deny + o->n_allow_within == 0)
        return 0;
    e->allow = copy_list(o->allow, o->n_allow);
    e->deny = copy_list(o->deny, o->n_deny);
    e->n_allow = o->n_allow;
    e->n_deny = o->n_deny;
    e->allow_within = copy_list(o->allow_within, o->n_allow_within);
    e->n_allow_within = o->n_allow_within;
    if (e->allow == NULL || e->deny == NULL || e->allow_within == NULL)
        return err_nomem(err);
    for (size_t i = 0; e->is_filtered && i < o->n_allow; i++) {
        if (proxy_rules_is_unanchored(o->allow[i]))
            log_warn(
                &e->host->log,
                "network.whitelist[%zu]: '%.80s' also matches inside longer names; write it as "
                "'^...$' to mean one host",
                i, o->allow[i]);
    }
    int r = proxy_rules_new(&e->rules, "network.whitelist", o->allow, o->n_allow,
                            "network.blacklist", o->deny, o->n_deny, err);
    return r < 0 ? r
                 : proxy_rules_bound(e->rules, "allow_within", o->allow_within, o->n_allow_within,
                                     err);
}

static int set_memory(struct isol8_engine *e, const char *text, isol8_error *err)
{
    if (text == NULL || !text_parse_size(text, &e->memory_bytes))
        return err_set(err, ISOL8_E_INVAL,
                       "Invalid memory limit format: \"%.40s\". Use e.g. \"512m\", \"1g\".",
                       text == NULL ? "" : text);
    if (e->memory_bytes != 0 && e->memory_bytes < memory_bytes_min)
        return err_set(err, ISOL8_E_INVAL, "memory limit: '%.40s' is below the minimum of 4m",
                       text);
    e->memory_text = strdup(text);
    return e->memory_text == NULL ? err_nomem(err) : 0;
}

static int set_size(uint64_t *out, const char *name, const char *text, isol8_error *err)
{
    if (!text_parse_size(text, out) || *out < 4096)
        return err_set(err, ISOL8_E_INVAL,
                       "%s: '%.40s' is not a size of at least 4k, such as \"512m\" or \"1g\"", name,
                       text);
    return 0;
}

static int set_numbers(struct isol8_engine *e, const isol8_options *o, isol8_error *err)
{
    if (!isfinite(o->cpu_limit) || o->cpu_limit < 0 || o->cpu_limit > CPUS_MAX)
        return err_set(err, ISOL8_E_INVAL, "cpu limit: %g is not between 0 and %d", o->cpu_limit,
                       CPUS_MAX);
    if (o->pids_limit < -2 || o->pids_limit > 4194304)
        return err_set(err, ISOL8_E_INVAL, "pids limit: %lld is not between 1 and 4194304",
                       (long long)o->pids_limit);
    if (o->timeout_ms < 1 || o->timeout_ms > TIMEOUT_MS_MAX)
        return err_set(err, ISOL8_E_INVAL, "timeout: %lld is not between 1 and %d ms",
                       (long long)o->timeout_ms, TIMEOUT_MS_MAX);
    if (o->max_concurrent < 1)
        return err_set(err, ISOL8_E_INVAL, "Semaphore max must be >= 1");
    if (o->max_concurrent > CONCURRENT_MAX)
        return err_set(err, ISOL8_E_INVAL, "max concurrent: %u is above %d", o->max_concurrent,
                       CONCURRENT_MAX);
    e->cpus = o->cpu_limit;
    e->pids_limit = o->pids_limit;
    e->timeout_ms = o->timeout_ms;
    e->max_output = o->max_output_size;
    turns_init(&e->turns, o->max_concurrent);
    e->readonly_rootfs = o->readonly_rootfs;
    return 0;
}

static int set_seccomp(struct isol8_engine *e, const isol8_options *o, isol8_error *err)
{
    const char *mode = o->seccomp == NULL ? "strict" : o->seccomp;

    if (strcmp(mode, "unconfined") == 0)
        return 0;
    if (strcmp(mode, "custom") == 0 && o->seccomp_profile_path != NULL) {
        int r = oci_seccomp_load(o->seccomp_profile_path, &e->seccomp_owned, err);
        e->seccomp = e->seccomp_owned;
        return r;
    }
    if (strcmp(mode, "custom") == 0)
        return err_set(err, ISOL8_E_INVAL,
                       "security.seccomp: 'custom' needs security.customProfilePath");
    if (strcmp(mode, "strict") != 0)
        return err_set(err, ISOL8_E_INVAL,
                       "security.seccomp: '%.40s' is not one of strict, unconfined, custom", mode);
    e->seccomp = oci_seccomp_strict();
    return 0;
}

/* A variable's name as the shell and every libc take it. */
static int check_variable(const char *what, const char *key, isol8_error *err)
{
    if (key == NULL || *key == '\0' || strchr(key, '=') != NULL)
        return err_set(err, ISOL8_E_INVAL, "%s: '%.40s' is not a variable name", what,
                       key == NULL ? "" : key);
    return 0;
}

static int set_secrets(struct isol8_engine *e, const isol8_options *o, isol8_error *err)
{
    for (size_t i = 0; i < o->n_secrets; i++) {
        int r = check_variable("secrets", o->secrets[i].key, err);
        if (r < 0)
            return r;
        if (o->secrets[i].value == NULL ||
            strlen(o->secrets[i].key) + strlen(o->secrets[i].value) + 1 > ENGINE_WORD_MAX)
            return err_set(err, ISOL8_E_LIMIT, "secrets: '%.40s' is longer than %d bytes",
                           o->secrets[i].key, ENGINE_WORD_MAX);
    }
    int r = mask_set_new(&e->secrets, o->secrets, o->n_secrets, err);
    if (r < 0 || o->n_secrets == 0)
        return r;
    e->secret_env = calloc(o->n_secrets, sizeof(e->secret_env[0]));
    if (e->secret_env == NULL)
        return err_nomem(err);
    for (size_t i = 0; i < o->n_secrets; i++) {
        e->secret_env[i].key = strdup(o->secrets[i].key);
        e->secret_env[i].value = strdup(o->secrets[i].value);
        e->n_secret_env = i + 1;
        if (e->secret_env[i].key == NULL || e->secret_env[i].value == NULL)
            return err_nomem(err);
    }
    return 0;
}

/* One word of a few; NULL is the first of them. */
static int choose(bool *is_second, const char *name, const char *value, const char *first,
                  const char *second, isol8_error *err)
{
    *is_second = value != NULL && strcmp(value, second) == 0;
    if (value == NULL || *is_second || strcmp(value, first) == 0)
        return 0;
    return err_set(err, ISOL8_E_INVAL, "%s: '%.40s' is not one of %s, %s", name, value, first,
                   second);
}

static int set_life(struct isol8_engine *e, const isol8_options *o, isol8_error *err)
{
    bool is_secure;

    int r = choose(&e->is_persistent, "mode", o->mode, "ephemeral", "persistent", err);
    if (r == 0)
        r = choose(&is_secure, "poolStrategy", o->pool_strategy, "fast", "secure", err);
    if (r < 0)
        return r;
    if (o->pool_clean > POOL_MAX || o->pool_dirty > POOL_MAX)
        return err_set(err, ISOL8_E_INVAL, "poolSize: %u is above %d",
                       o->pool_clean > POOL_MAX ? o->pool_clean : o->pool_dirty, POOL_MAX);
    e->persist = o->persist && !e->is_persistent;
    e->is_pooled = !is_secure && o->pool_clean > 0 && !e->is_persistent;
    e->pool_clean = o->pool_clean;
    e->pool_dirty = o->pool_dirty;
    e->build_images = o->build_images;
    if (o->debug)
        __atomic_store_n(&e->host->log.level, ISOL8_LOG_DEBUG, __ATOMIC_RELAXED);
    return o->audit == NULL ? 0 : audit_open(&e->audit, o->audit, &e->host->log, err);
}

int exec_engine_set_options(struct isol8_engine *e, const isol8_options *o, isol8_error *err)
{
    int r = set_network(e, o->network, err);

    if (r == 0)
        r = set_rules(e, o, err);
    if (r == 0)
        r = set_memory(e, o->memory_limit, err);
    if (r == 0)
        r = set_numbers(e, o, err);
    if (r == 0 && o->sandbox_size != NULL)
        r = set_size(&e->sandbox_bytes, "sandbox size", o->sandbox_size, err);
    if (r == 0)
        r = set_size(&e->tmp_bytes, "tmp size", o->tmp_size == NULL ? "256m" : o->tmp_size, err);
    if (r == 0)
        r = set_seccomp(e, o, err);
    if (r == 0)
        r = set_secrets(e, o, err);
    if (r == 0 && o->image != NULL && (e->image = strdup(o->image)) == NULL)
        r = err_nomem(err);
    if (r == 0)
        r = remote_policy_new(&e->remote, o->remote_code, exec_egress_settings(e->host->egress),
                              &e->host->log, err);
    return r < 0 ? r : set_life(e, o, err);
}
