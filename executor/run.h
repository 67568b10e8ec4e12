/* SPDX-License-Identifier: Apache-2.0 */
/**
 * run.h - one execution in flight, as its source files see it
 *
 *   run.c          the public functions, the event loop, plumbing
 *   run_fetch.c    code from a URL, before there is a sandbox
 *   run_begin.c    from the request to a sandbox: turn, pool, session, creation
 *   run_talk.c     the conversation with init: files in, commands, files out
 *   run_install.c  the step of the package manager
 *   run_setup.c    the steps of the setup scripts
 *   run_end.c      kill, drain, remove, hand over, sum up
 */
#ifndef EXECUTOR_RUN_H
#define EXECUTOR_RUN_H

#include "executor/initlink.h"
#include "executor/output.h"
#include "executor/pool.h"
#include "executor/remote/flights.h"
#include "executor/request.h"
#include "executor/result.h"
#include "executor/sandbox.h"
#include "executor/session.h"

enum {
    RUN_EVENTS_MAX = 8,        /* queued at once: two markers, error, exit, and room */
    RUN_CREATE_MS = 120000,    /* a sandbox not up after this long is given up */
    RUN_COLLECT_MS = 60000,    /* for fetching output files */
    RUN_CLOSE_MS = 30000,      /* for the runtime to clean up before it is killed */
    RUN_REFILL_MS = 100,       /* an execution that lasts longer lets the pool refill meanwhile */
    RUN_PUTS_AHEAD = 16,       /* files sent before the first is acknowledged */
    RUN_STEP_TEXT_MAX = 16384, /* of the stderr of a step before the code, for the message */
    RUN_STDIN_MAX = 64 << 20,  /* bytes queued for stdin */
    RUN_DRAIN_MAX = 1 << 20,   /* bytes a pipe can hold, and so all that ended programs left */
    RUN_COMMANDS_MAX = 4,      /* install, two setup scripts, the main command */
};
#define RUN_OUTPUT_FILES_MAX ((size_t)256 << 20) /* bytes of all output files of one result */

/* Ids of requests to init: PUT of file i is i + 1, GET of output i is RUN_GET_ID + i. */
enum {
    RUN_MAIN_ID = 0x40000000,
    RUN_INSTALL_ID = 0x48000000,
    RUN_SETUP_ID = 0x4a000000,
    RUN_SETUP_PUT_ID,
    RUN_SETUP_REMOVE_ID,
    RUN_GET_ID = 0x50000000,
};

enum run_state {
    RUN_QUEUED,     /* waiting for a place among the engine's executions */
    RUN_FETCHING,   /* waiting for its code */
    RUN_WAITING,    /* waiting for a sandbox that the pool is making */
    RUN_LINED_UP,   /* waiting to make its own, while many others are being made */
    RUN_CREATING,   /* waiting for init's hello */
    RUN_STAGING,    /* code or files are being put */
    RUN_INSTALLING, /* the package manager runs */
    RUN_SETUP,      /* a setup script is put, or runs */
    RUN_RUNNING,    /* the main command runs */
    RUN_COLLECTING, /* output files are being fetched */
    RUN_CLOSING,    /* waiting for the streams' and the runtime's end */
    RUN_DONE,
};

/* What comes next, in this order; steps that have nothing to do are passed over. */
enum run_step {
    RUN_STEP_FILES,
    RUN_STEP_INSTALL,
    RUN_STEP_IMAGE_SETUP,
    RUN_STEP_SETUP,
    RUN_STEP_CODE,
    RUN_STEP_MAIN,
};

/* What an epoll event stands for. */
enum run_source {
    RUN_SRC_TURN, /* a place, the fetched code, or the pool's sandbox */
    RUN_SRC_SOCKET,
    RUN_SRC_RUNTIME,
    RUN_SRC_STDOUT,
    RUN_SRC_STDERR,
    RUN_SRC_STDIN,
    RUN_SRC_GET,
    RUN_SRC_TIMER,
    RUN_SRC_CANCEL,
    RUN_SRC_PENDING,
};

struct queued_event {
    isol8_event ev;
    char text[160]; /* holds ev.data when it is short; markers, messages and exit codes are */
};

struct isol8_run {
    struct isol8_engine *engine;
    const isol8_request *rq;
    bool is_buffered; /* failed steps before the code are errors, not events */
    struct exec_plan plan;
    enum run_state state;
    enum run_step step; /* the next one */
    struct isol8_result *result;
    struct verdict_facts facts;
    isol8_error error; /* first failure of isol8 itself; status 0: none */
    bool error_was_reported;

    struct turn
        turn;      /* among the engine's executions; its descriptor serves fetch and ticket, too */
    bool has_turn; /* queued, or with a place */
    struct turn maker; /* among those who make sandboxes; the same descriptor */
    bool has_maker;
    struct flight_wait fetch; /* for code from a URL; afterwards it holds the code */
    uint64_t fetch_ns;        /* what that took: it counts against the deadline */
    struct pool_kind *kind;   /* NULL: not pooled */
    struct pool_ticket ticket;
    bool was_refilled;

