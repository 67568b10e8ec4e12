/* SPDX-License-Identifier: Apache-2.0 */
/* order.c - the JSON body of an execution, checked and merged with the operator's settings. */
#include "server/order.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

/* ---- Plumbing -------------------------------------------------------------------------------- */

/* The order frees it. Return: @p, NULL when there is no memory for it. */
static void *own(struct srv_order *o, void *p)
{
    void **more = p == NULL ? NULL : reallocarray(o->owned, o->n_owned + 1, sizeof(*more));

    if (more == NULL) {
        free(p);
        return NULL;
    }
    o->owned = more;
    more[o->n_owned++] = p;
    return p;
}

static int no_memory(struct srv_fault *f)
{
    return srv_fault_set(f, 500, NULL, "out of memory");
}

/* The member, or NULL when it is absent or null. */
static const cJSON *member(const cJSON *obj, const char *name)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(obj, name);

    return cJSON_IsNull(item) ? NULL : item;
}

static const char *type_name(const cJSON *item)
{
    return cJSON_IsString(item)   ? "string"
           : cJSON_IsNumber(item) ? "number"
           : cJSON_IsBool(item)   ? "boolean"
           : cJSON_IsArray(item)  ? "array"
           : cJSON_IsObject(item) ? "object"
                                  : "null";
}

static int wrong_type(struct srv_fault *f, const char *path, const char *expected,
                      const cJSON *item)
{
    return srv_fault_set(f, 400, path, "%s: expected %s, got %s", path, expected, type_name(item));
}

#define PATH_SIZE 128

static int check_count(const cJSON *list, const char *path, int most, struct srv_fault *f)
{
    if (cJSON_GetArraySize(list) > most)
        return srv_fault_set(f, 400, path, "%s: more than %d members", path, most);
    return 0;
}

static const char *join(char path[PATH_SIZE], const char *where, const char *name)
{
    (void)snprintf(path, PATH_SIZE, "%s.%.60s", where, name);
    return path;
}

/* Fetch a member of a type; *out stays as it is when it is absent. */
static int get_string(const cJSON *obj, const char *where, const char *name, const char **out,
                      struct srv_fault *f)
{
    const cJSON *item = member(obj, name);
    char path[PATH_SIZE];

    if (item == NULL)
        return 0;
    if (!cJSON_IsString(item))
        return wrong_type(f, join(path, where, name), "string", item);
    *out = item->valuestring;
    return 0;
}

static int get_bool(const cJSON *obj, const char *where, const char *name, bool *out,
                    struct srv_fault *f)
{
    const cJSON *item = member(obj, name);
    char path[PATH_SIZE];

    if (item == NULL)
        return 0;
    if (!cJSON_IsBool(item))
        return wrong_type(f, join(path, where, name), "boolean", item);
    *out = cJSON_IsTrue(item);
    return 0;
}

/* Return: 1 when it is there. */
static int get_number(const cJSON *obj, const char *where, const char *name, double *out,
                      struct srv_fault *f)
{
    const cJSON *item = member(obj, name);
    char path[PATH_SIZE];

    if (item == NULL)
        return 0;
    if (!cJSON_IsNumber(item))
        return wrong_type(f, join(path, where, name), "number", item);
    *out = item->valuedouble;
    return 1;
}

static int get_object(const cJSON *obj, const char *where, const char *name, const cJSON **out,
                      struct srv_fault *f)
{
    const cJSON *item = member(obj, name);
    char path[PATH_SIZE];

    if (item != NULL && !cJSON_IsObject(item))
        return wrong_type(f, join(path, where, name), "object", item);
    *out = item;
    return 0;
}

