/* SPDX-License-Identifier: Apache-2.0 */
/* listen.c - the sockets the server listens on, and what it tells its service manager. */
#include "server/listen.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/mem.h"
#include "base/text.h"

#define FIRST_PASSED_FD 3 /* sd_listen_fds(3) */
#define UNIX_PREFIX "unix:"

/* ---- TCP ------------------------------------------------------------------------------------- */

/* Return: fd, or -errno */
static int open_tcp(const struct sockaddr *address, socklen_t n)
{
    const int one = 1;
    auto_close int fd = socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return -errno;
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    /* Each family has its own socket, so that an address means the same on every machine. */
    if (address->sa_family == AF_INET6)
        (void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof(one));
    if (bind(fd, address, n) < 0 || listen(fd, LISTEN_BACKLOG) < 0)
        return -errno;
    return take_fd(&fd);
}

static int open_v4(struct in_addr in, uint16_t port)
{
    struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons(port), .sin_addr = in };

    return open_tcp((struct sockaddr *)&a, sizeof(a));
}

static int open_v6(const struct in6_addr *in6, uint16_t port)
{
    struct sockaddr_in6 a = { .sin6_family = AF_INET6,
                              .sin6_port = htons(port),
                              .sin6_addr = *in6 };

    return open_tcp((struct sockaddr *)&a, sizeof(a));
}

static int add(struct listeners *l, int fd, uint16_t port, isol8_error *err)
{
    if (fd == -EADDRINUSE)
        return err_set(err, ISOL8_E_BUSY, "Port %u is already in use", port);
    if (fd < 0)
        return err_sys(err, -fd, "cannot listen on port %u", port);
    l->fds[l->n++] = fd;
    return 0;
}

/* A machine without IPv6 has no such socket, and needs none. */
static int add_v6(struct listeners *l, const struct in6_addr *in6, uint16_t port, isol8_error *err)
{
    int fd = open_v6(in6, port);

    if (fd == -EAFNOSUPPORT || fd == -EADDRNOTAVAIL)
        return 0;
    return add(l, fd, port, err);
}

static int open_pair(struct listeners *l, uint32_t v4, const struct in6_addr *v6, uint16_t port,
                     isol8_error *err)
{
    struct in_addr in = { .s_addr = htonl(v4) };
    int r = add(l, open_v4(in, port), port, err);

    return r < 0 ? r : add_v6(l, v6, port, err);
}

/* ---- Local sockets --------------------------------------------------------------------------- */

/* A socket file that nobody listens on is left from a server that was killed. */
static bool is_abandoned(const struct sockaddr_un *a)
{
    struct stat st;
    auto_close int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    return fd >= 0 && lstat(a->sun_path, &st) == 0 && S_ISSOCK(st.st_mode) &&
           connect(fd, (const struct sockaddr *)a, sizeof(*a)) < 0 && errno == ECONNREFUSED;
}

static int open_unix(struct listeners *l, const char *path, isol8_error *err)
{
    struct sockaddr_un a = { .sun_family = AF_UNIX };
    auto_close int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct stat st;

    if (strlen(path) >= sizeof(a.sun_path) || path[0] != '/')
        return err_set(err, ISOL8_E_INVAL, "'%s' must be an absolute path of less than %zu bytes",
                       path, sizeof(a.sun_path));
    memcpy(a.sun_path, path, strlen(path));
    if (fd < 0)
        return err_sys(err, errno, "cannot make a socket");
    if (is_abandoned(&a))
        (void)unlink(path);
    if (bind(fd, (const struct sockaddr *)&a, sizeof(a)) < 0)
        return errno == EADDRINUSE ? err_set(err, ISOL8_E_BUSY, "'%s' is already in use", path)
                                   : err_sys(err, errno, "cannot listen on '%s'", path);
    /* Only its owner, before anybody can connect: there is no listen(2) yet. */
    if (chmod(path, 0600) < 0 || lstat(path, &st) < 0 || listen(fd, LISTEN_BACKLOG) < 0)
        return err_sys(err, errno, "cannot listen on '%s'", path);
    l->inode = st.st_ino;
    l->socket_path = strdup(path);
    l->fds[l->n++] = take_fd(&fd);
    return 0;
}

/* ---- The service manager --------------------------------------------------------------------- */

static bool number_of(const char *variable, uint64_t *out)
{
    const char *text = getenv(variable);

    return text != NULL && text_parse_u64(text, out);
}

