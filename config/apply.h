/* SPDX-License-Identifier: Apache-2.0 */
/**
 * apply.h - what the configuration makes of the library's options, for the command and the server
 *
 * Options borrow from the configuration and from the structs below, which must live as long.
 */
#ifndef CONFIG_APPLY_H
#define CONFIG_APPLY_H

#include <isol8/isol8.h>

#include "config/config.h"

/* A list of strings that borrows its items. */
struct conf_list {
    const char **items; /* owned array */
    size_t n;
};

/** The array of strings @value (a single string counts as one; anything else is empty).
 * Return: 0, ISOL8_E_NOMEM */
int conf_list_init(struct conf_list *list, const cJSON *value);
void conf_list_done(struct conf_list *list);

/* The operator's settings of the filtered network. */
struct conf_network {
    isol8_network_settings settings;
    isol8_fixed_host *hosts;
    struct conf_list *host_addresses;
    struct conf_list allow_addresses;
    uint16_t *ports;
};

/** Return: 0, ISOL8_E_NOMEM; conf_network_done() in both cases. */
int conf_network_init(struct conf_network *net, const struct conf *conf);
void conf_network_done(struct conf_network *net);

/** Roots, runtime, cgroup parent, user namespaces. The rest stays as it is initialised here. */
void conf_host_options(const struct conf *conf, isol8_host_options *opts);

/** "defaults", "security" and "maxConcurrent" over the library's defaults. */
void conf_engine_options(const struct conf *conf, isol8_options *opts);

void conf_audit_options(const struct conf *conf, isol8_audit_options *opts);

/* The policy for code that is fetched. */
struct conf_remote {
    isol8_remote_options options;
    struct conf_list schemes, allowed, blocked;
};

/** Return: 0, ISOL8_E_NOMEM; conf_remote_done() in both cases. */
int conf_remote_init(struct conf_remote *remote, const struct conf *conf);
void conf_remote_done(struct conf_remote *remote);

#endif
