/* SPDX-License-Identifier: Apache-2.0 */
/**
 * isol8.h - run untrusted code in single-use sandboxes
 *
 * Three objects:
 *
 *   isol8_host    state root, image store, owned resources; one per process as a rule
 *   isol8_engine  a set of options on a host (limits, network, secrets); cheap to make
 *   isol8_run     one execution in flight, driven by polling one descriptor
 *
 * A guest program that fails, is killed or times out is a *result*, never an error: an error means
 * that isol8 itself could not do its job. Functions return 0 (or a non-negative value) on success
 * and a negative ISOL8_E_* on failure, with the reason in the caller's isol8_error.
 *
 * Option and request structs start with their size and are filled with the real defaults by their
 * init function, so that 0 means 0. Strings are NUL-terminated UTF-8 unless a length stands beside
 * them. Everything passed in is borrowed for the call, unless the contract says "taken".
 *
 * Threads: a host and an engine may be used from any thread. A run belongs to one thread at a time,
 * except isol8_run_cancel(), which any thread or a signal handler may call. Executions in a session
 * (mode "persistent") run side by side in its one sandbox: they see each other's files and
 * processes.
 *
 * After fork() the child must not use the parent's objects: calls on them fail with ISOL8_E_STATE,
 * and freeing them there leaves the parent's sandboxes alone. It opens a host of its own.
 */
#ifndef ISOL8_H
#define ISOL8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define ISOL8_API __attribute__((visibility("default")))

/* ---- Errors ---------------------------------------------------------------------------------- */

enum isol8_status {
    ISOL8_OK = 0,
    ISOL8_E_INVAL = -1,        /* an argument, option or file is not valid */
    ISOL8_E_NOMEM = -2,        /* out of memory */
    ISOL8_E_SYS = -3,          /* a system call failed, see sys_errno */
    ISOL8_E_IMAGE = -4,        /* the image is missing or damaged */
    ISOL8_E_RUNTIME = -5,      /* the OCI runtime could not start the sandbox */
    ISOL8_E_NETWORK = -6,      /* a download or a network set-up failed */
    ISOL8_E_POLICY = -7,       /* refused by configuration or policy */
    ISOL8_E_TIMEOUT = -8,      /* isol8's own work took too long */
    ISOL8_E_LIMIT = -9,        /* something is larger than its named ceiling */
    ISOL8_E_STATE = -10,       /* not allowed in the object's present state */
    ISOL8_E_BUSY = -11,        /* in use by another process */
    ISOL8_E_CANCELLED = -12,   /* the caller asked to stop */
    ISOL8_E_UNSUPPORTED = -13, /* this build or this machine cannot do it */
    ISOL8_E_PROTOCOL = -14,    /* a peer broke its protocol */
};

typedef struct isol8_error {
    int status;    /* an ISOL8_E_* value */
    int sys_errno; /* errno of the failed system call, or 0 */
    char msg[496]; /* one line, NUL-terminated */
} isol8_error;

/** The library's version, for instance "0.1.0". */
ISOL8_API const char *isol8_version(void);

/* ---- Host ------------------------------------------------------------------------------------ */

typedef struct isol8_host isol8_host;

enum isol8_log_level {
    ISOL8_LOG_ERROR,
    ISOL8_LOG_WARN,
    ISOL8_LOG_INFO,
    ISOL8_LOG_DEBUG,
};

/* A name with fixed addresses, for split DNS and tests. */
typedef struct isol8_fixed_host {
    const char *name;
    const char *const *addresses;
    size_t n_addresses;
} isol8_fixed_host;

/* The operator's settings of the filtered network; they bind every engine on the host. */
typedef struct isol8_network_settings {
    const isol8_fixed_host *hosts;
    size_t n_hosts;
    const char *const *allow_addresses; /* ranges that the address guard lets through */
    size_t n_allow_addresses;
    const uint16_t *ports; /* none: any */
    size_t n_ports;
    const char *upstream_proxy; /* "http://proxy.example:3128"; NULL: direct */
    const char *ca_file;        /* certificates that sandboxes trust in addition; NULL: none */
    unsigned connections;       /* of one sandbox at once; 0: 256 */
    uint64_t bytes_per_second;  /* of one sandbox; 0: no limit */
    uint64_t bytes;             /* of one sandbox; 0: no limit */
} isol8_network_settings;

/* Receives one log line without a newline; may be called from any thread. */
typedef void (*isol8_log_fn)(enum isol8_log_level level, const char *line, void *user);

