/* SPDX-License-Identifier: Apache-2.0 */
/* wait.c - wait for something, and notice meanwhile that the client has left. */
#include <errno.h>
#include <poll.h>

#include "base/clock.h"
#include "server/srv.h"

/* POLLRDHUP: the client has closed its side. It may have closed only that one, but no client of
 * ours does, and waiting for more to go by would mean that its program runs on for nobody. */
enum srv_wake srv_wait(const struct srv *s, int fd, int client_fd, int timeout_ms)
{
    struct pollfd fds[] = {
        { .fd = fd, .events = POLLIN },
        { .fd = client_fd, .events = POLLRDHUP },
        { .fd = s->kill_fd, .events = POLLIN },
    };
    uint64_t start_ns = clock_now_ns();

    for (;;) {
        int64_t passed = (int64_t)((clock_now_ns() - start_ns) / 1000000);
        int left = timeout_ms < 0 ? -1 : passed >= timeout_ms ? 0 : timeout_ms - (int)passed;
        int n = poll(fds, 3, left);
        if (n < 0 && errno == EINTR)
            continue;
        if (n > 0 && fds[1].revents != 0)
            return SRV_WAKE_GONE;
        if (n > 0 && fds[2].revents != 0)
            return SRV_WAKE_KILL;
        return n == 0 ? SRV_WAKE_TIMEOUT : SRV_WAKE_READY;
    }
}
