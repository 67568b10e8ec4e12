/* SPDX-License-Identifier: Apache-2.0 */
/* policy.c - what an execution gets, and what a request may ask for. */
#include "server/policy.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/text.h"

#define TIMEOUT_MS_MAX 604800000 /* a week, as the engine */
#define PIDS_MAX 4194304

/* The ceilings where the operator sets none. */
#define MAX_MEMORY "4g"
#define MAX_CPU 4
#define MAX_PIDS 1024
#define MAX_TIMEOUT_MS 3600000
#define MAX_OUTPUT (64 << 20)
#define MAX_SANDBOX "4g"
#define MAX_TMP "2g"

static const char *const networks[] = { "none", "filtered", "host" };

static int network_rank(const char *mode)
{
    for (size_t i = 0; i < ARRAY_LEN(networks); i++) {
        if (strcmp(networks[i], mode) == 0)
            return (int)i;
    }
    return -1;
}

static double number(const struct conf *conf, const char *path, double fallback)
{
    const cJSON *value = conf_value(conf, path);

    return cJSON_IsNumber(value) ? value->valuedouble : fallback;
}

static uint64_t size_of(const char *text, const char *fallback)
{
    uint64_t bytes = 0;

    (void)text_parse_size(text != NULL ? text : fallback, &bytes);
    return bytes;
}

/* 0 stands for no limit; what the operator's own default says is never above the ceiling. */
static uint64_t raise_to(uint64_t ceiling, uint64_t base)
{
    if (ceiling == 0 || base == 0)
        return 0;
    return base > ceiling ? base : ceiling;
}

static void set_ceilings(struct srv_policy *p, const struct conf *conf)
{
    const isol8_options *b = &p->base;
    const char *network = conf_string(conf, "server.max.network");

    p->max_network = network_rank(network != NULL ? network : "filtered");
    if (network_rank(b->network) > p->max_network)
        p->max_network = network_rank(b->network);
    p->max_memory = raise_to(size_of(conf_string(conf, "server.max.memory"), MAX_MEMORY),
                             size_of(b->memory_limit, "0"));
    p->max_cpu = number(conf, "server.max.cpu", MAX_CPU);
    if (b->cpu_limit > p->max_cpu || b->cpu_limit == 0)
        p->max_cpu = p->max_cpu == 0 ? 0 : b->cpu_limit;
    p->max_pids = (int64_t)number(conf, "server.max.pids", MAX_PIDS);
    p->max_timeout_ms = (int64_t)raise_to(
        (uint64_t)number(conf, "server.max.timeoutMs", MAX_TIMEOUT_MS), (uint64_t)b->timeout_ms);
    p->max_output = raise_to((uint64_t)number(conf, "server.max.outputSize", MAX_OUTPUT),
                             b->max_output_size);
    p->max_sandbox = raise_to(size_of(conf_string(conf, "server.max.sandboxSize"), MAX_SANDBOX),
                              size_of(b->sandbox_size, "1"));
    p->max_tmp = raise_to(size_of(conf_string(conf, "server.max.tmpSize"), MAX_TMP),
                          size_of(b->tmp_size, "1"));
}

static void set_pool(isol8_options *o, const struct conf *conf)
{
    const cJSON *size = conf_value(conf, "poolSize");
    const cJSON *clean = cJSON_IsNumber(size) ? size
                                              : cJSON_GetObjectItemCaseSensitive(size, "clean");
    const cJSON *dirty = cJSON_IsNumber(size) ? size
                                              : cJSON_GetObjectItemCaseSensitive(size, "dirty");

    o->pool_strategy = conf_string(conf, "poolStrategy");
    if (cJSON_IsNumber(clean))
        o->pool_clean = (unsigned)clean->valuedouble;
    if (cJSON_IsNumber(dirty))
        o->pool_dirty = (unsigned)dirty->valuedouble;
    /* Unless the operator bounds it, no client waits for the removal of its sandbox. */
    if (!conf_is_set(conf, "poolSize") && o->pool_dirty < o->max_concurrent)
        o->pool_dirty = o->max_concurrent;
}

