/* SPDX-License-Identifier: Apache-2.0 */
/**
 * gen_strict.c - checks the tables of strict.c and writes them as JSON; runs while isol8 is built
 *
 * Usage: gen_strict MACHINE OUTPUT, where MACHINE is the target's `uname -m`.
 *
 * Every name is looked up in libseccomp: one that exists nowhere is a typing error and fails the
 * build, one that the target's architecture lacks is dropped, one newer than this libseccomp is
 * kept if the table says that it is new (a runtime ignores names it does not know).
 */
#include <errno.h>
#include <seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "oci/seccomp/strict.h"

struct machine {
    const char *uname;
    uint32_t arch;
    const char *name;
};

static const struct machine machines[] = {
    { "x86_64", SCMP_ARCH_X86_64, "SCMP_ARCH_X86_64" },
    { "amd64", SCMP_ARCH_X86_64, "SCMP_ARCH_X86_64" },
    { "aarch64", SCMP_ARCH_AARCH64, "SCMP_ARCH_AARCH64" },
    { "arm64", SCMP_ARCH_AARCH64, "SCMP_ARCH_AARCH64" },
    { NULL, 0, NULL },
};

static unsigned n_problems;

static void problem(const char *name, const char *what)
{
    (void)fprintf(stderr, "strict profile: '%s' %s\n", name, what);
    n_problems++;
}

static unsigned count(const char *const *list, const char *name)
{
    unsigned n = 0;

    for (; *list != NULL; list++)
        n += strcmp(*list, name) == 0;
    return n;
}

static unsigned count_rules(const char *name)
{
    unsigned n = 0;

    for (const struct strict_rule *r = strict_rules; r->name != NULL; r++)
        n += r->errnum == 0 && strcmp(r->name, name) == 0;
    for (const struct strict_except *e = strict_excepts; e->name != NULL; e++)
        n += strcmp(e->name, name) == 0;
    return n;
}

/* A number, a negative pseudo number (not on this architecture), or __NR_SCMP_ERROR. */
static int resolve(const struct machine *m, const char *name)
{
    return seccomp_syscall_resolve_name_arch(m->arch, name);
}

/* A rule without conditions swallows every other rule of its call, so a call is in one place. */
static void check_tables(const struct machine *m)
{
    for (const char *const *p = strict_allowed; *p != NULL; p++) {
        if (count(strict_allowed, *p) > 1)
            problem(*p, "is listed twice");
        if (count_rules(*p) > 0)
            problem(*p, "is allowed and has a rule as well");
        if (resolve(m, *p) == __NR_SCMP_ERROR)
            problem(*p, "is no system call");
    }
    for (const char *const *p = strict_allowed_new; *p != NULL; p++) {
        if (count(strict_allowed, *p) > 0 || count_rules(*p) > 0)
            problem(*p, "is listed twice");
    }
    for (const char *const *p = strict_refused; *p != NULL; p++) {
        if (count(strict_allowed, *p) + count(strict_allowed_new, *p) + count_rules(*p) > 0)
            problem(*p, "must be refused, but is allowed");
    }
    for (const struct strict_rule *r = strict_rules; r->name != NULL; r++) {
        if (resolve(m, r->name) == __NR_SCMP_ERROR)
            problem(r->name, "is no system call");
    }
    for (const struct strict_except *e = strict_excepts; e->name != NULL; e++) {
        if (resolve(m, e->name) == __NR_SCMP_ERROR)
            problem(e->name, "is no system call");
    }
}

static void write_names(FILE *f, const struct machine *m, const char *const *names, bool *first)
{
    for (; *names != NULL; names++) {
        int nr = resolve(m, *names);
        if (nr < 0 && nr != __NR_SCMP_ERROR)
            continue;
        (void)fprintf(f, "%s\"%s\"", *first ? "" : ",", *names);
        *first = false;
    }
}

static void write_cond(FILE *f, unsigned index, uint32_t mask, uint32_t value)
{
    (void)fprintf(f, "{\"index\":%u,\"value\":%u,\"valueTwo\":%u,\"op\":\"SCMP_CMP_MASKED_EQ\"}",
                  index, mask, value);
}

static void write_rule(FILE *f, const struct strict_rule *r)
{
    (void)fprintf(f, ",{\"names\":[\"%s\"],\"action\":", r->name);
    if (r->errnum == 0)
        (void)fputs("\"SCMP_ACT_ALLOW\"", f);
    else
        (void)fprintf(f, "\"SCMP_ACT_ERRNO\",\"errnoRet\":%d", r->errnum);
    for (unsigned i = 0; i < r->n_conds; i++) {
        (void)fputs(i == 0 ? ",\"args\":[" : ",", f);
        write_cond(f, r->conds[i].index, r->conds[i].mask, r->conds[i].value);
    }
    (void)fputs(r->n_conds > 0 ? "]}" : "}", f);
}

/* Of the numbers whose bits above @bit are those of @prefix, allow all that are not excepted: while
 * an excepted one is among them, split them by the next lower bit. */
static void write_complement(FILE *f, const struct strict_except *e, unsigned bit, uint32_t prefix)
{
    uint32_t all = e->bits == 32 ? 0xffffffffu : (1u << e->bits) - 1;
    uint32_t mask = bit == 32 ? 0 : all & ~((1u << bit) - 1);

    for (unsigned i = 0; i < e->n_values; i++) {
        if ((e->values[i] & mask) != prefix)
            continue;
        if (bit > 0) {
            write_complement(f, e, bit - 1, prefix);
            write_complement(f, e, bit - 1, prefix | 1u << (bit - 1));
        }
        return;
    }
    const struct strict_rule r = { e->name, 0, 1, { { e->index, mask, prefix } } };
    write_rule(f, &r);
}

static void write_profile(FILE *f, const struct machine *m)
{
    bool first = true;

    (void)fprintf(f,
                  "{\"defaultAction\":\"SCMP_ACT_ERRNO\",\"defaultErrnoRet\":%d,"
                  "\"architectures\":[\"%s\"],\"syscalls\":[{\"names\":[",
                  EPERM, m->name);
    write_names(f, m, strict_allowed, &first);
    write_names(f, m, strict_allowed_new, &first);
    (void)fputs("],\"action\":\"SCMP_ACT_ALLOW\"}", f);
    for (const struct strict_rule *r = strict_rules; r->name != NULL; r++) {
        if (resolve(m, r->name) >= 0)
            write_rule(f, r);
    }
    for (const struct strict_except *e = strict_excepts; e->name != NULL; e++)
        write_complement(f, e, e->bits, 0);
    (void)fputs("]}", f);
}

int main(int argc, char **argv)
{
    const struct machine *m = machines;

    if (argc != 3) {
        (void)fputs("usage: gen_strict MACHINE OUTPUT\n", stderr);
        return 2;
    }
    while (m->uname != NULL && strcmp(m->uname, argv[1]) != 0)
        m++;
    if (m->uname == NULL) {
        (void)fprintf(stderr, "strict profile: no tables for a machine '%s'\n", argv[1]);
        return 1;
    }
    check_tables(m);
    if (n_problems > 0)
        return 1;

    FILE *f = fopen(argv[2], "we");
    if (f == NULL) {
        perror(argv[2]);
        return 1;
    }
    write_profile(f, m);
    bool failed = ferror(f) != 0;
    if (fclose(f) != 0 || failed) {
        (void)fprintf(stderr, "%s: cannot write\n", argv[2]);
        (void)remove(argv[2]);
        return 1;
    }
    return 0;
}
