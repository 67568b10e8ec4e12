/* SPDX-License-Identifier: Apache-2.0 */
/**
 * ws.c - a WebSocket to a server
 *
 * Theory of operation. Until libcurl has made the connection its multi handle is driven; from then
 * on the socket is ours, read and written by curl_easy_recv() and curl_easy_send(), which do not
 * block, and watched by poll(). TLS may hold bytes that poll() does not see, so a step reads until
 * there is nothing, or until a message came: then it asks to be called again.
 */
#include "client/ws.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/clock.h"
#include "base/curl.h"
#include "base/mem.h"
#include "base/wslay.h"
#include "client/call.h"
#include "client/event.h"
#include "client/handshake.h"

#define REFUSAL_MAX 65536u /* bytes of a refusal that are looked at */
#define PONGS_MAX 64       /* answers to pings that wait; more are not read before they are out */
#define READ_SIZE 4096
#define EXTRA_MAX 8 /* descriptors of the caller's */

enum { HANDSHAKE_MS = 30000, TURN_MS = 1000 };

enum stage { STAGE_DIAL, STAGE_SHAKE, STAGE_BODY, STAGE_FRAMES, STAGE_REFUSED, STAGE_CLOSED };

struct ws {
    const struct curl_lib *lib;
    const struct wslay_lib *frames;
    const struct client_address *address;
    void *easy, *multi;
    int fd; /* libcurl's */
    enum stage stage;
    uint64_t deadline_ns; /* of the handshake */
    char accept[HANDSHAKE_ACCEPT_SIZE];
    struct buf request; /* the handshake's, what is left of it */
    struct buf answer;  /* its answer; later what was read behind it */
    struct handshake_answer head;
    wslay_event_context_ptr ctx;
    ws_message_fn fn;
    void *user;
    bool has_message; /* one came in this step */
    bool is_eof;
    char error[CURL_ERROR_SIZE];
};

/* ---- Bytes ----------------------------------------------------------------------------------- */

/* Return: bytes, 0 when there are none now, -1 at the end. */
static ssize_t read_some(struct ws *ws, void *out, size_t cap)
{
    size_t n = 0;

    if (ws->answer.len > 0) { /* what came behind the handshake */
        n = ws->answer.len < cap ? ws->answer.len : cap;
        memcpy(out, ws->answer.data, n);
        buf_consume(&ws->answer, n);
        return (ssize_t)n;
    }
    int r = ws->lib->easy_recv(ws->easy, out, cap, &n);
    if (r == CURLE_AGAIN)
        return 0;
    return r == CURLE_OK && n > 0 ? (ssize_t)n : -1;
}

static ssize_t write_some(struct ws *ws, const void *data, size_t n)
{
    size_t sent = 0;
    int r = ws->lib->easy_send(ws->easy, data, n, &sent);

    if (r == CURLE_AGAIN)
        return 0;
    return r == CURLE_OK ? (ssize_t)sent : -1;
}

/* ---- wslay's callbacks ----------------------------------------------------------------------- */

static ssize_t on_recv(wslay_event_context_ptr ctx, uint8_t *out, size_t cap, int flags, void *user)
{
    struct ws *ws = user;

    (void)flags;
    ssize_t n = ws->has_message || ws->frames->get_queued_msg_count(ctx) > PONGS_MAX
                    ? 0
                    : read_some(ws, out, cap);
    if (n > 0)
        return n;
    ws->is_eof = n < 0;
    ws->frames->set_error(ctx, n < 0 ? WSLAY_ERR_CALLBACK_FAILURE : WSLAY_ERR_WOULDBLOCK);
    return -1;
}

static ssize_t on_send(wslay_event_context_ptr ctx, const uint8_t *data, size_t n, int flags,
                       void *user)
{
    struct ws *ws = user;
    ssize_t sent = write_some(ws, data, n);

    (void)flags;
    if (sent > 0)
        return sent;
    ws->frames->set_error(ctx, sent < 0 ? WSLAY_ERR_CALLBACK_FAILURE : WSLAY_ERR_WOULDBLOCK);
    return -1;
}

