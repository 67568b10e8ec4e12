/* SPDX-License-Identifier: Apache-2.0 */
/**
 * value.c - from JavaScript values to C ones
 *
 * The JavaScript half of the package checks types and says what is wrong in the user's words; the
 * checks here are what keeps the process safe when something gets past it. One matters to users as
 * well: a string with a NUL character would be cut short in C, so that a pattern or a path means
 * something else. It is refused.
 */
#include "bindings/node/addon/value.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct keep_block {
    struct keep_block *next;
    size_t size;
    max_align_t data[];
};

void *keep_alloc(struct keep *k, size_t n)
{
    struct keep_block *b = calloc(1, sizeof(*b) + n);

    if (b == NULL)
        return NULL;
    b->size = n;
    b->next = k->blocks;
    k->blocks = b;
    return b->data;
}

void keep_done(struct keep *k)
{
    while (k->blocks != NULL) {
        struct keep_block *b = k->blocks;
        k->blocks = b->next;
        explicit_bzero(b->data, b->size);
        free(b);
    }
}

/* ---- Failure -----------------------------------------------------------------------------------
 */

static void fail(struct reader *r, const char *name, const char *why)
{
    char text[160];
    bool is_pending = false;

    r->has_failed = true;
    (void)napi_is_exception_pending(r->env, &is_pending);
    if (is_pending)
        return;
    (void)snprintf(text, sizeof(text), "%s %s", name, why);
    (void)napi_throw_type_error(r->env, NULL, text);
}

static void *reserve(struct reader *r, const char *name, size_t n, size_t each)
{
    size_t bytes;
    void *p = NULL;

    if (!__builtin_mul_overflow(n, each, &bytes))
        p = keep_alloc(r->keep, bytes);
    if (p == NULL)
        fail(r, name, "does not fit into memory");
    return p;
}

/* The member, and its type; false when it is absent or reading has failed before. */
static bool member(struct reader *r, const char *name, napi_value *out, napi_valuetype *type)
{
    if (r->has_failed)
        return false;
    if (napi_get_named_property(r->env, r->object, name, out) != napi_ok ||
        napi_typeof(r->env, *out, type) != napi_ok) {
        fail(r, name, "cannot be read");
        return false;
    }
    return *type != napi_undefined && *type != napi_null;
}

/* ---- Strings and bytes ------------------------------------------------------------------------
 */

/* The text of a value, NUL-terminated behind its *@size bytes; NULL on failure. */
static char *text_of(struct reader *r, const char *name, napi_value value, size_t *size)
{
    if (napi_get_value_string_utf8(r->env, value, NULL, 0, size) != napi_ok) {
        fail(r, name, "must be a string");
        return NULL;
    }
    char *text = reserve(r, name, *size + 1, 1);
    if (text != NULL &&
        napi_get_value_string_utf8(r->env, value, text, *size + 1, size) != napi_ok) {
        fail(r, name, "cannot be read");
        return NULL;
    }
    return text;
}

static const char *string_of(struct reader *r, const char *name, napi_value value)
{
    size_t size = 0;
    const char *text = text_of(r, name, value, &size);

    if (text != NULL && strlen(text) != size) {
        fail(r, name, "must not contain NUL characters");
        return NULL;
    }
    return text;
}

static const void *bytes_of(struct reader *r, const char *name, napi_value value, size_t *size)
{
    napi_typedarray_type kind;
    bool is_array = false;
    void *data = NULL;

    if (napi_is_typedarray(r->env, value, &is_array) != napi_ok || !is_array)
        return text_of(r, name, value, size);
    if (napi_get_typedarray_info(r->env, value, &kind, size, &data, NULL, NULL) != napi_ok ||
        (kind != napi_uint8_array && kind != napi_uint8_clamped_array)) {
        fail(r, name, "must be a string or a Uint8Array");
        return NULL;
    }
    /* A copy: the caller may change or transfer its array while another thread reads. */
    void *copy = reserve(r, name, *size + 1, 1);
    if (copy != NULL && *size > 0)
        memcpy(copy, data, *size);
    return copy;
}

const char *read_string(struct reader *r, const char *name, const char *fallback)
{
    napi_value value;
    napi_valuetype type;

    if (!member(r, name, &value, &type))
        return fallback;
    const char *text = string_of(r, name, value);
    return text == NULL ? fallback : text;
}

const void *read_bytes(struct reader *r, const char *name, size_t *size)
{
    napi_value value;
    napi_valuetype type;

    *size = 0;
    return member(r, name, &value, &type) ? bytes_of(r, name, value, size) : NULL;
}

/* ---- Numbers ----------------------------------------------------------------------------------
 */

double read_number(struct reader *r, const char *name, double fallback)
{
    napi_value value;
    napi_valuetype type;
    double number = fallback;

    if (member(r, name, &value, &type) &&
        napi_get_value_double(r->env, value, &number) != napi_ok) {
        fail(r, name, "must be a number");
        return fallback;
    }
    return number;
}

int64_t read_int(struct reader *r, const char *name, int64_t fallback)
{
    napi_value value;
    napi_valuetype type;
    int64_t number = fallback;

    /* Not-a-number becomes 0, and what is out of range the nearest that fits: the package's own
     * check has refused both. */
    if (member(r, name, &value, &type) && napi_get_value_int64(r->env, value, &number) != napi_ok) {
        fail(r, name, "must be a whole number");
        return fallback;
    }
    return number;
}