typedef struct isol8_host_options {
    size_t size;               /* sizeof(isol8_host_options), set by the init function */
    const char *state_root;    /* sandboxes and locks; NULL: ISOL8_STATE_ROOT, else /run/isol8 */
    const char *data_root;     /* images; NULL: ISOL8_DATA_ROOT, else /var/lib/isol8 */
    const char *runtime;       /* OCI runtime with runc's command line; NULL: runc */
    const char *cgroup_parent; /* below every cgroup hierarchy's root; NULL: isol8 */
    bool user_namespace;       /* default true; false is the operator's explicit choice */
    int64_t pool_linger_ms;    /* prepared sandboxes that no engine wants any more wait this long
                                  for the next one; default 0: they go at once */
    isol8_network_settings network;
    isol8_log_fn log; /* NULL: silent */
    enum isol8_log_level log_level;
    void *log_user;
} isol8_host_options;

ISOL8_API void isol8_host_options_init(isol8_host_options *opts);

/**
 * isol8_host_open() - Open the state and data roots, and remove what dead owners left behind
 * @out:  The host, returned; isol8_host_free() releases it
 * @opts: Options, or NULL for the defaults
 * @err:  Filled in on failure, may be NULL
 *
 * Creates the roots when absent. Blocks only while another process reaps.
 * Return: 0, ISOL8_E_INVAL, ISOL8_E_NOMEM, ISOL8_E_SYS
 */
ISOL8_API int isol8_host_open(isol8_host **out, const isol8_host_options *opts, isol8_error *err);

/** Release a host; every engine on it must have been freed. NULL is fine. */
ISOL8_API void isol8_host_free(isol8_host *host);

/* What the host's pool holds and did so far, for whoever watches a server. */
typedef struct isol8_pool_state {
    unsigned kinds;    /* of prepared sandboxes */
    unsigned ready;    /* sandboxes that wait for an execution */
    unsigned making;   /* being prepared */
    unsigned removing; /* used, on their way out */
    uint64_t hits;     /* executions that found one ready */
    uint64_t waits;    /* that waited for one being made */
    uint64_t misses;   /* that made their own */
    uint64_t failures; /* preparations that failed */
} isol8_pool_state;

/** A look at the pool; cheap, from any thread. */
ISOL8_API void isol8_pool_look(isol8_host *host, isol8_pool_state *out);

/* What a filtered sandbox asked the host's proxy for. */
enum isol8_proxy_protocol {
    ISOL8_PROXY_HTTP,    /* a request in clear text, also an intercepted one */
    ISOL8_PROXY_CONNECT, /* a tunnel, as https clients ask for */
    ISOL8_PROXY_TCP,     /* an intercepted connection */
    ISOL8_PROXY_DNS,     /* a name */
    ISOL8_PROXY_PROTOCOLS,
};

enum isol8_proxy_outcome {
    ISOL8_PROXY_ALLOWED,
    ISOL8_PROXY_FAILED,      /* allowed, but not reached, or broken off */
    ISOL8_PROXY_DENIED,      /* by a pattern of the deny list */
    ISOL8_PROXY_NOT_ALLOWED, /* on no allow list, or not on the operator's */
    ISOL8_PROXY_RULE_LIMIT,  /* judging it took too many steps, or memory was out */
    ISOL8_PROXY_PORT,        /* not among the operator's ports */
    ISOL8_PROXY_ADDRESS,     /* refused by the address guard */
    ISOL8_PROXY_OTHER_NAME,  /* a Host header or TLS server name that was not judged */
    ISOL8_PROXY_BAD_HELLO,   /* a malformed TLS hello */
    ISOL8_PROXY_LIMIT,       /* too many connections or bytes of the sandbox */
    ISOL8_PROXY_OUTCOMES,
};

/* What the proxy did so far for all filtered sandboxes of the host, those of the past included. A
 * connection or request is counted when it ends, as in the network log. */
typedef struct isol8_proxy_state {
    size_t size; /* sizeof(isol8_proxy_state), set by the caller */
    uint64_t decisions[ISOL8_PROXY_PROTOCOLS][ISOL8_PROXY_OUTCOMES];
    uint64_t bytes_in;  /* towards the sandboxes */
    uint64_t bytes_out; /* from them */
} isol8_proxy_state;

/** A look at the proxy; cheap, from any thread. All 0 before the first filtered sandbox; nothing is
 * filled in when @out has another size. */
ISOL8_API void isol8_proxy_look(isol8_host *host, isol8_proxy_state *out);

