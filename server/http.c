/* SPDX-License-Identifier: Apache-2.0 */
/**
 * http.c - HTTP/1.1 on listening sockets, by libmicrohttpd
 *
 * Theory of operation. libmicrohttpd gives every connection a thread, on which it reads the head,
 * calls on_request() for head, body and end, and writes the answer. A handler may therefore block
 * on its execution. The library's own idle timeout is not used: it would also count the time that
 * a handler takes. Instead each connection has a deadline, set where its phase changes and taken
 * away while we are at work, and one thread that shuts down the sockets of those that are late: the
 * library then sees the end of the connection and cleans up as for a client that left. A deadline
 * grows with the bytes that have come or are to go, so a trickle does not extend it.
 *
 * A connection is in the list from its start until just before its socket is closed, so the
 * watching thread never touches a number that has become somebody else's.
 *
 * A connection that becomes a WebSocket gets a thread of ours: with TLS the library's own goes on
 * carrying bytes, between the client and a socket pair.
 */
#include "server/http.h"

#include <errno.h>
#include <microhttpd.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/mem.h"
#include "base/text.h"
#include "server/frames.h"
#include "server/websocket.h"

#define MS_NS UINT64_C(1000000)
#define LISTENERS_MAX 8
#define LOOK_MS 500

enum conn_phase { CONN_IDLE, CONN_BODY, CONN_WORK, CONN_ANSWER };

struct conn {
    struct conn *next, *prev;
    struct http *http;
    int fd;
    enum conn_phase phase;
    uint64_t deadline_ns; /* 0: none */
    uint64_t idle_ns;     /* since when it is idle */
};

struct http {
    struct srv *srv;
    unsigned max;
    struct MHD_Daemon *daemons[LISTENERS_MAX];
    size_t n_daemons;
    int quiesced[LISTENERS_MAX]; /* listening sockets that the library gave back */
    void (*log)(const char *line);
    pthread_mutex_t mutex; /* guards the connections */
    struct conn *first;
    unsigned n_conns;
    unsigned n_upgraded; /* threads of WebSockets */
    pthread_cond_t upgraded_ended;
    pthread_t watcher;
    bool has_watcher;
    int stop_fd;
};

/* A connection that has become a WebSocket. */
struct upgraded {
    struct http *http;
    struct conn *conn;
    struct srv_who who;
    struct MHD_UpgradeResponseHandle *handle;
    int fd;
    void *early;
    size_t n_early;
};

/* One request at work, from its head until its answer is out. */
struct request {
    struct srv_call call;
    struct conn *conn;
    size_t counted;    /* bytes counted in srv->bodies */
    uint64_t received; /* bytes of the body */
    uint64_t body_start_ns;
    bool is_too_big, is_over_budget, is_refused;
    bool is_prepared; /* the answer is known, and goes out when the request is there */
    bool is_answered;
    struct upgraded *upgraded; /* until its thread has it */
    bool is_upgraded;
};

/* ---- Connections and their deadlines --------------------------------------------------------- */

static void set_phase(struct conn *c, enum conn_phase phase, uint64_t deadline_ns)
{
    (void)pthread_mutex_lock(&c->http->mutex);
    c->phase = phase;
    c->deadline_ns = deadline_ns;
    if (phase == CONN_IDLE)
        c->idle_ns = clock_now_ns();
    (void)pthread_mutex_unlock(&c->http->mutex);
}

static uint64_t in_ms(uint64_t ms)
{
    return clock_now_ns() + ms * MS_NS;
}

