/* SPDX-License-Identifier: Apache-2.0 */
/**
 * debian.c - Debian packages unpacked by mmdebstrap
 *
 * "--variant=extract" resolves, downloads and verifies with apt, and unpacks with dpkg-deb; nothing
 * of a package is run. The host's source lists are filtered first, because third-party archives
 * would only slow the build down or break it.
 */
#include "oci/debian.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/mem.h"
#include "base/path.h"
#include "oci/apt_sources.h"

enum {
    APT_CONF_MAX = 256 * 1024,
    TAIL_MAX = 2048, /* of mmdebstrap's output, for the error message */
    ENV_MAX = 512,
};

extern char **environ;

/* With a merged /usr a file has one path, however its package names it. */
#define MERGED_USR                                                                                 \
    "for d in bin sbin lib lib64; do mkdir -p \"$1/usr/$d\" && ln -s \"usr/$d\" \"$1/$d\"; done"

/* debian_args.list; the archives are still there. Files are known by their checksums, which are
 * found without unpacking anything. */
#define DESCRIBE                                                                                   \
    "set -e; cd \"$1\"; mkdir -p \"$(dirname %s)\"; "                                              \
    "for f in var/cache/apt/archives/*.deb; do "                                                   \
    "dpkg-deb -f \"$f\" Package Version Architecture Multi-Arch Provides; "                        \
    "dpkg-deb -I \"$f\" md5sums 2>/dev/null | sed 's/^/ /'; echo; done >%s"

/* ---- apt's configuration --------------------------------------------------------------------- */

struct selection {
    const char *const *words;
    size_t n;
    struct buf *out;
};

static void keep_setting(const char *line, void *user)
{
    const struct selection *s = user;

    if (strncmp(line, "Acquire::", 9) != 0 || strstr(line, " \"\";") != NULL)
        return;
    for (size_t i = 0; i < s->n; i++) {
        if (strcasestr(line, s->words[i]) != NULL) {
            (void)buf_addf(s->out, "%s\n", line);
            return;
        }
    }
}

int debian_settings(const char *const *words, size_t n, struct buf *out, int cancel_fd,
                    isol8_error *err)
{
    static const char *const argv[] = { "apt-config", "dump", "Acquire", NULL };
    struct selection selection = { .words = words, .n = n, .out = out };
    struct proc_args p = PROC_ARGS_INIT;

    p.file = argv[0];
    p.argv = argv;
    int r = proc_run(&p, keep_setting, &selection, NULL, cancel_fd, err);
    if (r < 0)
        return r;
    return out->failed ? err_set(err, ISOL8_E_LIMIT, "the host's apt configuration is too large")
                       : 0;
}

/* Settings of the host that decide whether the archive can be reached at all; the rest is
 * mmdebstrap's business. */
static int write_apt_conf(const struct debian_args *a, isol8_error *err)
{
    static const char *const words[] = {
        "Proxy",  "Check-Valid-Until", "Check-Date", "Verify-", "CaInfo", "CaPath", "SslCert",
        "SslKey", "Timeout",           "Retries",    "ForceIPv"
    };
    auto_buf struct buf conf = BUF_INIT(APT_CONF_MAX);

    (void)buf_adds(&conf, "Dir::Etc::netrc \"/etc/apt/auth.conf\";\n"
                          "Dir::Etc::netrcparts \"/etc/apt/auth.conf.d\";\n");
    int r = debian_settings(words, ARRAY_LEN(words), &conf, a->cancel_fd, err);
    if (r < 0)
        return r;
    /* 0600: it may hold a proxy's password. */
    return path_replace(a->tmp_fd, "apt.conf", conf.data, conf.len, 0600, false, err);
}

/* ---- mmdebstrap ------------------------------------------------------------------------------ */

struct command {
    char tree[PATH_MAX];
    char list[PATH_MAX];
    char stanzas[PATH_MAX];
    char aptopt[PATH_MAX];
    char tmpdir[PATH_MAX];
    char describe[1024];
    char *include; /* owned */
    const char *argv[24];
    const char *env[ENV_MAX + 4];
};

static int build_include(struct command *c, const struct debian_args *a, isol8_error *err)
{
    auto_buf struct buf b = BUF_INIT(APT_CONF_MAX);

    (void)buf_adds(&b, "--include=");
    for (size_t i = 0; i < a->n_packages; i++)
        (void)buf_addf(&b, "%s%s", i > 0 ? "," : "", a->packages[i]);
    c->include = buf_take(&b);
    return c->include != NULL ? 0 : err_nomem(err);
}

static void build_env(struct command *c, const char *tmp_path)
{
    size_t n = 0;

    for (char **e = environ; *e != NULL && n < ENV_MAX; e++) {
        if (strncmp(*e, "TMPDIR=", 7) != 0 && strncmp(*e, "LC_ALL=", 7) != 0 &&
            strncmp(*e, "SOURCE_DATE_EPOCH=", 18) != 0)
            c->env[n++] = *e;
    }
    (void)snprintf(c->tmpdir, sizeof(c->tmpdir), "TMPDIR=%s", tmp_path);
    c->env[n++] = c->tmpdir;
    c->env[n++] = "LC_ALL=C.UTF-8"; /* its messages are shown */
    c->env[n] = NULL;
}

