/* SPDX-License-Identifier: Apache-2.0 */
/**
 * proto.h - what the engine and a sandbox's pid 1 say to each other
 *
 * One SOCK_SEQPACKET socket, descriptor 3 of init. Each packet is a struct init_head and a payload;
 * descriptors travel with it (SCM_RIGHTS). Numbers are in the machine's own byte order: both ends
 * are the same machine. Requests are answered in any order; @id pairs them.
 *
 *   engine -> init                                   descriptors
 *   EXEC    struct init_exec, strings                stdin (or none), stdout, stderr,
 *                                                    [cgroup directory], [memfd with the strings]
 *   PUT     struct init_put, path, NUL, [content]    [pipe to read the content from]
 *   GET     path, NUL                                pipe to write the content to
 *   REMOVE  path, NUL
 *   SIGNAL  struct init_signal                       (no answer; to the group of EXEC @id)
 *   CHANNEL                                          one more socket like this one (no answer)
 *   KEEP                                             (no answer; init outlives its socket)
 *   CLOSE                                            (init exits, the kernel ends everything)
 *
 *   init -> engine
 *   HELLO   struct init_hello                        once; the kernel adds init's credentials
 *   EXITED  struct init_exited                       the EXEC of that id has ended
 *   DONE    struct init_done                         answer to PUT, GET, REMOVE
 *
 * A session has one channel for each execution in progress: ids are the channel's own, answers come
 * on the channel that asked, and what is asked for on a channel that has been closed since is
 * finished without an answer. KEEP, CHANNEL and CLOSE count on the first socket only.
 *
 * The engine treats all that init says as hostile: sizes and enums are checked before use.
 */
#ifndef EXECUTOR_INIT_PROTO_H
#define EXECUTOR_INIT_PROTO_H

#include <stdint.h>

enum {
    INIT_PROTO_VERSION = 2,
    INIT_SOCKET_FD = 3,
    INIT_PACKET_MAX = 64 * 1024, /* head and payload; longer EXEC strings come in a memfd */
    INIT_STRINGS_MAX = 8 << 20,  /* bytes of argv and env in a memfd */
    INIT_FDS_MAX = 5,            /* descriptors with one packet */
    INIT_JOBS_MAX = 256,         /* EXEC, PUT and GET in progress in one sandbox */
    INIT_INLINE_FILE_MAX = 4096, /* bytes of a PUT that is done before the next packet is read, as
                                    long as all of them together have not many */
    INIT_CHANNELS_MAX = 256,     /* open at once; one more is closed at once */
};

enum init_type {
    INIT_EXEC = 1,
    INIT_PUT,
    INIT_GET,
    INIT_REMOVE,
    INIT_SIGNAL,
    INIT_CLOSE,
    INIT_CHANNEL,
    INIT_KEEP,
    INIT_HELLO = 64,
    INIT_EXITED,
    INIT_DONE,
};

struct init_head {
    uint32_t type;
    uint32_t id;
};

enum init_exec_flags {
    INIT_EXEC_STDIN = 1,  /* the first descriptor is stdin; otherwise /dev/null */
    INIT_EXEC_CGROUP = 2, /* the directory of its cgroup follows stdout and stderr */
    INIT_EXEC_MEMFD = 4,  /* the strings are in the last descriptor, not in the packet */
    INIT_EXEC_STRICT = 8, /* the program may not use clone3(), which the profile leaves to init */
};

/* Followed by cwd, argc arguments and envc variables, each ended by NUL. */
struct init_exec {
    uint32_t flags;
    uint32_t argc;
    uint32_t envc;
    uint32_t strings_size;
};

struct init_put {
    uint32_t mode;
    uint32_t inline_size; /* content bytes after the path's NUL; UINT32_MAX: comes by the pipe */
};

struct init_signal {
    int32_t sig;
};

struct init_hello {
    uint32_t version;
};

/* What failed, in EXITED (with the program never started) and DONE. */
enum init_stage {
    INIT_STAGE_NONE,
    INIT_STAGE_REQUEST, /* malformed, too many jobs */
    INIT_STAGE_FORK,
    INIT_STAGE_CGROUP,
    INIT_STAGE_STDIO,
    INIT_STAGE_CWD,
    INIT_STAGE_FILTER,
    INIT_STAGE_EXEC,
    INIT_STAGE_PARENTS, /* making the path's directories */
    INIT_STAGE_OPEN,
    INIT_STAGE_KIND, /* not a regular file */
    INIT_STAGE_COPY,
    INIT_STAGE__MAX,
};

enum init_full { INIT_FULL_SANDBOX = 1, INIT_FULL_TMP = 2 };

struct init_exited {
    int32_t wait_status; /* as by waitpid(2) */
    int32_t errnum;      /* not 0: the program was not started, because of @stage */
    uint32_t stage;
    uint32_t full; /* tmpfs mounts without a free block or inode just now */
};

struct init_done {
    int32_t errnum;
    uint32_t stage;
};

#endif
