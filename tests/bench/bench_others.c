/* SPDX-License-Identifier: Apache-2.0 */
/* bench_others.c - the proxies of others, as children with configurations of their own. */
#include <arpa/inet.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/path.h"
#include "tests/bench/bench.h"
#include "tests/bench/bench_net.h"

enum { START_TRIES = 1000, START_WAIT_MS = 10 };

static uint16_t free_port(void)
{
    uint16_t port;

    (void)fd_close(net_listen(&port));
    return port;
}

static int die_with_parent(void *user, const char **what)
{
    (void)user;
    (void)what;
    return prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 ? -errno : 0;
}

static int spawn(const char *const *argv)
{
    struct proc_args args = PROC_ARGS_INIT;
    isol8_error err;
    int pidfd;

    args.file = argv[0];
    args.argv = argv;
    args.prepare = die_with_parent;
    if (proc_spawn(&args, &pidfd, NULL, &err) < 0)
        bench_die(argv[0], &err);
    return pidfd;
}

/* They tell nobody when they are ready. */
static void await(const char *name, uint16_t port)
{
    struct sockaddr_in a = { .sin_family = AF_INET,
                             .sin_port = htons(port),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    struct timespec pause = { .tv_nsec = START_WAIT_MS * 1000000L };

    for (int i = 0; i < START_TRIES; i++) {
        auto_close int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (connect(fd, (struct sockaddr *)&a, sizeof(a)) == 0)
            return;
        (void)nanosleep(&pause, NULL);
    }
    bench_die(name, NULL);
}

static void write_file(const char *dir, const char *name, const char *text)
{
    char path[128];

    (void)snprintf(path, sizeof(path), "%s/%s", dir, name);
    FILE *f = fopen(path, "we");
    if (f == NULL || fputs(text, f) < 0 || fclose(f) != 0)
        bench_die(path, NULL);
}

static int start_haproxy(struct others *o, const struct origin *origin)
{
    char text[1024], path[96];

    o->haproxy = free_port();
    o->haproxy_splice = free_port();
    (void)snprintf(text, sizeof(text),
                   "defaults\n  mode tcp\n  timeout connect 10s\n  timeout client 60s\n"
                   "  timeout server 60s\n"
                   "listen copy\n  bind 127.0.0.1:%u\n  server s 127.0.0.1:%u\n"
                   "listen splice\n  bind 127.0.0.1:%u\n  option splice-request\n"
                   "  option splice-response\n  server s 127.0.0.1:%u\n",
                   o->haproxy, origin->bulk_port, o->haproxy_splice, origin->bulk_port);
    write_file(o->dir, "haproxy.conf", text);
    (void)snprintf(path, sizeof(path), "%s/haproxy.conf", o->dir);
    return spawn((const char *[]){ "haproxy", "-db", "-q", "-f", path, NULL });
}

static int start_tinyproxy(struct others *o)
{
    char text[512], path[96];

    o->tinyproxy = free_port();
    (void)snprintf(text, sizeof(text),
                   "Port %u\nListen 127.0.0.1\nTimeout 60\nMaxClients 100\nLogLevel Critical\n",
                   o->tinyproxy);
    write_file(o->dir, "tinyproxy.conf", text);
    (void)snprintf(path, sizeof(path), "%s/tinyproxy.conf", o->dir);
    return spawn((const char *[]){ "tinyproxy", "-d", "-c", path, NULL });
}

/* Forwarding only: nothing cached, nothing logged. */
static int start_squid(struct others *o)
{
    char text[1024], path[96];

    o->squid = free_port();
    (void)snprintf(text, sizeof(text),
                   "http_port 127.0.0.1:%u\nhttp_access allow all\ncache deny all\n"
                   "access_log none\ncache_log /dev/null\ncache_store_log none\n"
                   "pid_filename none\ncoredump_dir none\npinger_enable off\n"
                   "netdb_filename none\nshutdown_lifetime 0 seconds\ncache_mem 8 MB\n"
                   "client_db off\nvisible_hostname bench.test\n",
                   o->squid);
    write_file(o->dir, "squid.conf", text);
    (void)snprintf(path, sizeof(path), "%s/squid.conf", o->dir);
    return spawn((const char *[]){ "squid", "-N", "-f", path, NULL });
}

void others_start(struct others *o, const struct origin *origin)
{
    (void)snprintf(o->dir, sizeof(o->dir), "/tmp/isol8-bench-XXXXXX");
    if (mkdtemp(o->dir) == NULL || chmod(o->dir, 0755) < 0)
        bench_die(o->dir, NULL);
    o->pidfds[0] = start_haproxy(o, origin);
    o->pidfds[1] = start_tinyproxy(o);
    o->pidfds[2] = start_squid(o);
    await("haproxy", o->haproxy);
    await("tinyproxy", o->tinyproxy);
    await("squid", o->squid);
}

void others_stop(struct others *o)
{
    for (int i = 0; i < 3; i++) {
        if (o->pidfds[i] < 0)
            continue;
        proc_kill(o->pidfds[i]);
        (void)proc_wait(o->pidfds[i], NULL);
        o->pidfds[i] = fd_close(o->pidfds[i]);
    }
    if (o->dir[0] != '\0')
        (void)path_remove_tree(AT_FDCWD, o->dir, NULL);
    o->dir[0] = '\0';
}
