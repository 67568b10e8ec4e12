/* SPDX-License-Identifier: Apache-2.0 */
/* egress.c - the filtered network of a host object: one gateway namespace, one proxy. */
#include "executor/egress.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "executor/host.h"

/* One level of ownership for the settings: everything below is a copy. */
struct exec_egress {
    struct proxy_settings settings;
    char *ca_file;
    pthread_mutex_t mutex; /* guards the two below while they are made */
    struct netns_gateway *gateway;
    struct proxy *proxy;
    struct proxy_rules *closed_rules;
};

static char **copy_list(const char *const *list, size_t n)
{
    char **out = calloc(n + 1, sizeof(*out));

    for (size_t i = 0; out != NULL && i < n; i++) {
        out[i] = strdup(list[i]);
        if (out[i] == NULL) {
            while (i > 0)
                free(out[--i]);
            free(out);
            return NULL;
        }
    }
    return out;
}

static void free_list(const char *const *list)
{
    if (list == NULL)
        return;
    for (size_t i = 0; list[i] != NULL; i++)
        free((char *)list[i]);
    free((void *)list);
}

static int copy_hosts(struct proxy_settings *s, const isol8_network_settings *in)
{
    struct proxy_fixed_host *hosts = calloc(in->n_hosts + 1, sizeof(*hosts));

    s->hosts = hosts;
    if (hosts == NULL)
        return -1;
    for (size_t i = 0; i < in->n_hosts; i++) {
        hosts[i].name = strdup(in->hosts[i].name);
        hosts[i].addresses = (const char *const *)copy_list(in->hosts[i].addresses,
                                                            in->hosts[i].n_addresses);
        hosts[i].n_addresses = in->hosts[i].n_addresses;
        s->n_hosts = i + 1;
        if (hosts[i].name == NULL || hosts[i].addresses == NULL)
            return -1;
    }
    return 0;
}

static int copy_settings(struct exec_egress *e, const isol8_network_settings *in)
{
    struct proxy_settings *s = &e->settings;

    s->connections = in->connections;
    s->bytes_per_second = in->bytes_per_second;
    s->bytes = in->bytes;
    s->allow_addresses = (const char *const *)copy_list(in->allow_addresses, in->n_allow_addresses);
    s->n_allow_addresses = in->n_allow_addresses;
    s->upstream_proxy = mem_strdup(in->upstream_proxy);
    e->ca_file = mem_strdup(in->ca_file);
    uint16_t *ports = calloc(in->n_ports + 1, sizeof(*ports));
    s->ports = ports;
    s->n_ports = in->n_ports;
    if (ports != NULL && in->n_ports > 0)
        memcpy(ports, in->ports, in->n_ports * sizeof(*ports));
    if (copy_hosts(s, in) < 0 || s->allow_addresses == NULL || ports == NULL ||
        (in->upstream_proxy != NULL && s->upstream_proxy == NULL) ||
        (in->ca_file != NULL && e->ca_file == NULL))
        return -1;
    return 0;
}

int exec_egress_new(struct exec_egress **out, const isol8_network_settings *settings,
                    isol8_error *err)
{
    struct exec_egress *e = calloc(1, sizeof(*e));

    if (e == NULL)
        return err_nomem(err);
    (void)pthread_mutex_init(&e->mutex, NULL);
    if (copy_settings(e, settings) < 0) {
        exec_egress_free(e);
        return err_nomem(err);
    }
    *out = e;
    return 0;
}

void exec_egress_free(struct exec_egress *e)
{
    if (e == NULL)
        return;
    proxy_close(e->proxy);
    netns_gateway_close(e->gateway);
    proxy_rules_free(e->closed_rules);
    for (size_t i = 0; i < e->settings.n_hosts; i++) {
        free((char *)e->settings.hosts[i].name);
        free_list(e->settings.hosts[i].addresses);
    }
    free((void *)e->settings.hosts);
    free_list(e->settings.allow_addresses);
    free((void *)e->settings.ports);
    free((char *)e->settings.upstream_proxy);
    free(e->ca_file);
    (void)pthread_mutex_destroy(&e->mutex);
    free(e);
}

const struct proxy_settings *exec_egress_settings(const struct exec_egress *e)
{
    return &e->settings;
}

const char *exec_egress_ca_file(const struct exec_egress *e)
{
    return e->ca_file;
}

void isol8_proxy_look(isol8_host *host, isol8_proxy_state *out)
{
    struct exec_egress *e = host->egress;
    struct proxy_tally tally;

    if (out->size != sizeof(*out))
        return;
    *out = (isol8_proxy_state){ .size = sizeof(*out) };
    if (!exec_host_is_ours(host, NULL))
        return;
    (void)pthread_mutex_lock(&e->mutex);
    const struct proxy *proxy = e->proxy; /* once there, it stays */
    (void)pthread_mutex_unlock(&e->mutex);
    if (proxy == NULL)
        return;
    proxy_look(proxy, &tally);
    memcpy(out->decisions, tally.decisions, sizeof(out->decisions));
    out->bytes_in = tally.bytes_in;
    out->bytes_out = tally.bytes_out;
}

static int start_if_needed(struct exec_egress *e, isol8_error *err)
{
    int r = 0;

    (void)pthread_mutex_lock(&e->mutex);
    if (e->gateway == NULL)
        r = netns_gateway_open(&e->gateway, err);
    if (r == 0 && e->proxy == NULL)
        r = proxy_open(&e->proxy, &e->settings, err);
    (void)pthread_mutex_unlock(&e->mutex);
    return r;
}

int exec_link_create(struct exec_link *out, struct exec_egress *e, int netns_fd,
                     const struct proxy_rules *rules, isol8_error *err)
{
    struct netns_wire wire;

    *out = (struct exec_link){ 0 };
    int r = start_if_needed(e, err);
    if (r == 0)
        r = netns_wire_create(e->gateway, netns_fd, &wire, err);
    if (r < 0)
        return r;
    struct proxy_listeners listeners = { .explicit_fd = wire.explicit_fd,
                                         .transparent_fd = wire.transparent_fd,
                                         .dns_udp_fd = wire.dns_udp_fd,
                                         .dns_tcp_fd = wire.dns_tcp_fd };
    r = proxy_attach(e->proxy, &listeners, rules, &out->client, err);
    if (r < 0) {
        netns_wire_release(e->gateway, wire.index);
        return r;
    }
    out->egress = e;
    out->wire = wire.index;
    return 0;
}

const struct proxy_rules *exec_egress_closed_rules(struct exec_egress *e, isol8_error *err)
{
    static const char *const nothing[] = { "$^" }; /* no name is empty */

    (void)pthread_mutex_lock(&e->mutex);
    if (e->closed_rules == NULL)
        (void)proxy_rules_new(&e->closed_rules, "", nothing, 1, "", NULL, 0, err);
    const struct proxy_rules *rules = e->closed_rules;
    (void)pthread_mutex_unlock(&e->mutex);
    return rules;
}

void exec_link_take_log(struct exec_link *l, struct netlog **log, struct proxy_counters *counters)
{
    *log = NULL;
    *counters = (struct proxy_counters){ 0 };
    if (l->egress != NULL)
        proxy_take_log(l->client, log, counters);
}

void exec_link_abandon(struct exec_link *l)
{
    if (l->egress == NULL)
        return;
    proxy_detach(l->client, &l->log, &l->counters);
    l->egress = NULL;
}

void exec_link_close(struct exec_link *l)
{
    if (l->egress == NULL)
        return;
    proxy_detach(l->client, &l->log, &l->counters);
    netns_wire_release(l->egress->gateway, l->wire);
    l->egress = NULL;
}
