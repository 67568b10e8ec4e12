/* SPDX-License-Identifier: Apache-2.0 */
/* conf_internal.h - what the files of config/ share. */
#ifndef CONFIG_CONF_INTERNAL_H
#define CONFIG_CONF_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>

#include "base/json.h"
#include "config/config.h"
#include "config/keys.h"

#define CONF_PATH_MAX 256 /* bytes of a key path in messages; longer ones are cut */

/* What is wrong with a value, before the file's name and the line are known. */
struct conf_fault {
    char path[CONF_PATH_MAX]; /* for instance "network.whitelist[2]" */
    char what[256];           /* for instance "expected string, got number" */
};

/** Check @value against its row. Return: false with @fault filled in. */
bool conf_check(const struct conf_key *key, const cJSON *value, struct conf_fault *fault);

/** "string", "number", ... for messages. */
const char *conf_type_name(const cJSON *value);

/** True when the working directory's file may set @key to @value, which has been checked. */
bool conf_trust_allows(const struct conf_key *key, const cJSON *value);

/**
 * conf_locate() - Line, from 1, of a value in a JSON text that has been parsed successfully
 * @path: As in messages: "network.whitelist[2]"
 * @nth:  0 for its first occurrence
 *
 * Return: 0 when there is no such value
 */
unsigned conf_locate(const char *text, size_t n, const char *path, unsigned nth);

/* A configuration file, open for reading. */
struct conf_file {
    int fd;           /* -1: there is none */
    const char *name; /* for messages: as given, or as it is usually written */
    char *path;       /* absolute; owned */
    bool is_project;
    bool is_regular;
};

#define CONF_FILE_INIT                                                                             \
    {                                                                                              \
        .fd = -1                                                                                   \
    }

/** Open the first file that exists. Absence of all is success. */
int conf_find(struct conf_file *out, const struct conf_places *places, isol8_error *err);
void conf_file_done(struct conf_file *f);

#endif
