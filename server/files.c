/* SPDX-License-Identifier: Apache-2.0 */
/**
 * files.c - POST /file and GET /file
 *
 * As JSON the content is base64 and in memory, as in the original. As application/octet-stream it
 * goes through a pipe: one end belongs to a thread that makes the library's one blocking call, the
 * other to the connection's thread, so that a file of any size takes 64 KiB.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "base/err.h"
#include "base/fd.h"
#include "base/mem.h"
#include "base/text.h"
#include "server/order.h"
#include "server/srv.h"

#define RAW_TYPE "application/octet-stream"
#define PATH_BYTES_MAX 4095

static int no_session(struct srv_fault *f)
{
    return srv_fault_set(f, 404, NULL, "Session not found");
}

/* The engine says with ISOL8_E_INVAL what is wrong with a path: there is no such file, or it is
 * none that can be read. */
static int not_found(struct srv_fault *f, const isol8_error *err)
{
    if (err->status == ISOL8_E_INVAL || err->status == ISOL8_E_STATE)
        return srv_fault_set(f, 404, NULL, "File not found");
    return srv_fault_of_error(f, err);
}

static int check_path(const char *path, const char *field, struct srv_fault *f)
{
    if (path == NULL || path[0] == '\0')
        return srv_fault_set(f, 400, field, "%s: is required", field);
    if (strlen(path) > PATH_BYTES_MAX)
        return srv_fault_set(f, 400, field, "%s: longer than %d bytes", field, PATH_BYTES_MAX);
    return 0;
}

/* ---- Base64 in JSON -------------------------------------------------------------------------- */

static int put_json(struct srv_call *c, const cJSON *j, struct srv_session **s, struct srv_fault *f)
{
    const char *id = json_string(j, "sessionId");
    const char *path = json_string(j, "path");
    const char *content = json_string(j, "content");
    auto_free void *data = NULL;
    size_t size = 0;
    isol8_error err;

    *s = id == NULL ? NULL : srv_sessions_find(c->srv->sessions, &c->who, id);
    if (*s == NULL)
        return no_session(f);
    if (check_path(path, "path", f) < 0)
        return -1;
    if (content == NULL)
        return srv_fault_set(f, 400, "content", "content: expected string in base64");
    if (srv_base64_decode(content, &data, &size) < 0)
        return srv_fault_set(f, 400, "content", "content: is not valid base64");
    if (isol8_put_file(srv_session_engine(*s), path, data, size, &err) < 0)
        return srv_fault_of_error(f, &err);
    return 0;
}

void srv_post_file(struct srv_call *c)
{
    auto_json cJSON *j = NULL;
    struct srv_session *s = NULL;
    struct srv_fault f;

    int r = srv_json_object(&j, buf_text(&c->body), c->body.len, &f);
    if (r == 0)
        r = put_json(c, j, &s, &f);
    srv_sessions_put(c->srv->sessions, s, false, r == 0);
    if (r < 0)
        srv_reply_fault(c, &f);
    else
        srv_reply_text(c, 200, "application/json", "{\"ok\":true}");
}

static void reply_content(struct srv_call *c, const void *data, size_t size)
{
    static const char head[] = "{\"content\":\"", tail[] = "\"}";

    srv_reply_text(c, 200, "application/json", head);
    if (!text_base64(data, size, &c->reply.body) || !buf_adds(&c->reply.body, tail))
        srv_reply_text(c, 500, "application/json", "{\"error\":\"out of memory\"}");
}

/* ---- Raw, through a pipe --------------------------------------------------------------------- */

struct transfer {
    struct srv *srv;
    struct srv_session *session;
    char *path;
    int fd;       /* the connection's end of the pipe */
    int other_fd; /* the thread's */
    bool is_put;
    pthread_t thread;
    bool has_thread;
    int status; /* of the library's call, once the thread has ended */
    isol8_error error;
    char first[4096]; /* read ahead, to know whether there is anything */
    size_t n_first, used_first;
};

static void *run_transfer(void *user)
{
    struct transfer *t = user;
    isol8_engine *engine = srv_session_engine(t->session);

    t->status = t->is_put ? isol8_put_file_fd(engine, t->path, t->other_fd, &t->error)
                          : isol8_get_file_fd(engine, t->path, t->other_fd, &t->error);
    t->other_fd = fd_close(t->other_fd);
    return NULL;
}

static void transfer_join(struct transfer *t)
{
    t->fd = fd_close(t->fd);
    if (t->has_thread)
        (void)pthread_join(t->thread, NULL);
    t->has_thread = false;
}

static void transfer_free(void *user)
{
    struct transfer *t = user;

    if (t == NULL)
        return;
    transfer_join(t);
    (void)fd_close(t->other_fd);
    srv_sessions_put(t->srv->sessions, t->session, false, t->status == 0);
    free(t->path);
    free(t);
}

static int start(struct transfer *t, struct srv_fault *f)
{
    int ends[2];

    if (pipe2(ends, O_CLOEXEC) < 0)
        return srv_fault_set(f, 500, NULL, "cannot make a pipe");
    t->fd = ends[t->is_put ? 1 : 0];
    t->other_fd = ends[t->is_put ? 0 : 1];
    t->has_thread = pthread_create(&t->thread, NULL, run_transfer, t) == 0;
    return t->has_thread ? 0 : srv_fault_set(f, 500, NULL, "cannot start a thread");
}

