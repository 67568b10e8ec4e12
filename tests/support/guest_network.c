/* SPDX-License-Identifier: Apache-2.0 */
/* guest_network.c - what is tried in a filtered network, as subcommands of the guest program. */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/support/guest.h"

static struct sockaddr_in address(const char *text, long port)
{
    struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };

    if (inet_pton(AF_INET, text, &a.sin_addr) != 1) {
        fprintf(stderr, "guest: '%s' is no address\n", text);
        exit(2);
    }
    return a;
}

/* Wait for the socket's end or answer, at most 5 s. Return: 0, or -1 with errno set. */
static int wait_for_fate(int fd)
{
    struct pollfd p = { .fd = fd, .events = POLLIN };
    char c;
    int n = poll(&p, 1, 5000);

    if (n == 0)
        errno = ETIMEDOUT;
    return n <= 0 || recv(fd, &c, 1, 0) < 0 ? -1 : 0;
}

/* forge ADDRESS: everything that could put another source address than one's own into a packet. */
static int cmd_forge(int argc, char **argv)
{
    struct sockaddr_in other = address(argc > 1 ? argv[1] : "10.88.0.6", 4000);
    struct sockaddr_in far = address("192.0.2.1", 53);
    int on = 1;

    guest_report("raw", socket(AF_INET, SOCK_RAW, IPPROTO_RAW));
    guest_report("raw-icmp", socket(AF_INET, SOCK_RAW, IPPROTO_ICMP));
    guest_report("packet", socket(AF_PACKET, SOCK_RAW, htons(ETH_P_ALL)));
    guest_report("ping", socket(AF_INET, SOCK_DGRAM, IPPROTO_ICMP));
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    guest_report("transparent", setsockopt(fd, IPPROTO_IP, IP_TRANSPARENT, &on, sizeof(on)));
    guest_report("bind", bind(fd, (struct sockaddr *)&other, sizeof(other)));
    guest_report("freebind", setsockopt(fd, IPPROTO_IP, IP_FREEBIND, &on, sizeof(on)));
    (void)bind(fd, (struct sockaddr *)&other, sizeof(other));
    guest_report("send", (int)sendto(fd, "x", 1, 0, (struct sockaddr *)&far, sizeof(far)));
    return 0;
}

/* udp ADDRESS PORT: one datagram, and what comes of it. */
static int cmd_udp(int argc, char **argv)
{
    struct sockaddr_in to = address(argc > 1 ? argv[1] : "192.0.2.1",
                                    guest_number(argc, argv, 2, 9));
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    int r = connect(fd, (struct sockaddr *)&to, sizeof(to));

    if (r == 0)
        r = (int)send(fd, "x", 1, 0);
    guest_report("udp", r < 0 ? r : wait_for_fate(fd));
    return 0;
}

/* tcp ADDRESS PORT [N]: so many connections one after the other; the last one's fate. */
static int cmd_tcp(int argc, char **argv)
{
    struct sockaddr_in to = address(argc > 1 ? argv[1] : "192.0.2.1",
                                    guest_number(argc, argv, 2, 9));
    long left = guest_number(argc, argv, 3, 1);
    int r = 0;

    for (; left > 0; left--) {
        int fd = socket(AF_INET, SOCK_STREAM, 0);
        r = connect(fd, (struct sockaddr *)&to, sizeof(to));
        if (r == 0)
            r = wait_for_fate(fd);
        int e = errno;
        (void)close(fd);
        errno = e;
    }
    guest_report("tcp", r);
    return 0;
}

static int bound(int type, struct sockaddr_in *at)
{
    int fd = socket(AF_INET, type, 0);

    if (fd < 0 || bind(fd, (struct sockaddr *)at, sizeof(*at)) < 0 ||
        (type == SOCK_STREAM && listen(fd, 16) < 0)) {
        perror("guest: listen");
        exit(2);
    }
    return fd;
}

/* The address that packets to others would have. */
static void print_own_address(void)
{
    struct sockaddr_in a = address("192.0.2.1", 9);
    socklen_t n = sizeof(a);
    char text[INET_ADDRSTRLEN];
    int fd = socket(AF_INET, SOCK_DGRAM, 0);

    if (connect(fd, (struct sockaddr *)&a, sizeof(a)) == 0 &&
        getsockname(fd, (struct sockaddr *)&a, &n) == 0)
        printf("ready %s\n", inet_ntop(AF_INET, &a.sin_addr, text, sizeof(text)));
    fflush(stdout);
}

/* listen PORT: say "ready" and the own address, then one "got" for each connection or datagram,
 * until stdin ends. */
static int cmd_listen(int argc, char **argv)
{
    struct sockaddr_in any = address("0.0.0.0", guest_number(argc, argv, 1, 9999));
    struct pollfd p[] = { { .fd = 0, .events = POLLIN },
                          { .fd = bound(SOCK_STREAM, &any), .events = POLLIN },
                          { .fd = bound(SOCK_DGRAM, &any), .events = POLLIN } };
    char c;

    print_own_address();
    while (poll(p, 3, -1) > 0) {
        if (p[1].revents != 0) {
            (void)close(accept(p[1].fd, NULL, NULL));
            printf("got tcp\n");
        } else if (p[2].revents != 0) {
            (void)recv(p[2].fd, &c, 1, 0);
            printf("got udp\n");
        } else if (read(0, &c, 1) <= 0) {
            return 0;
        }
        fflush(stdout);
    }
    return 1;
}

const struct guest_command guest_network[] = {
    { "forge", "ADDRESS", cmd_forge },
    { "udp", "ADDRESS PORT", cmd_udp },
    { "tcp", "ADDRESS PORT [N]", cmd_tcp },
    { "listen", "PORT", cmd_listen },
    { NULL, NULL, NULL },
};
