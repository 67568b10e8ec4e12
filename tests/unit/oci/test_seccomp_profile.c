/* SPDX-License-Identifier: Apache-2.0 */
/* test_seccomp_profile.c - custom profiles: what is taken over, what is refused and how. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/mem.h"
#include "oci/seccomp/seccomp.h"
#include "tests/support/test.h"

#if defined(__x86_64__)
#define NATIVE "SCMP_ARCH_X86_64"
#define NATIVE_DOCKER "amd64"
#define OTHER_DOCKER "arm64"
#else
#define NATIVE "SCMP_ARCH_AARCH64"
#define NATIVE_DOCKER "arm64"
#define OTHER_DOCKER "amd64"
#endif

#define PROFILE(rest) "{\"defaultAction\":\"SCMP_ACT_ERRNO\"," rest "}"
#define CONVERTED(rest)                                                                            \
    "{\"defaultAction\":\"SCMP_ACT_ERRNO\",\"architectures\":[\"" NATIVE "\"],\"syscalls\":[" rest \
    "]}"
#define ENTRY(rest) PROFILE("\"syscalls\":[{" rest "}]")
#define READ "\"names\":[\"read\"],\"action\":\"SCMP_ACT_ALLOW\""

static void expect(const char *in, const char *out)
{
    isol8_error err = { 0 };
    auto_free char *json = NULL;

    if (oci_seccomp_convert(in, strlen(in), "profile", &json, &err) < 0)
        fail_msg("%s\nrefused: %s", in, err.msg);
    assert_string_equal(json, out);
}

static void expect_error(const char *in, const char *msg)
{
    isol8_error err = { 0 };
    char *json = NULL;

    assert_int_equal(oci_seccomp_convert(in, strlen(in), "profile", &json, &err), ISOL8_E_INVAL);
    assert_null(json);
    assert_err(err, ISOL8_E_INVAL, msg);
}

static void takes_the_oci_form_over(void **state)
{
    (void)state;
    expect("{\"defaultAction\":\"SCMP_ACT_KILL\",\"architectures\":[\"SCMP_ARCH_X86\"]}",
           "{\"defaultAction\":\"SCMP_ACT_KILL\",\"architectures\":[\"SCMP_ARCH_X86\"],"
           "\"syscalls\":[]}");
    expect(PROFILE("\"defaultErrnoRet\":38,\"flags\":[\"SECCOMP_FILTER_FLAG_LOG\"]"),
           "{\"defaultAction\":\"SCMP_ACT_ERRNO\",\"defaultErrnoRet\":38,"
           "\"architectures\":[\"" NATIVE "\"],\"syscalls\":[]}");
    expect(ENTRY("\"names\":[\"a\",\"b\"],\"action\":\"SCMP_ACT_ERRNO\",\"errnoRet\":95,"
                 "\"args\":[{\"index\":5,\"value\":4294967295,\"op\":\"SCMP_CMP_NE\"}]"),
           CONVERTED("{\"names\":[\"a\",\"b\"],\"action\":\"SCMP_ACT_ERRNO\",\"errnoRet\":95,"
                     "\"args\":[{\"index\":5,\"value\":4294967295,\"valueTwo\":0,"
                     "\"op\":\"SCMP_CMP_NE\"}]}"));
}

static void tolerates_docker_members_and_null(void **state)
{
    (void)state;
    expect(PROFILE("\"comment\":\"x\",\"x\":{\"y\":[]},\"syscalls\":[{\"name\":\"read\","
                   "\"action\":\"SCMP_ACT_ALLOW\",\"args\":null,\"includes\":{},\"excludes\":{},"
                   "\"comment\":\"c\",\"names\":[]}],\"architectures\":null"),
           CONVERTED("{" READ "}"));
}

static void evaluates_conditions(void **state)
{
    (void)state;
    const char *in = CONVERTED("{" READ "}");
    const char *out = CONVERTED("");

    /* No capability is ever held. */
    expect(ENTRY(READ ",\"includes\":{\"caps\":[\"CAP_SYS_ADMIN\"]}"), out);
    expect(ENTRY(READ ",\"excludes\":{\"caps\":[\"CAP_SYS_ADMIN\"]}"), in);
    expect(ENTRY(READ ",\"includes\":{\"arches\":[\"" NATIVE_DOCKER "\"]}"), in);
    expect(ENTRY(READ ",\"includes\":{\"arches\":[\"" OTHER_DOCKER "\"]}"), out);
    expect(ENTRY(READ ",\"excludes\":{\"arches\":[\"" NATIVE_DOCKER "\"]}"), out);
    expect(ENTRY(READ ",\"excludes\":{\"arches\":[\"" OTHER_DOCKER "\"]}"), in);
    expect(ENTRY(READ ",\"includes\":{\"minKernel\":\"4.8\"}"), in);
    expect(ENTRY(READ ",\"includes\":{\"minKernel\":\"999.1\"}"), out);
    expect(ENTRY(READ ",\"excludes\":{\"minKernel\":\"4.8\"}"), out);
    expect(ENTRY(READ ",\"includes\":{\"minKernel\":\"4.8\",\"caps\":[\"CAP_BPF\"]}"), out);
}

