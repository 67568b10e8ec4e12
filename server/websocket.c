/* SPDX-License-Identifier: Apache-2.0 */
/**
 * websocket.c - GET /execute/ws: one execution, watched and steered over a WebSocket
 *
 * Theory of operation. One thread, one loop, that waits for the client's socket, for the
 * execution, and for the end of the server. The next event is fetched when the one before has
 * been taken by the client, so a client that reads slowly slows its program down; only when the
 * program's time is up is the rest fetched all the same. A client that leaves, or is late with
 * something, has its program killed.
 *
 * stdin is open only if the client says so: the programs of clients that never send any would
 * otherwise wait for its end. What the program has not read yet waits in the run's queue, and when
 * that is full nothing more is read from the client.
 */
#include "server/websocket.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/mem.h"
#include "base/text.h"
#include "server/flow.h"
#include "server/frames.h"
#include "server/http.h"
#include "server/message.h"

#define MS_NS UINT64_C(1000000)
#define LAST_DRAIN_MAX 65536

struct ws {
    const struct websocket_args *args;
    struct srv *srv;
    struct frames *frames;
    struct flow flow; /* of the only execution; flow.x is NULL before */
    bool has_begun;   /* an execution was ordered */
    bool is_running;
    bool is_killed;     /* the server stops */
    struct buf waiting; /* bytes for stdin that the run has no room for */
    bool ends_stdin;    /* after them */
    uint64_t began_ns, said_ns;
    uint64_t give_up_ns; /* when the server stops: no longer than this */
};

/* ---- What we say ----------------------------------------------------------------------------- */

static void emit(void *user, const char *json, size_t n)
{
    struct ws *w = user;

    frames_text(w->frames, json, n);
    w->said_ns = clock_now_ns();
}

static void refuse(struct ws *w, const char *text)
{
    flow_error(&w->flow, text);
}

/* The execution is over, or there will be none. */
static void complete(struct ws *w, enum frames_code code, const char *reason)
{
    if (w->is_running)
        w->args->set_busy(w->args->user, false);
    w->is_running = false;
    frames_close(w->frames, code, reason);
}

/* End the execution and wait until nothing of it is left. */
static void stop(struct ws *w)
{
    if (!w->is_running)
        return;
    exec_cancel(w->flow.x);
    flow_end(&w->flow);
    complete(w, w->is_killed ? FRAMES_GOING_AWAY : FRAMES_DONE, "Execution complete");
}

/* ---- What the client says -------------------------------------------------------------------- */

static void on_execute(struct ws *w, struct message *m)
{
    struct srv_fault f;

    if (w->has_begun) {
        refuse(w, "A connection has one execution: open another one");
        return;
    }
    if (atomic_load(&w->srv->is_draining)) {
        refuse(w, "The server is shutting down");
        complete(w, FRAMES_GOING_AWAY, "Shutting down");
        return;
    }
    w->has_begun = true;
    w->args->set_busy(w->args->user, true);
    w->is_running = true;
    if (exec_new(&w->flow.x, w->srv, &w->args->who, take_ptr(&m->json), &f) < 0) {
        refuse(w, f.text);
        complete(w, f.http == 503 ? FRAMES_TRY_LATER : FRAMES_DONE, "Execution complete");
        return;
    }
    w->flow.x->order.request.stdin_open = m->opens_stdin;
}

/* Hand over what waits for the program. */
static void feed_stdin(struct ws *w)
{
    isol8_run *run = w->flow.x->run;
    isol8_error err;

    while (w->waiting.len > 0) {
        size_t n = w->waiting.len < FRAMES_READ ? w->waiting.len : FRAMES_READ;
        int r = isol8_run_stdin(run, buf_text(&w->waiting), n, &err);
        if (r == ISOL8_E_LIMIT)
            break;
        if (r < 0) { /* the program has closed it, or has ended: no failure of the client's */
            buf_clear(&w->waiting);
            break;
        }
        buf_consume(&w->waiting, n);
    }
    if (w->waiting.len == 0 && w->ends_stdin) {
        (void)isol8_run_stdin(run, NULL, 0, &err);
        w->ends_stdin = false;
    }
    frames_pause(w->frames, w->waiting.len > 0);
}

static void on_stdin(struct ws *w, const struct message *m)
{
    if (!w->has_begun) {
        refuse(w, "stdin: nothing is being executed");
        return;
    }
    if (!w->is_running)
        return; /* it has just ended, which the client cannot know */
    if (!w->flow.x->order.request.stdin_open) {
        refuse(w, "stdin: is not open; \"execute\" with \"openStdin\": true opens it");
        return;
    }
    if (!buf_add(&w->waiting, m->data, m->size)) {
        refuse(w, "stdin: out of memory");
        stop(w);
        return;
    }
    w->ends_stdin = w->ends_stdin || m->is_end;
    if (w->flow.x->run != NULL)
        feed_stdin(w);
    else if (w->waiting.len >= WEBSOCKET_STDIN_MAX)
        frames_pause(w->frames, true);
}

