/* SPDX-License-Identifier: Apache-2.0 */
/**
 * strict.h - the tables of the built-in profile
 *
 * They are read only while isol8 is built: by the generator, which checks them and writes them as
 * JSON, and by the unit test. A call that no table names fails with EPERM.
 */
#ifndef OCI_SECCOMP_STRICT_H
#define OCI_SECCOMP_STRICT_H

#include <stdbool.h>
#include <stdint.h>

/** Calls allowed with any arguments; NULL-terminated. */
extern const char *const strict_allowed[];

/** The same for calls that the build machine's libseccomp may be too old to know. */
extern const char *const strict_allowed_new[];

/** Calls that must never be allowed; the generator fails otherwise. */
extern const char *const strict_refused[];

/* The low 32 bits of argument @index, masked with @mask, are @value. The kernel truncates these
 * arguments to 32 bits, and the x86-64 calling convention leaves garbage in the upper half of a
 * register that holds an int, so a comparison of all 64 bits would be both wrong and evadable. */
struct strict_cond {
    unsigned index;
    uint32_t mask;
    uint32_t value;
};

#define STRICT_CONDS_MAX 2

/* Allowed (errnum 0) or failing with errnum when all conditions hold. Rules for one call must
 * exclude each other unless they have the same outcome: the order of evaluation is not ours. */
struct strict_rule {
    const char *name; /* NULL ends the table */
    int errnum;
    unsigned n_conds;
    struct strict_cond conds[STRICT_CONDS_MAX];
};

extern const struct strict_rule strict_rules[];

#define STRICT_EXCEPT_MAX 4

/* Allowed unless the low @bits bits of argument @index are one of @values. A profile cannot say
 * "not equal under a mask", so the generator writes the complement as a set of masked rules. */
struct strict_except {
    const char *name; /* NULL ends the table */
    unsigned index;
    unsigned bits;
    unsigned n_values;
    uint32_t values[STRICT_EXCEPT_MAX];
};

extern const struct strict_except strict_excepts[];

#endif
