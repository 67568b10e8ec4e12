/* SPDX-License-Identifier: Apache-2.0 */
/**
 * frames.c - a WebSocket connection, server side
 *
 * Theory of operation. wslay calls back for bytes to read and to write, and for frames. It is told
 * not to collect messages itself: it would make a list element of every fragment, so that a message
 * of sixteen million fragments of one byte would take a gigabyte. The fragments are put together
 * here, in one buffer with a ceiling. wslay still checks masks, UTF-8, reserved bits, the order of
 * fragments and the form of control frames, and answers pings and closes.
 *
 * Pongs are queued in memory. Therefore one call reads only so much, and nothing is read while many
 * answers wait: a client that sends pings and never reads fills its own socket, not our memory.
 */
#include "server/frames.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/wslay.h"

#define MS_NS UINT64_C(1000000)

struct frames {
    struct frames_args args;
    const struct wslay_lib *lib;
    wslay_event_context_ptr ctx;
    uint8_t *early;
    size_t n_early, early_done;
    size_t to_read; /* bytes that this call may still take */
    bool is_paused, is_gone;
    bool is_closing, has_closed; /* decided; sent */
    enum frames_code close_code; /* 0: none is to be sent */
    const char *close_reason;
    uint64_t heard_ns;
    /* the message that is coming */
    struct buf message;
    unsigned n_frames;
    bool in_data; /* the frame at hand is one of the message */
    uint64_t message_ns;
    /* pings */
    double pings_left;
    uint64_t pings_ns;
    /* what is being sent */
    uint64_t send_ns; /* since when */
    size_t send_bytes;
    uint64_t closed_ns; /* our close has been sent: it is the other side's turn */
};

/* ---- Sending --------------------------------------------------------------------------------- */

static ssize_t on_send(wslay_event_context_ptr ctx, const uint8_t *data, size_t n, int flags,
                       void *user)
{
    struct frames *f = user;
    ssize_t sent;

    (void)flags;
    do {
        sent = send(f->args.fd, data, n, MSG_DONTWAIT | MSG_NOSIGNAL);
    } while (sent < 0 && errno == EINTR);
    if (sent >= 0)
        return sent;
    bool is_full = errno == EAGAIN;
    f->is_gone = f->is_gone || !is_full;
    f->lib->set_error(ctx, is_full ? WSLAY_ERR_WOULDBLOCK : WSLAY_ERR_CALLBACK_FAILURE);
    return -1;
}

/* The clock of what is being sent starts with an empty queue. */
static void count_sending(struct frames *f, size_t n)
{
    if (!f->lib->want_write(f->ctx)) {
        f->send_ns = clock_now_ns();
        f->send_bytes = 0;
    }
    f->send_bytes += n;
}

static void queue(struct frames *f, uint8_t opcode, const char *data, size_t n)
{
    struct wslay_event_msg msg = { opcode, (const uint8_t *)data, n };

    if (f->is_closing)
        return;
    count_sending(f, n);
    if (f->lib->queue_msg(f->ctx, &msg) != 0)
        f->is_gone = true; /* out of memory: an event less would be a lie */
}

void frames_text(struct frames *f, const char *text, size_t n)
{
    queue(f, WSLAY_TEXT_FRAME, text, n);
}

void frames_ping(struct frames *f)
{
    queue(f, WSLAY_PING, "", 0);
}

void frames_close(struct frames *f, enum frames_code code, const char *reason)
{
    if (f->is_closing)
        return;
    f->is_closing = true;
    f->close_code = code;
    f->close_reason = reason;
}

/* wslay sends control frames first, and nothing after a close: so what was said before it has to be
 * out before it is queued. */
static void queue_close(struct frames *f)
{
    size_t n = strlen(f->close_reason);

    count_sending(f, n);
    if (f->lib->queue_close(f->ctx, (uint16_t)f->close_code, (const uint8_t *)f->close_reason, n) !=
        0)
        f->is_gone = true;
    f->close_code = 0;
}

/* ---- Receiving ------------------------------------------------------------------------------- */

static ssize_t take_early(struct frames *f, uint8_t *out, size_t n)
{
    if (n > f->n_early - f->early_done)
        n = f->n_early - f->early_done;
    memcpy(out, f->early + f->early_done, n);
    f->early_done += n;
    return (ssize_t)n;
}