static int on_mask(wslay_event_context_ptr ctx, uint8_t *out, size_t n, void *user)
{
    struct ws *ws = user;

    if (getrandom(out, n, 0) == (ssize_t)n)
        return 0;
    ws->frames->set_error(ctx, WSLAY_ERR_CALLBACK_FAILURE);
    return -1;
}

static void on_message(wslay_event_context_ptr ctx, const struct wslay_event_on_msg_recv_arg *arg,
                       void *user)
{
    struct ws *ws = user;

    (void)ctx;
    if (arg->opcode != WSLAY_TEXT_FRAME)
        return; /* pings are answered by wslay; other bytes mean nothing */
    ws->has_message = true;
    ws->fn(ws->user, (const char *)arg->msg, arg->msg_length);
}

/* ---- Life ------------------------------------------------------------------------------------ */

static int init_frames(struct ws *ws, isol8_error *err)
{
    static const struct wslay_event_callbacks callbacks = {
        .recv_callback = on_recv,
        .send_callback = on_send,
        .genmask_callback = on_mask,
        .on_msg_recv_callback = on_message,
    };

    int r = wslay_lib_get(&ws->frames, err);
    if (r < 0)
        return r;
    if (ws->frames->client_init(&ws->ctx, &callbacks, ws) != 0)
        return err_nomem(err);
    ws->frames->set_max_recv_msg_length(ws->ctx, CLIENT_EVENT_MAX);
    return 0;
}

static int init_handshake(struct ws *ws, const struct client *c, const char *path, isol8_error *err)
{
    char key[HANDSHAKE_KEY_SIZE];

    int r = handshake_key(key, err);
    if (r == 0)
        r = handshake_accept(key, ws->accept, err);
    if (r == 0 && !handshake_request(&c->address, path, c->key, key, &ws->request))
        r = err_nomem(err);
    return r;
}

static int dial(struct ws *ws, isol8_error *err)
{
    const struct curl_lib *lib = ws->lib;

    ws->easy = lib->easy_init();
    ws->multi = lib->multi_init();
    if (ws->easy == NULL || ws->multi == NULL)
        return err_nomem(err);
    call_set_common(lib, ws->easy, ws->error);
    if (lib->easy_setopt(ws->easy, CURLOPT_URL, ws->address->url) != CURLE_OK)
        return err_nomem(err);
    (void)lib->easy_setopt(ws->easy, CURLOPT_CONNECT_ONLY, 1L);
    (void)lib->easy_setopt(ws->easy, CURLOPT_HTTPPROXYTUNNEL, 1L);
    return lib->multi_add_handle(ws->multi, ws->easy) == 0 ? 0 : err_nomem(err);
}

int ws_start(struct ws **out, const struct client *c, const char *path, ws_message_fn fn,
             void *user, isol8_error *err)
{
    struct ws *ws = calloc(1, sizeof(*ws));

    if (ws == NULL)
        return err_nomem(err);
    *ws = (struct ws){ .address = &c->address,
                       .fd = -1,
                       .deadline_ns = clock_now_ns() + HANDSHAKE_MS * 1000000ull,
                       .request = BUF_INIT(2 * HANDSHAKE_HEAD_MAX),
                       .answer = BUF_INIT(HANDSHAKE_HEAD_MAX + REFUSAL_MAX + READ_SIZE),
                       .fn = fn,
                       .user = user };
    int r = curl_lib_get(&ws->lib, err);
    if (r == 0)
        r = init_frames(ws, err);
    if (r == 0)
        r = init_handshake(ws, c, path, err);
    if (r == 0)
        r = dial(ws, err);
    if (r < 0)
        ws_free(ws);
    else
        *out = ws;
    return r;
}