/** "http", "connect", "tcp", "dns"; "allowed", "failed", "denied", and so on. NULL past the last.
 */
ISOL8_API const char *isol8_proxy_protocol_name(enum isol8_proxy_protocol protocol);
ISOL8_API const char *isol8_proxy_outcome_name(enum isol8_proxy_outcome outcome);

/* ---- Engine ---------------------------------------------------------------------------------- */

typedef struct isol8_engine isol8_engine;

typedef struct isol8_pair {
    const char *key;
    const char *value;
} isol8_pair;

/* What is written down about every execution. */
typedef struct isol8_audit_options {
    size_t size;
    bool enabled;                /* default false */
    const char *destination;     /* "filesystem" (default), "file": the same, "stdout" */
    const char *log_dir;         /* NULL: ISOL8_AUDIT_DIR, else ./.isol8_audit */
    const char *post_log_script; /* started after each record with the log's path; NULL: none */
    bool track_resources;        /* default true */
    double retention_days;       /* default 90; 0 or less: for ever */
    bool include_code;           /* default false: only its hash */
    bool include_output;         /* default false; masked and cut as in the result */
} isol8_audit_options;

ISOL8_API void isol8_audit_options_init(isol8_audit_options *opts);

/* Fetching code from a URL (request field code_url) before it runs. The operator's network settings
 * of the host (fixed hosts, allowed addresses, certificates, upstream proxy) apply, too. */
typedef struct isol8_remote_options {
    size_t size;
    bool enabled;                       /* default false */
    const char *const *allowed_schemes; /* none: "https" alone */
    size_t n_allowed_schemes;
    const char *const *allowed_hosts; /* patterns as in allow; none: every host */
    size_t n_allowed_hosts;
    const char *const *blocked_hosts; /* patterns; win. The address guard holds regardless */
    size_t n_blocked_hosts;
    uint64_t max_code_size;   /* bytes, decoded; default 10485760 */
    int64_t fetch_timeout_ms; /* of the whole fetch; default 30000 */
    bool require_hash;        /* default false */
    bool enable_cache;        /* default true: of fetches whose hash was given */
    int64_t cache_ttl;        /* seconds, default 3600 */
    bool conceal_hosts;       /* default false: errors say why a host's code cannot be had; true: a
                                 host that is blocked, unknown or not reached gets one and the same
                                 error, and the log has the reason */
} isol8_remote_options;

ISOL8_API void isol8_remote_options_init(isol8_remote_options *opts);

typedef struct isol8_options {
    size_t size;
    const char *mode;         /* "ephemeral" (default): a fresh sandbox for each execution;
                                 "persistent": one sandbox for all of the engine's */
    const char *network;      /* "none" (default), "host", "filtered" */
    const char *const *allow; /* patterns; used in "filtered": none allows every public host */
    size_t n_allow;
    const char *const *deny; /* patterns; win over allow */
    size_t n_deny;
    const char *const *allow_within; /* filtered: when given, a host must match one of these, too;
                                        an operator's list, which allow cannot widen */
    size_t n_allow_within;
    bool log_network;          /* keep the proxy's decisions for the result */
    double cpu_limit;          /* cores, default 1; 0: no limit */
    const char *memory_limit;  /* default "512m"; "0": no limit */
    int64_t pids_limit;        /* default 64, agent 200 (-2: that default); 0 or -1: no limit */
    bool readonly_rootfs;      /* default true */
    uint64_t max_output_size;  /* bytes a stream, default 1048576 */
    const isol8_pair *secrets; /* environment variables whose values are masked in output */
    size_t n_secrets;
    int64_t timeout_ms;       /* default 30000; covers staging and the run, not image builds */
    const char *image;        /* replaces the runtime's image; "host": the machine's own /usr */
    const char *sandbox_size; /* tmpfs /sandbox; NULL: "512m", agent "2g" */
    const char *tmp_size;     /* tmpfs /tmp, default "256m" */
    const char *seccomp;      /* "strict" (default), "unconfined", "custom" */
    const char *seccomp_profile_path; /* for "custom": a Docker/OCI profile in JSON */
    unsigned max_concurrent;          /* executions at once, default 10, at least 1 */
    bool persist;                     /* ephemeral: keep the sandbox after its execution, until
                                         isol8_cleanup(); its filtered network is closed then */
    const char *pool_strategy;        /* "fast" (default): sandboxes are prepared ahead; "secure":
                                         each is made after its request has come */
    unsigned pool_clean;              /* prepared sandboxes that wait, of each kind; default 1 */
    unsigned pool_dirty;              /* used ones that may await their removal while the caller
                                         goes on; default 1, 0: the caller waits for it */
    bool build_images;                /* default true: a missing base image is built when needed */
    bool debug;                       /* the host logs debug lines from now on */
    const isol8_audit_options *audit; /* NULL: none; copied */
    const isol8_remote_options *remote_code; /* NULL: disabled; copied */
} isol8_options;

