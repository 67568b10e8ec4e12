/* SPDX-License-Identifier: Apache-2.0 */
/**
 * session.h - the one sandbox of an engine in persistent mode
 *
 * Made by the first execution (or the files put before it are kept until then), and shared by all:
 * each execution talks to init over a channel of its own and has a cgroup of its own. The engine
 * and every run in progress hold the session; what touches its sandbox does so under its lock, and
 * not after isol8_stop() ended it.
 */
#ifndef EXECUTOR_SESSION_H
#define EXECUTOR_SESSION_H

#include <pthread.h>

#include "executor/request.h"

enum {
    SESSION_STAGED_BYTES_MAX = 1 << 30, /* of files put before there is a sandbox */
    SESSION_START_MS = 120000,
};

struct session_file {
    struct session_file *next;
    char *path;
    int fd; /* memfd */
};

struct session {
    pthread_mutex_t mutex; /* guards all below but what never changes */
    unsigned refs;
    struct isol8_host *host;
    bool is_over;                       /* the sandbox is gone, or about to go */
    struct sandbox *sandbox;            /* NULL before the first execution */
    const struct exec_runtime *runtime; /* of the first execution, NULL before */
    char *image;
    bool was_set_up;                   /* the image's setup script was started */
    bool has_packages;                 /* something was installed */
    int64_t last_ms;                   /* in names of script files: each a millisecond of its own */
    struct proxy_rules *install_rules; /* with the package hosts; made on first use */
    unsigned installs;                 /* executions that install packages just now */
    struct session_file *staged;       /* in the order put */
    uint64_t staged_bytes;
    unsigned *leftovers; /* numbers of cgroups that still have background processes */
    size_t n_leftovers;
};

/** The engine's session, made when there is none. Held for the caller: session_release(). */
int session_hold(struct isol8_engine *e, struct session **out, isol8_error *err);
void session_release(struct session *s); /* NULL is fine */

/** Take the session away from the engine and end it: nothing of it is left afterwards. */
int session_end(struct isol8_engine *e, isol8_error *err);

/**
 * session_enter() - Make the session's sandbox unless it stands, for an execution of @p
 *
 * Files put before are written. One at a time; the others wait for it.
 * Return: 0, ISOL8_E_INVAL for another runtime, ISOL8_E_STATE when the sandbox has ended
 */
int session_enter(struct session *s, const struct exec_plan *p, isol8_error *err);

/** A copy of the name of the image that the session has; NULL when it has no sandbox yet. */
int session_image(struct session *s, char **out, isol8_error *err);

/** Lock the session if its sandbox can be used. False: it is over, and nothing is locked. */
bool session_lock(struct session *s);
void session_unlock(struct session *s);

/** A channel to init. Return: fd, ISOL8_E_STATE, ... */
int session_channel(struct session *s, isol8_error *err);

/** Remove the cgroup of an execution, now or when its background processes have ended. */
void session_exec_over(struct session *s, unsigned number);

/** Allow the image's package hosts as well, until as many calls of session_close_packages(): to the
 * whole session, for its executions share one network. */
int session_open_packages(struct session *s, const struct isol8_engine *e, isol8_error *err);
void session_close_packages(struct session *s, const struct isol8_engine *e);

/** A millisecond since the epoch that no other execution of the session was given. */
int64_t session_stamp_ms(struct session *s);

/** Keep a file (its content read from @fd, not taken) until the sandbox is made. Return: 1 when it
 * is kept, 0 when there is a sandbox by now, or a status. */
int session_stage(struct session *s, const char *path, int fd, isol8_error *err);

#endif
