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
      .others = ALNUM "@/._-^~=:+",
      .command = { "deno", "cache" },
      .env = { { "DENO_DIR", "/sandbox/.deno" } } },
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

/* "^name$" with every byte that means something to a pattern escaped. */
static char *exact_pattern(const char *host)
{
    auto_buf struct buf b = BUF_INIT(1024);

    (void)buf_adds(&b, "^");
    for (; *host != '\0'; host++) {
        if (strchr(ALNUM "-", *host) == NULL)
            (void)buf_adds(&b, "\\");
        (void)buf_add(&b, host, 1);
    }
    (void)buf_adds(&b, "$");
    return buf_take(&b);
}

int packages_rules(const struct isol8_engine *e, const struct oci_image *image,
                   struct proxy_rules **out, isol8_error *err)
{
    auto_json cJSON *hosts = NULL;
    const char *label = oci_image_label(image, OCI_LABEL_INSTALL_HOSTS);
    char *patterns[PACKAGE_HOSTS_MAX];
    size_t n = 0;
    const cJSON *item;

    if (label != NULL && json_parse(&hosts, label, strlen(label), OCI_LABEL_INSTALL_HOSTS, err) < 0)
        return ISOL8_E_IMAGE;
    const char **allow = calloc(e->n_allow + PACKAGE_HOSTS_MAX, sizeof(*allow));
    if (allow == NULL)
        return err_nomem(err);
    for (size_t i = 0; i < e->n_allow; i++)
        allow[i] = e->allow[i];
    cJSON_ArrayForEach(item, hosts)
    {
        const char *host = cJSON_GetStringValue(item);
        if (host != NULL && n < PACKAGE_HOSTS_MAX && (patterns[n] = exact_pattern(host)) != NULL) {
            allow[e->n_allow + n] = patterns[n];
            n++;
        }
    }
    /* An empty allow list already allows every host: adding some would forbid the others. */
    int r = proxy_rules_new(out, "network.whitelist", allow, e->n_allow == 0 ? 0 : e->n_allow + n,
                            "network.blacklist", (const char *const *)e->deny, e->n_deny, err);
    while (n > 0)
        free(patterns[--n]);
    free(allow);
    return r;
}