ISOL8_API void isol8_options_init(isol8_options *opts);

/**
 * isol8_create() - Make an engine: checked options on a host
 * @out:  The engine, returned; isol8_free() releases it
 * @host: Borrowed until the engine is freed
 * @opts: Options, or NULL for the defaults; copied
 * @err:  Filled in on failure, may be NULL
 *
 * Everything is validated here: a message names the option, its value and what is allowed.
 * Return: 0, ISOL8_E_INVAL, ISOL8_E_UNSUPPORTED, ISOL8_E_NOMEM, ISOL8_E_SYS
 */
ISOL8_API int isol8_create(isol8_engine **out, isol8_host *host, const isol8_options *opts,
                           isol8_error *err);

/** Stop and release an engine; its runs must be finished. NULL is fine. */
ISOL8_API void isol8_free(isol8_engine *engine);

typedef struct isol8_start_options {
    size_t size;
    bool prewarm;                /* default false: isol8_start() has nothing to do */
    const char *const *runtimes; /* to prepare sandboxes for; none: all */
    size_t n_runtimes;
} isol8_start_options;

ISOL8_API void isol8_start_options_init(isol8_start_options *opts);

/**
 * isol8_start() - Prepare sandboxes ahead, pool_clean of each runtime, and wait until they stand
 *
 * Missing base images are built first. What cannot be prepared is only logged: the executions will
 * report it. In persistent mode, and with pool strategy "secure", there is nothing to prepare.
 * May be called repeatedly. Return: 0, ISOL8_E_INVAL (unknown runtime)
 */
ISOL8_API int isol8_start(isol8_engine *engine, const isol8_start_options *opts, isol8_error *err);

/**
 * isol8_stop() - End the session, remove this engine's prepared sandboxes, finish its removals
 *
 * Executions in flight in a session end as killed. The engine can be used again afterwards.
 * Return: 0, or why something could not be removed (isol8_cleanup() tries again)
 */
ISOL8_API int isol8_stop(isol8_engine *engine, isol8_error *err);

/** Id of the session's sandbox: 64 hex digits and NUL. False, and "", when there is none. */
ISOL8_API bool isol8_container_id(isol8_engine *engine, char id[65]);

/**
 * isol8_put_file() - Write a file into the session's sandbox (persistent mode)
 * @path: Absolute, or relative to /sandbox; directories are made, an existing file is replaced
 *
 * Only regular files are written to, and no symbolic link is followed at the end of the path.
 * Before the first execution the file is kept in memory and written when the sandbox is made.
 * Return: 0, ISOL8_E_STATE (ephemeral mode, or the sandbox ended), ISOL8_E_INVAL, ISOL8_E_LIMIT
 */
ISOL8_API int isol8_put_file(isol8_engine *engine, const char *path, const void *data, size_t size,
                             isol8_error *err);

/** The same from a descriptor, read to its end (a file, a pipe, a socket). */
ISOL8_API int isol8_put_file_fd(isol8_engine *engine, const char *path, int fd, isol8_error *err);

/**
 * isol8_get_file() - Read a file out of the session's sandbox (persistent mode)
 * @data: Returned, NUL-terminated behind its @size bytes; free() it
 *
 * Files of up to 256 MiB; use the descriptor's form for larger ones.
 * Return: 0, ISOL8_E_STATE (no sandbox yet), ISOL8_E_INVAL (missing, or no regular file), ...
 */
ISOL8_API int isol8_get_file(isol8_engine *engine, const char *path, void **data, size_t *size,
                             isol8_error *err);

/** The same into a descriptor. */
ISOL8_API int isol8_get_file_fd(isol8_engine *engine, const char *path, int fd, isol8_error *err);

/* ---- Requests, events, results ----------------------------------------------------------------
 */

typedef struct isol8_file {
    const char *path; /* absolute, or relative to /sandbox */
    const void *data; /* may hold any bytes */
    size_t size;
} isol8_file;

