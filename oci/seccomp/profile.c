/* SPDX-License-Identifier: Apache-2.0 */
/**
 * profile.c - a profile in Docker's or OCI's format becomes what the runtime accepts
 *
 * Docker's format is OCI's with conditions on top: an entry may be meant for some capabilities,
 * architectures or kernels only. Its own default profile allows mount(), bpf() and setns() that
 * way, so the conditions are evaluated here, never dropped. Everything taken over is checked, so
 * that a mistake is reported with its key instead of by the runtime with a stack of contexts.
 */
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>

#include "base/json.h"
#include "base/mem.h"
#include "oci/seccomp/seccomp.h"

#if defined(__x86_64__)
#define NATIVE_SECCOMP "SCMP_ARCH_X86_64"
#define NATIVE_DOCKER "amd64"
#elif defined(__aarch64__)
#define NATIVE_SECCOMP "SCMP_ARCH_AARCH64"
#define NATIVE_DOCKER "arm64"
#else
#error "name this architecture for seccomp profiles"
#endif

/* cJSON keeps numbers as double: beyond this, neighbours become one. */
#define EXACT_MAX 9007199254740991.0

#define KEY_MAX 96 /* "syscalls[4095].args[5].valueTwo" and then some */
#define ERRNO_MAX 4095
#define ARG_INDEX_MAX 5

static const char *const actions[] = {
    "SCMP_ACT_ALLOW",        "SCMP_ACT_ERRNO", "SCMP_ACT_KILL",
    "SCMP_ACT_LOG",          "SCMP_ACT_TRAP",  "SCMP_ACT_KILL_THREAD",
    "SCMP_ACT_KILL_PROCESS", "SCMP_ACT_TRACE", NULL,
};

static const char *const ops[] = {
    "SCMP_CMP_EQ", "SCMP_CMP_NE", "SCMP_CMP_LT",        "SCMP_CMP_LE",
    "SCMP_CMP_GE", "SCMP_CMP_GT", "SCMP_CMP_MASKED_EQ", NULL,
};

/* What runc 1.1 knows; it refuses the whole profile for another. */
static const char *const arches[] = {
    "SCMP_ARCH_X86",      "SCMP_ARCH_X86_64",      "SCMP_ARCH_X32",
    "SCMP_ARCH_ARM",      "SCMP_ARCH_AARCH64",     "SCMP_ARCH_MIPS",
    "SCMP_ARCH_MIPS64",   "SCMP_ARCH_MIPS64N32",   "SCMP_ARCH_MIPSEL",
    "SCMP_ARCH_MIPSEL64", "SCMP_ARCH_MIPSEL64N32", "SCMP_ARCH_PPC",
    "SCMP_ARCH_PPC64",    "SCMP_ARCH_PPC64LE",     "SCMP_ARCH_S390",
    "SCMP_ARCH_S390X",    "SCMP_ARCH_RISCV64",     NULL,
};

struct conversion {
    cJSON *out;     /* owned by the caller */
    size_t n_names; /* in all entries so far */
    isol8_error *err;
};

/* ---- Checked access -------------------------------------------------------------------------- */

/* Member @key, or NULL when it is absent or null (which Go's JSON reader takes for absent). */
static const cJSON *member(const cJSON *obj, const char *key)
{
    const cJSON *j = cJSON_GetObjectItemCaseSensitive(obj, key);

    return cJSON_IsNull(j) ? NULL : j;
}

static int bad(struct conversion *c, const char *at, const char *key, const char *expected)
{
    return err_set(c->err, ISOL8_E_INVAL, "%s%s%s: expected %s", at, *at != '\0' ? "." : "", key,
                   expected);
}

/* A member that is an array, or absent (*out NULL). */
static int get_array(struct conversion *c, const cJSON *obj, const char *at, const char *key,
                     const cJSON **out)
{
    *out = member(obj, key);
    return *out == NULL || cJSON_IsArray(*out) ? 0 : bad(c, at, key, "a list");
}

/* A whole number from 0 to @max; absent: *out is -1. */
static int get_number(struct conversion *c, const cJSON *obj, const char *at, const char *key,
                      double max, double *out)
{
    const cJSON *j = member(obj, key);
    char expected[64];

    *out = -1;
    if (j == NULL)
        return 0;
    if (cJSON_IsNumber(j) && j->valuedouble >= 0 && j->valuedouble <= max &&
        (double)(uint64_t)j->valuedouble == j->valuedouble) {
        *out = j->valuedouble;
        return 0;
    }
    (void)snprintf(expected, sizeof(expected), "a whole number from 0 to %.0f", max);
    return bad(c, at, key, expected);
}

