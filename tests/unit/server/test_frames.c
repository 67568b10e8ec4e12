/* SPDX-License-Identifier: Apache-2.0 */
/* test_frames.c - the deadlines of a WebSocket client, and what it is told before it is closed. */
#include "server/frames.h"
#include "tests/support/test.h"

#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"

struct talk {
    struct frames *frames;
    int client;
    atomic_size_t held;
    int n_messages;
    int fd;
};

static void on_message(void *user, const char *text, size_t n)
{
    struct talk *t = user;

    (void)text;
    (void)n;
    t->n_messages++;
}

static void begin(struct talk *t)
{
    int pair[2];
    isol8_error err;

    *t = (struct talk){ 0 };
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    t->fd = pair[0];
    t->client = pair[1];
    struct frames_args args = {
        .fd = t->fd,
        .message_max = 1 << 20,
        .held = &t->held,
        .held_max = 1 << 20,
        .on_message = on_message,
        .user = t,
    };
    assert_int_equal(frames_new(&t->frames, &args, &err), 0);
}

static void end(struct talk *t)
{
    frames_free(t->frames);
    assert_int_equal(atomic_load(&t->held), 0);
    (void)close(t->fd);
    (void)close(t->client);
}

static void client_sends(struct talk *t, const char *bytes, size_t n)
{
    assert_int_equal(send(t->client, bytes, n, 0), (ssize_t)n);
    assert_true(frames_work(t->frames));
}

/* Milliseconds from now; the masks of what is sent are zeros. */
static int64_t due_ms(const struct talk *t)
{
    uint64_t due = frames_deadline_ns(t->frames);

    return due == UINT64_MAX ? -1 : (int64_t)(due / 1000000) - (int64_t)(clock_now_ns() / 1000000);
}

static void test_unfinished_message(void **state)
{
    struct talk t;

    (void)state;
    begin(&t);
    assert_true(frames_work(t.frames));
    assert_int_equal(due_ms(&t), -1);
    client_sends(&t, "\x01\x83\0\0\0\0abc", 9); /* a fragment */
    assert_in_range(due_ms(&t), FRAMES_SLACK_MS - 1000, FRAMES_SLACK_MS + 1);
    assert_int_equal(atomic_load(&t.held), 3);
    client_sends(&t, "\x80\x83\0\0\0\0d", 7); /* the last one, but not all of it */
    assert_in_range(due_ms(&t), FRAMES_SLACK_MS - 1000, FRAMES_SLACK_MS + 1);
    assert_int_equal(t.n_messages, 0);
    client_sends(&t, "ef", 2);
    assert_int_equal(t.n_messages, 1);
    assert_int_equal(due_ms(&t), -1);
    assert_int_equal(atomic_load(&t.held), 0);
    end(&t);
}

static void test_reader_that_is_slow(void **state)
{
    static char text[4 << 20];
    struct talk t;

    (void)state;
    begin(&t);
    memset(text, 'x', sizeof(text));
    frames_text(t.frames, text, sizeof(text));
    assert_true(frames_work(t.frames));
    assert_true(frames_is_sending(t.frames));
    int64_t most = FRAMES_SLACK_MS + (int64_t)sizeof(text) / FRAMES_BYTES_PER_MS;
    assert_in_range(due_ms(&t), most - 1000, most + 1);
    /* Taking a part of it gains no time. */
    assert_true(recv(t.client, text, 100000, 0) > 0);
    assert_true(frames_work(t.frames));
    assert_in_range(due_ms(&t), most - 1000, most + 1);
    assert_int_equal(frames_events(t.frames), POLLIN | POLLOUT);
    end(&t);
}

static void test_close_comes_last(void **state)
{
    struct talk t;
    char got[64];

    (void)state;
    begin(&t);
    frames_text(t.frames, "why", 3);
    frames_close(t.frames, FRAMES_DONE, "bye");
    frames_text(t.frames, "too late", 8);
    assert_true(frames_work(t.frames));
    assert_int_equal(recv(t.client, got, sizeof(got), 0), 5 + 7);
    assert_memory_equal(got,
                        "\x81\x03why\x88\x05\x03\xe8"
                        "bye",
                        12);
    assert_in_range(due_ms(&t), FRAMES_CLOSE_MS - 500, FRAMES_CLOSE_MS + 1);
    assert_int_equal(send(t.client, "\x88\x82\0\0\0\0\x03\xe8", 8, 0), 8);
    assert_false(frames_work(t.frames));
    end(&t);
}

static void test_pause(void **state)
{
    struct talk t;

    (void)state;
    begin(&t);
    frames_pause(t.frames, true);
    client_sends(&t, "\x81\x81\0\0\0\0a", 7);
    assert_int_equal(t.n_messages, 0);
    assert_int_equal(frames_events(t.frames), 0);
    frames_pause(t.frames, false);
    assert_true(frames_work(t.frames));
    assert_int_equal(t.n_messages, 1);
    end(&t);
}

static void test_all_messages_have_a_budget(void **state)
{
    struct talk t;

    (void)state;
    begin(&t);
    atomic_store(&t.held, (1 << 20) - 2);
    client_sends(&t, "\x81\x83\0\0\0\0abc", 9);
    assert_int_equal(t.n_messages, 0);
    assert_true(frames_is_closing(t.frames));
    assert_int_equal(atomic_load(&t.held), (1 << 20) - 2);
    atomic_store(&t.held, 0);
    end(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_unfinished_message),
        cmocka_unit_test(test_reader_that_is_slow),
        cmocka_unit_test(test_close_comes_last),
        cmocka_unit_test(test_pause),
        cmocka_unit_test(test_all_messages_have_a_budget),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
