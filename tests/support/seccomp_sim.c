/* SPDX-License-Identifier: Apache-2.0 */
/**
 * seccomp_sim.c - a profile's filter, compiled by libseccomp and evaluated outside the kernel
 *
 * Compilation follows runc: names that libseccomp does not know are skipped, a rule with the
 * default's outcome is left out, conditions on one argument twice become alternatives (no profile
 * of ours uses that, so here it is an error). The interpreter covers the instructions libseccomp
 * emits and fails on any other, so a wrong answer is not possible by omission.
 */
#include "tests/support/seccomp_sim.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/seccomp.h>
#include <seccomp.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/json.h"
#include "tests/support/test.h"

uint32_t sim_arch(void)
{
#if defined(__x86_64__)
    return AUDIT_ARCH_X86_64;
#elif defined(__aarch64__)
    return AUDIT_ARCH_AARCH64;
#else
#error "name this architecture"
#endif
}

static uint32_t action_of(const cJSON *obj, const char *key, const char *errno_key)
{
    const char *s = json_string(obj, key);
    const cJSON *e = cJSON_GetObjectItemCaseSensitive(obj, errno_key);

    assert_non_null(s);
    if (strcmp(s, "SCMP_ACT_ALLOW") == 0)
        return SCMP_ACT_ALLOW;
    assert_string_equal(s, "SCMP_ACT_ERRNO");
    return SCMP_ACT_ERRNO((uint32_t)(e == NULL ? EPERM : e->valueint));
}

static struct scmp_arg_cmp condition_of(const cJSON *arg)
{
    static const struct {
        const char *name;
        enum scmp_compare op;
    } ops[] = {
        { "SCMP_CMP_EQ", SCMP_CMP_EQ },
        { "SCMP_CMP_NE", SCMP_CMP_NE },
        { "SCMP_CMP_LT", SCMP_CMP_LT },
        { "SCMP_CMP_LE", SCMP_CMP_LE },
        { "SCMP_CMP_GE", SCMP_CMP_GE },
        { "SCMP_CMP_GT", SCMP_CMP_GT },
        { "SCMP_CMP_MASKED_EQ", SCMP_CMP_MASKED_EQ },
    };
    const cJSON *index = cJSON_GetObjectItemCaseSensitive(arg, "index");
    const cJSON *value = cJSON_GetObjectItemCaseSensitive(arg, "value");
    const cJSON *two = cJSON_GetObjectItemCaseSensitive(arg, "valueTwo");
    const char *op = json_string(arg, "op");

    assert_non_null(op);
    for (size_t i = 0; i < sizeof(ops) / sizeof(ops[0]); i++) {
        if (strcmp(op, ops[i].name) == 0)
            return SCMP_CMP((unsigned)index->valueint, ops[i].op, (uint64_t)value->valuedouble,
                            (uint64_t)two->valuedouble);
    }
    fail_msg("unknown comparison '%s'", op);
    return (struct scmp_arg_cmp){ 0 };
}

static void add_entry(scmp_filter_ctx ctx, const cJSON *entry, uint32_t default_action)
{
    uint32_t action = action_of(entry, "action", "errnoRet");
    struct scmp_arg_cmp conds[6];
    unsigned n = 0, seen = 0;
    const cJSON *arg, *name;

    cJSON_ArrayForEach(arg, cJSON_GetObjectItemCaseSensitive(entry, "args"))
    {
        assert_true(n < 6);
        conds[n] = condition_of(arg);
        assert_false(seen & 1u << conds[n].arg);
        seen |= 1u << conds[n].arg;
        n++;
    }
    if (action == default_action)
        return;
    cJSON_ArrayForEach(name, cJSON_GetObjectItemCaseSensitive(entry, "names"))
    {
        int nr = seccomp_syscall_resolve_name(cJSON_GetStringValue(name));
        if (nr == __NR_SCMP_ERROR)
            continue;
        int r = seccomp_rule_add_array(ctx, action, nr, n, conds);
        if (r < 0)
            fail_msg("libseccomp refuses the rule for '%s': %s", cJSON_GetStringValue(name),
                     strerror(-r));
    }
}