    struct sandbox *sandbox; /* own, or the session's; NULL once handed over */
    struct session *session; /* NULL: the sandbox is its own */
    bool is_spared;          /* the sandbox outlives the run: session, or kept */
    int socket_fd;           /* to init: the sandbox's first socket, or the session's channel */

    int epoll_fd;
    int timer_fd;
    int cancel_fd;
    int pending_fd; /* readable while events are queued or the run is done */

    struct queued_event queue[RUN_EVENTS_MAX];
    unsigned queue_head, queue_len;

    struct output streams[2];       /* stdout, stderr of the main command */
    struct output setup_streams[2]; /* of the setup script that runs */
    int stream_fds[2];              /* read ends; -1 once at their end */
    bool streams_ended;             /* markers and the exit event were queued */
    bool is_removing;               /* waiting for the runtime, to remove the sandbox */
    bool is_draining;               /* taking what ended programs left in the pipes */
    size_t drain_left[2];

    int stdin_fd; /* write end of a stdin kept open */
    struct buf stdin_queue;
    bool stdin_close; /* close it once the queue is empty */

    size_t puts_sent; /* index of the next file to send; behind the last file is the code */
    size_t puts_acked;
    size_t puts_end;
    size_t next_get;
    int get_fd;    /* read end of the pipe of the file being fetched */
    bool get_done; /* init's answer came */
    int get_errnum;
    struct buf get_data;
    size_t got_bytes;

    struct buf step_text;              /* the end of what a step before the code said on stderr */
    struct proxy_rules *install_rules; /* of a sandbox of its own */
    bool opened_packages;              /* the session's package hosts are open for this run */
    bool install_failed;               /* what still comes is the package manager's output */
    const char *script;                /* the setup script at work */
    int setup_status;                  /* of its end, as by waitpid(2) */
    bool setup_ended;

    struct cgroup_exec cgroup;          /* of the command that runs, or ran last */
    unsigned numbers[RUN_COMMANDS_MAX]; /* of the cgroups made */
    unsigned n_numbers;
    bool command_runs;                      /* an EXEC was sent and has not been answered */
    uint32_t command;                       /* its id */
    struct cgroup_counters counters_before; /* of the session, when the main command started */
    uint64_t cpu_before_us;
    bool has_exited;
    bool counted;      /* the cgroup's counters were read */
    uint64_t taken_ns; /* when the deadline started to run */
    uint64_t started_ns;
    uint64_t ended_ns;
    int64_t started_wall_ms;
};

/* run.c */
int run_watch(struct isol8_run *r, int fd, enum run_source src, uint32_t events, isol8_error *err);
int run_close_fd(struct isol8_run *r, int fd);
int run_arm_timer(struct isol8_run *r, int64_t ms, isol8_error *err);
void run_set_pending(struct isol8_run *r, bool on);
void run_queue(struct isol8_run *r, enum isol8_event_type type, enum isol8_phase phase,
               const char *text, bool is_marker);
void run_free(struct isol8_run *r);

/* run_fetch.c */
int run_start_fetch(struct isol8_run *r, isol8_error *err);
int run_on_fetched(struct isol8_run *r, isol8_error *err);
void run_note_source(struct isol8_run *r);

/* run_begin.c */
int run_begin(struct isol8_run *r, isol8_error *err);
int run_on_turn(struct isol8_run *r);
int run_on_hello(struct isol8_run *r);
void run_leave_makers(struct isol8_run *r);
int run_on_runtime_end(struct isol8_run *r);

/* run_talk.c */
int run_next_step(struct isol8_run *r);
int run_execute(struct isol8_run *r, uint32_t id, int in, const struct buf *strings,
                const struct init_exec *counts);
int run_on_answer(struct isol8_run *r);
int run_on_get_data(struct isol8_run *r);
void run_read_counters(struct isol8_run *r);
bool run_hit_memory_limit(struct isol8_run *r);
void run_keep_text(struct buf *text, const char *p, size_t n);
int run_step_failed(struct isol8_run *r, int status, const char *what, int code, const char *why);

/* run_install.c */
int run_start_install(struct isol8_run *r);
int run_on_install_output(struct isol8_run *r, int i);
int run_install_ended(struct isol8_run *r, const struct init_exited *e);
int run_install_timed_out(struct isol8_run *r);
void run_close_packages(struct isol8_run *r);

/* run_setup.c */
const char *run_image_setup(struct isol8_run *r);
int run_start_setup(struct isol8_run *r, const char *script);
int run_setup_placed(struct isol8_run *r, const struct init_done *d);
int run_setup_ended(struct isol8_run *r, const struct init_exited *e);
int run_setup_drained(struct isol8_run *r);
int run_setup_timed_out(struct isol8_run *r);

/* run_end.c */
int run_fail(struct isol8_run *r, int status);
void run_kill(struct isol8_run *r);
void run_begin_close(struct isol8_run *r);
void run_begin_draining(struct isol8_run *r);
int run_drain(struct isol8_run *r, isol8_event *ev);
int run_take_output(struct isol8_run *r, int i, const char *data, size_t n, bool is_end,
                    isol8_event *ev);
void run_finish_if_over(struct isol8_run *r);
void run_audit(struct isol8_run *r);
void run_leave(struct isol8_run *r);

#endif
