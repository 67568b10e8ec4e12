/* SPDX-License-Identifier: Apache-2.0 */
/* packages.c - installing packages in a sandbox: names, commands, and the hosts that serve them. */
#include "executor/packages.h"

#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "base/mem.h"
#include "executor/environ.h"

#define LOWER "abcdefghijklmnopqrstuvwxyz"
#define DIGITS "0123456789"
#define ADDRESS "https://"
#define ALNUM LOWER "ABCDEFGHIJKLMNOPQRSTUVWXYZ" DIGITS

struct manager {
    const char *runtime;
    const char *first;                     /* bytes that a name may begin with */
    const char *others;                    /* bytes that may follow */
    const char *command[RUNTIME_ARGS_MAX]; /* names are appended; NULL: none */
    isol8_pair env[8];                     /* of the install command */
    isol8_pair main_env[PACKAGE_ENV_MAX];  /* of a command that may use the packages */
    bool (*is_name)(const char *name);     /* the rest of the rule for a name that begins with one
                                              of @first and goes on with @others; NULL: none */
    const char *hint;                      /* what a name is, when that is more than its bytes */
};

/* "name" or "name=version". To apt-get a "-" at the end would mean removal. */
static bool is_debian_name(const char *name)
{
    size_t n = strspn(name, LOWER DIGITS "+.-");

    if (name[n - 1] == '-')
        return false;
    return name[n] == '\0' ||
           (name[n] == '=' && name[n + 1] != '\0' && strchr(name + n + 1, '=') == NULL);
}

/* "https://host[:port]/path"; without user and password, which would hide the host. */
static bool is_address(const char *name)
{
    size_t n = strlen(ADDRESS), host = 0;

    if (strlen(name) > PACKAGE_NAME_MAX || strncmp(name, ADDRESS, n) != 0)
        return false;
    host = strspn(name + n, ALNUM ".-");
    name += n + host;
    if (*name == ':')
        name += 1 + strspn(name + 1, DIGITS);
    return host > 0 && *name == '/' && name[strspn(name, ALNUM "/@._-~=+%?&")] == '\0' &&
           strstr(name, "..") == NULL;
}

/* Without a scheme it would be a path. */
static bool is_deno_name(const char *name)
{
    if (strncmp(name, "npm:", 4) == 0 || strncmp(name, "jsr:", 4) == 0)
        return name[4] != '\0' && name[4 + strspn(name + 4, ALNUM "@/._-^~=+")] == '\0';
    return is_address(name);
}

static const struct manager managers[] = {
    { .runtime = "python",
      .first = ALNUM,
      .others = ALNUM "._-[],<>=!~*+",
      .command = { "pip", "install", "--user", "--no-cache-dir", "--break-system-packages",
                   "--disable-pip-version-check", "--no-input", "--retries=0", "--timeout=15" },
      .env = { { "PYTHONUSERBASE", "/sandbox/.local" } } },
    { .runtime = "node",
      .first = ALNUM "@",
      .others = ALNUM "@/._-^~<>=*|+",
      .command = { "npm", "install", "--prefix=/sandbox", "--no-audit", "--no-fund",
                   "--no-update-notifier" },
      .env = { { "NPM_CONFIG_PREFIX", "/sandbox/.npm-global" },
               { "NPM_CONFIG_CACHE", "/sandbox/.npm-cache" },
               { "NPM_CONFIG_FETCH_RETRIES", "0" },
               { "NPM_CONFIG_FETCH_RETRY_MINTIMEOUT", "1000" },
               { "NPM_CONFIG_FETCH_RETRY_MAXTIMEOUT", "2000" } } },
    { .runtime = "bun",
      .first = ALNUM "@",
      .others = ALNUM "@/._-^~<>=*|+",
      .command = { "bun", "add", "-g" },
      .env = { { "BUN_INSTALL_GLOBAL_DIR", "/sandbox/.bun-global" },
               { "BUN_INSTALL_CACHE_DIR", "/sandbox/.bun-cache" },
               { "BUN_INSTALL_BIN", "/sandbox/.bun-global/bin" } } },
    { .runtime = "deno",
      .first = ALNUM,
      .others = ALNUM "@/._-^~=:+%?&",
      /* What the image has in its own cache is copied first, for there is only one in use. */
      .command = { "bash", "-c",
                   "[ ! -d /usr/local/lib/deno ] || cp -R /usr/local/lib/deno /sandbox/.deno; "
                   "exec deno cache \"$@\"",
                   "deno" },
      .env = { { "DENO_DIR", "/sandbox/.deno" } },
      .main_env = { { "DENO_DIR", "/sandbox/.deno" } },
      .is_name = is_deno_name,
      .hint = "npm:NAME, jsr:NAME or the https:// address of a module" },
    /* First in PATH: what is installed was asked for, while the image may have a smaller program of
     * the same name. The dynamic linker knows what $LIB is on this architecture, see ld.so(8). */
    { .runtime = "bash",
      .first = LOWER DIGITS,
      .others = ALNUM "+.-=:~",
      .command = { "/usr/lib/isol8/apt-install" },
      .main_env = { { "PATH", "/sandbox/.debian/usr/bin:/sandbox/.debian/usr/sbin:"
                              "/sandbox/.debian/usr/games:" ENVIRON_PATH },
                    { "LD_LIBRARY_PATH", "/sandbox/.debian/usr/$LIB:/sandbox/.debian/usr/lib" },
                    { "PERL5LIB", "/sandbox/.debian/perl/modules:/sandbox/.debian/usr/share/perl5:"
                                  "/sandbox/.debian/perl/base:/sandbox/.debian/perl/arch:"
                                  "/sandbox/.debian/perl/share" } },
      .is_name = is_debian_name },
};