void sim_compile(struct sim *sim, const char *json)
{
    auto_json cJSON *profile = cJSON_Parse(json);
    const cJSON *entry;

    assert_non_null(profile);
    uint32_t default_action = action_of(profile, "defaultAction", "defaultErrnoRet");
    scmp_filter_ctx ctx = seccomp_init(default_action);
    assert_non_null(ctx);
    cJSON_ArrayForEach(entry, cJSON_GetObjectItemCaseSensitive(profile, "syscalls"))
        add_entry(ctx, entry, default_action);

    auto_close int fd = memfd_create("filter", MFD_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(seccomp_export_bpf(ctx, fd), 0);
    seccomp_release(ctx);
    ssize_t n = pread(fd, sim->insns, sizeof(sim->insns), 0);
    assert_true(n > 0 && (size_t)n < sizeof(sim->insns));
    sim->n = (unsigned short)((size_t)n / sizeof(sim->insns[0]));
}

static uint32_t load_word(const struct seccomp_data *data, uint32_t offset)
{
    uint32_t word;

    assert_true(offset % 4 == 0 && offset + 4 <= sizeof(*data));
    memcpy(&word, (const char *)data + offset, sizeof(word));
    return word;
}

static bool jump_taken(const struct sock_filter *in, uint32_t acc)
{
    switch (BPF_OP(in->code)) {
    case BPF_JA:
        return true;
    case BPF_JEQ:
        return acc == in->k;
    case BPF_JGT:
        return acc > in->k;
    case BPF_JGE:
        return acc >= in->k;
    case BPF_JSET:
        return (acc & in->k) != 0;
    default:
        fail_msg("unexpected jump %#x", in->code);
        return false;
    }
}

static uint32_t evaluate(const struct sim *sim, const struct seccomp_data *data)
{
    uint32_t acc = 0;

    for (uint32_t pc = 0; pc < sim->n; pc++) {
        const struct sock_filter *in = &sim->insns[pc];

        if (in->code == (BPF_RET | BPF_K))
            return in->k;
        if (in->code == (BPF_LD | BPF_W | BPF_ABS))
            acc = load_word(data, in->k);
        else if (in->code == (BPF_ALU | BPF_AND | BPF_K))
            acc &= in->k;
        else if (in->code == (BPF_JMP | BPF_JA))
            pc += in->k;
        else if (BPF_CLASS(in->code) == BPF_JMP && BPF_SRC(in->code) == BPF_K)
            pc += jump_taken(in, acc) ? in->jt : in->jf;
        else
            fail_msg("unexpected instruction %#x", in->code);
    }
    fail_msg("the filter ends without an answer");
    return 0;
}

int sim_run(const struct sim *sim, uint32_t arch, int nr, const uint64_t args[6])
{
    struct seccomp_data data = { .nr = nr, .arch = arch };

    memcpy(data.args, args, sizeof(data.args));
    uint32_t ret = evaluate(sim, &data);
    switch (ret & SECCOMP_RET_ACTION_FULL) {
    case SECCOMP_RET_ALLOW:
        return 0;
    case SECCOMP_RET_ERRNO:
        return (int)(ret & SECCOMP_RET_DATA);
    default:
        return SIM_KILLED;
    }
}

int sim_call(const struct sim *sim, const char *name, uint64_t a0, uint64_t a1, uint64_t a2)
{
    int nr = seccomp_syscall_resolve_name(name);

    if (nr < 0)
        fail_msg("'%s' is no call of this machine", name);
    return sim_run(sim, sim_arch(), nr, (const uint64_t[6]){ a0, a1, a2 });
}

int sim_install(const struct sim *sim)
{
    struct sock_fprog prog = { .len = sim->n, .filter = (struct sock_filter *)sim->insns };

    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
        prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog) < 0)
        return -errno;
    return 0;
}
