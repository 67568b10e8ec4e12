/* SPDX-License-Identifier: Apache-2.0 */
/* mem.h - ownership made visible: locals released by attribute, hand-over by take_ptr(). */
#ifndef BASE_MEM_H
#define BASE_MEM_H

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

static inline void mem_free_p(void *p)
{
    free(*(void **)p);
}

#define auto_free __attribute__((cleanup(mem_free_p)))

/** Read a pointer and set it to NULL: the value now belongs to whoever takes it. */
#define take_ptr(p)                                                                                \
    __extension__({                                                                                \
        __auto_type taken_ = *(p);                                                                 \
        *(p) = NULL;                                                                               \
        taken_;                                                                                    \
    })

/** Copy of @s, or NULL when @s is NULL or memory is out. */
static inline char *mem_strdup(const char *s)
{
    return s == NULL ? NULL : strdup(s);
}

#endif
