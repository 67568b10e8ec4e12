/* SPDX-License-Identifier: Apache-2.0 */
/* keys.c - every configuration key in one table. schema/isol8.config.schema.json says the same. */
#include "config/keys.h"

#include <string.h>

#define COUNT_MAX 999999999999999.0    /* the largest that is printed without an exponent */
#define CONCURRENT_MAX 4096            /* as the engine */
#define TIMEOUT_MS_MAX 604800000       /* a week, as the engine */
#define KEY_TTL_MS_MAX 3155760000000.0 /* a hundred years, as the server */
#define CORES_MAX 4096
#define CODE_SIZE_MAX 1073741824.0

const char *const conf_runtimes[] = { "python", "node", "bun", "deno", "bash", "agent", NULL };

static const char *const network_words[] = { "none", "host", "filtered", NULL };
static const char *const network_project_words[] = { "none", "filtered", NULL };
static const char *const pool_words[] = { "secure", "fast", NULL };
static const char *const seccomp_words[] = { "strict", "unconfined", "custom", NULL };
static const char *const seccomp_project_words[] = { "strict", NULL };
static const char *const switch_words[] = { "on", "off", NULL };
static const char *const switch_project_words[] = { "on", NULL };

static const char blocked_hosts[] =
    "[\"^localhost$\",\"^127(?:\\\\.[0-9]{1,3}){3}$\",\"^\\\\[::1\\\\]$\",\"^::1$\","
    "\"^10(?:\\\\.[0-9]{1,3}){3}$\","
    "\"^172\\\\.(?:1[6-9]|2[0-9]|3[0-1])(?:\\\\.[0-9]{1,3}){2}$\","
    "\"^192\\\\.168(?:\\\\.[0-9]{1,3}){2}$\",\"^169\\\\.254(?:\\\\.[0-9]{1,3}){2}$\","
    "\"^metadata\\\\.google\\\\.internal$\",\"^169\\\\.254\\\\.169\\\\.254$\"]";

const struct conf_section conf_sections[] = {
    { .path = "defaults", .keeps_unknown = true },
    { .path = "network" },
    { .path = "network.limits" },
    { .path = "cleanup", .keeps_unknown = true },
    { .path = "security" },
    { .path = "remoteCode", .keeps_unknown = true },
    { .path = "audit", .keeps_unknown = true },
    { .path = "auth", .keeps_unknown = true },
    { .path = "server" },
    { .path = "server.max" },
    { .path = NULL },
};

/* Shapes of rows; PATH and FALLBACK as in struct conf_key. */
#define ROW_BOOL(PATH, FALLBACK)                                                                   \
    {                                                                                              \
        .path = PATH, .type = CONF_BOOL, .fallback = FALLBACK                                      \
    }
#define ROW_INTEGER(PATH, FALLBACK, MIN, MAX)                                                      \
    {                                                                                              \
        .path = PATH, .type = CONF_INTEGER, .fallback = FALLBACK, .min = MIN, .max = MAX           \
    }
#define ROW_OPERATOR(PATH, TYPE)                                                                   \
    {                                                                                              \
        .path = PATH, .type = TYPE, .trust = CONF_TRUSTED                                          \
    }
#define ROW_LIST(PATH, FALLBACK)                                                                   \
    {                                                                                              \
        .path = PATH, .type = CONF_STRINGS, .fallback = FALLBACK                                   \
    }
#define ROW_SERVER_COUNT(PATH, MIN, MAX)                                                           \
    {                                                                                              \
        .path = PATH, .type = CONF_INTEGER, .min = MIN, .max = MAX, .trust = CONF_TRUSTED          \
    }
#define ROW_LIMIT(PATH)                                                                            \
    {                                                                                              \
        .path = PATH, .type = CONF_INTEGER, .max = COUNT_MAX, .trust = CONF_TRUSTED                \
    }