static ssize_t on_recv(wslay_event_context_ptr ctx, uint8_t *out, size_t n, int flags, void *user)
{
    struct frames *f = user;
    ssize_t got;

    (void)flags;
    if (n > f->to_read)
        n = f->to_read;
    if (n == 0 || f->is_paused || f->lib->get_queued_msg_count(ctx) >= FRAMES_WAITING) {
        f->lib->set_error(ctx, WSLAY_ERR_WOULDBLOCK);
        return -1;
    }
    if (frames_has_unread(f)) {
        got = take_early(f, out, n);
    } else {
        do {
            got = recv(f->args.fd, out, n, MSG_DONTWAIT);
        } while (got < 0 && errno == EINTR);
    }
    if (got > 0) {
        f->to_read -= (size_t)got;
        f->heard_ns = clock_now_ns();
        return got;
    }
    bool is_empty = got < 0 && errno == EAGAIN;
    f->is_gone = f->is_gone || !is_empty;
    f->lib->set_error(ctx, is_empty ? WSLAY_ERR_WOULDBLOCK : WSLAY_ERR_CALLBACK_FAILURE);
    return -1;
}

static void forget_message(struct frames *f)
{
    atomic_fetch_sub(f->args.held, f->message.len);
    /* Messages hold secrets and code. */
    if (f->message.data != NULL)
        explicit_bzero(f->message.data, f->message.len);
    buf_done(&f->message);
    buf_init(&f->message, f->args.message_max);
    f->n_frames = 0;
}

static void on_frame(wslay_event_context_ptr ctx,
                     const struct wslay_event_on_frame_recv_start_arg *frame, void *user)
{
    struct frames *f = user;

    (void)ctx;
    f->in_data = frame->opcode <= WSLAY_BINARY_FRAME;
    if (!f->in_data)
        return;
    if (f->n_frames++ == 0)
        f->message_ns = clock_now_ns();
    if (frame->opcode == WSLAY_BINARY_FRAME)
        frames_close(f, FRAMES_UNSUPPORTED, "Text messages only");
    else if (frame->payload_length > f->args.message_max - f->message.len)
        frames_close(f, FRAMES_TOO_BIG, "Message too big");
    else if (f->n_frames > FRAMES_PER_MESSAGE)
        frames_close(f, FRAMES_POLICY, "Too many fragments");
}

static void on_chunk(wslay_event_context_ptr ctx,
                     const struct wslay_event_on_frame_recv_chunk_arg *chunk, void *user)
{
    struct frames *f = user;

    (void)ctx;
    if (!f->in_data || f->is_closing || chunk->data_length == 0)
        return;
    if (atomic_fetch_add(f->args.held, chunk->data_length) + chunk->data_length <=
            f->args.held_max &&
        buf_add(&f->message, chunk->data, chunk->data_length))
        return;
    atomic_fetch_sub(f->args.held, chunk->data_length);
    frames_close(f, FRAMES_TRY_LATER, "The server is busy: too many large messages");
}

static void on_ping(struct frames *f)
{
    uint64_t now = clock_now_ns();

    f->pings_left += (double)(now - f->pings_ns) / 1e9 * FRAMES_PINGS_PER_S;
    if (f->pings_left > FRAMES_PINGS)
        f->pings_left = FRAMES_PINGS;
    f->pings_ns = now;
    f->pings_left -= 1;
    if (f->pings_left < 0)
        frames_close(f, FRAMES_POLICY, "Too many pings");
}

static void on_msg(wslay_event_context_ptr ctx, const struct wslay_event_on_msg_recv_arg *msg,
                   void *user)
{
    struct frames *f = user;

    (void)ctx;
    switch (msg->opcode) {
    case WSLAY_PING:
        on_ping(f);
        break;
    case WSLAY_CONNECTION_CLOSE:
        f->is_closing = true; /* wslay has queued the answer */
        f->close_code = 0;
        break;
    case WSLAY_TEXT_FRAME:
        if (!f->is_closing)
            f->args.on_message(f->args.user, buf_text(&f->message), f->message.len);
        forget_message(f);
        break;
    default:
        break;
    }
}

/* ---- The connection -------------------------------------------------------------------------- */