static int get_strings(struct srv_order *o, const cJSON *obj, const char *where, const char *name,
                       const char *const **out, size_t *n, struct srv_fault *f)
{
    const cJSON *list = member(obj, name), *item;
    char path[PATH_SIZE], at[PATH_SIZE + 32];

    if (list == NULL)
        return 0;
    (void)join(path, where, name);
    if (!cJSON_IsArray(list))
        return wrong_type(f, path, "array of strings", list);
    if (check_count(list, path, ORDER_MEMBERS_MAX, f) < 0)
        return -1;
    const char **items = own(o, calloc((size_t)cJSON_GetArraySize(list) + 1, sizeof(*items)));
    if (items == NULL)
        return no_memory(f);
    size_t count = 0;
    cJSON_ArrayForEach(item, list)
    {
        (void)snprintf(at, sizeof(at), "%s[%zu]", path, count);
        if (!cJSON_IsString(item))
            return wrong_type(f, at, "string", item);
        items[count++] = item->valuestring;
    }
    *out = items;
    *n = count;
    return 0;
}

/* An object of strings as pairs. */
static int get_pairs(struct srv_order *o, const cJSON *obj, const char *where, const char *name,
                     const isol8_pair **out, size_t *n, struct srv_fault *f)
{
    const cJSON *map = NULL, *item;
    char path[PATH_SIZE], at[PATH_SIZE];

    if (get_object(obj, where, name, &map, f) < 0)
        return -1;
    if (map == NULL)
        return 0;
    if (check_count(map, join(path, where, name), ORDER_MEMBERS_MAX, f) < 0)
        return -1;
    isol8_pair *pairs = own(o, calloc((size_t)cJSON_GetArraySize(map) + 1, sizeof(*pairs)));
    if (pairs == NULL)
        return no_memory(f);
    size_t count = 0;
    cJSON_ArrayForEach(item, map)
    {
        if (!cJSON_IsString(item))
            return wrong_type(f, join(at, path, item->string), "string", item);
        pairs[count++] = (isol8_pair){ .key = item->string, .value = item->valuestring };
    }
    *out = pairs;
    *n = count;
    return 0;
}

/* ---- Bytes ----------------------------------------------------------------------------------- */

static int digit_of(char c)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const char *at = c == '\0' ? NULL : strchr(digits, c);

    return at == NULL ? -1 : (int)(at - digits);
}

int srv_base64_decode(const char *text, void **data, size_t *size)
{
    size_t n = strlen(text), len = 0;
    size_t pad = n >= 2 && text[n - 1] == '=' ? (text[n - 2] == '=' ? 2 : 1) : 0;
    unsigned bits = 0, group = 0;

    if (n % 4 != 0)
        return -1;
    auto_free unsigned char *out = malloc(n / 4 * 3 + 1);
    if (out == NULL)
        return -1;
    for (size_t i = 0; i < n - pad; i++) {
        int d = digit_of(text[i]);
        if (d < 0)
            return -1;
        group = (group << 6 | (unsigned)d) & 0xffffff;
        bits += 6;
        if (bits >= 8) {
            bits -= 8;
            out[len++] = (unsigned char)(group >> bits);
        }
    }
    if ((group & ((1u << bits) - 1)) != 0) /* bits that no byte has: another spelling of the same */
        return -1;
    out[len] = 0;
    *size = len;
    *data = take_ptr(&out);
    return 0;
}

/* A byte of the forms below, or -1. */
static int byte_of(const cJSON *item)
{
    double d = cJSON_IsNumber(item) ? item->valuedouble : -1;

    return d >= 0 && d <= 255 && d == (double)(int)d ? (int)d : -1;
}

/* What JSON.stringify() makes of bytes: {"type":"Buffer","data":[1,2]} of a Buffer, and
 * {"0":1,"1":2} of a Uint8Array. A plain array of numbers is taken, too. */
static int file_bytes(struct srv_order *o, const cJSON *value, const char *path, isol8_file *file,
                      struct srv_fault *f)
{
    const cJSON *list = value, *item;
    const char *type = json_string(value, "type");
    size_t n = 0;
    char index[24];

    if (cJSON_IsObject(value) && type != NULL && strcmp(type, "Buffer") == 0)
        list = member(value, "data");
    if (!cJSON_IsArray(list) && !(cJSON_IsObject(list) && list == value))
        return wrong_type(f, path, "string or bytes", value);
    unsigned char *bytes = own(o, malloc((size_t)cJSON_GetArraySize(list) + 1));
    if (bytes == NULL)
        return no_memory(f);
    cJSON_ArrayForEach(item, list)
    {
        int b = byte_of(item);
        (void)snprintf(index, sizeof(index), "%zu", n);
        if (b < 0 || (cJSON_IsObject(list) && strcmp(item->string, index) != 0))
            return srv_fault_set(f, 400, path, "%s: byte %zu is not a number from 0 to 255", path,
                                 n);
        bytes[n++] = (unsigned char)b;
    }
    file->data = bytes;
    file->size = n;
    return 0;
}

