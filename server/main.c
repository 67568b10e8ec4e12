/* SPDX-License-Identifier: Apache-2.0 */
/**
 * main.c - isol8-server: made, run and stopped
 *
 * Theory of operation. Everything is prepared before anybody is listened to: the configuration is
 * checked, images are built, sandboxes are prepared. Then the main thread only waits for a signal.
 * The first one closes the listening sockets and lets what is at work end, for a while; then, or at
 * the second, kill_fd becomes readable, which every thread that waits for a client's program polls:
 * programs are killed, sessions removed, threads joined. Images stay.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/mem.h"
#include "base/path.h"
#include "base/wslay.h"
#include "server/args.h"
#include "server/busy.h"
#include "server/http.h"
#include "server/listen.h"

enum {
    MAX_CONNECTIONS = 1024, /* "server.maxConnections" and so on, where they are not set */
    MAX_QUEUE = 256,
    MAX_SESSIONS = 256,
    MAX_BODY = 128 << 20,
    MAX_MESSAGE = 16 << 20,
    GRACE_MS = 10000,
    ANSWER_MS = 5000,     /* for the answers of what was killed to get out */
    FIRST_REAP_MS = 2000, /* after the start: runtimes of a server that was killed need a moment */
    NEXT_REAP_MS = 60000,
    POOL_LINGER_MS = 300000,
    PEM_MAX = 1 << 20,
};

struct server {
    struct args args;
    struct conf *conf;
    struct conf_network network;
    struct srv srv;
    struct listeners listeners;
    struct http *http;
    struct buf certificate, key;
    int signal_fd;
};

/* ---- Words ----------------------------------------------------------------------------------- */

static void put(int fd, const char *prefix, const char *text)
{
    auto_buf struct buf line = BUF_INIT(8192);

    (void)buf_addf(&line, "%s%s\n", prefix, text);
    (void)fd_write_all(fd, buf_text(&line), line.len); /* nobody is left to be told */
}

static int fail(const isol8_error *err)
{
    put(STDERR_FILENO, "[ERR] ", err->msg);
    return 1;
}

static void on_http_log(const char *line)
{
    put(STDERR_FILENO, "[DEBUG] [HTTP] ", line);
}

static void on_log(enum isol8_log_level level, const char *line, void *user)
{
    static const char *const prefixes[] = { "[ERROR] ", "[WARN] ", "", "[DEBUG] [Engine] " };

    (void)user;
    put(STDERR_FILENO, prefixes[level], line);
}

static void on_keys_log(enum isol8_log_level level, const char *line, void *user)
{
    static const char *const prefixes[] = { "[ERROR] ", "[WARN] ", "[Server] ", "[DEBUG] [Keys] " };

    (void)user;
    put(level == ISOL8_LOG_INFO ? STDOUT_FILENO : STDERR_FILENO, prefixes[level], line);
}

/* ---- Preparations ---------------------------------------------------------------------------- */

static double number(const struct server *s, const char *path, double fallback)
{
    const cJSON *value = conf_value(s->conf, path);

    return cJSON_IsNumber(value) ? value->valuedouble : fallback;
}

static int load_config(struct server *s, isol8_error *err)
{
    struct conf_places places;

    conf_places_init(&places);
    places.named = s->args.config;
    int r = conf_load(&s->conf, &places, err);
    if (r < 0)
        return r;
    for (size_t i = 0; i < s->conf->n_warnings; i++)
        put(STDERR_FILENO, "[WARN] ", s->conf->warnings[i]);
    if (conf_bool(s->conf, "debug"))
        s->args.is_debug = true;
    if (s->args.address == NULL)
        s->args.address = conf_string(s->conf, "server.address");
    if (s->args.tls_certificate == NULL) {
        s->args.tls_certificate = conf_string(s->conf, "server.tlsCertificate");
        s->args.tls_key = conf_string(s->conf, "server.tlsKey");
    }
    if ((s->args.tls_certificate == NULL) != (s->args.tls_key == NULL))
        return err_set(err, ISOL8_E_INVAL,
                       "server.tlsCertificate and server.tlsKey belong together");
    s->srv.has_websocket = !cJSON_IsFalse(conf_value(s->conf, "server.webSocket"));
    const struct wslay_lib *lib;
    if (s->srv.has_websocket && wslay_lib_get(&lib, err) < 0)
        return err_wrap(err, ISOL8_E_UNSUPPORTED, "WebSocket (server.webSocket)");
    s->srv.conf = s->conf;
    s->srv.is_debug = s->args.is_debug;
    return 0;
}

