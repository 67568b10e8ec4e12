/* SPDX-License-Identifier: Apache-2.0 */
/* apply.c - what the configuration makes of the library's options. */
#include "config/apply.h"

#include <stdlib.h>
#include <string.h>

#define CONNECTIONS_UNLIMITED 65535u /* more than there are descriptors */

int conf_list_init(struct conf_list *list, const cJSON *value)
{
    const cJSON *item;

    *list = (struct conf_list){ .items = calloc((size_t)cJSON_GetArraySize(value) + 1,
                                                sizeof(*list->items)) };
    if (list->items == NULL)
        return ISOL8_E_NOMEM;
    if (cJSON_IsString(value)) {
        list->items[list->n++] = value->valuestring;
        return 0;
    }
    cJSON_ArrayForEach(item, value)
    {
        if (cJSON_IsString(item))
            list->items[list->n++] = item->valuestring;
    }
    return 0;
}

void conf_list_done(struct conf_list *list)
{
    free(list->items);
    *list = (struct conf_list){ 0 };
}

/* ---- The host -------------------------------------------------------------------------------- */

/* The environment stands above the configuration: leave NULL, and the library reads it. */
static const char *root_unless(const char *variable, const struct conf *conf, const char *key)
{
    const char *value = getenv(variable);

    return value != NULL && value[0] != '\0' ? NULL : conf_string(conf, key);
}

void conf_host_options(const struct conf *conf, isol8_host_options *opts)
{
    const char *userns = conf_string(conf, "security.userNamespace");

    isol8_host_options_init(opts);
    opts->state_root = root_unless("ISOL8_STATE_ROOT", conf, "stateRoot");
    opts->data_root = root_unless("ISOL8_DATA_ROOT", conf, "dataRoot");
    opts->runtime = conf_string(conf, "runtime");
    opts->cgroup_parent = conf_string(conf, "cgroupParent");
    opts->user_namespace = userns == NULL || strcmp(userns, "off") != 0;
}

/* ---- The network ----------------------------------------------------------------------------- */

static int fill_hosts(struct conf_network *net, const cJSON *hosts)
{
    size_t n = (size_t)cJSON_GetArraySize(hosts);
    const cJSON *item;

    net->hosts = calloc(n + 1, sizeof(*net->hosts));
    net->host_addresses = calloc(n + 1, sizeof(*net->host_addresses));
    if (net->hosts == NULL || net->host_addresses == NULL)
        return ISOL8_E_NOMEM;
    net->settings.hosts = net->hosts;
    cJSON_ArrayForEach(item, hosts)
    {
        struct conf_list *addresses = &net->host_addresses[net->settings.n_hosts];
        if (conf_list_init(addresses, item) < 0)
            return ISOL8_E_NOMEM;
        net->hosts[net->settings.n_hosts++] = (isol8_fixed_host){ .name = item->string,
                                                                  .addresses = addresses->items,
                                                                  .n_addresses = addresses->n };
    }
    return 0;
}

static int fill_ports(struct conf_network *net, const cJSON *ports)
{
    const cJSON *item;

    net->ports = calloc((size_t)cJSON_GetArraySize(ports) + 1, sizeof(*net->ports));
    if (net->ports == NULL)
        return ISOL8_E_NOMEM;
    cJSON_ArrayForEach(item, ports) net->ports[net->settings.n_ports++] = (uint16_t)item->valueint;
    net->settings.ports = net->ports;
    return 0;
}

static double limit(const struct conf *conf, const char *path)
{
    const cJSON *value = conf_value(conf, path);

    return cJSON_IsNumber(value) ? value->valuedouble : 0;
}

int conf_network_init(struct conf_network *net, const struct conf *conf)
{
    isol8_network_settings *s = &net->settings;

    *net = (struct conf_network){ 0 };
    if (fill_hosts(net, conf_value(conf, "network.hosts")) < 0 ||
        fill_ports(net, conf_value(conf, "network.ports")) < 0 ||
        conf_list_init(&net->allow_addresses, conf_value(conf, "network.allowAddresses")) < 0)
        return ISOL8_E_NOMEM;
    s->allow_addresses = net->allow_addresses.items;
    s->n_allow_addresses = net->allow_addresses.n;
    s->upstream_proxy = conf_string(conf, "network.upstreamProxy");
    s->ca_file = conf_string(conf, "network.caFile");
    s->connections = (unsigned)limit(conf, "network.limits.connections");
    if (s->connections == 0 && conf_is_set(conf, "network.limits.connections"))
        s->connections = CONNECTIONS_UNLIMITED;
    s->bytes_per_second = (uint64_t)limit(conf, "network.limits.bytesPerSecond");
    s->bytes = (uint64_t)limit(conf, "network.limits.bytes");
    return 0;
}