static int get_files(struct srv_order *o, const cJSON *rq, struct srv_fault *f)
{
    const cJSON *map = NULL, *item;
    char path[PATH_SIZE];
    size_t n = 0;

    if (get_object(rq, "request", "files", &map, f) < 0)
        return -1;
    if (map == NULL)
        return 0;
    if (check_count(map, "request.files", ORDER_FILES_MAX, f) < 0)
        return -1;
    isol8_file *files = own(o, calloc((size_t)cJSON_GetArraySize(map) + 1, sizeof(*files)));
    if (files == NULL)
        return no_memory(f);
    cJSON_ArrayForEach(item, map)
    {
        isol8_file *file = &files[n++];
        file->path = item->string;
        if (cJSON_IsString(item)) {
            file->data = item->valuestring;
            file->size = strlen(item->valuestring);
        } else if (file_bytes(o, item, join(path, "request.files", item->string), file, f) < 0) {
            return -1;
        }
    }
    o->request.files = files;
    o->request.n_files = n;
    return 0;
}

/* ---- The request ----------------------------------------------------------------------------- */

static int get_request_timeout(struct srv_order *o, const struct srv_policy *p, const cJSON *rq,
                               struct srv_fault *f)
{
    double ms = 0;
    int r = get_number(rq, "request", "timeoutMs", &ms, f);

    return r <= 0 ? r : srv_policy_timeout(p, "request.timeoutMs", ms, &o->request.timeout_ms, f);
}

static int get_request(struct srv_order *o, const struct srv_policy *p, const cJSON *rq,
                       struct srv_fault *f)
{
    isol8_request *q = &o->request;
    const char *in = NULL;
    const struct {
        const char *name;
        const char **out;
    } strings[] = {
        { "code", &q->code },
        { "codeUrl", &q->code_url },
        { "codeHash", &q->code_hash },
        { "cmd", &q->cmd },
        { "runtime", &q->runtime },
        { "fileExtension", &q->file_extension },
        { "stdin", &in },
        { "workdir", &q->workdir },
        { "setupScript", &q->setup_script },
        { "agentFlags", &q->agent_flags },
    };

    for (size_t i = 0; i < ARRAY_LEN(strings); i++) {
        if (get_string(rq, "request", strings[i].name, strings[i].out, f) < 0)
            return -1;
    }
    if (q->runtime == NULL)
        return srv_fault_set(f, 400, "request.runtime", "request.runtime: is required");
    q->code_size = q->code == NULL ? 0 : strlen(q->code);
    if (in != NULL && in[0] != '\0') {
        q->stdin_data = in;
        q->stdin_size = strlen(in);
    }
    if (get_bool(rq, "request", "allowInsecureCodeUrl", &q->allow_insecure_code_url, f) < 0 ||
        get_request_timeout(o, p, rq, f) < 0 ||
        get_pairs(o, rq, "request", "env", &q->env, &q->n_env, f) < 0 ||
        get_pairs(o, rq, "request", "metadata", &q->metadata, &q->n_metadata, f) < 0 ||
        get_strings(o, rq, "request", "outputPaths", &q->output_paths, &q->n_output_paths, f) < 0 ||
        get_strings(o, rq, "request", "installPackages", &q->install, &q->n_install, f) < 0)
        return -1;
    return get_files(o, rq, f);
}

/* ---- The options ----------------------------------------------------------------------------- */

/* The operator's lists always hold: a denied host of either list is denied, and with an allow list
 * of the operator's a host must be on it as well. */
static int set_lists(struct srv_order *o, const struct srv_policy *p, const cJSON *options,
                     struct srv_fault *f)
{
    static const char where[] = "options.networkFilter";
    const cJSON *filter = NULL;
    const char *const *allow = NULL, *const *deny = NULL;
    size_t n_allow = 0, n_deny = 0;

