/* SPDX-License-Identifier: Apache-2.0 */
/* keys.h - every configuration key in one table: its type, default, range and who may set it. */
#ifndef CONFIG_KEYS_H
#define CONFIG_KEYS_H

#include <stdbool.h>
#include <stddef.h>

enum conf_type {
    CONF_BOOL,
    CONF_INTEGER, /* a whole number from min to max */
    CONF_NUMBER,  /* any number from min to max */
    CONF_STRING,  /* not empty */
    CONF_SIZE,    /* text_parse_size(), at least min */
    CONF_WORD,    /* one of words */
    CONF_STRINGS,
    CONF_RANGES,    /* list of addresses or address/prefix */
    CONF_PORTS,     /* list of port numbers */
    CONF_HOSTS,     /* name -> address or list of addresses */
    CONF_PROXY_URL, /* http:// or https:// with a host */
    CONF_POOL_SIZE, /* a whole number, or {clean, dirty} */
    CONF_IMAGES,    /* prebuiltImages */
    CONF_SCHEMA,    /* "$schema": checked, then forgotten */
    CONF_TYPE__MAX
};

/* What ./isol8.config.json, which may come with a stranger's repository, may do with a key. */
enum conf_trust {
    CONF_ANYONE,      /* set it */
    CONF_TRUSTED,     /* nothing: only the operator's own files count */
    CONF_INSIDE,      /* name a path inside the file's directory */
    CONF_WORDS_BELOW, /* choose one of project_words */
    CONF_TRUST__MAX
};

struct conf_key {
    const char *path; /* dotted; the table's order is the order of `config --json` */
    enum conf_type type;
    const char *fallback; /* default as JSON text; NULL: unset, and shown only when set */
    double min, max;
    const char *const *words; /* CONF_WORD, NULL-terminated */
    enum conf_trust trust;
    const char *const *project_words; /* CONF_WORDS_BELOW, NULL-terminated */
};

struct conf_section {
    const char *path;
    bool keeps_unknown; /* unknown keys stay in the resolved configuration */
};

/** The tables; each ends with a NULL path. */
extern const struct conf_key conf_keys[];
extern const struct conf_section conf_sections[];

/** The runtimes' names, NULL-terminated. */
extern const char *const conf_runtimes[];

/** The key at @path, or NULL. */
const struct conf_key *conf_key_find(const char *path);

/** The section at @path, or NULL. */
const struct conf_section *conf_section_find(const char *path);

#endif
