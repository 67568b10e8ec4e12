/* SPDX-License-Identifier: Apache-2.0 */
/* session.c - the one sandbox of an engine in persistent mode. */
#include "executor/session.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/mem.h"
#include "executor/failpoint.h"
#include "executor/packages.h"
#include "executor/transfer.h"

static struct session *session_new(struct isol8_host *h)
{
    struct session *s = calloc(1, sizeof(*s));

    if (s == NULL)
        return NULL;
    s->host = h;
    s->refs = 1;
    (void)pthread_mutex_init(&s->mutex, NULL);
    return s;
}

int session_hold(struct isol8_engine *e, struct session **out, isol8_error *err)
{
    (void)pthread_mutex_lock(&e->mutex);
    if (e->session == NULL)
        e->session = session_new(e->host);
    struct session *s = e->session;
    if (s != NULL)
        __atomic_add_fetch(&s->refs, 1, __ATOMIC_RELAXED);
    (void)pthread_mutex_unlock(&e->mutex);
    *out = s;
    return s == NULL ? err_nomem(err) : 0;
}

static void free_staged(struct session *s)
{
    while (s->staged != NULL) {
        struct session_file *f = s->staged;
        s->staged = f->next;
        (void)fd_close(f->fd);
        free(f->path);
        free(f);
    }
}

void session_release(struct session *s)
{
    if (s == NULL || __atomic_sub_fetch(&s->refs, 1, __ATOMIC_ACQ_REL) > 0)
        return;
    exec_sandbox_free(s->sandbox);
    free_staged(s);
    proxy_rules_free(s->install_rules);
    free(s->image);
    free(s->leftovers);
    (void)pthread_mutex_destroy(&s->mutex);
    free(s);
}

int session_end(struct isol8_engine *e, isol8_error *err)
{
    int r = 0;

    (void)pthread_mutex_lock(&e->mutex);
    struct session *s = take_ptr(&e->session);
    (void)pthread_mutex_unlock(&e->mutex);
    if (s == NULL)
        return 0;
    (void)pthread_mutex_lock(&s->mutex);
    s->is_over = true;
    if (s->sandbox != NULL && s->sandbox->state != SANDBOX_GONE) {
        exec_sandbox_close(s->sandbox);
        failpoint("session-closed");
        r = exec_sandbox_remove(s->sandbox, err);
    }
    (void)pthread_mutex_unlock(&s->mutex);
    session_release(s);
    return r;
}

bool session_lock(struct session *s)
{
    (void)pthread_mutex_lock(&s->mutex);
    if (!s->is_over && s->sandbox != NULL)
        return true;
    (void)pthread_mutex_unlock(&s->mutex);
    return false;
}

void session_unlock(struct session *s)
{
    (void)pthread_mutex_unlock(&s->mutex);
}

/* ---- The sandbox --------------------------------------------------------------------------- */

/* The caller holds the lock. */
static int put_staged(struct session *s, isol8_error *err)
{
    int r = 0;

    if (s->staged == NULL)
        return 0;
    auto_close int channel = exec_sandbox_channel(s->sandbox, err);
    if (channel < 0)
        return channel;
    for (struct session_file *f = s->staged; r == 0 && f != NULL; f = f->next) {
        r = lseek(f->fd, 0, SEEK_SET) < 0 ? err_sys(err, errno, "cannot read a staged file") : 0;
        if (r == 0)
            r = transfer_put(channel, f->path, f->fd, err);
    }
    free_staged(s);
    return r;
}

static int make_sandbox(struct session *s, const struct exec_plan *p, isol8_error *err)
{
    s->image = strdup(p->image);
    if (s->image == NULL)
        return err_nomem(err);
    int r = exec_sandbox_create(&s->sandbox, s->host, &p->sandbox, err);
    if (r == 0)
        r = exec_sandbox_wait_ready(s->sandbox, failpoint_ms(SESSION_START_MS), err);
    if (r == 0)
        r = exec_sandbox_take(s->sandbox, &p->limits, err);
    if (r == 0)
        r = put_staged(s, err);
    if (r < 0) { /* the next execution tries again, with its own runtime */
        exec_sandbox_free(s->sandbox);
        s->sandbox = NULL;
        free(take_ptr(&s->image));
        return r;
    }
    s->runtime = p->runtime;
    failpoint("session-made");
    return 0;
}

int session_enter(struct session *s, const struct exec_plan *p, isol8_error *err)
{
    int r = 0;

    (void)pthread_mutex_lock(&s->mutex);
    if (s->is_over)
        r = err_set(err, ISOL8_E_STATE, "the session was stopped");
    else if (s->sandbox == NULL)
        r = make_sandbox(s, p, err);
    else if (s->runtime != p->runtime)
        r = err_set(err, ISOL8_E_INVAL,
                    "Cannot switch runtime from \"%s\" to \"%s\". Each persistent container "
                    "supports a single runtime. Create a new Isol8 instance for a different "
                    "runtime.",
                    s->runtime->name, p->runtime->name);
    (void)pthread_mutex_unlock(&s->mutex);
    return r;
}