static void evaluates_the_architecture_map(void **state)
{
    (void)state;
    expect(PROFILE("\"archMap\":[{\"architecture\":\"SCMP_ARCH_FUTURE\","
                   "\"subArchitectures\":[\"SCMP_ARCH_PAST\"]},{\"architecture\":\"" NATIVE "\","
                   "\"subArchitectures\":[\"SCMP_ARCH_X86\"]}]"),
           "{\"defaultAction\":\"SCMP_ACT_ERRNO\",\"architectures\":[\"" NATIVE
           "\",\"SCMP_ARCH_X86\"],\"syscalls\":[]}");
    expect(PROFILE("\"archMap\":[{\"architecture\":\"SCMP_ARCH_FUTURE\"}]"), CONVERTED(""));
}

static void refuses_a_wrong_frame(void **state)
{
    (void)state;
    expect_error("", "profile:1:1: not valid JSON");
    expect_error("{\n  \"defaultAction\": }", "profile:2:20: not valid JSON");
    expect_error("[]", "profile: expected an object");
    expect_error("{}", "defaultAction: expected a value, but it is missing");
    expect_error("{\"defaultAction\":1}", "defaultAction: expected a text");
    expect_error("{\"defaultAction\":\"DENY\"}", "defaultAction: unknown value 'DENY'");
    expect_error("{\"defaultAction\":\"SCMP_ACT_NOTIFY\"}",
                 "defaultAction: SCMP_ACT_NOTIFY needs a listening agent, which isol8 has not");
    expect_error(PROFILE("\"defaultErrnoRet\":-1"),
                 "defaultErrnoRet: expected a whole number from 0 to 4095");
    expect_error(PROFILE("\"architectures\":\"x\""), "architectures: expected a list");
    expect_error(PROFILE("\"architectures\":[\"x86\"]"),
                 "architectures[0]: unknown architecture 'x86'");
    expect_error(PROFILE("\"architectures\":[\"SCMP_ARCH_X86\"],\"archMap\":[{}]"),
                 "archMap: not together with architectures");
    expect_error(PROFILE("\"archMap\":[{}]"), "archMap[0].architecture: expected a text");
    expect_error(PROFILE("\"syscalls\":{}"), "syscalls: expected a list");
}

static void refuses_a_wrong_entry(void **state)
{
    (void)state;
    expect_error(PROFILE("\"syscalls\":[{" READ "},7]"), "syscalls[1]: expected an object");
    expect_error(ENTRY("\"action\":\"SCMP_ACT_ALLOW\""),
                 "syscalls[0]: expected either names or name");
    expect_error(ENTRY(READ ",\"name\":\"read\""), "syscalls[0]: expected either names or name");
    expect_error(ENTRY("\"names\":\"read\""), "syscalls[0].names: expected a list");
    expect_error(ENTRY("\"names\":[\"read\",\"a b\"]"),
                 "syscalls[0].names[1]: expected the name of a system call");
    expect_error(ENTRY("\"names\":[3]"),
                 "syscalls[0].names[0]: expected the name of a system call");
    expect_error(ENTRY("\"names\":[\"read\"]"),
                 "syscalls[0].action: expected a value, but it is missing");
    expect_error(ENTRY("\"names\":[\"read\"],\"action\":\"ALLOW\""),
                 "syscalls[0].action: unknown value 'ALLOW'");
    expect_error(ENTRY(READ ",\"errnoRet\":1.5"),
                 "syscalls[0].errnoRet: expected a whole number from 0 to 4095");
    expect_error(ENTRY(READ ",\"includes\":[]"), "syscalls[0].includes: expected an object");
    expect_error(ENTRY(READ ",\"excludes\":{\"caps\":\"all\"}"),
                 "syscalls[0].excludes.caps: expected a list");
    expect_error(ENTRY(READ ",\"includes\":{\"minKernel\":\"new\"}"),
                 "syscalls[0].includes.minKernel: expected a version such as \"4.8\"");
}