/* A required word out of @words. */
static int get_word(struct conversion *c, const cJSON *obj, const char *at, const char *key,
                    const char *const *words, const char **out)
{
    const cJSON *j = member(obj, key);
    const char *s = cJSON_GetStringValue(j);

    if (s == NULL)
        return bad(c, at, key, j == NULL ? "a value, but it is missing" : "a text");
    for (; *words != NULL; words++) {
        if (strcmp(s, *words) == 0) {
            *out = *words;
            return 0;
        }
    }
    return err_set(c->err, ISOL8_E_INVAL, "%s%s%s: unknown value '%.40s'", at,
                   *at != '\0' ? "." : "", key, s);
}

static int get_action(struct conversion *c, const cJSON *obj, const char *at, const char *key,
                      const char **out)
{
    const char *s = json_string(obj, key);

    if (s != NULL && strcmp(s, "SCMP_ACT_NOTIFY") == 0)
        return err_set(c->err, ISOL8_E_INVAL,
                       "%s%s%s: SCMP_ACT_NOTIFY needs a listening agent, which isol8 has not", at,
                       *at != '\0' ? "." : "", key);
    return get_word(c, obj, at, key, actions, out);
}

/* Hand @item over to @parent, under @key when it is an object. */
static int attach(struct conversion *c, cJSON *parent, const char *key, cJSON *item)
{
    bool ok = item != NULL && (key == NULL ? cJSON_AddItemToArray(parent, item)
                                           : cJSON_AddItemToObject(parent, key, item));

    if (ok)
        return 0;
    cJSON_Delete(item);
    return err_nomem(c->err);
}

/* ---- Architectures --------------------------------------------------------------------------- */

static int add_arch(struct conversion *c, cJSON *list, const cJSON *item, const char *at)
{
    const char *s = cJSON_GetStringValue(item);

    for (const char *const *a = arches; s != NULL && *a != NULL; a++) {
        if (strcmp(*a, s) == 0)
            return attach(c, list, NULL, cJSON_CreateString(s));
    }
    return err_set(c->err, ISOL8_E_INVAL, "%s: unknown architecture '%.40s'", at,
                   s == NULL ? "(not a text)" : s);
}

static int add_arches(struct conversion *c, cJSON *list, const cJSON *from, const char *at)
{
    const cJSON *item;
    unsigned i = 0;
    int r = 0;

    cJSON_ArrayForEach(item, from)
    {
        char key[KEY_MAX];
        (void)snprintf(key, sizeof(key), "%s[%u]", at, i++);
        if (i > ARRAY_LEN(arches))
            return err_set(c->err, ISOL8_E_LIMIT, "%s: too many architectures", at);
        if (r == 0)
            r = add_arch(c, list, item, key);
    }
    return r;
}

/* Docker's archMap: the entry of this machine, with the architectures that ride on it. */
static int add_arch_map(struct conversion *c, cJSON *list, const cJSON *map)
{
    const cJSON *entry;
    unsigned i = 0;

    cJSON_ArrayForEach(entry, map)
    {
        const char *name = json_string(entry, "architecture");
        const cJSON *sub;
        char at[KEY_MAX];

        (void)snprintf(at, sizeof(at), "archMap[%u]", i++);
        if (name == NULL)
            return bad(c, at, "architecture", "a text");
        int r = get_array(c, entry, at, "subArchitectures", &sub);
        if (r < 0)
            return r;
        if (strcmp(name, NATIVE_SECCOMP) != 0)
            continue;
        r = attach(c, list, NULL, cJSON_CreateString(name));
        (void)snprintf(at, sizeof(at), "archMap[%u].subArchitectures", i - 1);
        return r < 0 ? r : add_arches(c, list, sub, at);
    }
    return 0;
}

static int convert_arches(struct conversion *c, const cJSON *in)
{
    const cJSON *plain = NULL, *map = NULL;
    cJSON *list = cJSON_AddArrayToObject(c->out, "architectures");

    if (list == NULL)
        return err_nomem(c->err);
    int r = get_array(c, in, "", "architectures", &plain);
    if (r == 0)
        r = get_array(c, in, "", "archMap", &map);
    if (r < 0)
        return r;
    if (cJSON_GetArraySize(plain) > 0 && cJSON_GetArraySize(map) > 0)
        return err_set(c->err, ISOL8_E_INVAL, "archMap: not together with architectures");
    r = add_arches(c, list, plain, "architectures");
    if (r == 0)
        r = add_arch_map(c, list, map);
    if (r == 0 && cJSON_GetArraySize(list) == 0)
        r = attach(c, list, NULL, cJSON_CreateString(NATIVE_SECCOMP));
    return r;
}

/* ---- Docker's conditions --------------------------------------------------------------------- */

static bool parse_kernel(const char *s, unsigned *major, unsigned *minor)
{
    return sscanf(s, "%4u.%4u", major, minor) == 2;
}

