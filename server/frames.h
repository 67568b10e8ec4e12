/* SPDX-License-Identifier: Apache-2.0 */
/**
 * frames.h - a WebSocket connection (RFC 6455), server side: text messages in and out
 *
 * Frames are wslay's business; what a client may cost is ours: how long a message may be and may
 * take, how many frames and pings it may send, and how slowly it may read. Nothing blocks. A
 * violation closes the connection with the code that the RFC gives for it.
 */
#ifndef SERVER_FRAMES_H
#define SERVER_FRAMES_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

enum {
    FRAMES_READ = 16384,        /* bytes taken by one call, so that others get their turn */
    FRAMES_PER_MESSAGE = 65536, /* even empty ones cost time */
    FRAMES_PINGS = 100,         /* at once ... */
    FRAMES_PINGS_PER_S = 10,    /* ... and for long */
    FRAMES_WAITING = 64,        /* answers to pings and the like, before no more is read */
    FRAMES_SLACK_MS = 30000,    /* for a message in either direction, and beyond that ... */
    FRAMES_BYTES_PER_MS = 16,   /* ... this rate at least */
    FRAMES_CLOSE_MS = 2000,     /* for the other side to close, too */
};

/* RFC 6455, section 7.4.1, and 1013 of the IANA registry. */
enum frames_code {
    FRAMES_DONE = 1000,
    FRAMES_GOING_AWAY = 1001,
    FRAMES_UNSUPPORTED = 1003,
    FRAMES_POLICY = 1008,
    FRAMES_TOO_BIG = 1009,
    FRAMES_TRY_LATER = 1013,
};

struct frames_args {
    int fd;            /* a connected socket; borrowed */
    const void *early; /* what the client sent together with its handshake; copied */
    size_t n_early;
    size_t message_max;
    atomic_size_t *held; /* bytes of unfinished messages, of everybody ... */
    size_t held_max;     /* ... and their limit */
    /** A whole message, valid UTF-8; may call everything below but frames_free(). */
    void (*on_message)(void *user, const char *text, size_t n);
    void *user;
};

struct frames;

int frames_new(struct frames **out, const struct frames_args *args, isol8_error *err);
void frames_free(struct frames *f); /* NULL is fine */

/* Queue something to be sent; no effect once the connection is closing. */
void frames_text(struct frames *f, const char *text, size_t n);
void frames_ping(struct frames *f);
void frames_close(struct frames *f, enum frames_code code, const char *reason);

/** Take no more from the client until the next call. */
void frames_pause(struct frames *f, bool is_paused);

/** Read and write what can be without waiting. Return: false when the connection is over */
bool frames_work(struct frames *f);

/** What to poll the socket for. */
short frames_events(const struct frames *f);

/** True when frames_work() has something to do already. */
bool frames_has_unread(const struct frames *f);

bool frames_is_sending(const struct frames *f);
bool frames_is_closing(const struct frames *f);

/** When the client will be late with what it is doing (monotonic ns), after which the connection
 * should be given up; UINT64_MAX: it is doing nothing. */
uint64_t frames_deadline_ns(const struct frames *f);

/** When anything came last. */
uint64_t frames_heard_ns(const struct frames *f);

#endif