int srv_policy_init(struct srv_policy *p, const struct conf *conf, isol8_error *err)
{
    const cJSON *images = conf_value(conf, "server.images");

    *p = (struct srv_policy){ 0 };
    if (conf_list_init(&p->allow, conf_value(conf, "network.whitelist")) < 0 ||
        conf_list_init(&p->deny, conf_value(conf, "network.blacklist")) < 0 ||
        conf_list_init(&p->images, images) < 0 || conf_remote_init(&p->remote, conf) < 0)
        return err_nomem(err);
    conf_engine_options(conf, &p->base);
    conf_audit_options(conf, &p->audit);
    p->base.audit = &p->audit;
    p->remote.options.conceal_hosts = true; /* from clients; the log has the reason */
    p->base.remote_code = p->remote.options.enabled ? &p->remote.options : NULL;
    p->base.image = conf_string(conf, "server.image");
    p->has_images = cJSON_IsArray(images);
    p->allow_writable = cJSON_IsTrue(conf_value(conf, "server.allowWritableRootFs"));
    p->allow_persist = cJSON_IsTrue(conf_value(conf, "server.allowPersist"));
    set_pool(&p->base, conf);
    set_ceilings(p, conf);
    return 0;
}

void srv_policy_done(struct srv_policy *p)
{
    conf_list_done(&p->allow);
    conf_list_done(&p->deny);
    conf_list_done(&p->images);
    conf_remote_done(&p->remote);
}

/* ---- One value of a request ------------------------------------------------------------------ */

static bool is_whole(double n, double least, double most)
{
    return isfinite(n) && n >= least && n <= most && floor(n) == n;
}

int srv_policy_network(const struct srv_policy *p, isol8_options *o, const char *mode,
                       struct srv_fault *f)
{
    int rank = network_rank(mode);

    if (rank < 0)
        return srv_fault_set(f, 400, "options.network",
                             "options.network: '%.40s' is not one of none, host, filtered", mode);
    if (rank > p->max_network)
        return srv_fault_set(f, 403, "options.network",
                             "options.network: '%s' is refused: this server allows at most '%s' "
                             "(server.max.network)",
                             mode, networks[p->max_network]);
    o->network = networks[rank];
    return 0;
}

static int check_size(const char *field, const char *key, const char *text, uint64_t ceiling,
                      struct srv_fault *f)
{
    uint64_t bytes;
    char most[24];

    if (!text_parse_size(text, &bytes))
        return srv_fault_set(f, 400, field, "%s: '%.40s' is not a size such as \"512m\" or \"1g\"",
                             field, text);
    if (ceiling != 0 && (bytes == 0 || bytes > ceiling)) {
        text_format_size(ceiling, most, sizeof(most));
        return srv_fault_set(f, 403, field, "%s: '%.40s' is above this server's limit of %s (%s)",
                             field, text, most, key);
    }
    return 0;
}

int srv_policy_memory(const struct srv_policy *p, isol8_options *o, const char *size,
                      struct srv_fault *f)
{
    if (check_size("options.memoryLimit", "server.max.memory", size, p->max_memory, f) < 0)
        return -1;
    o->memory_limit = size;
    return 0;
}

int srv_policy_sandbox(const struct srv_policy *p, isol8_options *o, const char *size,
                       struct srv_fault *f)
{
    if (check_size("options.sandboxSize", "server.max.sandboxSize", size, p->max_sandbox, f) < 0)
        return -1;
    o->sandbox_size = size;
    return 0;
}

int srv_policy_tmp(const struct srv_policy *p, isol8_options *o, const char *size,
                   struct srv_fault *f)
{
    if (check_size("options.tmpSize", "server.max.tmpSize", size, p->max_tmp, f) < 0)
        return -1;
    o->tmp_size = size;
    return 0;
}

int srv_policy_cpu(const struct srv_policy *p, isol8_options *o, double cores, struct srv_fault *f)
{
    static const char field[] = "options.cpuLimit";

    if (!isfinite(cores) || cores < 0)
        return srv_fault_set(f, 400, field, "%s: must be a number of cores; 0: no limit", field);
    if (p->max_cpu != 0 && (cores == 0 || cores > p->max_cpu))
        return srv_fault_set(f, 403, field,
                             "%s: %g is above this server's limit of %g cores (server.max.cpu); "
                             "0 asks for all",
                             field, cores, p->max_cpu);
    o->cpu_limit = cores;
    return 0;
}

int srv_policy_pids(const struct srv_policy *p, isol8_options *o, double n, struct srv_fault *f)
{
    static const char field[] = "options.pidsLimit";

    if (!is_whole(n, -1, PIDS_MAX))
        return srv_fault_set(f, 400, field,
                             "%s: must be a whole number from 1 to %d; 0 or -1: no limit", field,
                             PIDS_MAX);
    if (p->max_pids != 0 && (n <= 0 || n > (double)p->max_pids))
        return srv_fault_set(f, 403, field,
                             "%s: %.0f is above this server's limit of %" PRId64
                             " (server.max.pids); 0 and -1 ask for any number",
                             field, n, p->max_pids);
    o->pids_limit = (int64_t)n;
    return 0;
}