static const struct manager *find_manager(const struct exec_runtime *rt)
{
    const char *name = rt->is_agent ? "bun" : rt->name; /* the agent runs on Bun */

    for (size_t i = 0; i < ARRAY_LEN(managers); i++) {
        if (strcmp(managers[i].runtime, name) == 0)
            return &managers[i];
    }
    return NULL;
}

static bool name_ok(const struct manager *m, const char *name)
{
    size_t n = strlen(name);

    return n > 0 && n <= PACKAGE_NAME_MAX && strchr(m->first, name[0]) != NULL &&
           strspn(name + 1, m->others) == n - 1 && strstr(name, "..") == NULL &&
           (m->is_name == NULL || m->is_name(name));
}

int packages_check(const struct exec_runtime *rt, const char *const *names, size_t n,
                   isol8_error *err)
{
    const struct manager *m = find_manager(rt);

    if (n > PACKAGES_MAX)
        return err_set(err, ISOL8_E_LIMIT, "installPackages: %zu are more than the limit of %d", n,
                       PACKAGES_MAX);
    if (n > 0 && m == NULL)
        return err_set(err, ISOL8_E_UNSUPPORTED,
                       "installPackages: not available for runtime '%s' in this build yet",
                       rt->name);
    for (size_t i = 0; i < n; i++) {
        if (!name_ok(m, names[i]) && m->hint != NULL)
            return err_set(err, ISOL8_E_INVAL, "Invalid package name: \"%.80s\". For %s it is %s",
                           names[i], rt->name, m->hint);
        if (!name_ok(m, names[i]))
            return err_set(err, ISOL8_E_INVAL,
                           "Invalid package name: \"%.80s\". For %s it may begin with a %sletter, "
                           "digit%s and hold letters, digits and %s",
                           names[i], rt->name, strchr(m->first, 'A') == NULL ? "lower-case " : "",
                           m->first[strlen(m->first) - 1] == '@' ? " or @" : "",
                           m->others + strlen(ALNUM));
    }
    return 0;
}

const isol8_pair *packages_environ(const struct exec_runtime *rt, size_t *n)
{
    const struct manager *m = find_manager(rt);

    *n = 0;
    while (m != NULL && *n < PACKAGE_ENV_MAX && m->main_env[*n].key != NULL)
        (*n)++;
    return *n > 0 ? m->main_env : NULL;
}

int packages_command(const struct exec_runtime *rt, const struct isol8_engine *e,
                     const char *const *names, size_t n, const struct oci_image *image,
                     struct buf *strings, struct init_exec *counts, isol8_error *err)
{
    const struct manager *m = find_manager(rt);
    struct exec_environ *env = NULL;

    int r = exec_environ_new(&env, e, image, NULL, 0, ARRAY_LEN(m->env), err);
    if (r < 0)
        return r;
    for (size_t i = 0; i < ARRAY_LEN(m->env) && m->env[i].key != NULL; i++)
        exec_environ_set(env, m->env[i].key, m->env[i].value);
    exec_environ_finish(env, e);

