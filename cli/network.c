/* SPDX-License-Identifier: Apache-2.0 */
/* network.c - the configuration's "network" section as the library wants it. */
#include "cli/network.h"

#include <stdlib.h>

#include "base/json.h"
#include "cli/xmem.h"

#define CONNECTIONS_UNLIMITED 65535u /* more than there are descriptors */

struct cli_list cli_conf_list(const cJSON *value)
{
    struct cli_list list = { .items = xcalloc((size_t)cJSON_GetArraySize(value) + 1,
                                              sizeof(*list.items)) };
    const cJSON *item;

    if (cJSON_IsString(value)) {
        list.items[list.n++] = value->valuestring;
        return list;
    }
    cJSON_ArrayForEach(item, value)
    {
        if (cJSON_IsString(item))
            list.items[list.n++] = item->valuestring;
    }
    return list;
}

struct cli_list cli_flag_list(const struct cli_values *given, const cJSON *configured)
{
    struct cli_list list = { 0 };

    if (given->n == 0)
        return cli_conf_list(configured);
    list.items = xcalloc(given->n + 1, sizeof(*list.items));
    for (; list.n < given->n; list.n++)
        list.items[list.n] = given->items[list.n];
    return list;
}

void cli_list_done(struct cli_list *list)
{
    free(list->items);
    *list = (struct cli_list){ 0 };
}

static void fill_hosts(struct cli_network *net, const cJSON *hosts)
{
    size_t n = (size_t)cJSON_GetArraySize(hosts);
    const cJSON *item;

    net->hosts = xcalloc(n + 1, sizeof(*net->hosts));
    net->host_addresses = xcalloc(n + 1, sizeof(*net->host_addresses));
    cJSON_ArrayForEach(item, hosts)
    {
        size_t i = net->settings.n_hosts++;
        net->host_addresses[i] = cli_conf_list(item);
        net->hosts[i] = (isol8_fixed_host){ .name = item->string,
                                            .addresses = net->host_addresses[i].items,
                                            .n_addresses = net->host_addresses[i].n };
    }
    net->settings.hosts = net->hosts;
}

static void fill_ports(struct cli_network *net, const cJSON *ports)
{
    const cJSON *item;

    net->ports = xcalloc((size_t)cJSON_GetArraySize(ports) + 1, sizeof(*net->ports));
    cJSON_ArrayForEach(item, ports) net->ports[net->settings.n_ports++] = (uint16_t)item->valueint;
    net->settings.ports = net->ports;
}

static double limit(const struct conf *conf, const char *path)
{
    const cJSON *value = conf_value(conf, path);

    return cJSON_IsNumber(value) ? value->valuedouble : 0;
}

void cli_network_init(struct cli_network *net, const struct conf *conf)
{
    isol8_network_settings *s = &net->settings;

    *net = (struct cli_network){ 0 };
    fill_hosts(net, conf_value(conf, "network.hosts"));
    fill_ports(net, conf_value(conf, "network.ports"));
    net->allow_addresses = cli_conf_list(conf_value(conf, "network.allowAddresses"));
    s->allow_addresses = net->allow_addresses.items;
    s->n_allow_addresses = net->allow_addresses.n;
    s->upstream_proxy = conf_string(conf, "network.upstreamProxy");
    s->ca_file = conf_string(conf, "network.caFile");
    s->connections = (unsigned)limit(conf, "network.limits.connections");
    if (s->connections == 0 && conf_is_set(conf, "network.limits.connections"))
        s->connections = CONNECTIONS_UNLIMITED;
    s->bytes_per_second = (uint64_t)limit(conf, "network.limits.bytesPerSecond");
    s->bytes = (uint64_t)limit(conf, "network.limits.bytes");
}

void cli_network_done(struct cli_network *net)
{
    for (size_t i = 0; i < net->settings.n_hosts; i++)
        cli_list_done(&net->host_addresses[i]);
    free(net->hosts);
    free(net->host_addresses);
    free(net->ports);
    cli_list_done(&net->allow_addresses);
}