static void on_signal(struct ws *w, int sig)
{
    isol8_error err;

    if (!w->has_begun)
        refuse(w, "signal: nothing is being executed");
    if (!w->is_running || w->flow.x->state == EXEC_OVER)
        return;
    if (w->flow.x->run != NULL && isol8_run_signal(w->flow.x->run, sig, &err) == 0)
        return;
    /* Whoever wants the program to end before it began wants it not to begin. */
    refuse(w, "The execution was stopped before its program ran");
    stop(w);
}

static void on_message(void *user, const char *text, size_t n)
{
    struct ws *w = user;
    struct message m;
    struct srv_fault f;

    int r = message_parse(&m, text, n, &f);
    if (r < 0) {
        refuse(w, f.text);
        if (r == MESSAGE_NO_JSON)
            frames_close(w->frames, FRAMES_UNSUPPORTED, "Invalid JSON");
    } else if (m.type == MESSAGE_EXECUTE) {
        on_execute(w, &m);
    } else if (m.type == MESSAGE_STDIN) {
        on_stdin(w, &m);
    } else {
        on_signal(w, m.signal);
    }
    message_done(&m);
}

/* ---- The loop -------------------------------------------------------------------------------- */

/* True when the next event may be fetched. */
static bool may_step(const struct ws *w)
{
    return w->is_running && (!frames_is_sending(w->frames) || exec_is_late(w->flow.x));
}

/* Return: true when the execution has nothing to do. */
static bool step(struct ws *w)
{
    if (!may_step(w))
        return true;
    bool is_idle = flow_step(&w->flow);
    if (w->flow.x->state == EXEC_OVER)
        complete(w, FRAMES_DONE, "Execution complete");
    else if (w->flow.x->run != NULL && (w->waiting.len > 0 || w->ends_stdin))
        feed_stdin(w);
    return is_idle;
}

/* When something is to be done even if nothing happens. */
static uint64_t next_look_ns(const struct ws *w)
{
    uint64_t now = clock_now_ns();
    uint64_t times[] = {
        w->said_ns + SRV_KEEP_ALIVE_MS * MS_NS,
        frames_deadline_ns(w->frames),
        frames_heard_ns(w->frames) + WEBSOCKET_SILENT_MS * MS_NS,
        w->has_begun ? UINT64_MAX : w->began_ns + WEBSOCKET_IDLE_MS * MS_NS,
        w->is_killed ? w->give_up_ns : UINT64_MAX,
        /* The run's time is not watched while the client takes nothing: exec_is_late(). */
        w->is_running && !may_step(w) ? now + 1000 * MS_NS : UINT64_MAX,
    };
    uint64_t first = times[0];

    for (size_t i = 1; i < sizeof(times) / sizeof(times[0]); i++)
        first = times[i] < first ? times[i] : first;
    return first;
}

static int timeout_ms(const struct ws *w)
{
    uint64_t now = clock_now_ns(), then = next_look_ns(w);

    return then <= now ? 0 : (int)((then - now) / MS_NS) + 1;
}

/* Do what has its time. Return: false when the client is to be given up. */
static bool look(struct ws *w)
{
    uint64_t now = clock_now_ns();

    if (now >= frames_deadline_ns(w->frames) || (w->is_killed && now >= w->give_up_ns) ||
        now >= frames_heard_ns(w->frames) + WEBSOCKET_SILENT_MS * MS_NS)
        return false;
    if (!w->has_begun && now >= w->began_ns + WEBSOCKET_IDLE_MS * MS_NS)
        frames_close(w->frames, FRAMES_POLICY, "No execute message came");
    if (now >= w->said_ns + SRV_KEEP_ALIVE_MS * MS_NS) {
        frames_ping(w->frames);
        w->said_ns = now;
    }
    return true;
}

static void on_kill(struct ws *w)
{
    w->is_killed = true;
    w->give_up_ns = clock_now_ns() + FRAMES_CLOSE_MS * MS_NS;
    if (w->is_running)
        exec_on_wake(w->flow.x, SRV_WAKE_KILL);
    stop(w);
    frames_close(w->frames, FRAMES_GOING_AWAY, "Shutting down");
}

/* Wait until there is something to do. Return: false when the client is to be given up. */
static bool wait_for_something(struct ws *w, bool is_idle)
{
    short events = frames_events(w->frames);
    bool reads = (events & POLLIN) != 0;
    bool has_work = !is_idle || (reads && frames_has_unread(w->frames));
    struct pollfd fds[] = {
        { .fd = w->args->fd, .events = (short)(events | POLLRDHUP) },
        { .fd = w->is_killed ? -1 : w->srv->kill_fd, .events = POLLIN },
        { .fd = may_step(w) ? flow_fd(&w->flow) : -1, .events = POLLIN },
        { .fd = w->args->gone_fd, .events = POLLRDHUP },
    };

    if (poll(fds, 4, has_work ? 0 : timeout_ms(w)) < 0)
        return errno == EINTR;
    if (fds[1].revents != 0)
        on_kill(w);
    /* That it was closed is noticed even while nothing is read. */
    if (fds[3].revents != 0 || ((fds[0].revents & (POLLRDHUP | POLLHUP | POLLERR)) != 0 && !reads))
        return false;
    return look(w);
}