    if (get_object(options, "options", "networkFilter", &filter, f) < 0 ||
        get_strings(o, filter, where, "whitelist", &allow, &n_allow, f) < 0 ||
        get_strings(o, filter, where, "blacklist", &deny, &n_deny, f) < 0)
        return -1;
    const char **both = own(o, calloc(p->deny.n + n_deny + 1, sizeof(*both)));
    if (both == NULL)
        return no_memory(f);
    for (size_t i = 0; i < p->deny.n; i++)
        both[i] = p->deny.items[i];
    for (size_t i = 0; i < n_deny; i++)
        both[p->deny.n + i] = deny[i];
    o->options.deny = both;
    o->options.n_deny = p->deny.n + n_deny;
    o->options.allow = n_allow > 0 ? allow : p->allow.items;
    o->options.n_allow = n_allow > 0 ? n_allow : p->allow.n;
    o->options.allow_within = p->allow.items;
    o->options.n_allow_within = p->allow.n;
    return 0;
}

static int set_security(struct srv_order *o, const struct srv_policy *p, const cJSON *options,
                        struct srv_fault *f)
{
    const cJSON *security = NULL;
    const char *word = NULL, *profile = NULL;

    if (get_object(options, "options", "security", &security, f) < 0 ||
        get_string(security, "options.security", "seccomp", &word, f) < 0 ||
        get_string(security, "options.security", "customProfilePath", &profile, f) < 0)
        return -1;
    return word == NULL ? 0 : srv_policy_seccomp(p, &o->options, word, profile, f);
}

static int set_words(struct srv_order *o, const struct srv_policy *p, const cJSON *options,
                     struct srv_fault *f)
{
    static const struct {
        const char *name;
        int (*apply)(const struct srv_policy *p, isol8_options *o, const char *value,
                     struct srv_fault *f);
    } words[] = {
        { "network", srv_policy_network },     { "memoryLimit", srv_policy_memory },
        { "sandboxSize", srv_policy_sandbox }, { "tmpSize", srv_policy_tmp },
        { "image", srv_policy_image },
    };

    for (size_t i = 0; i < ARRAY_LEN(words); i++) {
        const char *value = NULL;
        if (get_string(options, "options", words[i].name, &value, f) < 0 ||
            (value != NULL && words[i].apply(p, &o->options, value, f) < 0))
            return -1;
    }
    return 0;
}

static int set_numbers(struct srv_order *o, const struct srv_policy *p, const cJSON *options,
                       struct srv_fault *f)
{
    static const struct {
        const char *name;
        int (*apply)(const struct srv_policy *p, isol8_options *o, double value,
                     struct srv_fault *f);
    } numbers[] = {
        { "cpuLimit", srv_policy_cpu },
        { "pidsLimit", srv_policy_pids },
        { "maxOutputSize", srv_policy_output },
    };
    double value = 0;

    for (size_t i = 0; i < ARRAY_LEN(numbers); i++) {
        int r = get_number(options, "options", numbers[i].name, &value, f);
        if (r < 0 || (r > 0 && numbers[i].apply(p, &o->options, value, f) < 0))
            return -1;
    }
    int r = get_number(options, "options", "timeoutMs", &value, f);
    return r <= 0 ? r
                  : srv_policy_timeout(p, "options.timeoutMs", value, &o->options.timeout_ms, f);
}

static int set_switches(struct srv_order *o, const struct srv_policy *p, const cJSON *options,
                        struct srv_fault *f)
{
    bool readonly = p->base.readonly_rootfs, persist = false, log = false;

    if (get_bool(options, "options", "readonlyRootFs", &readonly, f) < 0 ||
        get_bool(options, "options", "persist", &persist, f) < 0 ||
        get_bool(options, "options", "logNetwork", &log, f) < 0)
        return -1;
    o->options.log_network = log;
    if (srv_policy_rootfs(p, &o->options, readonly, f) < 0)
        return -1;
    return srv_policy_persist(p, &o->options, persist, f);
}

