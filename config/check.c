/* SPDX-License-Identifier: Apache-2.0 */
/* check.c - one value against its row of the key table. */
#include <arpa/inet.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/text.h"
#include "config/conf_internal.h"

#define ADDRESS_TEXT_MAX 64 /* longer text is no address */
#define PORT_MAX 65535

const char *conf_type_name(const cJSON *value)
{
    if (cJSON_IsString(value))
        return "string";
    if (cJSON_IsNumber(value))
        return "number";
    if (cJSON_IsBool(value))
        return "boolean";
    if (cJSON_IsArray(value))
        return "array";
    return cJSON_IsObject(value) ? "object" : "null";
}

static bool wrong(struct conf_fault *f, const char *path, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

static bool wrong(struct conf_fault *f, const char *path, const char *fmt, ...)
{
    va_list ap;

    (void)snprintf(f->path, sizeof(f->path), "%s", path);
    va_start(ap, fmt);
    (void)vsnprintf(f->what, sizeof(f->what), fmt, ap);
    va_end(ap);
    return false;
}

static bool wrong_type(struct conf_fault *f, const char *path, const char *want, const cJSON *v)
{
    return wrong(f, path, "expected %s, got %s", want, conf_type_name(v));
}

static bool check_bool(const char *path, const cJSON *v, struct conf_fault *f)
{
    return cJSON_IsBool(v) || wrong_type(f, path, "boolean", v);
}

static bool check_string(const char *path, const cJSON *v, struct conf_fault *f)
{
    if (!cJSON_IsString(v))
        return wrong_type(f, path, "string", v);
    return v->valuestring[0] != '\0' || wrong(f, path, "must not be empty");
}

static bool check_number(const char *path, const cJSON *v, double min, double max, bool is_whole,
                         struct conf_fault *f)
{
    const char *kind = is_whole ? "a whole number" : "a number";
    double d;

    if (!cJSON_IsNumber(v))
        return wrong_type(f, path, "number", v);
    d = v->valuedouble;
    if (d >= min && d <= max && (!is_whole || d == (double)(int64_t)d))
        return true;
    return wrong(f, path, "expected %s from %.15g to %.15g, got %.15g", kind, min, max, d);
}

static bool check_size(const char *path, const cJSON *v, double min, struct conf_fault *f)
{
    uint64_t bytes;

    if (!cJSON_IsString(v))
        return wrong_type(f, path, "string", v);
    if (!text_parse_size(v->valuestring, &bytes) || (double)bytes < min)
        return wrong(f, path, "expected a size such as \"512m\" or \"1.5g\", got \"%.64s\"",
                     v->valuestring);
    return true;
}

static bool check_word(const char *path, const cJSON *v, const char *const *words,
                       struct conf_fault *f)
{
    char list[160] = "";
    size_t n = 0;

    if (!cJSON_IsString(v))
        return wrong_type(f, path, "string", v);
    for (size_t i = 0; words[i] != NULL; i++) {
        if (strcmp(words[i], v->valuestring) == 0)
            return true;
        if (n < sizeof(list))
            n += (size_t)snprintf(list + n, sizeof(list) - n, "%s\"%s\"", i > 0 ? ", " : "",
                                  words[i]);
    }
    return wrong(f, path, "expected one of %s, got \"%.64s\"", list, v->valuestring);
}

typedef bool (*check_fn)(const char *path, const cJSON *v, struct conf_fault *f);

static bool check_list(const char *path, const cJSON *v, check_fn check, struct conf_fault *f)
{
    char item_path[CONF_PATH_MAX];
    unsigned i = 0;
    const cJSON *item;

    if (!cJSON_IsArray(v))
        return wrong_type(f, path, "array", v);
    cJSON_ArrayForEach(item, v)
    {
        (void)snprintf(item_path, sizeof(item_path), "%s[%u]", path, i++);
        if (!check(item_path, item, f))
            return false;
    }
    return true;
}

static bool check_text(const char *path, const cJSON *v, struct conf_fault *f)
{
    return cJSON_IsString(v) || wrong_type(f, path, "string", v);
}

/* An IPv4 or IPv6 address; @bits gets its width. */
static bool parse_address(const char *text, unsigned *bits)
{
    unsigned char raw[16];

    if (inet_pton(AF_INET, text, raw) == 1)
        *bits = 32;
    else if (inet_pton(AF_INET6, text, raw) == 1)
        *bits = 128;
    else
        return false;
    return true;
}

static bool check_address(const char *path, const cJSON *v, struct conf_fault *f)
{
    unsigned bits;

    if (!cJSON_IsString(v))
        return wrong_type(f, path, "string", v);
    return parse_address(v->valuestring, &bits) ||
           wrong(f, path, "expected an IP address, got \"%.64s\"", v->valuestring);
}

static bool is_range(const char *text)
{
    char address[ADDRESS_TEXT_MAX];
    const char *slash = strchr(text, '/');
    size_t n = slash == NULL ? strlen(text) : (size_t)(slash - text);
    unsigned bits;
    uint64_t prefix;

    if (n >= sizeof(address))
        return false;
    memcpy(address, text, n);
    address[n] = '\0';
    if (!parse_address(address, &bits))
        return false;
    return slash == NULL || (text_parse_u64(slash + 1, &prefix) && prefix <= bits);
}

static bool check_range(const char *path, const cJSON *v, struct conf_fault *f)
{
    if (!cJSON_IsString(v))
        return wrong_type(f, path, "string", v);
    return is_range(v->valuestring) ||
           wrong(f, path, "expected an address range such as \"10.0.0.0/8\", got \"%.64s\"",
                 v->valuestring);
}

static bool check_port(const char *path, const cJSON *v, struct conf_fault *f)
{
    return check_number(path, v, 1, PORT_MAX, true, f);
}

static bool check_hosts(const char *path, const cJSON *v, struct conf_fault *f)
{
    char host_path[CONF_PATH_MAX];
    const cJSON *item;

    if (!cJSON_IsObject(v))
        return wrong_type(f, path, "object", v);
    cJSON_ArrayForEach(item, v)
    {
        (void)snprintf(host_path, sizeof(host_path), "%s.%s", path, item->string);
        if (item->string[0] == '\0')
            return wrong(f, path, "a host name must not be empty");
        if (cJSON_IsString(item) ? !check_address(host_path, item, f)
                                 : !check_list(host_path, item, check_address, f))
            return false;
    }
    return true;
}

static bool check_proxy_url(const char *path, const cJSON *v, struct conf_fault *f)
{
    static const char scheme[] = "http://";
    const char *s;

    if (!check_string(path, v, f))
        return false;
    s = v->valuestring;
    /* The value is not quoted: it may hold a password, which the proxy cannot use either. */
    bool has_scheme = strncmp(s, scheme, strlen(scheme)) == 0;
    size_t n = has_scheme ? strcspn(s + strlen(scheme), "@/?#") : 0;
    if (n == 0 || (s[strlen(scheme) + n] != '\0' && strcmp(s + strlen(scheme) + n, "/") != 0))
        return wrong(f, path, "expected \"http://HOST:PORT\" without user, password or path");
    return true;
}

static bool check_pool_size(const char *path, const cJSON *v, double max, struct conf_fault *f)
{
    static const char *const members[] = { "clean", "dirty" };
    char member_path[CONF_PATH_MAX];

    if (cJSON_IsNumber(v))
        return check_number(path, v, 0, max, true, f);
    if (!cJSON_IsObject(v))
        return wrong_type(f, path, "number or object", v);
    for (size_t i = 0; i < ARRAY_LEN(members); i++) {
        const cJSON *m = cJSON_GetObjectItemCaseSensitive(v, members[i]);
        (void)snprintf(member_path, sizeof(member_path), "%s.%s", path, members[i]);
        if (m == NULL)
            return wrong(f, member_path, "is missing");
        if (!check_number(member_path, m, 0, max, true, f))
            return false;
    }
    return true;
}

static bool check_runtime(const char *path, const cJSON *v, struct conf_fault *f)
{
    return check_word(path, v, conf_runtimes, f);
}

static bool check_packages(const char *path, const cJSON *v, struct conf_fault *f)
{
    return check_list(path, v, check_string, f);
}

static bool check_image(const char *path, const cJSON *v, struct conf_fault *f)
{
    static const struct {
        const char *name;
        check_fn check;
        bool is_optional;
    } members[] = {
        { "tag", check_string, false },
        { "runtime", check_runtime, false },
        { "installPackages", check_packages, false },
        { "setupScript", check_text, true },
    };
    char member_path[CONF_PATH_MAX];

    if (!cJSON_IsObject(v))
        return wrong_type(f, path, "object", v);
    for (size_t i = 0; i < ARRAY_LEN(members); i++) {
        const cJSON *m = cJSON_GetObjectItemCaseSensitive(v, members[i].name);
        (void)snprintf(member_path, sizeof(member_path), "%s.%s", path, members[i].name);
        if (m == NULL && members[i].is_optional)
            continue;
        if (m == NULL)
            return wrong(f, member_path, "is missing");
        if (!members[i].check(member_path, m, f))
            return false;
    }
    return true;
}

/* NOLINTNEXTLINE(readability-function-size): a flat table of types */
bool conf_check(const struct conf_key *key, const cJSON *value, struct conf_fault *fault)
{
    const char *path = key->path;

    switch (key->type) {
    case CONF_BOOL:
        return check_bool(path, value, fault);
    case CONF_INTEGER:
        return check_number(path, value, key->min, key->max, true, fault);
    case CONF_NUMBER:
        return check_number(path, value, key->min, key->max, false, fault);
    case CONF_STRING:
        return check_string(path, value, fault);
    case CONF_SIZE:
        return check_size(path, value, key->min, fault);
    case CONF_WORD:
        return check_word(path, value, key->words, fault);
    case CONF_STRINGS:
        return check_list(path, value, check_text, fault);
    case CONF_RANGES:
        return check_list(path, value, check_range, fault);
    case CONF_PORTS:
        return check_list(path, value, check_port, fault);
    case CONF_HOSTS:
        return check_hosts(path, value, fault);
    case CONF_PROXY_URL:
        return check_proxy_url(path, value, fault);
    case CONF_POOL_SIZE:
        return check_pool_size(path, value, key->max, fault);
    case CONF_IMAGES:
        return check_list(path, value, check_image, fault);
    case CONF_SCHEMA:
        return check_text(path, value, fault);
    case CONF_TYPE__MAX:
        break;
    }
    return false;
}
