/* SPDX-License-Identifier: Apache-2.0 */
/* bench_net.h - the servers behind a proxy under test, the client in front of it, and the proxies
 * of others. All on 127.0.0.1; what goes wrong ends the program. */
#ifndef TESTS_BENCH_BENCH_NET_H
#define TESTS_BENCH_BENCH_NET_H

#include <stdbool.h>
#include <stdint.h>

/** A listening socket; *port is returned. */
int net_listen(uint16_t *port);

/* Two processes: one answers HTTP requests with a small body, the other sends many bytes to
 * whoever sends it one. */
struct origin {
    uint16_t http_port;
    uint16_t bulk_port;
    int pidfds[2];
};

/** Must come before the first thread. */
void origin_start(struct origin *o, uint64_t bulk_bytes);
void origin_stop(struct origin *o);

int client_connect(uint16_t port);

/** A connection to @host:@port through the proxy at @proxy by CONNECT. 0: straight to the port. */
int client_tunnel(uint16_t proxy, const char *host, uint16_t port);

/** One small request and its answer, the connection stays. */
void client_exchange(int fd);

/** Microseconds from before connect() to the answer's first byte. */
double client_first_byte(uint16_t proxy, const char *host, uint16_t port);

/** Ask the bulk server and read all it sends. Return: GB/s. The connection is closed. */
double client_download(int fd, uint64_t bytes);

/** @n plain HTTP requests over some connections at once. @proxy 0: straight. Return: a second. */
double client_requests(uint16_t proxy, uint16_t port, unsigned n, bool keep_alive);

/* HAProxy in TCP mode before the bulk server, by copying and by splicing; tinyproxy; squid. */
struct others {
    char dir[64];
    uint16_t haproxy;
    uint16_t haproxy_splice;
    uint16_t tinyproxy;
    uint16_t squid;
    int pidfds[3];
};

void others_start(struct others *o, const struct origin *origin);
void others_stop(struct others *o);

#endif