/* A close that crosses bytes which nobody reads would be answered with a reset, and the client
 * might never see why: take what is there. */
static void part(int fd)
{
    struct pollfd p = { .fd = fd, .events = POLLIN };
    char bytes[4096];
    size_t total = 0;

    (void)shutdown(fd, SHUT_WR);
    while (total < LAST_DRAIN_MAX && poll(&p, 1, FRAMES_CLOSE_MS) > 0) {
        ssize_t n = recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT);
        if (n <= 0)
            break;
        total += (size_t)n;
    }
}

void websocket_serve(const struct websocket_args *args)
{
    struct ws w = { .args = args, .srv = args->srv };
    struct frames_args frames = {
        .fd = args->fd,
        .early = args->early,
        .n_early = args->n_early,
        .message_max = args->srv->message_max,
        .held = &args->srv->bodies,
        .held_max = HTTP_BODIES_MAX,
        .on_message = on_message,
        .user = &w,
    };

    w.flow.emit = emit;
    w.flow.user = &w;
    w.began_ns = w.said_ns = clock_now_ns();
    buf_init(&w.waiting, SIZE_MAX / 2); /* what bounds it is when nothing more is read */
    if (frames_new(&w.frames, &frames, NULL) < 0)
        return;
    while (frames_work(w.frames)) {
        bool is_idle = step(&w);
        if (!wait_for_something(&w, is_idle))
            break;
    }
    if (w.is_running)
        exec_on_wake(w.flow.x, SRV_WAKE_GONE);
    stop(&w);
    part(args->fd);
    exec_free(w.flow.x);
    frames_free(w.frames);
    if (w.waiting.data != NULL)
        explicit_bzero(w.waiting.data, w.waiting.len);
    buf_done(&w.waiting);
}

/* ---- The handshake: RFC 6455, section 4.2 ---------------------------------------------------- */

/* Whether a header has @word among its comma-separated ones. */
static bool has_word(const char *list, const char *word)
{
    size_t n = strlen(word);

    while (list != NULL && *list != '\0') {
        list += strspn(list, " \t,");
        size_t length = strcspn(list, " \t,");
        if (length == n && strncasecmp(list, word, n) == 0)
            return true;
        list += length;
    }
    return false;
}

/* The base64 of 16 bytes. */
static bool is_key(const char *key)
{
    void *bytes = NULL;
    size_t n = 0;
    bool is_good = key != NULL && srv_base64_decode(key, &bytes, &n) == 0 && n == 16;

    free(bytes);
    return is_good;
}

static int accept_of(const char *key, struct buf *out)
{
    static const char guid[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"; /* section 1.3 */
    auto_hash struct hash *h = NULL;
    uint8_t digest[HASH_MAX_BYTES];
    size_t n = 0;

    if (hash_new(&h, HASH_SHA1, NULL) < 0 || hash_update(h, key, strlen(key), NULL) < 0 ||
        hash_update(h, guid, sizeof(guid) - 1, NULL) < 0 || hash_final(h, digest, &n, NULL) < 0)
        return -1;
    return text_base64(digest, n, out) ? 0 : -1;
}

static void refuse_handshake(struct srv_call *c, int status, const char *field, const char *why)
{
    struct srv_fault f;

    (void)srv_fault_set(&f, status, field, "%s", why);
    srv_reply_fault(c, &f);
}

void srv_get_websocket(struct srv_call *c)
{
    const char *version = srv_header(c, "Sec-WebSocket-Version");
    const char *key = srv_header(c, "Sec-WebSocket-Key");
    auto_buf struct buf accept = BUF_INIT(sizeof(c->reply.upgrade));

    if (!c->srv->has_websocket || c->is_head || !has_word(srv_header(c, "Upgrade"), "websocket") ||
        !has_word(srv_header(c, "Connection"), "upgrade")) {
        srv_reply_text(c, 404, "text/plain; charset=UTF-8", "404 Not Found");
    } else if (version == NULL || strcmp(version, "13") != 0) {
        refuse_handshake(c, 426, "Sec-WebSocket-Version", "Sec-WebSocket-Version: must be 13");
    } else if (!is_key(key)) {
        refuse_handshake(c, 400, "Sec-WebSocket-Key",
                         "Sec-WebSocket-Key: must be 16 bytes in base64");
    } else if (accept_of(key, &accept) < 0) {
        refuse_handshake(c, 500, NULL, "The handshake could not be computed");
    } else {
        c->reply.status = 101;
        (void)snprintf(c->reply.upgrade, sizeof(c->reply.upgrade), "%s", buf_text(&accept));
    }
}
