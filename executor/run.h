/* SPDX-License-Identifier: Apache-2.0 */
/* run.h - one execution in flight, as its two source files see it. */
#ifndef EXECUTOR_RUN_H
#define EXECUTOR_RUN_H

#include "executor/initlink.h"
#include "executor/output.h"
#include "executor/request.h"
#include "executor/result.h"
#include "executor/sandbox.h"

enum {
    RUN_EVENTS_MAX = 8,              /* queued at once: two markers, error, exit, and room */
    RUN_CREATE_MS = 120000,          /* a sandbox not up after this long is given up */
    RUN_COLLECT_MS = 60000,          /* for fetching output files */
    RUN_CLOSE_MS = 30000,            /* for the runtime to clean up before it is killed */
    RUN_PUTS_AHEAD = 16,             /* files sent before the first is acknowledged */
    RUN_INSTALL_TEXT_MAX = 16 << 10, /* of the package manager's stderr, for the message */
    RUN_INSTALL_ID = 0x48000000,
    RUN_STDIN_MAX = 64 << 20, /* bytes queued for stdin */
};
#define RUN_OUTPUT_FILES_MAX ((size_t)256 << 20) /* bytes of all output files of one result */

enum run_state {
    RUN_CREATING,   /* waiting for init's hello */
    RUN_STAGING,    /* code and files are being put */
    RUN_INSTALLING, /* the package manager runs */
    RUN_RUNNING,    /* the main command runs */
    RUN_COLLECTING, /* output files are being fetched */
    RUN_CLOSING,    /* waiting for the streams' and the runtime's end */
    RUN_DONE,
};

/* What an epoll event stands for. */
enum run_source {
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
    struct exec_plan plan;
    struct sandbox *sandbox;
    enum run_state state;
    bool has_permit; /* counted among the engine's executions in flight */
    struct isol8_result *result;
    struct verdict_facts facts;
    isol8_error error; /* first failure of isol8 itself; status 0: none */
    bool error_was_reported;

    int epoll_fd;
    int timer_fd;
    int cancel_fd;
    int pending_fd; /* readable while events are queued or the run is done */

    struct queued_event queue[RUN_EVENTS_MAX];
    unsigned queue_head, queue_len;

    struct output streams[2]; /* stdout, stderr */
    int stream_fds[2];        /* read ends; -1 once at their end */
    bool streams_ended;       /* markers and the exit event were queued */

    int stdin_fd; /* write end of a stdin kept open */
    struct buf stdin_queue;
    bool stdin_close; /* close it once the queue is empty */

    size_t puts_sent; /* index of the next file to send; 0 is the script, if any */
    size_t puts_acked;
    size_t next_get;
    int get_fd;    /* read end of the pipe of the file being fetched */
    bool get_done; /* init's answer came */
    int get_errnum;
    struct buf get_data;
    size_t got_bytes;

    struct buf install_text; /* the end of what the package manager said on stderr */
    struct proxy_rules *install_rules;
    bool install_failed; /* what still comes is the package manager's output */

    struct cgroup_exec cgroup;
    unsigned cgroups; /* made so far */
    bool has_exited;
    bool counted; /* the cgroup's counters were read */
    uint64_t started_ns;
    uint64_t ended_ns;
};

/* run.c */
int run_fail(struct isol8_run *r, int status);
int run_watch(struct isol8_run *r, int fd, enum run_source src, uint32_t events, isol8_error *err);
void run_queue(struct isol8_run *r, enum isol8_event_type type, const char *text, bool is_marker);
int run_close_fd(struct isol8_run *r, int fd);
int run_arm_timer(struct isol8_run *r, int64_t ms, isol8_error *err);
void run_begin_close(struct isol8_run *r);

/* run_install.c */
int run_start_install(struct isol8_run *r);
int run_on_install_output(struct isol8_run *r, int i);
int run_install_ended(struct isol8_run *r, const struct init_exited *e);
int run_install_timed_out(struct isol8_run *r);

/* run_talk.c: the conversation with init. */
int run_start_main(struct isol8_run *r);
int run_execute(struct isol8_run *r, uint32_t id, int in, const struct buf *strings,
                const struct init_exec *counts);
int run_start_staging(struct isol8_run *r);
int run_on_answer(struct isol8_run *r);
int run_on_get_data(struct isol8_run *r);
void run_read_counters(struct isol8_run *r);
int run_send_signal(struct isol8_run *r, int sig, isol8_error *err);

#endif
