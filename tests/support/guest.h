/* SPDX-License-Identifier: Apache-2.0 */
/* guest.h - the subcommands of the guest program. */
#ifndef TESTS_SUPPORT_GUEST_H
#define TESTS_SUPPORT_GUEST_H

/** One subcommand: @argv[0] is its name. Return: exit code. */
typedef int (*guest_fn)(int argc, char **argv);

struct guest_command {
    const char *name;
    const char *usage;
    guest_fn fn;
};

/** Print "NAME: OK" or "NAME: EPERM"; @failed is the call's result below 0, with errno set. */
void guest_report(const char *name, int failed);

/** Whole number in @argv[@i], or @fallback when it is absent. */
long guest_number(int argc, char **argv, int i, long fallback);

/** Until the end of stdin. */
void guest_wait_for_eof(void);

/** What attacks do; ended by a NULL name. */
extern const struct guest_command guest_attacks[];

/** What is tried in a filtered network; ended by a NULL name. */
extern const struct guest_command guest_network[];

#endif