static int get_options(struct srv_order *o, const struct srv_policy *p, const cJSON *options,
                       struct srv_fault *f)
{
    const char *mode = NULL;

    if (get_string(options, "options", "mode", &mode, f) < 0)
        return -1;
    if (mode != NULL && strcmp(mode, "ephemeral") != 0 && strcmp(mode, "persistent") != 0)
        return srv_fault_set(f, 400, "options.mode",
                             "options.mode: '%.40s' is not one of ephemeral, persistent", mode);
    if (set_words(o, p, options, f) < 0 || set_numbers(o, p, options, f) < 0 ||
        set_switches(o, p, options, f) < 0 || set_security(o, p, options, f) < 0 ||
        set_lists(o, p, options, f) < 0)
        return -1;
    return get_pairs(o, options, "options", "secrets", &o->options.secrets, &o->options.n_secrets,
                     f);
}

/* ---- The whole ------------------------------------------------------------------------------- */

int srv_json_object(cJSON **out, const char *text, size_t n, struct srv_fault *f)
{
    auto_json cJSON *j = NULL;
    isol8_error err;

    if (json_parse(&j, text, n, "body", &err) < 0)
        return srv_fault_set(f, 400, "body", "%s", err.msg);
    if (!cJSON_IsObject(j))
        return wrong_type(f, "body", "object", j);
    if (json_has_escaped_nul(text, n))
        return srv_fault_set(f, 400, "body",
                             "body: strings must not hold a NUL character (\\u0000)");
    *out = take_ptr(&j);
    return 0;
}

int srv_session_id_check(const char *id, const char *field, struct srv_fault *f)
{
    size_t n = strspn(id, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._:@+=~-");

    if (n == 0 || id[n] != '\0' || n > ORDER_SESSION_ID_MAX)
        return srv_fault_set(f, 400, field,
                             "%s: must be 1 to %d letters, digits and characters of ._:@+=~-",
                             field, ORDER_SESSION_ID_MAX);
    return 0;
}

static int fill(struct srv_order *o, const struct srv_policy *p, struct srv_fault *f)
{
    const cJSON *request = member(o->json, "request");
    const cJSON *options = NULL;
    const cJSON *id = member(o->json, "sessionId");

    if (request == NULL)
        return srv_fault_set(f, 400, "request", "request: is required");
    if (!cJSON_IsObject(request))
        return wrong_type(f, "request", "object", request);
    if (id != NULL && !cJSON_IsString(id))
        return wrong_type(f, "sessionId", "string", id);
    if (id != NULL && id->valuestring[0] != '\0') {
        if (srv_session_id_check(id->valuestring, "sessionId", f) < 0)
            return -1;
        o->session_id = id->valuestring;
    }
    options = member(o->json, "options");
    if (options != NULL && !cJSON_IsObject(options))
        return wrong_type(f, "options", "object", options);
    o->options.mode = o->session_id != NULL ? "persistent" : "ephemeral";
    if (get_options(o, p, options, f) < 0)
        return -1;
    return get_request(o, p, request, f);
}

int srv_order_take(struct srv_order *o, const struct srv_policy *p, cJSON *json,
                   struct srv_fault *f)
{
    *o = (struct srv_order){ .json = json, .options = p->base };
    isol8_request_init(&o->request);
    return fill(o, p, f);
}

int srv_order_parse(struct srv_order *o, const struct srv_policy *p, const char *text, size_t n,
                    struct srv_fault *f)
{
    cJSON *json = NULL;

    *o = (struct srv_order){ 0 };
    if (srv_json_object(&json, text, n, f) < 0)
        return -1;
    return srv_order_take(o, p, json, f);
}

void srv_order_done(struct srv_order *o)
{
    const cJSON *item;

    /* What was masked in output must not be found in freed memory either. */
    cJSON_ArrayForEach(item, member(member(o->json, "options"), "secrets"))
    {
        if (cJSON_IsString(item))
            explicit_bzero(item->valuestring, strlen(item->valuestring));
    }
    for (size_t i = 0; i < o->n_owned; i++)
        free(o->owned[i]);
    free(o->owned);
    cJSON_Delete(o->json);
    *o = (struct srv_order){ 0 };
}