static int read_pem(struct server *s, isol8_error *err)
{
    if (s->args.tls_certificate == NULL)
        return 0;
    int r = path_read(AT_FDCWD, s->args.tls_certificate, PEM_MAX, &s->certificate, err);
    return r < 0 ? r : path_read(AT_FDCWD, s->args.tls_key, PEM_MAX, &s->key, err);
}

static int open_host(struct server *s, isol8_host **out, isol8_error *err)
{
    isol8_host_options opts;

    conf_host_options(s->conf, &opts);
    opts.network = s->network.settings;
    opts.pool_linger_ms = POOL_LINGER_MS;
    opts.log = on_log;
    opts.log_level = s->args.is_debug ? ISOL8_LOG_DEBUG : ISOL8_LOG_WARN;
    return isol8_host_open(out, &opts, err);
}

/* What a killed process left is found by whoever opens a host, unless its runtime is still at it:
 * one that is open for weeks has to look again. */
static void reap(struct server *s)
{
    isol8_host *other = NULL;

    if (open_host(s, &other, NULL) == 0)
        isol8_host_free(other);
}

/* What the configuration wants to be there before the first request. */
static int build_images(struct server *s, isol8_error *err)
{
    const cJSON *item;

    cJSON_ArrayForEach(item, conf_value(s->conf, "prebuiltImages"))
    {
        struct conf_list packages;
        isol8_build_options opts;
        isol8_build_options_init(&opts);
        opts.tag = json_string(item, "tag");
        opts.runtime = json_string(item, "runtime");
        opts.setup_script = json_string(item, "setupScript");
        opts.cancel_fd = s->signal_fd;
        if (conf_list_init(&packages, cJSON_GetObjectItemCaseSensitive(item, "installPackages")) <
            0)
            return err_nomem(err);
        opts.packages = packages.items;
        opts.n_packages = packages.n;
        put(STDOUT_FILENO, "[Server] Image ", opts.tag);
        int r = isol8_build(s->srv.host, &opts, err);
        conf_list_done(&packages);
        if (r < 0)
            return err_wrap(err, r, "prebuiltImages: %s", opts.tag);
    }
    return 0;
}

/* The engine that most requests share is kept for as long as the server runs. */
static int prewarm(struct server *s, isol8_error *err)
{
    isol8_options base = s->srv.policy.base;
    isol8_start_options start;
    struct conf_list runtimes;

    base.deny = s->srv.policy.deny.items;
    base.n_deny = s->srv.policy.deny.n;
    base.allow = base.allow_within = s->srv.policy.allow.items;
    base.n_allow = base.n_allow_within = s->srv.policy.allow.n;
    int r = srv_engines_get(s->srv.engines, &base, &s->srv.prewarmed, err);
    if (r < 0)
        return r; /* the defaults themselves are wrong: better now than with every request */
    if (conf_list_init(&runtimes, conf_value(s->conf, "server.prewarm")) < 0)
        return err_nomem(err);
    isol8_start_options_init(&start);
    start.prewarm = true;
    start.runtimes = runtimes.items;
    start.n_runtimes = runtimes.n;
    if (runtimes.n > 0)
        r = isol8_start(srv_engine_of(s->srv.prewarmed), &start, err);
    conf_list_done(&runtimes);
    return r < 0 ? err_wrap(err, r, "server.prewarm") : 0;
}

/* Keys in a database, if somebody wants them. */
static int open_keys(struct server *s, isol8_error *err)
{
    struct srv_keys_args args = {
        .connection = s->args.auth_db,
        .cleanup_ms = (int64_t)conf_number(s->conf, "auth.cleanupIntervalMs"),
        .log = { on_keys_log, s->args.is_debug ? ISOL8_LOG_DEBUG : ISOL8_LOG_INFO, NULL },
    };

    if (args.connection == NULL && !conf_bool(s->conf, "auth.enabled"))
        return 0;
    if (args.connection == NULL)
        args.connection = conf_string(s->conf, "auth.connectionString");
    if (args.connection == NULL)
        args.connection = ARGS_AUTH_DB;
    int r = srv_keys_open(&s->srv.keys, &args, err);
    if (r < 0)
        return r;
    s->srv.auth.keys = s->srv.keys;
    log_line(&args.log, ISOL8_LOG_INFO, "DB-backed auth enabled: %s", srv_keys_shown(s->srv.keys));
    return 0;
}