static void take_passed(struct listeners *l)
{
    uint64_t pid = 0, n = 0;

    if (!number_of("LISTEN_PID", &pid) || pid != (uint64_t)getpid() ||
        !number_of("LISTEN_FDS", &n) || n > LISTEN_MAX)
        return;
    for (uint64_t i = 0; i < n; i++) {
        int fd = FIRST_PASSED_FD + (int)i;
        if (fcntl(fd, F_SETFD, FD_CLOEXEC) < 0)
            continue;
        l->fds[l->n++] = fd;
        l->is_inherited = true;
    }
    (void)unsetenv("LISTEN_PID");
    (void)unsetenv("LISTEN_FDS");
    (void)unsetenv("LISTEN_FDNAMES");
}

void listen_notify(const char *state)
{
    const char *path = getenv("NOTIFY_SOCKET");
    struct sockaddr_un a = { .sun_family = AF_UNIX };
    size_t n = path == NULL ? 0 : strlen(path);

    if (n == 0 || n >= sizeof(a.sun_path) || (path[0] != '/' && path[0] != '@'))
        return;
    memcpy(a.sun_path, path, n);
    if (path[0] == '@')
        a.sun_path[0] = '\0';
    auto_close int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd >= 0)
        (void)sendto(fd, state, strlen(state), MSG_NOSIGNAL, (const struct sockaddr *)&a,
                     (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n));
}

/* ---- All of them ----------------------------------------------------------------------------- */

static int open_address(struct listeners *l, const char *address, uint16_t port, isol8_error *err)
{
    struct in_addr in;
    struct in6_addr in6;

    if (address == NULL || strcmp(address, "localhost") == 0)
        return open_pair(l, INADDR_LOOPBACK, &in6addr_loopback, port, err);
    if (strcmp(address, "*") == 0)
        return open_pair(l, INADDR_ANY, &in6addr_any, port, err);
    if (listen_is_local(address))
        return open_unix(l, address + sizeof(UNIX_PREFIX) - 1, err);
    if (inet_pton(AF_INET, address, &in) == 1)
        return add(l, open_v4(in, port), port, err);
    if (inet_pton(AF_INET6, address, &in6) == 1)
        return add(l, open_v6(&in6, port), port, err);
    return err_set(err, ISOL8_E_INVAL,
                   "'%s' is not an address to listen on: an IP address, localhost, * (all), or "
                   "unix:/PATH",
                   address);
}

int listen_open(struct listeners *l, const char *address, uint16_t port, isol8_error *err)
{
    *l = (struct listeners){ 0 };
    take_passed(l);
    if (l->n > 0)
        return 0;
    int r = open_address(l, address, port, err);
    if (r < 0)
        listen_close(l);
    return r;
}

int listen_free_port(uint16_t *port, isol8_error *err)
{
    struct sockaddr_in a = { .sin_family = AF_INET };
    socklen_t n = sizeof(a);
    auto_close int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0 || bind(fd, (struct sockaddr *)&a, n) < 0 ||
        getsockname(fd, (struct sockaddr *)&a, &n) < 0)
        return err_sys(err, errno, "cannot find an available port");
    *port = ntohs(a.sin_port);
    return 0;
}

bool listen_is_local(const char *address)
{
    return address != NULL && strncmp(address, UNIX_PREFIX, sizeof(UNIX_PREFIX) - 1) == 0;
}

void listen_close(struct listeners *l)
{
    struct stat st;

    for (size_t i = 0; i < l->n; i++)
        (void)fd_close(l->fds[i]);
    l->n = 0;
    if (l->socket_path != NULL && lstat(l->socket_path, &st) == 0 && st.st_ino == l->inode)
        (void)unlink(l->socket_path);
    free(take_ptr(&l->socket_path));
}

void listen_describe(const char *address, uint16_t port, bool is_tls, char *out, size_t n)
{
    const char *scheme = is_tls ? "https" : "http";

    if (listen_is_local(address))
        (void)snprintf(out, n, "%s", address);
    else if (address == NULL || strcmp(address, "*") == 0)
        (void)snprintf(out, n, "%s://localhost:%u", scheme, port);
    else if (strchr(address, ':') != NULL)
        (void)snprintf(out, n, "%s://[%s]:%u", scheme, address, port);
    else
        (void)snprintf(out, n, "%s://%s:%u", scheme, address, port);
}
