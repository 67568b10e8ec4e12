/* SPDX-License-Identifier: Apache-2.0 */
/* cache.c - fetched code by its SHA-256. */
#include "executor/remote/cache.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/hash.h"
#include "base/mem.h"
#include "base/path.h"

struct entry {
    char name[HASH_SHA256_HEX_SIZE];
    struct timespec mtime;
    uint64_t size;
};

struct listing {
    struct entry *all; /* owned */
    size_t n;
    uint64_t bytes;
};

static bool is_entry(const char *name)
{
    return strlen(name) == HASH_SHA256_HEX_SIZE - 1 &&
           strspn(name, "0123456789abcdef") == HASH_SHA256_HEX_SIZE - 1;
}

/* Return: the directory, or -1. */
static int open_dir(const struct remote_cache *c, bool make)
{
    auto_close int root = open(c->data_root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (root < 0)
        return -1;
    if (make && mkdirat(root, REMOTE_CACHE_DIR, 0700) < 0 && errno != EEXIST)
        return -1;
    return openat(root, REMOTE_CACHE_DIR, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

/* ---- Reading --------------------------------------------------------------------------------- */

static int64_t age_s(const struct timespec *mtime)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_REALTIME, &now);
    return now.tv_sec - mtime->tv_sec;
}

static bool is_what_it_says(const char *hash, const struct buf *data)
{
    char digest[HASH_SHA256_HEX_SIZE];

    return hash_sha256(buf_text(data), data->len, digest, NULL) == 0 && strcmp(digest, hash) == 0;
}

/* Time that lies ahead is no age: a clock was set back, and the entry may be as old as it likes. */
static bool is_fresh(const struct stat *st, int64_t ttl_s)
{
    int64_t age = age_s(&st->st_mtim);

    return age >= 0 && age < ttl_s;
}

bool remote_cache_get(const struct remote_cache *c, const char *hash, int64_t ttl_s,
                      uint64_t max_bytes, struct buf *out)
{
    auto_close int dir = open_dir(c, false);
    auto_close int fd = dir < 0 ? -1
                                : openat(dir, hash, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    struct stat st;

    if (fd < 0 || fstat(fd, &st) < 0)
        return false;
    if (S_ISREG(st.st_mode) && is_fresh(&st, ttl_s) && (uint64_t)st.st_size > max_bytes)
        return false; /* of another policy */
    buf_init(out, max_bytes);
    if (S_ISREG(st.st_mode) && is_fresh(&st, ttl_s) && fd_read_all(fd, out) == 0 &&
        is_what_it_says(hash, out))
        return true;
    buf_done(out);
    if (is_fresh(&st, ttl_s))
        log_warn(c->log, "remote: a cached file is not what its name says and is removed hash=%s",
                 hash);
    (void)path_remove_tree(dir, hash, NULL); /* what stays is found out again */
    return false;
}

/* ---- Writing --------------------------------------------------------------------------------- */

/* Temporary files of writers that died. */
static void remove_junk(int dir, const char *name, const struct stat *st)
{
    if (age_s(&st->st_mtim) > REMOTE_CACHE_JUNK_S)
        (void)path_remove_tree(dir, name, NULL);
}

static int list_entries(int dir_fd, struct listing *l)
{
    int copy = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = copy < 0 ? NULL : fdopendir(copy);
    const struct dirent *e;
    struct stat st;

    if (dir == NULL) {
        (void)fd_close(copy);
        return -1;
    }
    while ((e = readdir(dir)) != NULL) {
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0 ||
            fstatat(dir_fd, e->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
            continue;
        if (!is_entry(e->d_name)) {
            remove_junk(dir_fd, e->d_name, &st);
            continue;
        }
        struct entry *all = reallocarray(l->all, l->n + 1, sizeof(*all));
        if (all == NULL)
            break;
        l->all = all;
        struct entry *now = &all[l->n++];
        *now = (struct entry){ .mtime = st.st_mtim, .size = (uint64_t)st.st_size };
        memcpy(now->name, e->d_name, sizeof(now->name));
        l->bytes += now->size;
    }
    (void)closedir(dir);
    return 0;
}

static int by_age(const void *a, const void *b)
{
    const struct timespec *x = &((const struct entry *)a)->mtime;
    const struct timespec *y = &((const struct entry *)b)->mtime;

    if (x->tv_sec != y->tv_sec)
        return x->tv_sec < y->tv_sec ? -1 : 1;
    return x->tv_nsec < y->tv_nsec ? -1 : x->tv_nsec > y->tv_nsec;
}

/* Two processes that do this at once remove the same files, or a few more than needed. */
static void evict(int dir)
{
    struct listing l = { .n = 0 };
    size_t i = 0;

    if (list_entries(dir, &l) == 0 && l.n > 0) {
        qsort(l.all, l.n, sizeof(*l.all), by_age);
        for (; i < l.n && (l.bytes > REMOTE_CACHE_BYTES_MAX || l.n - i > REMOTE_CACHE_FILES_MAX);
             i++) {
            (void)path_remove_tree(dir, l.all[i].name, NULL);
            l.bytes -= l.all[i].size;
        }
    }
    free(l.all);
}

void remote_cache_put(const struct remote_cache *c, const char *hash, const void *data, size_t n)
{
    auto_close int dir = n > REMOTE_CACHE_BYTES_MAX ? -1 : open_dir(c, true);
    isol8_error err;

    if (dir < 0)
        return;
    if (path_replace(dir, hash, data, n, 0600, false, &err) < 0) {
        log_debug(c->log, "remote: nothing is cached: %s", err.msg);
        return;
    }
    evict(dir);
}

size_t remote_cache_clear(const struct remote_cache *c, bool is_dry)
{
    auto_close int fd = open_dir(c, false);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    const struct dirent *e;
    size_t n = 0;

    if (dir == NULL)
        return 0;
    int at = take_fd(&fd);
    while ((e = readdir(dir)) != NULL) {
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
            continue;
        if (is_dry || path_remove_tree(at, e->d_name, NULL) == 0)
            n++;
    }
    (void)closedir(dir);
    return n;
}