typedef struct isol8_request {
    size_t size;
    const char *code;             /* exactly one of code, code_url, cmd; code may hold NUL bytes */
    size_t code_size;             /* bytes of code */
    const char *code_url;         /* fetched first, then treated as code */
    const char *code_hash;        /* SHA-256 in hex that the fetched bytes must have; NULL: any */
    bool allow_insecure_code_url; /* permits http, if the allowed schemes have it, too */
    const char *cmd;              /* run as bash -c CMD in the runtime's image */
    const char *runtime;          /* "python", "node", "bun", "deno", "bash", "agent"; required */
    int64_t timeout_ms;           /* 0: the engine's */
    const isol8_pair *env;        /* of setup script and main command; may replace any variable */
    size_t n_env;
    const char *file_extension; /* with its dot; NULL: the runtime's */
    const void *stdin_data;     /* NULL with stdin_open false: end of file at once */
    size_t stdin_size;
    bool stdin_open;         /* keep stdin open for isol8_run_stdin() */
    const isol8_file *files; /* written before the run */
    size_t n_files;
    const char *const *output_paths; /* read after the run; unreadable ones are left out */
    size_t n_output_paths;
    const char *workdir;        /* inside /sandbox; NULL: /sandbox */
    const char *const *install; /* packages for the runtime's package manager, before the code */
    size_t n_install;
    const char *setup_script;   /* bash, run in /sandbox before the code, after the packages */
    const char *agent_flags;    /* runtime agent: further arguments, separated as a shell does */
    const isol8_pair *metadata; /* for the audit record; "userId" is its user */
    size_t n_metadata;
} isol8_request;

ISOL8_API void isol8_request_init(isol8_request *rq);

enum isol8_event_type {
    ISOL8_EVENT_STDOUT,
    ISOL8_EVENT_STDERR,
    ISOL8_EVENT_EXIT,  /* data: the exit code in decimal; the last event of its phase */
    ISOL8_EVENT_ERROR, /* data: a message */
};

enum isol8_phase {
    ISOL8_PHASE_SETUP,
    ISOL8_PHASE_CODE,
};

typedef struct isol8_event {
    enum isol8_event_type type;
    enum isol8_phase phase;
    const char *data; /* valid until the next call on the run; masked; not NUL-terminated */
    size_t size;
    bool is_marker; /* the text is isol8's own truncation marker, not the program's output */
} isol8_event;

/** How an execution ended; at most one holds. */
enum isol8_verdict {
    ISOL8_VERDICT_OK,   /* exit code 0 */
    ISOL8_VERDICT_EXIT, /* another exit code */
    ISOL8_VERDICT_SIGNAL,
    ISOL8_VERDICT_TIMEOUT,
    ISOL8_VERDICT_MEMORY,
    ISOL8_VERDICT_PIDS,
    ISOL8_VERDICT_OUTPUT,
    ISOL8_VERDICT_DISK,
    ISOL8_VERDICT_CANCELLED,
};

/** The verdict's word: "ok", "exit", "signal", "timeout", "memory", ... */
ISOL8_API const char *isol8_verdict_name(enum isol8_verdict verdict);

typedef struct isol8_usage {
    uint64_t wall_us;           /* main command, from start until its end */
    uint64_t cpu_us;            /* user and system time of the execution's processes */
    uint64_t memory_peak_bytes; /* sandbox's peak, its tmpfs files included */
} isol8_usage;

typedef struct isol8_result isol8_result;

/** Captured text of a stream; @size may be NULL. Masked and limited; NUL-terminated. After a
 * timeout the last line of stderr is "--- EXECUTION TIMED OUT ---". */