static void conn_open(struct http *h, struct MHD_Connection *connection, void **context)
{
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(
        connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    struct conn *c = calloc(1, sizeof(*c));

    if (c == NULL || info == NULL) {
        free(c);
        return;
    }
    *c = (struct conn){ .http = h, .fd = info->connect_fd, .idle_ns = clock_now_ns() };
    c->deadline_ns = in_ms(HTTP_HEAD_MS);
    (void)pthread_mutex_lock(&h->mutex);
    c->next = h->first;
    if (c->next != NULL)
        c->next->prev = c;
    h->first = c;
    h->n_conns++;
    (void)pthread_mutex_unlock(&h->mutex);
    atomic_fetch_add(&h->srv->connections, 1);
    *context = c;
}

static void conn_close(struct http *h, void **context)
{
    struct conn *c = take_ptr(context);

    if (c == NULL)
        return;
    (void)pthread_mutex_lock(&h->mutex);
    *(c->prev != NULL ? &c->prev->next : &h->first) = c->next;
    if (c->next != NULL)
        c->next->prev = c->prev;
    h->n_conns--;
    (void)pthread_mutex_unlock(&h->mutex);
    atomic_fetch_sub(&h->srv->connections, 1);
    free(c);
}

static void on_connection(void *user, struct MHD_Connection *connection, void **context,
                          enum MHD_ConnectionNotificationCode code)
{
    if (code == MHD_CONNECTION_NOTIFY_STARTED)
        conn_open(user, connection, context);
    else
        conn_close(user, context);
}

static void close_late(struct http *h)
{
    uint64_t now = clock_now_ns();

    (void)pthread_mutex_lock(&h->mutex);
    bool is_crowded = h->n_conns >= h->max - h->max / 10;
    for (struct conn *c = h->first; c != NULL; c = c->next) {
        uint64_t deadline = c->deadline_ns;
        if (is_crowded && c->phase == CONN_IDLE && deadline > c->idle_ns + HTTP_CROWDED_MS * MS_NS)
            deadline = c->idle_ns + HTTP_CROWDED_MS * MS_NS;
        if (deadline != 0 && now > deadline)
            (void)shutdown(c->fd, SHUT_RDWR);
    }
    (void)pthread_mutex_unlock(&h->mutex);
}

static void *run_watcher(void *user)
{
    struct http *h = user;
    struct pollfd stop = { .fd = h->stop_fd, .events = POLLIN };

    while (poll(&stop, 1, LOOK_MS) <= 0)
        close_late(h);
    return NULL;
}

/* ---- WebSockets ------------------------------------------------------------------------------ */

static void set_busy(void *user, bool is_busy)
{
    struct upgraded *u = user;

    set_phase(u->conn, is_busy ? CONN_WORK : CONN_ANSWER,
              is_busy ? 0 : in_ms(HTTP_SLACK_MS + FRAMES_CLOSE_MS));
}

static void upgraded_end(struct upgraded *u)
{
    struct http *h = u->http;

    (void)MHD_upgrade_action(u->handle, MHD_UPGRADE_ACTION_CLOSE);
    free(u->early);
    free(u);
    (void)pthread_mutex_lock(&h->mutex);
    h->n_upgraded--;
    (void)pthread_cond_signal(&h->upgraded_ended);
    (void)pthread_mutex_unlock(&h->mutex);
}

static void *run_websocket(void *user)
{
    struct upgraded *u = user;
    struct websocket_args args = {
        .srv = u->http->srv,
        .who = u->who,
        .fd = u->fd,
        /* With TLS the library does not pass on that the client has left. */
        .gone_fd = u->fd == u->conn->fd ? -1 : u->conn->fd,
        .early = u->early,
        .n_early = u->n_early,
        .set_busy = set_busy,
        .user = u,
    };

    websocket_serve(&args);
    upgraded_end(u);
    return NULL;
}

static bool start_websocket(struct upgraded *u)
{
    pthread_attr_t attr;
    pthread_t thread;

    (void)pthread_attr_init(&attr);
    (void)pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    (void)pthread_attr_setstacksize(&attr, HTTP_STACK);
    bool started = pthread_create(&thread, &attr, run_websocket, u) == 0;
    (void)pthread_attr_destroy(&attr);
    return started;
}

/* The library has sent the answer and gives the socket away. */
static void on_upgrade(void *user, struct MHD_Connection *connection, void *state,
                       const char *early, size_t n_early, MHD_socket fd,
                       struct MHD_UpgradeResponseHandle *handle)
{
    struct request *q = state;
    struct upgraded *u = take_ptr(&q->upgraded);

    (void)user;
    (void)connection;
    q->is_upgraded = true;
    u->handle = handle;
    u->fd = fd;
    set_phase(u->conn, CONN_IDLE, in_ms(WEBSOCKET_IDLE_MS + HTTP_SLACK_MS));
    (void)pthread_mutex_lock(&u->http->mutex);
    u->http->n_upgraded++;
    (void)pthread_mutex_unlock(&u->http->mutex);
    if (n_early > 0)
        u->early = malloc(n_early);
    if (u->early != NULL) {
        memcpy(u->early, early, n_early);
        u->n_early = n_early;
    }
    if ((n_early > 0 && u->early == NULL) || !start_websocket(u))
        upgraded_end(u);
}

static enum MHD_Result answer_upgrade(struct MHD_Connection *connection, struct request *q)
{
    struct srv_call *c = &q->call;
    struct MHD_Response *m = MHD_create_response_for_upgrade(on_upgrade, NULL);

    q->is_answered = true;
    q->upgraded = calloc(1, sizeof(*q->upgraded));
    if (m == NULL || q->upgraded == NULL) {
        if (m != NULL)
            MHD_destroy_response(m);
        return MHD_NO;
    }
    *q->upgraded = (struct upgraded){ .http = q->conn->http, .conn = q->conn, .who = c->who };
    (void)MHD_add_response_header(m, MHD_HTTP_HEADER_UPGRADE, "websocket");
    (void)MHD_add_response_header(m, "Sec-WebSocket-Accept", c->reply.upgrade);
    srv_metrics_answer(&c->srv->metrics, c->reply.status);
    set_phase(q->conn, CONN_ANSWER, in_ms(HTTP_SLACK_MS));
    enum MHD_Result done = MHD_queue_response(connection, (unsigned)c->reply.status, m);
    MHD_destroy_response(m);
    return done;
}

/* ---- Answers --------------------------------------------------------------------------------- */

struct streamed {
    struct srv_source source;
    struct conn *conn;
};

static ssize_t on_more(void *user, uint64_t pos, char *out, size_t max)
{
    struct streamed *s = user;

    (void)pos;
    set_phase(s->conn, CONN_WORK, 0);
    ssize_t n = s->source.read(s->source.user, out, max);
    set_phase(s->conn, CONN_ANSWER, in_ms(HTTP_SLACK_MS));
    if (n > 0)
        return n;
    return n == 0 ? MHD_CONTENT_READER_END_OF_STREAM : MHD_CONTENT_READER_END_WITH_ERROR;
}

static void on_streamed(void *user)
{
    struct streamed *s = user;

    s->source.done(s->source.user);
    free(s);
}

static struct MHD_Response *response_of(struct request *q)
{
    struct srv_reply *r = &q->call.reply;

    if (r->source.user == NULL) {
        size_t n = r->body.len;
        char *text = r->body.failed ? NULL : n == 0 ? strdup("") : buf_take(&r->body);
        if (text == NULL)
            return NULL;
        struct MHD_Response *m = MHD_create_response_from_buffer(n, text, MHD_RESPMEM_MUST_FREE);
        if (m == NULL)
            free(text);
        return m;
    }
    struct streamed *s = calloc(1, sizeof(*s));
    if (s == NULL)
        return NULL;
    *s = (struct streamed){ r->source, q->conn };
    struct MHD_Response *m = MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, HTTP_CHUNK,
                                                               on_more, s, on_streamed);
    if (m == NULL)
        free(s);
    else
        r->source.user = NULL;
    return m;
}

