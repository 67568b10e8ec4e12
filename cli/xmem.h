/* SPDX-License-Identifier: Apache-2.0 */
/* xmem.h - memory or the end: a command line program has nothing better to do without it. */
#ifndef CLI_XMEM_H
#define CLI_XMEM_H

#include <stddef.h>

void *xcalloc(size_t n, size_t size);
void *xrealloc(void *p, size_t n);
char *xstrdup(const char *s);
char *xstrndup(const char *s, size_t n);
/** The end. */
void xnomem(void) __attribute__((noreturn));
char *xasprintf(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

#endif
