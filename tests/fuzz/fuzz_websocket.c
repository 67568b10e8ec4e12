/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_websocket.c - bytes of a WebSocket client: frames, and the messages in them.
 *
 * A frame is masked, which mutations of raw bytes seldom survive. So the first byte of the input
 * says whether the rest is the stream itself, or lines that are framed here. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/buf.h"
#include "server/frames.h"
#include "server/message.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MESSAGE_MAX 4096

struct state {
    struct frames *frames;
    bool is_closed;
};

static void on_message(void *user, const char *text, size_t n)
{
    struct state *s = user;
    struct message m;
    struct srv_fault f = { 0 };

    if (s->is_closed || n > MESSAGE_MAX || text[n] != '\0')
        abort();
    int r = message_parse(&m, text, n, &f);
    if (r < 0 && f.text[0] == '\0')
        abort();
    if (r == 0 && m.type == MESSAGE_SIGNAL && m.signal == 0)
        abort();
    if (r < 0)
        frames_text(s->frames, f.text, strlen(f.text));
    if (r == MESSAGE_NO_JSON) {
        frames_close(s->frames, FRAMES_UNSUPPORTED, "Invalid JSON");
        s->is_closed = true;
    }
    message_done(&m);
}

/* Each line as a text frame with a mask of zeros. */
static void frame_lines(const uint8_t *data, size_t size, struct buf *out)
{
    while (size > 0) {
        const uint8_t *end = memchr(data, '\n', size);
        size_t n = end == NULL ? size : (size_t)(end - data);
        uint8_t head[] = { 0x81, 0x80 | 126, (uint8_t)(n >> 8), (uint8_t)n, 0, 0, 0, 0 };
        if (n < 126)
            head[1] = (uint8_t)(0x80 | n);
        (void)buf_add(out, head, 2);
        if (n >= 126)
            (void)buf_add(out, head + 2, 2);
        (void)buf_add(out, head + 4, 4);
        (void)buf_add(out, data, n);
        data += n + (end != NULL);
        size -= n + (end != NULL);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    atomic_size_t held = 0;
    struct state s = { 0 };
    auto_buf struct buf stream = BUF_INIT(1u << 20);
    int pair[2];
    char sink[4096];

    if (size < 1 || size > 65535)
        return 0;
    if (data[0] == 'L')
        frame_lines(data + 1, size - 1, &stream);
    else
        (void)buf_add(&stream, data + 1, size - 1);
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) < 0)
        abort();
    size_t early = stream.len / 3;
    struct frames_args args = {
        .fd = pair[0],
        .early = buf_text(&stream),
        .n_early = early,
        .message_max = MESSAGE_MAX,
        .held = &held,
        .held_max = SIZE_MAX,
        .on_message = on_message,
        .user = &s,
    };
    if (frames_new(&s.frames, &args, NULL) < 0)
        abort();
    if (send(pair[1], buf_text(&stream) + early, stream.len - early, MSG_DONTWAIT) < 0 &&
        stream.len > early)
        abort();
    (void)shutdown(pair[1], SHUT_WR);
    while (frames_work(s.frames))
        while (recv(pair[1], sink, sizeof(sink), MSG_DONTWAIT) > 0)
            ;
    frames_free(s.frames);
    if (atomic_load(&held) != 0)
        abort();
    (void)close(pair[0]);
    (void)close(pair[1]);
    return 0;
}
