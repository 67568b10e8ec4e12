/* SPDX-License-Identifier: Apache-2.0 */
/* run_print.c - what a run writes: its program's output, and our own lines beside it. */
#include "cli/run_print.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"

#define TIMED_OUT "--- EXECUTION TIMED OUT ---"

void print_init(struct print *p, const struct run_plan *plan)
{
    *p = (struct print){ .plan = plan, .last = '\n' };
    stream_init(&p->out, STDOUT_FILENO);
    stream_init(&p->err, STDERR_FILENO);
}

void print_begin(struct print *p)
{
    int fd = p->plan->out_fd;
    struct stat st;

    if (fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && ftruncate(fd, 0) < 0)
        p->file_errno = errno;
}

void print_done(struct print *p)
{
    stream_done(&p->out);
    stream_done(&p->err);
}

void print_line(struct print *p, const char *prefix, const char *text, size_t n)
{
    auto_buf struct buf line = BUF_INIT(1u << 20);

    if (p->err.is_tty && p->last != '\n')
        (void)buf_adds(&line, "\n");
    (void)buf_adds(&line, prefix);
    cli_escape(&line, text, n);
    (void)buf_adds(&line, "\n");
    stream_put(&p->err, buf_text(&line), line.len);
    p->last = '\n';
}

void print_output(struct print *p, struct stream *s, const char *data, size_t n)
{
    if (n == 0)
        return;
    stream_put(s, data, n);
    if (s->is_tty)
        p->last = data[n - 1];
}

void print_file(struct print *p, const char *data, size_t n)
{
    int r;

    if (p->plan->out_fd < 0 || p->file_errno != 0 || n == 0)
        return;
    r = fd_write_all(p->plan->out_fd, data, n);
    if (r < 0)
        p->file_errno = -r;
    p->wrote_file = true;
}

/* ---- A buffered run -------------------------------------------------------------------------- */

static size_t trimmed(const char *text, size_t n)
{
    while (n > 0 && memchr(" \t\r\n\v\f", text[n - 1], 6) != NULL)
        n--;
    return n;
}

static void put_text(struct print *p, struct stream *s, const char *text, size_t n)
{
    n = trimmed(text, n);
    if (n == 0)
        return;
    print_output(p, s, text, n);
    print_output(p, s, "\n", 1);
}

static bool ends_with(const char *text, size_t n, const char *tail)
{
    size_t m = strlen(tail);

    n = trimmed(text, n);
    return n >= m && memcmp(text + n - m, tail, m) == 0;
}

void print_texts(struct print *p, const struct print_texts *t)
{
    print_file(p, t->out, t->n_out);
    put_text(p, &p->out, t->out, t->n_out);
    put_text(p, &p->err, t->err, t->n_err);
    if (t->is_timeout && !ends_with(t->err, t->n_err, TIMED_OUT))
        print_line(p, "", TIMED_OUT, strlen(TIMED_OUT));
    if (t->is_truncated)
        print_line(p, "[WARN] ", TRUNCATED, strlen(TRUNCATED));
}

void print_file_name(struct print *p)
{
    if (p->wrote_file && p->file_errno == 0)
        print_line(p, "[Run] Output written to ", p->plan->out_file, strlen(p->plan->out_file));
}

/* ---- Readers --------------------------------------------------------------------------------- */

bool print_has_room(const struct print *p)
{
    return stream_pending(&p->out) < RUN_PENDING_MAX && stream_pending(&p->err) < RUN_PENDING_MAX;
}

size_t print_pending(const struct print *p)
{
    return stream_pending(&p->out) + stream_pending(&p->err);
}

bool print_is_broken(const struct print *p)
{
    return p->out.broken != 0 || p->file_errno != 0;
}

int print_failure(const struct print *p)
{
    if (p->file_errno != 0)
        return cli_fail("Cannot write %s: %s", p->plan->out_file, strerrordesc_np(p->file_errno));
    if (p->out.broken == EPIPE)
        return CLI_EXIT_EPIPE;
    if (p->out.broken != 0)
        return cli_fail("Cannot write to stdout: %s", strerrordesc_np(p->out.broken));
    return 0;
}
