/* SPDX-License-Identifier: Apache-2.0 */
/**
 * layer_apt.c - the host's Debian sources for an apt inside the image
 *
 * What apt needs to reach and to verify the archive that the host uses: the entries for Debian
 * itself, the keys and lists of mirrors they name, the keys that count for every entry, and the
 * settings without which an old snapshot is refused. Users and passwords stay behind, and so do the
 * host's proxies: a sandbox has its own.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "base/fd.h"
#include "base/mem.h"
#include "base/path.h"
#include "oci/apt_sources.h"
#include "oci/debian.h"
#include "oci/layer.h"
#include "oci/tar.h"
#include "oci/tree.h"

#define TRUSTED "/etc/apt/trusted.gpg.d"

enum { KEY_MAX = 1 << 20 }; /* bytes of one file with keys, or of one list of mirrors */

struct target {
    const char *dir; /* recipe.apt_sources */
    int tree_fd;
};

static int put(const struct target *t, const char *name, const struct buf *text, isol8_error *err)
{
    char path[PATH_MAX];

    if (text->failed)
        return err_set(err, ISOL8_E_LIMIT, "the host's apt configuration is too large");
    if (text->len == 0)
        return 0;
    (void)snprintf(path, sizeof(path), "%s/%s", t->dir, name);
    return tree_put_file(t->tree_fd, path, text->data, text->len, 0644, err);
}

/* At the same place as on the host, because the entries say so. */
static int copy_file(const char *path, void *user, isol8_error *err)
{
    const struct target *t = user;
    auto_buf struct buf raw = BUF_INIT(KEY_MAX), clean = BUF_INIT(KEY_MAX);

    if (!tar_name_ok(path + 1))
        return err_set(err, ISOL8_E_INVAL, "the host's apt source lists name '%.200s'", path);
    int r = path_read(AT_FDCWD, path, KEY_MAX, &raw, err);
    if (r < 0)
        return err_wrap(err, r, "named by the host's apt source lists");
    if (memchr(buf_text(&raw), '\0', raw.len) == NULL) /* text: it may be a list of mirrors */
        apt_without_users(buf_text(&raw), &clean);
    const struct buf *b = clean.len > 0 ? &clean : &raw;
    return tree_put_file(t->tree_fd, path + 1, buf_text(b), b->len, 0644, err);
}

/* Keys that verify every entry which names none. */
static int copy_trusted(struct target *t, isol8_error *err)
{
    int fd = open(TRUSTED, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
    const struct dirent *e;
    int r = 0;

    if (dir == NULL) {
        (void)fd_close(fd);
        return 0; /* absent: every entry names its keys */
    }
    while (r == 0 && (e = readdir(dir)) != NULL) {
        const char *dot = strrchr(e->d_name, '.');
        char path[PATH_MAX];
        if (dot == NULL || (strcmp(dot, ".gpg") != 0 && strcmp(dot, ".asc") != 0))
            continue; /* apt ignores other names */
        (void)snprintf(path, sizeof(path), TRUSTED "/%s", e->d_name);
        r = copy_file(path, t, err);
    }
    (void)closedir(dir);
    return r;
}

static int put_entries(struct target *t, const struct buf *entries, const char *name,
                       isol8_error *err)
{
    auto_buf struct buf text = BUF_INIT(APT_SOURCES_MAX);

    apt_without_users(buf_text(entries), &text);
    int r = put(t, name, &text, err);
    return r < 0 ? r : apt_named_files(buf_text(entries), copy_file, t, err);
}

int layer_add_apt(const struct layer_args *a, int tree_fd, isol8_error *err)
{
    static const char *const words[] = { "Check-Valid-Until", "Check-Date", "Max-FutureTime" };
    struct target t = { .dir = a->recipe->apt_sources, .tree_fd = tree_fd };
    auto_buf struct buf settings = BUF_INIT(KEY_MAX);
    char codename[APT_CODENAME_SIZE];
    struct apt_sources s;

    int r = apt_sources_find(&s, codename, err);
    if (r == 0)
        r = put_entries(&t, &s.list, "sources.list.d/host.list", err);
    if (r == 0)
        r = put_entries(&t, &s.stanzas, "sources.list.d/host.sources", err);
    if (r == 0)
        r = copy_trusted(&t, err);
    if (r == 0)
        r = debian_settings(words, ARRAY_LEN(words), &settings, a->build->cancel_fd, err);
    if (r == 0)
        r = put(&t, "apt.conf.d/host.conf", &settings, err);
    apt_sources_done(&s);
    return r;
}