ISOL8_API const char *isol8_result_stdout(const isol8_result *res, size_t *size);
ISOL8_API const char *isol8_result_stderr(const isol8_result *res, size_t *size);
ISOL8_API int isol8_result_exit_code(const isol8_result *res);
ISOL8_API enum isol8_verdict isol8_result_verdict(const isol8_result *res);
/** One sentence, for instance "killed: memory limit 64m reached". Never NULL. */
ISOL8_API const char *isol8_result_detail(const isol8_result *res);
ISOL8_API int64_t isol8_result_duration_ms(const isol8_result *res);
ISOL8_API bool isol8_result_truncated(const isol8_result *res);
ISOL8_API const char *isol8_result_execution_id(const isol8_result *res);
ISOL8_API const char *isol8_result_container_id(const isol8_result *res);
ISOL8_API const char *isol8_result_runtime(const isol8_result *res);
/** SHA-256 in hex of the code or command that ran; "" when it was not known yet. */
ISOL8_API const char *isol8_result_code_hash(const isol8_result *res);
/** Time of completion, ISO 8601 UTC with milliseconds. */
ISOL8_API const char *isol8_result_timestamp(const isol8_result *res);
ISOL8_API void isol8_result_usage(const isol8_result *res, isol8_usage *out);
/** False when the operator switched user namespaces off. */
ISOL8_API bool isol8_result_user_namespace(const isol8_result *res);
/** Output files that could be read, in the order asked for. */
ISOL8_API size_t isol8_result_file_count(const isol8_result *res);
ISOL8_API const isol8_file *isol8_result_file(const isol8_result *res, size_t i);
/** Decisions of the proxy, when log_network was set: one JSON object each, NUL-terminated. */
ISOL8_API size_t isol8_result_network_log_count(const isol8_result *res);
ISOL8_API const char *isol8_result_network_log(const isol8_result *res, size_t i);
/** Refused connections and requests as security events, whether or not log_network was set. */
ISOL8_API size_t isol8_result_security_event_count(const isol8_result *res);
ISOL8_API const char *isol8_result_security_event(const isol8_result *res, size_t i);
/** The whole result as the JSON object of the API; free() it. NULL when out of memory. */
ISOL8_API char *isol8_result_json(const isol8_result *res);
ISOL8_API void isol8_result_free(isol8_result *res);

/* ---- Runs ------------------------------------------------------------------------------------ */

typedef struct isol8_run isol8_run;

enum isol8_run_flags {
    ISOL8_RUN_CAPTURE = 1, /* also collect stdout and stderr for the result */
};

/**
 * isol8_run_start() - Begin one execution
 * @engine: Borrowed until the run is finished
 * @rq:     Borrowed until the run is finished (code and files are read while it is staged)
 * @flags:  ISOL8_RUN_*
 * @out:    The run, returned; isol8_run_finish() releases it
 * @err:    Filled in on failure, may be NULL
 *
 * Does not wait for other executions: while max_concurrent are in flight the run is queued, first
 * come, first served, and goes on by isol8_run_next(). A missing base image is built first (option
 * build_images). Errors that come later are reported by isol8_run_next().
 * Return: 0, ISOL8_E_INVAL, ISOL8_E_IMAGE, ISOL8_E_SYS, ...
 */
ISOL8_API int isol8_run_start(isol8_engine *engine, const isol8_request *rq, unsigned flags,
                              isol8_run **out, isol8_error *err);

/** A descriptor that polls readable whenever isol8_run_next() has work; borrowed. */
ISOL8_API int isol8_run_fd(const isol8_run *run);

/**
 * isol8_run_next() - Do what is due, without blocking, and fetch the next event
 *
 * Return: 1 with *ev filled in; 0 when there is nothing yet (poll isol8_run_fd()); ISOL8_E_DONE
 * is never used: once isol8_run_done() is true no more events come. Negative: the run failed.
 */
ISOL8_API int isol8_run_next(isol8_run *run, isol8_event *ev, isol8_error *err);

/** True while the run's code is being fetched: @done of @total bytes came (0: unknown). */
ISOL8_API bool isol8_run_fetching(const isol8_run *run, uint64_t *done, uint64_t *total);

/** True when the run has ended and everything it made on the host is gone, or left to the host's
 * background removal (option pool_dirty), or belongs to a session or was to be kept. */
ISOL8_API bool isol8_run_done(const isol8_run *run);

/** Queue bytes for the program's stdin (request with stdin_open); n = 0 closes it. */
ISOL8_API int isol8_run_stdin(isol8_run *run, const void *data, size_t n, isol8_error *err);

/** Send a signal to the main command. No effect once it has ended; ISOL8_E_STATE before it began,
 * when isol8_run_cancel() is what ends the run. */
ISOL8_API int isol8_run_signal(isol8_run *run, int sig, isol8_error *err);

/** Kill the execution; async-signal-safe, any thread, also repeatedly. */
ISOL8_API void isol8_run_cancel(isol8_run *run);

/**
 * isol8_run_finish() - Wait for the end, take the result, release the run
 * @run: Taken, also on failure. A run not yet ended is driven to its end; cancel first to hurry it
 * @out: The result, returned; may be NULL
 */
ISOL8_API int isol8_run_finish(isol8_run *run, isol8_result **out, isol8_error *err);

/** Start, wait, finish: the buffered form. stdout and stderr are in the result. */
ISOL8_API int isol8_execute(isol8_engine *engine, const isol8_request *rq, isol8_result **out,
                            isol8_error *err);