void conf_network_done(struct conf_network *net)
{
    for (size_t i = 0; i < net->settings.n_hosts; i++)
        conf_list_done(&net->host_addresses[i]);
    free(net->hosts);
    free(net->host_addresses);
    free(net->ports);
    conf_list_done(&net->allow_addresses);
    *net = (struct conf_network){ 0 };
}

/* ---- Engines --------------------------------------------------------------------------------- */

void conf_engine_options(const struct conf *conf, isol8_options *o)
{
    isol8_options_init(o);
    o->timeout_ms = (int64_t)conf_number(conf, "defaults.timeoutMs");
    o->memory_limit = conf_string(conf, "defaults.memoryLimit");
    o->cpu_limit = conf_number(conf, "defaults.cpuLimit");
    o->network = conf_string(conf, "defaults.network");
    o->tmp_size = conf_string(conf, "defaults.tmpSize");
    o->readonly_rootfs = conf_bool(conf, "defaults.readonlyRootFs");
    o->seccomp = conf_string(conf, "security.seccomp");
    o->seccomp_profile_path = conf_string(conf, "security.customProfilePath");
    o->max_concurrent = (unsigned)conf_number(conf, "maxConcurrent");
    /* Left at NULL the library knows what each runtime needs; the built-in default is that. */
    if (conf_is_set(conf, "defaults.sandboxSize"))
        o->sandbox_size = conf_string(conf, "defaults.sandboxSize");
}

void conf_audit_options(const struct conf *conf, isol8_audit_options *a)
{
    isol8_audit_options_init(a);
    a->enabled = conf_bool(conf, "audit.enabled");
    a->destination = conf_string(conf, "audit.destination");
    a->log_dir = conf_string(conf, "audit.logDir");
    a->post_log_script = conf_string(conf, "audit.postLogScript");
    a->track_resources = conf_bool(conf, "audit.trackResources");
    a->retention_days = conf_number(conf, "audit.retentionDays");
    a->include_code = conf_bool(conf, "audit.includeCode");
    a->include_output = conf_bool(conf, "audit.includeOutput");
}

/* Patterns that nothing needs are left alone, for they would be compiled; but a list that the file
 * itself has is always looked at. */
static int host_list(struct conf_list *list, const struct conf *conf, const char *key)
{
    bool is_wanted = conf_bool(conf, "remoteCode.enabled") || conf_is_set(conf, key);

    return conf_list_init(list, is_wanted ? conf_value(conf, key) : NULL);
}

int conf_remote_init(struct conf_remote *remote, const struct conf *conf)
{
    isol8_remote_options *o = &remote->options;

    *remote = (struct conf_remote){ .options.size = sizeof(*o) };
    if (conf_list_init(&remote->schemes, conf_value(conf, "remoteCode.allowedSchemes")) < 0 ||
        host_list(&remote->allowed, conf, "remoteCode.allowedHosts") < 0 ||
        host_list(&remote->blocked, conf, "remoteCode.blockedHosts") < 0)
        return ISOL8_E_NOMEM;
    o->enabled = conf_bool(conf, "remoteCode.enabled");
    o->allowed_schemes = remote->schemes.items;
    o->n_allowed_schemes = remote->schemes.n;
    o->allowed_hosts = remote->allowed.items;
    o->n_allowed_hosts = remote->allowed.n;
    o->blocked_hosts = remote->blocked.items;
    o->n_blocked_hosts = remote->blocked.n;
    o->max_code_size = (uint64_t)conf_number(conf, "remoteCode.maxCodeSize");
    o->fetch_timeout_ms = (int64_t)conf_number(conf, "remoteCode.fetchTimeoutMs");
    o->require_hash = conf_bool(conf, "remoteCode.requireHash");
    o->enable_cache = conf_bool(conf, "remoteCode.enableCache");
    o->cache_ttl = (int64_t)conf_number(conf, "remoteCode.cacheTtl");
    return 0;
}

void conf_remote_done(struct conf_remote *remote)
{
    conf_list_done(&remote->schemes);
    conf_list_done(&remote->allowed);
    conf_list_done(&remote->blocked);
}