static int make_parts(struct server *s, isol8_error *err)
{
    struct srv *v = &s->srv;
    struct srv_sessions_args sessions = {
        .max = (unsigned)number(s, "server.maxSessions", MAX_SESSIONS),
        .prunes = conf_bool(s->conf, "cleanup.autoPrune"),
        .idle_ms = (int64_t)conf_number(s->conf, "cleanup.maxContainerAgeMs"),
    };

    v->body_max = (size_t)number(s, "server.maxBodySize", MAX_BODY);
    v->message_max = (size_t)number(s, "server.maxMessageSize", MAX_MESSAGE);
    v->kill_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (v->kill_fd < 0)
        return err_sys(err, errno, "cannot make an eventfd");
    srv_metrics_init(&v->metrics);
    (void)pthread_mutex_init(&v->cleanup_mutex, NULL);
    srv_gate_init(&v->gate, (unsigned)conf_number(s->conf, "maxConcurrent"),
                  (unsigned)number(s, "server.maxQueue", MAX_QUEUE));
    int r = srv_auth_init(&v->auth, s->args.key, err);
    if (r == 0)
        r = open_keys(s, err);
    if (r == 0)
        r = srv_policy_init(&v->policy, s->conf, err);
    if (r == 0)
        r = conf_network_init(&s->network, s->conf) < 0 ? err_nomem(err) : 0;
    if (r == 0)
        r = open_host(s, &v->host, err);
    if (r == 0)
        r = srv_engines_new(&v->engines, v->host, err);
    sessions.host = v->host;
    sessions.engines = v->engines;
    if (r == 0)
        r = srv_sessions_new(&v->sessions, &sessions, err);
    return r;
}

static int start(struct server *s, isol8_error *err)
{
    int r = load_config(s, err);

    if (r == 0)
        r = read_pem(s, err);
    /* Before the slow part: a busy port is told at once. */
    if (r == 0)
        r = busy_listen(&s->listeners, &s->args, s->signal_fd, err);
    if (r == 0)
        r = make_parts(s, err);
    if (r == 0)
        r = build_images(s, err);
    if (r == 0)
        r = prewarm(s, err);
    if (r < 0)
        return r;
    bool is_tls = s->args.tls_certificate != NULL;
    struct http_args args = {
        .srv = &s->srv,
        .fds = s->listeners.fds,
        .n_fds = s->listeners.n,
        .connections = (unsigned)number(s, "server.maxConnections", MAX_CONNECTIONS),
        .tls_certificate = is_tls ? buf_text(&s->certificate) : NULL,
        .tls_key = is_tls ? buf_text(&s->key) : NULL,
        .log = s->args.is_debug ? on_http_log : NULL,
    };
    atomic_store(&s->srv.is_ready, true);
    r = http_start(&s->http, &args, err);
    if (r == 0)
        s->listeners.n = 0; /* the library has them */
    return r;
}

/* ---- Until the end --------------------------------------------------------------------------- */

/* Wait for a signal for at most @ms (-1: for ever). Return: true when one came. */
static bool wait_signal(const struct server *s, int ms)
{
    struct pollfd fd = { .fd = s->signal_fd, .events = POLLIN };
    struct signalfd_siginfo info;

    return poll(&fd, 1, ms) > 0 && read(s->signal_fd, &info, sizeof(info)) > 0;
}

static void say_listening(const struct server *s)
{
    char address[256];
    auto_buf struct buf text = BUF_INIT(8192);

    listen_describe(s->args.address, s->args.port, s->args.tls_certificate != NULL, address,
                    sizeof(address));
    if (s->listeners.is_inherited)
        (void)snprintf(address, sizeof(address), "the sockets of the service manager");
    (void)buf_addf(&text, "isol8 server v%s listening on %s\n       Auth: Bearer token required",
                   isol8_version(), address);
    if (s->args.auth_db != NULL)
        (void)buf_addf(&text, "\n       Auth DB: %s", srv_keys_shown(s->srv.keys));
    put(STDOUT_FILENO, "[INFO] ", buf_text(&text));
}

