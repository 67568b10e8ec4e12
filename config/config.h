/* SPDX-License-Identifier: Apache-2.0 */
/**
 * config.h - the configuration: found, checked, merged with the defaults
 *
 * Exactly one file is used, the first that exists: the one the caller names, ISOL8_CONFIG,
 * ./isol8.config.json, ~/.isol8/config.json, /etc/isol8/config.json. The third may come with a
 * stranger's repository, so it may not set what could attack the person who runs isol8 in it
 * (config/keys.c says which keys those are).
 */
#ifndef CONFIG_CONFIG_H
#define CONFIG_CONFIG_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "base/json.h"

#define CONF_FILE_MAX (1u << 20) /* bytes of a configuration file */
#define CONF_WARNINGS_MAX 32     /* unknown keys reported; further ones are passed over */

/* Where files are looked for; a NULL or empty name is passed over. */
struct conf_places {
    const char *named;    /* --config; must exist */
    const char *from_env; /* ISOL8_CONFIG; must exist */
    const char *project;  /* in the working directory; not trusted */
    const char *home;     /* the home directory, with .isol8/config.json below it */
    const char *system;
};

struct conf {
    char *source;    /* absolute path of the file used; NULL: defaults only */
    bool is_project; /* it is the working directory's */
    cJSON *root;     /* resolved, in the order of `config --json` */
    cJSON *given;    /* the file as parsed; NULL: defaults only */
    char *warnings[CONF_WARNINGS_MAX];
    size_t n_warnings;
};

/** The places of this process: its environment and the usual names. */
void conf_places_init(struct conf_places *places);

/**
 * conf_load() - Find the configuration, check it, merge it with the defaults
 * @out: Returned; conf_free() releases it
 *
 * Return: 0, ISOL8_E_INVAL with "FILE:LINE: key.path[2]: expected ..., got ...", ISOL8_E_POLICY
 * for a key that this file may not set or a file that others may write, ISOL8_E_SYS, ISOL8_E_LIMIT
 */
int conf_load(struct conf **out, const struct conf_places *places, isol8_error *err);

/**
 * conf_parse() - The same for a text already read
 * @text: NULL: the defaults
 * @name: For messages
 * @is_project: The trust rule of the working directory's file applies
 */
int conf_parse(struct conf **out, const char *text, size_t n, const char *name, bool is_project,
               isol8_error *err);

void conf_free(struct conf *c);

static inline void conf_free_p(struct conf **c)
{
    conf_free(*c);
}
#define auto_conf __attribute__((cleanup(conf_free_p)))

/** The resolved value at a dotted path of the key table; NULL when unset. */
const cJSON *conf_value(const struct conf *c, const char *path);

/** True when the file itself sets the key. */
bool conf_is_set(const struct conf *c, const char *path);

/** A string key; NULL when unset. */
const char *conf_string(const struct conf *c, const char *path);

/** A number or boolean key that has a default. */
double conf_number(const struct conf *c, const char *path);
bool conf_bool(const struct conf *c, const char *path);

#endif