int session_image(struct session *s, char **out, isol8_error *err)
{
    (void)pthread_mutex_lock(&s->mutex);
    bool has_one = s->image != NULL;
    *out = mem_strdup(s->image);
    (void)pthread_mutex_unlock(&s->mutex);
    return has_one && *out == NULL ? err_nomem(err) : 0;
}

int session_channel(struct session *s, isol8_error *err)
{
    if (!session_lock(s))
        return err_set(err, ISOL8_E_STATE, "the session was stopped");
    int fd = exec_sandbox_channel(s->sandbox, err);
    session_unlock(s);
    if (fd == ISOL8_E_STATE)
        return err_set(err, ISOL8_E_STATE,
                       "the session's sandbox has ended; stop() the engine to begin a new one");
    return fd;
}

/* Empty cgroups can be removed; those with background processes are tried again each time. */
void session_exec_over(struct session *s, unsigned number)
{
    size_t n = 0;

    if (!session_lock(s))
        return;
    unsigned *all = reallocarray(s->leftovers, s->n_leftovers + 1, sizeof(*all));
    if (all != NULL) { /* else this one stays until the session ends */
        s->leftovers = all;
        all[s->n_leftovers++] = number;
        for (size_t i = 0; i < s->n_leftovers; i++) {
            if (!cgroup_exec_remove(&s->sandbox->cgroup, all[i]))
                all[n++] = all[i];
        }
        s->n_leftovers = n;
    }
    session_unlock(s);
}

int session_open_packages(struct session *s, const struct isol8_engine *e, isol8_error *err)
{
    int r = 0;

    if (!session_lock(s))
        return err_set(err, ISOL8_E_STATE, "the session was stopped");
    if (s->install_rules == NULL)
        r = packages_rules(e, &s->sandbox->image, &s->install_rules, err);
    if (r == 0 && s->installs++ == 0)
        proxy_set_rules(s->sandbox->link.client, s->install_rules);
    session_unlock(s);
    return r;
}

void session_close_packages(struct session *s, const struct isol8_engine *e)
{
    if (!session_lock(s))
        return;
    if (--s->installs == 0)
        proxy_set_rules(s->sandbox->link.client, e->rules);
    session_unlock(s);
}

int64_t session_stamp_ms(struct session *s)
{
    int64_t now = clock_wall_ms();

    (void)pthread_mutex_lock(&s->mutex);
    s->last_ms = now > s->last_ms ? now : s->last_ms + 1;
    now = s->last_ms;
    (void)pthread_mutex_unlock(&s->mutex);
    return now;
}

/* ---- Files put before the first execution -------------------------------------------------- */

static int copy_to_memory(int from, uint64_t room, uint64_t *bytes, isol8_error *err)
{
    char chunk[65536];
    auto_close int fd = fd_memfd("isol8-staged", "", 0);
    ssize_t n = 0;

    if (fd < 0)
        return err_sys(err, -fd, "cannot create a memory file");
    *bytes = 0;
    while ((n = read(from, chunk, sizeof(chunk))) > 0 || (n < 0 && errno == EINTR)) {
        if (n < 0)
            continue;
        *bytes += (uint64_t)n;
        if (*bytes > room)
            return err_set(err, ISOL8_E_LIMIT,
                           "files put before the first execution are larger than %d bytes",
                           SESSION_STAGED_BYTES_MAX);
        int w = fd_write_all(fd, chunk, (size_t)n);
        if (w < 0)
            return err_sys(err, -w, "cannot keep a file in memory");
    }
    if (n < 0)
        return err_sys(err, errno, "cannot read the file to put");
    return take_fd(&fd);
}

static int add_staged(struct session *s, const char *path, int fd, isol8_error *err)
{
    struct session_file **end = &s->staged;
    struct session_file *f = calloc(1, sizeof(*f));

    if (f == NULL || (f->path = strdup(path)) == NULL) {
        free(f);
        return err_nomem(err);
    }
    f->fd = fd;
    while (*end != NULL)
        end = &(*end)->next;
    *end = f;
    return 1;
}

int session_stage(struct session *s, const char *path, int fd, isol8_error *err)
{
    uint64_t bytes;

    (void)pthread_mutex_lock(&s->mutex);
    int r = s->sandbox != NULL || s->is_over
                ? 0
                : copy_to_memory(fd, SESSION_STAGED_BYTES_MAX - s->staged_bytes, &bytes, err);
    if (r > 0) {
        int own = r;
        s->staged_bytes += bytes;
        r = add_staged(s, path, own, err);
        if (r < 0)
            (void)fd_close(own);
    }
    (void)pthread_mutex_unlock(&s->mutex);
    return r;
}