const struct conf_key conf_keys[] = {
    { .path = "$schema", .type = CONF_SCHEMA },
    ROW_INTEGER("maxConcurrent", "10", 1, CONCURRENT_MAX),

    ROW_INTEGER("defaults.timeoutMs", "30000", 1, TIMEOUT_MS_MAX),
    { .path = "defaults.memoryLimit", .type = CONF_SIZE, .fallback = "\"512m\"" },
    { .path = "defaults.cpuLimit", .type = CONF_NUMBER, .fallback = "1", .max = CORES_MAX },
    { .path = "defaults.network",
      .type = CONF_WORD,
      .fallback = "\"none\"",
      .words = network_words,
      .trust = CONF_WORDS_BELOW,
      .project_words = network_project_words },
    { .path = "defaults.sandboxSize", .type = CONF_SIZE, .fallback = "\"512m\"", .min = 1 },
    { .path = "defaults.tmpSize", .type = CONF_SIZE, .fallback = "\"256m\"", .min = 1 },
    ROW_BOOL("defaults.readonlyRootFs", "true"),

    ROW_LIST("network.whitelist", "[]"),
    ROW_LIST("network.blacklist", "[]"),
    ROW_OPERATOR("network.hosts", CONF_HOSTS),
    ROW_OPERATOR("network.allowAddresses", CONF_RANGES),
    ROW_OPERATOR("network.ports", CONF_PORTS),
    ROW_OPERATOR("network.upstreamProxy", CONF_PROXY_URL),
    ROW_OPERATOR("network.caFile", CONF_STRING),
    ROW_LIMIT("network.limits.connections"),
    ROW_LIMIT("network.limits.bytesPerSecond"),
    ROW_LIMIT("network.limits.bytes"),

    ROW_BOOL("cleanup.autoPrune", "true"),
    ROW_INTEGER("cleanup.maxContainerAgeMs", "3600000", 0, COUNT_MAX),

    { .path = "poolStrategy", .type = CONF_WORD, .fallback = "\"fast\"", .words = pool_words },
    { .path = "poolSize",
      .type = CONF_POOL_SIZE,
      .fallback = "{\"clean\":1,\"dirty\":1}",
      .max = CONCURRENT_MAX },

    { .path = "security.seccomp",
      .type = CONF_WORD,
      .fallback = "\"strict\"",
      .words = seccomp_words,
      .trust = CONF_WORDS_BELOW,
      .project_words = seccomp_project_words },
    ROW_OPERATOR("security.customProfilePath", CONF_STRING),
    { .path = "security.userNamespace",
      .type = CONF_WORD,
      .words = switch_words,
      .trust = CONF_WORDS_BELOW,
      .project_words = switch_project_words },

    ROW_BOOL("remoteCode.enabled", "false"),
    ROW_LIST("remoteCode.allowedSchemes", "[\"https\"]"),
    ROW_LIST("remoteCode.allowedHosts", "[]"),
    ROW_LIST("remoteCode.blockedHosts", blocked_hosts),
    ROW_INTEGER("remoteCode.maxCodeSize", "10485760", 1, CODE_SIZE_MAX),
    ROW_INTEGER("remoteCode.fetchTimeoutMs", "30000", 1, COUNT_MAX),
    ROW_BOOL("remoteCode.requireHash", "false"),
    ROW_BOOL("remoteCode.enableCache", "true"),
    ROW_INTEGER("remoteCode.cacheTtl", "3600", 0, COUNT_MAX),

    ROW_BOOL("audit.enabled", "false"),
    { .path = "audit.destination", .type = CONF_STRING, .fallback = "\"filesystem\"" },
    { .path = "audit.logDir", .type = CONF_STRING, .trust = CONF_INSIDE },
    ROW_OPERATOR("audit.postLogScript", CONF_STRING),
    ROW_BOOL("audit.trackResources", "true"),
    { .path = "audit.retentionDays",
      .type = CONF_NUMBER,
      .fallback = "90",
      .min = -COUNT_MAX,
      .max = COUNT_MAX },
    ROW_BOOL("audit.includeCode", "false"),
    ROW_BOOL("audit.includeOutput", "false"),

    ROW_BOOL("auth.enabled", "false"),
    ROW_INTEGER("auth.defaultTtlMs", "86400000", 1, KEY_TTL_MS_MAX),
    ROW_INTEGER("auth.cleanupIntervalMs", "3600000", 1, COUNT_MAX),
    ROW_OPERATOR("auth.connectionString", CONF_STRING),

    { .path = "prebuiltImages", .type = CONF_IMAGES, .fallback = "[]" },
    ROW_BOOL("debug", "false"),
    ROW_OPERATOR("server.address", CONF_STRING),
    ROW_OPERATOR("server.image", CONF_STRING),
    ROW_OPERATOR("server.images", CONF_STRINGS),
    ROW_OPERATOR("server.prewarm", CONF_STRINGS),
    ROW_OPERATOR("server.allowWritableRootFs", CONF_BOOL),
    ROW_OPERATOR("server.allowPersist", CONF_BOOL),
    ROW_SERVER_COUNT("server.maxConnections", 1, 65536),
    ROW_SERVER_COUNT("server.maxQueue", 0, 65536),
    ROW_SERVER_COUNT("server.maxSessions", 1, 65536),
    ROW_SERVER_COUNT("server.maxBodySize", 1024, 1073741824),
    ROW_SERVER_COUNT("server.maxMessageSize", 1024, 1073741824),
    ROW_OPERATOR("server.webSocket", CONF_BOOL),
    ROW_SERVER_COUNT("server.shutdownGraceMs", 0, TIMEOUT_MS_MAX),
    ROW_OPERATOR("server.tlsCertificate", CONF_STRING),
    ROW_OPERATOR("server.tlsKey", CONF_STRING),
    { .path = "server.max.network",
      .type = CONF_WORD,
      .words = network_words,
      .trust = CONF_TRUSTED },
    ROW_OPERATOR("server.max.memory", CONF_SIZE),
    { .path = "server.max.cpu", .type = CONF_NUMBER, .max = CORES_MAX, .trust = CONF_TRUSTED },
    ROW_SERVER_COUNT("server.max.pids", 0, 4194304),
    ROW_SERVER_COUNT("server.max.timeoutMs", 0, TIMEOUT_MS_MAX),
    ROW_SERVER_COUNT("server.max.outputSize", 0, COUNT_MAX),
    ROW_OPERATOR("server.max.sandboxSize", CONF_SIZE),
    ROW_OPERATOR("server.max.tmpSize", CONF_SIZE),
    ROW_OPERATOR("runtime", CONF_STRING),
    ROW_OPERATOR("cgroupParent", CONF_STRING),
    ROW_OPERATOR("stateRoot", CONF_STRING),
    ROW_OPERATOR("dataRoot", CONF_STRING),
    { .path = NULL },
};

const struct conf_key *conf_key_find(const char *path)
{
    for (const struct conf_key *k = conf_keys; k->path != NULL; k++) {
        if (strcmp(k->path, path) == 0)
            return k;
    }
    return NULL;
}

const struct conf_section *conf_section_find(const char *path)
{
    for (const struct conf_section *s = conf_sections; s->path != NULL; s++) {
        if (strcmp(s->path, path) == 0)
            return s;
    }
    return NULL;
}