static void add_headers(struct MHD_Response *m, const struct srv_reply *r, bool closes)
{
    char seconds[16];

    (void)MHD_add_response_header(m, MHD_HTTP_HEADER_CONTENT_TYPE, r->type);
    if (r->no_cache) {
        (void)MHD_add_response_header(m, MHD_HTTP_HEADER_CACHE_CONTROL, "no-cache");
        (void)MHD_set_response_options(m, MHD_RF_SEND_KEEP_ALIVE_HEADER, MHD_RO_END);
    }
    if (r->retry_after_s > 0) {
        (void)snprintf(seconds, sizeof(seconds), "%u", r->retry_after_s);
        (void)MHD_add_response_header(m, MHD_HTTP_HEADER_RETRY_AFTER, seconds);
    }
    if (r->status == MHD_HTTP_UPGRADE_REQUIRED) /* RFC 6455, section 4.4 */
        (void)MHD_add_response_header(m, "Sec-WebSocket-Version", "13");
    if (closes)
        (void)MHD_add_response_header(m, MHD_HTTP_HEADER_CONNECTION, "close");
}

static enum MHD_Result answer(struct MHD_Connection *connection, struct request *q, bool closes)
{
    struct srv_reply *r = &q->call.reply;
    size_t size = r->body.len;

    if (r->status == MHD_HTTP_SWITCHING_PROTOCOLS)
        return answer_upgrade(connection, q);
    struct MHD_Response *m = response_of(q);
    if (m == NULL)
        return MHD_NO;
    add_headers(m, r, closes);
    q->is_answered = true;
    srv_metrics_answer(&q->call.srv->metrics, r->status);
    set_phase(q->conn, CONN_ANSWER, in_ms(HTTP_SLACK_MS + size / HTTP_BYTES_PER_MS));
    enum MHD_Result done = MHD_queue_response(connection, (unsigned)r->status, m);
    MHD_destroy_response(m);
    return done;
}

