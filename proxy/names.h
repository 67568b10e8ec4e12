/* SPDX-License-Identifier: Apache-2.0 */
/* names.h - one sandbox's table of names and the addresses that stand for them. */
#ifndef PROXY_NAMES_H
#define PROXY_NAMES_H

#include <netinet/in.h>
#include <stdbool.h>

enum { NAMES_MAX = 4096 }; /* names of one sandbox; later ones get no address */

/* 198.18.0.0/24 is left out: the explicit proxy and the resolver live there. */
#define NAMES_FIRST 0xc6120100u /* 198.18.1.0 */

struct names;

struct names *names_new(void);
void names_free(struct names *t);

/** The address of @name (normal form), given on first sight and never to another name. False: the
 * table is full, or no memory. */
bool names_give(struct names *t, const char *name, struct in_addr *out);
bool names_has(const struct names *t, const char *name);

/** The name that @a stands for, or NULL. */
const char *names_find(const struct names *t, struct in_addr a);

/** Whether @a is of the range that names are given from (198.18.0.0/15). */
bool names_is_fake(struct in_addr a);

#endif
