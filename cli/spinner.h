/* SPDX-License-Identifier: Apache-2.0 */
/**
 * spinner.h - one animated line on stderr, when that is a terminal somebody watches
 *
 * A thread of its own draws it, so that it moves while the main thread waits. It appears only
 * after a moment: what is quick leaves no flicker. One spinner a process.
 */
#ifndef CLI_SPINNER_H
#define CLI_SPINNER_H

#include <stdbool.h>

/** True when stderr is a terminal, CI is unset and TERM is not "dumb". */
bool spinner_is_lively(void);

/** Begin, unless nobody watches. @text is copied, as everywhere here. */
void spinner_start(const char *text);
void spinner_text(const char *text);

/** Erase the line and end the thread. Without a spinner: nothing. */
void spinner_stop(void);

/** Take the line off the screen while something else is written. */
void spinner_pause(void);
void spinner_resume(void);

#endif