/** Receives an event while it is valid. Return: 0 to go on, anything else cancels. */
typedef int (*isol8_event_fn)(const isol8_event *event, void *user);

/** The streaming form: every event goes to @fn as it comes; @out may be NULL. */
ISOL8_API int isol8_execute_stream(isol8_engine *engine, const isol8_request *rq, isol8_event_fn fn,
                                   void *user, isol8_result **out, isol8_error *err);

/* ---- Policy -----------------------------------------------------------------------------------
 */

/* What the filtered network would do with an address. */
typedef struct isol8_policy_answer {
    bool is_allowed;
    uint16_t port;
    char host[256];   /* normalised */
    char address[64]; /* the address that would be connected to; "" when unknown or refused */
    char rule[256];   /* the pattern that decided; "" when none did */
    char reason[160];
} isol8_policy_answer;

/** Judge "https://host/..." or "host:port" by the engine's lists and the host's settings, without
 * running anything; resolves the name. Return: 0, ISOL8_E_INVAL */
ISOL8_API int isol8_policy_check(isol8_engine *engine, const char *url, isol8_policy_answer *out,
                                 isol8_error *err);

/* ---- Images ---------------------------------------------------------------------------------- */

enum isol8_setup_state {
    ISOL8_SETUP_BUILDING, /* message: the step; done/total: bytes or 0 */
    ISOL8_SETUP_DONE,     /* message: "Up to date" when nothing had to be built */
    ISOL8_SETUP_ERROR,
};

typedef struct isol8_setup_progress {
    const char *runtime;
    enum isol8_setup_state state;
    const char *message;
    uint64_t done;
    uint64_t total;       /* 0: unknown */
    uint64_t image_bytes; /* with DONE: unpacked size of the image's own layers, beyond the base */
    uint64_t base_bytes;  /* with DONE: unpacked size of the layer that all images share */
} isol8_setup_progress;

typedef void (*isol8_setup_fn)(const isol8_setup_progress *progress, void *user);

typedef struct isol8_setup_options {
    size_t size;
    const char *const *runtimes; /* names; none: all, in the order of isol8_runtime_name() */
    size_t n_runtimes;
    bool force;              /* rebuild what is up to date */
    int cancel_fd;           /* build stops when it polls readable; -1: none */
    isol8_setup_fn progress; /* may be NULL */
    void *user;
} isol8_setup_options;

ISOL8_API void isol8_setup_options_init(isol8_setup_options *opts);

/** Name of the i-th runtime (python, node, bun, bash, deno, agent), or NULL past the last. */
ISOL8_API const char *isol8_runtime_name(size_t i);

/** The runtime for a file name by its extension, or NULL. */
ISOL8_API const char *isol8_runtime_detect(const char *file_name);

/* ---- Custom images: packages and a setup script on top of a base image ---- */

typedef struct isol8_build_options {
    size_t size;
    const char *runtime;         /* whose base image it stands on */
    const char *tag;             /* its name; ":latest" is implied */
    const char *const *packages; /* for the runtime's package manager; any order, may repeat */
    size_t n_packages;
    const char *setup_script; /* run before each execution's code in it; NULL: none */
    bool force;               /* rebuild, its base included */
    int cancel_fd;            /* build stops when it polls readable; -1: none */
    isol8_setup_fn progress;  /* .runtime is the tag, or the base's runtime; may be NULL */
    void *user;
} isol8_build_options;

ISOL8_API void isol8_build_options_init(isol8_build_options *opts);

/**
 * isol8_build() - Build a custom image, and its base when that is missing or out of date
 *
 * At least one of packages and setup_script. Packages are installed by the runtime's package
 * manager in a sandbox whose network reaches only the package hosts; they become one layer. The
 * image is current when runtime, packages, script and base are those it was built from. Return: 1
 * when it was current, 0 when it was built, ISOL8_E_INVAL, ISOL8_E_CANCELLED, ...
 */
ISOL8_API int isol8_build(isol8_host *host, const isol8_build_options *opts, isol8_error *err);

typedef struct isol8_image {
    const char *name;         /* with its tag */
    const char *digest;       /* "sha256:..." */
    const char *runtime;      /* the runtime label; NULL: none */
    const char *dependencies; /* packages, sorted, joined by ','; NULL: a base image */
    const char *setup;        /* the setup script; NULL: none */
    const char *created;      /* ISO 8601 UTC */
    bool is_base;             /* one of isol8's own */
} isol8_image;

