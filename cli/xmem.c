/* SPDX-License-Identifier: Apache-2.0 */
/* xmem.c - memory or the end. */
#include "cli/xmem.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void *or_die(void *p)
{
    static const char text[] = "[ERR] out of memory\n";

    if (p != NULL)
        return p;
    (void)!write(STDERR_FILENO, text, sizeof(text) - 1); /* nothing can be done about a failure */
    _exit(1);
}

void xnomem(void)
{
    (void)or_die(NULL);
    _exit(1); /* not reached */
}

void *xcalloc(size_t n, size_t size)
{
    return or_die(calloc(n, size));
}

void *xrealloc(void *p, size_t n)
{
    return or_die(realloc(p, n));
}

char *xstrdup(const char *s)
{
    return or_die(strdup(s));
}

char *xstrndup(const char *s, size_t n)
{
    return or_die(strndup(s, n));
}

char *xasprintf(const char *fmt, ...)
{
    char *s = NULL;
    va_list ap;

    va_start(ap, fmt);
    if (vasprintf(&s, fmt, ap) < 0)
        s = NULL;
    va_end(ap);
    return or_die(s);
}
