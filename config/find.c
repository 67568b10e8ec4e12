/* SPDX-License-Identifier: Apache-2.0 */
/* find.c - which configuration file counts, and whether it can be trusted. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/mem.h"
#include "config/conf_internal.h"

void conf_places_init(struct conf_places *places)
{
    *places = (struct conf_places){
        .from_env = getenv("ISOL8_CONFIG"),
        .project = "isol8.config.json",
        .home = getenv("HOME"),
        .system = "/etc/isol8/config.json",
    };
}

void conf_file_done(struct conf_file *f)
{
    f->fd = fd_close(f->fd);
    free(f->path);
    f->path = NULL;
}

/* The name as an absolute path, for people; links are not resolved. */
static char *absolute(const char *name)
{
    char cwd[PATH_MAX], *path = NULL;

    if (name[0] == '/')
        return strdup(name);
    if (getcwd(cwd, sizeof(cwd)) == NULL)
        return strdup(name);
    if (asprintf(&path, "%s/%s", cwd, name) < 0)
        return NULL;
    return path;
}

/* Return: 1 when opened, 0 when there is no such file, or a status. */
static int try_open(struct conf_file *f, const char *name, bool is_required, isol8_error *err)
{
    /* O_NONBLOCK: a FIFO in somebody's repository must not hang us */
    int fd = open(name, O_RDONLY | O_CLOEXEC | O_NOCTTY | (is_required ? 0 : O_NONBLOCK));

    if (fd < 0 && !is_required && (errno == ENOENT || errno == ENOTDIR))
        return 0;
    if (fd < 0)
        return err_sys(err, errno, "%s", name);
    f->fd = fd;
    f->name = name;
    f->path = absolute(name);
    return f->path == NULL ? err_nomem(err) : 1;
}

/* A file that somebody else can change speaks for that somebody, not for the operator. */
static int check_owner(const struct conf_file *f, const struct stat *st, bool is_named,
                       isol8_error *err)
{
    if ((st->st_mode & S_IWOTH) != 0)
        return err_set(err, ISOL8_E_POLICY,
                       "%s: everybody may write this file; repair it with: chmod o-w %s", f->path,
                       f->path);
    if (!is_named && st->st_uid != 0 && st->st_uid != geteuid())
        return err_set(err, ISOL8_E_POLICY,
                       "%s: belongs to user %u, neither to you nor to root; name it with --config "
                       "if you trust it",
                       f->path, (unsigned)st->st_uid);
    return 0;
}

static int check_file(struct conf_file *f, bool is_named, isol8_error *err)
{
    struct stat st;

    if (fstat(f->fd, &st) < 0)
        return err_sys(err, errno, "%s", f->name);
    f->is_regular = S_ISREG(st.st_mode);
    if (S_ISDIR(st.st_mode) || (!is_named && !f->is_regular))
        return err_set(err, ISOL8_E_INVAL, "%s: is not a regular file", f->name);
    if (f->is_project || !f->is_regular)
        return 0;
    return check_owner(f, &st, is_named, err);
}

static int open_place(struct conf_file *f, const char *name, bool is_named, isol8_error *err)
{
    int r;

    if (name == NULL || name[0] == '\0')
        return 0;
    r = try_open(f, name, is_named, err);
    if (r <= 0)
        return r;

    r = check_file(f, is_named, err);
    return r < 0 ? r : 1;
}

static int open_home(struct conf_file *f, const char *home, isol8_error *err)
{
    auto_free char *name = NULL;
    int r;

    if (home == NULL || home[0] == '\0')
        return 0;
    if (asprintf(&name, "%s/.isol8/config.json", home) < 0)
        return err_nomem(err);
    r = open_place(f, name, false, err);
    f->name = f->path; /* @name goes away */
    return r;
}

static int open_first(struct conf_file *f, const struct conf_places *places, isol8_error *err)
{
    int r;

    if (places->named != NULL)
        return open_place(f, places->named, true, err);
    r = open_place(f, places->from_env, true, err);
    if (r != 0)
        return r < 0 ? err_wrap(err, r, "ISOL8_CONFIG") : r;

    f->is_project = true;
    r = open_place(f, places->project, false, err);
    if (r != 0)
        return r;

    f->is_project = false;
    r = open_home(f, places->home, err);
    if (r != 0)
        return r;
    return open_place(f, places->system, false, err);
}

int conf_find(struct conf_file *out, const struct conf_places *places, isol8_error *err)
{
    struct conf_file f = CONF_FILE_INIT;
    int r = open_first(&f, places, err);

    if (r < 0) {
        conf_file_done(&f);
        return r;
    }
    *out = f;
    return 0;
}
