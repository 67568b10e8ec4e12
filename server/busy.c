/* SPDX-License-Identifier: Apache-2.0 */
/* busy.c - a port that somebody else has: on a terminal, the user is asked which one instead. */
#include "server/busy.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/text.h"

enum { LINE_MAX_BYTES = 256, TRIES = 16 };

/* Ask, and take a line without the white space around it. Return: 0, or -1 at the end of the input
 * or when the user wants to stop. */
static int ask(const char *question, int signal_fd, char line[LINE_MAX_BYTES])
{
    struct pollfd fds[] = { { .fd = STDIN_FILENO, .events = POLLIN },
                            { .fd = signal_fd, .events = POLLIN } };

    (void)fputs(question, stdout);
    (void)fflush(stdout);
    while (poll(fds, 2, -1) < 0 && errno == EINTR) {
    }
    ssize_t n = fds[1].revents != 0 ? 0 : read(STDIN_FILENO, line, LINE_MAX_BYTES - 1);
    if (n <= 0) {
        (void)fputs("\n", stdout); /* of the line that the question stands in */
        return -1;
    }
    line[n] = '\0';
    size_t skip = strspn(line, " \t\r\n");
    memmove(line, line + skip, (size_t)n - skip + 1);
    for (size_t end = strlen(line); end > 0 && strchr(" \t\r\n", line[end - 1]) != NULL; end--)
        line[end - 1] = '\0';
    return 0;
}

/* Return: 0 (*port is unchanged when there was no answer, or a bad one), or -1 */
static int ask_port(int signal_fd, uint16_t *port)
{
    char line[LINE_MAX_BYTES];
    uint64_t number;

    if (ask("Enter port (1-65535): ", signal_fd, line) < 0)
        return -1;
    if (line[0] == '\0')
        return 0;
    if (text_parse_u64(line, &number) && number >= 1 && number <= 65535)
        *port = (uint16_t)number;
    else
        (void)fprintf(stderr, "[ERR] Invalid port: %s. Expected 1-65535.\n", line);
    return 0;
}

/* What the kernel hands out is free for IPv4 at this moment; whether it is for all that is listened
 * on, listening tells. */
static int listen_anywhere(struct listeners *l, struct args *args, isol8_error *err)
{
    int r = ISOL8_E_BUSY;

    for (int i = 0; i < TRIES && r == ISOL8_E_BUSY; i++) {
        r = listen_free_port(&args->port, err);
        if (r == 0)
            r = listen_open(l, args->address, args->port, err);
    }
    if (r == 0)
        (void)printf("[INFO] Using available port %u\n", args->port);
    (void)fflush(stdout); /* the rest is not written by stdio */
    return r;
}

static int cancelled(isol8_error *err)
{
    return err_set(err, ISOL8_E_CANCELLED, "Server startup cancelled.");
}

/* The port is taken: which one then? */
static int choose(struct listeners *l, struct args *args, int signal_fd, isol8_error *err)
{
    char line[LINE_MAX_BYTES];

    for (;;) {
        uint16_t port = 0;
        if (ask("Choose: [1] Enter another port  [2] Find an available port  [3] Exit "
                "(default: 2): ",
                signal_fd, line) < 0 ||
            strcmp(line, "3") == 0)
            return cancelled(err);
        if (line[0] == '\0' || strcmp(line, "2") == 0)
            return listen_anywhere(l, args, err);
        if (strcmp(line, "1") != 0) {
            (void)fputs("[ERR] Invalid selection. Enter 1, 2, or 3.\n", stderr);
            continue;
        }
        if (ask_port(signal_fd, &port) < 0)
            return cancelled(err);
        if (port != 0) {
            args->port = port;
            return listen_open(l, args->address, port, err);
        }
    }
}

int busy_listen(struct listeners *l, struct args *args, int signal_fd, isol8_error *err)
{
    int r = listen_open(l, args->address, args->port, err);

    while (r == ISOL8_E_BUSY && args->is_serve && !listen_is_local(args->address) &&
           isatty(STDIN_FILENO) && isatty(STDOUT_FILENO)) {
        (void)fprintf(stderr, "[WARN] Port %u is already in use.\n", args->port);
        r = choose(l, args, signal_fd, err);
    }
    return r;
}