void ws_free(struct ws *ws)
{
    if (ws == NULL)
        return;
    if (ws->ctx != NULL)
        ws->frames->free(ws->ctx);
    if (ws->multi != NULL && ws->easy != NULL)
        (void)ws->lib->multi_remove_handle(ws->multi, ws->easy);
    if (ws->easy != NULL)
        ws->lib->easy_cleanup(ws->easy);
    if (ws->multi != NULL)
        (void)ws->lib->multi_cleanup(ws->multi);
    buf_done(&ws->request);
    buf_done(&ws->answer);
    free(ws);
}

int ws_send(struct ws *ws, const char *text, size_t n, isol8_error *err)
{
    const struct wslay_event_msg message = { .opcode = WSLAY_TEXT_FRAME,
                                             .msg = (const uint8_t *)text,
                                             .msg_length = n };

    int r = ws->frames->queue_msg(ws->ctx, &message);
    if (r == WSLAY_ERR_NO_MORE_MSG)
        return 0; /* it is closing: there is nobody to tell */
    return r == 0 ? 0 : err_nomem(err);
}

/* ---- Steps ----------------------------------------------------------------------------------- */

static int lost(isol8_error *err)
{
    return err_set(err, ISOL8_E_NETWORK, "The connection to the server was lost");
}

static int step_dial(struct ws *ws, isol8_error *err)
{
    struct curl_message *m;
    int running, left;

    if (ws->lib->multi_perform(ws->multi, &running) != 0)
        return err_set(err, ISOL8_E_NETWORK, "libcurl failed");
    m = ws->lib->multi_info_read(ws->multi, &left);
    if (m == NULL || m->msg != CURLMSG_DONE)
        return 0;
    int result = m->data.result;
    if (result == CURLE_OK &&
        ws->lib->easy_getinfo(ws->easy, CURLINFO_ACTIVESOCKET, &ws->fd) == CURLE_OK &&
        ws->fd >= 0) {
        ws->stage = STAGE_SHAKE;
        return 1;
    }
    return err_set(err, ISOL8_E_NETWORK, "Cannot reach %s: %s", ws->address->url,
                   ws->error[0] != '\0' ? ws->error : ws->lib->easy_strerror(result));
}

/* Read what there is behind what was read before. Return: bytes, 0: none now, -1: the end. */
static ssize_t read_answer(struct ws *ws)
{
    char *room = buf_room(&ws->answer, READ_SIZE);
    size_t n = 0;

    if (room == NULL)
        return -1;
    int r = ws->lib->easy_recv(ws->easy, room, READ_SIZE, &n);
    if (r == CURLE_AGAIN)
        return 0;
    if (r != CURLE_OK || n == 0)
        return -1;
    buf_claim(&ws->answer, n);
    return (ssize_t)n;
}

static int step_shake(struct ws *ws, isol8_error *err)
{
    while (ws->request.len > 0) {
        ssize_t sent = write_some(ws, ws->request.data, ws->request.len);
        if (sent < 0)
            return lost(err);
        if (sent == 0)
            return 0;
        buf_consume(&ws->request, (size_t)sent);
    }
    ssize_t n = read_answer(ws);
    if (n < 0)
        return lost(err);
    if (n == 0)
        return 0;
    int r = handshake_parse(&ws->head, buf_text(&ws->answer), ws->answer.len, ws->accept, err);
    if (r <= 0)
        return r < 0 ? r : 1;
    buf_consume(&ws->answer, ws->head.head_size);
    ws->stage = ws->head.is_websocket ? STAGE_FRAMES : STAGE_BODY;
    return 1;
}

/* The text of a refusal, as far as it is announced and comes. */
static int step_body(struct ws *ws)
{
    if (ws->answer.len < ws->head.body_size && ws->answer.len < REFUSAL_MAX) {
        ssize_t n = read_answer(ws);
        if (n >= 0)
            return n > 0 ? 1 : 0;
    }
    ws->stage = STAGE_REFUSED;
    return 1;
}

