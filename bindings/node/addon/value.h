/* SPDX-License-Identifier: Apache-2.0 */
/* value.h - from JavaScript values to C ones: copies that live in a keep, read with one check. */
#ifndef NODE_VALUE_H
#define NODE_VALUE_H

#include <isol8/isol8.h>
#include <node_api.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Allocations that are released together, and wiped: they may hold secrets. */
struct keep {
    struct keep_block *blocks;
};

/** Zeroed memory that lives until keep_done(). Return: NULL when out of memory */
void *keep_alloc(struct keep *k, size_t n);

void keep_done(struct keep *k);

/**
 * Reads the members of one JavaScript object. After the first failure an exception is pending,
 * nothing more is read, and the fallbacks are returned: check has_failed once, at the end.
 * Members that are undefined or null are absent.
 */
struct reader {
    napi_env env;
    napi_value object;
    struct keep *keep;
    bool has_failed;
};

/** A string without NUL characters; @fallback when it is absent. */
const char *read_string(struct reader *r, const char *name, const char *fallback);

/** A string or a Uint8Array, with any bytes; NULL when it is absent. */
const void *read_bytes(struct reader *r, const char *name, size_t *size);

int64_t read_int(struct reader *r, const char *name, int64_t fallback);
double read_number(struct reader *r, const char *name, double fallback);
bool read_bool(struct reader *r, const char *name, bool fallback);

/** An array of strings; NULL and 0 when it is absent. */
const char *const *read_strings(struct reader *r, const char *name, size_t *n);

/** An array [key, value, key, value, ...] of strings. */
const isol8_pair *read_pairs(struct reader *r, const char *name, size_t *n);

/** An array [path, bytes, path, bytes, ...]. */
const isol8_file *read_files(struct reader *r, const char *name, size_t *n);

/** An array of numbers from 0 to 65535. */
const uint16_t *read_ports(struct reader *r, const char *name, size_t *n);

/** Begin to read a member that is an object. Return: false when it is absent */
bool read_object(struct reader *r, const char *name, struct reader *out);

/** The elements of an array as values of their own; for lists that the above do not cover. */
uint32_t read_array(struct reader *r, const char *name, napi_value *out);
struct reader read_element(struct reader *r, napi_value array, uint32_t i);

/** An Error with the message, and the status's name as its property "code". */
napi_value value_error(napi_env env, const isol8_error *err);

napi_value value_text(napi_env env, const char *text);
napi_value value_undefined(napi_env env);

#endif