static int write_sources(struct command *c, const struct debian_args *a,
                         const struct apt_sources *s, size_t *argc, isol8_error *err)
{
    int r = 0;

    if (s->list.len > 0) {
        (void)snprintf(c->list, sizeof(c->list), "%s/host.list", a->tmp_path);
        c->argv[(*argc)++] = c->list;
        r = path_replace(a->tmp_fd, "host.list", s->list.data, s->list.len, 0600, false, err);
    }
    if (r == 0 && s->stanzas.len > 0) {
        (void)snprintf(c->stanzas, sizeof(c->stanzas), "%s/host.sources", a->tmp_path);
        c->argv[(*argc)++] = c->stanzas;
        r = path_replace(a->tmp_fd, "host.sources", s->stanzas.data, s->stanzas.len, 0600, false,
                         err);
    }
    return r;
}

static int build_command(struct command *c, const struct debian_args *a,
                         const struct apt_sources *s, const char *codename, isol8_error *err)
{
    size_t n = 0;

    (void)snprintf(c->tree, sizeof(c->tree), "%s/%s", a->tmp_path, a->tree);
    (void)snprintf(c->aptopt, sizeof(c->aptopt), "--aptopt=%s/apt.conf", a->tmp_path);
    build_env(c, a->tmp_path);
    int r = build_include(c, a, err);
    if (r < 0)
        return r;
    /* A process namespace of its own: whatever ends this process also ends all of mmdebstrap. */
    c->argv[n++] = "unshare";
    c->argv[n++] = "--pid";
    c->argv[n++] = "--fork";
    c->argv[n++] = "--kill-child";
    c->argv[n++] = "--mount-proc";
    c->argv[n++] = "mmdebstrap";
    c->argv[n++] = "--mode=root";
    c->argv[n++] = "--variant=extract";
    c->argv[n++] = "--format=directory";
    c->argv[n++] = c->aptopt;
    c->argv[n++] = "--setup-hook=" MERGED_USR;
    if (a->list != NULL) {
        (void)snprintf(c->describe, sizeof(c->describe), "--extract-hook=" DESCRIBE, a->list,
                       a->list);
        c->argv[n++] = c->describe;
    }
    c->argv[n++] = c->include;
    c->argv[n++] = codename;
    c->argv[n++] = c->tree;
    r = write_sources(c, a, s, &n, err);
    c->argv[n] = NULL;
    return r;
}

/* The lines of the tail that say why. */
static const char *first_error(const struct buf *tail)
{
    const char *e = strstr(buf_text(tail), "E: ");

    return e != NULL ? e + 3 : buf_text(tail);
}

static int die_with_parent(void *user, const char **what)
{
    const pid_t *parent = user;

    *what = "follow the parent";
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
        return -errno;
    return getppid() == *parent ? 0 : -ESRCH; /* it died just before */
}

static int run_command(const struct command *c, const struct debian_args *a, isol8_error *err)
{
    auto_buf struct buf tail = BUF_INIT(TAIL_MAX);
    struct proc_args p = PROC_ARGS_INIT;
    pid_t self = getpid();
    isol8_error why;

    p.file = c->argv[0];
    p.argv = c->argv;
    p.envp = c->env;
    p.new_mount_ns = true; /* what it mounts for itself goes with it, whatever ends it */
    p.prepare = die_with_parent;
    p.user = &self;
    int r = proc_run(&p, a->line, a->user, &tail, a->cancel_fd, &why);
    if (r == 127 && strstr(buf_text(&tail), "failed to execute mmdebstrap") != NULL)
        return err_set(err, ISOL8_E_UNSUPPORTED,
                       "mmdebstrap is not installed (apt-get install mmdebstrap)");
    if (r < 0) {
        if (err != NULL)
            *err = why;
        return r;
    }
    if (r > 0) {
        const char *reason = first_error(&tail);
        if (strstr(buf_text(&tail), strerrordesc_np(ENOSPC)) != NULL)
            return err_sys(err, ENOSPC, "cannot unpack Debian packages in '%s'", a->tmp_path);
        return err_set(err, ISOL8_E_NETWORK, "mmdebstrap failed: %.*s", (int)strcspn(reason, "\n"),
                       reason);
    }
    return 0;
}

int debian_extract(const struct debian_args *args, isol8_error *err)
{
    struct apt_sources s;
    char codename[APT_CODENAME_SIZE];
    auto_free struct command *c = calloc(1, sizeof(*c));

    int r = apt_sources_find(&s, codename, err);
    if (r == 0 && c == NULL)
        r = err_nomem(err);
    if (r == 0)
        r = write_apt_conf(args, err);
    if (r == 0)
        r = build_command(c, args, &s, codename, err);
    if (r == 0)
        r = run_command(c, args, err);
    if (c != NULL)
        free(c->include);
    apt_sources_done(&s);
    return r;
}
