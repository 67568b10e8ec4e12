/* SPDX-License-Identifier: Apache-2.0 */
/* run_print.h - what a run writes: its program's output, and our own lines beside it. */
#ifndef CLI_RUN_PRINT_H
#define CLI_RUN_PRINT_H

#include "cli/run.h"
#include "cli/stream.h"

#define EXIT_TIMEOUT 137 /* as a program that was killed */
#define TRUNCATED "Output was truncated"

struct print {
    const struct run_plan *plan;
    struct stream out, err;
    bool wrote_file; /* something was written to the file of --out */
    int file_errno;
    char last; /* the last byte a terminal got from the program */
};

/* The texts of a buffered run, as they are printed at its end. */
struct print_texts {
    const char *out, *err;
    size_t n_out, n_err;
    bool is_timeout, is_truncated;
};

void print_init(struct print *p, const struct run_plan *plan);

/** The run has started: empty the file of --out. An error before leaves it alone. */
void print_begin(struct print *p);
void print_done(struct print *p);

/** One line of ours on stderr, on a line of its own, escaped. */
void print_line(struct print *p, const char *prefix, const char *text, size_t n);

/** The program's bytes, to one of our two streams. */
void print_output(struct print *p, struct stream *s, const char *data, size_t n);

/** The program's stdout to the file of --out. */
void print_file(struct print *p, const char *data, size_t n);

void print_texts(struct print *p, const struct print_texts *t);

/** "[Run] Output written to ..." */
void print_file_name(struct print *p);

/** False while a reader is so slow that no more should be fetched for it. */
bool print_has_room(const struct print *p);

/** Bytes that wait for their readers. */
size_t print_pending(const struct print *p);

/** Whether there is no point in going on: stdout or the file takes nothing any more. */
bool print_is_broken(const struct print *p);

/** Say why, if it is broken. Return: the exit code for it; 0: it is not. */
int print_failure(const struct print *p);

#endif