/** Call @each for every image in the store until it returns non-zero. Return: that, or a status. */
ISOL8_API int isol8_image_list(isol8_host *host, int (*each)(const isol8_image *image, void *user),
                               void *user, isol8_error *err);

/** True when the image a request of this runtime needs is in the store (or needs no store). */
ISOL8_API bool isol8_image_present(isol8_host *host, const char *runtime);

/**
 * isol8_setup() - Build the base images that are missing or out of date
 *
 * Nothing fetched from a registry runs on the host. An interrupted build leaves nothing behind;
 * two builds at once wait for each other.
 * Return: 0, ISOL8_E_INVAL, ISOL8_E_CANCELLED, ISOL8_E_NETWORK, ISOL8_E_SYS, ...
 */
ISOL8_API int isol8_setup(isol8_host *host, const isol8_setup_options *opts, isol8_error *err);

/* ---- Clean-up -------------------------------------------------------------------------------- */

typedef struct isol8_owned {
    char id[65];        /* sandbox id, or image digest */
    char image[128];    /* image name */
    int64_t created_ms; /* since the epoch */
    int owner_pid;      /* of the process that made it; 0: unknown */
    bool is_alive;      /* its owner process lives */
    bool is_kept;       /* option persist: it goes on without its owner */
    bool is_image;
} isol8_owned;

/** Call @each for every sandbox of the state root until it returns non-zero. Return: that, or a
 * status. */
ISOL8_API int isol8_sandbox_list(isol8_host *host, int (*each)(const isol8_owned *item, void *user),
                                 void *user, isol8_error *err);

typedef struct isol8_exec_options {
    size_t size;
    const char *id; /* of a kept sandbox; a unique beginning of at least 4 digits will do */
    const char *const *argv; /* NULL-terminated; the program is searched in the sandbox's PATH */
    const isol8_pair *env;
    size_t n_env;
    const char *workdir; /* inside /sandbox; NULL: /sandbox */
    int stdio[3];        /* given to the program; default 0, 1, 2 */
    bool terminal;       /* give it a terminal of its own; stdio must be one */
} isol8_exec_options;

ISOL8_API void isol8_exec_options_init(isol8_exec_options *opts);

/**
 * isol8_exec() - Run a program in a kept sandbox, as its user and under its filter, and wait for it
 * @exit_code: Returned; 128 + signal when it was killed
 *
 * Return: 0, ISOL8_E_INVAL (no such sandbox, or several), ISOL8_E_STATE (not a kept one), ...
 */
ISOL8_API int isol8_exec(isol8_host *host, const isol8_exec_options *opts, int *exit_code,
                         isol8_error *err);

typedef struct isol8_cleanup_options {
    size_t size;
    bool images;                                        /* also the image store */
    bool cache;                                         /* also the cache of fetched code */
    bool force;                                         /* also sandboxes whose owner lives */
    bool dry_run;                                       /* only report */
    void (*found)(const isol8_owned *item, void *user); /* may be NULL */
    void (*failed)(const isol8_owned *item, const char *why, void *user); /* may be NULL */
    void *user;
} isol8_cleanup_options;

typedef struct isol8_cleanup_report {
    size_t sandboxes; /* removed (dry_run: found) */
    size_t sandboxes_failed;
    size_t sandboxes_in_use; /* left alone: their owner lives */
    size_t images;
    size_t images_failed;
    size_t cached; /* files of the cache that were removed (dry_run: found) */
} isol8_cleanup_report;

ISOL8_API void isol8_cleanup_options_init(isol8_cleanup_options *opts);

/** Remove sandboxes nobody owns any more, and on demand images. Owned resources only. */
ISOL8_API int isol8_cleanup(isol8_host *host, const isol8_cleanup_options *opts,
                            isol8_cleanup_report *report, isol8_error *err);

/* ---- Doctor ---------------------------------------------------------------------------------- */

enum isol8_check_state {
    ISOL8_CHECK_OK,
    ISOL8_CHECK_WARN, /* works, with less than the best */
    ISOL8_CHECK_FAIL, /* sandboxes cannot run, or not safely */
};

typedef struct isol8_check {
    const char *name; /* stable word, for instance "runc" */
    enum isol8_check_state state;
    const char *found;  /* what is there */
    const char *repair; /* how to mend it; "" when OK */
} isol8_check;

/** Examine the machine; calls @report once per check. Return: 0, or the number of failed checks. */
ISOL8_API int isol8_doctor(const isol8_host_options *opts,
                           void (*report)(const isol8_check *check, void *user), void *user);

#ifdef __cplusplus
}
#endif
#endif
