/* SPDX-License-Identifier: Apache-2.0 */
/* seccomp_sim.h - compiles a `linux.seccomp` JSON as an OCI runtime does and evaluates it. */
#ifndef TESTS_SUPPORT_SECCOMP_SIM_H
#define TESTS_SUPPORT_SECCOMP_SIM_H

#include <linux/filter.h>
#include <stdint.h>
#include <sys/types.h>

#define SIM_INSNS_MAX 4096 /* BPF_MAXINSNS */

struct sim {
    struct sock_filter insns[SIM_INSNS_MAX];
    unsigned short n;
};

/* Outcomes of sim_run(): 0 allowed, above 0 an errno, below 0 the process is killed. */
#define SIM_KILLED (-1)

/** Compile; fails the calling test on anything libseccomp refuses. */
void sim_compile(struct sim *sim, const char *json);

/** Evaluate the filter for call @nr of architecture @arch (AUDIT_ARCH_*). */
int sim_run(const struct sim *sim, uint32_t arch, int nr, const uint64_t args[6]);

/** The same for a call of this machine by name. */
int sim_call(const struct sim *sim, const char *name, uint64_t a0, uint64_t a1, uint64_t a2);

/** AUDIT_ARCH_* of this machine. */
uint32_t sim_arch(void);

/** Install the filter in the calling process; only system calls. Return: 0 or -errno. */
int sim_install(const struct sim *sim);

#endif