/* An answer before the body was read costs the connection; without a body there is no need. */
static enum MHD_Result answer_early(struct MHD_Connection *connection, struct request *q,
                                    bool brings_body)
{
    if (brings_body)
        return answer(connection, q, true);
    q->is_prepared = true;
    return MHD_YES;
}

static enum MHD_Result answer_fault(struct MHD_Connection *connection, struct request *q,
                                    const struct srv_fault *f, bool closes)
{
    srv_reply_fault(&q->call, f);
    return answer(connection, q, closes);
}

/* ---- Requests -------------------------------------------------------------------------------- */

const char *srv_query(const struct srv_call *c, const char *name)
{
    return MHD_lookup_connection_value(c->connection, MHD_GET_ARGUMENT_KIND, name);
}

const char *srv_header(const struct srv_call *c, const char *name)
{
    return MHD_lookup_connection_value(c->connection, MHD_HEADER_KIND, name);
}

static struct request *request_new(struct srv *s, struct MHD_Connection *connection)
{
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(
        connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    struct request *q = calloc(1, sizeof(*q));

    if (q == NULL || info == NULL || info->socket_context == NULL) {
        free(q);
        return NULL;
    }
    q->conn = info->socket_context;
    q->call = (struct srv_call){ .srv = s, .connection = connection, .client_fd = q->conn->fd };
    q->body_start_ns = clock_now_ns();
    buf_init(&q->call.body, s->body_max);
    buf_init(&q->call.reply.body, SIZE_MAX / 2);
    return q;
}

static void request_free(struct request *q)
{
    struct srv_call *c = &q->call;

    if (c->sink_state != NULL)
        c->sink->abandon(c);
    if (c->reply.source.user != NULL)
        c->reply.source.done(c->reply.source.user);
    free(q->upgraded);
    atomic_fetch_sub(&c->srv->bodies, q->counted);
    /* Bodies hold secrets and code. */
    if (c->body.data != NULL)
        explicit_bzero(c->body.data, c->body.len);
    buf_done(&c->body);
    buf_done(&c->reply.body);
    free(q);
}

static bool has_body(struct MHD_Connection *connection, uint64_t *length)
{
    const char *text = MHD_lookup_connection_value(connection, MHD_HEADER_KIND,
                                                   MHD_HTTP_HEADER_CONTENT_LENGTH);

    *length = 0;
    if (MHD_lookup_connection_value(connection, MHD_HEADER_KIND,
                                    MHD_HTTP_HEADER_TRANSFER_ENCODING) != NULL)
        return true;
    return text != NULL && text_parse_u64(text, length) && *length > 0;
}

static int too_big(const struct srv *s, struct srv_fault *f)
{
    return srv_fault_set(f, 413, "body", "body: larger than this server's limit of %zu bytes",
                         s->body_max);
}

/* Who may, before anything of the body is read. Return: 0, or -1 with the fault; 404 of an unknown
 * route is no fault, but has its own text. */
static int admit(struct request *q, struct MHD_Connection *connection, struct srv_fault *f)
{
    struct srv_call *c = &q->call;
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(
        connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
    bool is_open = c->route != NULL && c->route->need == SRV_NEED_NOTHING;

    if (!is_open && srv_auth_check(&c->srv->auth, srv_header(c, "Authorization"),
                                   info == NULL ? NULL : info->client_addr, &c->who, f) < 0)
        return -1;
    if (!is_open && atomic_load(&c->srv->is_draining))
        return srv_fault_set(f, 503, NULL, "The server is shutting down");
    if (c->route != NULL && c->route->need == SRV_NEED_MASTER && !c->who.is_master)
        return srv_fault_set(f, 403, NULL, "Master key required for this operation");
    return 0;
}

/* The head is there. */
static enum MHD_Result begin(struct srv *s, struct MHD_Connection *connection, const char *url,
                             const char *method, void **state)
{
    struct request *q = request_new(s, connection);
    struct srv_fault f;
    uint64_t length;

    if (q == NULL)
        return MHD_NO;
    *state = q;
    struct srv_call *c = &q->call;
    set_phase(q->conn, CONN_WORK, 0);
    bool brings_body = has_body(connection, &length);
    c->is_head = strcmp(method, MHD_HTTP_METHOD_HEAD) == 0;
    c->route = srv_route_find(method, url, &c->tail);
    if (admit(q, connection, &f) < 0) {
        srv_reply_fault(c, &f);
        return answer_early(connection, q, brings_body);
    }
    if (c->route == NULL) {
        srv_reply_text(c, 404, "text/plain; charset=UTF-8", "404 Not Found");
        return answer_early(connection, q, brings_body);
    }
    if (c->route->sink != NULL) {
        c->sink = c->route->sink(c);
        if (c->sink == NULL && c->reply.status != 0)
            return answer_early(connection, q, brings_body);
    }
    if (c->sink == NULL && length > s->body_max) {
        (void)too_big(s, &f);
        return answer_fault(connection, q, &f, true);
    }
    set_phase(q->conn, CONN_BODY, in_ms(HTTP_SLACK_MS));
    return MHD_YES;
}

/* The time that the body may take grows with what has come. */
static void extend(struct request *q, uint64_t worked_ns)
{
    q->body_start_ns += worked_ns;
    set_phase(q->conn, CONN_BODY,
              q->body_start_ns + (HTTP_SLACK_MS + q->received / HTTP_BYTES_PER_MS) * MS_NS);
}

/* What is too much is passed over, up to as much again; then the answer says so. */
static enum MHD_Result take(struct request *q, const char *data, size_t n)
{
    struct srv_call *c = &q->call;
    uint64_t start_ns = clock_now_ns();

    q->received += n;
    if (c->sink != NULL) {
        set_phase(q->conn, CONN_WORK, 0);
        if (!q->is_refused)
            q->is_refused = c->sink->take(c, data, n) < 0;
        else if (q->received > c->srv->body_max)
            return MHD_NO;
        extend(q, clock_now_ns() - start_ns);
        return MHD_YES;
    }
    if (q->received > c->srv->body_max) {
        q->is_too_big = true;
        return q->received > 2 * (uint64_t)c->srv->body_max ? MHD_NO : MHD_YES;
    }
    if (atomic_fetch_add(&c->srv->bodies, n) + n > HTTP_BODIES_MAX)
        q->is_over_budget = true;
    q->counted += n;
    if (!q->is_over_budget && !buf_add(&c->body, data, n))
        q->is_over_budget = true;
    extend(q, 0);
    return MHD_YES;
}

/* All of it is there. */
static enum MHD_Result finish(struct MHD_Connection *connection, struct request *q)
{
    struct srv_call *c = &q->call;
    struct srv_fault f;

    set_phase(q->conn, CONN_WORK, 0);
    if (q->is_too_big) {
        (void)too_big(c->srv, &f);
        return answer_fault(connection, q, &f, true);
    }
    if (q->is_over_budget) {
        (void)srv_fault_set(&f, 503, NULL, "The server is busy: too many large requests");
        return answer_fault(connection, q, &f, true);
    }
    if (c->sink != NULL)
        c->sink->finish(c);
    else if (!q->is_prepared)
        c->route->handle(c);
    return answer(connection, q, atomic_load(&c->srv->is_draining));
}

static enum MHD_Result on_request(void *user, struct MHD_Connection *connection, const char *url,
                                  const char *method, const char *version, const char *data,
                                  size_t *size, void **state)
{
    struct http *h = user;
    struct request *q = *state;

    (void)version;
    if (q == NULL)
        return begin(h->srv, connection, url, method, state);
    if (q->is_answered) { /* the rest of a body that nobody wants */
        *size = 0;
        return MHD_YES;
    }
    if (*size > 0) {
        enum MHD_Result r = take(q, data, *size);
        *size = 0;
        return r;
    }
    return finish(connection, q);
}

static void on_completed(void *user, struct MHD_Connection *connection, void **state,
                         enum MHD_RequestTerminationCode code)
{
    struct request *q = take_ptr(state);

    (void)user;
    (void)connection;
    (void)code;
    if (q == NULL)
        return;
    if (!q->is_upgraded)
        set_phase(q->conn, CONN_IDLE, in_ms(HTTP_IDLE_MS));
    request_free(q);
}

static void on_log(void *user, const char *fmt, va_list ap)
{
    struct http *h = user;
    char line[512];

    (void)vsnprintf(line, sizeof(line), fmt, ap);
    line[strcspn(line, "\r\n")] = '\0';
    if (h->log != NULL)
        h->log(line);
}

/* ---- Life ------------------------------------------------------------------------------------ */

static struct MHD_Daemon *start_daemon(struct http *h, const struct http_args *a, int fd)
{
    unsigned flags = MHD_USE_THREAD_PER_CONNECTION | MHD_USE_INTERNAL_POLLING_THREAD |
                     MHD_USE_POLL | MHD_USE_ITC | MHD_USE_ERROR_LOG | MHD_ALLOW_UPGRADE;
    struct MHD_OptionItem tls[] = {
        { MHD_OPTION_HTTPS_MEM_CERT, 0, (void *)a->tls_certificate },
        { MHD_OPTION_HTTPS_MEM_KEY, 0, (void *)a->tls_key },
        { MHD_OPTION_END, 0, NULL },
    };

    if (a->tls_certificate != NULL)
        flags |= MHD_USE_TLS;
    else
        tls[0] = tls[2];
    return MHD_start_daemon(
        flags, 0, NULL, NULL, on_request, h, MHD_OPTION_EXTERNAL_LOGGER, on_log, h,
        MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_CONNECTION_LIMIT, a->connections,
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)HTTP_HEAD_BYTES, MHD_OPTION_CONNECTION_TIMEOUT,
        0u, MHD_OPTION_STRICT_FOR_CLIENT, 1, MHD_OPTION_THREAD_STACK_SIZE, (size_t)HTTP_STACK,
        MHD_OPTION_NOTIFY_CONNECTION, on_connection, h, MHD_OPTION_NOTIFY_COMPLETED, on_completed,
        h, MHD_OPTION_ARRAY, tls, MHD_OPTION_END);
}

int http_start(struct http **out, const struct http_args *args, isol8_error *err)
{
    struct http *h = calloc(1, sizeof(*h));

    if (h == NULL)
        return err_nomem(err);
    h->srv = args->srv;
    h->max = args->connections;
    h->log = args->log;
    (void)pthread_mutex_init(&h->mutex, NULL);
    (void)pthread_cond_init(&h->upgraded_ended, NULL);
    h->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    for (size_t i = 0; i < LISTENERS_MAX; i++)
        h->quiesced[i] = -1;
    for (size_t i = 0; i < args->n_fds && i < LISTENERS_MAX; i++) {
        struct MHD_Daemon *d = start_daemon(h, args, args->fds[i]);
        if (d == NULL) {
            http_stop(h);
            return err_set(err, ISOL8_E_SYS, "the HTTP library could not start%s",
                           args->tls_certificate != NULL ? ": is the certificate valid?" : "");
        }
        h->daemons[h->n_daemons++] = d;
    }
    h->has_watcher = pthread_create(&h->watcher, NULL, run_watcher, h) == 0;
    if (!h->has_watcher) {
        http_stop(h);
        return err_set(err, ISOL8_E_SYS, "cannot start a thread");
    }
    *out = h;
    return 0;
}

void http_quiesce(struct http *h)
{
    for (size_t i = 0; i < h->n_daemons; i++) {
        if (h->quiesced[i] < 0)
            h->quiesced[i] = MHD_quiesce_daemon(h->daemons[i]);
        h->quiesced[i] = fd_close(h->quiesced[i]); /* whoever connects is refused, not left alone */
    }
}

bool http_is_busy(struct http *h)
{
    bool is_busy = false;

    (void)pthread_mutex_lock(&h->mutex);
    for (const struct conn *c = h->first; c != NULL; c = c->next)
        is_busy = is_busy || c->phase != CONN_IDLE;
    (void)pthread_mutex_unlock(&h->mutex);
    return is_busy;
}

void http_stop(struct http *h)
{
    uint64_t one = 1;

    if (h == NULL)
        return;
    (void)pthread_mutex_lock(&h->mutex);
    while (h->n_upgraded > 0) /* kill_fd ends them */
        (void)pthread_cond_wait(&h->upgraded_ended, &h->mutex);
    (void)pthread_mutex_unlock(&h->mutex);
    for (size_t i = 0; i < h->n_daemons; i++)
        MHD_stop_daemon(h->daemons[i]);
    (void)!write(h->stop_fd, &one, sizeof(one));
    if (h->has_watcher)
        (void)pthread_join(h->watcher, NULL);
    (void)fd_close(h->stop_fd);
    (void)pthread_cond_destroy(&h->upgraded_ended);
    (void)pthread_mutex_destroy(&h->mutex);
    free(h);
}