static int transfer_new(struct srv_call *c, bool is_put, struct transfer **out, struct srv_fault *f)
{
    const char *id = srv_query(c, "sessionId");
    const char *path = srv_query(c, "path");

    if (id == NULL || path == NULL)
        return srv_fault_set(f, 400, id == NULL ? "sessionId" : "path",
                             "Missing sessionId or path");
    if (check_path(path, "path", f) < 0)
        return -1;
    struct srv_session *s = srv_sessions_find(c->srv->sessions, &c->who, id);
    if (s == NULL)
        return no_session(f);
    struct transfer *t = calloc(1, sizeof(*t));
    if (t == NULL) {
        srv_sessions_put(c->srv->sessions, s, false, false);
        return srv_fault_set(f, 500, NULL, "out of memory");
    }
    *t = (struct transfer){ .srv = c->srv,
                            .session = s,
                            .fd = -1,
                            .other_fd = -1,
                            .is_put = is_put,
                            .status = ISOL8_E_CANCELLED };
    t->path = strdup(path);
    int r = t->path == NULL ? srv_fault_set(f, 500, NULL, "out of memory") : start(t, f);
    if (r < 0) {
        transfer_free(t);
        return r;
    }
    *out = t;
    return 0;
}

/* What cannot be written any more is the library's refusal, which finish() reports. */
static int raw_take(struct srv_call *c, const char *data, size_t n)
{
    struct transfer *t = c->sink_state;

    while (n > 0) {
        ssize_t done = fd_write_nosigpipe(t->fd, data, n);
        if (done == -EINTR)
            continue;
        if (done < 0)
            return -1;
        data += done;
        n -= (size_t)done;
    }
    return 0;
}

static void raw_finish(struct srv_call *c)
{
    struct transfer *t = c->sink_state;

    transfer_join(t);
    if (t->status < 0)
        srv_reply_error(c, &t->error);
    else
        srv_reply_text(c, 200, "application/json", "{\"ok\":true}");
    transfer_free(t);
    c->sink_state = NULL;
}

static void raw_abandon(struct srv_call *c)
{
    transfer_free(take_ptr(&c->sink_state));
}

static bool is_raw(const char *type)
{
    size_t n = sizeof(RAW_TYPE) - 1;

    return type != NULL && strncasecmp(type, RAW_TYPE, n) == 0 &&
           strchr(" \t;", type[n]) != NULL; /* the end of the string, too */
}

const struct srv_sink *srv_post_file_sink(struct srv_call *c)
{
    static const struct srv_sink sink = { raw_take, raw_finish, raw_abandon };
    struct transfer *t = NULL;
    struct srv_fault f;

    if (!is_raw(srv_header(c, "Content-Type")))
        return NULL;
    if (transfer_new(c, true, &t, &f) < 0) {
        srv_reply_fault(c, &f);
        return NULL;
    }
    c->sink_state = t;
    return &sink;
}

static ssize_t raw_read(void *user, char *out, size_t max)
{
    struct transfer *t = user;
    size_t left = t->n_first - t->used_first;

    if (left > 0) {
        size_t n = left < max ? left : max;
        memcpy(out, t->first + t->used_first, n);
        t->used_first += n;
        return (ssize_t)n;
    }
    for (;;) {
        ssize_t n = read(t->fd, out, max);
        if (n < 0 && errno == EINTR)
            continue;
        if (n > 0)
            return n;
        transfer_join(t);
        return n == 0 && t->status == 0 ? 0 : -1;
    }
}

static void reply_raw(struct srv_call *c)
{
    struct transfer *t = NULL;
    struct srv_fault f;

    if (transfer_new(c, false, &t, &f) < 0) {
        srv_reply_fault(c, &f);
        return;
    }
    ssize_t n = raw_read(t, t->first, sizeof(t->first));
    if (n < 0) {
        (void)not_found(&f, &t->error);
        srv_reply_fault(c, &f);
        transfer_free(t);
        return;
    }
    t->n_first = (size_t)n;
    c->reply.status = 200;
    c->reply.type = RAW_TYPE;
    c->reply.source = (struct srv_source){ raw_read, transfer_free, t };
}

void srv_get_file(struct srv_call *c)
{
    const char *id = srv_query(c, "sessionId");
    const char *path = srv_query(c, "path");
    auto_free void *data = NULL;
    size_t size = 0;
    struct srv_fault f;
    isol8_error err;

    if (is_raw(srv_header(c, "Accept"))) {
        reply_raw(c);
        return;
    }
    if (id == NULL || path == NULL || id[0] == '\0' || path[0] == '\0') {
        (void)srv_fault_set(&f, 400, id == NULL || id[0] == '\0' ? "sessionId" : "path",
                            "Missing sessionId or path");
        srv_reply_fault(c, &f);
        return;
    }
    struct srv_session *s = srv_sessions_find(c->srv->sessions, &c->who, id);
    int r = s == NULL ? no_session(&f) : check_path(path, "path", &f);
    if (r == 0 && isol8_get_file(srv_session_engine(s), path, &data, &size, &err) < 0)
        r = not_found(&f, &err);
    srv_sessions_put(c->srv->sessions, s, false, r == 0);
    if (r < 0)
        srv_reply_fault(c, &f);
    else
        reply_content(c, data, size);
}
