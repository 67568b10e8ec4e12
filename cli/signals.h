/* SPDX-License-Identifier: Apache-2.0 */
/**
 * signals.h - Ctrl-C, termination and hang-up as an event
 *
 * While nothing of ours exists outside the process, a signal simply ends it. Between
 * signals_hold() and the end of the process it is noted instead, and signals_fd() polls readable,
 * so that the command can kill what it started and leave nothing behind. Further signals are
 * counted: they do not skip the clean-up.
 */
#ifndef CLI_SIGNALS_H
#define CLI_SIGNALS_H

#include <stdbool.h>

#include <isol8/isol8.h>

/** Install the handlers and ignore SIGPIPE. Return: 0 or a status. */
int signals_install(isol8_error *err);

/** From now on, note signals instead of ending the process. */
void signals_hold(void);

/** Polls readable once a signal was noted, until signals_again(). */
int signals_fd(void);

/** Let signals_fd() poll readable at the next signal only. */
void signals_again(void);

/** How many signals were noted. */
int signals_count(void);

/** Number of the first signal noted, or 0. */
int signals_caught(void);

/** True when the terminal sent it, and so to the whole foreground process group. */
bool signals_from_terminal(void);

#endif