/* *met: this machine's kernel is at least condition.minKernel. */
static int test_kernel(struct conversion *c, const cJSON *cond, const char *at, bool *met)
{
    const char *want = json_string(cond, "minKernel");
    unsigned major, minor, have_major = 0, have_minor = 0;
    struct utsname u;

    if (want == NULL || !parse_kernel(want, &major, &minor))
        return bad(c, at, "minKernel", "a version such as \"4.8\"");
    if (uname(&u) < 0 || !parse_kernel(u.release, &have_major, &have_minor))
        have_major = 0; /* an unreadable release meets nothing */
    *met = have_major > major || (have_major == major && have_minor >= minor);
    return 0;
}

static bool contains(const cJSON *list, const char *word)
{
    const cJSON *item;

    cJSON_ArrayForEach(item, list)
    {
        const char *s = cJSON_GetStringValue(item);
        if (s != NULL && strcmp(s, word) == 0)
            return true;
    }
    return false;
}

/**
 * Evaluate `includes` (every part must hold) or `excludes` (no part may hold) of one entry.
 * A sandbox has no capability at all, so a capability never holds.
 */
static int test_condition(struct conversion *c, const cJSON *entry, const char *at,
                          const char *which, bool *applies)
{
    bool include = strcmp(which, "includes") == 0;
    const cJSON *cond = member(entry, which);
    const cJSON *arch_list = NULL, *caps = NULL;
    char key[KEY_MAX];
    bool met = false;

    if (cond == NULL)
        return 0;
    (void)snprintf(key, sizeof(key), "%s.%s", at, which);
    if (!cJSON_IsObject(cond))
        return bad(c, at, which, "an object");
    int r = get_array(c, cond, key, "arches", &arch_list);
    if (r == 0)
        r = get_array(c, cond, key, "caps", &caps);
    if (r < 0)
        return r;

    if (cJSON_GetArraySize(arch_list) > 0 && contains(arch_list, NATIVE_DOCKER) != include)
        *applies = false;
    if (cJSON_GetArraySize(caps) > 0 && include)
        *applies = false;
    if (member(cond, "minKernel") != NULL) {
        r = test_kernel(c, cond, key, &met);
        if (r < 0)
            return r;
        if (met != include)
            *applies = false;
    }
    return 0;
}

/* ---- Entries --------------------------------------------------------------------------------- */

static int convert_arg(struct conversion *c, cJSON *list, const cJSON *arg, const char *at)
{
    const char *op = NULL;
    double index = 0, value = 0, two = 0;

    if (!cJSON_IsObject(arg))
        return bad(c, "", at, "an object");
    int r = get_number(c, arg, at, "index", ARG_INDEX_MAX, &index);
    if (r == 0)
        r = get_number(c, arg, at, "value", EXACT_MAX, &value);
    if (r == 0)
        r = get_number(c, arg, at, "valueTwo", EXACT_MAX, &two);
    if (r == 0)
        r = get_word(c, arg, at, "op", ops, &op);
    if (r < 0)
        return r;

    cJSON *out = cJSON_CreateObject();
    r = attach(c, list, NULL, out);
    if (r < 0)
        return r;
    bool ok = cJSON_AddNumberToObject(out, "index", index < 0 ? 0 : index) != NULL &&
              cJSON_AddNumberToObject(out, "value", value < 0 ? 0 : value) != NULL &&
              cJSON_AddNumberToObject(out, "valueTwo", two < 0 ? 0 : two) != NULL &&
              cJSON_AddStringToObject(out, "op", op) != NULL;
    return ok ? 0 : err_nomem(c->err);
}

static int convert_args(struct conversion *c, cJSON *out, const cJSON *entry, const char *at)
{
    const cJSON *args, *arg;
    unsigned i = 0;
    int r = get_array(c, entry, at, "args", &args);

    if (r < 0 || cJSON_GetArraySize(args) == 0)
        return r;
    cJSON *list = cJSON_AddArrayToObject(out, "args");
    if (list == NULL)
        return err_nomem(c->err);
    cJSON_ArrayForEach(arg, args)
    {
        char key[KEY_MAX];
        (void)snprintf(key, sizeof(key), "%s.args[%u]", at, i++);
        /* More conditions than arguments: an OR of some; 64 is more than anyone wrote. */
        if (i > 64)
            return err_set(c->err, ISOL8_E_LIMIT, "%s.args: too many conditions", at);
        if (r == 0)
            r = convert_arg(c, list, arg, key);
    }
    return r;
}

static bool valid_name(const char *s)
{
    size_t n = s == NULL ? 0 : strlen(s);

    return n > 0 && n <= OCI_SECCOMP_NAME_LEN_MAX &&
           strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_") == n;
}