static int step_frames(struct ws *ws, isol8_error *err)
{
    const struct wslay_lib *f = ws->frames;

    ws->has_message = false;
    int r = f->want_read(ws->ctx) ? f->recv(ws->ctx) : 0;
    if (r == 0 && f->want_write(ws->ctx))
        r = f->send(ws->ctx);
    if (r == WSLAY_ERR_NOMEM)
        return err_nomem(err);
    bool is_over = r != 0 || (!f->want_read(ws->ctx) && !f->want_write(ws->ctx));
    if (!is_over)
        return ws->has_message ? 1 : 0;
    ws->stage = STAGE_CLOSED;
    if (!ws->is_eof && f->get_close_sent(ws->ctx) && !f->get_close_received(ws->ctx) &&
        f->get_status_code_sent(ws->ctx) == WSLAY_CODE_MESSAGE_TOO_BIG)
        return err_set(err, ISOL8_E_PROTOCOL, "an event of the server's is larger than %u bytes",
                       CLIENT_EVENT_MAX);
    return 1;
}

int ws_step(struct ws *ws, isol8_error *err)
{
    if (ws->stage < STAGE_FRAMES && clock_now_ns() > ws->deadline_ns)
        return err_set(err, ISOL8_E_NETWORK, "The server does not answer: nothing came in %d s",
                       HANDSHAKE_MS / 1000);
    switch (ws->stage) {
    case STAGE_DIAL:
        return step_dial(ws, err);
    case STAGE_SHAKE:
        return step_shake(ws, err);
    case STAGE_BODY:
        return step_body(ws);
    case STAGE_FRAMES:
        return step_frames(ws, err);
    case STAGE_REFUSED:
    case STAGE_CLOSED:
        break;
    }
    return 0;
}

void ws_wait(struct ws *ws, struct pollfd *fds, size_t n, int timeout_ms)
{
    struct curl_waitfd extra[EXTRA_MAX + 1];
    unsigned count = 0;

    for (size_t i = 0; i < n && count < EXTRA_MAX; i++) {
        if (fds[i].fd >= 0) /* poll()'s bits are libcurl's */
            extra[count++] = (struct curl_waitfd){ .fd = fds[i].fd, .events = fds[i].events };
    }
    if (ws->fd >= 0) {
        bool is_open = ws->stage == STAGE_FRAMES;
        bool reads = !is_open || ws->frames->get_queued_msg_count(ws->ctx) <= PONGS_MAX;
        bool writes = is_open ? ws->frames->want_write(ws->ctx) : ws->request.len > 0;
        int events = (reads ? CURL_WAIT_POLLIN : 0) | (writes ? CURL_WAIT_POLLOUT : 0);
        extra[count++] = (struct curl_waitfd){ .fd = ws->fd, .events = (short)events };
    }
    if (timeout_ms < 0 || timeout_ms > TURN_MS) /* the handshake has a deadline */
        timeout_ms = TURN_MS;
    (void)ws->lib->multi_poll(ws->multi, extra, count, timeout_ms, NULL);
}

/* ---- What became of it ----------------------------------------------------------------------- */

enum ws_state ws_state(const struct ws *ws)
{
    switch (ws->stage) {
    case STAGE_FRAMES:
        return WS_OPEN;
    case STAGE_REFUSED:
        return WS_REFUSED;
    case STAGE_CLOSED:
        return WS_CLOSED;
    case STAGE_DIAL:
    case STAGE_SHAKE:
    case STAGE_BODY:
        break;
    }
    return WS_CONNECTING;
}

int ws_refusal(const struct ws *ws, struct buf *out)
{
    if (!client_json_error(buf_text(&ws->answer), ws->answer.len, out)) {
        if (ws->head.reason[0] != '\0')
            (void)buf_adds(out, ws->head.reason);
        else
            (void)buf_addf(out, "HTTP %d", ws->head.status);
    }
    return ws->head.status;
}

unsigned ws_close_code(const struct ws *ws)
{
    return ws->frames->get_close_received(ws->ctx) ? ws->frames->get_status_code_received(ws->ctx)
                                                   : 0;
}