int frames_new(struct frames **out, const struct frames_args *args, isol8_error *err)
{
    static const struct wslay_event_callbacks callbacks = {
        .recv_callback = on_recv,
        .send_callback = on_send,
        .on_frame_recv_start_callback = on_frame,
        .on_frame_recv_chunk_callback = on_chunk,
        .on_msg_recv_callback = on_msg,
    };
    const struct wslay_lib *lib;

    int r = wslay_lib_get(&lib, err);
    if (r < 0)
        return r;
    struct frames *f = calloc(1, sizeof(*f));
    if (f == NULL)
        return err_nomem(err);
    *f = (struct frames){ .args = *args, .lib = lib, .pings_left = FRAMES_PINGS };
    f->heard_ns = f->pings_ns = clock_now_ns();
    buf_init(&f->message, args->message_max);
    if (args->n_early > 0) {
        f->early = malloc(args->n_early);
        f->n_early = args->n_early;
    }
    if ((args->n_early > 0 && f->early == NULL) || lib->server_init(&f->ctx, &callbacks, f) != 0) {
        frames_free(f);
        return err_nomem(err);
    }
    if (args->n_early > 0)
        memcpy(f->early, args->early, args->n_early);
    lib->set_no_buffering(f->ctx, 1);
    /* With that, of a single frame: which is refused by on_frame() before. */
    lib->set_max_recv_msg_length(f->ctx, args->message_max);
    *out = f;
    return 0;
}

void frames_free(struct frames *f)
{
    if (f == NULL)
        return;
    forget_message(f);
    buf_done(&f->message);
    if (f->ctx != NULL)
        f->lib->free(f->ctx);
    if (f->early != NULL)
        explicit_bzero(f->early, f->n_early);
    free(f->early);
    free(f);
}

void frames_pause(struct frames *f, bool is_paused)
{
    f->is_paused = is_paused;
}

/* Return: false when the connection is broken. */
static bool send_queued(struct frames *f)
{
    if (f->lib->want_write(f->ctx) && f->lib->send(f->ctx) != 0)
        return false;
    if (f->close_code == 0 || f->lib->want_write(f->ctx))
        return true;
    queue_close(f);
    return f->lib->send(f->ctx) == 0;
}

bool frames_work(struct frames *f)
{
    bool was_sending = frames_is_sending(f);

    f->to_read = FRAMES_READ;
    /* What fails otherwise than by our callback is no frame, for which wslay closes. */
    if (!f->is_gone && f->lib->want_read(f->ctx))
        (void)f->lib->recv(f->ctx);
    if (!was_sending) /* wslay queues answers of its own */
        f->send_ns = clock_now_ns();
    if (!f->lib->want_read(f->ctx)) { /* so it closes when it finds something wrong */
        f->is_closing = true;
        f->close_code = 0;
    }
    f->is_gone = f->is_gone || !send_queued(f);
    if (f->is_closing && !f->has_closed && !frames_is_sending(f)) {
        f->has_closed = true;
        f->closed_ns = clock_now_ns();
    }
    return !f->is_gone && (f->lib->want_read(f->ctx) || frames_is_sending(f));
}

bool frames_has_unread(const struct frames *f)
{
    return f->early_done < f->n_early;
}

bool frames_is_sending(const struct frames *f)
{
    return f->lib->want_write(f->ctx) || f->close_code != 0;
}

bool frames_is_closing(const struct frames *f)
{
    return f->is_closing;
}

short frames_events(const struct frames *f)
{
    bool reads = f->lib->want_read(f->ctx) && !f->is_paused &&
                 f->lib->get_queued_msg_count(f->ctx) < FRAMES_WAITING;

    return (short)((reads ? POLLIN : 0) | (frames_is_sending(f) ? POLLOUT : 0));
}

static uint64_t due_ns(uint64_t since_ns, size_t bytes)
{
    return since_ns + (FRAMES_SLACK_MS + bytes / FRAMES_BYTES_PER_MS) * MS_NS;
}

uint64_t frames_deadline_ns(const struct frames *f)
{
    uint64_t deadline = UINT64_MAX;

    if (f->n_frames > 0 && !f->is_paused)
        deadline = due_ns(f->message_ns, f->message.len);
    if (frames_is_sending(f) && due_ns(f->send_ns, f->send_bytes) < deadline)
        deadline = due_ns(f->send_ns, f->send_bytes);
    if (f->has_closed && !frames_is_sending(f))
        deadline = f->closed_ns + FRAMES_CLOSE_MS * MS_NS;
    return deadline;
}

uint64_t frames_heard_ns(const struct frames *f)
{
    return f->heard_ns;
}