static int add_name(struct conversion *c, cJSON *list, const cJSON *item, const char *at)
{
    const char *s = cJSON_GetStringValue(item);

    if (!valid_name(s))
        return err_set(c->err, ISOL8_E_INVAL, "%s: expected the name of a system call", at);
    if (++c->n_names > OCI_SECCOMP_NAMES_MAX)
        return err_set(c->err, ISOL8_E_LIMIT, "syscalls: more than %d names",
                       OCI_SECCOMP_NAMES_MAX);
    return attach(c, list, NULL, cJSON_CreateString(s));
}

/* `names`, or the single `name` of old profiles. */
static int convert_names(struct conversion *c, cJSON *out, const cJSON *entry, const char *at)
{
    const cJSON *name = member(entry, "name");
    const cJSON *names, *item;
    char key[KEY_MAX];
    unsigned i = 0;
    int r = get_array(c, entry, at, "names", &names);

    if (r < 0)
        return r;
    if ((name != NULL) == (cJSON_GetArraySize(names) > 0))
        return err_set(c->err, ISOL8_E_INVAL, "%s: expected either names or name", at);
    cJSON *list = cJSON_AddArrayToObject(out, "names");
    if (list == NULL)
        return err_nomem(c->err);
    if (name != NULL) {
        (void)snprintf(key, sizeof(key), "%s.name", at);
        return add_name(c, list, name, key);
    }
    cJSON_ArrayForEach(item, names)
    {
        (void)snprintf(key, sizeof(key), "%s.names[%u]", at, i++);
        if (r == 0)
            r = add_name(c, list, item, key);
    }
    return r;
}

static int add_errno(struct conversion *c, cJSON *out, const cJSON *in, const char *at,
                     const char *key)
{
    double value;
    int r = get_number(c, in, at, key, ERRNO_MAX, &value);

    if (r < 0 || value < 0)
        return r;
    return attach(c, out, key, cJSON_CreateNumber(value));
}

static int convert_entry(struct conversion *c, cJSON *list, const cJSON *entry, unsigned i)
{
    auto_json cJSON *out = cJSON_CreateObject();
    const char *action;
    bool applies = true;
    char at[KEY_MAX];

    if (out == NULL)
        return err_nomem(c->err);
    (void)snprintf(at, sizeof(at), "syscalls[%u]", i);
    if (!cJSON_IsObject(entry))
        return bad(c, "", at, "an object");
    /* Entries that do not apply are checked all the same: a mistake must not wait for a machine. */
    int r = convert_names(c, out, entry, at);
    if (r == 0)
        r = get_action(c, entry, at, "action", &action);
    if (r == 0)
        r = attach(c, out, "action", cJSON_CreateString(action));
    if (r == 0)
        r = add_errno(c, out, entry, at, "errnoRet");
    if (r == 0)
        r = convert_args(c, out, entry, at);
    if (r == 0)
        r = test_condition(c, entry, at, "includes", &applies);
    if (r == 0)
        r = test_condition(c, entry, at, "excludes", &applies);
    if (r < 0 || !applies)
        return r;
    return attach(c, list, NULL, take_ptr(&out));
}

static int convert_syscalls(struct conversion *c, const cJSON *in)
{
    const cJSON *entries, *entry;
    unsigned i = 0;
    int r = get_array(c, in, "", "syscalls", &entries);

    if (r < 0)
        return r;
    cJSON *list = cJSON_AddArrayToObject(c->out, "syscalls");
    if (list == NULL)
        return err_nomem(c->err);
    cJSON_ArrayForEach(entry, entries)
    {
        if (i == OCI_SECCOMP_ENTRIES_MAX)
            return err_set(c->err, ISOL8_E_LIMIT, "syscalls: more than %d entries",
                           OCI_SECCOMP_ENTRIES_MAX);
        if (r == 0)
            r = convert_entry(c, list, entry, i);
        i++;
    }
    return r;
}

int oci_seccomp_convert(const char *text, size_t n, const char *name, char **json_out,
                        isol8_error *err)
{
    auto_json cJSON *in = NULL;
    auto_json cJSON *out = cJSON_CreateObject();
    struct conversion c = { .out = out, .err = err };
    const char *action = NULL;

    if (out == NULL)
        return err_nomem(err);
    int r = json_parse(&in, text, n, name, err);
    if (r < 0)
        return r;
    if (!cJSON_IsObject(in))
        return err_set(err, ISOL8_E_INVAL, "%s: expected an object", name);
    r = get_action(&c, in, "", "defaultAction", &action);
    if (r == 0)
        r = attach(&c, out, "defaultAction", cJSON_CreateString(action));
    if (r == 0)
        r = add_errno(&c, out, in, "", "defaultErrnoRet");
    if (r == 0)
        r = convert_arches(&c, in);
    if (r == 0)
        r = convert_syscalls(&c, in);
    if (r < 0)
        return r;

    char *json = cJSON_PrintUnformatted(out);
    if (json == NULL)
        return err_nomem(err);
    *json_out = json;
    return 0;
}