bool read_bool(struct reader *r, const char *name, bool fallback)
{
    napi_value value;
    napi_valuetype type;
    bool is_set = fallback;

    if (member(r, name, &value, &type) && napi_get_value_bool(r->env, value, &is_set) != napi_ok) {
        fail(r, name, "must be true or false");
        return fallback;
    }
    return is_set;
}

/* ---- Lists ------------------------------------------------------------------------------------
 */

uint32_t read_array(struct reader *r, const char *name, napi_value *out)
{
    napi_valuetype type;
    uint32_t n = 0;

    if (member(r, name, out, &type) && napi_get_array_length(r->env, *out, &n) != napi_ok)
        fail(r, name, "must be an array");
    return r->has_failed ? 0 : n;
}

static napi_value element(struct reader *r, const char *name, napi_value array, uint32_t i)
{
    napi_value value = NULL;

    if (napi_get_element(r->env, array, i, &value) != napi_ok)
        fail(r, name, "cannot be read");
    return value;
}

struct reader read_element(struct reader *r, napi_value array, uint32_t i)
{
    struct reader sub = { .env = r->env, .keep = r->keep, .has_failed = r->has_failed };

    sub.object = element(r, "element", array, i);
    sub.has_failed = r->has_failed;
    return sub;
}

const char *const *read_strings(struct reader *r, const char *name, size_t *n)
{
    napi_value array;
    uint32_t count = read_array(r, name, &array);
    const char **list = count == 0 ? NULL : reserve(r, name, count, sizeof(*list));

    for (uint32_t i = 0; list != NULL && i < count && !r->has_failed; i++) {
        napi_value value = element(r, name, array, i);
        if (!r->has_failed)
            list[i] = string_of(r, name, value);
    }
    *n = r->has_failed ? 0 : count;
    return r->has_failed ? NULL : list;
}

const isol8_pair *read_pairs(struct reader *r, const char *name, size_t *n)
{
    size_t count = 0;
    const char *const *words = read_strings(r, name, &count);
    isol8_pair *pairs = count < 2 ? NULL : reserve(r, name, count / 2, sizeof(*pairs));

    *n = pairs == NULL ? 0 : count / 2;
    for (size_t i = 0; i < *n; i++)
        pairs[i] = (isol8_pair){ .key = words[2 * i], .value = words[2 * i + 1] };
    return pairs;
}

const isol8_file *read_files(struct reader *r, const char *name, size_t *n)
{
    napi_value array;
    uint32_t count = read_array(r, name, &array) / 2;
    isol8_file *files = count == 0 ? NULL : reserve(r, name, count, sizeof(*files));

    for (uint32_t i = 0; files != NULL && i < count && !r->has_failed; i++) {
        napi_value path = element(r, name, array, 2 * i);
        napi_value data = element(r, name, array, 2 * i + 1);
        if (!r->has_failed)
            files[i].path = string_of(r, name, path);
        if (!r->has_failed)
            files[i].data = bytes_of(r, name, data, &files[i].size);
    }
    *n = r->has_failed ? 0 : count;
    return r->has_failed ? NULL : files;
}

const uint16_t *read_ports(struct reader *r, const char *name, size_t *n)
{
    napi_value array;
    uint32_t count = read_array(r, name, &array);
    uint16_t *ports = count == 0 ? NULL : reserve(r, name, count, sizeof(*ports));

    for (uint32_t i = 0; ports != NULL && i < count && !r->has_failed; i++) {
        uint32_t port = 0;
        napi_value value = element(r, name, array, i);
        if (!r->has_failed &&
            (napi_get_value_uint32(r->env, value, &port) != napi_ok || port > UINT16_MAX))
            fail(r, name, "must hold port numbers");
        ports[i] = (uint16_t)port;
    }
    *n = r->has_failed ? 0 : count;
    return r->has_failed ? NULL : ports;
}

bool read_object(struct reader *r, const char *name, struct reader *out)
{
    napi_value value;
    napi_valuetype type;

    if (!member(r, name, &value, &type))
        return false;
    if (type != napi_object) {
        fail(r, name, "must be an object");
        return false;
    }
    *out = (struct reader){ .env = r->env, .object = value, .keep = r->keep };
    return true;
}

/* ---- The other way ----------------------------------------------------------------------------
 */

static const char *status_name(int status)
{
    static const char *const names[] = {
        "ISOL8_OK",          "ISOL8_E_INVAL",       "ISOL8_E_NOMEM",    "ISOL8_E_SYS",
        "ISOL8_E_IMAGE",     "ISOL8_E_RUNTIME",     "ISOL8_E_NETWORK",  "ISOL8_E_POLICY",
        "ISOL8_E_TIMEOUT",   "ISOL8_E_LIMIT",       "ISOL8_E_STATE",    "ISOL8_E_BUSY",
        "ISOL8_E_CANCELLED", "ISOL8_E_UNSUPPORTED", "ISOL8_E_PROTOCOL",
    };
    size_t i = status < 0 ? (size_t)-status : 0;

    return i < sizeof(names) / sizeof(names[0]) ? names[i] : "ISOL8_E_UNKNOWN";
}

napi_value value_text(napi_env env, const char *text)
{
    napi_value value = NULL;

    (void)napi_create_string_utf8(env, text, NAPI_AUTO_LENGTH, &value);
    return value;
}

napi_value value_undefined(napi_env env)
{
    napi_value value = NULL;

    (void)napi_get_undefined(env, &value);
    return value;
}

napi_value value_error(napi_env env, const isol8_error *err)
{
    napi_value error = NULL;

    (void)napi_create_error(env, value_text(env, status_name(err->status)),
                            value_text(env, err->msg), &error);
    return error;
}