int srv_policy_output(const struct srv_policy *p, isol8_options *o, double n, struct srv_fault *f)
{
    static const char field[] = "options.maxOutputSize";

    if (!is_whole(n, 0, 9e15))
        return srv_fault_set(f, 400, field, "%s: must be a whole number of bytes", field);
    if (p->max_output != 0 && n > (double)p->max_output)
        return srv_fault_set(f, 403, field,
                             "%s: %.0f is above this server's limit of %" PRIu64
                             " bytes (server.max.outputSize)",
                             field, n, p->max_output);
    o->max_output_size = (uint64_t)n;
    return 0;
}

int srv_policy_timeout(const struct srv_policy *p, const char *field, double ms, int64_t *out,
                       struct srv_fault *f)
{
    if (!is_whole(ms, 1, TIMEOUT_MS_MAX))
        return srv_fault_set(f, 400, field,
                             "%s: must be a whole number of milliseconds, 1 to %d (a week)", field,
                             TIMEOUT_MS_MAX);
    if (p->max_timeout_ms != 0 && ms > (double)p->max_timeout_ms)
        return srv_fault_set(f, 403, field,
                             "%s: %.0f is above this server's limit of %" PRId64
                             " ms (server.max.timeoutMs)",
                             field, ms, p->max_timeout_ms);
    *out = (int64_t)ms;
    return 0;
}

int srv_policy_image(const struct srv_policy *p, isol8_options *o, const char *image,
                     struct srv_fault *f)
{
    static const char field[] = "options.image";
    bool is_listed = false;

    if (image[0] == '\0')
        return 0;
    for (size_t i = 0; i < p->images.n; i++)
        is_listed = is_listed || strcmp(p->images.items[i], image) == 0;
    is_listed = is_listed || (p->base.image != NULL && strcmp(p->base.image, image) == 0);
    /* "host" shows the machine's own programs: the operator decides. */
    if (!is_listed && (p->has_images || strcmp(image, "host") == 0))
        return srv_fault_set(f, 403, field,
                             "%s: '%.80s' is not among the images this server allows "
                             "(server.images)",
                             field, image);
    o->image = image;
    return 0;
}

int srv_policy_rootfs(const struct srv_policy *p, isol8_options *o, bool is_readonly,
                      struct srv_fault *f)
{
    static const char field[] = "options.readonlyRootFs";

    if (!is_readonly && p->base.readonly_rootfs && !p->allow_writable)
        return srv_fault_set(f, 403, field,
                             "%s: false is refused by this server (server.allowWritableRootFs)",
                             field);
    o->readonly_rootfs = is_readonly;
    return 0;
}

int srv_policy_persist(const struct srv_policy *p, isol8_options *o, bool persist,
                       struct srv_fault *f)
{
    static const char field[] = "options.persist";

    if (persist && !p->allow_persist)
        return srv_fault_set(f, 403, field,
                             "%s: true is refused by this server (server.allowPersist)", field);
    o->persist = persist;
    return 0;
}

int srv_policy_seccomp(const struct srv_policy *p, isol8_options *o, const char *word,
                       const char *profile, struct srv_fault *f)
{
    static const char field[] = "options.security.seccomp";
    bool is_custom = strcmp(word, "custom") == 0;

    if (!is_custom && strcmp(word, "strict") != 0 && strcmp(word, "unconfined") != 0)
        return srv_fault_set(f, 400, field, "%s: '%.40s' is not one of strict, unconfined, custom",
                             field, word);
    /* A profile is a file of this machine: only the operator names one. */
    if (is_custom && (p->base.seccomp_profile_path == NULL ||
                      (profile != NULL && strcmp(profile, p->base.seccomp_profile_path) != 0)))
        return srv_fault_set(f, 403, "options.security.customProfilePath",
                             "options.security.customProfilePath: only the profile of the "
                             "server's configuration can be used");
    if (strcmp(word, "strict") != 0 && strcmp(word, p->base.seccomp) != 0)
        return srv_fault_set(f, 403, field,
                             "%s: '%s' is refused: this server runs with '%s' (security.seccomp)",
                             field, word, p->base.seccomp);
    if (!is_custom && strcmp(word, "strict") == 0) {
        o->seccomp = "strict";
        o->seccomp_profile_path = NULL;
    }
    return 0;
}