    *counts = (struct init_exec){ 0 };
    exec_add_word(strings, "/sandbox", NULL);
    for (size_t i = 0; i < RUNTIME_ARGS_MAX && m->command[i] != NULL; i++)
        exec_add_word(strings, m->command[i], &counts->argc);
    for (size_t i = 0; i < n; i++)
        exec_add_word(strings, names[i], &counts->argc);
    exec_environ_write(env, strings, &counts->envc);
    exec_environ_free(env);
    counts->strings_size = (uint32_t)strings->len;
    return strings->failed ? err_nomem(err) : 0;
}

/* ---- Hosts ----------------------------------------------------------------------------------- */

/* "^name$" with every byte that means something to a pattern escaped. */
static char *exact_pattern(const char *host, size_t n)
{
    auto_buf struct buf b = BUF_INIT(1024);

    (void)buf_adds(&b, "^");
    for (size_t i = 0; i < n; i++) {
        if (strchr(ALNUM "-", host[i]) == NULL)
            (void)buf_adds(&b, "\\");
        (void)buf_add(&b, host + i, 1);
    }
    (void)buf_adds(&b, "$");
    return buf_take(&b);
}

static bool add_pattern(char **out, size_t *n, char *pattern)
{
    if (pattern == NULL)
        return false;
    out[(*n)++] = pattern;
    return true;
}

int packages_patterns(const char *hosts, const char *const *names, size_t n_names, char **out,
                      size_t *n, isol8_error *err)
{
    auto_json cJSON *list = NULL;
    const cJSON *item;

    *n = 0;
    if (json_parse(&list, hosts, strlen(hosts), OCI_LABEL_INSTALL_HOSTS, err) < 0)
        return ISOL8_E_IMAGE;
    bool ok = add_pattern(out, n, strdup("(?!)")); /* matches nothing */
    cJSON_ArrayForEach(item, list)
    {
        const char *host = cJSON_GetStringValue(item);
        if (ok && host != NULL && *n < PACKAGE_HOSTS_MAX)
            ok = add_pattern(out, n, exact_pattern(host, strlen(host)));
    }
    for (size_t i = 0; ok && i < n_names && *n < PACKAGE_HOSTS_MAX; i++) {
        if (!is_address(names[i]))
            continue;
        const char *host = names[i] + strlen(ADDRESS);
        ok = add_pattern(out, n, exact_pattern(host, strspn(host, ALNUM ".-")));
    }
    if (ok)
        return 0;
    packages_patterns_done(out, *n);
    return err_nomem(err);
}

void packages_patterns_done(char **patterns, size_t n)
{
    while (n > 0)
        free(patterns[--n]);
}

/* @list with the package hosts added; an empty one stays so: it lets every host through, and adding
 * some would forbid the others. NULL: no memory. */
static const char **with_hosts(char *const *list, size_t n_list, char *const *hosts, size_t *n)
{
    const char **out = calloc(n_list + *n + 1, sizeof(*out));

    if (out == NULL)
        return NULL;
    for (size_t i = 0; i < n_list; i++)
        out[i] = list[i];
    for (size_t i = 0; i < *n; i++)
        out[n_list + i] = hosts[i];
    *n = n_list == 0 ? 0 : n_list + *n;
    return out;
}

int packages_rules(const struct isol8_engine *e, const struct oci_image *image,
                   struct proxy_rules **out, isol8_error *err)
{
    const char *label = oci_image_label(image, OCI_LABEL_INSTALL_HOSTS);
    char *patterns[PACKAGE_HOSTS_MAX];
    size_t n;

    int r = packages_patterns(label != NULL ? label : "[]", NULL, 0, patterns, &n, err);
    if (r < 0)
        return r;
    size_t n_allow = n, n_within = n;
    auto_free const char **allow = with_hosts(e->allow, e->n_allow, patterns, &n_allow);
    auto_free const char **within = with_hosts(e->allow_within, e->n_allow_within, patterns,
                                               &n_within);
    struct proxy_rules *rules = NULL;
    if (allow == NULL || within == NULL)
        r = err_nomem(err);
    if (r == 0)
        r = proxy_rules_new(&rules, "network.whitelist", allow, n_allow, "network.blacklist",
                            (const char *const *)e->deny, e->n_deny, err);
    if (r == 0)
        r = proxy_rules_bound(rules, "allow_within", within, n_within, err);
    packages_patterns_done(patterns, n);
    if (r < 0)
        proxy_rules_free(rules);
    else
        *out = rules;
    return r;
}
