/* SPDX-License-Identifier: Apache-2.0 */
/* names.c - one sandbox's table of names and the addresses that stand for them. */
#include "proxy/names.h"

#include <arpa/inet.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { SLOTS = 2 * NAMES_MAX }; /* of the hash table, a power of two */

struct names {
    size_t n;
    char *names[NAMES_MAX];
    uint16_t slots[SLOTS]; /* index + 1; 0: free */
};

struct names *names_new(void)
{
    return calloc(1, sizeof(struct names));
}

void names_free(struct names *t)
{
    if (t == NULL)
        return;
    for (size_t i = 0; i < t->n; i++)
        free(t->names[i]);
    free(t);
}

/* FNV-1a. Collisions only slow their own sandbox down, and by NAMES_MAX steps at most. */
static size_t hash(const char *s)
{
    uint32_t h = 2166136261u;

    for (; *s != '\0'; s++)
        h = (h ^ (unsigned char)*s) * 16777619u;
    return h % SLOTS;
}

/* The slot of @name, or the free one where it belongs; the table is never full. */
static size_t find_slot(const struct names *t, const char *name)
{
    size_t i = hash(name);

    while (t->slots[i] != 0 && strcmp(t->names[t->slots[i] - 1], name) != 0)
        i = (i + 1) % SLOTS;
    return i;
}

bool names_has(const struct names *t, const char *name)
{
    return t->slots[find_slot(t, name)] != 0;
}

bool names_give(struct names *t, const char *name, struct in_addr *out)
{
    size_t slot = find_slot(t, name);

    if (t->slots[slot] == 0) {
        char *copy = t->n < NAMES_MAX ? strdup(name) : NULL;
        if (copy == NULL)
            return false;
        t->names[t->n++] = copy;
        t->slots[slot] = (uint16_t)t->n;
    }
    out->s_addr = htonl(NAMES_FIRST + t->slots[slot] - 1u);
    return true;
}

const char *names_find(const struct names *t, struct in_addr a)
{
    uint32_t v = ntohl(a.s_addr);

    return v >= NAMES_FIRST && v - NAMES_FIRST < t->n ? t->names[v - NAMES_FIRST] : NULL;
}

bool names_is_fake(struct in_addr a)
{
    return ntohl(a.s_addr) >> 17 == 0xc6120000u >> 17;
}