/* Until nothing is at work, for at most @ms, or until another signal comes. */
static void wait_idle(struct server *s, uint64_t ms)
{
    uint64_t start_ns = clock_now_ns();

    while (http_is_busy(s->http) && clock_now_ns() - start_ns < ms * 1000000u) {
        if (wait_signal(s, 10))
            break;
    }
}

static void drain(struct server *s)
{
    uint64_t one = 1;

    atomic_store(&s->srv.is_draining, true);
    http_quiesce(s->http);
    wait_idle(s, (uint64_t)number(s, "server.shutdownGraceMs", GRACE_MS));
    (void)!write(s->srv.kill_fd, &one, sizeof(one));
    wait_idle(s, ANSWER_MS);
}

static void release(struct server *s)
{
    struct srv *v = &s->srv;

    http_stop(s->http);
    listen_close(&s->listeners);
    srv_sessions_free(v->sessions);
    if (v->engines != NULL)
        srv_engines_put(v->engines, v->prewarmed);
    srv_engines_free(v->engines);
    isol8_host_free(v->host);
    srv_keys_close(v->keys);
    if (v->conf != NULL) {
        srv_policy_done(&v->policy);
        conf_network_done(&s->network);
        srv_gate_done(&v->gate);
        srv_auth_done(&v->auth);
        srv_metrics_done(&v->metrics);
    }
    (void)fd_close(v->kill_fd);
    conf_free(s->conf);
    buf_done(&s->certificate);
    if (s->key.data != NULL)
        explicit_bzero(s->key.data, s->key.len);
    buf_done(&s->key);
}

static int serve(struct server *s)
{
    isol8_error err;
    int code = 0;

    if (start(s, &err) < 0) {
        code = fail(&err);
    } else {
        say_listening(s);
        listen_notify("READY=1\nSTATUS=Ready");
        for (int ms = FIRST_REAP_MS; !wait_signal(s, ms); ms = NEXT_REAP_MS)
            reap(s);
        listen_notify("STOPPING=1\nSTATUS=Shutting down");
        put(STDOUT_FILENO, "",
            s->args.is_serve ? "[Serve] Shutting down server and cleaning up resources..."
                             : "[INFO] Shutting down isol8 server...");
        drain(s);
    }
    release(s);
    if (code == 0)
        put(STDOUT_FILENO, "",
            s->args.is_serve ? "[Serve] Cleanup complete" : "[INFO] Server cleanup complete");
    return code;
}

static int open_signals(isol8_error *err)
{
    struct sigaction ignore = { .sa_handler = SIG_IGN };
    sigset_t set;

    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGINT);
    (void)sigaddset(&set, SIGTERM);
    (void)pthread_sigmask(SIG_BLOCK, &set, NULL);
    (void)sigaction(SIGPIPE, &ignore, NULL);
    int fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    return fd < 0 ? err_sys(err, errno, "cannot make a signalfd") : fd;
}

/* A descriptor for each connection and some for each execution. */
static void raise_descriptor_limit(void)
{
    struct rlimit rl;

    if (getrlimit(RLIMIT_NOFILE, &rl) == 0 && rl.rlim_cur < rl.rlim_max) {
        rl.rlim_cur = rl.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &rl); /* fine without */
    }
}

int main(int argc, char **argv)
{
    struct server s = { .srv.kill_fd = -1,
                        .certificate = BUF_INIT(PEM_MAX),
                        .key = BUF_INIT(PEM_MAX) };
    isol8_error err;
    int code = 0;

    if (args_parse(&s.args, argc, argv, &err) < 0) {
        code = fail(&err);
    } else if (s.args.wants_help) {
        (void)fd_write_all(STDOUT_FILENO, args_help, strlen(args_help));
    } else if (s.args.wants_version) {
        put(STDOUT_FILENO, "", isol8_version());
    } else {
        raise_descriptor_limit();
        s.signal_fd = open_signals(&err);
        code = s.signal_fd < 0 ? fail(&err) : serve(&s);
    }
    args_done(&s.args);
    return code;
}