static void refuses_a_wrong_argument(void **state)
{
    (void)state;
    expect_error(ENTRY(READ ",\"args\":[1]"), "syscalls[0].args[0]: expected an object");
    expect_error(ENTRY(READ ",\"args\":[{\"index\":6,\"op\":\"SCMP_CMP_EQ\"}]"),
                 "syscalls[0].args[0].index: expected a whole number from 0 to 5");
    expect_error(ENTRY(READ ",\"args\":[{\"index\":0,\"value\":\"1\",\"op\":\"SCMP_CMP_EQ\"}]"),
                 "syscalls[0].args[0].value: expected a whole number from 0 to 9007199254740991");
    expect_error(ENTRY(READ ",\"args\":[{\"value\":18446744073709551615}]"),
                 "syscalls[0].args[0].value: expected a whole number from 0 to 9007199254740991");
    expect_error(ENTRY(READ ",\"args\":[{\"index\":0,\"value\":1}]"),
                 "syscalls[0].args[0].op: expected a value, but it is missing");
    expect_error(ENTRY(READ ",\"args\":[{\"op\":\"EQ\"}]"),
                 "syscalls[0].args[0].op: unknown value 'EQ'");
}

/* A text of @n times @item between @head and @tail. */
static char *repeat(const char *head, const char *item, size_t n, const char *tail)
{
    struct buf b = BUF_INIT(OCI_SECCOMP_FILE_MAX * 2);

    (void)buf_adds(&b, head);
    for (size_t i = 0; i < n; i++)
        (void)buf_addf(&b, "%s%s", i > 0 ? "," : "", item);
    (void)buf_adds(&b, tail);
    assert_false(b.failed);
    return buf_take(&b);
}

static void holds_its_ceilings(void **state)
{
    (void)state;
    isol8_error err;
    char *json = NULL;
    char *entries;

    entries = repeat("{\"defaultAction\":\"SCMP_ACT_ERRNO\",\"syscalls\":[", "{" READ "}",
                     OCI_SECCOMP_ENTRIES_MAX, "]}");
    assert_int_equal(oci_seccomp_convert(entries, strlen(entries), "p", &json, &err), 0);
    free(json);
    free(entries);
    entries = repeat("{\"defaultAction\":\"SCMP_ACT_ERRNO\",\"syscalls\":[", "{" READ "}",
                     OCI_SECCOMP_ENTRIES_MAX + 1, "]}");
    assert_int_equal(oci_seccomp_convert(entries, strlen(entries), "p", &json, &err),
                     ISOL8_E_LIMIT);
    assert_string_equal(err.msg, "syscalls: more than 4096 entries");
    free(entries);
    entries = repeat("{\"defaultAction\":\"SCMP_ACT_ERRNO\",\"syscalls\":[{\"names\":[", "\"a\"",
                     OCI_SECCOMP_NAMES_MAX + 1, "],\"action\":\"SCMP_ACT_ALLOW\"}]}");
    assert_int_equal(oci_seccomp_convert(entries, strlen(entries), "p", &json, &err),
                     ISOL8_E_LIMIT);
    assert_string_equal(err.msg, "syscalls: more than 16384 names");
    free(entries);
}

static void names_the_file(void **state)
{
    (void)state;
    isol8_error err;
    char *json = NULL;
    char path[] = "/tmp/isol8-test-XXXXXX";
    int fd = mkstemp(path);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, "{}", 2), 2);
    (void)close(fd);
    assert_int_equal(oci_seccomp_load(path, &json, &err), ISOL8_E_INVAL);
    char want[256];
    (void)snprintf(want, sizeof(want),
                   "Failed to load custom seccomp profile at %s: defaultAction: expected a value, "
                   "but it is missing",
                   path);
    assert_string_equal(err.msg, want);
    (void)unlink(path);
    assert_int_equal(oci_seccomp_load(path, &json, &err), ISOL8_E_SYS);
    (void)snprintf(want, sizeof(want),
                   "Failed to load custom seccomp profile at %s: cannot read '%s': No such file or "
                   "directory",
                   path, path);
    assert_string_equal(err.msg, want);
    assert_int_equal(oci_seccomp_load("/tmp", &json, &err), ISOL8_E_SYS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(takes_the_oci_form_over),
        cmocka_unit_test(tolerates_docker_members_and_null),
        cmocka_unit_test(evaluates_conditions),
        cmocka_unit_test(evaluates_the_architecture_map),
        cmocka_unit_test(refuses_a_wrong_frame),
        cmocka_unit_test(refuses_a_wrong_entry),
        cmocka_unit_test(refuses_a_wrong_argument),
        cmocka_unit_test(holds_its_ceilings),
        cmocka_unit_test(names_the_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
