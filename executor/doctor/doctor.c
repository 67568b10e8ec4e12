/* SPDX-License-Identifier: Apache-2.0 */
/* doctor.c - runs the checks and reports what they found. */
#include "executor/doctor/doctor.h"

#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"

static void put(struct doctor *d, const char *name, enum isol8_check_state state,
                const char *repair, const char *fmt, va_list ap)
    __attribute__((format(printf, 5, 0)));

static void put(struct doctor *d, const char *name, enum isol8_check_state state,
                const char *repair, const char *fmt, va_list ap)
{
    char found[DOCTOR_TEXT_MAX];
    isol8_check check = { .name = name, .state = state, .found = found, .repair = repair };

    (void)vsnprintf(found, sizeof(found), fmt, ap);
    if (state == ISOL8_CHECK_FAIL)
        d->n_failed++;
    d->report(&check, d->user);
}

void doctor_ok(struct doctor *d, const char *name, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    put(d, name, ISOL8_CHECK_OK, "", fmt, ap);
    va_end(ap);
}

void doctor_warn(struct doctor *d, const char *name, const char *repair, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    put(d, name, ISOL8_CHECK_WARN, repair, fmt, ap);
    va_end(ap);
}

void doctor_fail(struct doctor *d, const char *name, const char *repair, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    put(d, name, ISOL8_CHECK_FAIL, repair, fmt, ap);
    va_end(ap);
}

void doctor_append(char *text, size_t cap, const char *separator, const char *item)
{
    size_t n = strlen(text);

    (void)snprintf(text + n, cap - n, "%s%s", n == 0 ? "" : separator, item);
}

bool doctor_find_program(const char *name, char *out, size_t cap)
{
    const char *path = getenv("PATH");

    if (strchr(name, '/') != NULL) {
        (void)snprintf(out, cap, "%s", name);
        return access(out, X_OK) == 0;
    }
    if (path == NULL)
        path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
    while (*path != '\0') {
        size_t n = strcspn(path, ":");
        if (n > 0 && (size_t)snprintf(out, cap, "%.*s/%s", (int)n, path, name) < cap &&
            access(out, X_OK) == 0)
            return true;
        path += n;
        if (*path == ':')
            path++;
    }
    return false;
}

void doctor_existing_part(const char *path, char *out, size_t cap)
{
    struct stat st;

    (void)snprintf(out, cap, "%s", path);
    while (stat(out, &st) < 0) {
        char *slash = strrchr(out, '/');
        if (slash == NULL || slash == out) {
            (void)snprintf(out, cap, "/");
            return;
        }
        *slash = '\0';
    }
}

long long doctor_read_number(const char *path, long long fallback)
{
    long long n = fallback;
    FILE *f = fopen(path, "re");

    if (f == NULL)
        return fallback;
    if (fscanf(f, "%18lld", &n) != 1)
        n = fallback;
    (void)fclose(f);
    return n;
}

static const char *root_of(const char *option, const char *variable, const char *fallback)
{
    const char *value = option;

    if (value == NULL || *value == '\0')
        value = getenv(variable);
    return value == NULL || *value == '\0' ? fallback : value;
}

static const char *given(const char *option, const char *fallback)
{
    return option == NULL || *option == '\0' ? fallback : option;
}

int isol8_doctor(const isol8_host_options *opts,
                 void (*report)(const isol8_check *check, void *user), void *user)
{
    static void (*const checks[])(struct doctor *) = {
        doctor_check_privileges,      doctor_check_runtime,     doctor_check_kernel,
        doctor_check_seccomp,         doctor_check_cgroup,      doctor_check_swap,
        doctor_check_user_namespaces, doctor_check_host_ids,    doctor_check_overlayfs,
        doctor_check_descriptors,     doctor_check_state_root,  doctor_check_data_root,
        doctor_check_libraries,       doctor_check_image_tools, doctor_check_nftables,
    };
    isol8_host_options defaults;

    if (opts == NULL) {
        isol8_host_options_init(&defaults);
        opts = &defaults;
    }
    struct doctor d = {
        .state_root = root_of(opts->state_root, "ISOL8_STATE_ROOT", "/run/isol8"),
        .data_root = root_of(opts->data_root, "ISOL8_DATA_ROOT", "/var/lib/isol8"),
        .runtime = given(opts->runtime, "runc"),
        .cgroup_parent = given(opts->cgroup_parent, "isol8"),
        .user_namespace = opts->user_namespace,
        .report = report,
        .user = user,
    };
    for (size_t i = 0; i < ARRAY_LEN(checks); i++)
        checks[i](&d);
    return d.n_failed;
}
